"""ContextTree: the exact Bayesian mixture over all variable-order Markov models up to a depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np

from arproc.contract.checked import Number
from arproc.contract.storable import storable
from arproc.errors import check_flag, check_integer, check_number
from arproc.models.ngram.adaptive.contexts import Contexts
from arproc.models.ngram.adaptive.law import ContextLaw
from arproc.models.ngram.adaptive.model import ContextModel
from arproc.spaces import Categorical

__all__ = ["ContextTree", "ContextTreeLaw"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class ContextTreeLaw(ContextLaw):
    """See `ContextTree`.

    Attributes:
        alpha: of the Dirichlet distribution of what follows a leaf.
        stop: the prior probability that a node is a leaf.
    """

    alpha: Annotated[float, Number(above=0, high=1e12)]
    stop: Annotated[float, Number(above=0, below=1)]

    @property
    def method(self) -> tuple[int, tuple[float, float, bool]]:
        return 0, (self.alpha, math.log(self.stop) - math.log1p(-self.stop), False)

    @cached_property
    def map_tree(self) -> MapTree:
        """The maximum a posteriori tree; see `ContextTree.map_tree`."""
        from arproc.compiled.interpreted import suited
        from arproc.models.ngram.adaptive import context_kernels

        held = self.contexts
        kernels = suited(context_kernels, 10 * held.n_contexts)
        parent, symbol, values, stops = kernels.most_probable(
            held.arrays, self.depth, held.symbols, self.stop
        )
        names: list[Any] = list(range(held.symbols))
        if self.space.vocabulary is not None:
            names[: len(self.space.vocabulary.symbols)] = self.space.vocabulary.symbols
        names.append(None)
        inside = np.zeros(len(parent), bool)
        contexts: dict[int, tuple[Any, ...]] = {}
        leaves = {}
        for node in range(len(parent)):
            above = int(parent[node])
            inside[node] = node == 0 or (inside[above] and not stops[above])
            if not inside[node]:
                continue
            contexts[node] = () if node == 0 else (names[symbol[node]], *contexts[above])
            if stops[node]:
                leaves[contexts[node]] = self._estimate(node)
        return MapTree(leaves, float(values[0]) if len(values) else None)

    def _estimate(self, node: int) -> np.ndarray:
        """The posterior mean of what follows a leaf, float64 [V]."""
        contexts = self.contexts
        counts = np.full(contexts.symbols, self.alpha)
        entry = contexts.head[node]
        while entry >= 0:
            counts[contexts.symbol[entry]] += contexts.count[entry]
            entry = contexts.next[entry]
        return counts / counts.sum()


class MapTree(NamedTuple):
    """The leaves, {context: probabilities}, and the log of their prior times their evidence."""

    leaves: dict[tuple[Any, ...], np.ndarray]
    log_joint: float | None


class ContextTree(ContextModel):
    """Context-tree weighting (Willems, Shtarkov and Tjalkens 1995) over any alphabet.

    A *tree source* says for some set of contexts (the leaves of a tree of the last symbols) what
    comes next. The model is the mixture of all tree sources of contexts up to `depth`, each
    weighted by its prior: at each node the tree stops with probability `stop`. What follows a
    leaf has a Dirichlet(alpha, ..., alpha) prior; alpha = 1/2 is Krichevsky and Trofimov's
    estimator. Both are integrated out exactly, in time proportional to the depth.

    Before the first symbol of a sequence stands a mark of its own, with nothing before it.

    Args:
        depth: the longest context, D.
        tokens: how the data are cut into symbols: "word", "char", "byte", a `Vocabulary`, a
            tokenizer, None for data that are symbols already, or an int, how many numbers there
            are; or a `Tokens`, which also says which symbols are kept and whether sequences end.
        alpha: of the Dirichlet distribution. 1/2 suits a few symbols; with many, of which few
            follow a context, take less (1 over their number, say).
        stop: the prior probability that a node is a leaf, in (0, 1).
        adaptive: whether the model goes on learning from each sequence it predicts (each begins
            with what fitting left); if not, it is as fitting left it.

    Attributes:
        contexts_: the contexts that were seen.
        log_evidence_: log-probability of the data of `fit` under the mixture, in nats, predicted
            symbol by symbol from nothing: minus their code length.

    Example:
        >>> import arproc
        >>> coin = arproc.ContextTree.untrained(0, 2)
        >>> round(coin.log_prob([1, 1, 0]), 4)  # 1/2 * 3/4 * 1/6
        -2.7726
    """

    law_: ContextTreeLaw
    log_evidence_: Annotated[float, Number(high=0)]
    _evidence = "log_evidence"

    def __init__(
        self,
        depth: int,
        tokens: Any = "char",
        *,
        alpha: float = 0.5,
        stop: float = 0.5,
        adaptive: bool = True,
    ) -> None:
        self.depth = depth
        self.tokens = tokens
        self.alpha = alpha
        self.stop = stop
        self.adaptive = adaptive

    def _check_parameters(self) -> None:
        check_integer("depth", self.depth, minimum=0)
        check_number("alpha", self.alpha, above=0)
        check_number("stop", self.stop, above=0, below=1)
        check_flag("adaptive", self.adaptive)

    def _law(self, space: Categorical) -> ContextTreeLaw:
        return ContextTreeLaw(
            space, Contexts(space.size), self.depth, bool(self.adaptive), float(self.alpha),
            float(self.stop),
        )  # fmt: skip

    # ---- the most probable tree --------------------------------------------------------------

    def map_tree(self) -> dict[tuple[Any, ...], np.ndarray]:
        """The maximum a posteriori tree: its leaves and what follows them.

        Leaves that were never seen are left out.

        Returns:
            For each leaf, a context in the order of the text (the last symbol last; None is the
            beginning of a sequence), the posterior mean of the next symbol's probabilities,
            float64 [V].
        """
        return dict(self.law_.map_tree.leaves)

    @property
    def map_log_posterior(self) -> float:
        """Log of the posterior probability of `map_tree`, in nats."""
        joint = self.law_.map_tree.log_joint
        return 0.0 if joint is None else joint - self.log_evidence_
