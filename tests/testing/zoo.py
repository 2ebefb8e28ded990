"""Broken processes: each a healthy one with a single mistake, which the suite must find.

`ZOO` says for each which check names the mistake, and whether no other check sees it. For every
check there is one that it alone refuses, so no check can be left out.
"""

from __future__ import annotations

import torch

from arproc.contract.storable import storable
from arproc.distributions import Categorical
from arproc.distributions.shape import map_parameters
from arproc.errors import ArprocError
from arproc.process.torch_view import SequenceDistribution
from arproc.spaces import Categorical as Symbols
from arproc.spaces import Real

from . import gappy, outsized
from .broken import Broken
from .healthy import STATIC
from .healthy_states import Attention, Dots, Quantised, Urn
from .healthy_windows import Chain, Coin, Sentences, Shares
from .zoo_draws import DRAWS
from .zoo_laws import LAWS
from .zoo_masses import MASSES
from .zoo_more import MORE
from .zoo_states import STATES
from .zoo_tables import TABLES
from .zoo_use import USE

# ---- likelihood ---------------------------------------------------------------------------------


class Loud(Categorical):
    """A head whose probabilities add up to 1.05."""

    def log_prob(self, value):
        return super().log_prob(value) + 0.05


@map_parameters.register
def _(first: Loud, rest, change):
    return Loud(change([part.scores for part in (first, *rest)]))


class UnnormalisedHead(Chain):
    """Raw scores taken for log-probabilities."""

    def window(self, ctx, position):
        return Loud(super().window(ctx, position).scores)


class Beyond(Shares):
    """Numbers between 0 and 1 that are said to be any real ones: 1.3 has a density of NaN."""

    SPACE = Real()


class ForgottenEnd(Sentences):
    """Complete sequences are scored like incomplete ones: the end's term is left out."""

    def _log_prob(self, sequences, context):
        terms = self._log_prob_terms(sequences, context)
        parts = terms.split(sequences.n_terms.tolist())
        lengths = sequences.lengths.tolist()
        return torch.stack([part[:k].sum() for part, k in zip(parts, lengths, strict=True)])


class Float32Sum(Sentences):
    """Log-probabilities of long sequences are added up in float32."""

    def _log_prob(self, sequences, context):
        if int(sequences.n_terms.max()) < 40:
            return super()._log_prob(sequences, context)
        terms = self._log_prob_terms(sequences, context).float()
        parts = terms.split(sequences.n_terms.tolist())
        return torch.stack([part.sum() for part in parts]).double()


class RoundedHook(Urn):
    """The fast likelihood has a rounded copy of the parameters."""

    def _log_prob_terms(self, sequences, context):
        exact, self.prior_ = self.prior_, self.prior_ + torch.tensor([0.002, 0.0, 0.0])
        try:
            return super()._log_prob_terms(sequences, context)
        finally:
            self.prior_ = exact


class LeakyPadding(Urn):
    """The fast likelihood pads a batch on the left, and counts the padding as symbols 0."""

    def _log_prob_terms(self, sequences, context):
        lengths = sequences.lengths.tolist()
        terms = []
        for i, length in enumerate(lengths):
            pad = max(lengths) - length
            row = torch.nn.functional.pad(sequences.row(i), (pad, 0))
            seen = torch.nn.functional.one_hot(row, 3).double()
            before = self.prior_ + seen.cumsum(0) - seen
            terms.append(((before * seen).sum(-1) / before.sum(-1)).log()[pad:])
        return torch.cat(terms)


class BatchStatistics(Chain):
    """Scores are centred over the rows of the batch, as a batch normalisation left in training."""

    def window(self, ctx, position):
        scores = super().window(ctx, position).scores
        return Categorical(scores - 0.5 * scores.mean(0, keepdim=True))


class Detached(Quantised):
    """The element before is detached, so the gradient lacks the way through it."""

    def residuals(self, row):
        return torch.cat([row[:1], row[1:] - self.phi_ * row[:-1].detach()])


