"""How surprising each element was: text in colours, numbers as a line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from arproc.contract.reading import require_reading_order
from arproc.contract.sequences import Sequences
from arproc.data.vocabulary import Vocabulary
from arproc.errors import DataError, check_choice, check_integer
from arproc.plot.canvas import BLUE, GREY, axes_for, legend, plain, x_values
from arproc.process.process import Process, require_process
from arproc.spaces import Categorical

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["surprisal"]

_FONT = 10.0  # points; a monospaced character is 0.602 of that wide in matplotlib's own font
_CELL = (0.66 * _FONT / 72, 1.55 * _FONT / 72)  # inches
_SHOWN = {"\n": "↵", "\t": "→", "\r": "←"}
_END = "■"
_NOUNS = {"char": "character", "byte": "byte", "word": "word", "tokenizer": "token"}
_NO_GLYPH = "□"


class _Cell(NamedTuple):
    """A character on the page; the value of a space between words is NaN."""

    row: int
    column: int
    character: str
    value: float


class _Piece(NamedTuple):
    """A piece of text and its surprisal in the unit shown."""

    text: str
    value: float


def surprisal(
    model: Process,
    data: Any,
    ax: Axes | None = None,
    *,
    context: Any = None,
    unit: str | None = None,
    limit: int = 1600,
) -> Axes:
    """-log p(x_t | x_<t) of every element of one sequence.

    Text is written out with each piece (character, word) on a ground the darker the more
    surprising it was; ↵ is a line's end and ■ the text's. Numbers are drawn along their index,
    the mean as a dashed line.

    Args:
        model: a fitted process.
        data: one sequence in any form the model takes.
        ax: where to draw; a new figure by default.
        context: what the sequence is conditioned on, for models that take it.
        unit: "bits" or "nats"; by default bits for symbols and counts, nats for densities.
        limit: how many characters of a text are written out; the title says if it goes on.

    Returns:
        The Axes.
    """
    process = require_process(model, "surprisal")
    sequences = process.sequences(data)
    if len(sequences) != 1:
        raise DataError(
            f"surprisal draws one sequence; got {len(sequences)}. Choose one, as in data[0]."
        )
    check_integer("limit", limit, minimum=1)
    if unit is None:
        unit = "bits" if sequences.space.measure == "mass" else "nats"
    scale = math.log(2) if check_choice("unit", unit, ("bits", "nats")) == "bits" else 1.0
    terms = process.log_prob_terms(data, context=context)
    terms = terms[0] if isinstance(terms, list) else terms
    values = -np.asarray(terms.detach().cpu() if hasattr(terms, "detach") else terms) / scale
    space = sequences.space
    vocabulary = space.vocabulary if isinstance(space, Categorical) else None
    if vocabulary is None or vocabulary.kind == "symbols" or process.n_given:
        index = terms.index if hasattr(terms, "iloc") else None  # a tensor's is a method
        return _draw_line(process, sequences, values, index, unit, ax)
    require_reading_order(process.law_, "plot.surprisal")
    pieces = _pieces(vocabulary, sequences, values)
    return _draw_text(pieces, values, _NOUNS[vocabulary.kind], unit, limit, ax)


# ---- numbers -----------------------------------------------------------------------------


def _draw_line(
    process: Process, sequences: Sequences, values: np.ndarray, index: Any, unit: str, ax: Any
) -> Axes:
    ax = axes_for(ax, (8.0, 3.2))
    x = np.arange(len(values)) + process.n_given if index is None else x_values(index, len(values))
    ax.plot(x, values, color=BLUE, linewidth=1.2, marker="o" if len(values) <= 100 else None,
            markersize=3)  # fmt: skip
    mean = float(values.mean())
    ax.axhline(mean, color=GREY, linestyle="--", linewidth=1.2, label=f"mean {mean:.3g} {unit}")
    density = " (of a density)" if sequences.space.measure == "density" else ""
    ax.set_ylabel(f"surprisal{density} [{unit}]")
    name = getattr(index, "name", None)
    default = "element" if sequences.space.length is None else "element, in order of generation"
    ax.set_xlabel(str(name) if name is not None else default)
    legend(ax)
    plain(ax)
    return ax


# ---- text --------------------------------------------------------------------------------


def _pieces(vocabulary: Vocabulary, sequences: Sequences, values: np.ndarray) -> list[_Piece]:
    """The text piece by piece; bytes are joined to characters, whose surprisals add up."""
    numbers = sequences.values.cpu().numpy()
    if vocabulary.kind == "byte":
        text = numbers.astype(np.uint8).tobytes().decode("utf-8", "surrogateescape")
        widths = [len(c.encode("utf-8", "surrogateescape")) for c in text]
        starts = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(int)
        parts = values[: len(numbers)]
        sums = np.add.reduceat(parts, starts) if len(numbers) else parts
        shown = ["\ufffd" if "\udc80" <= c <= "\udcff" else c for c in text]
        pieces = [_Piece(c, float(v)) for c, v in zip(shown, sums, strict=True)]
    else:
        space = " " if vocabulary.kind == "word" else ""
        pieces = [
            _Piece(vocabulary.decode([number]) + space, float(value))
            for number, value in zip(numbers.tolist(), values.tolist(), strict=False)
        ]
    if len(values) > len(numbers):
        pieces.append(_Piece(_END, float(values[-1])))
    return pieces


def _draw_text(
    pieces: list[_Piece], values: np.ndarray, noun: str, unit: str, limit: int, ax: Any
) -> Axes:
    cells, more = _lay_out(pieces, 84 if ax is None else _columns(ax), limit)
    rows = 1 + max(cell.row for cell in cells)
    width = max(40 if ax is None else 1, *(cell.column + 1 for cell in cells))
    ax = axes_for(ax, (width * _CELL[0] + 1.0, rows * _CELL[1] + 0.5))
    grid = np.full((rows, width), np.nan)
    for cell in cells:
        grid[cell.row, cell.column] = cell.value
    top, cut = _top(grid)
    mesh = ax.pcolormesh(
        np.arange(width + 1),
        np.arange(rows + 1),
        np.minimum(grid, top),
        cmap="Oranges",
        vmin=0.0,
        vmax=top,
    )
    _write(ax, cells, mesh)
    ax.set_ylim(rows, 0)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    bar = {"fraction": 0.03, "pad": 0.01, "extend": "max" if cut else "neither"}
    ax.figure.colorbar(mesh, ax=ax, label=f"surprisal [{unit}]", **bar)
    shown = f" (the first {len(cells):,} characters are shown)" if more else ""
    title = f"mean {values.mean():.3g} {unit} per {noun}{shown}"
    ax.set_title(title, fontsize="medium", loc="left")
    return ax


def _top(grid: np.ndarray) -> tuple[float, bool]:
    """The darkest colour's value, and whether a few values beyond it were cut off."""
    known = grid[~np.isnan(grid)]
    finite = known[np.isfinite(known)]
    most = float(finite.max(initial=1e-9))
    usual = 2.0 * float(np.quantile(finite, 0.98)) if len(finite) else most
    return (usual, True) if 0 < usual < most else (most, len(finite) < len(known))


