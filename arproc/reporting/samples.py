"""What the models draw, beside the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.errors import ArprocError
from arproc.evaluation.text_units import vocabulary_of
from arproc.plot import sample_grid, sample_lines
from arproc.process import Model
from arproc.reporting.case import Case
from arproc.reporting.page import Section, escaped, paragraph, quoted, table
from arproc.reporting.pictures import picture
from arproc.spaces import Categorical

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["section"]

#: Draws of laws of free length are about as long as the data, and no longer than this.
_LONGEST = 400
_IMAGES, _MOST_ROWS, _MOST_COLUMNS = 12, 12, 24


def section(case: Case) -> Section:
    """Draws of every model as a part of the page."""
    body = paragraph(
        "Drawn from each model as it is, unselected, beside some of the data. A likelihood says "
        "nothing of how a draw looks, and good draws nothing of the likelihood."
    )
    first = next(iter(case.models))
    body += "<h3>The data</h3>" + _of_data(case, first)
    for name in case.models:
        body += f"<h3>{escaped(name)}</h3>" + _of_model(case, name)
    return Section("samples", "Samples", body)


def _of_data(case: Case, name: str) -> str:
    found = case.sequences(name)
    if hasattr(case.data, "columns") and found.form.kind in ("rows", "table"):
        return _rows(case.data, "Rows of the data")
    n = _how_many(case, name)
    few = found.select(torch.arange(min(n, len(found))))
    return _shown(case, name, few, "the data")


def _of_model(case: Case, name: str) -> str:
    """Draws of one model; or why there are none."""
    model = case.models[name]
    try:
        draws = _draws(case, name)
        if hasattr(draws, "columns"):
            return _rows(draws, f"Rows drawn from {name}")
        read = model.sequences(draws, missing=model.law_.takes_missing)
        return _shown(case, name, read, name)
    except ArprocError as error:
        return paragraph(f"No draws are shown: {error}")


def _how_many(case: Case, name: str) -> int:
    small = case.image_shape(name) is not None or case.models[name].fit_.form in ("rows", "table")
    return max(case.samples, _IMAGES) if small else case.samples


def _draws(case: Case, name: str) -> Any:
    model, found = case.models[name], case.sequences(name)
    n, length = _how_many(case, name), case.length
    if model.space.length is not None:
        length = None
    elif length is None:
        length = max(1, min(_LONGEST, int(found.lengths.double().median())))
    prefix = None
    if model.n_given:
        prefix = Sequences(
            found.row(0)[: model.n_given],
            torch.tensor([0, model.n_given]),
            model.space,
            torch.tensor([False]),
        )
    context = case.context_of(name, n)
    if context is not None and len(found) > 1:
        n = min(n, len(found))
    return model.sample(
        n, length, prefix, seed=case.seed, context=context, offset=case.offset
    )  # fmt: skip


def _rows(frame: Any, caption: str) -> str:
    """The first rows of a table."""
    shown = frame.iloc[:_MOST_ROWS, :_MOST_COLUMNS]
    columns = ["row", *map(str, shown.columns)]
    lines = [
        [str(label), *(value if isinstance(value, float) else str(value) for value in row)]
        for label, row in zip(shown.index, shown.itertuples(index=False), strict=True)
    ]
    more = frame.shape[1] - shown.shape[1]
    return table(
        columns, lines, caption + (f"; {more} more columns are not shown" if more else "")
    )


def _shown(case: Case, name: str, few: Sequences, what: str) -> str:
    """Some sequences, in the way that shows them best."""
    model, shape = case.models[name], case.image_shape(name)
    if shape is not None:
        return _images(model, few, shape, what)
    layout = model.layout
    vocabulary = vocabulary_of(model.space)
    if vocabulary is not None or isinstance(model.space, Categorical):
        return "".join(quoted(_text(vocabulary, few.row(i), case)) for i in range(len(few)))
    rows = [few.row(i).detach().cpu().numpy().astype(float) for i in range(len(few))]
    if layout is not None and layout.order is not None:
        whole = torch.as_tensor(np.stack(rows))
        rows = list(layout.from_sites(whole).numpy())

    def draw() -> Axes:
        return sample_lines(rows)

    told = "; ".join(
        f"from {np.nanmin(row):.3g} to {np.nanmax(row):.3g}, mean {np.nanmean(row):.3g}"
        for row in rows
        if row.size and not np.isnan(row).all()
    )
    return picture(draw, f"{len(rows)} sequence(s) of {what}: {told}.", f"Values of {what}.")


def _images(model: Model, few: Sequences, shape: tuple[int, ...], what: str) -> str:
    images = torch.stack([few.row(i) for i in range(len(few))]).cpu()
    if model.layout is not None:
        images = model.layout.from_sites(images)

    def draw() -> Axes:
        return sample_grid(images.numpy(), shape, columns=6)

    return picture(draw, f"{len(images)} images of {what}, side by side.", f"Images of {what}.")


def _text(vocabulary: Any, row: torch.Tensor, case: Case) -> str:
    """Symbols as text, cut where it goes on for long."""
    most = case.length or _LONGEST
    symbols = row[:most].tolist()
    if vocabulary is None:
        text = " ".join(map(str, symbols))
    elif vocabulary.kind == "symbols":
        text = " ".join(str(vocabulary.symbols[symbol]) for symbol in symbols)
    else:
        text = vocabulary.decode(symbols)
    more = len(row) - len(symbols)
    return f"{text} … ({more:,} more)" if more else text