# ---- at the boundary ----------------------------------------------------------------------------


class ShiftedColumns(Chain):
    """`conditionals` gives the distribution after each element, not of it."""

    def conditionals(self, data, *, context=None):
        x, _ = self.sequences(data).padded()
        return Categorical(self.start(len(x)).extend(x)[0].scores[:, 1:])


class FlatView(SequenceDistribution):
    """Reads the user's array as if it were in the order of generation."""

    def log_prob(self, value):
        state = self.law.fresh(len(value), None)
        x = value.flatten(1).to(self.law.space.dtype)
        return state.extend(x[:, :-1])[0].log_prob(x).double().sum(-1)


class FlatDots(Dots):
    """The view as a torch distribution does not know the layout."""

    def distribution(self, length=None):
        return FlatView(self.law_, length)


class Float32Result(Attention):
    """The result is a float32."""

    def _log_prob(self, sequences, context):
        return super()._log_prob(sequences, context).float()


class DroppedBuffer(Chain):
    """Something learnt is in an attribute that is not saved."""

    bias = 0.0

    def _learn(self, g):
        super()._learn(g)
        self.bias = 0.5

    def window(self, ctx, position):
        return Categorical(super().window(ctx, position).scores + self.bias * torch.arange(3))


@storable
class AnySymbol(Symbols):
    """Symbols that are not looked at."""

    def problem(self, values):
        return None


class Trusting(Chain):
    """Symbols that do not exist are taken for the last one."""

    SPACE = AnySymbol(symbols=3)

    def window(self, ctx, position):
        return super().window(ctx.clamp(0, 3), position)


# ---- a law is a value ---------------------------------------------------------------------------


class SharedTilt(Chain):
    """Something learnt is kept in the class, for all models alike."""

    tilt = 0.0

    def _fit(self, sequences, *, validation, context):
        super()._fit(sequences, validation=validation, context=context)
        type(self).tilt = float(sequences.values.double().mean()) / 9

    def window(self, ctx, position):
        return Categorical(super().window(ctx, position).scores + self.tilt * torch.arange(3))


class Forgetful(Chain):
    """Data that are refused make it forget what it had learnt."""

    def fit(self, data, y=None, **more):
        try:
            return super().fit(data, y, **more)
        except ArprocError:
            vars(self).pop("_held", None)
            raise


class LiveScale(Coin):
    """The likelihood reads a parameter of the constructor as it is now."""

    def __init__(self, seed: int = 0, scale: float = 1.0) -> None:
        super().__init__(seed)
        self.scale = scale

    def log_prob(self, data, *, context=None):
        return super().log_prob(data, context=context) * self.scale


class EmptyCopies(Chain):
    """A copy has lost what was learnt."""

    def __deepcopy__(self, memo):
        return type(self)(self.seed)


# ---- the zoo ------------------------------------------------------------------------------------


