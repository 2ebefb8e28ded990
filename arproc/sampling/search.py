"""Search for probable sequences: beams, the best of several draws, and exactly by Viterbi."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.contract.holder import Holder, require_chain
from arproc.contract.law import ChainLaw
from arproc.contract.machine import log_probs
from arproc.contract.sequences import Sequences
from arproc.contract.state import State
from arproc.data.form import Form, restore
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_count,
    check_number,
)
from arproc.sampling.ancestral import begun, check_length
from arproc.sampling.constraints.constraint import Constraint
from arproc.sampling.evidence import Memory, Setting, Terms, impossible
from arproc.sampling.finite import Graph, explored
from arproc.sampling.messages import messages
from arproc.sampling.policies import Policy, PolicyLaw

__all__ = ["Hypotheses", "beam_search", "best_of", "best_path"]

#: Without a length, beams are followed so far.
_MOST = 10_000


class Hypotheses(NamedTuple):
    """Sequences that a search found, the best first.

    Attributes:
        x: the sequences, as `sample` gives them; a prefix is not repeated.
        log_prob: of each given the prefix, nats, [n]: exact, an end counted.
        score: what they are ordered by, [n].
        complete: whether each came to its own end, [n].
    """

    x: Any
    log_prob: np.ndarray
    score: np.ndarray
    complete: np.ndarray


class _Hypothesis(NamedTuple):
    score: float
    log_prob: float
    elements: torch.Tensor
    complete: bool


@torch.no_grad()
def beam_search(
    process: Holder,
    n: int = 1,
    width: int = 10,
    length: int | None = None,
    prefix: Any = None,
    policy: Policy | None = None,
    *,
    length_penalty: float = 0.0,
    context: Any = None,
    offset: Any = None,
) -> Hypotheses:
    """The most probable sequences that a beam finds (Lowerre 1976).

    At each step the `width` most probable beginnings are kept. It finds the best sequences for
    certain only if nothing was dropped; `best_path` does so for processes of finite memory.

    Args:
        process: a process of symbols.
        n: how many sequences, at most `width`.
        width: how many beginnings are kept.
        length: how many elements at most; needed for streams, and with a length penalty.
        prefix: what they continue, one sequence.
        policy: a policy to search under; a constraint's, say. All figures are then of the law
            under it.
        length_penalty: sequences are ordered by their log-probability over the number of their
            terms (an end counts) to this power: 0 is the log-probability, 1 its mean per term.
        context: what they are conditioned on.
        offset: at which step they begin, as for `log_prob`.

    Returns:
        The best first; fewer than n where there are not so many. Sequences that reach `length`
        before their end are among them.

    Example:
        >>> import arproc
        >>> texts = ["the cat", "the hat", "a cat"] * 3
        >>> text = arproc.NGram(3, "witten_bell", tokens="char").fit(texts)
        >>> found = beam_search(text, 2, width=30)
        >>> found.x
        ['the cat', 'a cat']
        >>> bool(abs(found.log_prob[0] - text.log_prob("the cat")) < 1e-9)
        True
    """
    law = require_chain(process, "beam_search")
    width = check_count("width", width, minimum=1)
    n = check_count("n", n, minimum=1)
    if n > width:
        raise ParameterError(f"n is {n}, more than width, which is {width}.")
    check_number("length_penalty", length_penalty, low=0)
    known = None if prefix is None else process.known(prefix)
    state, limit = _begin(process, law, known, length, policy, context, offset)
    if limit is None and length_penalty:
        raise ParameterError(
            "length is needed with length_penalty: longer sequences, of however small a "
            "probability, may always have a higher score."
        )
    found = _Beam(state, n, width, limit, length_penalty).run()
    if not found:
        raise DataError("nothing can be found: all that could come has probability zero.")
    return _told(process, found, known)


def _begin(
    process: Holder,
    law: ChainLaw,
    known: Sequences | None,
    length: int | None,
    policy: Policy | None,
    context: Any,
    offset: Any,
) -> tuple[State, int | None]:
    """The state that a search begins in, and how many elements may come."""
    if known is not None and len(known) != 1:
        raise ParameterError(f"a search is for one prefix; got {len(known)}.")
    had = torch.zeros(1, dtype=torch.int64) if known is None else known.lengths
    if int(had[0]) < law.n_given:
        raise DataError(f"prefix= is needed: this law begins after {law.n_given} given values.")
    limits = check_length(law.space, length, had)
    limit = None if limits is None else int(limits[0])
    of = 1 if known is None else known
    prepared = process.read_context(context, of, int(had[0]) + (limit or 0), offset, "prefix")
    under = law if policy is None else PolicyLaw.under(law, policy)
    return begun(under, 1, known, prepared, False), limit


class _Beam:
    def __init__(
        self, state: State, n: int, width: int, limit: int | None, penalty: float
    ) -> None:
        self.state, self.n, self.width, self.limit, self.penalty = state, n, width, limit, penalty
        space = state.law.space
        self.end, self.dtype = space.end, space.dtype
        self.whole = None if space.length is None else limit
        self.log_prob = torch.zeros(1, dtype=torch.float64)
        self.elements = torch.zeros((1, 0), dtype=self.dtype)
        self.found: list[_Hypothesis] = []

    def run(self) -> list[_Hypothesis]:
        """The n best, the best first."""
        steps = 0
        while steps != self.limit and len(self.log_prob) and not self._settled():
            if self.limit is None and steps >= _MOST:
                raise ParameterError(
                    f"length is needed: after {_MOST:,} elements the search has not come to an "
                    "end. Pass length=, the number of elements at most."
                )
            self._step()
            steps += 1
        if steps == self.limit:
            self._cut()
        return self.found

    def _settled(self) -> bool:
        """Whether nothing that is still open can come among the n best."""
        if len(self.found) < self.n:
            return False
        best, most = float(self.log_prob.max()), (self.limit or 0) + int(self.end is not None)
        bound = best / most**self.penalty if self.penalty else best
        return bound <= self.found[-1].score

    def _next(self) -> torch.Tensor:
        """The log-probabilities of beginnings with one more symbol, [rows, symbols]."""
        columns, _ = self.state.extend(self.elements[:, :0])  # which leaves dead ends dead
        return log_probs(columns)[:, 0] + self.log_prob[:, None]

    def _step(self) -> None:
        total = self._next()
        if self.end is not None:
            for i in (total[:, self.end] > -torch.inf).nonzero()[:, 0].tolist():
                self._add(float(total[i, self.end]), self.elements[i], True)
            total[:, self.end] = -torch.inf
        kept = min(self.width, total.numel())
        best, flat = total.flatten().topk(kept)
        flat = flat[best > -torch.inf]
        rows, symbols = flat // total.shape[1], flat % total.shape[1]
        self.log_prob = best[: len(flat)]
        x = symbols.to(self.dtype)
        self.elements = torch.cat([self.elements[rows], x[:, None]], dim=1)
        self.state = self.state.select(rows).append(x)

    def _cut(self) -> None:
        """Take what has the full length, ended there or not."""
        ended = None
        if self.end is not None and len(self.log_prob):
            ended = self._next()[:, self.end]
        for i, log_prob in enumerate(self.log_prob.tolist()):
            if ended is not None and bool(ended[i] > -torch.inf):
                self._add(float(ended[i]), self.elements[i], True)
            if ended is None or float(ended[i]) < log_prob - 1e-12:  # else it ends for certain
                self._add(log_prob, self.elements[i], self.whole is not None)

    def _add(self, log_prob: float, elements: torch.Tensor, complete: bool) -> None:
        terms = len(elements) + int(complete and self.end is not None)
        score = log_prob / max(terms, 1) ** self.penalty
        self.found.append(_Hypothesis(score, log_prob, elements, complete))
        self.found.sort(key=lambda h: -h.score)
        del self.found[self.n :]


def _told(process: Holder, found: list[_Hypothesis], known: Sequences | None) -> Hypotheses:
    law = process.law_
    lengths = torch.tensor([len(h.elements) for h in found])
    x = torch.nn.utils.rnn.pad_sequence([h.elements for h in found], batch_first=True)
    form = Form("tensor" if process.fit_.form == "tensor" else "numpy")
    shown = restore(x, lengths, law.space, form, law.layout if known is None else None)
    columns = ([h.log_prob for h in found], [h.score for h in found], [h.complete for h in found])
    return Hypotheses(shown, *(np.array(column) for column in columns))


def best_of(
    process: Any,
    n: int,
    length: int | None = None,
    prefix: Any = None,
    policy: Policy | None = None,
    stop: Any = None,
    seed: int | torch.Generator | None = None,
    *,
    score: Callable[[Any], Any] | None = None,
    length_penalty: float = 0.0,
    context: Any = None,
) -> Hypotheses:
    """N draws, those of the highest score first.

    Args:
        process: any process.
        n: how many draws.
        length: as for `sample`, like `prefix`, `policy`, `stop`, `seed` and `context`.
        prefix: what they continue.
        policy: to draw under; what is scored is the probability under the process itself.
        stop: what cuts them.
        seed: an int or a `torch.Generator`.
        score: a function of the draws that gives a number for each, higher being better; by
            default their log-probability under the process.
        length_penalty: the log-probability is divided by the number of elements to this power.
        context: what they are conditioned on.

    Example:
        >>> import arproc
        >>> texts = ["the cat", "the hat", "a cat"] * 3
        >>> text = arproc.NGram(3, "witten_bell", tokens="char").fit(texts)
        >>> best_of(text, 50, seed=0).x[0]
        'the cat'
        >>> most = best_of(text, 50, seed=0, score=lambda draws: [x.count("a") for x in draws])
        >>> float(most.score[0])
        3.0
    """
    n = check_count("n", n, minimum=1)
    check_number("length_penalty", length_penalty, low=0)
    draws = process.sample(
        n, length, prefix, policy, stop, seed, return_log_prob=True, context=context
    )
    log_prob = np.asarray(draws.log_prob, dtype=float)
    if score is None:
        counts = np.array([max(len(row), 1) for row in draws.x], dtype=float)
        scores = log_prob / counts**length_penalty
    else:
        scores = np.asarray(score(draws.x), dtype=float)
        if scores.shape != (n,):
            raise ParameterError(
                f"score must give one number a draw, [{n}]; got the shape {list(scores.shape)}."
            )
    order = np.argsort(-scores, kind="stable")
    x = [draws.x[i] for i in order] if isinstance(draws.x, list) else draws.x[order]
    return Hypotheses(x, log_prob[order], scores[order], np.asarray(draws.complete)[order])


@torch.no_grad()
def best_path(
    process: Holder,
    length: int | None = None,
    constraint: Constraint | None = None,
    policy: Policy | None = None,
) -> Hypotheses:
    """The most probable sequence, exactly (Viterbi 1967).

    Args:
        process: of symbols and of finite memory: an n-gram model, a mixture of them, one of these
            after a prefix (`model.condition(prefix)`).
        length: how many elements it has, of streams; of others how many it has at most.
        constraint: which sequences are meant; all by default.
        policy: a policy without memory, or with one that is finite.

    Raises:
        UnsupportedError: the process or the constraint has no finite memory.
        DataError: no sequence keeps the constraint.

    Example:
        >>> import arproc
        >>> text = arproc.NGram(3, "witten_bell", tokens="char").fit(["cat", "hat", "cattle"] * 2)
        >>> best_path(text).x, best_path(text, constraint=arproc.sampling.Regex("h.*e")).x
        (['cat'], ['hattle'])
    """
    law = require_chain(process, "best_path")
    law = law if policy is None else PolicyLaw.under(law, policy)
    space = law.space
    if space.length is not None:
        raise UnsupportedError(
            "best_path is for n-gram models; sequences of this process have one size. "
            "beam_search looks for probable ones."
        )
    limits = check_length(space, length, torch.zeros(1, dtype=torch.int64))
    # one step more, in which the end of those of the full length must come
    steps = None if limits is None else int(limits) + int(space.terminates)
    kept: Terms = _Whole(space.terminates)
    if constraint is not None:
        kept = constraint.bound(Setting(law, steps, lambda x: x))
    symbols, log_prob = _best(explored(law, kept, steps, "best_path"))
    if log_prob == -math.inf:
        raise DataError("no sequence that keeps the constraint has a probability above zero.")
    elements = torch.tensor(symbols, dtype=space.dtype)
    found = _Hypothesis(log_prob, log_prob, elements, space.end is not None)
    return _told(process, [found], None)


class _Whole(Terms):
    """That a sequence comes to its end, if the law has one."""

    horizon = None
    settled = 0

    def __init__(self, ends: bool) -> None:
        self.ends = ends

    def finish(self, own: Memory, step: int, ended: bool) -> torch.Tensor:
        return impossible(torch.full((len(own),), self.ends and not ended))


def _best(graph: Graph) -> tuple[list[int], float]:
    """The most probable way from the start to an end: its symbols and log-probability."""
    found = messages(graph, best=True)
    symbols, node, step = [], 0, 0
    while step != graph.steps:
        layer, after = graph.at(step), found[min(step + 1, len(found) - 1)]
        if found[min(step, len(found) - 1)][node] <= layer.end[node]:
            break
        edges = layer.edges(node)
        at = edges.start + int((layer.score[edges] + after[layer.target[edges]]).argmax())
        symbols.append(int(layer.symbol[at]))
        node, step = int(layer.target[at]), step + 1
    return symbols, float(found[0][0])
