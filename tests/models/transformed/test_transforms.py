"""Changes of variables: the Jacobian, the user's scale, and what differences need."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from toys import Driven, Walk

import arproc
from arproc.errors import DataError, NotComparableError, ParameterError
from arproc.transforms import BoxCox, Difference, Log, Standardize, Transformed

RNG = np.random.default_rng(1)
POSITIVE = np.exp(0.4 * np.convolve(RNG.normal(size=301), [1.0, 0.7], mode="valid") + 2)


def test_log_likelihood_is_on_the_users_scale() -> None:
    model = Transformed(arproc.AR(1), Log()).fit(POSITIVE)
    inner = arproc.AR(1).fit(np.log(POSITIVE))
    expected = inner.log_prob(np.log(POSITIVE)) - np.log(POSITIVE).sum()
    assert model.log_prob(POSITIVE) == pytest.approx(expected, rel=1e-12)


def test_an_ar0_of_logs_is_the_lognormal_distribution() -> None:
    model = Transformed(arproc.AR(0), Log()).fit(POSITIVE)
    inner = model.process_
    law = stats.lognorm(s=inner.sigma2_**0.5, scale=np.exp(inner.mean_))
    np.testing.assert_allclose(model.log_prob_terms(POSITIVE), law.logpdf(POSITIVE), rtol=1e-10)
    forecast = model.forecast(POSITIVE, 1, quantiles=(0.1, 0.9))
    assert forecast["mean"].iloc[0] == pytest.approx(law.mean(), rel=1e-10)
    assert forecast[0.9].iloc[0] == pytest.approx(law.ppf(0.9), rel=1e-10)


def test_standardising_changes_no_maximum_likelihood() -> None:
    plain = arproc.AR(2).fit(1e6 + 1e3 * POSITIVE)
    model = Transformed(arproc.AR(2), Standardize()).fit(1e6 + 1e3 * POSITIVE)
    data = 1e6 + 1e3 * POSITIVE
    assert model.log_prob(data) == pytest.approx(plain.log_prob(data), rel=1e-9)


@pytest.mark.parametrize("lag", [1, 4])
def test_a_difference_is_the_law_of_what_follows_its_given_values(lag: int) -> None:
    walk = np.cumsum(RNG.normal(size=200))
    model = Transformed(arproc.AR(1), Difference(lag)).fit(walk)
    inner = arproc.AR(1).fit(walk[lag:] - walk[:-lag])
    assert model.n_given == lag
    assert model.log_prob(walk) == pytest.approx(
        inner.log_prob(walk[lag:] - walk[:-lag]), rel=1e-9
    )
    assert len(model.log_prob_terms(walk)) == len(walk) - lag


def test_draws_of_a_difference_continue_the_prefix() -> None:
    walk = 100 + np.cumsum(0.01 * RNG.normal(size=200))
    model = Transformed(arproc.AR(0), Difference()).fit(walk)
    draws = model.sample(5, length=10, prefix=walk, seed=0)
    assert np.abs(draws - walk[-1]).max() < 1
    with pytest.raises(DataError, match="first 1 values"):
        model.sample(1, length=3)


def test_a_difference_forecasts_a_random_walk() -> None:
    walk = np.cumsum(RNG.normal(size=400))
    model = Transformed(arproc.AR(0, trend="n"), Difference()).fit(walk)
    forecast = model.forecast(walk, 9, quantiles=(0.025, 0.975), seed=0, n_paths=4000)
    width = forecast[0.975] - forecast[0.025]
    expected = 2 * 1.96 * model.process_.sigma2_**0.5 * np.sqrt(np.arange(1, 10))
    np.testing.assert_allclose(width, expected, rtol=0.08)


def test_transforms_nest() -> None:
    model = Transformed(Transformed(arproc.AR(1), Difference()), Log()).fit(POSITIVE)
    inner = Transformed(arproc.AR(1), Difference()).fit(np.log(POSITIVE))
    expected = inner.log_prob(np.log(POSITIVE)) - np.log(POSITIVE[1:]).sum()
    assert model.log_prob(POSITIVE) == pytest.approx(expected, rel=1e-9)


def test_fit_leaves_the_process_it_was_given_alone() -> None:
    process = arproc.AR(1)
    Transformed(process, Log()).fit(POSITIVE)
    assert not process.__sklearn_is_fitted__()


def test_bad_input_is_named() -> None:
    model = Transformed(arproc.AR(1), Log()).fit(POSITIVE)
    with pytest.raises(DataError, match="above 0"):
        model.log_prob([1.0, -2.0])
    with pytest.raises(DataError, match="above 0"):
        Transformed(arproc.AR(1), Log()).fit([0.0, 1.0, 2.0])
    with pytest.raises(DataError, match="too short"):
        Transformed(arproc.AR(0), Difference(3)).fit(POSITIVE).log_prob([1.0, 2.0])
    with pytest.raises(ParameterError, match="real scalars"):
        Transformed(arproc.NGram(1, tokens="char", smoothing="additive"), Log()).fit("abab")


def test_save_and_load(tmp_path) -> None:
    model = Transformed(Transformed(arproc.AR(1), Difference()), Standardize()).fit(POSITIVE)
    model.save(tmp_path / "m.arproc")
    assert arproc.load(tmp_path / "m.arproc").log_prob(POSITIVE) == model.log_prob(POSITIVE)


def test_a_static_context_reaches_the_process_inside() -> None:
    model = Transformed(Driven("static"), Log()).fit(POSITIVE, context=0.5)
    expected = Driven("static").fit([0.0], context=0).log_prob(np.log(POSITIVE), context=0.5)
    got = model.log_prob(POSITIVE, context=0.5)
    assert got == pytest.approx(expected - np.log(POSITIVE).sum(), rel=1e-12)
    with pytest.raises(ParameterError, match="Transformed needs a context"):
        model.log_prob(POSITIVE)


@pytest.mark.parametrize("lag", [1, 3])
def test_a_context_per_step_stays_with_its_step_through_a_difference(lag: int) -> None:
    x, c = RNG.normal(size=12), RNG.normal(size=12)
    model = Transformed(Driven("steps"), Difference(lag)).fit(x, context=c)
    inner = Driven("steps").fit([0.0], context=[0.0])
    expected = inner.log_prob_terms(x[lag:] - x[:-lag], context=c[lag:])
    np.testing.assert_allclose(model.log_prob_terms(x, context=c), expected)
    columns = model.conditionals(x, context=c)
    np.testing.assert_allclose(
        columns.log_prob(torch.tensor(x[lag:])[None])[0], expected, rtol=1e-9
    )


def test_ragged_states_of_a_difference_are_the_single_ones() -> None:
    model = Transformed(Walk(), Difference(2)).fit(POSITIVE)
    x = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([6, 0, 1, 3])
    state = model.start(4).extend(x, lengths)[1].extend(x[:, :3])[1]
    for i, length in enumerate(lengths.tolist()):
        alone = model.start(1)
        for value in (*x[i, :length], *x[i, :3]):
            alone = alone.append(value[None])
        assert float(state.conditional.mean[i]) == pytest.approx(float(alone.conditional.mean))
        cut = state.truncate(torch.minimum(state.lengths, torch.tensor(2)))
        short = model.start([[*x[i, :length], *x[i, :3]][:2]])
        assert float(cut.conditional.mean[i]) == pytest.approx(float(short.conditional.mean))


def test_parts_of_a_mixture_share_their_context() -> None:
    parts = [Driven("static").fit([0.0], context=0), Driven("static").fit([1.0], context=0)]
    mixture = arproc.Mixture(parts, weights=[0.5, 0.5])
    assert mixture.log_prob([1.0, 2.0], context=3.0) == pytest.approx(
        parts[0].log_prob([1.0, 2.0], context=3.0)
    )
    with pytest.raises(ParameterError, match="Mixture needs a context"):
        mixture.log_prob([1.0, 2.0])
    with pytest.raises(NotComparableError, match="one kind of context"):
        arproc.Mixture([parts[0], Walk().fit([0.0])], weights=[0.5, 0.5]).log_prob([1.0])


# ---- composed, and logarithms of what may be zero --------------------------------------------


def test_missing_values_go_through_maps_of_each_value() -> None:
    gaps = POSITIVE.copy()
    gaps[[5, 6, 30]] = np.nan
    model = Transformed(arproc.AR(1), Log(1.0) | Standardize()).fit(gaps)
    inner = arproc.AR(1).fit(np.log(gaps + 1))
    expected = inner.log_prob(np.log(gaps + 1)) - np.nansum(np.log(gaps + 1))
    assert model.takes_missing
    assert model.log_prob(gaps) == pytest.approx(expected, rel=1e-7)
    assert model.log_prob_terms(gaps)[6] == 0
    np.testing.assert_allclose(
        model.forecast(gaps[:31], 2)[0.5],
        np.exp(inner.forecast(np.log(gaps[:31] + 1), 2)[0.5]) - 1,
        rtol=1e-4,
    )
    for transform in (Difference(), BoxCox(0.5), Log() | Difference()):
        model = Transformed(arproc.AR(1), transform).fit(POSITIVE)
        assert not model.takes_missing
        with pytest.raises(DataError, match="not finite"):
            model.log_prob(gaps)


def test_transforms_joined_are_transforms_nested() -> None:
    chain = Log() | Difference(4) | Difference()
    model = Transformed(arproc.AR(1), chain).fit(POSITIVE)
    inner = Transformed(Transformed(arproc.AR(1), Difference()), Difference(4))
    nested = Transformed(inner, Log()).fit(POSITIVE)
    assert model.n_given == nested.n_given == 5
    assert model.log_prob(POSITIVE) == nested.log_prob(POSITIVE)
    pd.testing.assert_frame_equal(model.forecast(POSITIVE, 3), nested.forecast(POSITIVE, 3))
    assert [type(t).__name__ for t in (chain | Standardize()).transforms] == [
        "Log", "Difference", "Difference", "Standardize"
    ]  # fmt: skip
    with pytest.raises(TypeError):
        _ = Log() | 3


def test_a_composed_transform_is_saved_and_cloned(tmp_path) -> None:
    model = Transformed(arproc.AR(1), BoxCox() | Difference()).fit(POSITIVE)
    model.save(tmp_path / "m.arproc")
    loaded = arproc.load(tmp_path / "m.arproc")
    assert loaded.log_prob(POSITIVE) == model.log_prob(POSITIVE)
    assert loaded.clone().fit(POSITIVE).log_prob(POSITIVE) == model.log_prob(POSITIVE)


def test_a_shifted_logarithm_takes_zeros() -> None:
    data = np.concatenate([POSITIVE - POSITIVE.min(), [0.0]])
    model = Transformed(arproc.AR(1), Log(shift=2.0)).fit(data)
    inner = arproc.AR(1).fit(np.log(data + 2))
    expected = inner.log_prob(np.log(data + 2)) - np.log(data + 2).sum()
    assert model.log_prob(data) == pytest.approx(expected, rel=1e-12)
    table = model.forecast(data, 3, quantiles=(0.1,))
    inside = inner.law_.predictive(inner.start(np.log(data + 2)), 3)
    loc, deviation = inside.mean[0].numpy(), inside.stddev[0].numpy()
    mean = np.exp(loc + deviation**2 / 2) - 2
    np.testing.assert_allclose(table["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(table[0.1], np.exp(loc + stats.norm.ppf(0.1) * deviation) - 2)
    with pytest.raises(DataError, match="above -2; the least is -2"):
        model.log_prob([1.0, -2.0])
    with pytest.raises(ParameterError, match="shift must be a finite number"):
        Transformed(arproc.AR(0), Log(shift="a")).fit(data)


# ---- differences -----------------------------------------------------------------------------

SPECS = [((1, 1, 0), (0, 0, 0, 0)), ((2, 2, 0), (0, 0, 0, 0)), ((1, 0, 0), (0, 1, 0, 4)),
         ((1, 1, 0), (0, 1, 0, 4))]  # fmt: skip


@pytest.mark.parametrize(("order", "seasonal"), SPECS)
def test_forecasts_of_differences_are_those_of_sarimax(order, seasonal) -> None:
    """Given the first values: statsmodels' with simple differencing, undone by its own sums."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    y = np.cumsum(np.log(POSITIVE))[:120]
    parts = [Difference(seasonal[3])] * seasonal[1] + [Difference()] * order[1]
    transform = parts[0] if len(parts) == 1 else parts[0] | parts[1]
    model = Transformed(arproc.AR(order[0], trend="n"), transform).fit(y)
    differenced = SARIMAX(y, order=order, seasonal_order=seasonal, simple_differencing=True)
    inner = model.process_
    while isinstance(inner, Transformed):
        inner = inner.process_
    parameters = [*inner.coef_, inner.sigma2_]
    assert model.log_prob(y) == pytest.approx(differenced.loglike(parameters), rel=1e-9)
    # the diffuse filter forgets its start: after it, it knows the values as given
    level = SARIMAX(y, order=order, seasonal_order=seasonal).filter(parameters)
    want = level.get_forecast(9)
    table = model.forecast(y, 9, quantiles=(0.025, 0.975))
    np.testing.assert_allclose(table["mean"], want.predicted_mean, rtol=1e-6)
    np.testing.assert_allclose(
        table[[0.025, 0.975]], want.conf_int(alpha=0.05), rtol=1e-5, atol=1e-5
    )


