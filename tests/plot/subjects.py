"""What the tests draw: small data, and what models and analyses found in them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from evaluation.toys import CHARS, GaussianAR, unigram

from arproc import AR, MADE, VAR, ContextTree, Training, compare, fidelity, plot
from arproc import evaluation as ev
from arproc.models.regimes.switching import MarkovSwitchingAR

SERIES = pd.Series(
    [1.0, 2.0, 0.5, 1.5], index=pd.period_range("2001", periods=4, freq="Y"), name="level [m]"
)
WHITE = np.random.default_rng(0).normal(size=60)
HALF = AR.from_parameters([0.5])
STEPPED = WHITE * np.where(np.arange(60) < 30, 1, 6)
DAYS = pd.Series(WHITE, index=pd.date_range("2020-01-01", periods=60, name="day"))
SWITCHING = MarkovSwitchingAR.from_parameters([[0.9, 0.1], [0.2, 0.8]], [0.5], mean=[0.0, 5.0])
CHANCE = np.linspace(0.05, 0.95, 40)
PEERS = pd.DataFrame(
    {"seconds": [1.0, 10.0, 11.0, 90.0], "bits": [2.0, 1.8, 1.9, 1.7], "se": [0.1] * 4},
    index=["fast", "middle", "behind", "slow"],
)
UNITS = np.random.default_rng(1).normal(size=(3, 24, 20))


class _Found:
    """Each is made when a test first asks for it: collecting the tests costs nothing."""

    @cached_property
    def forecast(self):
        return GaussianAR().forecast(SERIES, 3, quantiles=(0.05, 0.25, 0.5, 0.75, 0.95), seed=1)

    @cached_property
    def responses(self):
        return VAR.from_parameters([[[0.5, 0.2], [0.0, 0.3]]]).impulse_response(6, bands=None)

    @cached_property
    def squares(self):
        return MADE((4,), training=Training(steps=2)).fit(np.arange(48).reshape(4, 3, 4) // 5 % 2)

    @cached_property
    def rates(self):
        return MADE((4,)).find_lr(np.eye(12, dtype=int), steps=30)

    @cached_property
    def board(self):
        return compare(
            {
                "AR(0)": AR.from_parameters([]),
                "AR(1)": AR.from_parameters([0.9]),
                "same": AR(0).fit(WHITE),
            },
            WHITE,
            reference="AR(0)",
        )

    @cached_property
    def backtest(self):
        return ev.backtest(HALF, WHITE, start=20, refit="never", horizon=2)

    @cached_property
    def reliable(self):
        return ev.reliability(CHANCE, (CHANCE * 17 % 1 < CHANCE).astype(int), n_resamples=50)

    @cached_property
    def curve(self):
        return ev.learning_curve(AR(1), WHITE[:40], WHITE[40:], sizes=[10, 40])

    @cached_property
    def context(self):
        return ev.context_curve(HALF, WHITE, lengths=[0, 1, 4])

    @cached_property
    def alarms(self):
        return ev.anomalies(HALF, DAYS, rate=0.05)

    @cached_property
    def changes(self):
        return ev.change_points(AR.from_parameters([]), STEPPED, n_permutations=99)

    @cached_property
    def check(self):
        return ev.predictive_check(HALF, WHITE, ["mean", "max", "std", "min"], n_draws=50)

    @cached_property
    def judged(self):
        return fidelity(*UNITS[:2], 3 * UNITS[2], rows=["distribution", "novelty"])

    @cached_property
    def tree(self):
        return ContextTree(3).fit(["abab$$ab" * 20])


FOUND = _Found()
DRAW = {
    "anomalies": lambda ax: plot.anomalies(FOUND.alarms, ax),
    "change_points": lambda ax: plot.change_points(FOUND.changes, ax),
    "context_curve": lambda ax: plot.context_curve({"a": FOUND.context, "b": FOUND.context}, ax),
    "context_tree": lambda ax: plot.context_tree(FOUND.tree, ax),
    "correlograms": lambda ax: plot.correlograms(UNITS[0], UNITS[1], ax),
    "fidelity_overview": lambda ax: plot.fidelity_overview(FOUND.judged, ax),
    "forecast_outcomes": lambda ax: plot.forecast_outcomes(FOUND.backtest, ax),
    "learning_curve": lambda ax: plot.learning_curve({"AR(1)": FOUND.curve}, ax),
    "murphy_diagram": lambda ax: plot.murphy_diagram(
        ev.murphy({"a": CHANCE, "b": 1 - CHANCE}, CHANCE**2), ax
    ),
    "mutual_information": lambda ax: plot.mutual_information(
        ev.mutual_information("ab" * 40, lags=4), ax
    ),
    "predictive_check": lambda ax: plot.predictive_check(FOUND.check, ax),
    "regime_probabilities": lambda ax: plot.regime_probabilities(
        DAYS, SWITCHING.smoothed(DAYS), ax
    ),
    "reliability_diagram": lambda ax: plot.reliability_diagram(FOUND.reliable, ax),
    "speed_quality": lambda ax: plot.speed_quality(
        PEERS, ax, speed="seconds", quality="bits", error="se"
    ),
    "unit_circle": lambda ax: plot.unit_circle(AR.from_parameters([1.5, -0.9]), ax),
    "forecast_fan": lambda ax: plot.forecast_fan(SERIES, FOUND.forecast, ax=ax),
    "pit_histogram": lambda ax: plot.pit_histogram(np.linspace(0.01, 0.99, 60), ax=ax),
    "surprisal of text": lambda ax: plot.surprisal(unigram(CHARS, end=True), "a bé", ax=ax),
    "surprisal of numbers": lambda ax: plot.surprisal(GaussianAR(), SERIES, ax=ax),
    "diagnostics": lambda ax: plot.diagnostics(
        AR.from_parameters([0.5]), np.cos(np.arange(60.0) ** 2), ax=ax
    ),
    "impulse_response": lambda ax: plot.impulse_response(FOUND.responses, ax=ax),
    "impulse_response of one": lambda ax: plot.impulse_response(
        AR.from_parameters([0.5]).impulse_response(6), ax=ax
    ),
    "spectral_density": lambda ax: plot.spectral_density(AR.from_parameters([0.5]), ax=ax),
    "surprisal_map": lambda ax: plot.surprisal_map(FOUND.squares, np.eye(3, 4, dtype=int), ax=ax),
    "training_curve": lambda ax: plot.training_curve(FOUND.squares, ax=ax),
    "training_curve of a table": lambda ax: plot.training_curve(
        FOUND.squares.history_, ax=ax, against="seconds"
    ),
    "learning_rates": lambda ax: plot.learning_rates(FOUND.rates, ax=ax),
    "leaderboard": lambda ax: plot.leaderboard(FOUND.board, ax=ax),
    "sample_lines": lambda ax: plot.sample_lines(np.eye(3), ax=ax),
    "sample_grid": lambda ax: plot.sample_grid(np.eye(4), (2, 2), ax=ax),
}
