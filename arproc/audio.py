"""Sound: files in and out, mu-law codes of waveforms, features at the rate of the samples.

Models of sound are over codes: `WaveNet`, any model of levels or symbols, and, by `Coded`, any
process of real numbers. So all of them are compared in bits a sample.
"""

from arproc.data.sounds import (
    MuLaw,
    Sound,
    decode,
    encode,
    read,
    read_folder,
    upsampled,
    write,
)
from arproc.models.coded import Coded

__all__ = [
    "Coded",
    "MuLaw",
    "Sound",
    "decode",
    "encode",
    "read",
    "read_folder",
    "upsampled",
    "write",
]
