"""What `fidelity` gives back: rows with verdicts, read as a table or printed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fidelity", "Judgement"]


@dataclass(frozen=True)
class Judgement:
    """One row.

    Attributes:
        name: of the row.
        family: "distribution", "dynamics", "together", "diversity", "novelty" or "usefulness".
        statistic: what the values are; of many, the one that differs most.
        train: its value there; NaN where it has none.
        holdout: the value that fresh real data have.
        synthetic: the value that is judged.
        low95: of its 95% interval, where it has one.
        high95: likewise.
        p_value: how often fresh real data would look at least as unlike; NaN where not tested.
        adjusted: the same allowing for the number of rows (Holm).
        p_holdout: that of the hold-out against train: the zero point of the row itself.
        passed: None where it was not tested.
        verdict: in words.
    """

    name: str
    family: str
    statistic: str
    train: float
    holdout: float
    synthetic: float
    low95: float
    high95: float
    p_value: float
    adjusted: float
    p_holdout: float
    passed: bool | None
    verdict: str


@dataclass(frozen=True)
class Fidelity:
    """Whether synthetic sequences can stand in for real ones; `print` shows the rows.

    Attributes:
        rows: one for each question; `result["marginal"]` is one of them.
        kind: how the data were read.
        n_train: how many units (sequences, rows, images, or blocks of one sequence).
        n_holdout: likewise; 0 without a hold-out.
        n_synthetic: likewise.
        alpha: the chance that fresh real data fail in any row.
        notes: how the data were read, and what to beware of.
    """

    rows: tuple[Judgement, ...]
    kind: str
    n_train: int
    n_holdout: int
    n_synthetic: int
    alpha: float
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no row that was tested failed."""
        return not self.failed

    @property
    def failed(self) -> list[str]:
        """The names of the rows that failed."""
        return [row.name for row in self.rows if row.passed is False]

    def __getitem__(self, name: str) -> Judgement:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no row {name!r}; there are {[row.name for row in self.rows]}")

    def to_frame(self) -> pd.DataFrame:
        """A table with one line a row, its index the rows' names."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows]).set_index("name")

    def __str__(self) -> str:
        sizes = f"{self.n_train} train, {self.n_holdout} hold-out, {self.n_synthetic} synthetic"
        lines = [f"{self.kind}: {sizes} units; fresh real data fail with chance {self.alpha:g}"]
        width = max(len(row.name) for row in self.rows)
        for row in self.rows:
            mark = {True: "pass", False: "FAIL", None: "  - "}[row.passed]
            told = ""
            if row.passed is not None:
                values = " ".join(
                    f"{label} {value:.4g}"
                    for label, value in (
                        ("train", row.train), ("hold-out", row.holdout),
                        ("synthetic", row.synthetic),
                    )
                    if not math.isnan(value)
                )  # fmt: skip
                told = f"  p {row.p_value:.4f}  {values}"
            lines.append(f"{mark}  {row.name:<{width}}{told}  {row.verdict}")
        tested = sum(row.passed is not None for row in self.rows)
        lines.append(
            f"{len(self.failed)} of {tested} rows that were tested fail"
            + (f": {', '.join(self.failed)}" if self.failed else "")
        )
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)
