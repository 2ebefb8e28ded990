"""Learning curves and context curves: by fits and likelihoods of their own."""

import numpy as np
import pandas as pd
import pytest
from evaluation.toys import Chain, CorrelatedPairs, GaussianAR, MeanShift, Steps
from scipy import stats

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.evaluation import context_curve, learning_curve

UNIT = "nats_per_element"


# ---- learning curves -----------------------------------------------------------------------


def test_one_series_is_cut_at_its_end():
    x = arproc.AR.from_parameters([0.8]).sample(1, length=900, seed=0)[0]
    train, test = x[:600], x[600:]
    curve = learning_curve(arproc.AR(2), train, test, sizes=[600, 40, 150])
    assert curve["size"].tolist() == curve["n_elements"].tolist() == [40, 150, 600]
    for size, cost in zip(curve["size"], curve[UNIT], strict=True):
        own = arproc.AR(2).fit(train[-size:])
        assert cost == pytest.approx(-own.score(test), rel=1e-9)
    full = arproc.evaluate(arproc.AR(2).fit(train), test)
    assert curve[f"se_{UNIT}"].iloc[-1] == pytest.approx(full.nats_per_element_se)
    assert curve[f"difference_{UNIT}"].iloc[-1] == 0
    apart = curve[UNIT] - curve[UNIT].iloc[-1]
    assert curve[f"difference_{UNIT}"].tolist() == pytest.approx(apart.tolist(), abs=1e-12)
    assert curve.attrs == {"unit": UNIT, "size_of": "elements"}


def test_sequences_are_added_to_those_there():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(64, 3)) @ rng.normal(size=(3, 3))
    curve = learning_curve(arproc.KernelDensity(), x[:48], x[48:], unit="nats_per_sequence")
    assert curve["size"].tolist() == [1, 3, 6, 12, 24, 48]
    assert curve["n_elements"].tolist() == [3 * size for size in curve["size"]]
    assert curve.attrs["size_of"] == "sequences"
    costs = curve["nats_per_sequence"]
    assert costs.iloc[-1] < costs.iloc[0]
    again = learning_curve(arproc.KernelDensity(), x[:48], x[48:], unit="nats_per_sequence")
    assert again.equals(curve)


def test_texts_share_their_vocabulary():
    train = ["abcabcabc", "abcab", "bcabca", "cabc", "zzz abc"]
    curve = learning_curve(
        arproc.NGram(2, "witten_bell", tokens="char"), train, ["abc", "cab"], sizes=[1, 2, 5]
    )
    assert curve.attrs["unit"] == "bits_per_byte"
    assert np.isfinite(curve["bits_per_byte"]).all()


def test_columns_of_a_frame_and_contexts():
    rng = np.random.default_rng(2)
    known = rng.normal(size=(90, 1))
    y = 2 * known[:, 0] + 0.1 * rng.normal(size=90)
    model = arproc.AR(1, regressors="mean")
    options = {"context": known[:60], "test_context": known[60:], "sizes": [20, 60]}
    curve = learning_curve(model, y[:60], y[60:], **options)
    assert (curve[UNIT] < 0).all()  # the context is cut with the series
    series = pd.DataFrame(rng.normal(size=(40, 3)), columns=list("abc"))
    curve = learning_curve(arproc.AR(1), series, rng.normal(size=30), sizes=[1, 3])
    assert curve["n_elements"].tolist() == [40, 120]


def test_what_can_not_be_learnt_is_told():
    x = np.random.default_rng(3).normal(size=50)
    with pytest.raises(DataError, match="sizes has 90; train has 50"):
        learning_curve(arproc.AR(1), x, x, sizes=[90])
    with pytest.raises(ParameterError, match="sizes is empty"):
        learning_curve(arproc.AR(1), x, x, sizes=[])
    with pytest.raises(DataError, match="with 2 of train:"):
        learning_curve(arproc.AR(5), x, x, sizes=[2, 50])
    with pytest.raises(ParameterError, match="model must be an arproc model; got str"):
        learning_curve("AR", x, x)


# ---- context curves ------------------------------------------------------------------------


def test_what_the_past_tells_by_the_law():
    """Of a stationary AR(1): one element before is all; without it the marginal law is left."""
    model = arproc.AR.from_parameters([0.8])
    x = model.sample(12, length=60, seed=0)
    curve = context_curve(model, x, lengths=[0, 1, 8])
    target = x[:, 8:]
    marginal = -stats.norm.logpdf(target, scale=1 / 0.6)
    after_one = -stats.norm.logpdf(target, 0.8 * x[:, 7:-1])
    assert curve[UNIT].tolist() == pytest.approx(
        [marginal.mean(), after_one.mean(), after_one.mean()], rel=1e-9
    )
    assert curve["n"].tolist() == [12 * 52] * 3
    apart = (marginal - after_one).mean(1)
    assert curve["se_difference"][0] == pytest.approx(stats.sem(apart), rel=1e-6)
    assert curve["difference"].tolist()[1:] == pytest.approx([0, 0], abs=1e-9)


