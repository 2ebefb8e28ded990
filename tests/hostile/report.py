"""The report of a campaign, as text: a table of outcomes, and one example of each fault."""

from __future__ import annotations

from collections import Counter, defaultdict

from .campaign import FAULTS, Case

__all__ = ["faults_of", "report"]

_OUTCOMES = ("fine", "refused", "refused in use", "not written", *FAULTS)


def faults_of(cases: list[Case]) -> list[Case]:
    """Those that ended in what no file may bring about."""
    return [case for case in cases if case.outcome in FAULTS]


def report(cases: list[Case]) -> str:
    """Tables by mutation and by kind, and the faults with where they arise."""
    parts = [
        _table("mutation", [(case.mutation, case.outcome) for case in cases]),
        _table("kind", [(case.kind, case.outcome) for case in cases]),
        *_faults(faults_of(cases)),
    ]
    return "\n\n".join(parts)


def _table(title: str, pairs: list[tuple[str, str]]) -> str:
    counts = Counter(pairs)
    names = list(dict.fromkeys(name for name, _ in pairs))
    shown = [o for o in _OUTCOMES if any(counts[n, o] for n in names)]
    width = max([len(title), *map(len, names)], default=0)
    head = f"{title:{width}}  " + "  ".join(f"{o:>7}" for o in shown)
    rows = [
        f"{name:{width}}  " + "  ".join(f"{counts[name, o]:{max(7, len(o))}}" for o in shown)
        for name in names
    ]
    total = [sum(counts[n, o] for n in names) for o in shown]
    last = f"{'all':{width}}  " + "  ".join(
        f"{t:{max(7, len(o))}}" for t, o in zip(total, shown, strict=True)
    )
    return "\n".join([head, *rows, last])


def _faults(faults: list[Case]) -> list[str]:
    """One line for each place and sort of fault, the most frequent first."""
    groups: dict[tuple[str, str, str], list[Case]] = defaultdict(list)
    for case in faults:
        sort = case.what.split(":")
        groups[case.outcome, case.where or case.kind, ":".join(sort[1:2])].append(case)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    lines = []
    for (outcome, where, _), group in ordered:
        first = group[0]
        kinds = list(dict.fromkeys(case.kind for case in group))
        lines.append(
            f"{len(group):5} {outcome} at {where}: {first.what}\n"
            f"      e.g. --case '{first.kind}:{first.number}' ({first.mutation}); "
            f"{len(kinds)} kinds: {', '.join(kinds[:4])}"
        )
    return lines
