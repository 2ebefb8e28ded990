"""Sound files as waveforms, and waveforms as the codes that models of sound are over."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from arproc.contract.storable import storable
from arproc.data.arrays import to_tensor
from arproc.errors import DataError, check_choice, check_integer

__all__ = ["MuLaw", "Sound", "decode", "encode", "read", "read_folder", "upsampled", "write"]

#: The dtype of each format of samples that is written.
FORMATS = ("int16", "uint8", "float32")
_MOST_LEVELS = 2**16
_SUFFIXES = (".wav", ".wave")


class Sound(NamedTuple):
    """A waveform and how many samples a second has.

    Attributes:
        samples: from -1 to 1, float64 [T], or [T, channels] where there are several.
        rate: samples a second.
    """

    samples: np.ndarray
    rate: int


@storable
@dataclass(frozen=True)
class MuLaw:
    r"""The codes of companded waveforms (ITU-T G.711's curve, at any number of levels).

    A sample x from -1 to 1 is moved to :math:`y = \text{sign}(x) \ln(1 + \mu |x|) / \ln(1 + \mu)`
    with mu one less than the levels, and has the code that is nearest to
    :math:`\mu (y + 1) / 2`. So soft samples have finer steps than loud ones.

    Args:
        levels: how many codes there are.

    Example:
        >>> code = MuLaw(256)
        >>> code.encode(np.array([-1.0, 0.0, 0.001, 1.0])).tolist()
        [0, 128, 133, 255]
        >>> code.edges[127:129].round(6).tolist()
        [0.0, 0.000174]
    """

    levels: int = 256

    def __post_init__(self) -> None:
        check_integer("levels", self.levels, minimum=2, maximum=_MOST_LEVELS)

    def encode(self, x: np.ndarray) -> np.ndarray:
        """The codes of samples from -1 to 1, uint8 or int64."""
        mu = self.levels - 1
        y = np.sign(x) * np.log1p(mu * np.abs(x)) / math.log1p(mu)
        found = np.floor((y + 1) / 2 * mu + 0.5)
        return found.astype(np.uint8 if self.levels <= 256 else np.int64)

    @property
    def companded(self) -> np.ndarray:
        """Where each code lies on the companded scale, from -1 to 1, float64 [levels]."""
        return 2 * np.arange(self.levels) / (self.levels - 1) - 1

    @property
    def values(self) -> np.ndarray:
        """The sample that each code stands for, ascending, float64 [levels]."""
        return self.expanded(self.companded)

    @property
    def edges(self) -> np.ndarray:
        """What lies between neighbouring codes, ascending, float64 [levels - 1]."""
        return self.expanded((self.companded[1:] + self.companded[:-1]) / 2)

    def expanded(self, y: np.ndarray) -> np.ndarray:
        """From the companded scale back to samples."""
        steep = math.log(self.levels)
        found: np.ndarray = np.sign(y) * np.expm1(np.abs(y) * steep) / np.expm1(steep)
        return found


# ---- codes ----------------------------------------------------------------------------------


def encode(samples: Any, levels: int = 256) -> Any:
    """The mu-law codes of a waveform, which `WaveNet` and other models of levels take.

    Args:
        samples: real numbers from -1 to 1, of any shape, or whole numbers of 8 bits without a
            sign (128 is silence), of 16 bits or of 32; a `Sound`; or a list of these.
        levels: how many codes there are.

    Returns:
        Whole numbers 0 ... levels-1 of the same shape: uint8 of up to 256 levels, int64 of more.

    Raises:
        DataError: a sample is no number, or beyond -1 and 1.

    Example:
        >>> encode([0.0, 0.25, -1.0]).tolist()
        [128, 223, 0]
        >>> decode(encode([0.0, 0.25, -1.0])).round(2).tolist()
        [0.0, 0.25, -1.0]
    """
    code = MuLaw(levels)
    if isinstance(samples, (list, tuple)) and not isinstance(samples, Sound) and _several(samples):
        return [code.encode(_samples(each, f"samples[{i}]")) for i, each in enumerate(samples)]
    return code.encode(_samples(samples, "samples"))


def decode(codes: Any, levels: int = 256) -> Any:
    """The waveform that mu-law codes stand for; see `encode`.

    Args:
        codes: whole numbers 0 ... levels-1 of any shape, or a list of such arrays.
        levels: how many codes there are.

    Returns:
        Real numbers from -1 to 1 of the same shape, float64.

    Raises:
        DataError: a code is no whole number, or there is no such level.
    """
    code = MuLaw(levels)
    if isinstance(codes, (list, tuple)) and _several(codes):
        return [_decoded(each, code, f"codes[{i}]") for i, each in enumerate(codes)]
    return _decoded(codes, code, "codes")


def _several(items: Any) -> bool:
    return any(np.ndim(getattr(item, "samples", item)) for item in items)


def _samples(given: Any, name: str) -> np.ndarray:
    """A waveform as numbers from -1 to 1, float64."""
    given = given.samples if isinstance(given, Sound) else given
    kind = getattr(given, "dtype", None)
    x = to_tensor(given, name).detach().cpu().numpy()
    if isinstance(kind, torch.dtype):
        kind = x.dtype
    kind = x.dtype if kind is None else np.dtype(kind)
    if kind.kind in "iu" and not isinstance(given, (list, tuple)):
        return _of_whole_numbers(x, kind, name)
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise DataError(f"{name} has samples that are not finite; remove or fill them first.")
    peak = float(np.abs(x).max(initial=0.0))
    if peak > 1:
        raise DataError(
            f"{name} has samples up to {peak:g}; expected real numbers from -1 to 1 (divide by "
            "the largest), or whole numbers of 8, 16 or 32 bits."
        )
    return x


def _of_whole_numbers(x: np.ndarray, kind: np.dtype[Any], name: str) -> np.ndarray:
    silence = {"u1": 128.0, "i2": 0.0, "i4": 0.0}
    found = silence.get(f"{kind.kind}{kind.itemsize}")
    if found is None:
        raise DataError(
            f"{name} has dtype {kind}; expected real numbers from -1 to 1, or uint8, int16 or "
            "int32 as sound files have them."
        )
    return (x.astype(np.float64) - found) / 2.0 ** (8 * kind.itemsize - 1)


def _decoded(codes: Any, code: MuLaw, name: str) -> np.ndarray:
    x = to_tensor(codes, name).detach().cpu().numpy()
    wrong = (x != np.floor(x)) | (x < 0) | (x >= code.levels)
    if wrong.any():
        raise DataError(
            f"{name} has {x[wrong].ravel()[0]:g}; expected codes, whole numbers from 0 to "
            f"{code.levels - 1}."
        )
    return code.values[x.astype(np.int64)]


# ---- files ----------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> Sound:
    """The waveform in a WAV file of 8, 16, 24 or 32 bits or of real numbers.

    Args:
        path: of the file.

    Returns:
        The samples from -1 to 1 and their rate.

    Raises:
        DataError: there is no such file, or it is no whole WAV file; the message says why.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "tone.wav"
        >>> write(path, np.sin(np.arange(800) / 3), rate=8000)
        >>> sound = read(path)
        >>> sound.samples.shape, sound.rate
        ((800,), 8000)
    """
    from scipy.io import wavfile

    if not isinstance(path, (str, os.PathLike)):
        raise DataError(f"path must be the path of a WAV file; got {path!r}.")
    if not Path(path).is_file():
        raise DataError(f"there is no file {str(path)!r}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that are no samples
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, x = wavfile.read(path)
    except Exception as wrong:  # scipy raises errors of all kinds for files that are damaged
        raise DataError(f"the file {str(path)!r} is no whole WAV file: {wrong}.") from None
    x = np.asarray(x)
    if x.dtype.kind in "iu":
        return Sound(_of_whole_numbers(x, x.dtype, str(path)), int(rate))
    return Sound(x.astype(np.float64), int(rate))


def read_folder(folder: str | os.PathLike[str]) -> tuple[list[np.ndarray], int]:
    """The waveforms of a folder's WAV files, in the order of their names, and their one rate.

    Raises:
        DataError: there are none, or their rates differ; the message names the file.
    """
    if not isinstance(folder, (str, os.PathLike)) or not Path(folder).is_dir():
        raise DataError(f"folder must be the path of a folder; got {folder!r}.")
    files = sorted(
        file
        for file in Path(folder).iterdir()
        if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")
    )
    if not files:
        raise DataError(f"the folder {str(folder)!r} has no WAV files.")
    sounds = [read(file) for file in files]
    for file, sound in zip(files, sounds, strict=True):
        if sound.rate != sounds[0].rate:
            raise DataError(
                f"{file.name} has {sound.rate} samples a second and {files[0].name} "
                f"{sounds[0].rate}; bring them to one rate (scipy.signal.resample_poly)."
            )
    return [sound.samples for sound in sounds], sounds[0].rate


def write(path: str | os.PathLike[str], samples: Any, rate: int, format: str = "int16") -> None:
    """Write a waveform as a WAV file.

    Args:
        path: of the file, which is replaced where it exists.
        samples: from -1 to 1, [T] or [T, channels]; or whole numbers as `encode` takes them. Codes
            are no waveform: `decode` them first.
        rate: samples a second.
        format: "int16", "uint8" or "float32". A sample of 1 becomes the largest whole number.

    Raises:
        DataError: the samples are no waveform.
        ParameterError: the rate is no positive whole number, or there is no such format.
    """
    from scipy.io import wavfile

    check_integer("rate", rate, minimum=1, maximum=2**31 - 1)
    check_choice("format", format, FORMATS)
    x = _samples(samples, "samples")
    if x.ndim not in (1, 2):
        raise DataError(f"samples has shape {x.shape}; expected [T] or [T, channels].")
    if format != "float32":
        size = 2.0 ** (8 * np.dtype(format).itemsize - 1)
        x = np.clip(np.round(x * size), -size, size - 1) + (size if format == "uint8" else 0)
    wavfile.write(path, int(rate), x.astype(format))


# ---- features -------------------------------------------------------------------------------


def upsampled(features: Any, hop: int, length: int, *, linear: bool = False) -> np.ndarray:
    """Features of frames as features of samples: a local context for `WaveNet`.

    Args:
        features: one row a frame, [frames, c] or [N, frames, c].
        hop: how many samples a frame has; frame j begins at sample `j * hop`.
        length: how many samples there are.
        linear: whether features go in straight lines from one frame's beginning to the next's,
            which looks up to a frame ahead; else each frame's stand until the next.

    Returns:
        [length, c] or [N, length, c], float64.

    Raises:
        DataError: the features are not numbers of that shape, or the frames end before.

    Example:
        >>> upsampled([[0.0], [1.0]], hop=2, length=4).ravel().tolist()
        [0.0, 0.0, 1.0, 1.0]
        >>> upsampled([[0.0], [1.0]], hop=2, length=4, linear=True).ravel().tolist()
        [0.0, 0.5, 1.0, 1.0]
    """
    check_integer("hop", hop, minimum=1)
    check_integer("length", length, minimum=0)
    x = to_tensor(features, "features").detach().cpu().double().numpy()
    if x.ndim not in (2, 3):
        raise DataError(f"features has shape {x.shape}; expected [frames, c] or [N, frames, c].")
    frames = x.shape[-2]
    if frames * hop < length:
        raise DataError(
            f"features has {frames} frames of {hop} samples, which end before {length} samples."
        )
    step = np.arange(length)
    here, share = step // hop, (step % hop / hop)[:, None]
    if not linear:
        return x[..., here, :]
    following = np.minimum(here + 1, frames - 1)
    return x[..., here, :] * (1 - share) + x[..., following, :] * share
