"""Tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["comparison_grid", "console", "grid"]


def console(record: bool = False) -> Console:
    """Standard output; wide enough for a table where it is not a terminal."""
    out = Console(highlight=False, record=record)
    return out if out.is_terminal else Console(highlight=False, record=record, width=120)


def grid(table: pd.DataFrame, title: str, note: str = "") -> Table:
    """A DataFrame as a table, its index as the first column and `note` below."""
    shown = Table(title=title, caption=note or None, title_justify="left", caption_justify="left")
    shown.title_style, shown.caption_style = "bold", "dim"
    shown.add_column(str(table.index.name or ""))
    for name, kind in table.dtypes.items():
        shown.add_column(str(name), justify="right" if kind.kind in "iuf" else "left")
    for label, row in zip(table.index, table.itertuples(index=False), strict=True):
        shown.add_row(Text(str(label)), *(Text(_cell(value)) for value in row))
    return shown


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4f}"
    return str(value)


def comparison_grid(table: pd.DataFrame, title: str, extra: pd.DataFrame | None = None) -> Table:
    """What `arproc.compare` found: the unit's cost and the paired differences.

    Args:
        table: of `arproc.compare`.
        title: shown above it.
        extra: more columns by model, shown after the cost.
    """
    unit = table.columns[1]
    shown = table[[unit]].rename(columns={unit: unit.replace("_", " ")})
    if extra is not None:
        shown = shown.join(extra)
    pairs = zip(table[f"difference_{unit}"], table[f"se_{unit}"], strict=True)
    shown["difference"] = [f"{d:+.4f} ± {se:.4f}" if se else "" for d, se in pairs]
    limits = zip(table[f"low95_{unit}"], table[f"high95_{unit}"], strict=True)
    shown["95% interval"] = [f"{a:+.4f} to {b:+.4f}" if a != b else "" for a, b in limits]
    shown["verdict"] = table["verdict"]
    facts = table.attrs
    note = (
        f"Lower is better. Difference: from {facts['reference']}, paired, ± one standard error "
        f"{facts['errors']}; over {facts['n_elements']} elements of {facts['n_sequences']} "
        "sequence(s)."
    )
    return grid(shown, title, note)
