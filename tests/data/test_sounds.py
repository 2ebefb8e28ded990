"""Sound files, mu-law codes, features at the rate of samples."""

from __future__ import annotations

import wave

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from arproc import audio
from arproc.errors import DataError, ParameterError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("levels", [2, 3, 16, 256, 1000, 2**16])
def test_every_code_stands_for_a_sample_that_has_it(levels):
    codes = np.arange(levels)
    samples = audio.decode(codes, levels)
    assert np.array_equal(audio.encode(samples, levels), codes)
    assert samples[0] == -1 == -samples[-1]
    assert (np.diff(samples) > 0).all()
    edges = audio.MuLaw(levels).edges
    assert np.array_equal(audio.encode(edges - 1e-12, levels), codes[:-1])
    assert np.array_equal(audio.encode(edges + 1e-12, levels), codes[1:])


def test_codes_are_those_of_the_formula():
    x = np.array([-1.0, -0.3, -0.001, 0.0, 0.02, 0.5, 1.0])
    y = np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256)
    assert audio.encode(x).tolist() == np.floor((y + 1) / 2 * 255 + 0.5).astype(int).tolist()
    assert audio.encode(x).dtype == np.uint8


def test_whole_numbers_are_samples_of_their_bits():
    x = np.array([-0.5, 0.0, 0.25])
    want = audio.encode(x).tolist()
    for form in ((x * 2**15).astype(np.int16), (x * 2**7 + 128).astype(np.uint8),
                 (x * 2**31).astype(np.int32), torch.tensor(x), x.tolist()):  # fmt: skip
        assert audio.encode(form).tolist() == want
    assert [row.tolist() for row in audio.encode([x, x[:1]])] == [want, want[:1]]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([0.0, 1.5]), "up to 1.5"),
        (np.array([0.0, np.nan]), "not finite"),
        (np.array([3, 4]), "dtype int64"),
        ("tone.wav", "numbers"),
        ([np.zeros(2), np.full(2, 3.0)], r"samples\[1\]"),
    ],
)
def test_what_is_no_waveform_is_refused(samples, message):
    with pytest.raises(DataError, match=message):
        audio.encode(samples)


def test_what_is_no_code_is_refused():
    for wrong in ([256], [-1], [0.5]):
        with pytest.raises(DataError, match="whole numbers from 0 to 255"):
            audio.decode(wrong)
    with pytest.raises(ParameterError, match="levels"):
        audio.encode([0.0], levels=1)


# ---- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "bits"), [("int16", 16), ("uint8", 8), ("float32", None)])
@pytest.mark.parametrize("shape", [(50,), (50, 2)])
def test_files_keep_samples_and_rate(tmp_path, format, bits, shape):
    samples = RNG.uniform(-1, 1, shape)
    audio.write(tmp_path / "x.wav", samples, 22_050, format)
    found = audio.read(tmp_path / "x.wav")
    assert found.rate == 22_050
    step = 2.0 ** (1 - bits) if bits else 1e-7
    np.testing.assert_allclose(found.samples, samples, atol=step)
    audio.write(tmp_path / "again.wav", found.samples, found.rate, format)
    assert np.array_equal(audio.read(tmp_path / "again.wav").samples, found.samples)


def test_files_of_others_are_read(tmp_path):
    whole = np.array([-(2**15), -1, 0, 5, 2**15 - 1], dtype=np.int16)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", None))
        file.writeframes(whole.tobytes())
    assert audio.read(tmp_path / "a.wav").samples.tolist() == (whole / 2**15).tolist()
    with wave.open(str(tmp_path / "b.wav"), "wb") as file:  # 24 bits
        file.setparams((1, 3, 8000, 0, "NONE", None))
        file.writeframes((-(2**22)).to_bytes(3, "little", signed=True))
    assert audio.read(tmp_path / "b.wav").samples.tolist() == [-0.5]
    assert [x.shape for x in audio.read_folder(tmp_path)[0]] == [(5,), (1,)]


def test_whole_numbers_are_written_as_they_are(tmp_path):
    whole = RNG.integers(-(2**15), 2**15, 30).astype(np.int16)
    audio.write(tmp_path / "x.wav", whole, 8000)
    assert np.array_equal(wavfile.read(tmp_path / "x.wav")[1], whole)
    assert audio.encode(audio.read(tmp_path / "x.wav")).tolist() == audio.encode(whole).tolist()


def test_what_is_no_whole_file_is_refused(tmp_path):
    audio.write(tmp_path / "x.wav", np.zeros(100), 8000)
    raw = (tmp_path / "x.wav").read_bytes()
    for name, damaged in (("cut", raw[:-50]), ("empty", b""), ("text", b"no sound at all" * 9)):
        (tmp_path / f"{name}.wav").write_bytes(damaged)
        with pytest.raises(DataError, match=f"{name}.wav"):
            audio.read(tmp_path / f"{name}.wav")
    for wrong in (tmp_path / "none.wav", tmp_path, 3):
        with pytest.raises(DataError):
            audio.read(wrong)


def test_folders_are_of_one_rate(tmp_path):
    with pytest.raises(DataError, match="no WAV files"):
        audio.read_folder(tmp_path)
    audio.write(tmp_path / "a.wav", np.zeros(3), 8000)
    audio.write(tmp_path / "b.WAV", np.ones(4), 8000)
    (tmp_path / "notes.txt").write_text("")
    sounds, rate = audio.read_folder(tmp_path)
    assert ([len(x) for x in sounds], rate) == ([3, 4], 8000)
    audio.write(tmp_path / "c.wav", np.zeros(3), 16_000)
    with pytest.raises(DataError, match=r"c\.wav has 16000"):
        audio.read_folder(tmp_path)


def test_what_can_not_be_written_is_refused(tmp_path):
    for wrong in (np.zeros((2, 3, 4)), np.array([2.0])):
        with pytest.raises(DataError):
            audio.write(tmp_path / "x.wav", wrong, 8000)
    for rate, format in ((0, "int16"), (8000, "int24")):
        with pytest.raises(ParameterError):
            audio.write(tmp_path / "x.wav", np.zeros(3), rate, format)
    assert not list(tmp_path.iterdir())


# ---- features --------------------------------------------------------------------------------


def test_features_are_brought_to_the_rate_of_samples():
    features = RNG.normal(size=(2, 5, 3))
    steps = audio.upsampled(features, 4, 18)
    assert np.array_equal(steps, np.repeat(features, 4, axis=1)[:, :18])
    lines = audio.upsampled(features, 4, 18, linear=True)
    assert np.array_equal(lines[:, ::4], features)
    np.testing.assert_allclose(lines[:, 2], features[:, :2].mean(1))
    with pytest.raises(DataError, match="5 frames"):
        audio.upsampled(features, 3, 18)
    with pytest.raises(DataError, match="shape"):
        audio.upsampled(features[0, 0], 3, 9)
