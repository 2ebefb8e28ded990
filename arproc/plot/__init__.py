"""Pictures. Each function takes an optional matplotlib Axes, draws on it and returns it.

They need matplotlib (`pip install "arproc[plot]"`), which is imported when one is called. Colours
are those of Okabe and Ito (2008), told apart in every kind of colour vision.
"""

from arproc.plot.diagnostics import diagnostics
from arproc.plot.forecasts import forecast_fan
from arproc.plot.grids import sample_grid
from arproc.plot.histograms import pit_histogram
from arproc.plot.impulses import impulse_response
from arproc.plot.leaderboards import leaderboard
from arproc.plot.lines import sample_lines
from arproc.plot.maps import surprisal_map
from arproc.plot.spectra import spectral_density
from arproc.plot.surprisals import surprisal
from arproc.plot.training import learning_rates, training_curve

__all__ = [
    "diagnostics",
    "forecast_fan",
    "impulse_response",
    "leaderboard",
    "learning_rates",
    "pit_histogram",
    "sample_grid",
    "sample_lines",
    "spectral_density",
    "surprisal",
    "surprisal_map",
    "training_curve",
]
