"""What a fit found out beside the law: how it was estimated, and from what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import numpy as np

from arproc.contract.checked import Array, Number, check_fields
from arproc.contract.law import Law
from arproc.contract.storable import storable
from arproc.data.form import FORMS
from arproc.data.labels import Labels
from arproc.errors import UnsupportedError

__all__ = ["Fit", "Learnt"]


@storable
@dataclass(frozen=True, eq=False)
class Fit:
    """The circumstances of a fit.

    Attributes:
        form: the form of the data, "numpy", "tensor", "text" ..., in which draws go back.
        names: the estimated parameters' names [k], where there are estimates.
        estimates: their values, in the data's own unit [k].
        covariance: the covariance of the estimates [k, k]; nan where it is not known.
        log_likelihood: `log_prob` of the data, nats.
        n_observations: of how many elements that is; given and missing ones do not count.
        labels: the names of columns and the dates of the data, with which later ones are aligned.
        notes: whatever else is worth keeping, by name: iterations, losses, profiles. All must be
            of the kinds that files hold.

    Example:
        >>> found = Fit(names=["rate"], estimates=np.array([2.0]), notes={"iterations": 3})
        >>> found.form, found.notes["iterations"], found.covariance is None
        ('numpy', 3, True)
    """

    form: str = "numpy"
    names: Sequence[str] | None = None
    estimates: Annotated[np.ndarray | None, Array("k", kind="real")] = None
    covariance: Annotated[
        np.ndarray | None, Array("k", "k", kind="real", nan=True, infinite=True)
    ] = None
    log_likelihood: Annotated[float | None, Number(infinite=True)] = None
    n_observations: Annotated[int | None, Number(low=0)] = None
    labels: Labels = Labels()  # noqa: RUF009 (it is immutable)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", _Notes(self.notes))
        check_fields(self)

    def problems(self) -> Iterator[str]:
        """What does not fit together in it, in sentences without their full stop."""
        if self.form not in FORMS:
            yield f"the data had the form {self.form!r}, which is none of {FORMS}"
        names = len(self.names or ())
        for what, values in (("estimates", self.estimates), ("covariance", self.covariance)):
            if values is not None and len(values) != names:
                yield f"there are {what} of {len(values)} parameters, and {names} names"
        if any(isinstance(name, str) and not is_unicode(name) for name in self.names or ()):
            yield "a parameter's name is no text (it holds half of a character)"


def is_unicode(text: str) -> bool:
    """Whether a text can be written: it has no surrogates, halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Notes(dict[str, Any]):
    """Notes by name; one that is not there is asked for where another model's fit was put."""

    def __missing__(self, name: str) -> Any:
        raise UnsupportedError(
            f"this fit tells nothing of {name!r}: it is another model's, or was put together by "
            "hand; fit the model."
        )


class Learnt(NamedTuple):
    """What a model holds once it is fitted; replaced whole."""

    law: Law
    fit: Fit
