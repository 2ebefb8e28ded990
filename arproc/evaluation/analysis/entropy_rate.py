"""The entropy rate of a process: what an element of it costs the best of all models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.contract.machine import Machine
from arproc.contract.randomness import Uniforms, resolve_seed
from arproc.contract.sequences import Sequences
from arproc.distributions import to
from arproc.errors import DataError, check_count
from arproc.evaluation.standard_errors import of_ratio
from arproc.evaluation.walk import Block, per_term
from arproc.process.process import Process, require_process
from arproc.sampling.ancestral import draw

__all__ = ["EntropyRate", "entropy_rate"]

#: A finite machine with more states than this is simulated.
_MOST_STATES = 512
#: By then a machine's steps are those of a sequence that has long begun.
_LATE = 1_000_000
_SQUARINGS = 60


@dataclass(frozen=True)
class EntropyRate:
    """An entropy rate.

    Attributes:
        nats: per element; the differential entropy of a density, which moves with the unit of the
            data and may be below 0.
        se: the standard error; 0 where it is exact.
        method: "exact", by the stationary law of a finite machine; "conditionals", the mean
            entropy of the conditionals along draws; or "surprisals", the mean of -log p there.
    """

    nats: float
    se: float
    method: str

    @property
    def bits(self) -> float:
        """Per element."""
        return self.nats / float(np.log(2))


def entropy_rate(
    model: Process,
    *,
    n: int = 64,
    length: int = 256,
    burn_in: int = 256,
    context: Any = None,
    offset: Any = None,
    seed: int | torch.Generator | None = 0,
) -> EntropyRate:
    """The entropy of an element given all before it, of the model's own sequences.

    No model can cost less per element on data of this process; the cost of the model on real data
    (`evaluate`) less this rate says how unlike its own sequences they are to it. Of sequences that
    end, and of examples of a fixed size, it is the entropy of a whole one over the mean number of
    its terms.

    Args:
        model: a fitted process.
        n: how many sequences are drawn, where it is no small finite machine (a Markov chain, an
            n-gram model of up to 512 states).
        length: the elements of each that are looked at, of endless ones.
        burn_in: the elements before these.
        context: what the draws are conditioned on, for models that take it.
        offset: at which step they begin, as for `log_prob`.
        seed: of the draws.

    Returns:
        The rate. For an autoregression with normal innovations every late conditional has the same
        entropy, so the simulated mean is exact, log(2 pi e sigma^2) / 2.

    Raises:
        DataError: the conditionals are not those of numbers.

    Example:
        >>> import arproc
        >>> rate = entropy_rate(arproc.AR.from_parameters([0.5], sigma2=1.0), n=2, length=10)
        >>> round(rate.nats, 6), round(float(np.log(2 * np.pi * np.e) / 2), 6)
        (1.418939, 1.418939)
    """
    process = require_process(model, "entropy_rate")
    n = check_count("n", n, minimum=2)
    length, burn_in = check_count("length", length, minimum=1), check_count("burn_in", burn_in)
    law = process.law_
    machine = law.machine()
    exact = None if machine is None or law.space.length is not None else _of_machine(machine, law)
    if exact is not None:
        return EntropyRate(exact, 0.0, "exact")
    endless = not law.space.terminates and law.space.length is None
    if law.n_given:
        raise DataError(
            f"{type(model).__name__} begins after its first {law.n_given} given values, so it has "
            "no sequences of its own. Fit it with a law of its beginning, or condition it on one: "
            "model.condition(prefix)."
        )
    prepared = process.read_context(context, n, (burn_in + length) * endless, offset)
    with torch.no_grad():
        state, limit = law.fresh(n, prepared), burn_in + length if endless else law.space.length
        x, lengths, complete = draw(state, Uniforms(resolve_seed(seed)), limit, None, law.space)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cpu().cumsum(0)])
    inside = torch.arange(x.shape[1]) < lengths.cpu()[:, None]
    sequences = Sequences(x[inside.to(x.device)], offsets, law.space, complete.cpu())
    values = per_term(process, sequences, prepared, _entropies).numpy()
    counts = sequences.n_terms.numpy()
    rows = np.repeat(np.arange(n), counts)
    late = np.arange(len(rows)) - np.repeat(counts.cumsum() - counts, counts)
    kept = late >= burn_in * endless
    whole = bool(np.isfinite(values[:, 0]).all())
    own = values[kept, 0 if whole else 1]
    totals, sizes = np.bincount(rows[kept], own, n), np.bincount(rows[kept], minlength=n)
    nats = float(totals.sum() / sizes.sum())
    if not np.isfinite(nats):
        raise DataError("the conditionals have no finite entropy, so there is no rate.")
    se = of_ratio(totals, sizes).se
    return EntropyRate(nats, se if se > 1e-13 else 0.0, "conditionals" if whole else "surprisals")


def _entropies(block: Block) -> torch.Tensor:
    """The entropy of each conditional, NaN where it has no closed form, and -log p."""
    conditionals = to(block.conditionals, dtype=torch.float64)
    x = block.x.double() if block.x.is_floating_point() else block.x
    surprisal = -conditionals.log_prob(x)
    try:
        entropy = conditionals.entropy().expand(surprisal.shape)
    except NotImplementedError:
        entropy = torch.full_like(surprisal, torch.nan)
    return torch.stack([entropy, surprisal], dim=-1)


def _of_machine(machine: Machine, law: ChainLaw) -> float | None:
    """The rate of a finite machine that goes on for ever; None where it has many states.

    One that ends begins anew, so the rate is that of whole sequences over their mean length.
    """
    found = _chain(machine, law.space.end)
    if found is None:
        return None
    steps, scores = found
    stationary = _stationary(steps)
    probs = np.exp(scores)
    entropy = -(probs * np.where(probs > 0, scores, 0.0)).sum(axis=1)
    return float(stationary @ entropy)


def _chain(machine: Machine, end: int | None) -> tuple[np.ndarray, np.ndarray] | None:
    """The law of the next state [S, S], and the log-probabilities of symbols in each, [S, V].

    The states before a sequence has long begun are told apart from later ones by their step.
    """
    early = getattr(machine, "order", None) if machine.settled is None else machine.settled
    if early is None:
        return None
    numbers: dict[tuple[int, ...], int] = {}

    def number(state: torch.Tensor, step: int) -> int:
        key = (min(step, early), *state.tolist())
        if key not in numbers:
            numbers[key] = len(numbers)
            frontier.append((state, step))
        return numbers[key]

    frontier: list[tuple[torch.Tensor, int]] = []
    edges, rows = [], []
    start = machine.start()
    number(start[0], 0)
    while frontier:
        state, step = frontier.pop(0)
        if len(numbers) > _MOST_STATES:
            return None
        late = step if step < early else _LATE
        scores = machine.scores(state[None], late)[0]
        rows.append(scores.numpy())
        symbols = torch.arange(len(scores))[torch.isfinite(scores)]
        nexts = machine.follow(state[None].expand(len(symbols), -1), symbols, late)
        for symbol, after in zip(symbols.tolist(), nexts, strict=True):
            target = 0 if symbol == end else number(after, step + 1)
            edges.append((len(rows) - 1, target, float(scores[symbol].exp())))
    steps = np.zeros((len(numbers), len(numbers)))
    for a, b, p in edges:
        steps[a, b] += p
    return steps, np.stack(rows)


def _stationary(steps: np.ndarray) -> np.ndarray:
    """The share of time in each state, begun in the first, [S].

    Of the chain that stays where it is every other time: it has the same law and no periods.
    """
    power = (np.eye(len(steps)) + steps) / 2
    for _ in range(_SQUARINGS):
        power = power @ power
        power /= power.sum(axis=1, keepdims=True)
    return power[0]
