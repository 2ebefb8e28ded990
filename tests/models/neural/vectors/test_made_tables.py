"""MADE of tables: one exact law of rows of mixed columns, against closed forms and integrals."""

import itertools
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import shake
from models.neural.vectors.people import KINDS, QUICK, model_of, people
from scipy import stats

import arproc
from arproc import MADE, Training
from arproc.distributions import Categorical, MaybeMissing, quantile, varied
from arproc.testing import CheckFailed, check_process

# ---- one proper law -----------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(), (7,), (9, 9)])
def test_probabilities_of_all_rows_sum_to_one(hidden):
    frame = people()[["city", "visits", "smokes"]]
    model = model_of(frame, hidden, ordering=["visits", "smokes", "city"])
    most = int(quantile(model.conditional(), torch.tensor(1 - 1e-8).double())) + 1
    every = pd.DataFrame(
        itertools.product(["Oslo", "Rome", "Kyiv", None], range(most), [False, True]),
        columns=["city", "visits", "smokes"],
    )
    assert len(every) > 20
    assert np.exp(model.log_prob(every)).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("head", ["normal_mixture", "student_t", "logistic_mixture"])
def test_the_density_of_rows_integrates_to_one(head):
    frame = people()[["smokes", "height", "city"]]
    model = model_of(frame, (8,), head=head, columns={"city": "auto"}, min_scale=2.0)
    grid = np.concatenate([-np.sinh(np.linspace(12, 0, 1500)), np.sinh(np.linspace(0, 12, 1501))])
    height = 170 + np.unique(grid)
    total = 0.0
    for smokes, city in itertools.product([False, True], ["Oslo", "Rome", "Kyiv", None]):
        rows = pd.DataFrame({"smokes": smokes, "height": [*height, None], "city": city})
        p = np.exp(model.log_prob(rows.astype({"city": object})).to_numpy())
        total += np.trapezoid(p[:-1], height) + p[-1]
    assert total == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("head", ["normal", "student_t"])
def test_samples_come_as_the_law_says(head):
    model = model_of(people(), head=head)
    drawn = model.sample(4000, seed=0)
    every = model.conditionals(drawn)
    for j, name in enumerate(drawn.columns):
        law = arproc.distributions.index(every, (slice(None), j))
        gone = law.missing.numpy()
        assert drawn[name].isna().mean() == pytest.approx(gone.mean(), abs=0.02)
    u = arproc.evaluation.pit(model, drawn, seed=1)
    for name in u:
        assert stats.kstest(u[name], "uniform").pvalue > 1e-6


def test_a_wide_table_keeps_the_contract():
    wide = pd.concat([people(seed=k).add_prefix(f"{k} ") for k in range(7)], axis=1)
    report = check_process(model_of(wide, columns={"0 visits": "count"}))
    assert not report.failed


# ---- closed forms -------------------------------------------------------------------------


def test_without_weights_columns_are_independent_with_the_datas_frequencies():
    frame = people(300)
    model = MADE((5,), head="normal", columns=KINDS, components=1, training=QUICK).fit(frame)
    with torch.no_grad():
        for p in model.network_.parameters():
            p.zero_()
    terms = model.log_prob_terms(frame)
    n = len(frame)
    there = frame.height.dropna()
    scale = there.std(ddof=0) * (np.log(2) + 1e-4)  # softplus(0) of the data's size
    missing = (frame.height.isna().sum() + 0.5) / (n + 1)
    want = np.log1p(-missing) + stats.norm(there.mean(), scale).logpdf(frame.height)
    np.testing.assert_allclose(terms.height, np.where(frame.height.isna(), np.log(missing), want))
    city = frame.city.value_counts()
    missing = (frame.city.isna().sum() + 0.5) / (n + 1)
    share = (city + 0.5) / (city.sum() + 1.5) * (1 - missing)
    np.testing.assert_allclose(np.exp(terms.city), frame.city.map(share).fillna(missing))
    place, size = frame.visits.mean(), frame.visits.std(ddof=0)
    law = stats.logistic(place, size)
    below = np.where(frame.visits > 0, law.cdf(frame.visits - 0.5), 0.0)
    np.testing.assert_allclose(np.exp(terms.visits), law.cdf(frame.visits + 0.5) - below)


