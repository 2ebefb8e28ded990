"""What the demo prints and writes."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.text import Text

from arproc.cli.show import comparison_grid, console
from arproc.contract.places import storing, write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Report"]


class Report:
    """Prints to the terminal, keeps a copy in `report.txt`, and lists the files it wrote.

    Args:
        folder: where the files go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[tuple[str, str]] = []
        self.console = console(record=True)
        self._began = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        write_text(self.folder / "report.txt", self.console.export_text())

    def heading(self, title: str) -> None:
        """Begin a part."""
        self._began = time.perf_counter()
        self.console.print()
        self.console.rule(Text(title, style="bold"), align="left")

    def say(self, line: str) -> None:
        """A line of text."""
        self.console.print(Text(line))

    def compared(self, table: pd.DataFrame, title: str, extra: pd.DataFrame | None = None) -> None:
        """A table of `arproc.compare`."""
        self.console.print(comparison_grid(table, title, extra))

    def picture(self, ax: Axes, name: str, what: str, title: str) -> None:
        """Save the figure that `ax` is on, `title` above the title that it has."""
        import matplotlib.pyplot as plt

        own = ax.get_title() or ax.get_title("left")
        ax.set_title("")
        ax.set_title(f"{title}\n{own}" if own else title, loc="left")
        figure = ax.get_figure(root=True)
        assert figure is not None
        with storing(self.folder / name):
            figure.savefig(self.folder / name, dpi=120, bbox_inches="tight")
        plt.close(figure)
        self.files.append((name, what))

    def write(self, name: str, content: str, what: str) -> None:
        """Save a text."""
        write_text(self.folder / name, content)
        self.files.append((name, what))

    def took(self) -> None:
        """Say how long the part took."""
        self.say(f"({time.perf_counter() - self._began:.0f} s)")

    def close(self, seconds: float) -> None:
        """Say what was written, and where."""
        self.files.append(("report.txt", "the tables above"))
        self.heading(f"Done in {seconds:.0f} s. Written to {self.folder}/")
        width = max(len(name) for name, _ in self.files)
        for name, what in self.files:
            self.say(f"  {name:<{width}}  {what}")
