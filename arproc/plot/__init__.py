"""Pictures. Each function takes an optional matplotlib Axes, draws on it and returns it.

They need matplotlib (`pip install "arproc[plot]"`), which is imported when one is called. Colours
are those of Okabe and Ito (2008), told apart in every kind of colour vision.
"""

from arproc.plot.analyses import anomalies, change_points, mutual_information, predictive_check
from arproc.plot.curves import context_curve, learning_curve, speed_quality
from arproc.plot.diagnostics import diagnostics
from arproc.plot.dynamics import correlograms, regime_probabilities, unit_circle
from arproc.plot.forecasts import forecast_fan
from arproc.plot.grids import sample_grid
from arproc.plot.histograms import pit_histogram
from arproc.plot.impulses import impulse_response
from arproc.plot.leaderboards import leaderboard
from arproc.plot.lines import sample_lines
from arproc.plot.maps import surprisal_map
from arproc.plot.outcomes import forecast_outcomes
from arproc.plot.resemblance import fidelity_overview
from arproc.plot.spectra import spectral_density
from arproc.plot.surprisals import surprisal
from arproc.plot.training import learning_rates, training_curve
from arproc.plot.trees import context_tree
from arproc.plot.verification import murphy_diagram, reliability_diagram

__all__ = [
    "anomalies",
    "change_points",
    "context_curve",
    "context_tree",
    "correlograms",
    "diagnostics",
    "fidelity_overview",
    "forecast_fan",
    "forecast_outcomes",
    "impulse_response",
    "leaderboard",
    "learning_curve",
    "learning_rates",
    "murphy_diagram",
    "mutual_information",
    "pit_histogram",
    "predictive_check",
    "regime_probabilities",
    "reliability_diagram",
    "sample_grid",
    "sample_lines",
    "spectral_density",
    "speed_quality",
    "surprisal",
    "surprisal_map",
    "training_curve",
    "unit_circle",
]
