"""Pictures of the best model at work: a forecast with what came, and what surprised it."""

from __future__ import annotations

from typing import Any

import numpy as np

from arproc.data.frames import native
from arproc.errors import ArprocError
from arproc.plot import forecast_fan, surprisal, surprisal_map
from arproc.process import Process
from arproc.reporting.case import Case
from arproc.reporting.page import Section, escaped, paragraph
from arproc.reporting.pictures import picture
from arproc.spaces import Categorical

__all__ = ["section"]

#: How many steps are forecast, and how many are shown before them.
_HORIZON, _PAST = 60, 120


def section(case: Case, best: str) -> Section | None:
    """The best model's pictures as a part of the page; None where nothing can be drawn of it.

    Args:
        case: the subject.
        best: the model's name.
    """
    if not isinstance(case.models[best], Process):
        return None
    parts = []
    if _can_forecast(case, best):
        parts.append(("Forecast", _forecast))
    parts.append(("Surprisal", _surprisal))
    body = paragraph(f"Of {best}, the model with the highest likelihood.")
    for title, draw in parts:
        try:
            body += f"<h3>{escaped(title)}</h3>{draw(case, best)}"
        except ArprocError as error:  # what a picture of this model or these data can not show
            body += f"<h3>{escaped(title)}</h3>" + paragraph(f"Not drawn: {error}")
    return Section("pictures", "The best model at work", body)


def _can_forecast(case: Case, best: str) -> bool:
    """Whether there is one series of numbers, and a part of it to forecast from."""
    found = case.sequences(best)
    space = case.models[best].space
    start = case.starts_at(best)
    numbers = not isinstance(space, Categorical) and not space.event_shape and space.length is None
    enough = case.given is not None and 1 < start < int(found.lengths[0])
    return len(found) == 1 and numbers and enough and np.ndim(case.data) == 1


def _forecast(case: Case, best: str) -> str:
    model = case.models[best]
    assert isinstance(model, Process)
    start = case.starts_at(best)
    given = native(case.data)  # pandas is answered by pandas, which is drawn
    data = given.iloc if hasattr(given, "iloc") else np.asarray(given)
    history, later = data[:start], data[start : start + _HORIZON]
    table = model.forecast(
        history, len(later), seed=case.seed, context=case.context_of(best), offset=case.offset
    )
    low, high = table.columns[1], table.columns[-1]
    values = np.asarray(later, dtype=float)
    inside = int(((values >= table[low].to_numpy()) & (values <= table[high].to_numpy())).sum())
    told = (
        f"The forecast of {len(later)} steps from element {start}, all at once: {inside} of them "
        f"lie between the quantiles {low} and {high}"
    )
    shown = history.iloc[-_PAST:] if hasattr(history, "iloc") else np.asarray(history)[-_PAST:]
    if not hasattr(shown, "iloc"):
        table = table.set_index(np.arange(len(shown), len(shown) + len(table)))
    return picture(lambda: forecast_fan(shown, table, later), f"{told}.", f"{told}.")


def _surprisal(case: Case, best: str) -> str:
    model = case.models[best]
    assert isinstance(model, Process)
    one, context = case.first(best)
    which = "the data" if len(case.sequences(best)) == 1 else "the first sequence of the data"
    layout = model.layout
    if layout is not None and len(layout.shape) in (2, 3):
        return picture(
            lambda: surprisal_map(model, one, context=context),
            f"A map of how surprising each pixel of {which} was.",
            "The darker, the more surprising given the pixels before it.",
        )
    return picture(
        lambda: surprisal(model, _whole(one), context=context, limit=800),
        f"How surprising each element of {which} was, given those before it.",
        "−log p of each element given those before it" + _unscored(case, best),
    )


def _unscored(case: Case, best: str) -> str:
    start = case.starts_at(best)
    return f"; the leaderboard does not score the first {start:,}." if start else "."


def _whole(one: Any) -> Any:
    """A list of one sequence as that sequence."""
    single = isinstance(one, list) and len(one) == 1 and not isinstance(one[0], (int, float))
    return one[0] if single else one
