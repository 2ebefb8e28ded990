"""`arproc report`: saved models and a file as one page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arproc.cli.options import Column, DataFile, Given, Index, Lines, ModelFiles, Offset
from arproc.errors import ParameterError

if TYPE_CHECKING:
    from arproc.evaluation import Fidelity

__all__ = ["report"]


def report(
    data: DataFile,
    model: ModelFiles,
    out: Annotated[Path, typer.Option("--out", "-o", help="Write the page here.")],
    column: Column = None,
    index: Index = None,
    lines: Lines = False,
    given: Given = None,
    offset: Offset = None,
    title: Annotated[str | None, typer.Option(help="Of the page. [the file's name]")] = None,
    train: Annotated[
        Path | None,
        typer.Option(help="What the models were fitted on: copies of it in DATA are counted."),
    ] = None,
    synthetic: Annotated[
        Path | None,
        typer.Option(help="Synthetic data, judged against --train with DATA as the hold-out."),
    ] = None,
    samples: Annotated[int, typer.Option(help="How many draws of each model are shown.")] = 3,
    length: Annotated[int | None, typer.Option(help="Elements in each. [as the data]")] = None,
    shape: Annotated[
        str | None, typer.Option(help="Of one image, where rows are its pixels: 8,8.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Saved models on one file as a page of HTML: ranking, calibration, pictures, samples.

    For example:

    arproc report held-out.txt ngram.arproc small.arproc --lines --out report.html

    arproc report digits.npy made.arproc --train train.npy --shape 8,8 --out report.html
    """
    import arproc
    from arproc.cli import files, models

    files.check_out(out)
    sides = None if shape is None else _sides(shape)
    if synthetic is not None and train is None:
        raise ParameterError("--synthetic needs --train, the data that it is judged against.")
    laws = models.load_named(model)
    whole = any(files.holds_table(law) for law in laws.values())

    def read(path: Path) -> Any:
        return files.read(path, column, index, lines, whole=whole)

    scored = read(data)
    known = None if train is None else read(train)
    found = arproc.report(
        laws,
        scored,
        title=str(data.name) if title is None else title,
        given=given,
        offset=offset,
        train=known,
        fidelity=None if synthetic is None else _judged(known, scored, read(synthetic), synthetic),
        samples=samples,
        length=length,
        shape=sides,
        seed=seed,
    )
    found.save(out)
    print(found)
    print(f"saved to {out}")


def _judged(train: Any, holdout: Any, synthetic: Any, path: Path) -> dict[str, Fidelity]:
    import arproc

    return {path.name: arproc.fidelity(train, holdout, synthetic)}


def _sides(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(side) for side in text.split(","))
    except ValueError:
        raise ParameterError(
            f"--shape must be whole numbers with commas, as 8,8; got {text!r}."
        ) from None
