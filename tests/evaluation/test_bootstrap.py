"""Bootstrap intervals: against closed forms, and as often right as they say."""

import numpy as np
import pytest
from evaluation.toys import GaussianAR
from scipy import stats

from arproc import compare
from arproc.errors import ParameterError
from arproc.evaluation.bootstrap import Resampling, block_length, blocks
from arproc.evaluation.standard_errors import of_ratio, of_series


def test_of_many_normal_numbers_it_is_the_t_interval():
    x = np.random.default_rng(0).normal(size=300)
    found = Resampling(4000, seed=1).of_ratio(x, np.ones(300))
    reach = stats.t.ppf(0.975, 299) * stats.sem(x)
    assert found.se == pytest.approx(stats.sem(x), rel=0.05)
    assert found.below == pytest.approx(reach, rel=0.08)
    assert found.above == pytest.approx(reach, rel=0.08)


def test_ratios_are_of_whole_units():
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 30, 200).astype(float)
    totals = 0.7 * sizes + rng.normal(size=200) * np.sqrt(sizes)
    found = Resampling(2000, seed=0).of_ratio(totals, sizes)
    assert found.se == pytest.approx(of_ratio(totals, sizes).se, rel=0.08)


def test_skew_differences_have_skew_intervals():
    """A hundred sets of 40 numbers, skew by 6: the t interval covers 83%, this one more."""
    rng, hits = np.random.default_rng(2), np.zeros(2)
    for _ in range(100):
        x = rng.exponential(size=40) ** 2
        found, error = Resampling(400, seed=0).of_ratio(x, np.ones(40)), of_ratio(x, np.ones(40))
        mean = x.mean()
        hits += [
            mean - found.below <= 2 <= mean + found.above,
            abs(mean - 2) <= stats.t.ppf(0.975, 39) * error.se,
        ]
        assert found.above > found.below
    assert hits[0] > hits[1]
    assert hits[0] >= 84


def test_blocks_span_the_dependence():
    rng = np.random.default_rng(3)
    e = rng.normal(size=4000)
    slow = np.zeros(4000)
    for t in range(1, 4000):
        slow[t] = 0.9 * slow[t - 1] + e[t]
    assert block_length(e) == 16  # 4000^(1/3), rounded up
    assert 30 < block_length(slow) <= 400
    sums, sizes = blocks(slow)
    assert sums.sum() == pytest.approx(slow.sum())
    assert sizes.sum() == 4000
    assert sizes.min() >= block_length(slow) // 2
    found = Resampling(500, seed=0).of_series(slow)
    assert found.se == pytest.approx(of_series(slow).se, rel=0.35)
    assert found.se > 3 * slow.std() / np.sqrt(4000)


def test_nothing_to_draw_from():
    draw = Resampling(100, seed=0).of_ratio
    assert all(np.isnan(draw(np.ones(1), np.ones(1))))
    assert all(np.isnan(draw(np.array([1.0, np.inf]), np.ones(2))))
    assert draw(np.ones(5), np.ones(5)) == (0, 0, 0)
    two = draw(np.array([0.0, 1.0]), np.ones(2))  # half of all samples are of one unit alone
    assert np.isfinite(two).all()


def test_compare_by_the_bootstrap():
    x = GaussianAR(0.6).sample(25, 8, seed=1)
    models = {"white": GaussianAR(0.0), "true": GaussianAR(0.6)}
    by_t, by_draws = (compare(models, x, errors=e) for e in ("t", "bootstrap"))
    unit = "nats_per_element"
    for name in (unit, f"difference_{unit}", "log_prob_nats"):
        assert by_t[name].tolist() == by_draws[name].tolist()
    se = [t.loc["white", f"se_{unit}"] for t in (by_t, by_draws)]
    assert se[0] == pytest.approx(se[1], rel=0.15)
    low, high = by_draws.loc["white", [f"low95_{unit}", f"high95_{unit}"]]
    assert 0 < low < by_t.loc["white", f"difference_{unit}"] < high
    assert by_draws.loc["white", "verdict"] == "worse"
    assert (by_t.attrs["intervals"], by_draws.attrs["intervals"]) == ("t", "bootstrap")
    again = compare(models, x, errors="bootstrap")
    assert again.equals(by_draws)
    assert not compare(models, x, errors="bootstrap", seed=1).equals(by_draws)


def test_one_series_is_drawn_in_blocks():
    x = GaussianAR(0.6).sample(1, 400, seed=2)[0]
    models = {"true": GaussianAR(0.6), "white": GaussianAR(0.0), "same": GaussianAR(0.6)}
    table = compare(models, x, reference="true", errors="bootstrap")
    assert table["verdict"].to_dict() == {
        "true": "reference",
        "same": "no clear difference",
        "white": "worse",
    }


def test_twins_have_the_same_errors():
    x = GaussianAR(0.6).sample(30, 6, seed=3)
    models = {"true": GaussianAR(0.6), "white": GaussianAR(0.0)}
    table = compare(models, x, train=x[:20], errors="bootstrap", reference="true")
    alone = compare(models, x[20:], errors="bootstrap", reference="true", by="sequence")
    assert table["verdict_without_twins"].tolist() == alone["verdict"].tolist()


def test_what_is_wrong_is_told():
    models, x = {"a": GaussianAR(), "b": GaussianAR(0.1)}, [1.0, 2.0]
    with pytest.raises(ParameterError, match="errors must be one of 't', 'bootstrap'"):
        compare(models, x, errors="jackknife")
    with pytest.raises(ParameterError, match="n_bootstrap must be at least 100"):
        compare(models, x, errors="bootstrap", n_bootstrap=10)
