"""Vectors of n-grams in a transformer: what they look at, and what depends on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import shake

import arproc
from arproc.errors import ParameterError, UnsupportedError
from arproc.models.neural.sequences import ngrams
from arproc.models.neural.sequences.ngrams import NGramEmbedding
from arproc.training import Training

QUICK = Training(steps=2, batch_size=2)
KINDS = {"own": {}, "standard": {"kv_heads": 1}, "learned": {"positions": "learned"},
         "tied": {"tied": True}, "end": {"end": True}, "ahead": {"ahead": 2}}  # fmt: skip


def table(symbols=4, order=3, width=5):
    found = NGramEmbedding(symbols, order, width)
    for part in found.tables:
        torch.nn.init.normal_(part.weight)
    return found


@pytest.mark.parametrize("rows", [20_000, 20, 7])
def test_equal_ngrams_have_equal_vectors_wherever_they_stand(rows, monkeypatch):
    monkeypatch.setattr(ngrams, "_ROWS", rows)  # all exact; triples hashed; pairs hashed too
    embed = table()
    x = torch.randint(0, 4, (1, 40), generator=torch.Generator().manual_seed(0))
    found = embed(x, torch.tensor([[3, 3]]))[0]
    whole = [3, 3, *x[0].tolist()]
    seen: dict[tuple[int, ...], torch.Tensor] = {}
    for t in range(40):
        gram = tuple(whole[t : t + 3])
        torch.testing.assert_close(seen.setdefault(gram, found[t]), found[t], atol=0, rtol=0)
    distinct = len({tuple(one.tolist()) for one in seen.values()})
    assert distinct == len(seen) if rows == 20_000 else distinct > 3
    cut = embed(x[:, 17:], x[:, 15:17])[0]
    torch.testing.assert_close(cut, found[17:], atol=0, rtol=0)


def test_exact_tables_have_a_row_for_every_ngram():
    embed = NGramEmbedding(5, 3, 8)
    assert [part.num_embeddings for part in embed.tables] == [25, 125]
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    torch.nn.init.normal_(embed.tables[0].weight)
    torch.nn.init.normal_(embed.map.weight)
    found = embed(pairs[:, 1:], torch.cat([torch.zeros_like(pairs[:, :1]), pairs[:, :1]], 1))
    assert len({tuple(one.tolist()) for one in found.detach()[:, 0]}) == 25


def test_many_symbols_share_rows():
    embed = table(symbols=200_000, order=4)
    assert [part.num_embeddings for part in embed.tables] == [20_000] * 3
    x = torch.tensor([[199_999, 0, 199_999, 7]])
    assert bool(torch.isfinite(embed(x, x[:, :3])).all())


@pytest.mark.parametrize("kind", KINDS)
def test_parallel_and_stepwise_agree_and_ngrams_count(kind):
    x = np.random.default_rng(0).integers(0, 4, 40)
    model = arproc.Transformer(
        1, 2, 8, block=6, tokens=4, ngrams=3, training=QUICK, **({"end": False} | KINDS[kind])
    )
    model = shake(model.fit([x, x[:7]] if kind == "end" else x))
    terms = model.log_prob_terms(x)
    state = model.start(1)
    for t, one in enumerate(x.tolist()):
        found = float(state.conditional.log_prob(torch.tensor([one])))
        np.testing.assert_allclose(found, terms[t], atol=1e-5)
        state = state.append([one])
    forked = state.truncate([11]).conditional.scores
    torch.testing.assert_close(
        forked, model.start([x[:11]]).conditional.scores, atol=1e-5, rtol=1e-5
    )
    with torch.no_grad():
        model.network_.ngrams.tables[1].weight.zero_()
    assert np.abs(model.log_prob_terms(x) - terms).max() > 1e-3


def test_they_begin_as_none(tmp_path):
    x = np.arange(30) % 4
    settings = Training(steps=1, batch_size=2, lr=1e-30)
    one, two = (
        arproc.Transformer(1, 2, 8, block=6, tokens=4, ngrams=n, training=settings).fit(x)
        for n in (1, 3)
    )
    np.testing.assert_allclose(one.log_prob_terms(x), two.log_prob_terms(x), atol=1e-6)
    two.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(again.log_prob_terms(x), two.log_prob_terms(x))


def test_a_triple_that_a_layer_can_not_see_is_learnt():
    # each symbol is a function of the two before, and attention sees one position alone
    rng = np.random.default_rng(0)
    rule, x = rng.integers(0, 5, (5, 5)), [0, 1]
    for _ in range(3000):
        x.append(int(rule[x[-2], x[-1]]) if rng.random() > 0.1 else int(rng.integers(5)))
    losses = [
        -arproc.Transformer(
            1, 1, 16, block=16, attention_window=1, tokens=5, ngrams=n,
            training=Training(steps=150, batch_size=8),
        ).fit(x).score(x)
        for n in (1, 2)
    ]  # fmt: skip
    assert losses[1] < losses[0] - 0.2
    assert losses[1] < 0.75  # 0.1 * log(5) + the entropy of which: 0.56


@pytest.mark.parametrize(
    ("parameters", "match"),
    [({"ngrams": 0}, "ngrams"), ({"ngrams": 17}, "ngrams"), ({"ngrams": 2.5}, "ngrams"),
     ({"ngrams": 2, "head": "normal", "tokens": None}, "ngrams is for symbols")],
)  # fmt: skip
def test_bad_parameters_are_refused(parameters, match):
    with pytest.raises(ParameterError, match=match):
        arproc.Transformer(1, 2, 8, **({"tokens": 4} | parameters)).fit(np.arange(12.0) % 4)


def test_published_layouts_have_no_place_for_them(tmp_path):
    model = arproc.Transformer(1, 2, 8, block=6, tokens=4, kv_heads=1, ngrams=2, training=QUICK)
    with pytest.raises(UnsupportedError, match="vectors of n-grams"):
        model.fit(np.arange(30) % 4).to_pretrained(tmp_path)
