"""PixelCNN: what a pixel sees, the parts that are carried, forms of images, labels, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers import assert_close, shake
from torch.nn import functional as F

import arproc
from arproc.errors import DataError, ParameterError
from arproc.models.neural.images.pixel_network import PixelNetwork
from arproc.models.neural.images.pixelcnn import GatedStacks, PixelCNN
from arproc.models.neural.images.raster import Carry, PlaneConv
from arproc.training import Training

QUICK = Training(steps=2, batch_size=4)


def images(levels: int, shape: tuple[int, ...], n: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, (n, *shape))


def model_of(levels: int = 2, shape: tuple[int, ...] = (4, 5), **parameters) -> PixelCNN:
    """A fitted model whose weights are then random, so that every input counts."""
    settings = {"layers": 2, "width": 6, "levels": levels, "training": QUICK} | parameters
    return shake(PixelCNN(**settings).fit(images(levels, shape)))


def stacks_of(layers: int, kernel: int = 3, first_kernel: int = 7, context: int = 0):
    torch.manual_seed(0)
    stacks = GatedStacks(
        2, layers=layers, width=4, kernel=kernel, first_kernel=first_kernel, context=context
    )
    for p in stacks.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return stacks.double()


def features_of(stacks, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
    """The features [N, H, W, width] of images of inputs [N, H, W, inputs]."""
    offsets = stacks.offsets(context)
    upper = F.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1]
    links = stacks.above(upper, Carry(0, 0), offsets)
    return stacks.along(F.pad(x, (0, 0, 1, 0))[:, :, :-1], links, Carry(0, 0), offsets)


# ---- causality ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "kernel", "first_kernel"), [(0, 3, 3), (0, 3, 7), (1, 3, 3), (3, 3, 3), (2, 5, 5)]
)
def test_the_jacobian_of_the_features_is_zero_from_their_own_pixel_on(
    layers, kernel, first_kernel
):
    stacks = stacks_of(layers, kernel, first_kernel)
    x = torch.randn(1, 4, 5, 2, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(lambda y: features_of(stacks, y)[0], x)
    size = slopes.abs().sum(dim=(2, 3, 6)).flatten(0, 1).flatten(1)  # [pixel, pixel]
    assert bool((size.triu() == 0).all())


def test_no_pixel_before_is_out_of_sight():
    stacks = stacks_of(layers=6, first_kernel=3)
    x = torch.randn(1, 5, 5, 2, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(lambda y: features_of(stacks, y)[0], x)
    size = slopes.abs().sum(dim=(2, 3, 6)).flatten(0, 1).flatten(1)
    before = torch.ones(25, 25).tril(-1).bool()
    assert bool((size[before] > 0).all())


@pytest.mark.parametrize("head", ["categorical", "discretised_logistic"])
def test_a_channel_depends_on_all_before_it_and_on_no_other(head):
    model = model_of(9, (3, 2, 3), layers=3, head=head, channel_axis="last")
    x = model.sequences(images(9, (3, 2, 3), 1)).padded()[0]
    base = model.start(1).extend(x)[0].log_prob(torch.full((1, 19), 4))[0, :-1]
    for site in range(18):
        changed = x.clone()
        changed[0, site] = (x[0, site] + 5) % 9
        moved = model.start(1).extend(changed)[0].log_prob(torch.full((1, 19), 4))[0, :-1]
        differs = (moved - base).abs() > 1e-7
        assert not bool(differs[: site + 1].any())
        assert bool(differs[site + 1 :].all())


# ---- the same features, by masks ----------------------------------------------------------------


def masked_features(stacks, x: torch.Tensor) -> torch.Tensor:
    """The stacks by ordinary square convolutions with zeros where nothing is seen."""
    horizontal = x.permute(0, 3, 1, 2)
    vertical = F.pad(horizontal, (0, 0, 1, 0))  # above the image lies a row of zeros
    skip = 0
    for layer in stacks.layers:
        reach, (width, _) = layer.reach, layer.across.weight.shape
        size, taps = 2 * reach + 1, layer.along.kernel[1]
        across = layer.across.weight.view(width, size, -1)
        down = layer.down.weight.view(2 * width, reach + 1, width)
        kernel = x.new_zeros(2 * width, across.shape[2], size, size)
        kernel[:, :, : reach + 1] = torch.einsum("otm,mci->oitc", down, across)
        u = F.conv2d(vertical, kernel, layer.down.bias, padding=reach)
        link = F.conv2d(u, layer.link.weight[:, :, None, None], layer.link.bias)[:, :, :-1]
        kernel = x.new_zeros(2 * width, horizontal.shape[1], 1, size)
        first = reach - taps if layer.first else 0
        along = layer.along.weight.view(2 * width, taps, -1).transpose(1, 2)
        kernel[:, :, 0, first : first + taps] = along
        b = F.conv2d(horizontal, kernel, padding=(0, reach)) + link
        gate = torch.tanh(b[:, :width] / 2) * torch.sigmoid(b[:, width:])
        out = F.conv2d(gate, layer.out.weight[:, :, None, None])
        if layer.first:
            horizontal, skip = out, F.conv2d(gate, layer.skip.weight[:, :, None, None])
        else:
            horizontal, skip = horizontal + out[:, :width], skip + out[:, width:]
        gate = torch.tanh(u[:, :width] / 2) * torch.sigmoid(u[:, width:])
        vertical = gate if layer.first else vertical + gate
    return skip.permute(0, 2, 3, 1)


@pytest.mark.parametrize(("layers", "kernel", "first_kernel"), [(0, 3, 7), (3, 3, 5), (2, 5, 3)])
def test_the_features_are_those_of_masked_square_convolutions(layers, kernel, first_kernel):
    stacks = stacks_of(layers, kernel, first_kernel)
    x = torch.randn(2, 6, 5, 2, dtype=torch.float64)
    assert_close(features_of(stacks, x), masked_features(stacks, x))


def test_a_single_position_is_the_matrix_product_of_the_convolution():
    conv = PlaneConv(3, 4, 1, 2, bias=False).double()
    x, add = torch.randn(5, 1, 2, 3).double(), torch.randn(5, 1, 1, 4).double()
    whole = conv(torch.cat([x, x], dim=2))[:, :, :1]
    assert_close(conv(x), whole)
    assert_close(conv(x, add=add), whole + add)


# ---- in parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 5), (1, 6), (6, 1), (3, 2, 3)])
def test_reading_in_parts_of_any_size_gives_the_features_of_the_whole(shape):
    network = model_of(3, shape, channel_axis="last").network_
    x = torch.from_numpy(images(3, (network.pixels, network.channels), 2))
    pixels = x.view(2, network.rows, network.columns, network.channels)
    whole = network.features(pixels).flatten(1, 2)
    rng = np.random.default_rng(3)
    for _ in range(5):
        cache, found, begin = network.start(2, None), [], 0
        found.append(cache.features[:, None])
        while begin < network.pixels:
            end = min(network.pixels, begin + int(rng.integers(1, 12)))
            features, cache = network.read(cache, x[:, begin:end])
            found.append(features)
            begin = end
        assert_close(torch.cat(found, dim=1)[:, :-1], whole, scale=100)


def test_a_pixel_runs_each_layer_on_one_column_only(monkeypatch):
    model = model_of(2, (6, 7), layers=3)
    state = model.start(2).extend(torch.zeros(2, 9))[1]
    seen = []
    forward = PlaneConv.forward

    def spy(self, x, add=None):
        seen.append(x.shape[1] * x.shape[2] // (self.kernel[0] * self.kernel[1]))
        return forward(self, x, add)

    monkeypatch.setattr(PlaneConv, "forward", spy)
    state = state.append(torch.ones(2))
    assert set(seen) == {1}
    assert len(seen) == 2 * 4 + 1  # two convolutions a layer, and the first layer's skip


def test_truncating_reads_on_from_a_start_of_a_row_nearby(monkeypatch):
    model = model_of(2, (30, 8), layers=1)
    x = torch.from_numpy(images(2, (240,), 2)).float()
    state = model.start(2).extend(x[:, :200])[1]
    for t in range(200, 230):
        state = state.append(x[:, t])
    counted = []
    read = PixelNetwork.read

    def spy(self, cache, pixels):
        counted.append(pixels.shape[1])
        return read(self, cache, pixels)

    monkeypatch.setattr(PixelNetwork, "read", spy)
    back = state.truncate(220)
    assert sum(counted) <= 8
    want = model.start(2).extend(x[:, :220])[1]
    assert_close(back.conditional.logits, want.conditional.logits, scale=10)


def test_sampling_gives_the_same_rows_whole_and_in_parts():
    model = model_of(5, (4, 4), layers=1)
    whole = model.sample(6, seed=3)
    half = whole.reshape(6, -1)[:, :7]
    rest = model.sample(6, prefix=half, seed=3)
    assert (rest == whole.reshape(6, -1)[:, 7:]).all()


# ---- forms of images ----------------------------------------------------------------------------


def test_channels_first_and_last_are_the_same_model():
    x = images(4, (3, 6, 5), 12)
    first = PixelCNN(1, 5, training=QUICK).fit(x)
    last = PixelCNN(1, 5, training=QUICK).fit(x.transpose(0, 2, 3, 1))
    assert (first.channel_axis_, last.channel_axis_) == (0, 2)
    assert_close(first.log_prob(x), last.log_prob(x.transpose(0, 2, 3, 1)))
    drawn = first.sample(3, seed=1)
    assert (drawn.shape, drawn.dtype) == ((3, 3, 6, 5), np.uint8)
    assert (drawn.transpose(0, 2, 3, 1) == last.sample(3, seed=1)).all()


def test_an_axis_of_one_channel_is_kept():
    x = images(2, (1, 4, 5))
    grey, with_axis = (PixelCNN(1, 5, training=QUICK).fit(y) for y in (x[:, 0], x))
    assert grey.sample(2, seed=0).shape == (2, 4, 5)
    assert with_axis.sample(2, seed=0).shape == (2, 1, 4, 5)
    assert_close(grey.log_prob(x[:, 0]), with_axis.log_prob(x))
    assert isinstance(with_axis.log_prob(x[0]), float)


def test_truth_values_bytes_and_tensors_are_the_same_images():
    x = images(2, (4, 5))
    model = model_of()
    want = model.log_prob(x)
    for form in (x.astype(bool), x.astype(np.uint8), x.astype(float), torch.from_numpy(x)):
        assert_close(torch.as_tensor(model.log_prob(form)), torch.from_numpy(want))


def test_levels_are_counted_and_eight_bits_recognised():
    assert PixelCNN(0, 2, training=QUICK).fit(images(17, (3, 3))).space.levels == 17
    assert PixelCNN(0, 2, training=QUICK).fit(images(200, (3, 3), 100)).space.levels == 256
    assert PixelCNN(0, 2, training=QUICK).fit(images(2, (3, 3))).space.kind == "binary"


def test_bits_per_dimension_of_uniform_colours_are_eight():
    x = images(256, (3, 5, 5), 20)
    model = PixelCNN(1, 4, head_width=2, levels=256, training=QUICK).fit(x)
    model.network_.head.weight.zero_()
    model.network_.head.bias.zero_()
    report = arproc.evaluate(model, x)
    assert report.bits_per_dim == pytest.approx(8.0, abs=1e-5)


# ---- learning -----------------------------------------------------------------------------------


def test_what_is_learnt_of_copies_is_their_entropy():
    x = images(4, (3, 4), 400)
    x[:, :, 2:] = x[:, :, :2]
    training = Training(steps=300, batch_size=32, lr=0.02, precision="bfloat16")
    model = PixelCNN(1, 12, kernel=5, first_kernel=5, training=training).fit(x[:300])
    per_image = -model.log_prob(x[300:]).mean()
    assert per_image == pytest.approx(6 * math.log(4), rel=0.05)


def test_labels_choose_what_is_drawn():
    label = np.arange(200) % 3
    x = np.zeros((200, 3, 3), dtype=int) + label[:, None, None]
    training = Training(steps=60, batch_size=32, lr=0.02)
    model = PixelCNN(0, 8, first_kernel=3, classes=3, training=training).fit(x, context=label)
    drawn = model.sample(3, seed=0, context=[2, 0, 1])
    assert (drawn == np.array([2, 0, 1])[:, None, None]).mean() > 0.9
    one_hot = PixelCNN(0, 8, first_kernel=3, conditioned=True, training=training)
    one_hot.fit(x, context=np.eye(3)[label])
    assert_close(one_hot.log_prob(x, context=np.eye(3)[label]), model.log_prob(x, context=label))


def test_half_precision_products_leave_the_likelihood_whole():
    network = model_of(levels=7, shape=(4, 4)).network_
    x = torch.from_numpy(images(7, (16,), 8))
    whole = network.log_prob(x)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network.log_prob(x)
    assert rounded.dtype == torch.float32
    assert float((rounded - whole).abs().max()) < 0.2  # the features are rounded, no more
    # not a grid of 8 bits of mantissa
    assert len(rounded.unique()) > 100


@pytest.mark.filterwarnings("ignore:the validation loss was lowest when it was first looked at")
def test_a_validation_set_keeps_the_best_weights():
    training = Training(steps=20, batch_size=8, validate_every=5)
    model = PixelCNN(0, 4, training=training).fit(
        images(2, (4, 4)), validation=images(2, (4, 4), 9, seed=1)
    )
    assert model.history_["validation"].count() == 4


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "parameters", "words"),
    [
        (images(2, (5,)), {}, "expected images"),
        (images(2, (3, 4, 3)), {}, "channel_axis"),
        (images(2, (2, 4, 5)), {}, "channel_axis"),
        (images(2, (4, 4)) * 0.5, {}, "fractional"),
        (images(2, (4, 4)) - 1, {}, "-1"),
        (images(2, (4, 4)) + np.nan, {}, "data has NaN"),
        (images(5, (4, 4)), {"levels": 4}, "levels from 0 to 3"),
        (images(5, (4, 4)), {"head": "bernoulli"}, "zeros and ones"),
    ],
)
def test_data_that_are_no_images_are_refused(data, parameters, words):
    with pytest.raises((DataError, ParameterError), match=words):
        PixelCNN(0, 2, training=QUICK, **parameters).fit(data)


def test_images_of_another_kind_are_refused():
    model = model_of(4, (3, 4, 5), channel_axis="first")
    for other in (images(4, (4, 5)), images(4, (1, 4, 5)), images(4, (4, 5, 3))):
        with pytest.raises(DataError, match="expected \\[3, 4, 5\\]"):
            model.log_prob(other)


def test_data_that_are_refused_leave_a_fitted_model_as_it_was():
    x = images(2, (4, 5))
    for model in (model_of(), arproc.Transformer(1, 2, 8, training=QUICK).fit(x)):
        before = model.log_prob(x)
        with pytest.raises(DataError):
            model.fit(images(2, (3, 3)) - 1)
        assert_close(model.log_prob(x), before)


@pytest.mark.parametrize("label", [3, -1, 0.5, [0.0, 1.0]])
def test_labels_that_are_none_are_refused(label):
    x = images(2, (3, 3), 12)
    model = PixelCNN(0, 2, classes=3, training=QUICK).fit(x, context=np.arange(12) % 3)
    with pytest.raises(DataError, match="context"):
        model.log_prob(x[:1], context=[label])


def test_a_vector_of_another_size_is_refused():
    x = images(2, (3, 3), 12)
    model = PixelCNN(0, 2, conditioned=True, training=QUICK).fit(x, context=np.ones((12, 2)))
    with pytest.raises(DataError, match="the model takes 2"):
        model.log_prob(x, context=np.ones((12, 3)))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"kernel": 4}, "kernel must be odd"),
        ({"first_kernel": 1}, "first_kernel"),
        ({"width": 0}, "width"),
        ({"classes": 3, "conditioned": True}, "one of them"),
        ({"head": "normal"}, "head"),
        ({"channel_axis": "middle"}, "channel_axis"),
    ],
)
def test_parameters_that_make_no_model_are_refused(parameters, words):
    with pytest.raises(ParameterError, match=words):
        PixelCNN(**{"layers": 0, "training": QUICK} | parameters).fit(images(2, (3, 3)))
