"""Passes over few inputs say what the network itself says."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import arproc
from arproc.compiled.interpreted import nothing_interpreted
from arproc.models.neural import panels
from arproc.models.neural.panels import MOST
from arproc.models.neural.sequences import few_inputs
from arproc.models.neural.sequences.cache import KeyValueCache
from arproc.models.neural.sequences.decoder import Decoder
from arproc.models.neural.sequences.few_inputs import Weights
from arproc.models.neural.sequences.network import SequenceNetwork
from arproc.models.neural.sequences.standard import StandardDecoder

SYMBOLS, WIDTH = 11, 24
CHOICES: dict[str, dict[str, Any]] = {
    "own": {},
    "own, of wide heads": {"width": 64},
    "of vectors": {"embedded": True},
    "with a context": {"context": 3},
    "Llama": {"kv_heads": 1, "positions": "rotary", "norm": "rms", "activation": "swiglu"},
    "GPT-2": {"positions": "learned", "limit": 60, "norm": "layer", "activation": "gelu_tanh",
              "biases": ("qkv", "out", "mlp"), "tied": True},
    "ALiBi": {"positions": "alibi", "norm": "layer", "activation": "gelu", "kv_heads": 2,
              "width": 64, "biases": ("mlp",)},
    "Qwen": {"kv_heads": 2, "biases": ("qkv",), "activation": "squared_relu", "hidden": 40},
    "standard, with a context": {"norm": "layer", "context": 3},
    "with n-grams": {"ngrams": 3},
    "standard, with n-grams and a context": {"ngrams": 3, "context": 3},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _compiled() -> Any:
    with nothing_interpreted():
        yield


def network_of(kind: str, **more: Any) -> SequenceNetwork:
    """A network whose every parameter is random."""
    torch.manual_seed(0)
    own = kind.startswith(("own", "of", "with"))
    sizes = {"layers": 2, "heads": 4, "width": WIDTH, "window": 7} | CHOICES[kind] | more
    network = (Decoder if own else StandardDecoder)(SYMBOLS, **sizes)
    for p in network.parameters():
        nn.init.normal_(p, std=0.3)
    return network.eval()


class _Plain(Weights):
    """Weights by which the network itself makes every pass."""

    def few(self, inputs: int) -> None:
        return None


def inputs_of(network: SequenceNetwork, n: int, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    if network.embedded:
        return torch.randn((n, count, WIDTH), generator=generator)
    return torch.randint(0, SYMBOLS, (n, count), generator=generator)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("kind", CHOICES)
@torch.inference_mode()
def test_passes_say_what_the_network_says(kind, n):
    network = network_of(kind)
    x = inputs_of(network, n, 50)
    context = None if network.given is None else torch.randn(n, 3)
    offset = network.offset(context)
    slow, fast = _Plain(network), Weights(network)
    one = other = KeyValueCache.empty(network, n)
    at = 0
    for count in (1, 1, 2, 5, 1, 9, 1, 1, 4, 5, 5):
        before = x[:, at - 2 : at] if at > 1 else x.new_zeros((n, 2))
        before = before if network.reach else None
        wanted, one = one.feed(x[:, at : at + count], slow, offset, before)
        found, other = other.feed(x[:, at : at + count], fast, offset, before)
        at += count
        assert (fast.few(n * count) is not None) == (n * count <= MOST)
        torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(fast.scores(found), slow.scores(wanted), atol=1e-4, rtol=1e-4)
        if count == 9:  # rows of unequal length from here on
            back = torch.tensor([0, 2, 3])[:n] if n > 1 else torch.tensor([2])
            one, other = one.truncate(back), other.truncate(back)
    assert fast.few(1) is not None


@torch.inference_mode()
def test_several_inputs_at_once_say_what_one_after_another_does():
    network = network_of("own")
    weights = Weights(network)
    x = inputs_of(network, 1, 12)
    before = KeyValueCache.empty(network, 1).feed(x[:, :7], weights)[1]
    together = before.feed(x[:, 7:], weights)[0]
    single, apart = before, []
    for t in range(7, 12):
        found, single = single.feed(x[:, t : t + 1], weights)
        apart.append(found)
    torch.testing.assert_close(together, torch.cat(apart, 1), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("how", ["in place", "behind autograd's back", "another tensor"])
def test_weights_that_changed_are_read_anew(how):
    network = network_of("GPT-2")
    x = torch.tensor([[1]])

    def said() -> torch.Tensor:
        weights = Weights(network)
        with torch.inference_mode():
            hidden, _ = KeyValueCache.empty(network, 1).feed(x, weights)
            assert weights.few(1) is not None
            return weights.scores(hidden)

    before = said()
    torch.testing.assert_close(said(), before, rtol=0, atol=0)
    target: Any = network.layers[1].down.weight  # type: ignore[union-attr]
    if how == "in place":
        with torch.no_grad():
            target[3, 5] += 2
    elif how == "behind autograd's back":
        target.data[3, 5] += 2
    else:
        network.layers[1].down.weight = nn.Parameter(target.detach() * 1.5)  # type: ignore[union-attr]
    after = said()
    assert (after - before).abs().max() > 1e-3
    with torch.inference_mode():
        wanted = _Plain(network)
        hidden, _ = KeyValueCache.empty(network, 1).feed(x, wanted)
        torch.testing.assert_close(after, wanted.scores(hidden), atol=1e-4, rtol=1e-4)


def test_what_computes_otherwise_is_left_to_the_network():
    network = network_of("Llama")
    assert Weights(network).few(1) is not None
    assert Weights(network).few(MOST + 1) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert Weights(network).few(1) is None
    handle = network.layers[0].up.register_forward_hook(lambda *_: None)  # type: ignore[union-attr]
    assert Weights(network).few(1) is None
    handle.remove()
    assert Weights(network).few(1) is not None
    assert Weights(network.double()).few(1) is None
    assert Weights(network.float().train()).few(1) is None
    network.eval().layers[0].up = nn.Sequential(network.layers[0].up)  # type: ignore[union-attr]
    assert Weights(network).few(1) is None


def test_what_does_not_fit_is_looked_at_once(monkeypatch):
    network, calls = network_of("Llama"), []
    network.layers[0].up = nn.Sequential(network.layers[0].up)  # type: ignore[union-attr]
    monkeypatch.setattr(few_inputs, "_panels_of", calls.append)
    weights, cache = Weights(network), KeyValueCache.empty(network, 1)
    with torch.inference_mode():
        for _ in range(3):
            _, cache = cache.feed(torch.tensor([[1]]), weights)
    assert len(calls) == 1


def test_gradients_flow_through_passes_over_few_inputs():
    network = network_of("own")
    weights = Weights(network)
    hidden, _ = KeyValueCache.empty(network, 1).feed(torch.tensor([[1]]), weights)
    weights.scores(hidden).square().sum().backward()
    assert all(p.grad is not None for p in network.layers.parameters())


def test_what_is_no_number_is_not_hidden():
    network = network_of("Llama")
    with torch.no_grad():
        network.layers[0].up.weight[0, 0] = float("nan")  # type: ignore[union-attr]
    weights = Weights(network)
    with torch.inference_mode():
        hidden, _ = KeyValueCache.empty(network, 1).feed(torch.tensor([[1]]), weights)
    assert weights.few(1) is not None
    assert bool(hidden.isnan().any())


@torch.inference_mode()
def test_a_symbol_that_is_none_is_refused():
    network = network_of("own")
    weights, empty = Weights(network), KeyValueCache.empty(network, 1)
    assert weights.few(1) is not None
    for symbol in (-1, SYMBOLS + 1):
        with pytest.raises(IndexError):
            empty.feed(torch.tensor([[symbol]]), weights)


def test_panels_go_with_their_network():
    network = network_of("own")
    assert Weights(network).few(1) is not None
    held = len(panels._KEPT)
    del network
    gc.collect()
    assert len(panels._KEPT) < held


@pytest.mark.parametrize("kind", ["own", "Llama"])
@torch.inference_mode()
def test_heads_ahead_say_what_the_network_says(kind):
    network = network_of(kind, ahead=2)
    weights = Weights(network)
    hidden = torch.randn(3, WIDTH)
    assert weights.few(1) is not None
    for k in (1, 2):
        between = torch.randint(0, SYMBOLS, (3, k))
        wanted = network.further(hidden, between)
        torch.testing.assert_close(weights.further(hidden, between), wanted, atol=1e-5, rtol=1e-4)


def test_rounded_weights_are_a_law_of_their_own():
    data = np.arange(60) % 5
    training = arproc.Training(steps=20, batch_size=4)
    model = arproc.Transformer(1, 2, 32, block=8, tokens=5, training=training).fit(data)
    half = model.rounded()
    for p, q in zip(model.network_.parameters(), half.network_.parameters(), strict=True):
        torch.testing.assert_close(q, p.bfloat16().float(), rtol=0, atol=0)
    assert half.log_prob(data) != model.log_prob(data)
    assert abs(half.log_prob(data) - model.log_prob(data)) < 0.5
    few = Weights(half.network_).few(1)
    assert few is not None
    assert [part.dtype for part in few._parts if part.ndim == 4] == [np.uint16] * 4
    state, total = half.start(), 0.0
    for symbol in data:
        x = torch.tensor([symbol])
        total += float(state.conditional.log_prob(x))
        state = state.append(x)
    assert total == pytest.approx(half.log_prob(data), abs=1e-3)


def test_samples_and_likelihoods_are_those_of_the_network(monkeypatch):
    data = np.arange(60) % 5
    training = arproc.Training(steps=20, batch_size=4)
    model = arproc.Transformer(1, 2, 32, block=8, tokens=5, training=training).fit(data)
    drawn = model.sample(3, length=40, seed=1)
    state = model.start([[1, 2, 3]])
    columns = [state.conditional.scores]
    for symbol in (4, 0, 1):
        state = state.append(torch.tensor([symbol]))
        columns.append(state.conditional.scores)
    monkeypatch.setattr(few_inputs, "MOST", 0)
    np.testing.assert_array_equal(model.sample(3, length=40, seed=1), drawn)
    state = model.start([[1, 2, 3]])
    for symbol, column in zip((4, 0, 1, None), columns, strict=True):
        torch.testing.assert_close(state.conditional.scores, column, atol=1e-5, rtol=1e-5)
        if symbol is not None:
            state = state.append(torch.tensor([symbol]))


@pytest.mark.parametrize("compiled", [True, False])
@torch.inference_mode()
def test_rows_come_and_go_beside_others_that_stay_as_they_are(compiled):
    network = network_of("own")
    weights = Weights(network) if compiled else _Plain(network)
    x = inputs_of(network, 8, 40)

    def alone(row: int, first: int, stop: int) -> torch.Tensor:
        """What is said after a row's inputs first ... stop - 1, fed by themselves."""
        cache = KeyValueCache.empty(network, 1)
        return cache.feed(x[row : row + 1, first:stop], _Plain(network))[0][:, -1]

    cache = KeyValueCache.empty(network, 4).feed(x[:4, :6], weights)[1]
    # of each row: which inputs it has had
    rows, counts = [0, 1, 2, 3], [6, 6, 6, 6]
    arenas = set()
    for joining in (4, 5, 6):
        old, old_rows, old_counts = cache, list(rows), list(counts)
        leaving = joining % len(rows)
        stay = [i for i in range(len(rows)) if i != leaving]
        new = KeyValueCache.empty(network, 1).feed(x[joining : joining + 1, :3], weights)[1]
        cache = KeyValueCache.concatenate([cache.select(torch.tensor(stay)), new])
        rows, counts = [rows[i] for i in stay] + [joining], [counts[i] for i in stay] + [3]
        arenas.add(id(cache.arena))
        for held, numbers, had in ((cache, rows, counts), (old, old_rows, old_counts)):
            following = torch.stack([x[r, c : c + 1] for r, c in zip(numbers, had, strict=True)])
            found = held.feed(following, weights)[0][:, 0]
            wanted = torch.cat([alone(r, 0, c + 1) for r, c in zip(numbers, had, strict=True)])
            torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
    assert len(arenas) == 1  # the first made room, in which the others are written
