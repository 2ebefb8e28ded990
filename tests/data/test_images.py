"""Pictures on disk: read as arrays, and taken by the models of images wherever data go."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import arproc
from arproc import (
    MADE,
    NADE,
    Mixture,
    OrderEnsemble,
    PixelCNN,
    PixelCNNPP,
    PixelSNAIL,
    Training,
    Transformer,
)
from arproc.datasets import images
from arproc.errors import DataError, MissingDependencyError, ParameterError
from arproc.sampling import Temperature, complete

PLAN = Training(steps=4, batch_size=4)


def levels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def write(folder, arrays, names=None, **settings):
    folder.mkdir(exist_ok=True)
    names = names or [f"{i:02}.png" for i in range(len(arrays))]
    for name, array in zip(names, arrays, strict=True):
        Image.fromarray(array).save(folder / name, **settings)
    return folder


# ---- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4, 3, 3)])
@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "PNG"])
def test_what_was_written_is_read(tmp_path, shape, suffix):
    x = levels(*shape)
    settings = {"lossless": True, "exact": True} if suffix == "webp" else {}
    write(tmp_path, x, [f"{i}.{suffix}" for i in range(5)], **settings)
    found = images(tmp_path)
    if suffix == "webp" and len(shape) == 3:
        found = images(str(tmp_path), grey=True)  # that format knows colours alone
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, x)


def test_names_give_the_order_and_other_files_are_left_out(tmp_path):
    x = levels(3, 2, 4)
    write(tmp_path, x, ["c.png", "a.bmp", "b.png"])
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"no picture")
    write(tmp_path / "more", x)
    np.testing.assert_array_equal(images(tmp_path), x[[1, 2, 0]])
    files = [tmp_path / "c.png", str(tmp_path / "b.png")]
    np.testing.assert_array_equal(images(files), x[[0, 2]])


def test_jpeg_is_near(tmp_path):
    x = np.linspace(0, 255, 256).astype(np.uint8).reshape(1, 16, 16)
    write(tmp_path, x, ["a.jpg"], quality=95)
    assert np.abs(images(tmp_path).astype(int) - x).max() < 8


def test_one_bit_pictures_are_zeros_and_ones(tmp_path):
    x = levels(3, 6, 5) > 127
    write(tmp_path, x)
    np.testing.assert_array_equal(images(tmp_path), x.astype(np.uint8))
    assert set(np.unique(images(tmp_path, size=3))) <= {0, 1}
    write(tmp_path, levels(1, 6, 5), ["99.png"])  # among grey ones black is 0 and white 255
    np.testing.assert_array_equal(images(tmp_path)[:3], x * 255)


def test_grey_and_colour(tmp_path):
    colour, grey = levels(1, 4, 4, 3), levels(1, 4, 4)
    write(tmp_path, [*colour, *grey], ["a.png", "b.png"])
    with pytest.raises(DataError, match=r"'a.png' is coloured and 'b.png' is grey; say grey=True"):
        images(tmp_path)
    as_grey = images(tmp_path, grey=True)
    luma = (colour[0] @ [0.299, 0.587, 0.114]).round()  # ITU-R 601
    assert np.abs(as_grey[0] - luma).max() <= 1
    np.testing.assert_array_equal(as_grey[1], grey[0])
    np.testing.assert_array_equal(images(tmp_path, grey=False)[1], np.stack([grey[0]] * 3, -1))


def test_sizes(tmp_path):
    write(tmp_path, [np.full((4, 6), 9, np.uint8), np.full((8, 3), 200, np.uint8)])
    with pytest.raises(
        DataError, match=r"'00.png' has 4 by 6 pixels and '01.png' 8 by 3; say size="
    ):
        images(tmp_path)
    x = images(tmp_path, size=(2, 5))
    assert x.shape == (2, 2, 5)
    np.testing.assert_array_equal(x[:, 0, 0], [9, 200])
    assert images(tmp_path, size=3).shape == (2, 3, 3)
    for wrong in ("big", (1, 2, 3), 0):
        with pytest.raises(ParameterError, match="size must be"):
            images(tmp_path, size=wrong)
    with pytest.raises(ParameterError, match="grey must be"):
        images(tmp_path, grey="yes")


def test_palettes_alpha_and_how_a_camera_was_held(tmp_path):
    x = levels(2, 3, 3)
    picture = Image.fromarray(x).convert("RGBA")
    picture.save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(images(tmp_path)[0], x)
    indexed = Image.fromarray(x).quantize(16)
    indexed.save(tmp_path / "palette.gif")
    assert images(tmp_path).shape == (2, 2, 3, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(x).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(images([tmp_path / "turned.png"])[0], np.rot90(x, -1))
    picture.putalpha(7)
    picture.save(tmp_path / "glass.png")
    with pytest.raises(DataError, match=r"glass.png' has transparent pixels"):
        images(tmp_path)


@pytest.mark.parametrize("seen_through", [True, False])
def test_a_grey_picture_with_alpha_stays_grey(tmp_path, seen_through):
    alpha = np.full((2, 3), 0 if seen_through else 255, np.uint8)
    x = levels(2, 3)
    Image.merge("LA", [Image.fromarray(x), Image.fromarray(alpha)]).save(tmp_path / "a.png")
    if seen_through:
        with pytest.raises(DataError, match="transparent"):
            images(tmp_path)
    else:
        np.testing.assert_array_equal(images(tmp_path)[0], x)


def test_what_can_not_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="has no pictures: no file ends with one of"):
        images(tmp_path)
    write(tmp_path / "cats", levels(1, 2, 2))
    with pytest.raises(DataError, match=r"Folders within it are not read \('cats'\)"):
        images(tmp_path)
    with pytest.raises(DataError, match="does not exist; expected a folder"):
        images(tmp_path / "nothing")
    with pytest.raises(DataError, match="is a file; expected a folder"):
        images(tmp_path / "cats" / "00.png")
    with pytest.raises(DataError, match="names no files"):
        images([])
    with pytest.raises(DataError, match=r"gone.png' can not be read: there is no such file"):
        images([tmp_path / "gone.png"])
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"bad.png' can not be read: cannot identify"):
        images(tmp_path)
    whole = (write(tmp_path / "big", levels(1, 64, 64)) / "00.png").read_bytes()
    (tmp_path / "bad.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"bad.png' can not be read"):
        images(tmp_path)
    Image.fromarray(np.full((2, 2), 5000, np.uint16)).save(tmp_path / "bad.png")
    with pytest.raises(DataError, match=r"bad.png' has levels of more than 8 bits"):
        images(tmp_path)


def test_without_pillow_the_error_says_what_brings_it(tmp_path, monkeypatch):
    write(tmp_path, levels(1, 2, 2))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r"pip install \"arproc\[images\]\""):
        images(tmp_path)


# ---- in models --------------------------------------------------------------------------------

MODELS = {
    "PixelCNN": lambda: PixelCNN(0, 4, training=PLAN),
    "PixelCNN++": lambda: PixelCNNPP(1, 4, resolutions=1, components=2, training=PLAN),
    "PixelSNAIL": lambda: PixelSNAIL(1, 4, keys=2, values=2, training=PLAN),
    "MADE": lambda: MADE((4,), training=PLAN),
    "NADE": lambda: NADE(4, order_agnostic=True, training=PLAN),
    "Transformer": lambda: Transformer(1, 1, 8, tokens=256, training=PLAN),
}


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
@pytest.mark.parametrize("name", MODELS)
def test_a_folder_stands_for_its_pictures(tmp_path, name, kind):
    shape = (9, 2, 3, 3) if name in ("PixelCNN", "Transformer") else (9, 3, 2)
    x = levels(*shape)
    folder = kind(write(tmp_path, x))
    model = MODELS[name]().fit(folder, validation=folder)
    want = MODELS[name]().fit(x, validation=x)
    np.testing.assert_array_equal(model.log_prob(folder), want.log_prob(x))
    assert model.score(folder) == want.score(x)
    pd.testing.assert_frame_equal(
        model.history_.drop(columns="seconds"), want.history_.drop(columns="seconds")
    )
    one = kind(tmp_path / "03.png")
    assert model.log_prob(one) == want.log_prob(x[3])
    np.testing.assert_array_equal(model.log_prob_terms(one), want.log_prob_terms(x[3]))
    assert arproc.evaluate(model, folder) == arproc.evaluate(want, x)
    assert model.sample(2, seed=0).shape == (2, *shape[1:])


def test_wrappers_and_algorithms_take_folders(tmp_path):
    x = levels(9, 3, 2) // 64
    folder = write(tmp_path, x)
    made, nade = MODELS["MADE"]().fit(folder), MODELS["NADE"]().fit(folder)
    for law in (
        made.with_policy(Temperature(0.7)),
        Mixture([made, nade], weights=[0.5, 0.5]),
        OrderEnsemble(nade, orderings=2),
    ):
        np.testing.assert_array_equal(law.log_prob(folder), law.log_prob(x))
    known = np.array([[True, True], [True, False], [False, False]])
    np.testing.assert_array_equal(
        complete(made, folder, known, seed=0), complete(made, x, known, seed=0)
    )
    np.testing.assert_array_equal(
        nade.conditional_log_prob(folder, known), nade.conditional_log_prob(x, known)
    )
    labels = np.arange(9) % 2
    given = MADE((4,), classes=2, training=PLAN)
    given.fit(folder, context=labels, validation=(folder, labels))
    np.testing.assert_array_equal(
        given.log_prob(folder, context=labels), given.log_prob(x, context=labels)
    )


@pytest.mark.parametrize("name", MODELS)
def test_folders_that_do_not_fit_are_refused(tmp_path, name):
    model = MODELS[name]()
    if name != "Transformer":  # to which other text is a sequence
        with pytest.raises(DataError, match=r"data is text; expected numbers, or the path .*nowh"):
            model.fit("nowhere")
    folder = write(tmp_path / "small", levels(6, 3, 2))
    model.fit(folder)
    with pytest.raises(DataError, match=r"no file or folder 'nowhere'"):
        model.log_prob("nowhere")
    other = write(tmp_path / "large", levels(6, 3, 3))
    with pytest.raises(DataError, match=r"data has shape \(6, 3, 3\); expected \[3, 2\]"):
        model.log_prob(other)
    with pytest.raises(DataError, match=r"validation has shape \(6, 3, 3\)"):
        model.fit(folder, validation=other)
