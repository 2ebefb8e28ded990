"""Learning curves: the likelihood of held-out data against how much a model was fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from arproc.contract.law import ChainLaw
from arproc.contract.sequences import Sequences
from arproc.data.texts import listed
from arproc.errors import (
    DataError,
    ParameterError,
    UnsupportedError,
    check_integer,
    check_list,
)
from arproc.evaluation.comparable import check_tallies
from arproc.evaluation.comparison import common_unit, unit_sizes
from arproc.evaluation.likelihood import mean_cost
from arproc.evaluation.paired import paired_difference
from arproc.evaluation.tally import Tally, count
from arproc.process import Model, Process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["learning_curve"]

#: How many sizes there are by default, each half of the next.
_SIZES = 6


def learning_curve(
    model: Model,
    train: Any,
    test: Any,
    *,
    sizes: Any = None,
    context: Any = None,
    test_context: Any = None,
    offset: Any = None,
    unit: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """How well the model predicts `test`, fitted anew on more and more of `train`.

    Of several sequences, random ones are taken, and larger sets hold the smaller ones; of a single
    sequence, its last elements, those nearest to what follows. All fits share the space (the
    vocabulary, say) of the whole of `train`, so their likelihoods are of the same things.

    Args:
        model: which is cloned and left as it is.
        train: sequences in any form that `fit` takes.
        test: sequences that are not among these.
        sizes: numbers of sequences of `train` (of elements, of a single one); by default six, each
            half of the next, up to all.
        context: of `train`, for models that take it.
        test_context: of `test`.
        offset: at which step `test` begins, as for `log_prob`.
        unit: as for `compare`.
        seed: of the order in which sequences are added.

    Returns:
        A row for each size, the smallest first: `size`, `n_elements` (that it was fitted on), the
        cost in the unit under its name (lower is better) and its standard error `se_<unit>`;
        `difference_<unit>`, this cost less that of the largest size, sequence by sequence, with
        `low95_<unit>` to `high95_<unit>`. `.attrs` has `unit` and what sizes count, `size_of`.

    Raises:
        DataError: a size is none, or the data are too short to be cut.

    Example:
        >>> import arproc
        >>> x = arproc.AR.from_parameters([0.8]).sample(1, length=600, seed=0)[0]
        >>> curve = learning_curve(arproc.AR(1), x[:400], x[400:], sizes=[50, 400])
        >>> curve[["size", "n_elements"]].values.tolist()
        [[50, 50], [400, 400]]
    """
    import pandas as pd

    if not isinstance(model, Model):
        raise ParameterError(f"model must be an arproc model; got {type(model).__name__}.")
    train = listed(train, "train")
    given = {} if context is None else {"context": context}
    full = model.clone().fit(train, **given)
    sequences = full.sequences(train, name="train", missing=full.law_.takes_missing)
    several = len(sequences) > 1
    prepared = full.read_context(context, sequences, int(sequences.n_terms.max()), None, "train")
    total = len(sequences) if several else int(sequences.lengths[0])
    asked = _sizes(sizes, total)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(sequences)))
    tallies, fitted_on = {}, []
    for size in asked:
        part, own = _part(sequences, prepared, order, size)
        fitted_on.append(int(part.lengths.sum()))
        held = full if size == total else _refitted(model, full, part, own, size)
        options = {"context": test_context, "offset": offset, "name": f"size {size}"}
        tallies[f"size {size}"] = count(held, test, **options)
    check_tallies(tallies)
    rows = _rows(list(tallies.values()), common_unit(tallies, unit))
    columns = {"size": asked, "n_elements": fitted_on}
    table = pd.DataFrame(columns).join(pd.DataFrame(rows))
    table.attrs = {
        "unit": common_unit(tallies, unit),
        "size_of": "sequences" if several else "elements",
    }
    return table


def _sizes(sizes: Any, total: int) -> list[int]:
    if sizes is None:
        halves = {max(1, total // 2**k) for k in range(_SIZES)}
        return sorted(halves)
    found = sorted(
        {check_integer("sizes", size, minimum=1) for size in check_list("sizes", sizes)}
    )
    if not found:
        raise ParameterError("sizes is empty; expected numbers of sequences or elements.")
    if found[-1] > total:
        raise DataError(f"sizes has {found[-1]}; train has {total}.")
    return found


def _part(
    sequences: Sequences, context: torch.Tensor | None, order: torch.Tensor, size: int
) -> tuple[Sequences, torch.Tensor | None]:
    """The sequences of one size, and their context."""
    if len(sequences) > 1:
        rows = order[:size].sort().values
        part = sequences.select(rows)
        part.weights = None if sequences.weights is None else sequences.weights[rows]
        part.seen = None if sequences.seen is None else sequences.seen[rows]
        return part, None if context is None else context[rows]
    first = int(sequences.lengths[0]) - size
    offsets = torch.tensor([0, size])
    part = Sequences(
        sequences.values[first:],
        offsets,
        sequences.space,
        sequences.complete,
        sequences.form,
        sequences.missing,
    )
    return part, context if context is None or context.ndim < 3 else context[:, first:]


def _refitted(
    model: Model, full: Model, part: Sequences, context: torch.Tensor | None, size: int
) -> Model:
    """The model fitted to a part, which reads data as the one fitted to all does."""
    if full.law_.counts_from_zero and len(part) == 1:
        raise UnsupportedError(
            f"{type(model).__name__} counts the t of its trend from the first element, so it can "
            "not be fitted to the last elements of one sequence; take the trend out of the data."
        )
    try:
        law = model.fitted_to(part, None, context).law_
    except DataError as error:
        raise DataError(f"with {size} of train: {error}") from None
    kind = Process if isinstance(law, ChainLaw) else Model
    return kind.of(law, full.fit_)


def _rows(tallies: list[Tally], unit: str) -> list[dict[str, float]]:
    """The costs and their differences to the last."""
    rows, base = [], tallies[-1]
    sizes, scale = unit_sizes(base, unit)
    for tally in tallies:
        cost, se = mean_cost(tally, sizes)
        apart = paired_difference(tally, base, sizes, scale).row(unit)
        rows.append(apart | {unit: cost * scale, f"se_{unit}": se * scale})
    order = [unit, f"se_{unit}", *(f"{name}_{unit}" for name in ("difference", "low95", "high95"))]
    return [{name: row[name] for name in order} for row in rows]
