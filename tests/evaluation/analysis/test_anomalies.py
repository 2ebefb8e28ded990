"""Anomalies: p-values by closed forms, and false alarms at the stated rate."""

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation.toys import Chain, CorrelatedPairs, GaussianAR, PoissonAR, Ready
from scipy import stats
from torch import distributions as td

import arproc
from arproc.errors import DataError, ParameterError
from arproc.evaluation import anomalies
from arproc.evaluation.analysis.surprise import surprise
from arproc.evaluation.terms import read_terms
from arproc.spaces import Positive

PAIR = Chain([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])


class Skew(Ready):
    """Independent gamma numbers, whose tails have no closed form in surprisal."""

    window_length = 0

    def __init__(self):
        self.space_ = Positive()

    def window(self, ctx, position):
        two = torch.full(position.shape, 2.0, dtype=torch.float64)
        return td.Gamma(two, two, validate_args=False)


def test_places_of_normal_numbers():
    table = anomalies(GaussianAR(0.5), [0.5, 3.0, 1.0], rate=0.01)
    z = np.array([0.5 * 0.75**0.5, 2.75, -0.5])
    assert table["p_value"].tolist() == pytest.approx((2 * stats.norm.sf(np.abs(z))).tolist())
    assert table["alarm"].tolist() == [False, True, False]
    own = -GaussianAR(0.5).log_prob_terms([0.5, 3.0, 1.0])
    assert table["surprisal"].tolist() == pytest.approx(own.tolist())
    assert table.attrs == {"rate": 0.01, "control": "each", "n_alarms": 1,
                           "calibrated": "by the model"}  # fmt: skip


def test_places_of_symbols_vectors_and_students():
    table = anomalies(PAIR, [0, 2, 2, 1])
    assert table["p_value"].tolist() == pytest.approx([1.0, 0.1, 1.0, 0.6])  # ties count
    pairs = CorrelatedPairs()
    x = pairs.sample(1, 5, seed=0)[0]
    deviation = x - np.array([1.0, -1.0])
    squares = np.einsum("ti,ij,tj->t", deviation, np.linalg.inv([[2, 0.9], [0.9, 1]]), deviation)
    assert anomalies(pairs, x)["p_value"].tolist() == pytest.approx(np.exp(-squares / 2).tolist())


def test_places_by_draws_are_those_of_the_law():
    """A gamma law: the set that is less probable than x has two ends; here by root finding."""
    from scipy.optimize import brentq

    law, x = stats.gamma(2.0, scale=0.5), 1.6
    other = brentq(lambda z: law.pdf(z) - law.pdf(x), 1e-9, 0.5)
    want = law.cdf(other) + law.sf(x)
    found = anomalies(Skew(), [x] * 40, draws=400)["p_value"]
    assert found.mean() == pytest.approx(want, abs=4 * np.sqrt(want / 16_000))
    counts = anomalies(PoissonAR(2.0, 0.0), [5] * 40, draws=400)["p_value"]
    law = stats.poisson(2.0)
    assert counts.mean() == pytest.approx(law.sf(4), abs=4 * np.sqrt(law.sf(4) / 16_000))


@pytest.mark.parametrize("model", [GaussianAR(0.8), PAIR, CorrelatedPairs(), Skew()])
def test_false_alarms_come_at_the_stated_rate(model):
    """Of 4,000 sound elements 5% raise an alarm; of discrete ones no more; deviation 0.34%."""
    x = model.sample(100, 40, seed=3)
    table = anomalies(model, x, rate=0.05, draws=99)
    share = table["alarm"].mean()
    assert share <= 0.05 + 4 * 0.0035
    if model is not PAIR:
        assert share >= 0.05 - 4 * 0.0035
    uniform = surprise(read_terms(model, x, None, None, "test"), 99, 0).uniform(1)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4


def test_no_alarm_at_all_and_the_share_of_false_ones():
    """Holm and Benjamini-Hochberg, in 60 series of 50: 6 alarms on average, deviation 2.3."""
    x = GaussianAR(0.5).sample(60, 50, seed=4)
    any_, falls = 0, []
    for row in x:
        any_ += anomalies(GaussianAR(0.5), row, rate=0.1, control="any")["alarm"].any()
        spoilt = row.copy()
        spoilt[[10, 20, 30]] += 8.0
        alarm = anomalies(GaussianAR(0.5), spoilt, rate=0.1, control="share")["alarm"].to_numpy()
        true = np.isin(np.arange(50), [10, 11, 20, 21, 30, 31])
        assert alarm[[10, 20, 30]].all()
        falls.append((alarm & ~true).sum() / max(alarm.sum(), 1))
    assert 0 < any_ <= 14
    # 44 of 50 elements are sound
    assert np.mean(falls) <= 0.1 * 44 / 50 + 3 * np.std(falls) / 60**0.5


def test_sound_data_calibrate_a_wrong_model():
    """A model whose scale is half the true one raises 10 times as many alarms, by itself."""
    rng = np.random.default_rng(5)
    x, sound = rng.normal(size=(2, 3000)) * 2
    wrong = GaussianAR(0.0)
    assert anomalies(wrong, x, rate=0.02)["alarm"].mean() > 0.15
    table = anomalies(wrong, x, rate=0.02, normal=sound)
    assert table["alarm"].mean() == pytest.approx(0.02, abs=4 * np.sqrt(2 * 0.02 * 0.98 / 3000))
    assert table.attrs["calibrated"] == "by the normal data"
    with pytest.raises(DataError, match=r"normal has 30 elements.*expected at least 49"):
        anomalies(wrong, x, rate=0.02, normal=sound[:30])


def test_dates_gaps_and_names():
    index = pd.date_range("2020", periods=4)
    frame = pd.DataFrame({"a": [0.1, np.nan, 9.0, 8.1], "b": [0.0] * 4}, index)
    table = anomalies(arproc.AR.from_parameters([0.9]), frame)
    assert table["series"].tolist() == ["a"] * 4 + ["b"] * 4
    assert table["time"].tolist() == [*index, *index]
    assert table["alarm"].tolist() == [False, False, True] + [False] * 5
    assert np.isnan(table["p_value"]).tolist() == [False, True] + [False] * 6


def test_what_is_wrong_is_told():
    with pytest.raises(ParameterError, match="rate must be a number above 0 and below 1"):
        anomalies(GaussianAR(), [1.0], rate=0)
    with pytest.raises(ParameterError, match="control must be one of 'each', 'any', 'share'"):
        anomalies(GaussianAR(), [1.0], control="all")
    with pytest.raises(ParameterError, match="draws must be at least 19"):
        anomalies(GaussianAR(), [1.0], draws=3)