def test_few_targets_lie_over_all_the_data():
    chain = Chain([[0.9, 0.1], [0.2, 0.8]], start=[2 / 3, 1 / 3])
    x = chain.sample(1, 500, seed=1)[0]
    curve = context_curve(chain, x, n_targets=50)
    assert curve["length"].tolist() == [0, 1, 2, 4, 8, 16, 32, 64, 128]
    assert curve["n"].tolist() == [50] * 9
    at = 128 + np.linspace(0, 371, 50).astype(int)
    p = np.array([2 / 3, 1 / 3])
    assert curve[UNIT][0] == pytest.approx(-np.log(p[x[at].astype(int)]).mean())


def test_texts_are_scored_as_if_within():
    model = arproc.NGram(3, "witten_bell", tokens="char").fit(["abcabcabd", "abcab"])
    curve = context_curve(model, ["abcabcab"], lengths=[0, 1, 2])
    inside = model.midway()
    text = "abcabcab"
    for k in (0, 1, 2):
        want = np.mean(
            [-inside.log_prob_terms(text[t - k : t + 1], complete=False)[-1] for t in range(2, 8)]
        )
        assert curve[UNIT][k] == pytest.approx(want)


def test_contexts_and_gaps_go_along():
    rng = np.random.default_rng(4)
    means = rng.normal(size=(3, 30)) * 5
    x = means + rng.normal(size=(3, 30))
    curve = context_curve(Steps(), x, context=means[..., None], lengths=[0, 3])
    want = -stats.norm.logpdf(x[:, 3:], means[:, 3:]).mean()
    assert curve[UNIT].tolist() == pytest.approx([want, want])
    gappy = arproc.AR.from_parameters([0.8]).sample(1, length=40, seed=5)[0]
    gappy[[10, 20]] = np.nan
    found = context_curve(arproc.AR.from_parameters([0.8]), gappy, lengths=[1])
    assert found["n"].tolist() == [37]
    assert np.isfinite(found[UNIT]).all()


def test_positions_are_averaged_in_bands():
    x = GaussianAR(0.9).sample(15, 20, seed=6)
    curve = context_curve(GaussianAR(0.9), x, by="position", lengths=[0, 1, 10])
    terms = -np.stack(GaussianAR(0.9).log_prob_terms(x))
    assert curve["first"].tolist() == [0, 1, 10]
    assert curve["last"].tolist() == [0, 9, 19]
    want = [terms[:, :1].mean(), terms[:, 1:10].mean(), terms[:, 10:].mean()]
    assert curve[UNIT].tolist() == pytest.approx(want)
    assert curve["se"][0] == pytest.approx(stats.sem(terms[:, 0]))
    assert curve["n"].tolist() == [15, 135, 150]
    ended = Chain([[0.4, 0.4, 0.2]] * 3, end=True)
    by = context_curve(ended, [[0, 1], [1]], by="position")
    assert by["n"].sum() == 5  # ends are elements
    rows = context_curve(arproc.KernelDensity().fit(x), x, by="position")
    assert rows["last"].iloc[-1] == 19


def test_given_elements_are_known():
    model = GaussianAR(0.5, given=2)
    x = GaussianAR(0.5).sample(1, 50, seed=7)[0]
    assert context_curve(model, x)["length"].tolist() == [2, 4, 8, 16]
    assert context_curve(model, x, by="position")["first"].min() == 2
    with pytest.raises(ParameterError, match="lengths must be at least 2"):
        context_curve(model, x, lengths=[1])


def test_what_has_no_curve_is_told():
    x = np.random.default_rng(8).normal(size=(20, 3))
    rows = arproc.KernelDensity().fit(x)
    with pytest.raises(UnsupportedError, match=r'fixed size.*by="position" is for these'):
        context_curve(rows, x)
    with pytest.raises(ParameterError, match="context_curve needs a Process; got MeanShift"):
        context_curve(MeanShift(), x)
    with pytest.raises(DataError, match="lengths has 60; expected less than 20"):
        context_curve(GaussianAR(), x[:, 0], lengths=[60])
    with pytest.raises(ParameterError, match="by must be one of 'length', 'position'"):
        context_curve(GaussianAR(), x[:, 0], by="time")
    assert len(context_curve(CorrelatedPairs(), x[:, :2], lengths=[0, 2])) == 2
