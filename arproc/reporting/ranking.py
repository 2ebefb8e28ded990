"""The leaderboard: what each model's likelihood costs, and the paired differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arproc.errors import ParameterError
from arproc.evaluation import compare, evaluate
from arproc.evaluation.comparison import BOUNDED
from arproc.plot import leaderboard
from arproc.reporting.case import Case
from arproc.reporting.page import Section, items, number, paragraph, table
from arproc.reporting.pictures import picture

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ranked", "section", "unit_of"]

_MOST_DRAWN = 40


def unit_of(ranking: pd.DataFrame) -> str:
    """The unit of a leaderboard's costs."""
    return str(ranking.columns[1])


def ranked(case: Case, options: dict[str, Any]) -> pd.DataFrame:
    """The table of `compare`; of one model alone, a table of the same form with its cost.

    Args:
        case: the subject.
        options: `reference`, `unit`, `by` and `train`, as for `compare`.
    """
    shared: dict[str, Any] = {
        "context": case.context,
        "offset": case.offset,
        "given": case.given,
        "complete": case.complete,
        "by": options["by"],
        "train": options["train"],
    }
    if len(case.models) > 1:
        more = {"reference": options["reference"], "unit": options["unit"]}
        return compare(case.models, case.data, **shared, **more)
    return _alone(case, options["unit"], shared)


def _alone(case: Case, unit: str | None, shared: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    name, model = next(iter(case.models.items()))
    found = evaluate(model, case.data, **shared)
    costs = {u: getattr(found, u) for u in ("bits_per_byte", "bits_per_dim", "nats_per_element",
                                            "bits_per_element")}  # fmt: skip
    costs["nats_per_sequence"] = -found.log_prob_nats / found.n_sequences
    has = [u for u, cost in costs.items() if cost is not None]
    if unit is not None and unit not in has:
        raise ParameterError(f"this model and data have no unit {unit!r}; they have {has}.")
    if unit is None:
        mass = ("bits_per_byte", "bits_per_dim") if found.measure == "mass" else ()
        unit = next((u for u in mass if u in has), "nats_per_element")
    row = {
        "log_prob_nats": found.log_prob_nats,
        unit: costs[unit],
        f"se_{unit}": getattr(found, f"{unit}_se", float("nan")),
        "verdict": "alone",
    }
    without = getattr(found, f"{unit}_without_twins", None)
    if found.n_twins is not None:
        row[f"{unit}_without_twins"] = float("nan") if without is None else without
    if found.bits_per_byte_is_bound and unit in BOUNDED:
        row["bound"] = "upper bound"
    ranking = pd.DataFrame([row], index=pd.Index([name], name="model"))
    ranking.attrs = {
        "reference": name,
        "n_sequences": found.n_sequences,
        "n_elements": found.n_elements,
        "n_ends": found.n_ends,
        "n_given": case.starts_at(name),
        "n_missing": 0,
        "errors": found.error_from,
        "notes": found.notes,
    }
    if found.n_twins is not None:
        ranking.attrs["n_twins"] = found.n_twins
    return ranking


def section(ranking: pd.DataFrame) -> Section:
    """The leaderboard as a part of the page."""
    unit = unit_of(ranking)
    words = unit.replace("_", " ")
    facts = ranking.attrs
    columns = ["model", f"cost [{words}]"]
    several = f"difference_{unit}" in ranking
    columns += ["difference", "95% interval"] if several else ["standard error"]
    twins = f"{unit}_without_twins" in ranking
    columns += ["cost without twins"] if twins else []
    columns += ["verdict"] if several else []
    columns += ["log-likelihood [nats]"]
    rows = []
    for name, row in ranking.iterrows():
        cells: list[Any] = [str(name), float(row[unit])]
        if several:
            cells += [float(row[f"difference_{unit}"]), _interval(row, unit, facts["reference"])]
        else:
            cells += [float(row[f"se_{unit}"])]
        cells += [float(row[f"{unit}_without_twins"])] if twins else []
        cells += [row["verdict"]] if several else []
        rows.append([*cells, float(row["log_prob_nats"])])
    about = (
        f"{facts['n_elements']:,} elements of {facts['n_sequences']:,} sequence(s); standard "
        f"errors {facts['errors']}."
    )
    body = table(columns, rows, f"Lower costs are better. Over {about}")
    if several:
        body += paragraph(
            f"A difference is a model's cost less that of {facts['reference']}, paired sequence "
            "by sequence, so that what is hard for all models cancels. Where its interval "
            "excludes zero, chance alone hardly explains it."
        )
        body += _picture(ranking.iloc[:_MOST_DRAWN], unit)
    body += items(facts["notes"]) if facts.get("notes") else ""
    return Section("leaderboard", "Leaderboard", body)


def _interval(row: Any, unit: str, reference: str) -> str:
    if row.name == reference:
        return ""
    return f"{number(row[f'low95_{unit}'])} to {number(row[f'high95_{unit}'])}"


def _picture(ranking: pd.DataFrame, unit: str) -> str:
    told = "; ".join(
        f"{name}: {number(row[f'difference_{unit}'])} ({row['verdict']})"
        for name, row in ranking.iterrows()
    )
    return picture(
        lambda: leaderboard(ranking),
        f"Differences in {unit.replace('_', ' ')} against {ranking.attrs['reference']}: {told}.",
        "The differences with their 95% intervals; the dashed line is no difference.",
    )
