"""Change points: found where they are, and as rarely as stated where there are none."""

import numpy as np
import pandas as pd
import pytest
from evaluation.toys import Chain, GaussianAR, PoissonAR

from arproc.errors import ParameterError, UnsupportedError
from arproc.evaluation import change_points

CALM = Chain([[0.9, 0.1], [0.1, 0.9]])


@pytest.mark.parametrize("model", [GaussianAR(0.7), CALM, PoissonAR(1.0, 0.5)])
def test_sequences_without_a_change_are_cut_at_the_stated_rate(model):
    """200 sequences of 60: 10% are cut, deviation 2.1%."""
    x = model.sample(200, 60, seed=1)
    found = change_points(model, x, rate=0.1, n_permutations=99, draws=49)
    share = found.table["series"].nunique() / 200
    assert 0.1 - 0.085 <= share <= 0.1 + 0.085
    assert found.independence_p_value > 1e-3


def test_changes_are_found_where_they_are():
    rng = np.random.default_rng(2)
    scale = np.repeat([1.0, 3.0, 1.0], 100)
    index = pd.date_range("2020", periods=300)
    found = change_points(GaussianAR(0.0), pd.Series(scale * rng.normal(size=300), index))
    steps = found.table["step"].to_numpy()
    assert len(steps) == 2
    assert (np.abs(steps - [100, 200]) <= 8).all()
    assert found.table["time"].tolist() == index[steps].tolist()
    rows = found.table
    assert rows["before"][0] < rows["after"][0]
    assert rows["before"][1] == pytest.approx(rows["after"][0])
    scores = found.scores
    assert scores["segment"].tolist() == np.searchsorted(steps, np.arange(300), "right").tolist()
    assert rows["after"][1] == pytest.approx(scores["value"][scores["segment"] == 2].mean())


def test_another_matrix_of_a_chain():
    after = Chain([[0.4, 0.6], [0.6, 0.4]]).sample(1, 150, seed=1)[0]
    x = np.concatenate([CALM.sample(1, 150, seed=0)[0], after])
    found = change_points(CALM, x, rate=0.01)
    assert len(found.table) == 1
    assert abs(found.table["step"][0] - 150) <= 15


def test_levels_by_their_pit_values():
    """A shift by a deviation; surprisal would not tell up from down."""
    x = np.random.default_rng(3).normal(size=400) + np.repeat([0.0, -1.0], 200)
    by_level = change_points(GaussianAR(0.0), x, of="pit")
    assert len(by_level.table) == 1
    assert abs(by_level.table["step"][0] - 200) <= 12
    assert by_level.table["before"][0] > by_level.table["after"][0]
    assert by_level.of == "pit"
    with pytest.raises(UnsupportedError, match=r'of="surprisal" is for any'):
        change_points(CALM, [0, 1], of="pit")


def test_a_model_that_does_not_fit_is_told():
    x = GaussianAR(0.9).sample(1, 400, seed=4)[0]
    with pytest.warns(UserWarning, match="scores depend on each other within segments"):
        found = change_points(GaussianAR(0.0, 2.3), x)
    assert found.independence_p_value < 1e-3


def test_gaps_are_left_out():
    import arproc

    x = np.random.default_rng(5).normal(size=200) * np.repeat([1.0, 4.0], 100)
    x[[3, 50, 99, 100, 150]] = np.nan
    found = change_points(arproc.AR.from_parameters([]), x)
    assert len(found.table) == 1
    assert found.scores["value"].isna().sum() == 5
    assert abs(found.table["step"][0] - 100) <= 8


def test_what_is_too_short_or_wrong():
    assert len(change_points(GaussianAR(), [0.0, 9.0, 9.0]).table) == 0
    with pytest.raises(ParameterError, match="rate must be a number above 0"):
        change_points(GaussianAR(), [0.0], rate=1.0)
    with pytest.raises(ParameterError, match="of must be one of 'surprisal', 'pit'"):
        change_points(GaussianAR(), [0.0], of="mean")


@pytest.mark.parametrize("of", ["surprisal", "pit"])
@pytest.mark.parametrize("x", [np.full(80, 3.0), 1e3 * (2 + np.sin(np.arange(80.0)))])
def test_equal_scores_are_no_change(of, x):
    """Constants, and numbers of another unit, whose chances are all too small to tell apart."""
    model = GaussianAR(0.0)
    if x[0] > 100:
        with pytest.warns(UserWarning, match="80 of 80 elements .* another unit"):
            found = change_points(model, x, of=of)
    else:
        found = change_points(model, x, of=of)
    assert len(found.table) == 0
