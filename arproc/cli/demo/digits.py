"""Handwritten digits as binary vectors: MADE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arproc.cli.demo.judging import Drawn, Subject
from arproc.cli.demo.report import Report

if TYPE_CHECKING:
    from arproc.process import Process

__all__ = ["run"]

STEPS, QUICK_STEPS = 2000, 50


def run(report: Report, *, quick: bool) -> Subject:
    """Bits per pixel of held-out digits; new digits, and lower halves for given upper ones."""
    import arproc
    from arproc import plot

    train, valid, test = arproc.datasets.digits()
    report.heading("Handwritten digits, 8 x 8 binary pixels: MADE")
    steps = QUICK_STEPS if quick else STEPS
    slow, fast = (arproc.Training(steps=steps, batch_size=64, lr=lr) for lr in (3e-3, 1e-2))
    models: dict[str, Process] = {
        "MADE, 500 hidden units": arproc.MADE(hidden=(500,), training=slow),
        "logistic regressions (none)": arproc.MADE(hidden=(), training=fast),
    }
    for model in models.values():
        model.fit(train, validation=valid)
    report.compared(
        arproc.compare(models, test), f"{len(test)} held-out digits, bits per pixel (dimension)"
    )
    made = next(iter(models.values()))
    images = np.concatenate([test[:10], made.sample(20, seed=1), _completed(made, test[:10])])
    report.picture(
        plot.sample_grid(images, shape=(8, 8), columns=10),
        "digits-samples.png",
        "held-out digits, new ones, and held-out upper halves completed",
        "Row 1: held out. Rows 2-3: drawn. Row 4: row 1's upper halves, lower ones drawn",
    )
    report.took()
    square = (-1, 8, 8)
    fresh = made.sample(len(test), seed=4).reshape(square)
    drawn = Drawn("digits drawn from MADE", fresh, train.reshape(square), test.reshape(square))
    options = {"shape": (8, 8), "train": train}
    return Subject("digits-report", "Handwritten digits", models, test, options, drawn)


def _completed(model: Process, images: np.ndarray) -> np.ndarray:
    """The images with their lower halves drawn given the upper ones."""
    upper = images[:, :32]
    lower = model.sample(len(images), prefix=upper, seed=3)
    return np.concatenate([upper, lower], axis=1)
