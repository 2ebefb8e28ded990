"""What the options of `arproc sample` ask for."""

from __future__ import annotations

import functools
import operator
from pathlib import Path
from typing import Any

import typer

from arproc import sampling
from arproc.errors import ParameterError

__all__ = [
    "constraint",
    "given",
    "policy",
    "prefix",
    "refuse_beside",
    "speculative",
    "stop",
    "symbols",
]


def constraint(regex: str | None, schema: Path | None, grammar: Path | None) -> Any:
    """The constraint that options ask for; one at most."""
    if sum(option is not None for option in (regex, schema, grammar)) > 1:
        raise ParameterError("only one of --regex, --json-schema and --grammar can be kept.")
    if regex is not None:
        return sampling.Regex(regex)
    if schema is not None:
        return sampling.JSONSchema(_read(schema))
    return None if grammar is None else sampling.Grammar(_read(grammar))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} can not be read: {error}.") from None


def given(law: Any, kept: Any, under: Any, n: int, length: int | None, seed: int | None) -> Any:
    """Draws given a constraint; how and how probable that was goes to standard error."""
    if kept is None:
        raise ParameterError("--condition needs one of --regex, --json-schema and --grammar.")
    process = law if under is None else law.with_policy(under)
    found = sampling.constrained(process, kept, n, length, seed=seed)
    typer.echo(
        f"by {found.method}; log p(constraint) = {found.log_evidence:.4f} nats, relative error "
        f"{found.evidence_error:.2g}",
        err=True,
    )
    return found.x


def speculative(
    law: Any, draft: str, verify: str, n: int, length: int | None, options: dict[str, Any]
) -> Any:
    """Draws with a draft; what it did is told on standard error."""
    from arproc.cli import models

    named = {"look-up": sampling.PromptLookup, "own-heads": sampling.OwnHeads}
    guesser = named[draft]() if draft in named else models.load(Path(draft))
    rule: dict[str, Any] = {"coupled": True} if verify == "coupled" else {"verify": verify}
    drawn = sampling.speculative(law, guesser, n, length, **options, **rule)
    typer.echo(repr(drawn.report), err=True)
    return drawn.draws


def refuse_beside(option: str, others: dict[str, Any]) -> None:
    """Raise where options were given that another one can not keep."""
    for name, value in others.items():
        if value is not None:
            raise ParameterError(f"{name} can not stand beside {option}; leave one out.")


def stop(strings: list[str] | None, seconds: float | None, nats: float | None) -> Any:
    """What cuts draws, as `sample` takes it."""
    if seconds is None and nats is None:
        return strings or None
    return [*(strings or []), sampling.Budget(seconds, nats)]


def prefix(law: Any, text: str | None) -> Any:
    """A prefix as the model takes it: text, or numbers."""
    if text is None or getattr(law.space, "vocabulary", None) is not None:
        return text
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ParameterError(f"--prefix takes numbers with commas here; got {text!r}.") from None


def symbols(law: Any, names: list[str] | None) -> list[Any] | None:
    """Symbols as the model names them; numbers where it has no names."""
    if not names or getattr(law.space, "vocabulary", None) is not None:
        return names or None
    try:
        return [int(name) for name in names]
    except ValueError:
        raise ParameterError(f"--ban takes numbers of symbols here; got {names!r}.") from None


def policy(**options: Any) -> Any:
    """The policies that options of these names ask for, one after another in their order."""
    policies: list[Any] = []
    for name, value in options.items():
        if value is not None:
            given = value if isinstance(value, tuple) else (value,)
            policies.append(getattr(sampling, name)(*given))
    return functools.reduce(operator.or_, policies) if policies else None
