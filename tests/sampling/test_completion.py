"""Completing half-known examples: exactness, forms, and what can not be completed."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import shake
from toys import Bits

import arproc
from arproc.errors import DataError, ParameterError, UnsupportedError
from arproc.sampling import complete
from arproc.training import Training

QUICK = Training(steps=2, batch_size=4)


def images(levels: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, shape)


def pixelcnn(levels: int, *shape: int, **parameters) -> arproc.PixelCNN:
    model = arproc.PixelCNN(1, 5, training=QUICK, levels=levels, **parameters)
    return shake(model.fit(images(levels, 20, *shape)))


def upper(rows: int, *shape: int) -> np.ndarray:
    """The first rows of an image [H, W] are known."""
    return np.broadcast_to(np.arange(shape[0])[:, None] < rows, shape)


def test_completions_follow_the_law_of_the_unknown_given_the_known():
    model = pixelcnn(2, 3, 2)
    image = images(2, 3, 2, seed=5)
    drawn = complete(model, image, upper(2, 3, 2), n=4000, seed=1)
    assert (drawn[:, :2] == image[:2]).all()
    ends = list(itertools.product((0, 1), repeat=2))
    every = np.repeat(image[None], 4, axis=0)
    every[:, 2] = ends
    law = np.exp(model.log_prob(every))
    law /= law.sum()
    for end, want in zip(ends, law, strict=True):
        share = (drawn[:, 2] == end).all(axis=1).mean()
        assert abs(share - want) < 5 * (want * (1 - want) / 4000) ** 0.5


def test_each_example_may_be_known_to_another_place():
    model = pixelcnn(4, 4, 3)
    x = images(4, 3, 4, 3)
    known = np.stack([upper(rows, 4, 3) for rows in (0, 2, 4)])
    drawn = complete(model, x, known, n=2, seed=0)
    assert drawn.shape == (3, 2, 4, 3)
    assert (drawn[1, :, :2] == x[1, :2]).all()
    assert (drawn[2] == x[2]).all()
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("axis", ["first", "last"])
def test_colours_are_completed_in_the_users_layout(axis):
    shape = (3, 4, 5) if axis == "first" else (4, 5, 3)
    model = pixelcnn(5, *shape, channel_axis=axis)
    x = images(5, 2, *shape)
    known = upper(2, 4, 5)
    known = np.broadcast_to(known if axis == "first" else known[..., None], shape)
    drawn = complete(model, x, known, seed=0)[:, 0]
    assert (drawn[:, known] == x[:, known]).all()


def test_what_is_nan_or_masked_is_unknown():
    model = pixelcnn(3, 3, 4)
    x = images(3, 3, 4).astype(float)
    known = upper(1, 3, 4)
    want = complete(model, x, known, n=3, seed=2)
    assert (complete(model, np.where(known, x, np.nan), n=3, seed=2) == want).all()
    assert (complete(model, np.ma.masked_array(x, ~known), n=3, seed=2) == want).all()
    assert (complete(model, torch.from_numpy(x), torch.tensor(known), n=3, seed=2) == want).all()


def test_labels_are_those_of_the_examples():
    label = np.arange(60) % 3
    x = np.zeros((60, 3, 3), dtype=int) + label[:, None, None]
    training = Training(steps=60, batch_size=16, lr=0.02)
    model = arproc.PixelCNN(0, 8, first_kernel=3, classes=3, training=training)
    model.fit(x, context=label)
    drawn = complete(model, x[:3], upper(0, 3, 3), n=4, seed=0, context=label[:3])
    assert (drawn == x[:3, None]).mean() > 0.9


def test_any_model_of_a_fixed_size_is_completed_in_its_own_order():
    x = images(2, 20, 2, 3)
    made = shake(arproc.MADE((6,), ordering=(5, 4, 3, 2, 1, 0), training=QUICK).fit(x))
    known = ~upper(1, 2, 3)  # the lower row, which this order generates first
    drawn = complete(made, x[0], known, n=3, seed=0)
    assert (drawn[:, 1] == x[0, 1]).all()
    transformer = arproc.Transformer(1, 2, 8, training=QUICK).fit(x)
    assert complete(transformer, x, upper(1, 2, 3), seed=0).shape == (20, 1, 2, 3)


def test_what_is_known_behind_what_is_not_is_refused():
    model = pixelcnn(2, 3, 4)
    x = images(2, 3, 4)
    with pytest.raises(UnsupportedError, match=r"\(1, 0\) of example 0 is known, and \(0, 2\)"):
        complete(model, x, np.arange(4) < [[2], [2], [2]], method="exact")


@pytest.mark.parametrize(
    ("data", "known", "words"),
    [
        (images(2, 4, 4), None, "expected \\[3, 4\\]"),
        (images(2, 3, 4) + 1, None, "from 1 to 2"),
        ("image", None, "numbers"),
        (images(2, 3, 4), np.ones((3, 4)), "known"),
        (images(2, 3, 4), np.ones(4, dtype=bool), "known"),
    ],
)
def test_bad_input_is_refused(data, known, words):
    with pytest.raises((DataError, ParameterError), match=words):
        complete(pixelcnn(2, 3, 4), data, known)


def test_sequences_of_free_length_have_prefixes_instead():
    with pytest.raises(UnsupportedError, match="prefix"):
        complete(arproc.NGram(2, "additive", 3).fit([0, 1, 2, 1]), [0, 1])


@pytest.mark.parametrize("n", [1, 4])
def test_draw_k_of_example_i_is_row_i_n_plus_k_of_a_sample_after_what_is_known(n):
    x = np.array([[1, 0, 1, 0, 0, 0], [0, 1, 1, 1, 1, 1], [1, 1, 0, 1, 0, 1]])
    model = Bits((6,)).fit(x)
    completed = complete(model, x, known=np.arange(6) < 3, n=n, seed=3).reshape(3, n, 6)
    for i in range(3):
        after = model.sample(3 * n, prefix=x[i, :3], seed=3)
        np.testing.assert_array_equal(completed[i, :, :3], np.tile(x[i, :3], (n, 1)))
        np.testing.assert_array_equal(completed[i, :, 3:], after[i * n : (i + 1) * n])


def test_contexts_are_found_by_the_labels_of_the_rows():
    rows = list("abcdefgh")
    x = pd.DataFrame(images(2, 8, 4), rows)
    push = pd.Series(np.arange(8) % 3, rows)
    model = shake(arproc.NADE(5, classes=3, training=QUICK).fit(x, context=push))
    some, known = x.iloc[[5, 2, 3]], np.arange(4) < 2
    kind = {"known": known, "seed": 0, "return_info": True}
    found = complete(model, some, context=push.iloc[::-1], **kind)
    plain = complete(model, some.to_numpy(), context=push.to_numpy()[[5, 2, 3]], **kind)
    assert (found.log_prob_known == plain.log_prob_known).all()
    assert (found.x == plain.x).all()
    with pytest.raises(DataError, match="context has no row for 'c'"):
        complete(model, some, context=push.iloc[3:], **kind)