def test_forecasts_of_differences_of_logarithms_have_lognormal_means() -> None:
    model = Transformed(arproc.AR(1), Log() | Difference(4)).fit(POSITIVE)
    inner = Transformed(arproc.AR(1), Difference(4)).fit(np.log(POSITIVE))
    inside = inner.forecast(np.log(POSITIVE), 9, quantiles=(stats.norm.cdf(1.0),))
    deviation = inside.iloc[:, 1] - inside["mean"]
    table = model.forecast(POSITIVE, 9, quantiles=(0.3,))
    np.testing.assert_allclose(table["mean"], np.exp(inside["mean"] + deviation**2 / 2))
    np.testing.assert_allclose(
        table[0.3], np.exp(inside["mean"] + stats.norm.ppf(0.3) * deviation)
    )
    paths = model.sample_paths(POSITIVE, 9, 20_000, seed=0)
    error = paths.std(axis=1) / np.sqrt(20_000)
    assert (np.abs(paths.mean(axis=1) - table["mean"]) < 5 * error).all()


def test_a_history_too_short_for_its_differences_is_named() -> None:
    model = Transformed(arproc.AR(1), Difference(4)).fit(POSITIVE)
    with pytest.raises(DataError, match="first 4 given values"):
        model.forecast(POSITIVE[:3], 2)


def test_a_scenario_of_a_difference_is_exact() -> None:
    walk = np.cumsum(RNG.normal(size=80))
    model = Transformed(arproc.AR(0, trend="n"), Difference()).fit(walk)
    table = model.forecast(walk, 4, quantiles=(0.9,), known=[np.nan] * 3 + [walk[-1] + 2])
    np.testing.assert_allclose(table["mean"], walk[-1] + np.array([0.5, 1.0, 1.5, 2.0]))
    bridge = model.process_.sigma2_ * np.array([0.75, 1.0, 0.75, 0.0])
    np.testing.assert_allclose(
        table[0.9] - table["mean"], stats.norm.ppf(0.9) * np.sqrt(bridge), atol=1e-12
    )
