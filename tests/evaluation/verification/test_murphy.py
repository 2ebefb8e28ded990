"""Murphy diagrams: by the definition, and by the scores that areas are."""

import numpy as np
import pytest

from arproc.errors import DataError, ParameterError
from arproc.evaluation import brier_score, murphy, pinball_loss

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=60), RNG.normal(size=60)


def elementary(x, y, theta, functional, level):
    """Equations 3 and 6 of Ehm et al., one pair at a time."""
    weight = (1 - level) if y <= theta < x else level if x <= theta < y else 0.0
    return weight * (1.0 if functional == "quantile" else abs(y - theta))


@pytest.mark.parametrize(
    ("functional", "level"), [("mean", 0.5), ("quantile", 0.2), ("expectile", 0.9)]
)
def test_curves_by_their_definition(functional, level):
    options = {} if functional == "mean" else {"level": level}
    curves = murphy({"x": X}, Y, functional=functional, points=41, **options)
    for theta, value in curves["x"].items():
        want = np.mean(
            [elementary(x, y, theta, functional, level) for x, y in zip(X, Y, strict=True)]
        )
        assert value == pytest.approx(want, abs=1e-12)
    assert curves.attrs == {"functional": functional, "level": level, "n": 60}


def test_areas_are_scores():
    for options, want in (
        ({}, np.mean((X - Y) ** 2) / 4),
        ({"functional": "quantile", "level": 0.3}, np.mean(pinball_loss(X, Y, 0.3))),
    ):
        curve = murphy({"x": X}, Y, points=20001, **options)["x"]
        assert np.trapezoid(curve, curve.index) == pytest.approx(want, rel=1e-3)
    p, came = RNG.random(60), RNG.random(60) < 0.5
    curve = murphy({"p": p}, came, points=20001)["p"]
    want = np.mean(brier_score(p, came)) / 4
    assert np.trapezoid(curve, curve.index) == pytest.approx(want, rel=1e-3)


def test_more_knowledge_is_below_everywhere():
    """The mean given more dominates that given less, on average; and its own noise is above."""
    rng = np.random.default_rng(1)
    a, b, e = rng.normal(size=(3, 20_000))
    curves = murphy({"both": a + b, "one": a, "noisy": a + b + 0.7 * e}, a + b + e * 0 +
                    rng.normal(size=20_000), points=31)  # fmt: skip
    inner = curves.iloc[8:-8]
    assert (inner["both"] < inner["one"]).all()
    assert (inner["both"] < inner["noisy"]).all()


def test_what_did_not_come_is_left_out():
    gone = np.where(np.arange(60) < 5, np.nan, Y)
    kept = murphy({"x": X[5:]}, Y[5:])
    found = murphy({"x": X}, gone)
    np.testing.assert_allclose(found.to_numpy(), kept.to_numpy())


def test_what_is_wrong_is_told():
    with pytest.raises(ParameterError, match="dict of point forecasts by name; got a list"):
        murphy([1.0], [1.0])
    with pytest.raises(DataError, match=r"'a' has shape \(1,\) and actual \(2,\)"):
        murphy({"a": [1.0]}, [1.0, 2.0])
    with pytest.raises(ParameterError, match="functional must be one of 'mean'"):
        murphy({"a": [1.0]}, [1.0], functional="mode")
    with pytest.raises(ParameterError, match="level is of quantiles"):
        murphy({"a": [1.0]}, [1.0], level=0.9)
    with pytest.raises(DataError, match="'a' has values that are not finite"):
        murphy({"a": [np.nan]}, [1.0])
    with pytest.raises(DataError, match="nothing that came"):
        murphy({"a": [1.0]}, [np.nan])


def test_two_forecasts_of_one_name():
    with pytest.raises(ParameterError, match="forecasts has two of one name"):
        murphy({1: [1.0], "1": [2.0]}, [1.0])
