"""Files whose numbers are none, or absurd: refused in words, quickly, before anything is made."""

from __future__ import annotations

import math
import re
import time

import numpy as np
import pytest
import torch

import arproc
from arproc.contract.model_file import read_file, write_file
from arproc.errors import FileFormatError
from arproc.models.autoregression.law import ARLaw


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
