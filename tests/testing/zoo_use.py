"""Broken processes that go wrong where they are seldom called: forecasts, files, forms, policies.

Each is a healthy one with a single mistake; `USE` has them by name, for the zoo.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import distributions as td

from arproc.contract.storable import storable
from arproc.distributions import Categorical
from arproc.process import Process
from arproc.process.torch_view import SequenceDistribution
from arproc.sampling import Temperature, TopK

from .healthy_states import Foreseeing, ForeseeingState, Twins, TwinsLaw
from .healthy_windows import Chain, Coin, LinearWalk, Walk

# ---- forecasts ----------------------------------------------------------------------------------


class FrozenHorizon(Walk):
    """The spread stands still after the twelfth step."""

    def _predictive(self, state, horizon):
        right = super()._predictive(state, horizon)
        scale = right.scale.clone()
        scale[:, 12:] = scale[:, 11:12]
        return td.Normal(right.loc, scale, validate_args=False)


class LongestHistory(Walk):
    """Several histories are taken to be as long as the longest, padded with zeros."""

    def forecast(self, history, *args, **kwargs):
        if isinstance(history, list) and len(history) > 1:
            longest = max(map(len, history))
            history = [np.pad(row, (0, longest - len(row))) for row in history]
        return super().forecast(history, *args, **kwargs)


class LoosePaths(LinearWalk):
    """Paths are drawn step by step from the marginals."""

    def sample_paths(self, history, horizon, n_paths=1000, seed=None, **kwargs):
        table = super().sample_paths(history, horizon, n_paths, seed, **kwargs)
        steps = [np.roll(x, t) for t, x in enumerate(table.to_numpy())]
        table.iloc[:, :] = np.stack(steps)
        return table


class UnheededScenario(LinearWalk):
    """What is known of later steps does not change those before."""

    def forecast(self, history, horizon, quantiles=(0.05, 0.5, 0.95), seed=None, **kwargs):
        table = super().forecast(history, horizon, quantiles, seed, **kwargs)
        known = kwargs.pop("known", None)
        if known is not None and np.ndim(known) == 1 and not np.isnan(known).all():
            plain = super().forecast(history, horizon, quantiles, seed, **kwargs)
            first = int(np.argmax(~np.isnan(known)))
            table.iloc[:first] = plain.iloc[:first]
        return table


# ---- policies, stops, orders --------------------------------------------------------------------


class OnlyTemperatures(Chain):
    """Of policies only temperatures and the mass are heeded."""

    def with_policy(self, policy):
        return super().with_policy(Temperature(1.0) if isinstance(policy, TopK) else policy)


class Endless(Chain):
    """`stop` is left out."""

    def sample(self, n=1, length=None, prefix=None, policy=None, stop=None, *args, **kwargs):
        return super().sample(n, length, prefix, policy, None, *args, **kwargs)


@storable
class MisplacedLaw(TwinsLaw):
    """Another order permutes the parameters the wrong way round."""

    def in_order(self, ordering):
        right = super().in_order(ordering)
        back = torch.as_tensor(self.relative(ordering)).argsort()
        return replace(right, logits=self.logits[:, back])


def _misplaced():
    right = Twins.law_of(3)
    return Process.of(MisplacedLaw(right.logits, right.weights, right.order))


class SharedState(ForeseeingState):
    """What is foreseen is read from the first row's memory."""

    def _foresee(self, x):
        guess = super()._foresee(x).scores
        return Categorical(guess - (self.hidden - self.hidden[:1]) @ self.process.out_)


class SharedForesight(Foreseeing):
    """A buffer of one row, which all read."""

    def _start(self, n, context):
        return SharedState(torch.zeros(n, 5, dtype=torch.float64))


# ---- forms, and what is not the model's ---------------------------------------------------------


class HalfDetached(Chain):
    """One of two parameters has no gradient."""

    def _learn(self, g):
        super()._learn(g)
        self.bias_ = torch.linspace(-1, 1, 3, dtype=torch.float64)

    def window(self, ctx, position):
        return Categorical(super().window(ctx, position).scores + self.bias_.detach() ** 3)


class RowsOfFrames(Chain):
    """A DataFrame is read by its rows."""

    def log_prob(self, data, *, context=None):
        data = data.to_numpy() if hasattr(data, "columns") else data
        return super().log_prob(data, context=context)


class OneAtLeast(Chain):
    """No draws are one."""

    def sample(self, n=1, *args, **kwargs):
        return super().sample(n or 1, *args, **kwargs)


class SeedsNumPy(Chain):
    """The likelihood seeds NumPy's global generator."""

    def _log_prob(self, sequences, context):
        np.random.seed(0)  # noqa: NPY002
        return super()._log_prob(sequences, context)


class RoundsInPlace(Walk):
    """The likelihood rounds the user's array to twelve digits, in place."""

    def log_prob(self, data, *, context=None):
        if isinstance(data, np.ndarray) and data.dtype == np.float64 and data.flags.writeable:
            np.round(data, 12, out=data)
        return super().log_prob(data, context=context)


class Remembered(Walk):
    """Likelihoods are kept, and given out again as the same array."""

    def log_prob(self, data, *, context=None):
        if context is not None or not isinstance(data, np.ndarray) or data.ndim != 2:
            return super().log_prob(data, context=context)
        kept = vars(self).setdefault("_kept", {})
        key = (id(self.law_), data.tobytes(), data.shape)
        if key not in kept:
            kept[key] = super().log_prob(data)
        return kept[key]


# ---- files and views ----------------------------------------------------------------------------


class UnsavedSpread(Walk):
    """How far forecasts spread is kept in an attribute that is not saved."""

    spread = 1.3

    def _learn(self, g):
        super()._learn(g)
        self.spread = 1.0

    def _predictive(self, state, horizon):
        right = super()._predictive(state, horizon)
        return td.Normal(right.loc, right.scale * self.spread, validate_args=False)


class EqualDraws(SequenceDistribution):
    """Draws all rows alike."""

    def sample(self, sample_shape=()):
        one = super().sample((1,) * len(sample_shape))
        return one.expand(*sample_shape, *self.event_shape).clone()


class AlikeView(Coin):
    """The view as a torch distribution gives one draw again and again."""

    def distribution(self, length=None):
        return EqualDraws(self.law_, length)


#: name -> (a function that makes the process, the check that names its mistake, whether it alone)
USE: dict[str, tuple[Any, str, bool]] = {
    "forecasts of a frozen spread": (FrozenHorizon.made, "horizons", True),
    "histories padded to one length": (LongestHistory.made, "histories", True),
    "paths drawn from the marginals": (LoosePaths.made, "paths", True),
    "scenarios that look ahead only": (UnheededScenario.made, "scenarios", True),
    "policies that are not heeded": (OnlyTemperatures.made, "every_policy", True),
    "stop left out": (Endless.made, "stops", True),
    "an order the wrong way round": (_misplaced, "any_order", True),
    "foreseen by the first row": (SharedForesight.made, "foresight", True),
    "a parameter detached": (HalfDetached.made, "parameter_gradient", True),
    "frames read by rows": (RowsOfFrames.made, "input_forms", True),
    "a draw where none is asked for": (OneAtLeast.made, "no_rows", True),
    "NumPy seeded": (SeedsNumPy.made, "globals_alone", True),
    "data rounded in place": (RoundsInPlace.made, "inputs_alone", True),
    "results kept": (Remembered.made, "results_alone", True),
    "spread not saved": (UnsavedSpread.made, "save_and_load", True),
    "a view that draws one row": (AlikeView.made, "distribution_view", True),
}
