"""ContextTree: the exact Bayesian mixture over all variable-order Markov models up to a depth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from arproc.errors import ParameterError, check_integer
from arproc.models.ngram.adaptive.adaptive import ContextModel
from arproc.process.model import require_fitted

__all__ = ["ContextTree"]


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
        tokens: "word", "char", "byte", a `Vocabulary`, a tokenizer, None for data that are
            symbols already, or an int, how many numbers there are.
        alpha: of the Dirichlet distribution. 1/2 suits a few symbols; with many, of which few
            follow a context, take less (1 over their number, say).
        stop: the prior probability that a node is a leaf, in (0, 1).
        adaptive: whether the model goes on learning from each sequence it predicts (each begins
            with what fitting left); if not, it is as fitting left it.
        min_count: symbols that appear less often become `<unk>`.
        max_size: only so many symbols are kept, the most frequent ones.
        unknown: True for an open vocabulary, False for a closed one.
        end: whether sequences end; None takes one text for a stream.

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

    log_evidence_: float

    def __init__(
        self,
        depth: int,
        tokens: Any = "char",
        *,
        alpha: float = 0.5,
        stop: float = 0.5,
        adaptive: bool = True,
        min_count: int = 1,
        max_size: int | None = None,
        unknown: bool | None = None,
        end: bool | None = None,
    ) -> None:
        self.depth = depth
        self.tokens = tokens
        self.alpha = alpha
        self.stop = stop
        self.adaptive = adaptive
        self.min_count = min_count
        self.max_size = max_size
        self.unknown = unknown
        self.end = end

    @property
    def _depth(self) -> int:
        return self.depth

    @property
    def _method(self) -> tuple[int, tuple[float, float, bool]]:
        return 0, (float(self.alpha), math.log(self.stop) - math.log1p(-self.stop), False)

    def _check_parameters(self) -> None:
        check_integer("depth", self.depth, minimum=0)
        if not isinstance(self.alpha, (int, float)) or not 0 < self.alpha < math.inf:
            raise ParameterError(f"alpha must be a positive number; got {self.alpha!r}.")
        if not isinstance(self.stop, (int, float)) or not 0 < self.stop < 1:
            raise ParameterError(f"stop must be a probability between 0 and 1; got {self.stop!r}.")

    def _learnt(self, log_evidence: float) -> None:
        self.log_evidence_ = log_evidence

    # ---- the most probable tree --------------------------------------------------------------

    def map_tree(self) -> dict[tuple[Any, ...], np.ndarray]:
        """The maximum a posteriori tree: its leaves and what follows them.

        Leaves that were never seen are left out.

        Returns:
            For each leaf, a context in the order of the text (the last symbol last; None is the
            beginning of a sequence), the posterior mean of the next symbol's probabilities,
            float64 [V].
        """
        parent, symbol, _, stops = self._decided
        names: list[Any] = list(range(self.contexts_.symbols))
        if self.vocabulary is not None:
            names[: len(self.vocabulary.symbols)] = self.vocabulary.symbols
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
        return leaves

    @property
    def map_log_posterior(self) -> float:
        """Log of the posterior probability of `map_tree`, in nats."""
        values = self._decided[2]
        return float(values[0]) - self.log_evidence_ if len(values) else 0.0

    @property
    def _decided(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        from arproc.models.ngram.adaptive import context_kernels as kernels

        require_fitted(self)
        contexts = self.contexts_
        return kernels.most_probable(contexts.arrays, self.depth, contexts.symbols, self.stop)

    def _estimate(self, node: int) -> np.ndarray:
        contexts = self.contexts_
        counts = np.full(contexts.symbols, float(self.alpha))
        entry = contexts.head[node]
        while entry >= 0:
            counts[contexts.symbol[entry]] += contexts.count[entry]
            entry = contexts.next[entry]
        return counts / counts.sum()
