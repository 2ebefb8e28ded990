"""Files whose numbers are none, or absurd: refused in words, quickly, before anything is made."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

import arproc
from arproc.contract.checked import annotation_of
from arproc.contract.model_file import read_file, write_file
from arproc.errors import (
    DataError,
    FileFormatError,
    NotEstimatedError,
    ParameterError,
    ReadOnlyError,
)
from arproc.models.autoregression.law import ARLaw
from arproc.process import Fit


def series(n=60):
    return np.random.default_rng(0).normal(size=n).cumsum() * 0.1


def changed(model, folder, change):
    """Save a model, change its description and tensors, and load it: what the refusal says."""
    path = folder / "model.arproc"
    model.save(path)
    arproc.load(path)
    header, tensors = read_file(path)
    tensors = dict(tensors)
    change(header["model"], tensors)
    write_file(path, header, tensors)
    begin = time.process_time()
    with pytest.raises(FileFormatError) as raised:
        arproc.load(path)
    assert time.process_time() - begin < 2
    return str(raised.value)


def put(tensors, ending, value, place=...):
    """Change a number, or all, of the one tensor whose name ends so."""
    (name,) = [name for name in tensors if re.search(ending, name)]
    tensors[name] = tensors[name].clone()
    tensors[name][place] = value


NAN = {"!": "float", "value": "nan"}


def test_a_mean_that_is_nan_though_no_unit_root_leaves_none(tmp_path):
    law = ARLaw(np.array([0.5]), mean=1.0, drive=np.array([0.5]), initial="given")

    def change(tree, _):
        tree["law"]["fields"]["mean"] = NAN

    assert "no unit root" in changed(arproc.Process.of(law), tmp_path, change)


def test_a_unit_root_that_leaves_no_mean_is_saved_and_loaded(tmp_path):
    law = ARLaw(np.array([1.0]), mean=math.nan, drive=np.array([0.5]), initial="given")
    model = arproc.Process.of(law)
    model.save(tmp_path / "walk.arproc")
    again = arproc.load(tmp_path / "walk.arproc")
    np.testing.assert_array_equal(again.log_prob(series()), model.log_prob(series()))


def test_a_vector_of_means_that_is_nan(tmp_path):
    x = np.stack([series(), np.random.default_rng(1).normal(size=60)], 1)
    model = arproc.VAR(1, method="ols", initial="given").fit(x)
    told = changed(model, tmp_path, lambda _, t: put(t, r"law\.mean$", np.nan, 0))
    assert "no unit root" in told


def test_a_likelihood_that_is_nan(tmp_path):
    def change(tree, _):
        tree["fit"]["fields"]["log_likelihood"] = NAN

    assert "Fit.log_likelihood is nan" in changed(arproc.AR(1).fit(series()), tmp_path, change)


def test_a_buffer_of_a_network_that_is_nan(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 3))
    model = arproc.MAF((4,), layers=1, training=arproc.Training(steps=1)).fit(x)
    names = set(dict(model.law_.network.named_buffers())) & set(model.law_.network.state_dict())
    real = [n for n in sorted(names) if model.law_.network.get_buffer(n).is_floating_point()]
    assert real
    for name in real:
        ending = rf"law\.network\.(state\.)?{re.escape(name)}$"
        told = changed(model, tmp_path, lambda _, t, at=ending: put(t, at, np.nan))
        assert "network" in told or "numbers" in told


@pytest.mark.parametrize("period", [10**5, 10**9, 2**62])
def test_the_period_of_nothing_seasonal(tmp_path, period):
    def change(tree, _):
        tree["law"]["fields"]["period"] = period

    assert "steps back" in changed(arproc.ARIMA((1, 0, 0)).fit(series()), tmp_path, change)


@pytest.mark.parametrize("lengths", [[20, 21], [2**62, 2**62]])
def test_series_of_a_panel_of_other_lengths(tmp_path, lengths):
    x = np.stack([series(20), series(20)[::-1]])
    model = arproc.Panel(arproc.SETAR((1, 1))).fit(x)
    told = changed(model, tmp_path, lambda _, t: put(t, "lengths$", torch.tensor(lengths)))
    assert "by their lengths" in told


def test_a_series_that_has_a_fit_and_no_likelihood(tmp_path):
    x = np.stack([series(40), series(40)[::-1]])
    model = arproc.Panel(arproc.AR(1, method="ols", initial="given")).fit(x)
    told = changed(model, tmp_path, lambda _, t: put(t, "log_likelihood$", np.nan, 0))
    assert "log-likelihood" in told


def put_everywhere(tree, name, value):
    """Set every parameter of this name in a description."""
    for key, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if key == name:
            tree[key] = value
        elif isinstance(part, (dict, list)):
            put_everywhere(part, name, value)


@pytest.mark.parametrize("order", [[10**9], [2**64], [500], 10**9, 2**64])
def test_a_panel_whose_lags_reach_beyond_what_it_holds(tmp_path, order):
    x = np.stack([series(600), series(600)[::-1]])
    model = arproc.Panel(arproc.AR(1, method="ols", initial="given")).fit(x)
    told = changed(model, tmp_path, lambda tree, _: put_everywhere(tree, "order", order))
    assert "steps back" in told or "must be at most" in told


@pytest.mark.parametrize("place", ["seasonal", "fourier"])
@pytest.mark.parametrize("size", [10**9, 2**64])
def test_absurd_seasons(tmp_path, place, size):
    model = arproc.AR(1, **{place: 4 if place == "seasonal" else {6: 2}}).fit(series())

    def change(tree, _):
        fields = tree["law"]["fields"]["design"]["fields"]
        if place == "seasonal":
            fields["seasonal"] = size
        else:
            fields["fourier"]["items"][0]["items"] = [float(2 * size), size]
        tree["law"]["fields"]["mean"] = NAN

    changed(model, tmp_path, change)


@pytest.mark.parametrize("size", [10**5, 10**9, 2**62])
def test_absurd_networks(tmp_path, size):
    model = arproc.Transformer(
        tokens="char", layers=1, heads=2, width=8, block=8, training=arproc.Training(steps=1)
    ).fit(["abab", "ba"])
    model.save(tmp_path / "sound.arproc")
    header, _ = read_file(tmp_path / "sound.arproc")
    arguments = header["model"]["law"]["fields"]["network"]["arguments"]
    sizes = [name for name, value in arguments.items() if type(value) is int]
    sizes = [name for name in sizes if size > 2**20 or name not in ("block", "window")]
    assert {"layers", "width"} <= set(sizes)
    for name in sizes:

        def change(tree, _, name=name):
            tree["law"]["fields"]["network"]["arguments"][name] = size

        changed(model, tmp_path, change)


# ---- what a fit notes ---------------------------------------------------------------------------


def noted(model, tmp_path, **notes):
    """What loading says of a model whose fit notes other things."""

    def change(tree, tensors):
        items = tree["fit"]["fields"]["notes"]["items"]
        for item in items:
            if item[0] in notes:
                value = notes[item[0]]
                if callable(value):
                    tensors[item[1]["at"]] = value(tensors[item[1]["at"]]).contiguous()
                else:
                    item[1] = value

    return changed(model, tmp_path, change)


@pytest.mark.parametrize(
    ("note", "value", "told"),
    [
        ("method", "int8", "AR's method of the fit is a str; expected .*yule-walker"),
        ("method", {"!": "path", "value": "/dev/full"}, "AR's method of the fit is a PosixPath"),
        ("ridge", [1], "AR's ridge of the fit is a list; expected float"),
        ("n_effective", "stationary", "AR's n_effective of the fit is a str; expected float"),
        ("n_effective", -1.0, "is -1; expected numbers at least 0"),
        ("lags", lambda x: x[None], r"AR's lags of the fit has shape \[1, 2\]; expected \[m\]"),
        ("lags", lambda x: x - 5, "expected numbers at least 1"),
    ],
)
def test_notes_are_what_the_model_declares(tmp_path, note, value, told):
    assert re.search(told, noted(arproc.AR(2).fit(series()), tmp_path, **{note: value}))


def test_every_note_of_every_kind_of_fit_is_declared():
    from variants.makers import TEXT

    x = series(120)
    models = [
        arproc.AR(1).fit(x), arproc.ARIMA((1, 0, 0)).fit(x), arproc.BayesianAR(1).fit(x),
        arproc.VAR(1, method="ols", initial="given").fit(np.stack([x, x[::-1]], 1)),
        arproc.LogisticAR(1, symbols="char", ridge=1.0).fit("abba" * 9),
        arproc.SETAR((1, 1)).fit(x),
        arproc.PPM(2).fit("abab"), arproc.ContextTree(1).fit("abab"),
        arproc.NGram(2, "witten_bell").fit(TEXT),
    ]  # fmt: skip
    for model in models:
        assert model.fit_.notes or isinstance(model, arproc.BayesianAR)
        for note in model.fit_.notes:
            names = (f"{note}_", f"_{note}_")
            assert any(annotation_of(type(model), name) for name in names), (model, note)


def test_counts_of_regimes_are_of_the_laws_regimes(tmp_path):
    told = noted(arproc.SETAR((1, 1)).fit(series(120)), tmp_path, counts=lambda x: x[:1])
    assert "has shape [1]; expected [law.n_regimes] with law.n_regimes = 2" in told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("names", ["ar.L1"], "there are estimates of 3 parameters, and 1 names"),
        ("estimates", None, ""),
        ("n_observations", -500, "Fit.n_observations is -500; expected numbers at least 0"),
        ("n_observations", 2**64, "whole number beyond 64 bits"),
    ],
)
def test_the_table_of_estimates_fits_itself(tmp_path, name, value, told):
    def change(tree, tensors):
        if name == "estimates":
            put(tensors, r"fit\.estimates$", np.nan)
        else:
            tree["fit"]["fields"][name] = value

    assert (told or "Fit.estimates has nan") in changed(
        arproc.AR(1).fit(series()), tmp_path, change
    )


def test_a_fit_put_together_by_hand_is_looked_at_too():
    with pytest.raises(ParameterError, match="estimates of 2 parameters, and 1 names"):
        Fit(names=["rate"], estimates=np.zeros(2))
    law, fit = arproc.AR.from_parameters([0.5]).law_, Fit(notes={"method": "guess"})
    with pytest.raises(ParameterError, match="AR's method of the fit is a str; expected"):
        arproc.AR.of(law, fit, order=1)


def test_what_was_not_estimated_is_one_of_our_errors_and_hasattr_works():
    model = arproc.AR.from_parameters([0.5])
    assert not hasattr(model, "n_effective_")
    with pytest.raises(NotEstimatedError, match="this AR has no n_effective_"):
        _ = model.n_effective_
    with pytest.raises(ReadOnlyError, match="coef_ was learnt and is read-only"):
        model.coef_ = 3
    with pytest.raises(AttributeError):
        _ = model.feature_names_in_


# ---- numbers that compiled code and tensors do not hold -----------------------------------------


@pytest.mark.parametrize("number", [2**64, 10**30, -(2**70)])
@pytest.mark.parametrize("name", ["mean", "slope", "d"])
def test_whole_numbers_beyond_64_bits(tmp_path, number, name):
    def change(tree, _):
        tree["law"]["fields"][name] = number

    told = changed(arproc.ARIMA((1, 0, 0)).fit(series()), tmp_path, change)
    assert f"ARIMALaw.{name} is a whole number beyond 64 bits" in told


def test_an_array_where_one_number_is_meant(tmp_path):
    def change(tree, _):
        tree["law"]["fields"]["slope"] = {"!": "tensor", "at": "model.fit.covariance"}

    told = changed(arproc.AR(1).fit(series()), tmp_path, change)
    assert "ARLaw.slope has shape [3, 3]; expected one number" in told


def test_scales_whose_squares_are_no_numbers(tmp_path):
    def change(tree, _):
        tree["law"]["fields"]["sigma2"] = 1e-300

    told = changed(arproc.ARIMA((1, 0, 0)).fit(series()), tmp_path, change)
    assert "sigma2 is 1e-300; expected numbers above 0" in told


@pytest.mark.parametrize("place", ["model.law.", "model."])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: x[:1], "shape"),
        (lambda x: x * 1e-300, "diagonal has numbers from|diagonal is"),
        (lambda x: x * np.nan, "law of the first values"),
    ],
)
def test_normal_laws_of_the_first_values(tmp_path, place, change, told):
    start = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    model = arproc.AR(2, initial=start).fit(series())

    def put_in(_, tensors):
        name = f"{place}initial.scale_tril"
        tensors[name] = change(tensors[name]).contiguous()

    assert re.search(f"{told}|is not in order", changed(model, tmp_path, put_in))


def test_an_arma_without_a_stationary_law(tmp_path):
    told = changed(
        arproc.ARIMA((1, 0, 0)).fit(series()), tmp_path, lambda _, t: put(t, r"law\.ar$", 1.5)
    )
    assert "ARIMALaw: ar has no stationary law" in told


@pytest.mark.parametrize(
    ("name", "value"), [("window", 1.5), ("layers", "two"), ("dropout", [0.0]), ("heads", None)]
)
def test_arguments_of_networks_are_of_their_types(tmp_path, name, value):
    model = arproc.Transformer(
        tokens="char", layers=1, heads=2, width=8, block=8, training=arproc.Training(steps=1)
    ).fit(["abab", "ba"])

    def change(tree, _):
        tree["law"]["fields"]["network"]["arguments"][name] = value

    assert f"{name} of Decoder is a" in changed(model, tmp_path, change)


# ---- what only a use can tell -------------------------------------------------------------------


def test_a_conditional_without_numbers_is_refused_in_words():
    law = replace(arproc.AR.from_parameters([0.5], initial="given").law_, coef=np.array([1e99]))
    model = arproc.Process.of(law)
    assert model.conditional([1.0]).mean == 1e99
    with pytest.raises(DataError, match="a loc that is no usable number"):
        model.conditional([-1e250])


def test_elements_off_the_space_of_a_state_are_blamed():
    x = np.random.default_rng(0).integers(0, 3, size=(20, 3))
    model = arproc.MADE((4,), levels=3, training=arproc.Training(steps=1)).fit(x)
    with pytest.raises(DataError, match="x is not of the law's space: it has"):
        model.start(2).extend(torch.full((2, 2), 9))[0].log_prob(torch.zeros(2, 3))
