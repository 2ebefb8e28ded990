"""Which of some guessed elements a law keeps, and what it draws behind them.

A guess d_1 ... d_K was drawn from conditionals q; one pass of the law gives its own p, of d_1 to
what comes after d_K. Three rules keep a first part of the guess and draw one more element, so that
all of it together has exactly the law of p:

- `token`: d_j is kept with probability min(1, p/q), up to the first that is not; what comes then
  is drawn from the residual (p - q)+ (Leviathan, Kalman and Matias 2023; Chen et al. 2023);
- `block`: the guess is kept as a whole where it can be, with the product of the ratios in the
  place of each (Sun et al. 2024, arXiv 2403.10444); it never keeps fewer on average, and its
  residual is (P p - q)+ with the probability P of the part that is kept;
- `coupled`: the law turns its own uniforms into elements, and the guess is kept as far as it is
  the same; so what comes is what the law draws from these uniforms one by one.

Over finitely many values residuals and their masses are computed, in logarithms: p - q is
p (1 - exp(log q - log p)) by `expm1`, which holds where q/p is tiny or nearly 1. Over all other
elements, real numbers, counts and vectors, they are drawn by rejection: an element x of p is one
of the residual with probability (1 - q(x) / (P p(x)))+. The block rule's probability of keeping,
S / (S + 1 - P) with the residual's mass S, is then the outcome of two coins (Gonçalves,
Łatuszyński and Roberts 2017): with probability 1 - P "no", else "yes" where x is one of
the residual, else again; S need not be known, and where it says "yes", x is the next element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from arproc.contract.randomness import Uniforms
from arproc.distributions import Categorical, as_categorical, atom, from_uniform, index
from arproc.errors import DataError, UnsupportedError

__all__ = ["RULES", "Guess", "RowStream", "Verdict", "is_finite"]

#: Candidates that are tried before p's own draw is taken: what is lost is below 1e-8 in
#: probability, as is the chance to come here where p and q differ by no more than rounding.
_MOST_CANDIDATES = 2**24


@dataclass
class Guess:
    """What some rows' next elements might be.

    Attributes:
        x: the guessed elements [m, K, *event].
        counts: how many of them count in each row, int64 [m].
        columns: the distributions that they were drawn from, batch [m, K]; None where they are
            only to be compared.
        sources: which draft each row's come from, int64 [m], or None.
    """

    x: Tensor
    counts: Tensor
    columns: Distribution | None = None
    sources: Tensor | None = None


@dataclass
class Verdict:
    """What a rule keeps.

    Attributes:
        kept: how many of each row's guess, int64 [m].
        following: the element that comes behind them [m, *event].
        drawn: all that the law makes of its uniforms [m, K + 1, *event], of the coupled rule.
    """

    kept: Tensor
    following: Tensor
    drawn: Tensor | None = None


class RowStream:
    """Uniforms that each row takes one after another, whatever other rows take.

    Args:
        uniforms: where they come from.
        n: how many rows there are.
    """

    def __init__(self, uniforms: Uniforms, n: int) -> None:
        self.uniforms, self.spent = uniforms, torch.zeros(n, dtype=torch.int64)

    def take(
        self,
        rows: Tensor,
        count: int,
        counts: Tensor | None = None,
        event_shape: tuple[int, ...] = (),
    ) -> Tensor:
        """The next uniforms [m, count, *event] of these rows, of which `counts` are used up."""
        u = self.uniforms.block(rows, self.spent[rows], count, event_shape)
        self.spent[rows] += count if counts is None else counts
        return u


@dataclass
class Noise:
    """The uniforms of a verification.

    Attributes:
        rows: which rows these are, int64 [m].
        own: the law's for the elements in question, [m, K + 1, *event].
        accept: for the tests.
        residual: for what is drawn where a test fails.
    """

    rows: Tensor
    own: Tensor
    accept: RowStream
    residual: RowStream


Rule = Callable[[Distribution, Guess, Noise], Verdict]


def is_finite(columns: Distribution) -> bool:
    """Whether a conditional has finitely many values, whose probabilities can be listed."""
    try:
        as_categorical(columns)
    except UnsupportedError:
        return False
    return True


def token(columns: Distribution, guess: Guess, noise: Noise) -> Verdict:
    """Each element on its own merits; see the module.

    Args:
        columns: the law's conditionals along the guess, batch [m, K + 1].
        guess: with the distributions it was drawn from.
        noise: what is random.
    """
    width = guess.x.shape[1]
    log_u = noise.accept.take(noise.rows, width, guess.counts).log()
    if is_finite(columns):
        p, q = _tables(columns, guess)
        passed = log_u < _at(p[:, :-1], guess.x) - _at(q, guess.x)
        kept = _leading(passed, guess.counts)
        return Verdict(kept, _listed(p, q, kept, p.new_zeros(len(p)), guess, noise))
    kept = _leading(log_u < _log_ratios(columns, guess), guess.counts)
    following = _next_of(columns, kept, noise)
    rows = (kept < guess.counts).nonzero()[:, 0]
    if len(rows):
        zero = torch.zeros(len(rows), dtype=torch.float64)
        _, x = _two_coins(columns, guess, rows, kept[rows], zero, noise)
        following[rows] = x
    return Verdict(kept, following)


def block(columns: Distribution, guess: Guess, noise: Noise) -> Verdict:
    """The guess as a whole, or the longest part of it; see the module and `token`."""
    if not is_finite(columns):
        return _block_by_coins(columns, guess, noise)
    p, q = _tables(columns, guess)
    width = guess.x.shape[1]
    log_p = _running(_at(p[:, :-1], guess.x) - _at(q, guess.x))  # [m, K + 1]
    u = noise.accept.take(noise.rows, width, guess.counts)
    mass = _residual(p[:, :-1], q, log_p[:, :-1]).exp().sum(-1)[:, 1:]  # of parts 1 ... K-1
    shrunk = -torch.expm1(log_p[:, 1:])  # 1 - P
    keep = log_p[:, 1:].exp()  # of the whole guess
    share = mass / (mass + shrunk[:, :-1])
    # 0/0: the part has P = 1 and p = q from there on, so the whole is kept as well
    inner = torch.where(torch.isnan(share), 1.0, share)
    place = torch.arange(1, width + 1)
    keep[:, :-1] = torch.where(place[:-1] < guess.counts[:, None], inner, keep[:, :-1])
    passed = (u < keep) & (place <= guess.counts[:, None])
    kept = (passed * place).amax(1) if width else torch.zeros_like(guess.counts)
    reached = log_p.gather(1, kept[:, None])[:, 0]
    return Verdict(kept, _listed(p, q, kept, reached, guess, noise))


def coupled(columns: Distribution, guess: Guess, noise: Noise, tolerance: float = 0.0) -> Verdict:
    """What the law draws from its own uniforms, as far as the guess is that; see the module.

    Args:
        columns: see `token`.
        guess: its distributions are not needed.
        noise: of which the law's own uniforms are used.
        tolerance: how far a kept real number may lie from what is drawn, as a share of 1 + its
            size. What is kept is the guess, on which the conditionals behind it depend.
    """
    drawn = from_uniform(columns, noise.own).to(guess.x.dtype)
    made = drawn[:, :-1]
    same = guess.x == made
    if tolerance and made.is_floating_point():
        same |= (guess.x - made).abs() <= tolerance * (1 + made.abs())
    kept = _leading(same.flatten(2).all(-1) if same.ndim > 2 else same, guess.counts)
    every = torch.arange(len(kept))
    return Verdict(kept, drawn[every, kept], drawn)


RULES: dict[str, Rule] = {"token": token, "block": block}


# ---- finitely many values --------------------------------------------------------------------


def _tables(columns: Distribution, guess: Guess) -> tuple[Tensor, Tensor]:
    """Log-probabilities of all values: the law's [m, K + 1, V], the draft's [m, K, V]; float64."""
    p = torch.log_softmax(as_categorical(columns).scores.double(), dim=-1)
    if not guess.x.shape[1]:
        return p, p[:, :0]
    assert guess.columns is not None
    q = torch.log_softmax(as_categorical(guess.columns).scores.double(), dim=-1)
    return p, q


def _at(table: Tensor, x: Tensor) -> Tensor:
    """The entries of a table [m, K, V] that belong to values x [m, K]."""
    return table.gather(-1, x.long()[..., None])[..., 0]


def _residual(p: Tensor, q: Tensor, log_weight: Tensor) -> Tensor:
    """The residual log (P p - q)+ of tables [..., V] and log P [...]; -inf where it is zero."""
    weighted = p + log_weight[..., None]
    gap = q - weighted
    more = weighted > q
    # log(P p - q) = log(P p) + log(1 - q / (P p)), of which the second is exact near 0 and near 1
    return torch.where(more, weighted + _log1mexp(torch.where(more, gap, -1.0)), -torch.inf)


def _log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0 (Mächler 2012)."""
    return torch.where(x > -0.6931, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


def _listed(
    p: Tensor, q: Tensor, kept: Tensor, log_weight: Tensor, guess: Guess, noise: Noise
) -> Tensor:
    """The element behind what is kept: of the residual, or behind a whole guess of p itself."""
    every, last = torch.arange(len(kept)), q.shape[1] - 1
    whole = kept == guess.counts
    own = p[every, kept]
    u_own = noise.own[every, kept]
    if bool(whole.all()):
        return from_uniform(Categorical(own), u_own)
    rest = _residual(own, q[every, kept.clamp(max=last)], log_weight)
    # where rounding alone has refused, nothing is left over, and p is as good as its residual
    whole = whole | ~(rest > -torch.inf).any(-1)
    u_rest = noise.residual.take(noise.rows, 1, (kept < guess.counts).long())[:, 0]
    scores = torch.where(whole[:, None], own, rest)
    return from_uniform(Categorical(scores), torch.where(whole, u_own, u_rest))


# ---- all other elements ----------------------------------------------------------------------


def _log_ratios(columns: Distribution, guess: Guess) -> Tensor:
    """The logarithms of p/q at the guessed elements, [m, K]; minus infinity where p is zero."""
    if not guess.x.shape[1]:
        return torch.zeros(guess.x.shape[:2], dtype=torch.float64)
    assert guess.columns is not None
    first = index(columns, (slice(None), slice(0, guess.x.shape[1])))
    return _log_ratio(first, guess.columns, guess.x)


def _log_ratio(p: Distribution, q: Distribution, x: Tensor) -> Tensor:
    """Log p(x)/q(x), float64: of masses where either has one at x, of densities elsewhere."""
    log_p, log_q = _log_density(p, x), _log_density(q, x)
    if not p.event_shape:
        mass_p, mass_q = atom(p, x).double(), atom(q, x).double()
        atoms = (mass_p > 0) | (mass_q > 0)
        log_p = torch.where(atoms, mass_p.log(), log_p)
        log_q = torch.where(atoms, mass_q.log(), log_q)
    return torch.where(log_p > -torch.inf, log_p - log_q, -torch.inf)


def _log_density(d: Distribution, x: Tensor) -> Tensor:
    """The log-density, minus infinity outside of the support, where torch's own may be NaN."""
    found = d.log_prob(x).double()
    return torch.where(torch.isnan(found), -torch.inf, found)


def _next_of(columns: Distribution, kept: Tensor, noise: Noise) -> Tensor:
    """The law's own draw behind what is kept, [m, *event]."""
    every = torch.arange(len(kept))
    return from_uniform(index(columns, (every, kept)), noise.own[every, kept])


def _block_by_coins(columns: Distribution, guess: Guess, noise: Noise) -> Verdict:
    """The block rule where residuals have no known mass: longest part first."""
    log_p = _running(_log_ratios(columns, guess))
    kept, following = guess.counts.clone(), _next_of(columns, guess.counts, noise)
    rows = torch.arange(len(kept))
    whole = noise.accept.take(noise.rows, 1)[:, 0].log()
    open_rows = rows[(whole >= log_p[rows, guess.counts]) & (guess.counts > 0)]
    for part in range(guess.x.shape[1] - 1, -1, -1):
        tried = open_rows[guess.counts[open_rows] > part]
        if not len(tried):
            continue
        places = torch.full((len(tried),), part)
        said, x = _two_coins(columns, guess, tried, places, log_p[tried, part], noise)
        kept[tried[said]] = part
        following[tried[said]] = x[said].to(following.dtype)
        open_rows = open_rows[~torch.isin(open_rows, tried[said])]
    return Verdict(kept, following)


def _two_coins(
    columns: Distribution,
    guess: Guess,
    rows: Tensor,
    places: Tensor,
    log_weight: Tensor,
    noise: Noise,
) -> tuple[Tensor, Tensor]:
    """Whether the coins say "yes", and the draw of the residual that said so.

    Args:
        columns: the law's, batch [m, K + 1].
        guess: the guess.
        rows: in which rows they are thrown, int64 [r].
        places: how much of the guess is kept there, [r].
        log_weight: log P of that part, [r]; 0 lets them say "yes" alone.
        noise: what is random.

    Returns:
        bool [r], and elements [r, *event].
    """
    assert guess.columns is not None
    p, q = index(columns, (rows, places)), index(guess.columns, (rows, places))
    shape = tuple(p.event_shape)
    said = torch.zeros(len(rows), dtype=torch.bool)
    x = from_uniform(p, noise.residual.take(noise.rows[rows], 1, None, shape)[:, 0])
    waiting, count, tried = torch.arange(len(rows)), 8, 0
    while len(waiting):
        own = noise.rows[rows[waiting]]
        candidates = _candidates(p, waiting, noise.residual.take(own, count, None, shape))
        every = (waiting[:, None].expand(-1, count),)
        ratio = -_log_ratio(index(p, every), index(q, every), candidates)
        if bool(torch.isnan(ratio).any()):
            raise DataError("a draw of the law has no density under it: its parameters are NaN.")
        weight = log_weight[waiting][:, None]
        coin = noise.accept.take(own, 2 * count).unflatten(1, (2, count))
        no = coin[:, 0].log() >= weight
        yes = coin[:, 1] < -torch.expm1((ratio - weight).clamp(max=0))
        found, first = _first(no | yes)
        chosen = torch.arange(len(waiting))[found], first[found]
        x[waiting[found]] = candidates[chosen].to(x.dtype)
        said[waiting[found]] = ~no[chosen]
        waiting, tried = waiting[~found], tried + count
        count = min(2 * count, 4096)
        if tried >= _MOST_CANDIDATES:
            said[waiting] = True
            break
    return said, x


def _candidates(p: Distribution, rows: Tensor, u: Tensor) -> Tensor:
    """Draws [r, count, *event] of the rows' conditionals."""
    return from_uniform(index(p, (rows[:, None].expand(-1, u.shape[1]),)), u)


# ---- inner parts -----------------------------------------------------------------------------


def _leading(passed: Tensor, counts: Tensor) -> Tensor:
    """How many of each row's first `counts` entries of bool [m, K] hold before one does not."""
    inside = torch.arange(passed.shape[1]) < counts[:, None]
    return (passed & inside).long().cumprod(1).sum(1)


def _running(ratios: Tensor) -> Tensor:
    """The logarithms of P after 0 ... K elements, P_j = min(1, P_{j-1} p_j / q_j), [m, K + 1]."""
    log_p = [ratios.new_zeros(len(ratios))]
    for ratio in ratios.unbind(1):
        log_p.append((log_p[-1] + ratio).clamp(max=0))
    return torch.stack(log_p, dim=1)


def _first(hits: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows of bool [r, count] have a hit, and where the first one is."""
    return hits.any(1), hits.int().argmax(1)
