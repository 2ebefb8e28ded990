"""`compare`: paired differences between models on the same data, and what they show."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from arproc.contract.randomness import resolve_seed
from arproc.data.texts import listed
from arproc.errors import ParameterError, check_choice, check_count, check_names
from arproc.evaluation.bootstrap import Resampling
from arproc.evaluation.comparable import check_laws, check_tallies, same_elements
from arproc.evaluation.likelihood import BY
from arproc.evaluation.paired import Difference, over_sequences, paired_difference
from arproc.evaluation.tally import Tally, count
from arproc.evaluation.twins import check_near, twins_of
from arproc.process.model import Model, require_fitted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BOUNDED", "common_unit", "compare", "unit_sizes"]

ERRORS = ("t", "bootstrap")
#: In these units one spelling of a text costs at least what the text does.
BOUNDED = ("bits_per_byte", "nats_per_sequence")
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
    errors: str = "t",
    n_bootstrap: int = 2000,
    seed: int = 0,
    train: Any = None,
    near: float = 0.0,
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
        errors: "t", intervals by Student's law; or "bootstrap", by drawing the sequences (blocks
            of them, along them) again, the same ones for all models: studentised, for differences
            that are skew, as where few sequences make most of it.
        n_bootstrap: how many samples are drawn.
        seed: of these.
        train: what the models were fitted on, several sequences: then the scores of the test
            sequences that are not among these are told too.
        near: how much a copy of a training sequence may differ and still count as one; see
            `twins.twins_of`.

    Returns:
        One row a model, best first. Columns: `log_prob_nats`, the total; the cost in the unit,
        under the unit's name (lower is better); `difference_<unit>`, this model's cost less the
        reference's (above zero is worse), its standard error `se_<unit>` and 95% interval
        `low95_<unit>` to `high95_<unit>`; and `verdict`: "better" or "worse" than the
        reference where the interval excludes zero, else "no clear difference". What it is over
        is in `.attrs`. Where a tokenizer's tokens can spell a text in many ways, of which one was
        scored, a column `bound` says whose cost is an "upper bound" of the text's own and whose is
        "exact". With `train` also `<unit>_without_twins` and `verdict_without_twins`, of the
        sequences that do not stand there, against the same reference; `.attrs["n_twins"]` of them
        do.

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
    check_choice("errors", errors, ERRORS)
    near = check_near(near, train)
    laws = _checked_models(models, reference)
    check_laws(laws, given)
    options = {"offset": offset, "given": given, "complete": complete}
    resampling = _resampling(errors, n_bootstrap, seed)
    tallies = _counts(laws, listed(data, space=next(iter(laws.values())).space), context, options)
    check_tallies(tallies)
    unit = common_unit(tallies, unit)
    costs = {name: -tally.log_prob for name, tally in tallies.items()}
    names = sorted(laws, key=lambda name: float(costs[name].sum()))
    base = names[0] if reference is None else reference
    sizes, scale = unit_sizes(tallies[base], unit)
    rows = []
    for name in names:
        pair = (tallies[name], tallies[base])
        difference = paired_difference(*pair, sizes, scale, by, resampling)
        row = _row(tallies[name], sizes, scale, unit, difference)
        row["verdict"] = _verdict(row, unit, name == base, reference is None)
        rows.append(row)
    bounds = [name for name in names if tallies[name].is_bound]
    if bounds and unit in BOUNDED:
        for name, row in zip(names, rows, strict=True):
            row["bound"] = "upper bound" if name in bounds else "exact"
    table = _table(names, rows, tallies[base], base, by, errors)
    if train is not None:
        twins = twins_of(tallies[base], listed(train, "train", tallies[base].law.space), near)
        _add_without(table, tallies, base, sizes / scale, unit, twins, resampling)
    return table


def _resampling(errors: str, n_bootstrap: Any, seed: Any) -> Resampling | None:
    count = check_count("n_bootstrap", n_bootstrap, minimum=100)
    return Resampling(count, resolve_seed(seed)) if errors == "bootstrap" else None


def _add_without(
    table: pd.DataFrame,
    tallies: dict[str, Tally],
    base: str,
    sizes: np.ndarray,
    unit: str,
    twins: np.ndarray,
    resampling: Resampling | None,
) -> None:
    """The same of the sequences that are no twins, as more columns.

    Args:
        table: of `compare`.
        tallies: of every model.
        base: the model the others are compared with.
        sizes: of the sequences, by which nats are divided, [N].
        unit: the unit's name.
        twins: bool [N].
        resampling: of the bootstrap, if intervals are by that.
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
            apart = cost - theirs
        row = {unit: float(cost.sum()) / total}
        row |= over_sequences(apart, size, resampling).row(unit)
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
    return check_names("models", models)


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
            why = _lacking(tallies, unit)
            raise ParameterError(f"these models and data have no {unit}: {why}. They have {can}.")
        return unit
    if has["bits_per_byte"]:
        return "bits_per_byte"
    mass = every[0].sequences.space.measure == "mass"
    return "bits_per_dim" if mass and has["bits_per_dim"] else "nats_per_element"


def _lacking(tallies: dict[str, Tally], unit: str) -> str:
    """Why there is no such unit, and what to do for it."""
    if unit == "bits_per_dim":
        return "their sequences have no fixed size, or other elements"
    if unit != "bits_per_byte":
        return "their elements are different tokens, and bits_per_byte is what these share"
    name, tally = next((n, t) for n, t in tallies.items() if t.sizes is None or not t.sizes.sum())
    if tally.text is None:
        return f"the elements of {name!r} are no text; fit it to strings, with tokens='char', say"
    problem = tally.text.problem or "the first elements are given, and not their bytes"
    return f"of {name!r}, {problem}; tokens='char' or 'byte' hold every text"


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
    tally: Tally, sizes: np.ndarray, scale: float, unit: str, difference: Difference
) -> dict[str, Any]:
    total = float(tally.log_prob.sum())
    cost = -total * scale / float(sizes.sum())
    return {"log_prob_nats": total, unit: cost} | difference.row(unit)


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
    names: list[str], rows: list[dict[str, Any]], base: Tally, reference: str, by: str, errors: str
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
        "intervals": errors,
    }
    return table
