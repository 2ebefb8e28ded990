"""Every policy changes the conditionals as it says, in likelihoods and in draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from arproc.distributions import Categorical, as_categorical
from arproc.errors import UnsupportedError
from arproc.sampling import Policy, Temperature, TopK, TopP
from arproc.testing.compare import agree
from arproc.testing.drawing import drawn, drawn_of_one
from arproc.testing.material import Batch, marked
from arproc.testing.report import NotApplicable, fail
from arproc.testing.seeding import same_probability
from arproc.testing.subject import Subject

__all__ = ["every_policy"]

_MOST = 300  # symbols, whose probabilities are all written down


class Fading(Policy):
    """Symbols lose score for each time they came before: a policy with a state, the counts."""

    stateful = True

    def __init__(self, penalty: float = 0.7) -> None:
        self.penalty = penalty

    def apply(self, conditional: Any, state: Any = None) -> Any:
        return Categorical(as_categorical(conditional).logits - self.penalty * state)

    def start(self, n: int, law: Any) -> Any:
        size = 2 if law.space.kind == "binary" else law.space.size
        return torch.zeros(n, size, dtype=torch.float64, device=law.device)

    def append(self, state: Any, x: torch.Tensor, active: torch.Tensor | None = None) -> Any:
        step = torch.nn.functional.one_hot(x.long(), state.shape[1]).to(state)
        return state + (step if active is None else step * active[:, None])

    def select(self, state: Any, rows: torch.Tensor) -> Any:
        return state[rows]


def every_policy(subject: Subject) -> str:
    """Under each policy, and under chains of them, conditionals are what the policy says.

    Temperatures, the most probable symbols by number and by mass, and one with a memory, against
    their formulas; `sample(policy=)` draws what `with_policy` does, and knows both probabilities.
    """
    size = _symbols(subject)
    tried: list[Policy] = [Temperature(0.5), Temperature(2.0)]
    if size:
        tried = [
            Temperature(0.6),
            TopK(max(1, size - 1)),
            TopP(0.6),
            Temperature(1.5) | TopK(2),
            TopP(0.9) | Temperature(0.7),
            Fading(0.3) | TopP(0.95),
        ]
    off, found = 0.0, 0
    for policy in tried:
        try:
            off = max(off, _as_it_says(subject, policy, size))
            _draws(subject, policy)
        except UnsupportedError:
            continue
        found += 1
        if found == 2:
            _nested(subject, *tried[:2])
    if not found:
        raise NotApplicable("no policy changes conditionals of this kind")
    return f"{off:.1e} under {found} policies"


def _symbols(subject: Subject) -> int:
    """How many symbols there are, if all can be written down; else 0."""
    space = subject.space
    if space.event_shape or space.varies or space.measure == "density":
        return 0
    size = 2 if space.kind == "binary" else space.size or 0
    return size if size <= _MOST else 0


def _as_it_says(subject: Subject, policy: Policy, size: int) -> float:
    batch = subject.batch(3, subject.short(6), "every policy")
    under = subject.process.with_policy(policy)
    own, other = subject, subject.with_process(under)
    columns = [one.columns(batch) for one in (own, other)]
    state = other.begin(batch)
    for t in range(subject.given, batch.length):
        state = state.append(batch.x[:, t])
    expected = f"the conditionals under {policy!r} to be what it says"
    cause = "with_policy that leaves the policy out, or takes it for another"
    if not size:
        return _tempered(subject, policy, columns, state.conditional, expected, cause)
    every = torch.arange(size, device=subject.process.device).to(subject.space.dtype)
    tables = [_table(every, column) for column in columns]
    want, sure = _formula(policy, torch.log_softmax(tables[0], -1), batch.x)
    last = torch.stack([state.conditional.log_prob(v.expand(batch.n)) for v in every], -1).double()
    off = 0.0
    for got, aim, kept in ((tables[1], want, sure), (last, want[:, -1], sure[:, -1])):
        off = max(
            off,
            agree(
                torch.where(kept[..., None], got.exp(), 0.0),
                torch.where(kept[..., None], aim.exp(), 0.0),
                max(subject.tolerance, 1e-7),
                expected,
                cause,
                ("row", "column", "symbol")[: got.ndim],
            ),
        )
    return off


def _nested(subject: Subject, one: Policy, two: Policy) -> None:
    """A policy upon a policy is the chain of both, however it is asked for; and with `stop`."""
    process, chain = subject.process, one | two
    total = subject.short(7)
    batch = subject.batch(4, total, "nested policies")
    known = max(subject.given, min(total - 1, subject.given + 2))
    prefix, length = Batch(batch.x[:, :known], batch.context), total - known
    expected = f"{two!r} upon {one!r} to be their chain, after a prefix too"
    cause = "with_policy or sample(policy=) that forgets the policy before, or the prefix"
    want = subject.with_process(process.with_policy(chain)).reference(prefix)
    under = process.with_policy(one)
    got = subject.with_process(under.with_policy(two)).reference(prefix)
    agree(got, want, max(subject.tolerance, 1e-7), expected, cause)
    seen = [
        drawn(subject, prefix, length, 19, chain),
        drawn(subject.with_process(under), prefix, length, 19, two),
    ]
    rows = prefix.rows([0] * 4)
    seen += [drawn(subject, rows, length, 19, chain), drawn_of_one(subject, rows, length, chain)]
    for a, b in ((seen[0], seen[1]), (seen[2], seen[3])):
        if not _equal(subject, a.draws.x, b.draws.x):
            fail(expected, "draws of the same seed differ", cause)
        agree(
            torch.as_tensor(np.asarray(b.draws.policy_log_prob)),
            torch.as_tensor(np.asarray(a.draws.policy_log_prob)),
            max(subject.tolerance, 1e-7),
            expected,
            cause,
            ("draw",),
        )


def _table(every: torch.Tensor, column: Any) -> torch.Tensor:
    """Log-probabilities of all symbols, [*batch, size]."""
    return torch.stack([column.log_prob(v.expand(column.batch_shape)) for v in every], -1).double()


def _tempered(
    subject: Subject, policy: Any, columns: list[Any], last: Any, expected: str, cause: str
) -> float:
    """The difference log q(x) - log p(x) / T is the same number at every x."""
    before, after = (subject.table(column).double() for column in columns)
    both = torch.stack([after, before / policy.temperature])
    known = both.isfinite().all(0)
    centred = [
        torch.where(known, x - x.where(known, 0.0).sum(0) / known.sum(0), 0.0) for x in both
    ]
    off = agree(
        centred[0], centred[1], max(subject.tolerance, 1e-7) * 10, expected, cause,
        ("probe value", "row", "column"),
    )  # fmt: skip
    agree(subject.table(last).double(), after[..., -1], subject.tolerance, expected, cause)
    return off


def _formula(
    policy: Any, scores: torch.Tensor, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities [n, T, size] under a policy, and where no tie makes them doubtful.

    Of the elements x the last T - 1 are scored; a policy with a memory knows those before as well.
    """
    sure = torch.ones(scores.shape[:2], dtype=torch.bool, device=scores.device)
    for part in getattr(policy, "policies", (policy,)):
        ranked = scores.sort(dim=-1, descending=True, stable=True)
        place = ranked.indices.argsort(-1)
        if isinstance(part, Temperature):
            scores = scores / part.temperature
        elif isinstance(part, TopK):
            edge = ranked.values[..., part.k - 1 : part.k + 1].exp()
            if part.k < scores.shape[-1]:
                sure &= (edge[..., 0] - edge[..., 1]).abs() > 1e-6
            scores = scores.masked_fill(place >= part.k, -torch.inf)
        elif isinstance(part, TopP):
            probs = ranked.values.exp()
            before = probs.cumsum(-1) - probs
            sure &= ((before - part.p).abs() > 1e-6).all(-1)
            sure &= ((probs.diff(dim=-1).abs() > 1e-6) | (probs[..., 1:] < 1e-9)).all(-1)
            scores = scores.masked_fill((before >= part.p).gather(-1, place), -torch.inf)
        else:
            steps = torch.nn.functional.one_hot(x.long(), scores.shape[-1])
            counts = torch.nn.functional.pad(steps, (0, 0, 1, 0)).cumsum(1)
            counts = counts[:, -scores.shape[1] :]
            scores = scores - part.penalty * counts
        scores = torch.log_softmax(scores, -1)
    return scores, sure


