r"""Forecast quantiles that carry the uncertainty of the parameters: the calibrated bootstrap.

The model simulates series like those it was fitted to, and a clone is fitted to each. With F and Q
the distribution function and the quantile of a future number under the fitted model, given the
history, and :math:`Q_b` its quantile under the clone b, given the same history, the level a of a
plug-in quantile is really met with the probability

.. math:: C(a) = \frac{1}{B} \sum_b F(Q_b(a)),

and the quantile reported for q is :math:`Q(C^{-1}(q))`, whose coverage errs by :math:`O(n^{-2})`
rather than :math:`O(n^{-1})`. (That is given the last values. The bias of the estimates stays, so
very short series are still covered a little too seldom at long horizons. Numbers merely drawn from
the clones would not do: the maximum likelihood estimate of a variance is too small by just about
what the spread of the means adds.)

References:
    Beran (1990), Calibrating prediction regions, JASA 85. Fonseca, Giummolè, Vidoni (2014),
    Calibrating predictive distributions, J. Stat. Comput. Simul. 84.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from arproc.contract.holder import Holder
from arproc.contract.law import ChainLaw
from arproc.contract.randomness import Uniforms
from arproc.contract.sequences import Sequences
from arproc.errors import ArprocError, ParameterError, UnsupportedError
from arproc.forecasting.marginals import Marginals, Plain

__all__ = ["Calibrated", "refitted"]

#: The levels at which the coverage is computed, as quantiles of the standard normal law.
_LADDER = torch.linspace(-8, 8, 257, dtype=torch.float64)


class Calibrated(Marginals):
    """The fitted model's marginals, their levels set to what bootstrap replicates really cover.

    The means stay the fitted model's.

    Args:
        fitted: the marginals under the fitted model.
        replicates: the same under each refitted one; read one by one, none is kept.
    """

    def __init__(self, fitted: Plain, replicates: Iterable[Plain]) -> None:
        self.fitted, self.mean, self.effective = fitted, fitted.mean, fitted.effective
        levels = torch.special.ndtr(_LADDER).to(self.mean.device)
        levels = levels.reshape(-1, *[1] * self.mean.ndim)
        coverage, count = torch.zeros(len(_LADDER), *self.mean.shape, dtype=torch.float64), 0
        for replicate in replicates:
            reached = replicate.spread_quantile(levels.to(self.mean.dtype))
            coverage += fitted.spread_cdf(reached).double().cpu()
            count += 1
        self.coverage = coverage / count

    def quantile(self, q: torch.Tensor) -> torch.Tensor:
        shape = torch.broadcast_shapes(q.shape, self.mean.shape)
        target = q.double().cpu().expand(shape)
        # the coverage grows with the level: the first rung that reaches the target
        flat = target.reshape(-1, self.mean.numel()).mT.contiguous()
        covered = self.coverage.reshape(len(_LADDER), -1).mT.contiguous()
        above = torch.searchsorted(covered, flat).clamp(1, len(_LADDER) - 1)
        # between two rungs normal scores are all but linear in one another
        low, high = (_score(covered.gather(1, rung)) for rung in (above - 1, above))
        share = ((_score(flat) - low) / (high - low)).clamp(0, 1).nan_to_num(nan=1.0)
        z = torch.lerp(_LADDER[above - 1], _LADDER[above], share)
        level = torch.special.ndtr(z).mT.reshape(shape).to(self.mean)
        # a whole number whose chance is the level to rounding reaches it
        return self.fitted.quantile(level * (1 - 1e-9) if self.fitted.whole else level)


def _score(probability: torch.Tensor) -> torch.Tensor:
    return torch.special.ndtri(probability.clamp(1e-300, 1 - 2.0**-53))


def refitted(
    process: Holder,
    history: Sequences,
    context: torch.Tensor | None,
    n_bootstrap: int,
    seed: int,
) -> Iterator[ChainLaw]:
    """The laws of clones of the process, each fitted to series that it itself simulates.

    The series are like those of `history`: as many, as long, with the same first values where
    these are given, the same context, and gaps where it has gaps. Where the process knows that it
    was fitted to another number of elements, they are one series of that many.

    Args:
        process: a fitted process; it is left alone.
        history: what it was fitted to.
        context: of the history.
        n_bootstrap: how many clones.
        seed: of the simulation.
    """
    if process.parameters_are_given:
        raise ParameterError(
            "parameter_uncertainty='bootstrap' needs parameters that were estimated; this "
            f"{type(process).__name__} was given its own. Leave parameter_uncertainty out."
        )
    example, context = _like_the_fit(process, history, context)
    done = failed = 0
    from tqdm import tqdm

    with tqdm(
        total=n_bootstrap,
        desc="bootstrap",
        unit="fit",
        delay=1.0,
        leave=False,
        disable=not sys.stderr.isatty(),
    ) as bar:
        while done < n_bootstrap:
            try:
                law = _refit(process, example, context, done + failed, seed)
            except UnsupportedError:
                raise
            except (ArprocError, np.linalg.LinAlgError) as error:
                failed += 1
                if failed > max(n_bootstrap, 10):
                    raise ParameterError(
                        f"parameter_uncertainty='bootstrap': {failed} of {done + failed} refits "
                        f"to simulated series failed, the last with: {error}"
                    ) from error
                continue
            yield law
            done += 1
            bar.update()


def _like_the_fit(
    process: Holder, history: Sequences, context: torch.Tensor | None
) -> tuple[Sequences, torch.Tensor | None]:
    """What the simulated series are to be like, and their context."""
    law = process.law_
    history.require_length(law.n_given, "history")
    if context is not None and law.context is not None and law.context.kind == "steps":
        context = context[:, : int(history.lengths.max())]
    there = ~history.values.isnan().reshape(len(history.values), -1).all(1)
    present = int(there.sum()) - len(history) * law.n_given
    fitted_to = getattr(process, "n_observations_", present)
    # an element of several numbers counts once or once for each
    if fitted_to in (present, present * max(1, history.values[:1].numel())):
        return history, context
    if context is not None and law.context is not None:
        raise ParameterError(
            "parameter_uncertainty='bootstrap' simulates the series that the model was fitted to, "
            f"{fitted_to} elements, and knows the context of the history's {present} alone. Fit "
            "the model to the history."
        )
    first = history.row(0)[: law.n_given]
    values = torch.cat([first, first.new_zeros((fitted_to, *first.shape[1:]))])
    return Sequences(values, torch.tensor([0, len(values)]), history.space), None


def _refit(
    process: Holder, example: Sequences, context: torch.Tensor | None, number: int, seed: int
) -> ChainLaw:
    """The law of a clone fitted to the replicate with this number."""
    law = process.law_
    n, given = len(example), law.n_given
    state = law.fresh(n, context)
    if given:
        first = example.padded(columns=(0, given))[0].to(law.device)
        state = state.extend(first)[1]
    rows = number * n + torch.arange(n)
    longest = int(example.lengths.max()) - given
    u = Uniforms(seed, "bootstrap").block(
        rows, state.positions.cpu().numpy(), longest, example.space.event_shape
    )
    with torch.no_grad():
        state = state.advance(u.to(law.device))[1]
        whole = state.history.padded()[0]
    values = torch.cat([whole[i, :t] for i, t in enumerate(example.lengths.tolist())])
    if example.values.is_floating_point():
        values = torch.where(example.values.isnan(), torch.nan, values)
    replicate = Sequences(
        values, example.offsets, example.space, example.complete, missing=example.missing
    )
    return process.refitted(replicate, context)
