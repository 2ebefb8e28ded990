"""`fidelity`: synthetic data against those that the model saw and those that it did not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from arproc.errors import ParameterError, check_count, check_integer, check_list, check_number
from arproc.evaluation.several import holm
from arproc.evaluation.synthetic.pool import Pool
from arproc.evaluation.synthetic.reading import plain, read_sets
from arproc.evaluation.synthetic.result import Fidelity, Judgement
from arproc.evaluation.synthetic.rows import ROWS, Row
from arproc.evaluation.synthetic.sets import HOLDOUT, NAMES, SYNTHETIC, TRAIN
from arproc.evaluation.synthetic.study import Finding, Study
from arproc.process import Model

__all__ = ["fidelity"]


def fidelity(
    train: Any,
    holdout: Any,
    synthetic: Any,
    *,
    kind: str = "auto",
    season: int | None = None,
    judge: Model | None = None,
    rows: Iterable[str] | None = None,
    alpha: float = 0.05,
    permutations: int = 999,
    seed: int = 0,
) -> Fidelity:
    r"""Whether synthetic sequences are like real ones, varied, new and useful.

    Each row asks one question and tests one hypothesis: that the synthetic units are fresh draws
    of the law that the real ones came from, independent of train. Nearly all are permutation
    tests, exact for independent units; a row of many statistics is judged by the largest
    standardised difference, and the p-values of all rows are adjusted by Holm's method. So fresh
    data of the true law fail in any row at all with a chance of at most `alpha`. A pass says that
    no difference was found with so many units; it is no proof that there is none.

    Args:
        train: what the model was fitted on.
        holdout: real data that it never saw, of the same law: the zero point of novelty and
            privacy. None leaves those rows out, and says so.
        synthetic: what is judged.
        kind: "series" (numbers: [T], [N, T], a list, a Series, a DataFrame with time down),
            "vectors" ([T, d], [N, T, d], a list of [T, d]), "table" (rows of columns of any kind),
            "images" ([N, H, W] or [N, H, W, channels]), "symbols" (whole numbers, or lists of
            strings) or "text". "auto" takes a DataFrame without dates in its index for a table,
            arrays of one and two axes for series, of three for vectors (bytes: images). With
            fewer than twenty sequences, long ones are cut into blocks.
        season: how many steps a season has; None looks for one.
        judge: a fitted model, neither of train and synthetic data's, by whose likelihood they are
            compared.
        rows: names of rows, or of families ("distribution", "dynamics", "together", "diversity",
            "novelty", "usefulness"); None asks all that this kind of data has.
        alpha: the chance that fresh real data fail in any of them.
        permutations: how many, for each row; with alpha=0.05, forty times the rows at least.
        seed: of all that is random: the same data give the same result.

    Returns:
        The rows: the worst statistic of each with its value in train, hold-out and synthetic data,
        p-values and verdict. `print` shows them, `.to_frame()` is a table, `.failed` names those
        that failed.

    Raises:
        DataError: the sets can not be compared: other columns, other shapes, other lengths, or
            too few units (eight at least); the message says which.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> train, holdout, fresh = (rng.normal(size=(60, 30)) for _ in range(3))
        >>> fidelity(train, holdout, fresh).passed
        True
        >>> fidelity(train, holdout, 2 * fresh)["level and spread"].verdict
        'standard deviation is too high'
        >>> "longest copy" in fidelity(train, holdout, train[:40]).failed
        True
    """
    season = None if season is None else check_count("season", season, minimum=2)
    _checked(judge, alpha)
    permutations = check_count("permutations", permutations, minimum=1)
    seed = check_integer("seed", seed, minimum=0)
    given = {TRAIN: train, HOLDOUT: holdout, SYNTHETIC: synthetic}
    if judge is not None:  # an iterator can be read once
        given = {g: None if x is None else plain(x, NAMES[g]) for g, x in given.items()}
    pool = read_sets(given[TRAIN], given[HOLDOUT], given[SYNTHETIC], kind)
    sets = {group: data for group, data in given.items() if data is not None}
    study = Study(pool, sets, judge, season, permutations, seed)
    asked = _asked(pool.kind, rows)
    _check_permutations(permutations, len(asked), alpha)
    found = [row.run(study) for row in asked]
    p = np.array([float("nan") if isinstance(f, str) else f.p_value for f in found])
    adjusted = holm(p)
    judged = [_judgement(*one, alpha) for one in zip(asked, found, adjusted.tolist(), strict=True)]
    return Fidelity(
        rows=tuple(judged),
        kind=pool.kind,
        n_train=len(pool.of(TRAIN)),
        n_holdout=len(pool.of(HOLDOUT)),
        n_synthetic=len(pool.of(SYNTHETIC)),
        alpha=alpha,
        notes=_notes(pool, study),
    )


def _checked(judge: Any, alpha: Any) -> None:
    if judge is not None and not isinstance(judge, Model):
        raise ParameterError(f"judge must be a fitted arproc model; got {type(judge).__name__}.")
    check_number("alpha", alpha, above=0, below=1)


def _asked(kind: str, names: Iterable[str] | None) -> list[Row]:
    """The rows of this kind of data that are asked for.

    Raises:
        ParameterError: a name is none of these rows'.
    """
    of_kind = [row for row in ROWS if kind in row.kinds]
    if names is None:
        return of_kind
    wanted = [names] if isinstance(names, str) else check_list("rows", names)
    known = dict.fromkeys([*(row.family for row in of_kind), *(row.name for row in of_kind)])
    for name in wanted:
        if not isinstance(name, str) or name not in known:
            raise ParameterError(
                f"rows has {name!r}, which is no row or family of {kind}; expected some of "
                f"{', '.join(map(repr, known))}."
            )
    if not wanted:
        raise ParameterError("rows is empty; expected some, or None for all.")
    return [row for row in of_kind if row.name in wanted or row.family in wanted]


def _check_permutations(permutations: int, rows: int, alpha: float) -> None:
    """Raise unless there are enough for any row to fail: a row may take the best of two tests."""
    least = int(2 * rows / alpha)
    if permutations < least:
        raise ParameterError(
            f"permutations={permutations} gives no p-value below {1 / (permutations + 1):.2g}, so "
            f"that none of {rows} rows could fail at alpha={alpha:g}; expected at least {least}."
        )


def _judgement(row: Row, found: Finding | str, adjusted: float, alpha: float) -> Judgement:
    nan = float("nan")
    if isinstance(found, str):
        return Judgement(
            row.name, row.family, "", nan, nan, nan, nan, nan, nan, nan, nan, None,
            f"not tested: {found}",
        )  # fmt: skip
    passed = not adjusted <= alpha
    return Judgement(
        row.name, row.family, found.statistic, found.train, found.holdout, found.synthetic,
        found.low95, found.high95, found.p_value, adjusted, found.p_holdout, passed,
        "no difference found" if passed else found.verdict,
    )  # fmt: skip


def _notes(pool: Pool, study: Study) -> tuple[str, ...]:
    notes = list(pool.notes)
    if not study.has_holdout:
        notes.append("no hold-out: novelty, privacy and usefulness are not judged")
    return tuple(notes)
