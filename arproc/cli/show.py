"""Tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["console", "show_table"]


def console() -> Console:
    """Standard output; wide enough for a table where it is not a terminal."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=120)


def show_table(table: pd.DataFrame, title: str, digits: int = 4) -> None:
    """Print a DataFrame, its index as the first column."""
    grid = Table(title=title, title_justify="left", title_style="bold")
    grid.add_column(str(table.index.name or ""))
    for name, kind in table.dtypes.items():
        grid.add_column(str(name), justify="right" if kind.kind in "iuf" else "left")
    for label, row in zip(table.index, table.itertuples(index=False), strict=True):
        grid.add_row(Text(str(label)), *(Text(_cell(value, digits)) for value in row))
    console().print(grid)


def _cell(value: object, digits: int) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.{digits}f}"
    return str(value)
