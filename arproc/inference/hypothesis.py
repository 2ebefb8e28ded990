"""Tests of restrictions on estimated parameters, and covariances that do not trust the model.

Restrictions are linear in the parameters: R theta = r. They are written as in "ar.L2 = 0" or
"ar.L1 + ar.L2 = 1", by the names of `names_`, or given as the matrices (R, r).

References:
    White (1982), Maximum likelihood estimation of misspecified models, Econometrica 50. Newey,
    West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation
    consistent covariance matrix, Econometrica 55.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from arproc.errors import DataError, ParameterError, check_integer
from arproc.inference.delta import carried

if TYPE_CHECKING:
    from arproc.contract.law import ChainLaw

__all__ = ["HypothesisTest", "restriction_matrix", "wald"]


class HypothesisTest(NamedTuple):
    """What a test of restrictions found.

    Attributes:
        statistic: its value; chi-squared with `df` degrees of freedom where they hold.
        df: how many restrictions there are.
        p_value: the probability of so large a value where they hold.
    """

    statistic: float
    df: int
    p_value: float


def wald(
    estimates: np.ndarray, covariance: np.ndarray, names: list[str], restrictions: Any
) -> HypothesisTest:
    """See `Estimated.wald_test`."""
    from scipy.special import chdtrc

    matrix, target = restriction_matrix(restrictions, names)
    left = matrix @ estimates - target
    spread = carried(matrix, covariance)
    size = np.sqrt(np.diag(spread))
    if not (np.isfinite(spread).all() and (size > 0).all()):
        raise ParameterError(
            "restrictions are of parameters whose standard errors are not known or 0."
        )
    unit = spread / np.outer(size, size)
    if np.linalg.eigvalsh(unit)[0] < 1e-12:
        raise ParameterError("restrictions follow from each other; leave out those that do.")
    statistic = float((left / size) @ np.linalg.solve(unit, left / size))
    return HypothesisTest(statistic, len(left), float(chdtrc(len(left), statistic)))


# ---- restrictions -------------------------------------------------------------------------------


def restriction_matrix(restrictions: Any, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Restrictions as R [q, k] and r [q].

    Args:
        restrictions: a string such as "a = 0" or "a + 2*b = 1, c = d", a list of them, the
            matrices (R, r), or R alone where r is 0.
        names: of the parameters, [k].

    Example:
        >>> restriction_matrix("2*a - b = 1", ["a", "b"])
        (array([[ 2., -1.]]), array([1.]))
    """
    if isinstance(restrictions, str):
        restrictions = [restrictions]
    listed = isinstance(restrictions, (list, tuple)) and bool(restrictions)
    if listed and all(isinstance(part, str) for part in restrictions):
        rows = [row for text in restrictions for row in _parsed(text, names)]
        return np.array([row[:-1] for row in rows]), np.array([-row[-1] for row in rows])
    matrices = restrictions if isinstance(restrictions, tuple) else (restrictions, None)
    try:
        matrix = np.atleast_2d(np.asarray(matrices[0], dtype=float))
        target = np.zeros(len(matrix)) if matrices[1] is None else np.atleast_1d(matrices[1])
        target = np.asarray(target, dtype=float)
        right = matrix.shape == (len(target), len(names)) and target.ndim == 1
        right = right and bool(len(matrix)) and np.isfinite(matrix).all()
    except (TypeError, ValueError, IndexError):
        right = False
    if not right or not np.isfinite(target).all():
        raise ParameterError(
            "restrictions must be strings like 'ar.L1 = 0', or matrices (R, r) of shapes "
            f"(q, {len(names)}) and (q,); got {restrictions!r}."
        )
    return matrix, target


_NUMBER = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")


def _parsed(text: str, names: list[str]) -> list[np.ndarray]:
    """Rows [k + 1] that are to be 0: coefficients of the parameters, and a constant."""
    rows: list[np.ndarray] = []
    sides = [np.zeros(len(names) + 1)]
    sign, factor, place, pending, dividing = 1.0, 1.0, len(names), False, False

    def close() -> None:
        nonlocal sign, factor, place, pending
        if not pending:
            raise _unread(text, names, "a term is missing")
        sides[-1][place] += sign * factor
        sign, factor, place, pending = 1.0, 1.0, len(names), False

    def finish() -> None:
        close()
        if len(sides) < 2:
            raise _unread(text, names, "there is no '='")
        rows.extend(a - b for a, b in pairwise(sides))
        sides[:] = [np.zeros(len(names) + 1)]

    linked = True  # whether a factor may come now
    for kind, token in _tokens(text, names):
        if kind in ("name", "number"):
            if not linked or (kind == "name" and (place < len(names) or dividing)):
                raise _unread(text, names, f"{token!r} stands where it can not")
            if kind == "name":
                place = names.index(token)
            else:
                factor = factor / float(token) if dividing else factor * float(token)
            pending, linked, dividing = True, False, False
        elif token in "*/":
            if not pending or linked:
                raise _unread(text, names, f"{token!r} stands where it can not")
            linked, dividing = True, token == "/"
        else:
            if pending and linked:
                raise _unread(text, names, "a factor is missing")
            if token in "+-":
                if pending:
                    close()
                sign *= -1.0 if token == "-" else 1.0
            elif token == "=":
                close()
                sides.append(np.zeros(len(names) + 1))
            else:
                finish()
            linked = True
    if pending and linked:
        raise _unread(text, names, "a factor is missing")
    finish()
    return rows