def test_a_table_of_reals_is_the_vector_model_of_the_same_numbers():
    x = np.random.default_rng(3).normal(size=(200, 3)) * [1, 20, 0.1] + [0, 5, 1]
    settings = {"components": 3, "training": Training(steps=60, batch_size=64, lr=0.01)}
    vector = MADE((8,), head="normal_mixture", ordering=(2, 0, 1), **settings).fit(x)
    table = MADE((8,), ordering=(2, 0, 1), **settings).fit(pd.DataFrame(x, columns=[*"abc"]))
    assert table.space.measure == "density"
    frame = pd.DataFrame(x, columns=[*"abc"])
    np.testing.assert_allclose(table.log_prob(frame), vector.log_prob(x), rtol=1e-4, atol=1e-3)
    result = arproc.compare({"table": table, "vector": vector}, frame)
    assert abs(np.diff(result.nats_per_element)[0]) < 1e-3


def test_a_table_of_categories_is_the_categorical_model_of_the_same_numbers():
    levels = (3, 4, 2)
    x = np.random.default_rng(3).integers(0, levels, (100, 3))
    vector = MADE((8,), levels=levels, training=QUICK).fit(x)
    table = MADE((8,), columns=["categorical"] * 3, training=QUICK).fit(x)
    shake(vector)
    kept = [torch.arange(4 * j, 4 * j + k) for j, k in enumerate(levels)]
    kept = torch.cat(kept)  # the vector model pads every site to the most levels
    ours, theirs = table.network_, vector.network_
    with torch.no_grad():
        ours.layers[0].weight.copy_(theirs.layers[0].weight[:, kept])
        ours.layers[0].bias.copy_(theirs.layers[0].bias)
        ours.head.weight.copy_(theirs.head.weight[kept])
        ours.head.bias.copy_(theirs.head.bias[kept])
        ours.values.offset.zero_()
    np.testing.assert_allclose(table.log_prob(x), vector.log_prob(x), atol=1e-5)
    assert isinstance(table.conditional(), Categorical)  # so policies over symbols serve


def test_training_on_independent_columns_finds_their_laws():
    frame = people(2000)
    training = Training(steps=300, batch_size=256, lr=0.02)
    model = MADE((), head="normal", columns=KINDS, components=3, training=training).fit(frame)
    fresh = people(3000, seed=1)
    heights = stats.norm(170, 10).entropy() * 0.8
    gap = stats.bernoulli(0.2).entropy()
    entropy = heights + gap + stats.poisson(3).entropy() + (np.log(3) * 0.8 + gap)
    entropy += stats.bernoulli(0.3).entropy() + np.log(2)
    assert -model.log_prob(fresh).mean() == pytest.approx(entropy, abs=0.06)


def test_columns_that_depend_are_told_better_together():
    from statsmodels.datasets import anes96

    table = anes96.load_pandas().data.sample(frac=1, random_state=0)
    training = Training(steps=250, batch_size=128, lr=0.01)
    apart, together = (
        MADE((32,), components=3, min_scale=0.05, training=training).fit(part[:700])
        for part in (table.apply(shuffled), table)
    )
    rest = table[700:]
    assert (together.log_prob(rest) - apart.log_prob(rest)).mean() > 0.5


def shuffled(column: pd.Series) -> pd.Series:
    """A column's values in an order of its own, which takes it apart from the others."""
    seed = zlib.crc32(str(column.name).encode())
    return column.sample(frac=1, random_state=seed).set_axis(column.index)


def test_what_is_missing_may_depend_on_other_columns():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"old": rng.random(2000) < 0.5, "income": rng.normal(30, 5, 2000)})
    frame.loc[frame.old & (rng.random(2000) < 0.6), "income"] = np.nan
    training = Training(steps=300, batch_size=128, lr=0.02)
    model = MADE((8,), components=2, training=training).fit(frame)
    for old, share in ((True, 0.6), (False, 0.0)):
        law = model.conditional(pd.DataFrame({"old": [old]}))
        assert isinstance(law, MaybeMissing)
        assert float(law.missing[0]) == pytest.approx(share, abs=0.06)


# ---- the suite finds mistakes -------------------------------------------------------------


def test_values_that_keep_the_mass_of_missing_are_found(monkeypatch):
    def log_prob(self, value):
        gone = torch.isnan(value)
        inside = self.base.log_prob(value.masked_fill(gone, 0.0))
        return torch.where(gone, torch.nn.functional.logsigmoid(self.logit), inside)

    monkeypatch.setattr(MaybeMissing, "log_prob", log_prob)
    with pytest.raises(CheckFailed, match="normalisation"):
        check_process(model_of(people()))


def test_a_density_without_its_jacobian_is_found(monkeypatch):
    right = varied._log_prob_inside

    def log_prob(part, x):
        discrete = part.support.is_discrete
        return right(part, x) + (0.0 if discrete else np.log(10))  # the data's size

    monkeypatch.setattr(varied, "_log_prob_inside", log_prob)
    with pytest.raises(CheckFailed, match="normalisation"):
        check_process(model_of(people()))