def _draws(subject: Subject, policy: Policy) -> None:
    """`sample(policy=)` against `with_policy(...)`, and the probabilities it gives."""
    total = subject.short(7)
    prefix = subject.prefix(8, total, "every policy")
    length = total - subject.given
    got = drawn(subject, prefix, length, 17, policy)
    want = drawn(subject.with_process(subject.process.with_policy(policy)), prefix, length, 17)
    pairs = zip(got.new, want.new, strict=True)
    if not all(torch.equal(marked(a), marked(b)) for a, b in pairs) or not _equal(
        subject, got.draws.x, want.draws.x
    ):
        fail(
            f"sample(policy={policy!r}) to draw what with_policy(...).sample draws",
            f"the rows differ, the first are {got.new[0].tolist()} and {want.new[0].tolist()}",
            "a sampler that leaves the policy out, or takes another",
        )
    same_probability(subject, got, policy)
    if not np.isfinite(np.asarray(got.draws.policy_log_prob)).all():
        fail(
            f"draws under {policy!r} to be in its support",
            "one has the log-probability -inf",
            "a sampler that draws what the policy leaves out",
        )


def _equal(subject: Subject, a: Any, b: Any) -> bool:
    """Whether draws are the same: those of a density up to what a network's blocks round."""
    if isinstance(a, list) or hasattr(a, "iloc"):
        return str(a) == str(b)
    a, b = np.asarray(a), np.asarray(b)
    if subject.space.measure == "density" and a.shape == b.shape and a.dtype.kind == "f":
        limit = 1e-7 if subject.dtype == torch.float64 else 1e-4
        return bool(np.allclose(a, b, rtol=limit, atol=limit, equal_nan=True))
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
