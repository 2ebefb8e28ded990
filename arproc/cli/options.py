"""Arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Column",
    "DataFile",
    "Given",
    "Index",
    "Lines",
    "ModelFile",
    "ModelFiles",
    "Offset",
    "Out",
    "Seed",
]

DataFile = Annotated[
    Path,
    typer.Argument(
        help="Data: .csv, .tsv, .npy, or UTF-8 text (anything else; - is standard input). Tables "
        "and text may be compressed: .gz, .bz2, .xz, .zst."
    ),
]
ModelFile = Annotated[Path, typer.Argument(help="A model that `arproc fit` saved.")]
Column = Annotated[
    list[str] | None,
    typer.Option("--column", "-c", help="A column of a table; repeat for several. [all numeric]"),
]
Index = Annotated[
    str | None, typer.Option("--index", "-i", help="The column with the dates, or the steps.")
]
Lines = Annotated[bool, typer.Option("--lines", help="Each line of a text is a sequence.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write here. [standard output]")]
Given = Annotated[
    int | None, typer.Option(help="Score only what follows the first so many elements.")
]
Offset = Annotated[
    int | None,
    typer.Option(
        help="At which step the data begin, of a model with a trend or seasons. [by the index]"
    ),
]
Seed = Annotated[int | None, typer.Option(help="For the same result again.")]
ModelFiles = Annotated[list[Path], typer.Argument(help="Models that `arproc fit` saved.")]
