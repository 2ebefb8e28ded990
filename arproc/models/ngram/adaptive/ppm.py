"""PPM: prediction by partial matching, the n-gram model of data compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from arproc.contract.checked import Number
from arproc.contract.storable import storable
from arproc.errors import check_choice, check_integer
from arproc.models.ngram.adaptive.contexts import Contexts
from arproc.models.ngram.adaptive.law import ContextLaw
from arproc.models.ngram.adaptive.model import ContextModel
from arproc.spaces import Categorical

__all__ = ["PPM", "PPMLaw"]


@storable
@dataclass(frozen=True, eq=False, repr=False)
class PPMLaw(ContextLaw):
    """See `PPM`.

    Attributes:
        escapes: "C" or "D", the method by which escape probabilities are set.
        update_exclusion: whether a symbol is counted only where it was predicted, and above.
    """

    escapes: Literal["C", "D"]
    update_exclusion: bool

    @property
    def method(self) -> tuple[int, tuple[float, float, bool]]:
        return (1 if self.escapes == "C" else 2), (0.0, 0.0, self.update_exclusion)


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
        tokens: how the data are cut into symbols: "word", "char", "byte", a `Vocabulary`, a
            tokenizer, None for data that are symbols already, or an int, how many numbers there
            are; or a `Tokens`, which also says which symbols are kept and whether sequences end.
        update_exclusion: whether a symbol is counted only in the context that predicted it and
            in longer ones (Moffat 1990), or in all.
        adaptive: whether the model goes on learning from each sequence it predicts (each begins
            with what fitting left); if not, it is as fitting left it.

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

    log_prequential_: Annotated[float, Number(high=0)]
    _evidence = "log_prequential"

    def __init__(
        self,
        order: int,
        method: Literal["C", "D"] = "D",
        tokens: Any = "char",
        *,
        update_exclusion: bool = True,
        adaptive: bool = True,
    ) -> None:
        self.order = order
        self.method = method
        self.tokens = tokens
        self.update_exclusion = update_exclusion
        self.adaptive = adaptive

    def _check_parameters(self) -> None:
        check_integer("order", self.order, minimum=0)
        check_choice("method", self.method, ("C", "D"))

    def _law(self, space: Categorical) -> PPMLaw:
        return PPMLaw(
            space, Contexts(space.size), self.order, bool(self.adaptive), self.method,
            bool(self.update_exclusion),
        )  # fmt: skip
