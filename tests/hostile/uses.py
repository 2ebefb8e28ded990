"""What a user calls of a model: every use gives numbers, or raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arproc.process import Model, Process
from arproc.testing.subject import Subject

__all__ = ["Given", "given_of", "has_nan", "uses"]


@dataclass(frozen=True)
class Given:
    """What the calls are given, found with the model as it should be."""

    data: Any
    context: Any
    given: int
    elements: torch.Tensor | None
    layout: bool


def given_of(model: Any, examples: dict[str, Any]) -> Given:
    """Data and contexts for a sound model.

    Args:
        model: the model.
        examples: data or contexts of one that needs them, as `check_process` takes them.
    """
    if not isinstance(model, Process):
        data = model.sample(3, seed=0) if isinstance(model, Model) else examples["data"]
        return Given(data, None, 0, None, False)
    subject = Subject(model, **examples, length=24)
    batch = subject.batch(2, subject.whole(8), "hostile")
    data = examples.get("data") if subject.space.varies else subject.user_data(batch)
    elements = batch.x[:, subject.given :]
    return Given(data, batch.context, subject.given, elements, model.layout is not None)


def uses(given: Given, folder: Path) -> dict[str, Callable[[Any], Any]]:
    """The calls, by name; each takes the model.

    Args:
        given: what they are given.
        folder: where the model is saved again.
    """
    context = {} if given.context is None else {"context": given.context}
    data, first = given.data, max(given.given, 2)
    prefix = None if given.layout or data is None else data[:, : given.given]
    prefix = prefix if given.given else None

    def states(model: Any) -> Any:
        state = model.start(2, **context) if not given.given else model.start(prefix, **context)
        x = given.elements
        assert x is not None
        after = state.append(x[:, 0])
        conditionals, whole = after.extend(x[:, 1:4])
        back = whole.truncate(torch.full((2,), given.given + 1)).select(torch.tensor([1, 0]))
        shown = [state, after, back]
        return [s.conditional.log_prob(x[:, 0]) for s in shown], conditionals.log_prob(
            torch.cat([x[:, 1:4], x[:, :1]], 1)
        )

    def drawn(model: Any) -> Any:
        length = None if given.elements is None else given.elements.shape[1]
        try:
            return model.sample(2, length, prefix, seed=0, **context)
        except TypeError:  # panels have no contexts
            return model.sample(2, 4, seed=0)

    def conditional(model: Any) -> Any:
        found = model.conditional(data[:, :first], **context)
        x = found.sample()
        return x, found.log_prob(x)

    def forecast(model: Any) -> Any:
        if given.elements is None:
            return model.forecast(horizon=3, seed=0)
        return model.forecast(data, 3, seed=0, n_paths=50, **context)

    return {
        "repr": repr,
        "log_prob": lambda model: model.log_prob(data, **context),
        "terms": lambda model: model.log_prob_terms(data, **context),
        "score": lambda model: model.score(data, **context),
        "sample": drawn,
        "its samples": lambda model: model.log_prob(drawn(model), **context),
        "conditional": conditional,
        "states": states,
        "condition": lambda model: model.condition(data[0, :first]).sample(2, 3, seed=0),
        "forecast": forecast,
        "summary": lambda model: model.summary(),
        "learnt": lambda model: [getattr(model, name) for name in learnt_names(model)],
        "save": lambda model: model.save(folder / "again.arproc"),
    }


def learnt_names(model: Any) -> list[str]:
    """What a model lets users read of what it learnt."""
    return [name for cls in type(model).__mro__ for name in vars(cls).get("__annotations__", ())
            if name.endswith("_") and not name.startswith("_")]  # fmt: skip


def has_nan(value: Any) -> bool:
    """Whether a number of what a call gave is none."""
    if isinstance(value, torch.Tensor):
        return bool(value.is_floating_point() and value.isnan().any())
    if isinstance(value, np.ndarray):
        return bool(value.dtype.kind == "f" and np.isnan(value).any())
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    if isinstance(value, (list, tuple)):
        return any(map(has_nan, value))
    if hasattr(value, "select_dtypes"):
        return has_nan(value.select_dtypes("number").to_numpy(float, na_value=0.0))
    return False
