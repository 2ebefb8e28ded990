"""Scenarios: forecasts in which some future values are taken for known."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch.distributions import MultivariateNormal

from arproc.contract.randomness import Uniforms
from arproc.errors import DataError, UnsupportedError
from arproc.testing.compare import agree
from arproc.testing.futures import continued, numbers, room, table_of
from arproc.testing.report import NotApplicable, fail
from arproc.testing.subject import Batch, Subject

__all__ = ["scenarios"]

_PATHS = 700
_LEVELS = (0.1, 0.5, 0.9)


def scenarios(subject: Subject) -> str:
    """`known=` gives the law of the other steps given those that are known.

    Nothing known is the plain forecast; what is known stays as it is; the first steps known are a
    longer history; a later step known is compared with the joint normal law, or with paths
    weighted by their chance of it.
    """
    known = max(subject.given, subject.short(9) - 5)
    horizon = room(subject, known, 6)
    if horizon < 3:
        raise NotApplicable("sequences are too short for it")
    batch = numbers(subject, 1, known, horizon, "scenarios")
    future = continued(subject, batch, known + horizon).x[0, known:].double().cpu().numpy()
    ask = _Asked(subject, batch, known, horizon, future)
    ask.nothing()
    ask.in_any_form(1)
    ask.of_several(1)
    off = ask.first_steps(2)
    return f"{off:.1e} against a longer history; {ask.later(horizon // 2)}"


class _Asked:
    """One history and what comes after it, [horizon, *event]."""

    def __init__(
        self, subject: Subject, batch: Batch, count: int, horizon: int, future: np.ndarray
    ) -> None:
        self.subject, self.batch, self.count, self.horizon = subject, batch, count, horizon
        self.future = future
        self.history = subject.as_user(batch.x[0])
        self.state = subject.start(batch, count)
        self.joint = subject.process.law_.joint(self.state, horizon)

    def table(self, known: Any, history: Any = None, horizon: int | None = None) -> np.ndarray:
        """A forecast [horizon, components, 1 + levels]."""
        process, horizon = self.subject.process, horizon or self.horizon
        history = self.history if history is None else history
        given = {} if known is None else {"known": known}
        table = process.forecast(
            history, horizon, _LEVELS, seed=3, context=self.batch.context, n_paths=_PATHS, **given
        )
        return table_of(self.subject, table, horizon, 1 + len(_LEVELS))[0]

    def only(self, steps: list[int]) -> np.ndarray:
        """The future of which only these steps are known."""
        known = np.full(self.future.shape, np.nan)
        known[steps] = self.future[steps]
        return known

    def nothing(self) -> None:
        agree(
            torch.as_tensor(self.table(self.only([]))),
            torch.as_tensor(self.table(None)),
            1e-9,
            "a scenario in which nothing is known to be the forecast",
            "NaN taken for a value",
            ("step (from 0)", "component", "column"),
        )

    def in_any_form(self, step: int) -> None:
        """A known step told by labels in another order; of a vector one component alone."""
        import pandas as pd

        known = self.only([step])
        steps = self._index()
        form = pd.Series if known.ndim == 1 else pd.DataFrame
        names = {} if known.ndim == 1 else {"columns": self._components()}
        labelled = form(known, steps, **names).iloc[::-1].iloc[: self.horizon - step]
        part = known.copy()
        part[..., 1:] = np.nan
        try:
            if known.ndim > 1:
                with suppress(UnsupportedError):  # of a law that is not conditioned on a part
                    got = self.table(part)[step, 0]
                    self._same(got, float(known[step, 0]), "one component that is known")
            want = self.table(known)
        except DataError:  # too unlikely for weighted paths, and refused in words
            return
        self._kept(want, [step])
        agree(
            torch.as_tensor(self.table(labelled)),
            torch.as_tensor(want),
            1e-9,
            "what is known, labelled by the steps to come, to be that in its place",
            "labels that are not looked at",
            ("step", "component", "column"),
        )

    def _index(self) -> Any:
        return self._plain().index

    def _components(self) -> Any:
        return self._plain().columns.get_level_values(0).unique()

    def _plain(self) -> Any:
        return self.subject.process.forecast(
            self.history, self.horizon, _LEVELS, seed=3, context=self.batch.context, n_paths=9
        )

    def _same(self, got: np.ndarray, want: float, what: str) -> None:
        agree(
            torch.as_tensor(got),
            torch.full(got.shape, want, dtype=torch.float64),
            1e-9,
            f"{what} to stay as it is, the mean and every quantile",
            "known values that are left out, or another series' taken for them",
        )

    def of_several(self, step: int) -> None:
        """Of two series one step of the second is known; paths keep what is known too."""
        process, event = self.subject.process, self.future.shape[1:]
        known = np.stack([self.only([]), self.only([step])])
        context = None if self.batch.context is None else self.batch.context[[0, 0]]
        more: dict[str, Any] = {"seed": 3, "context": context}
        given = [self.history, self.history]
        try:
            table = process.forecast(
                given, self.horizon, _LEVELS, known=known, n_paths=_PATHS, **more
            )
            paths = process.sample_paths(given, self.horizon, 9, known=known, **more)
        except DataError:
            return
        value = self.future[step].reshape(-1)
        lines = table_of(self.subject, table, self.horizon, 1 + len(_LEVELS), 2)[1, step]
        ways = table_of(self.subject, paths, self.horizon, 9, 2)[1, step]
        for j in range(int(np.prod(event, dtype=int))):
            self._same(lines[j], float(value[j]), "what is known of the second of two series")
            self._same(ways[j], float(value[j]), "what is known of the second, in paths,")

    def first_steps(self, count: int) -> float:
        """The first steps known against a history that has them."""
        got = self.table(self.only(list(range(count))))
        self._kept(got, list(range(count)))
        longer = np.concatenate([self.history, self.subject.as_user(torch.as_tensor(
            self.future[:count]))])  # fmt: skip
        want = self.table(None, longer, self.horizon - count)
        expected = f"the first {count} steps known to be as good as a history that has them"
        cause = "a scenario that is not conditioned on what is known, or in the wrong place"
        if isinstance(self.joint, MultivariateNormal):
            return agree(
                torch.as_tensor(got[count:]),
                torch.as_tensor(want),
                max(self.subject.tolerance, 1e-6),
                expected,
                cause,
                ("step after", "component", "column"),
            )
        if not np.isfinite(want[..., 0]).all():
            return 0.0
        # the distance of the 0.1 and the 0.9 quantile is well above the standard deviation
        spread = np.maximum(np.abs(want[..., -1] - want[..., 1]), 1e-9)
        if self.subject.space.measure == "mass":
            spread = np.maximum(spread, 0.5)
        return _near(got[count:, ..., 0], want[..., 0], spread, _PATHS / 2, expected, cause)

    def _kept(self, got: np.ndarray, steps: list[int]) -> None:
        shape = (len(steps), -1, 1)
        agree(
            torch.as_tensor(got[steps]),
            torch.as_tensor(self.future[steps].reshape(shape)).expand(got[steps].shape),
            1e-9,
            "what is known to stay as it is, the mean and every quantile",
            "known values that are read in another order, or drawn again",
            ("step", "component", "column"),
        )

    def later(self, step: int) -> str:
        """A later step known, against the joint law or weighted paths."""
        try:
            got = self.table(self.only([step]))
        except DataError as error:
            return f"a later step refused: {error}"
        self._kept(got, [step])
        expected = f"the steps beside step {step + 1}, which is known, to have their law given it"
        cause = "a scenario that leaves the steps before what is known as they were"
        others = [t for t in range(self.horizon) if t != step]
        if isinstance(self.joint, MultivariateNormal):
            mean, scale = self._conditioned(self.joint, step)
            pair = np.stack([mean, mean + 1.2815515655446004 * scale], -1)[others]
            off = agree(
                torch.as_tensor(got[others][..., [0, 3]]),
                torch.as_tensor(pair),
                1e-6,
                expected,
                cause,
                ("step", "component", "mean or 0.9 quantile"),
            )
            return f"{off:.1e} against the joint law"
        x, weights = self._weighted(step)
        worth = 1 / (weights**2).sum()
        if worth < 50:
            return "a later step is too unlikely to be compared"
        mean = np.tensordot(weights, x, 1)
        spread = np.sqrt(np.tensordot(weights, (x - mean) ** 2, 1))
        off = _near(got[others, ..., 0], mean[others], spread[others], worth / 2, expected, cause)
        return f"{off:.1f} standard errors from {worth:.0f} weighted paths"

    def _conditioned(self, joint: MultivariateNormal, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of all steps given one, [horizon, components]."""
        mean, covariance = joint.loc[0].numpy(), joint.covariance_matrix[0].numpy()
        size = len(mean) // self.horizon
        at = np.arange(step * size, (step + 1) * size)
        gain = covariance[:, at] @ np.linalg.inv(covariance[np.ix_(at, at)])
        value = self.future[step].reshape(-1)
        moved = mean + gain @ (value - mean[at])
        left = np.diag(covariance) - (gain * covariance[:, at]).sum(1)
        shape = (self.horizon, size)
        return moved.reshape(shape), np.sqrt(np.maximum(left, 0)).reshape(shape)

    def _weighted(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Paths [n, horizon, components], and their weights [n] given the known step."""
        n, space = 2 * _PATHS, self.subject.space
        state = self.state.select(torch.zeros(n, dtype=torch.int64))
        positions = state.positions.cpu().numpy()
        u = Uniforms(self.subject.seed + 1).block(range(n), positions, self.horizon,
                                                  space.event_shape)  # fmt: skip
        before, state = state.advance(u[:, :step].to(state.history.slots.device))
        value = torch.as_tensor(self.future[step]).to(before.dtype)
        fixed = value.expand(n, *space.event_shape)
        scores = state.conditional.log_prob(fixed).double()
        rest, _ = state.append(fixed).advance(u[:, step + 1 :].to(before.device))
        x = torch.cat([before, fixed[:, None], rest], dim=1).double()
        shape = (n, self.horizon, -1)
        return x.reshape(shape).cpu().numpy(), torch.softmax(scores, 0).cpu().numpy()


def _near(
    got: np.ndarray, want: np.ndarray, spread: np.ndarray, n: float, expected: str, cause: str
) -> float:
    """Means of n draws of that spread each; the largest difference in standard errors."""
    errors = np.abs(got - want) / np.maximum(spread * np.sqrt(2 / n), 1e-9)
    worst = np.unravel_index(int(errors.argmax()), errors.shape)
    if errors[worst] > 6:
        fail(
            expected,
            f"the mean at {tuple(int(i) for i in worst)} is {got[worst]:.6g} instead of "
            f"{want[worst]:.6g}, {errors[worst]:.1f} standard errors away",
            cause,
        )
    return float(errors[worst])