def _write(ax: Axes, cells: list[_Cell], mesh: Any) -> None:
    """The characters, in black or white, whichever is told from its ground more easily."""
    from matplotlib.font_manager import findfont, get_font

    glyphs = get_font(findfont("monospace"))
    rgb = mesh.to_rgba(np.array([0.0 if math.isnan(c.value) else c.value for c in cells]))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]  # as the web's accessibility guidelines have it
    for cell, light in zip(cells, luminance, strict=True):
        if cell.character.isspace():
            continue
        known = glyphs.get_char_index(ord(cell.character)) > 0
        ax.text(
            cell.column + 0.5,
            cell.row + 0.52,
            cell.character if known else _NO_GLYPH,
            color="black" if light > 0.179 or math.isnan(cell.value) else "white",
            fontsize=_FONT,
            family="monospace",
            ha="center",
            va="center_baseline",
            parse_math=False,
            clip_on=True,
        ).set_in_layout(False)


def _columns(ax: Axes) -> int:
    """How many characters fit side by side on these Axes."""
    inches = ax.get_window_extent().width / ax.figure.dpi
    return max(8, int(inches / _CELL[0]))


def _lay_out(pieces: list[_Piece], width: int, limit: int) -> tuple[list[_Cell], bool]:
    """The cells of wrapped text, and whether some of it was left out.

    A word that does not fit on a line begins the next one; a line's end ends the row.
    """
    flat = [
        # the space that is written between two words belongs to neither
        (c, math.nan if c == " " and len(piece.text) > 1 else piece.value)
        for piece in pieces
        for c in piece.text
    ]
    more, flat = len(flat) > limit, flat[:limit]
    to_gap = _characters_to_gap([character for character, _ in flat])
    cells: list[_Cell] = []
    row = column = 0
    for i, (character, value) in enumerate(flat):
        begins = i == 0 or flat[i - 1][0].isspace()
        if column == width or (begins and column and column + to_gap[i] > width >= to_gap[i]):
            row, column = row + 1, 0
            if math.isnan(value):
                continue
        cells.append(_Cell(row, column, _SHOWN.get(character, character), value))
        column += 1
        if character == "\n":
            row, column = row + 1, 0
    return cells, more


def _characters_to_gap(characters: list[str]) -> list[int]:
    """How many characters there are from each one up to the next white space."""
    lengths = [0] * (len(characters) + 1)
    for i in range(len(characters) - 1, -1, -1):
        lengths[i] = 0 if characters[i].isspace() else lengths[i + 1] + 1
    return lengths[:-1]
