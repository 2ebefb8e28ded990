"""Whether the symbols of a text come in the order in which it is read."""

from __future__ import annotations

from arproc.contract.law import Law
from arproc.errors import UnsupportedError
from arproc.spaces import Categorical

__all__ = ["is_read_in_order", "require_reading_order"]


def is_read_in_order(law: Law) -> bool:
    """Whether elements come as they stand in the user's data; examples of any size may differ."""
    order = None if law.layout is None else law.layout.order
    return order is None or list(order) == list(range(len(order)))


def require_reading_order(law: Law, what: str) -> None:
    """Raise `UnsupportedError` where a law generates the symbols of texts in another order.

    Args:
        law: the law.
        what: what reads texts from left to right, for the message.
    """
    text = isinstance(law.space, Categorical) and law.space.vocabulary is not None
    if text and not is_read_in_order(law):
        raise UnsupportedError(
            f"{what} reads text from its beginning on, and this process generates the symbols in "
            'another order; use in_order("natural").'
        )
