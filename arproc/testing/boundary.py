"""What goes in and out: the user's forms, and views."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.contract.sequences import Sequences
from arproc.testing.compare import agree
from arproc.testing.drawing import drawn
from arproc.testing.material import Batch, marked, numbers_of
from arproc.testing.report import NotApplicable, fail
from arproc.testing.statistics import two_samples
from arproc.testing.subject import Subject

__all__ = ["conditionals", "distribution_view", "in_kind"]

_DRAWS = 400


# ---- forms --------------------------------------------------------------------------------------


def in_kind(subject: Subject) -> str:
    """NumPy in, NumPy float64 out and no gradient recorded; tensors in, tensors out."""
    process, n = subject.process, 3
    batch = subject.batch(n, subject.whole(8), "forms")
    array = subject.user_data(batch)
    context, one = batch.context, batch.rows([0]).context
    with torch.enable_grad():
        given: list[tuple[str, Any, type, Any]] = [
            ("log_prob of an array [N, ...]", process.log_prob(array, context=context), np.ndarray,
             np.float64),
            ("log_prob of one sequence", process.log_prob(array[0], context=one), float, None),
            ("score", process.score(array, context=context), float, None),
            ("log_prob_terms of one sequence", process.log_prob_terms(array[0], context=one),
             np.ndarray, np.float64),
            ("log_prob_terms of several", process.log_prob_terms(array, context=context)[0],
             np.ndarray, np.float64),
        ]  # fmt: skip
        tensor = torch.as_tensor(array, device=process.device)
        value = process.log_prob(tensor, context=context)
        given += [
            ("log_prob of a tensor [N, ...]", value, torch.Tensor, torch.float64),
            ("log_prob of a tensor of one sequence", process.log_prob(tensor[0], context=one),
             torch.Tensor, torch.float64),
            ("log_prob_terms of a tensor", process.log_prob_terms(tensor, context=context)[0],
             torch.Tensor, torch.float64),
        ]  # fmt: skip
        conditional = process.conditional(
            subject.as_user(batch.x[0, : max(subject.given, 1)]), context=one
        )
    for what, result, kind, dtype in given:
        right = dtype is None or getattr(result, "dtype", None) == dtype
        if not isinstance(result, kind) or not right:
            fail(
                f"{what} to be a {kind.__name__}{'' if dtype is None else f' of {dtype}'}",
                f"it is a {type(result).__name__} of {getattr(result, 'dtype', 'no dtype')}",
                "log-probabilities that are not added up in float64, or a form that is not kept",
            )
    if value.device != process.device:
        fail(f"a result on {process.device}", f"it is on {value.device}", "a tensor that is moved")
    probe = conditional.log_prob(subject.probes[0])
    if probe.requires_grad or conditional.batch_shape != ():
        fail(
            "conditional(one prefix) to record no gradient and to have batch shape ()",
            f"requires_grad is {probe.requires_grad}, the shape {tuple(conditional.batch_shape)}",
            "a conditional computed outside of no_grad, or a batch axis that is kept",
        )
    _labels_kept(subject, array[0], one)
    _sample_forms(subject)
    return f"{len(given)} forms on {process.device}"


def _labels_kept(subject: Subject, x: np.ndarray, context: Any) -> None:
    """The terms of a Series are a Series with its labels."""
    import pandas as pd

    space = subject.space
    if subject.process.layout is not None or space.event_shape or space.terminates:
        return
    if not subject.takes_dates:
        return
    series = pd.Series(x, pd.date_range("2001-01-31", periods=len(x), freq="D", name="day"))
    terms = subject.process.log_prob_terms(series, context=context)
    labels = list(getattr(terms, "index", []))
    if not isinstance(terms, pd.Series) or labels != list(series.index[subject.given :]):
        fail(
            "the terms of a Series to be a Series with its labels",
            f"a {type(terms).__name__} came, labelled {labels[:2]}",
            "a call that gives back its own numbers, not the user's form",
        )


def _sample_forms(subject: Subject) -> None:
    length = subject.short(6) - subject.given
    prefix = subject.prefix(2, subject.short(6), "sample forms")
    x = subject.process.sample(
        2, length, subject.user_prefix(prefix), seed=0, context=prefix.context
    )
    if subject.is_text:
        if not isinstance(x, list) or not all(isinstance(row, (str, list)) for row in x):
            fail("samples of a process over text to be text", f"they are {type(x).__name__}", "")
        return
    form = subject.process.fit_.form
    if hasattr(x, "iloc"):
        x = [row.numpy() for row in numbers_of(subject.process, x)]  # or it is no such table
    kind = torch.Tensor if form == "tensor" else np.ndarray
    for row in x:
        right = isinstance(row, (kind, np.generic))
        if not right or (kind is np.ndarray and row.dtype != subject.space.user_dtype):
            fail(
                f"samples to be {kind.__name__} of {subject.space.user_dtype.__name__}",
                f"they are {type(row).__name__} of {getattr(row, 'dtype', 'no dtype')}",
                "elements in the model's own numbers given to the user",
            )
        if isinstance(row, torch.Tensor) and row.requires_grad:
            fail("samples without a gradient", "they record one", "sampling outside of no_grad")


# ---- views --------------------------------------------------------------------------------------


def conditionals(subject: Subject) -> str:
    """`conditionals(data)` and `conditional(prefix)` are what the states say."""
    process, n = subject.process, 3
    batch = subject.batch(n, subject.whole(8), "views")
    columns = process.conditionals(subject.user_data(batch), context=batch.context)
    wide = batch.length - subject.given
    if tuple(columns.batch_shape) != (n, wide):
        fail(
            f"conditionals(data) to have batch shape {(n, wide)}",
            f"it is {tuple(columns.batch_shape)}",
            "a column for the element after the last",
        )
    want = subject.reference(Batch(batch.x[:, :-1], batch.context))
    off = agree(
        subject.table(columns),
        want,
        subject.tolerance,
        "conditionals(data) to be the columns of one parallel pass",
        "columns that are shifted by one",
        ("probe value", "row", "column"),
    )
    for known in sorted({subject.given, subject.given + wide // 2, batch.length - 1}):
        if known == 0 and batch.context is None:
            conditional = process.conditional()
        else:
            row = batch.rows([1])
            conditional = process.conditional(
                subject.as_user(row.x[0, :known]), context=row.context
            )
        off = max(
            off,
            agree(
                subject.table(conditional),
                want[:, 1, known - subject.given],
                subject.tolerance,
                f"conditional(a prefix of {known}) to be that column of conditionals(data)",
                "a prefix that is read otherwise than data",
                ("probe value",),
            ),
        )
        several = process.conditional(
            list(subject.as_user(batch.x[:, :known])), context=batch.context
        )
        off = max(
            off,
            agree(
                subject.table(several),
                want[:, :, known - subject.given],
                subject.tolerance,
                f"conditional({n} prefixes of {known}) to be that column of conditionals(data)",
                "prefixes of which one is taken for all, or that are put into another order",
                ("probe value", "prefix"),
            ),
        )
    return f"{off:.1e}"


def distribution_view(subject: Subject) -> str:
    """`distribution(length)` is the same law as a `torch.distributions.Distribution`."""
    process, space = subject.process, subject.space
    if space.terminates:
        raise NotApplicable("sequences that end by themselves have no event_shape")
    if process.law_.context is not None or subject.given:
        raise NotApplicable("a law with a context or with given elements has none")
    batch = subject.batch(3, subject.whole(5), "view")
    view = process.distribution(batch.length)
    x = torch.as_tensor(subject.user_data(batch))
    off = agree(
        view.log_prob(x).double(),
        torch.as_tensor(np.asarray(process.log_prob(subject.user_data(batch)))),
        subject.tolerance,
        "distribution().log_prob to be log_prob",
        "a layout that is applied twice or not at all",
        ("row",),
    )
    many = torch.stack([x, x.flip(0)])
    nested = torch.stack([view.log_prob(many[0]), view.log_prob(many[1])])
    for what, got, want in (
        ("[2, 3, ...]", view.log_prob(many), nested),
        ("one value", view.log_prob(x[0])[None], nested[0, :1]),
    ):
        agree(
            got.double(), want.double(), subject.tolerance,
            f"distribution().log_prob of {what} to be that of each",
            "a batch that is reshaped in another order",
        )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(subject.seed)
        shape = tuple(view.sample((2, 3)).shape)
        draws = [view.sample((_DRAWS,)) for _ in range(2)]
    if shape != (2, 3, *x.shape[1:]):
        fail(
            f"distribution().sample((2, 3)) of shape {(2, 3, *x.shape[1:])}",
            f"it is {shape}",
            "a batch that is not reshaped",
        )
    if space.measure == "density" and torch.equal(draws[0], draws[1]):
        fail("distribution().sample to draw anew", "two calls gave the same", "a fixed seed")
    _view_follows(subject, draws[0], batch.length)
    return f"{off:.1e}; {_DRAWS} draws"


def _view_follows(subject: Subject, draws: torch.Tensor, length: int) -> None:
    """Draws of the view against those of `sample`, element by element and in their likelihood."""
    process = subject.process
    data = draws.cpu().numpy().astype(subject.space.user_dtype)
    prefix = Batch(draws.new_zeros((_DRAWS, 0)), None)
    new = drawn(subject, prefix, length, 31).new
    whole = Sequences(torch.cat(new), torch.arange(_DRAWS + 1) * length, subject.space)
    cause = (
        "a view that draws from another law, or gives elements in another order than the user's"
    )
    expected = "distribution().sample to draw what sample draws"
    scores = [torch.as_tensor(np.asarray(process.log_prob(x))) for x in (data, whole)]
    two_samples(scores[0], scores[1], f"{expected} (their log_prob)", cause)
    layout = process.layout
    mine = draws if layout is None else layout.to_sites(draws)
    theirs = torch.stack(new).to(mine)
    for j in range(length):
        a, b = (marked(x[:, j]).reshape(_DRAWS, -1).sum(1) for x in (mine, theirs))
        two_samples(a.nan_to_num(), b.nan_to_num(), f"{expected} (element {j})", cause)
