"""`arproc demo`: the whole library on real data that other packages ship.

Three parts, each a data set or two: fit, compare on held-out data, draw. At the end what was
drawn is judged, and each data set becomes a page. Nothing is downloaded and every number is
computed when it runs.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

from arproc.cli.demo import digits, judging, series, text
from arproc.cli.demo.report import Report
from arproc.errors import MissingDependencyError, ParameterError

__all__ = ["run"]


def run(folder: Path, *, quick: bool = False) -> None:
    """Run all parts and write pictures, samples and the tables into `folder`.

    Args:
        folder: made if it is not there; files of an earlier run are replaced.
        quick: train the neural models for seconds only, and judge the first part alone.
    """
    from arproc.models.ngram.smoothing.discounts import DiscountWarning

    try:
        import matplotlib
    except ImportError:
        raise MissingDependencyError(
            'the demo draws with matplotlib, which is not installed: pip install "arproc[demo]"'
        ) from None
    matplotlib.use("Agg")
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"--out is {str(folder)!r}, which is a file; give a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with Report(folder) as report, warnings.catch_warnings():
        # expected: hardly any character occurs once, twice or three times
        warnings.simplefilter("ignore", DiscountWarning)
        subjects = [
            series.sunspots(report),
            series.co2(report),
            text.run(report, quick=quick),
            digits.run(report, quick=quick),
        ]
        judging.run(report, subjects[:1] if quick else subjects)
        report.close(time.perf_counter() - began)