def _tokens(text: str, names: list[str]) -> list[tuple[str, str]]:
    found, i = [], 0
    longest_first = sorted(names, key=len, reverse=True)
    while i < len(text):
        if text[i].isspace():
            i += 1
            continue
        name = next((name for name in longest_first if text.startswith(name, i)), None)
        number = _NUMBER.match(text, i)
        if name is not None:
            found.append(("name", name))
            i += len(name)
        elif number is not None:
            found.append(("number", number.group()))
            i = number.end()
        elif text[i] in "+-*/=,":
            found.append(("sign", text[i]))
            i += 1
        else:
            raise _unread(text, names, f"{text[i:].split()[0]!r} is no parameter")
    return found


def _unread(text: str, names: list[str], why: str) -> ParameterError:
    return ParameterError(
        f"restrictions {text!r} can not be read: {why}. The parameters are {', '.join(names)}; "
        "expected something like 'ar.L1 + ar.L2 = 1'."
    )


# ---- covariances --------------------------------------------------------------------------------


def robust_covariance(
    model: Any, kind: str, data: Any, lags: int | None, context: Any
) -> np.ndarray:
    """See `Estimated.covariance`."""
    if data is None:
        raise ParameterError(
            f"covariance of kind {kind!r} needs data=, what the model got to fit."
        )
    scores, counts = _scores(model, data, context)
    gradient = scores.sum(axis=0)
    if not float(gradient @ model.covariance_ @ gradient) < 1e-2:
        raise DataError(
            "the likelihood of data is not at its maximum at the estimates; expected the data "
            "that the model was fitted to."
        )
    meat = scores.T @ scores
    if kind == "opg":
        if np.linalg.matrix_rank(meat) < len(meat):
            raise DataError(
                f"the scores of data's {len(scores)} term(s) do not span the parameters; expected "
                "the data that the model was fitted to."
            )
        return np.linalg.inv(meat)
    if kind == "hac":
        n = len(scores)
        if lags is None:  # the rule of Newey and West (1994)
            lags = int(4 * (n / 100) ** (2 / 9))
        lags = check_integer("lags", lags, minimum=0)
        first = np.cumsum(counts) - counts
        place = np.arange(n) - np.repeat(first, counts)
        for lag in range(1, min(lags, n - 1) + 1):
            later = np.flatnonzero(place >= lag)  # products do not reach across sequences
            product = scores[later].T @ scores[later - lag]
            meat = meat + (1 - lag / (lags + 1)) * (product + product.T)
    return model.covariance_ @ meat @ model.covariance_


def _scores(model: Any, data: Any, context: Any) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the chain rule's terms by the parameters [n, k], and terms a sequence [N].

    By central differences of a ten-thousandth of the standard errors.
    """
    theta, errors = np.asarray(model.estimates_), np.sqrt(np.diag(model.covariance_))
    if not (np.isfinite(errors).all() and (errors > 0).all()):
        raise ParameterError("the model's standard errors are not all known and positive.")
    columns, counts = [], None
    for unit, error in zip(np.eye(len(theta)), errors, strict=True):
        ends = []
        for sign in (1.0, -1.0):
            moved = model._moved(theta + sign * 1e-4 * error * unit)
            law: ChainLaw = moved.law_
            sequences = moved.sequences(data, missing=law.takes_missing)
            longest = int(sequences.n_terms.max())
            prepared = moved.read_context(context, sequences, longest)
            with torch.no_grad():
                ends.append(law.checked_terms(sequences, prepared).cpu().numpy())
            counts = (sequences.n_terms - law.n_given).numpy()
        columns.append((ends[0] - ends[1]) / (2e-4 * error))
    assert counts is not None
    return np.stack(columns, axis=1), counts
