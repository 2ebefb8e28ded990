"""PPM: prediction by partial matching, the n-gram model of data compression."""

from __future__ import annotations

from typing import Any

from arproc.errors import check_choice, check_integer
from arproc.models.ngram.adaptive.adaptive import ContextModel

__all__ = ["PPM"]


class PPM(ContextModel):
    """Prediction by partial matching (Cleary and Witten 1984), with exclusion.

    The longest context that was seen predicts what followed it before, and escapes to the context
    one symbol shorter with a probability set by the method; symbols that longer contexts offered
    are excluded there. At last all symbols left are equally probable. With T different symbols
    after n in a context, a symbol seen c times has

    - method C (Moffat 1990): c / (n + T), and T / (n + T) escapes;
    - method D (Howard 1993): (2c - 1) / 2n, and T / 2n escapes;

    with n summed over the symbols that are not excluded, and T over all (Cleary and Teahan 1997,
    "Unbounded length contexts for PPM", table 1); where no symbol would be left, nothing escapes.
    After exclusion the shares of method D are divided by their sum.

    Args:
        order: the longest context.
        method: "C" or "D".
        tokens: "word", "char", "byte", a `Vocabulary`, a tokenizer, None for data that are
            symbols already, or an int, how many numbers there are.
        update_exclusion: whether a symbol is counted only in the context that predicted it and
            in longer ones (Moffat 1990), or in all.
        adaptive: whether the model goes on learning from each sequence it predicts (each begins
            with what fitting left); if not, it is as fitting left it.
        min_count: symbols that appear less often become `<unk>`.
        max_size: only so many symbols are kept, the most frequent ones.
        unknown: True for an open vocabulary, False for a closed one.
        end: whether sequences end; None takes one text for a stream.

    Attributes:
        contexts_: the contexts that were seen.
        log_prequential_: log-probability of the data of `fit`, predicted symbol by symbol from
            nothing, in nats.

    Example:
        >>> import arproc
        >>> model = arproc.PPM(2, "C").fit("abracadabra")
        >>> round(model.conditional("ra").probs[model.vocabulary.encode("c")].item(), 3)
        0.5
    """

    log_prequential_: float

    def __init__(
        self,
        order: int,
        method: str = "D",
        tokens: Any = "char",
        *,
        update_exclusion: bool = True,
        adaptive: bool = True,
        min_count: int = 1,
        max_size: int | None = None,
        unknown: bool | None = None,
        end: bool | None = None,
    ) -> None:
        self.order = order
        self.method = method
        self.tokens = tokens
        self.update_exclusion = update_exclusion
        self.adaptive = adaptive
        self.min_count = min_count
        self.max_size = max_size
        self.unknown = unknown
        self.end = end

    @property
    def _depth(self) -> int:
        return self.order

    @property
    def _method(self) -> tuple[int, tuple[float, float, bool]]:
        return (1 if self.method == "C" else 2), (0.0, 0.0, bool(self.update_exclusion))

    def _check_parameters(self) -> None:
        check_integer("order", self.order, minimum=0)
        check_choice("method", self.method, ("C", "D"))

    def _learnt(self, log_evidence: float) -> None:
        self.log_prequential_ = log_evidence
