"""What people hand over by mistake, to every public call: it works, or an error of ours says why.

One table of wrong values and one of calls, over all models at once; a new model adds its line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from wrong_values import (
    BITS,
    IMAGES,
    MODELS,
    PAIR,
    PANEL,
    SERIES,
    TEXT,
    faults,
    fitted,
    panel,
    some,
)

import arproc
from arproc import Training, evaluation, plot, sampling
from arproc.errors import ArprocError

#: Calls of a fitted model with one wrong value: (model, its data, the value).
CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "fit": lambda m, d, w: m.clone().fit(w),
    "fit(y)": lambda m, d, w: m.clone().fit(d, w),
    "fit(context)": lambda m, d, w: m.clone().fit(d, context=w),
    "fit(validation)": lambda m, d, w: m.clone().fit(d, validation=w),
    "fit(sample_weight)": lambda m, d, w: m.clone().fit(d, sample_weight=w),
    "fit(freq)": lambda m, d, w: m.clone().fit(d, freq=w),
    "log_prob": lambda m, d, w: m.log_prob(w),
    "log_prob(context)": lambda m, d, w: m.log_prob(d, context=w),
    "log_prob(offset)": lambda m, d, w: m.log_prob(d, offset=w),
    "log_prob_terms": lambda m, d, w: m.log_prob_terms(w),
    "score": lambda m, d, w: m.score(w),
    "sequences": lambda m, d, w: m.sequences(w),
    "conditional": lambda m, d, w: m.conditional(w),
    "conditionals": lambda m, d, w: m.conditionals(w),
    "condition": lambda m, d, w: m.condition(w),
    "start": lambda m, d, w: m.start(-1 if isinstance(w, int) and w == 2**62 else w),
    "with_policy": lambda m, d, w: m.with_policy(w),
    "in_order": lambda m, d, w: m.in_order(w),
    "distribution": lambda m, d, w: m.distribution(w),
    "sample": lambda m, d, w: m.sample(w, 2),
    "sample(length)": lambda m, d, w: m.sample(1, -1 if isinstance(w, int) and w == 2**62 else w),
    "sample(prefix)": lambda m, d, w: m.sample(1, 2, prefix=w),
    "sample(policy)": lambda m, d, w: m.sample(1, 2, policy=w),
    "sample(stop)": lambda m, d, w: m.sample(1, 2, stop=w),
    "sample(seed)": lambda m, d, w: m.sample(1, 2, seed=w),
    "sample(context)": lambda m, d, w: m.sample(1, 2, context=w),
    "forecast": lambda m, d, w: m.forecast(w, 2, n_paths=3),
    "forecast(horizon)": lambda m, d, w: m.forecast(d, w, n_paths=3),
    "forecast(quantiles)": lambda m, d, w: m.forecast(d, 1, w, n_paths=3),
    "forecast(known)": lambda m, d, w: m.forecast(d, 2, known=w, n_paths=3),
    "forecast(n_paths)": lambda m, d, w: m.forecast(d, 1, n_paths=w),
    "forecast(parameter_uncertainty)": lambda m, d, w: m.forecast(d, 1, parameter_uncertainty=w),
    "sample_paths": lambda m, d, w: m.sample_paths(w, 2, 3),
    "save": lambda m, d, w: m.save(w),
    "of": lambda m, d, w: type(m).of(w),
    "evaluate": lambda m, d, w: evaluation.evaluate(m, w),
    "pit": lambda m, d, w: evaluation.pit(m, w),
    "crps": lambda m, d, w: evaluation.crps(m, w),
    "diagnose": lambda m, d, w: evaluation.diagnose(m, w),
    "surprisal_table": lambda m, d, w: evaluation.surprisal_table(m, w),
    "complete": lambda m, d, w: sampling.complete(m, w),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_call_of_every_model(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, data = fitted(name), MODELS[name][1]
    found = []
    for number, (call, do) in enumerate(CALLS.items()):
        every = 4 if call in ("log_prob", "conditional") else 16
        labels = list(some(list(MODELS).index(name) + number, every))
        found += [
            f"{call}, {fault}" for fault in faults(lambda w, do=do: do(model, data, w), labels)
        ]
    assert found == []


#: Own calls of one kind of model each: "model, call" -> (model, value) -> anything.
OWN: dict[str, Callable[[Any, Any], Any]] = {
    "AR, residuals": lambda m, w: m.residuals(w),
    "AR, impute": lambda m, w: m.impute(w),
    "AR, impute(n_draws)": lambda m, w: m.impute(SERIES, n_draws=w),
    "AR, autocorrelation": lambda m, w: m.autocorrelation(w),
    "AR, partial_autocorrelation": lambda m, w: m.partial_autocorrelation(w),
    "AR, autocovariance": lambda m, w: m.autocovariance(w),
    "AR, psi_weights": lambda m, w: m.psi_weights(w),
    "AR, impulse_response": lambda m, w: m.impulse_response(w),
    "AR, impulse_response(level)": lambda m, w: m.impulse_response(2, level=w),
    "AR, spectral_density": lambda m, w: m.spectral_density(w),
    "AR, spectral_density(level)": lambda m, w: m.spectral_density(level=w),
    "AR, covariance": lambda m, w: m.covariance(w),
    "AR, covariance(data)": lambda m, w: m.covariance("opg", w),
    "AR, covariance(lags)": lambda m, w: m.covariance("hac", SERIES, lags=w),
    "AR, parameter_table": lambda m, w: m.parameter_table(covariance=w),
    "AR, wald_test": lambda m, w: m.wald_test(w),
    "AR, wald_test(covariance)": lambda m, w: m.wald_test("ar.L1 = 0", covariance=w),
    "AR, information_criterion": lambda m, w: m.information_criterion(w),
    "AR, set_params": lambda m, w: m.clone().set_params(order=w).fit(SERIES),
    "BayesianAR, parameter_table": lambda m, w: m.parameter_table(w),
    "ARGARCH, residuals": lambda m, w: m.residuals(w),
    "ARGARCH, conditional_volatility": lambda m, w: m.conditional_volatility(w),
    "VAR, granger_causality(caused)": lambda m, w: m.granger_causality(w),
    "VAR, granger_causality(causing)": lambda m, w: m.granger_causality(None, w),
    "VAR, granger_causality(test)": lambda m, w: m.granger_causality(test=w),
    "VAR, instantaneous_causality": lambda m, w: m.instantaneous_causality(w),
    "VAR, impulse_response": lambda m, w: m.impulse_response(w),
    "VAR, impulse_response(bands)": lambda m, w: m.impulse_response(1, bands=w),
    "VAR, impulse_response(data)": lambda m, w: m.impulse_response(
        1, bands="bootstrap", draws=2, data=w
    ),
    "VAR, impulse_response(context)": lambda m, w: m.impulse_response(
        1, bands="bootstrap", data=PAIR, context=w, draws=2
    ),
    "VAR, impulse_response(level)": lambda m, w: m.impulse_response(1, level=w),
    "VAR, variance_decomposition": lambda m, w: m.variance_decomposition(w),
    "MarkovSwitchingAR, smoothed": lambda m, w: m.smoothed(w),
    "MarkovSwitchingAR, filtered": lambda m, w: m.filtered(w),
    "SETAR, threshold_interval": lambda m, w: m.threshold_interval(w),
    "SETAR, regime_of": lambda m, w: m.regime_of(w),
    "SETAR, linearity_test": lambda m, w: m.linearity_test(w, 1),
    "NGram, filtered": lambda m, w: m.filtered(w),
    "NGram, pruned": lambda m, w: m.pruned(w),
    "NGram, matched_orders": lambda m, w: m.matched_orders(w),
    "NGram, stupid_backoff_score": lambda m, w: m.stupid_backoff_score(w),
    "NGram, to_arpa": lambda m, w: m.to_arpa(w),
    "NGram, from_arpa": lambda m, w: arproc.NGram.from_arpa(w),
    "InfiniGram, matches": lambda m, w: m.matches(w),
    "MADE, to": lambda m, w: m.to(w),
    "NADE, impute": lambda m, w: m.impute(w),
    "NADE, conditional_log_prob": lambda m, w: m.conditional_log_prob(w),
    "NADE, conditional_log_prob(given)": lambda m, w: m.conditional_log_prob(BITS, w),
    "MAF, to_noise": lambda m, w: m.to_noise(w),
    "MAF, from_noise": lambda m, w: m.from_noise(w),
    "AR, append": lambda m, w: m.start(2).append(w),
    "AR, extend": lambda m, w: m.start(2).extend(w),
    "NGram, append": lambda m, w: m.start(2).append(w),
    "VAR, append": lambda m, w: m.start(2).append(w),
    "MADE, extend(lengths)": lambda m, w: m.start(2).extend(torch.ones(2, 3), w),
    "AR, select": lambda m, w: m.start(2).select(w),
    "AR, truncate": lambda m, w: m.start([[1.0], [2.0]]).truncate(w),
    "AR, log_prob of the distribution": lambda m, w: m.distribution(3).log_prob(w),
    "NGram, policies joined": lambda m, w: sampling.TopK(2) | w,
    "NGram, Temperature": lambda m, w: sampling.Temperature(w),
    "NGram, TopK": lambda m, w: sampling.TopK(w),
    "NGram, TopP": lambda m, w: sampling.TopP(w),
    "NGram, Chain": lambda m, w: m.with_policy(sampling.Chain(w)).sample(1, 2),
    "PixelCNN, complete(known)": lambda m, w: sampling.complete(m, IMAGES[0], w),
    "PixelCNN, complete(method)": lambda m, w: sampling.complete(
        m, IMAGES[0], np.ones((3, 4), bool), method=w
    ),
    "PixelCNN, surprisal_map": lambda m, w: plot.surprisal_map(m, w),
    "AR, diagnostics": lambda m, w: plot.diagnostics(m, w),
}  # fmt: skip


@pytest.mark.parametrize("call", OWN)
def test_the_calls_of_some_models(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = fitted(call.partition(",")[0])
    assert faults(lambda w: OWN[call](model, w), some(list(OWN).index(call), 3)) == []


#: Calls of a fitted panel with one wrong value.
PANELS: dict[str, Callable[[Any, Any], Any]] = {
    "fit": lambda m, w: m.clone().fit(w),
    "fit(y)": lambda m, w: m.clone().fit(PANEL, w),
    "forecast(history)": lambda m, w: m.forecast(horizon=2, history=w),
    "forecast(horizon)": lambda m, w: m.forecast(horizon=w),
    "forecast(quantiles)": lambda m, w: m.forecast(horizon=1, quantiles=w),
    "forecast(seed)": lambda m, w: m.forecast(horizon=1, seed=w),
    "forecast(offset)": lambda m, w: m.forecast(horizon=1, history=PANEL, offset=w),
    "errors": lambda m, w: m.clone().set_params(errors=w).fit(PANEL),
    "columns": lambda m, w: m.clone().set_params(columns=w).fit(PANEL),
    "save": lambda m, w: m.save(w),
    "log_prob": lambda m, w: m.log_prob(w),
    "log_prob(offset)": lambda m, w: m.log_prob(PANEL, offset=w),
    "score": lambda m, w: m.score(w),
    "sample": lambda m, w: m.sample(w, 2),
    "sample(length)": lambda m, w: m.sample(1, w),
    "sample(prefix)": lambda m, w: m.sample(1, 2, prefix=w),
    "sample(seed)": lambda m, w: m.sample(1, 2, seed=w),
    "sample(offset)": lambda m, w: m.sample(1, 2, offset=w),
    "a series": lambda m, w: m[w],
    "pooling": lambda m, w: m.clone().set_params(pooling=w).fit(PANEL),
}


@pytest.mark.parametrize(
    "name", ["Panel", "Panel of each", "AutoPanel", "AutoPanel, told nothing"]
)
def test_every_call_of_panels(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, found = panel(name), []
    for number, (call, do) in enumerate(PANELS.items()):
        method = call.partition("(")[0]
        if name.startswith("AutoPanel") and number > list(PANELS).index("save"):
            continue  # it has forecasts alone
        labels = list(some(number, 3))
        if method in ("sample", "forecast"):  # too many of anything is a right value
            labels = [label for label in labels if label not in ENDLESS]
        found += [f"{call}, {fault}" for fault in faults(lambda w, do=do: do(model, w), labels)]
    assert found == []


#: The settings of constructors that are tried, of models that are fitted in no time.
SETTINGS = {
    "AR": "order trend method initial seasonal fourier regressors ridge",
    "ARIMA": "order seasonal_order trend regressors",
    "ARGARCH": "order innovations volatility trend volatility_order components covariance_kind",
    "BayesianAR": "orders trend tightness decay shape location scale noise",
    "VAR": "order trend method initial shrinkage tightness decay cross own_lag regressors",
    "BetaAR": "order",
    "CountAR": "order link family initial start_mean regressors",
    "LogisticAR": "order symbols ridge initial",
    "MarkovSwitchingAR": "order regimes trend switching_ar form method n_starts min_variance "
    "tolerance seed",
    "SETAR": "order regimes delay threshold trend trim",
    "Transformed": "process transform",
    "NGram": "order smoothing tokens alpha prune largest_discounted discount_fallback memory",
    "InfiniGram": "tokens",
    "PPM": "order method tokens update_exclusion adaptive",
    "ContextTree": "depth tokens alpha stop adaptive",
    "Cache": "size decay alpha base tokens",
    "MADE": "hidden head levels components min_scale residual order_agnostic ordering conditioned "
    "classes columns training",
    "NADE": "hidden head levels activation order_agnostic ordering classes training",
    "MAF": "hidden layers reordering normalisation ordering training",
    "KernelDensity": "bandwidth levels min_scale iterations tolerance ordering",
    "PixelCNN": "layers width head levels channel_axis classes kernel first_kernel training",
    "Transformer": "layers heads width block attention_window tokens end dropout positions norm "
    "activation hidden kv_heads tied biases rotary_base rotary_scaling head components min_scale "
    "scaling covariates training",
    "WaveNet": "layers width kernel cycle skip head levels components block conditioned classes "
    "training",
    "Coded": "process levels companded",
    "RNN": "cell layers width head tokens end components hidden min_scale scaling block dropout "
    "conditioned classes covariates training",
    "NeuralAR": "order layers width head tokens end components hidden min_scale scaling block "
    "dropout conditioned classes covariates training",
    "PianoRoll": "order reach octave width memory block dropout conditioned classes covariates "
    "training",
    "Mixture": "processes weights tolerance",
    "OrderEnsemble": "model orderings weights seed",
}
#: Too large for anybody's patience, though a right value: nothing to refuse.
ENDLESS = ("a huge number", "a number of 62 bits")


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_constructors(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, data = MODELS[name]
    found = []
    for number, setting in enumerate(SETTINGS[name].split()):

        def call(wrong: Any, setting: str = setting) -> Any:
            model = make()
            parameters = model.get_params(deep=False) | {setting: wrong}
            return type(model)(**parameters).fit(data)

        labels = [one for one in some(number, 6) if one not in ENDLESS]
        found += [f"{setting}, {fault}" for fault in faults(call, labels)]
    assert found == []


# ---- one by one: what the tables have no place for ----------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Training(device="cuda:99"), None),
        (lambda: arproc.MADE(training=Training(device="cuda:99")).fit(BITS), "device must be"),
        (lambda: arproc.MADE(training=Training(device="gpu")).fit(BITS), "device must be"),
        (lambda: fitted("MADE").to(np.zeros(2)), "device must be"),
        (lambda: fitted("MADE").to("meta"), "device must be"),
        (lambda: fitted("VAR").granger_causality(3), "caused must be a list"),
        (lambda: fitted("VAR").instantaneous_causality(np.zeros((2, 2))), "there is no component"),
        (lambda: fitted("SETAR").threshold_interval([0.9]), "level must be a number"),
        (lambda: fitted("AR").parameter_table("robust"), "covariance can not be read as numbers"),
        (lambda: fitted("BayesianAR").parameter_table(SERIES), "order must be an integer"),
        (lambda: arproc.AR.of(fitted("VAR").law_, order=1), "law is a VARLaw; expected ARLaw"),
        (lambda: arproc.AR.of(fitted("AR").law_), "missing a required argument: 'order'"),
        (lambda: arproc.NGram(2, tokens=["the", "cat"]).fit(TEXT), "tokens"),
        (lambda: arproc.MADE(classes=2).fit(BITS, context=["a", "b"] * 6), "context can not be"),
        (lambda: fitted("AR").sample(10**10, 2), "n must be at most"),
        (lambda: fitted("AR").log_prob(SERIES, offset=10**30), "offset must be at most"),
    ],
)
def test_messages(call, message):
    if message is None:
        call()
        return
    with pytest.raises(ArprocError, match=message):
        call()


def test_a_forecast_of_a_panel_by_an_array():
    panel = arproc.AutoPanel([arproc.AR(1), arproc.AR(2)], 4).fit(PANEL)
    with pytest.raises(ArprocError, match="horizon must be an integer"):
        panel.forecast(np.zeros((2, 10)))


@pytest.mark.parametrize("name", MODELS)
def test_whether_there_is_an_attribute_can_be_asked(name):
    for model in (fitted(name), MODELS[name][0](), fitted(name).law_):
        for attribute in dir(type(model)):
            hasattr(model, attribute)  # raises what is no AttributeError


def test_a_policy_that_leaves_nothing():
    class Nothing(sampling.Policy):
        def apply(self, conditional, state=None):
            return arproc.distributions.Categorical(torch.full_like(conditional.logits, -np.inf))

    with pytest.raises(ArprocError):
        fitted("NGram").sample(1, 3, policy=Nothing(), seed=0)


def test_scikit_learn_knows_what_is_not_fitted():
    import pickle

    exceptions = pytest.importorskip("sklearn.exceptions")
    for model in (arproc.AR(1), arproc.MAF(), arproc.NGram(2)):
        with pytest.raises(exceptions.NotFittedError, match="is not fitted yet") as caught:
            model.log_prob([1.0])
        again = pickle.loads(pickle.dumps(caught.value))
        assert isinstance(again, arproc.errors.NotFittedError)
        assert again.args == caught.value.args
        assert type(caught.value).__name__ == "NotFittedError"


def test_what_is_not_fitted_needs_no_scikit_learn(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "sklearn.exceptions", raising=False)
    with pytest.raises(arproc.errors.NotFittedError) as caught:
        arproc.AR(1).log_prob([1.0])
    assert type(caught.value) is arproc.errors.NotFittedError
    assert "sklearn.exceptions" not in sys.modules
