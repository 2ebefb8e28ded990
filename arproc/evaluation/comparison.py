"""`compare`: paired differences between models on the same data, and what they show."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.data.texts import listed
from arproc.errors import ParameterError, check_choice
from arproc.evaluation.comparable import check_laws, check_tallies, same_elements
from arproc.evaluation.likelihood import BY
from arproc.evaluation.standard_errors import MeanError, of_ratio, of_series, t_quantile
from arproc.evaluation.tally import Tally, count
from arproc.evaluation.text_units import byte_ends
from arproc.evaluation.twins import twins_of
from arproc.process.model import Model, require_fitted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["common_unit", "compare", "paired_difference", "unit_sizes"]

UNITS = (
    "nats_per_element",
    "bits_per_element",
    "bits_per_byte",
    "bits_per_dim",
    "nats_per_sequence",
)


def compare(
    models: Mapping[str, Model],
    data: Any,
    *,
    context: Any = None,
    offset: Any = None,
    given: int | None = None,
    complete: bool | None = None,
    reference: str | None = None,
    unit: str | None = None,
    by: str = "auto",
    train: Any = None,
) -> pd.DataFrame:
    """Compare models by the likelihood of the same data, with the errors of paired differences.

    Each difference is taken sequence by sequence (with fewer than ten sequences, along them,
    with an error that allows for dependence: `standard_errors.of_series`), so what makes a
    sequence hard for all models cancels. Text under different tokens is compared in bits per
    byte, for then the same strings have been given probabilities. Elements that are missing
    (NaN, where all models take them) are neither scored nor counted.

    Args:
        models: fitted models by name, at least two.
        data: what to compare on: nothing that any of them was fitted or chosen on.
        context: for the models that take one.
        offset: at which step the sequences begin, for models with a trend or seasons, as for
            `log_prob`.
        given: score each on what follows the first `given` elements; needed where models take
            different numbers of first values as given.
        complete: False for pieces cut out of longer sequences: no end terms are counted.
        reference: the model the others are compared with; by default the best.
        unit: one of "nats_per_element", "bits_per_element", "bits_per_byte", "bits_per_dim",
            "nats_per_sequence"; by default bits per byte for text, bits per dimension for discrete
            sequences of fixed size, and nats per element otherwise.
        by: what errors are taken over: "sequence", "element" or "auto".
        train: what the models were fitted on, several sequences: then the scores of the test
            sequences that are not among these are told too.

    Returns:
        One row a model, best first. Columns: `log_prob_nats`, the total; the cost in the unit,
        under the unit's name (lower is better); `difference_<unit>`, this model's cost less the
        reference's (above zero is worse), its standard error `se_<unit>` and 95% interval
        `low95_<unit>` to `high95_<unit>`; and `verdict`: "better" or "worse" than the
        reference where the interval excludes zero, else "no clear difference". What it is over
        is in `.attrs`. With `train` also `<unit>_without_twins` and `verdict_without_twins`, of
        the sequences that do not stand there, against the same reference; `.attrs["n_twins"]` of
        them do.

    Raises:
        NotComparableError: the likelihoods are not of the same thing; the message says why and
            what to do.

    Example:
        >>> import arproc
        >>> train, test = [0.3, 0.2, -0.4, -0.1, 0.3, 0.2], [0.1, 0.2, -0.1, -0.2, 0.1]
        >>> models = {f"AR({p})": arproc.AR(p).fit(train) for p in (0, 1)}
        >>> list(arproc.compare(models, test).columns)[:2]
        ['log_prob_nats', 'nats_per_element']
    """
    check_choice("by", by, BY)
    laws = _checked_models(models, reference)
    check_laws(laws, given)
    options = {"offset": offset, "given": given, "complete": complete}
    tallies = _counts(laws, listed(data, space=next(iter(laws.values())).space), context, options)
    check_tallies(tallies)
    unit = common_unit(tallies, unit)
    costs = {name: -tally.log_prob for name, tally in tallies.items()}
    names = sorted(laws, key=lambda name: float(costs[name].sum()))
    base = names[0] if reference is None else reference
    sizes, scale = unit_sizes(tallies[base], unit)
    rows = []
    for name in names:
        row = _row(tallies[name], tallies[base], sizes, scale, by, unit)
        row["verdict"] = _verdict(row, unit, name == base, reference is None)
        rows.append(row)
    table = _table(names, rows, tallies[base], base, by)
    if train is not None:
        twins = twins_of(tallies[base], listed(train, "train", tallies[base].law.space))
        _add_without(table, tallies, base, sizes / scale, unit, twins)
    return table


def _add_without(
    table: pd.DataFrame,
    tallies: dict[str, Tally],
    base: str,
    sizes: np.ndarray,
    unit: str,
    twins: np.ndarray,
) -> None:
    """The same of the sequences that are no twins, as more columns.

    Args:
        table: of `compare`.
        tallies: of every model.
        base: the model the others are compared with.
        sizes: of the sequences, by which nats are divided, [N].
        unit: the unit's name.
        twins: bool [N].
    """
    import pandas as pd

    kept, size = ~twins, sizes[~twins]
    table.attrs["n_twins"] = int(twins.sum())
    costs, verdicts = [], []
    for name in table.index:
        cost, theirs = (-tallies[which].log_prob[kept] for which in (name, base))
        total = float(size.sum())
        if total == 0:
            costs.append(math.nan)
            verdicts.append("all sequences are twins")
            continue
        with np.errstate(invalid="ignore"):
            difference = float((cost - theirs).sum()) / total
            error = of_ratio(cost - theirs, size)
        reach = t_quantile(error.df) * error.se
        row = {
            unit: float(cost.sum()) / total,
            f"difference_{unit}": difference,
            f"se_{unit}": error.se,
            f"low95_{unit}": difference - reach,
            f"high95_{unit}": difference + reach,
        }
        costs.append(row[unit])
        verdicts.append(_verdict(row, unit, name == base, best=False))
    table[f"{unit}_without_twins"] = pd.Series(costs, table.index)
    table["verdict_without_twins"] = pd.Series(verdicts, table.index)


def _checked_models(models: Any, reference: str | None) -> dict[str, Model]:
    if not isinstance(models, Mapping) or len(models) < 2:
        raise ParameterError(
            "models must be a dict of at least two models by name, {'a': model, 'b': other}; got "
            f"{type(models).__name__}"
            + (f" of {len(models)}." if isinstance(models, Mapping) else ".")
        )
    for name, law in models.items():
        if not isinstance(law, Model):
            raise ParameterError(f"model {name!r} must be an arproc model; got {law!r}.")
        require_fitted(law)
    if reference is not None and (not isinstance(reference, Hashable) or reference not in models):
        listed = ", ".join(repr(name) for name in models)
        raise ParameterError(f"reference must be one of {listed}; got {reference!r}.")
    return {str(name): law for name, law in models.items()}


def _counts(
    laws: dict[str, Model], data: Any, context: Any, shared: dict[str, Any]
) -> dict[str, Tally]:
    """Every model's tally; those that take no context get none."""
    tallies, refused = {}, None
    for name, law in laws.items():
        options: dict[str, Any] = {**shared, "name": repr(name)}
        try:
            tallies[name] = count(law, data, context=context, **options)
        except ParameterError as error:
            if context is None:
                raise
            refused = error
            tallies[name] = count(law, data, **options)
            continue
    if refused is not None and all(tally.context is None for tally in tallies.values()):
        raise refused
    return tallies


