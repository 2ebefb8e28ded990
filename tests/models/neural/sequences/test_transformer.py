"""Transformer: one definition of attention, incremental or parallel, at any length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import arproc
from arproc.contract.sequences import Sequences
from arproc.errors import DataError, ParameterError
from arproc.models.neural.sequences.blocks import rotary_angles, window_mask
from arproc.models.neural.sequences.cache import SLACK
from arproc.models.neural.sequences.crops import IGNORED, Crops
from arproc.models.neural.sequences.decoder import Decoder
from arproc.models.neural.sequences.transformer import Transformer
from arproc.spaces import Categorical
from arproc.training import Objective, Training, train

SYMBOLS, WINDOW = 5, 6
QUICK = Training(steps=3, batch_size=2)


def random_model(layers: int = 3, window: int = WINDOW, end: bool = False) -> Transformer:
    """A fitted model whose weights are then random and large, so that every input counts."""
    data = np.arange(40) % SYMBOLS
    model = Transformer(
        layers, 2, 16, block=8, attention_window=window, tokens=SYMBOLS, end=end, training=QUICK
    ).fit(data if not end else [data, data[:7]])
    generator = torch.Generator().manual_seed(1)
    for p in model.network_.parameters():
        p.copy_(torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5)
    return model


def symbols(n: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(SYMBOLS, (n, length), generator=torch.Generator().manual_seed(seed))


def full_pass(model: Transformer, x: torch.Tensor) -> torch.Tensor:
    """All scores [N, T + 1, symbols] in one pass of the network."""
    start = torch.full((len(x), 1), model.network_.symbols)
    return model.network_(torch.cat([start, x], dim=1))


@pytest.fixture(scope="module")
def model() -> Transformer:
    return random_model()


def test_attention_of_the_network_is_a_causal_window_by_gradient():
    torch.manual_seed(0)
    layers, window, length = 2, 3, 12
    network = Decoder(SYMBOLS, layers=layers, heads=2, width=8, window=window)
    for p in network.parameters():
        torch.nn.init.normal_(p, std=0.5)
    weights = network.weights()
    inputs, position = symbols(1, length), torch.arange(length)
    embedded = F.embedding(inputs, weights.embedding).detach().requires_grad_()
    mask = window_mask(position, position, window)

    def attend(_, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=network.scale)

    own = weights._replace(embedding=embedded[0])  # a row for each place
    places = rotary_angles(position, network.dim)
    x = network.entered(network.embedded_by(position[None], own), places)
    hidden = network.finished(network.through(x, places, own, attend))
    scores = network.scores(hidden, own)
    torch.testing.assert_close(scores, network(inputs))
    reach = layers * (window - 1) + 1
    for t in range(length):
        gradient = torch.autograd.grad(scores[0, t].square().sum(), embedded, retain_graph=True)[
            0
        ][0].norm(dim=-1)
        inside = (torch.arange(length) <= t) & (torch.arange(length) > t - reach)
        assert (gradient[inside] > 0).all()
        assert (gradient[~inside] == 0).all()


@pytest.mark.parametrize("length", [1, 5, WINDOW, 40, 300])
def test_appending_one_by_one_is_the_full_pass(model, length):
    x = symbols(3, length)
    expected = full_pass(model, x)
    state = model.start(3)
    torch.testing.assert_close(state.conditional.scores, expected[:, 0], atol=1e-4, rtol=1e-4)
    for j in range(length):
        state = state.append(x[:, j])
        torch.testing.assert_close(
            state.conditional.scores, expected[:, j + 1], atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("pieces", [(40,), (1, 39), (0, 7, 1, 32), (300,), (130, 5, 165)])
def test_extending_in_pieces_is_the_full_pass(model, pieces):
    x = symbols(2, sum(pieces))
    expected, state, done = full_pass(model, x), model.start(2), 0
    for count in pieces:
        columns, state = state.extend(x[:, done : done + count])
        part = expected[:, done : done + count + 1]
        torch.testing.assert_close(columns.scores, part, atol=1e-4, rtol=1e-4)
        done += count


@pytest.mark.parametrize("window", [3, 40])
@pytest.mark.parametrize("lengths", [[0, 3, 9, 2], [150, 0, 129, 290], [10, 10, 10, 10]])
def test_ragged_rows_are_what_they_would_be_alone(window, lengths):
    model = random_model(window=window)
    longest = max(lengths) + 2
    x, more = symbols(4, longest), symbols(4, 90, seed=1)
    columns, state = model.start(4).extend(x, lengths)
    torch.testing.assert_close(columns.scores, full_pass(model, x), atol=1e-4, rtol=1e-4)
    for j in range(90):
        state = state.append(more[:, j])
    for i, length in enumerate(lengths):
        alone = full_pass(model, torch.cat([x[i : i + 1, :length], more[i : i + 1]], dim=1))
        torch.testing.assert_close(state.conditional.scores[i], alone[0, -1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [80, 400])
@pytest.mark.parametrize("drop", [1, 30, SLACK, 79])
def test_truncating_gives_the_earlier_state(model, length, drop):
    x = symbols(2, length)
    state = model.start(2)
    for j in range(length):
        state = state.append(x[:, j])
    back = state.truncate(length - drop)
    expected = full_pass(model, x)
    torch.testing.assert_close(
        back.conditional.scores, expected[:, length - drop], atol=1e-4, rtol=1e-4
    )
    for j in range(length - drop, length):  # again, and the untruncated one is unharmed
        back = back.append(x[:, j])
    torch.testing.assert_close(back.conditional.scores, expected[:, -1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        state.append(x[:, 0]).conditional.scores, back.append(x[:, 0]).conditional.scores
    )


def test_truncating_by_unequal_amounts(model):
    x = symbols(3, 200)
    state = model.start(3).extend(x)[1]
    lengths = torch.tensor([200, 140, 3])
    back = state.truncate(lengths)
    expected = full_pass(model, x)
    rows = torch.arange(3)
    torch.testing.assert_close(
        back.conditional.scores, expected[rows, lengths], atol=1e-4, rtol=1e-4
    )
    empty = state.truncate(0)
    torch.testing.assert_close(empty.conditional.scores, expected[:, 0], atol=1e-4, rtol=1e-4)


def test_forks_do_not_disturb_each_other(model):
    x = symbols(2, 50)
    trunk = model.start(2).extend(x)[1]
    branches = []
    for s in range(SYMBOLS):
        branch = trunk
        for _ in range(20):
            branch = branch.append(torch.tensor([s, (s + 1) % SYMBOLS]))
        branches.append(branch)
    for s, branch in enumerate(branches):
        tail = torch.tensor([[s], [(s + 1) % SYMBOLS]]).expand(2, 20)
        expected = full_pass(model, torch.cat([x, tail], dim=1))[:, -1]
        torch.testing.assert_close(branch.conditional.scores, expected, atol=1e-4, rtol=1e-4)


def test_selecting_rows(model):
    x = symbols(3, 100)
    _, state = model.start(3).extend(x, [100, 2, 60])
    rows = [2, 0, 0, 1]
    chosen = state.select(rows)
    assert chosen.lengths.tolist() == [60, 100, 100, 2]
    more = symbols(1, 1)[0].expand(4)
    torch.testing.assert_close(
        chosen.append(more).conditional.scores,
        state.append(more[:3]).conditional.scores[rows],
        atol=1e-5,
        rtol=1e-5,
    )


def test_memory_is_bounded(model):
    state = model.start(1)
    for j in range(1000):
        state = state.append(torch.tensor([j % SYMBOLS]))
    assert state.cache.arena.data.shape[-2] <= 2 * (WINDOW + SLACK) + 17


def test_positions_are_exact_far_out():
    """Angles computed in float32 would be off by 0.04 at position 10^8."""
    model = random_model(layers=1)
    network = model.network_
    from arproc.models.neural.sequences.cache import KeyValueCache
    from arproc.models.neural.sequences.few_inputs import Weights

    x = symbols(1, 40)
    near, _ = KeyValueCache(network, torch.zeros(1, 2, 1, 2, 0, 8), 0).feed(x, Weights(network))
    far, _ = KeyValueCache(network, torch.zeros(1, 2, 1, 2, 0, 8), 10**8).feed(x, Weights(network))
    torch.testing.assert_close(near, far, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("end", [False, True])
def test_likelihood_beyond_the_window_and_its_chunks(end):
    model = random_model(end=end)
    x = symbols(1, 1000)[0].numpy()
    terms = model.log_prob_terms(x)
    logits = full_pass(model, torch.as_tensor(x)[None])[0].log_softmax(-1)
    targets = np.append(x, SYMBOLS) if end else x
    expected = logits[np.arange(len(targets)), targets]
    np.testing.assert_allclose(terms, expected.numpy(), atol=1e-4)
    assert model.log_prob(x) == pytest.approx(float(expected.double().sum()), abs=1e-2)


def test_gradients_in_the_parameters_where_they_are_asked_for(model):
    model = random_model()
    x = symbols(2, 300)
    assert not model.log_prob(x).requires_grad
    model.network_.requires_grad_()
    model.log_prob(x).sum().backward()
    ours = [p.grad.clone() for p in model.network_.parameters()]
    model.network_.zero_grad()
    logits = full_pass(model, x)[:, :-1].log_softmax(-1)
    logits.gather(-1, x[..., None]).sum().backward()
    for a, p in zip(ours, model.network_.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad, atol=2e-2, rtol=1e-3)
    # generation is unharmed by it, and graphs are kept only while gradients are on
    with torch.no_grad():
        assert not model.start(1).append([1]).conditional.scores.requires_grad
    assert model.start(1).append([1]).append([2]).conditional.scores.requires_grad


# ---- training -----------------------------------------------------------------------------


def sequences(rows: list[list[int]], end: bool) -> Sequences:
    space = Categorical(SYMBOLS + end, None, SYMBOLS if end else None)
    return Sequences.of([np.array(row) for row in rows], space)


def test_crops_of_a_stream():
    x = (np.arange(100) * 7) % SYMBOLS
    crops = Crops(sequences([x.tolist()], end=False), block=10)
    inputs, targets, _ = crops(2000, torch.Generator().manual_seed(0))
    assert inputs.shape == targets.shape == (2000, 10)
    assert (inputs[:, 1:] == targets[:, :-1]).all()
    cold = inputs[:, 0] == SYMBOLS
    assert 0.45 < cold.double().mean() < 0.65
    assert (inputs[:, 1:] < SYMBOLS).all()
    assert (inputs[~cold, 0] == (targets[~cold, 0] - 7) % SYMBOLS).all()
    places = {tuple(row) for row in targets.tolist()}
    assert places == {tuple(x[i : i + 10].tolist()) for i in range(91)}


def test_crops_of_sequences_that_end():
    rows = [[0, 1, 2], [3], [], [4, 3, 2, 1, 0, 4, 3, 2, 1, 0]]
    crops = Crops(sequences(rows, end=True), block=5)
    inputs, targets, _ = crops(4000, torch.Generator().manual_seed(0))
    kept = targets != IGNORED
    assert (inputs[:, 0] == SYMBOLS + 1).any()  # the start symbol
    short = {tuple(t[k].tolist()) for t, k in zip(targets, kept, strict=True) if k.sum() < 5}
    assert short == {(0, 1, 2, 5), (3, 5), (5,)}
    whole = [*rows[3], SYMBOLS]
    for row, target, k in zip(
        inputs.tolist(), targets.tolist(), kept.sum(1).tolist(), strict=True
    ):
        if k == 5 and target[:4] != [0, 1, 2, 5]:
            at = [i for i in range(7) if whole[i : i + 5] == target]
            assert at
            before = {whole[i - 1] if i else SYMBOLS + 1 for i in at}
            assert row[0] in before
    # a sequence counts by the crops that it holds: 1, 1, 1 and 11 / 5
    share = (kept.sum(1) == 1).double().mean()
    assert share == pytest.approx(1 / (3 + 11 / 5), abs=0.03)


def test_a_crop_is_what_the_network_is_asked_later():
    """A sequence that ends is scored as one crop of it is trained: the same sum of terms."""
    model = random_model(end=True)
    rows = [[0, 1, 2, 3], [4, 4]]
    crops = Crops(sequences(rows, end=True), block=8)
    inputs, targets, _ = crops(50, torch.Generator().manual_seed(0))
    scores = model.network_(inputs)
    terms = -F.cross_entropy(scores.transpose(1, 2), targets, reduction="none")
    by_length = dict(zip((targets != IGNORED).sum(1).tolist(), terms.sum(1).tolist(), strict=True))
    expected = model.log_prob([np.array(row) for row in rows])
    assert [by_length[5], by_length[3]] == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_overfits_a_small_text(optimizer):
    text = "the quick brown fox jumps over the lazy dog. " * 8
    model = arproc.Transformer(
        2, 2, 32, block=32, tokens="char",
        training=Training(steps=150, batch_size=8, lr=0.01, optimizer=optimizer),
    ).fit(text, validation=text)  # fmt: skip
    assert model.score(text) > -0.05
    assert model.condition(text[:61]).log_prob("fox jumps over t") > -0.5
    assert len(model.sample(1, length=16, prefix="the quick brown ", seed=0)[0]) == 16
    assert model.history_["validation"].count() >= 20
    assert model.history_["validation"].dropna().iloc[-1] < 0.2


def test_words_that_end(tmp_path):
    lines = ["a rose is a rose", "a dog is a dog", "is a rose a dog"] * 10
    model = arproc.Transformer(
        1, 2, 16, block=8, tokens="word", training=Training(steps=80, batch_size=16, lr=0.02)
    ).fit(lines)
    assert model.space.terminates
    assert model.log_prob("a rose is a rose") > model.log_prob("rose rose a is a") + 5
    drawn = model.sample(20, seed=0, length=30)
    assert set(drawn) & set(lines)
    model.save(tmp_path / "model")
    again = arproc.load(tmp_path / "model")
    np.testing.assert_array_equal(model.log_prob(lines), again.log_prob(lines))
    assert again.sample(20, seed=0, length=30) == drawn
    assert again.training == model.training
    assert again.history_.equals(model.history_)


def test_products_in_bfloat16_learn_too_and_weights_stay_in_float32():
    text = "abcab" * 30
    plan = Training(steps=60, batch_size=8, lr=0.02, precision="bfloat16")
    model = Transformer(1, 2, 16, block=16, tokens="char", dropout=0.1, training=plan).fit(text)
    assert model.score(text) > -0.3
    assert all(p.dtype == torch.float32 for p in model.network_.parameters())


def test_equal_seeds_give_equal_models_whatever_came_before():
    data = np.arange(60) % SYMBOLS
    first = Transformer(1, 2, 8, block=8, dropout=0.1, training=QUICK).fit(data)
    torch.rand(3)
    second = Transformer(1, 2, 8, block=8, dropout=0.1, training=QUICK).fit(data)
    other = Transformer(1, 2, 8, block=8, training=QUICK.set_params(seed=1)).fit(data)
    assert first.log_prob(data) == second.log_prob(data)
    assert first.log_prob(data) != other.log_prob(data)


def test_resuming_a_fit_is_the_uninterrupted_fit(tmp_path, monkeypatch):
    data = np.arange(60) % SYMBOLS
    plan = Training(steps=12, batch_size=2, checkpoint=str(tmp_path / "c"), checkpoint_every=5)
    whole = Transformer(1, 2, 8, block=8, training=plan.set_params(checkpoint=None)).fit(data)
    model = Transformer(1, 2, 8, block=8, dropout=0.0, training=plan)
    steps = []

    def breaks(self, generator_or_count, *rest):
        steps.append(1)
        if len(steps) == 8:
            raise KeyError("power cut")
        return original(self, generator_or_count, *rest)

    original = Crops.__call__
    with monkeypatch.context() as patch:
        patch.setattr(Crops, "__call__", breaks)
        with pytest.raises(KeyError, match="power cut"):
            model.fit(data)
    model.set_params(training__resume=True).fit(data)
    assert model.log_prob(data) == whole.log_prob(data)
    with pytest.raises(arproc.errors.TrainingError, match="other data"):
        model.fit(data[:50])


def test_dropout_is_off_outside_training():
    network = Decoder(SYMBOLS, layers=2, heads=2, width=8, window=4, dropout=0.5)
    for p in network.parameters():
        torch.nn.init.normal_(p)
    x = symbols(1, 10)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_a_loss_that_diverges_is_an_error():
    model = Transformer(1, 2, 8, block=8, training=Training(steps=50, lr=1e30, clip=None))
    with pytest.raises(arproc.errors.TrainingError, match="lower lr"):
        model.fit(np.arange(60) % SYMBOLS)
    with pytest.raises(arproc.errors.NotFittedError):
        model.log_prob(np.arange(5) % SYMBOLS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 30, "heads": 4}, "width must be a multiple of twice the heads, 8; got 30"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"attention_window": 0}, "attention_window must be at least 1"),
        ({"block": 2.5}, "block must be an integer"),
        ({"dropout": 1.0}, "dropout must be a number at least 0 and below 1"),
        ({"training": 5}, "training must be an arproc.Training"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Transformer(**parameters).fit(np.arange(10) % SYMBOLS)


def test_wrong_data_are_refused(model):
    with pytest.raises(DataError, match="symbols from 0 to 4"):
        model.log_prob(np.array([0, 7]))
    with pytest.raises(DataError, match="not finite"):
        model.log_prob(np.array([0.0, np.nan]))


def test_train_is_the_loop_that_fits():
    """The class adds nothing to the loop: crops and cross-entropy, and the same weights."""
    data = np.arange(60) % SYMBOLS
    plan = Training(steps=4, batch_size=3, seed=5)
    model = Transformer(1, 2, 8, block=8, training=plan).fit(data)
    torch.manual_seed(arproc.training.seed_of(5, 2))
    network = Decoder(SYMBOLS, layers=1, heads=2, width=8, window=8)
    crops = Crops(model.sequences(data), 8)

    def loss(batch, _):
        return F.cross_entropy(network(batch.inputs).flatten(0, 1), batch.targets.flatten())

    train(network, Objective(lambda step, generator: crops(3, generator), loss), plan)
    for a, b in zip(network.parameters(), model.network_.parameters(), strict=True):
        assert torch.equal(a, b)


def test_parameters_that_are_set_after_a_fit_wait_for_the_next():
    model = random_model(end=True)
    x = symbols(1, 20)[0].numpy()
    want = model.log_prob(x)
    model.set_params(layers=1, heads=1, width=4, block=3, attention_window=2, end=False, classes=3)
    assert model.log_prob(x) == want
    assert model.space.terminates
    assert (model.shape_, model.channel_axis_, model.n_context_) == (None, None, 0)