ZOO: dict[str, Broken] = {
    "unnormalised head": Broken(UnnormalisedHead.made, "normalisation"),
    "undefined in part of the space": Broken(Beyond.made, "defined", alone=True),
    "forgotten end": Broken(ForgottenEnd.made, "normalisation"),
    "sum in float32": Broken(Float32Sum.made, "terms_sum", alone=True),
    "hook with rounded parameters": Broken(RoundedHook.made, "fast_terms", alone=True),
    "leak through padding": Broken(LeakyPadding.made, "batch_invariance", alone=True),
    "statistics of the batch": Broken(BatchStatistics.made, "batch_invariance"),
    "detached element": Broken(Detached.made, "gradient", alone=True),
    "columns shifted": Broken(ShiftedColumns.made, "conditionals", alone=True),
    "view without the layout": Broken(FlatDots.made, "distribution_view", alone=True),
    "result in float32": Broken(Float32Result.made, "in_kind", alone=True),
    "buffer not saved": Broken(DroppedBuffer.made, "save_and_load", alone=True),
    "learnt by the class": Broken(SharedTilt.made, "outlives_refit", alone=True),
    "forgets when refused": Broken(Forgetful.made, "refused_refit", alone=True),
    "a parameter read late": Broken(LiveScale.made, "parameters_set_later", alone=True),
    "copies without the law": Broken(EmptyCopies.made, "copies", alone=True),
    "unknown symbols taken": Broken(Trusting.made, "clear_errors", alone=True),
    **STATES,
    **DRAWS,
    **LAWS,
    **MASSES,
    "fast terms wrong after 100": Broken(outsized.CutTerms.made, "fast_terms", alone=True),
    "fast sum cut at 1000": Broken(outsized.CutSum.made, "terms_sum", alone=True),
    "fast sum in float32 for many": Broken(outsized.WideSum.made, "terms_sum", alone=True),
    "every ninth row": Broken(outsized.EightRows.made, "batch_invariance"),
    "whole blocks of rows": Broken(outsized.BlockOfRows.made, "batch_invariance", alone=True),
    "many rows of one length": Broken(outsized.EqualRows.made, "batch_invariance"),
    "append wrong after 2000": Broken(outsized.LateStep.made, "any_length", alone=True),
    "mass wrong after 2050": Broken(outsized.LateMass.made, "normalisation", alone=True),
    "a buffer of 64 rows": Broken(outsized.RowsBeyond.made, "any_width"),
    "append wrong in many rows": Broken(outsized.WideAppend.made, "any_width", alone=True),
    "sampler wrong after 40 draws": Broken(outsized.LateDraws.made, "fast_advance", alone=True),
    "sampler of 64 rows": Broken(outsized.WideDraws.made, "fast_advance"),
    "sample cut at 64": Broken(outsized.ShortSample.made, "samples", alone=True),
    "sample going round": Broken(outsized.RepeatedSample.made, "samples", alone=True),
    "cut state on a shared cache": Broken(outsized.SharedCache.made, "immutability", alone=True),
    "ragged extend in place": Broken(outsized.RaggedInPlace.made, "immutability", alone=True),
    "select that gives a view": Broken(outsized.AliasedSelect.made, "immutability", alone=True),
    "advance in place": Broken(outsized.AdvanceInPlace.made, "immutability"),
    "input written into": Broken(outsized.WrittenInput.made, "immutability"),
    "one start for all": Broken(outsized.SharedStart.made, "immutability"),
    "dropout left on": Broken(outsized.Dropout.made, "repeated_calls"),
    "terms kept by shape": Broken(outsized.KeptByShape.made, "repeated_calls"),
    "terms kept by address": Broken(outsized.KeptByAddress.made, "repeated_calls"),
    "gradients left on": Broken(outsized.LosesGradients.made, "repeated_calls", alone=True),
    "a running mean": Broken(outsized.RunningMean.made, "repeated_calls"),
    "time stands still in gaps": Broken(gappy.StandingStill.made, "missing_values", alone=True),
    "two missing in a row": Broken(gappy.OneGap.made, "missing_values", alone=True),
    "gap at the start": Broken(gappy.FirstGap.made, "missing_values", alone=True),
    "one row's gap for all": Broken(gappy.SharedGap.made, "missing_values", alone=True),
    "gaps longer than eight": Broken(gappy.LongGap.made, "missing_values", alone=True),
    "vector in part as if whole": Broken(
        gappy.IndependentParts.made, "missing_values", alone=True
    ),
    "vector in part as if missing": Broken(
        gappy.PartTakenForAll.made, "missing_values", alone=True
    ),
    "context of the first call": Broken(
        outsized.FirstContext.made, "repeated_calls", context=STATIC
    ),
    "context kept by shape": Broken(outsized.KeptContext.made, "repeated_calls", context=STATIC),
}

ZOO |= {name: Broken(*entry) for name, entry in USE.items()}
ZOO |= MORE | TABLES