def common_unit(tallies: dict[str, Tally], unit: str | None) -> str:
    """The unit asked for, if every model has it; else the most comparable one."""
    every = list(tallies.values())
    alike = all(same_elements(every[0].sequences.space, t.sequences.space) for t in every[1:])
    has = {
        "nats_per_element": alike,
        "bits_per_element": alike,
        "bits_per_byte": all(t.sizes is not None and t.sizes.sum() for t in every),
        "bits_per_dim": alike and any(t.dims is not None for t in every),
        "nats_per_sequence": True,
    }
    if unit is not None:
        check_choice("unit", unit, UNITS)
        if not has[unit]:
            can = ", ".join(repr(name) for name, there in has.items() if there)
            raise ParameterError(f"these models and data have no {unit}; they have {can}.")
        return unit
    if has["bits_per_byte"]:
        return "bits_per_byte"
    mass = every[0].sequences.space.measure == "mass"
    return "bits_per_dim" if mass and has["bits_per_dim"] else "nats_per_element"


def unit_sizes(tally: Tally, unit: str) -> tuple[np.ndarray, float]:
    """How many units each sequence has, [N]; and by what nats are multiplied."""
    scale = 1 / math.log(2) if unit.startswith("bits") else 1.0
    if unit == "bits_per_byte":
        assert tally.sizes is not None
        return tally.sizes, scale
    if unit == "bits_per_dim":
        dims = int(np.prod(tally.sequences.space.event_shape, dtype=np.int64))
        return tally.counts * dims, scale
    return tally.counts if unit != "nats_per_sequence" else np.ones_like(tally.counts), scale


def _row(
    tally: Tally, base: Tally, sizes: np.ndarray, scale: float, by: str, unit: str
) -> dict[str, Any]:
    difference, error = paired_difference(tally, base, sizes, scale, by)
    reach = t_quantile(error.df) * error.se if tally is not base else 0.0
    return {
        "log_prob_nats": float(tally.log_prob.sum()),
        unit: float(-tally.log_prob.sum()) * scale / float(sizes.sum()),
        f"difference_{unit}": difference,
        f"se_{unit}": error.se,
        f"low95_{unit}": difference - reach,
        f"high95_{unit}": difference + reach,
    }


def paired_difference(
    tally: Tally, base: Tally, sizes: np.ndarray, scale: float, by: str
) -> tuple[float, MeanError]:
    """How much more a law costs per unit than another, and the error of that; 0 of itself."""
    if tally is base:
        return 0.0, MeanError(0.0, 0)
    with np.errstate(invalid="ignore"):
        total = float((base.log_prob - tally.log_prob).sum()) * scale
    return total / float(sizes.sum()), _error(tally, base, sizes, scale, by)


def _error(tally: Tally, base: Tally, sizes: np.ndarray, scale: float, by: str) -> MeanError:
    """The standard error of the difference per unit: along the sequences, or over them."""
    if tally.along(by) and base.along(by):
        pair = _paired(tally, base)
        if pair is not None:
            with np.errstate(invalid="ignore"):
                difference = (pair[1] - pair[0]) * scale
            error = of_series(difference)
            return MeanError(error.se * len(difference) / float(sizes.sum()), error.df)
    with np.errstate(invalid="ignore"):
        return of_ratio((base.log_prob - tally.log_prob) * scale, sizes)


def _paired(tally: Tally, base: Tally) -> tuple[np.ndarray, np.ndarray] | None:
    """Terms of both at the same places, in nats: element by element, or byte by byte of text."""
    if tally.terms is None or base.terms is None:
        return None
    if same_elements(tally.sequences.space, base.sequences.space):
        orders = [None if t.law.layout is None else t.law.layout.order for t in (tally, base)]
        return (tally.terms, base.terms) if orders[0] == orders[1] else None
    placed = [_by_byte(t) for t in (tally, base)]
    if placed[0] is None or placed[1] is None:
        return None
    return placed[0], placed[1]


def _by_byte(tally: Tally) -> np.ndarray | None:
    """Each term at its element's last byte (the end's at the text's), zeros between; [bytes]."""
    ends = byte_ends(tally.sequences)
    if ends is None or tally.terms is None or not len(ends):
        return None
    sequences = tally.sequences
    element = np.arange(len(sequences.values)) + np.repeat(
        (sequences.term_offsets - sequences.offsets)[:-1].numpy(), sequences.lengths.numpy()
    )
    is_element = np.zeros(len(tally.terms), dtype=bool)
    is_element[element] = True
    # an end's term stands right after its sequence's last element
    place = ends[np.maximum(is_element.cumsum() - 1, 0)] - 1
    return np.bincount(place, weights=tally.terms, minlength=int(ends[-1]))


def _verdict(row: dict[str, Any], unit: str, is_base: bool, best: bool) -> str:
    if is_base:
        return "best" if best else "reference"
    difference, cost = row[f"difference_{unit}"], row[unit]
    if math.isinf(difference):  # one of the two holds the data impossible
        return "worse" if difference > 0 else "better"
    if math.isnan(row[f"se_{unit}"]) and not math.isnan(difference):
        return "no standard error"
    # differences of the size of rounding are none
    rounding = 1e-9 * max(1.0, abs(cost))
    if row[f"low95_{unit}"] > rounding:
        return "worse"
    return "better" if row[f"high95_{unit}"] < -rounding else "no clear difference"


def _table(
    names: list[str], rows: list[dict[str, Any]], base: Tally, reference: str, by: str
) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(rows, index=pd.Index(names, name="model"))
    table.attrs = {
        "reference": reference,
        "n_sequences": len(base.sequences),
        "n_elements": int(base.counts.sum()),
        "n_ends": base.ends,
        "n_given": base.given,
        "n_missing": base.missing,
        "errors": "along the sequences" if base.along(by) else "over sequences",
    }
    return table
