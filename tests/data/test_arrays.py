"""Whatever holds numbers becomes a tensor of them, and what does not is refused in our words."""

import numpy as np
import pytest
import torch

from arproc.data.arrays import to_tensor
from arproc.errors import DataError

WANT = [[1, 0], [3, 2]]


@pytest.mark.parametrize(
    ("kind", "found"),
    [("u1", torch.uint8), ("u2", torch.int64), ("u8", torch.int64), ("i2", torch.int16),
     (">i4", torch.int32), ("f2", torch.float64), ("f4", torch.float32), (">f8", torch.float64),
     ("g", torch.float64)],
)  # fmt: skip
def test_arrays_of_every_kind(kind, found):
    array = np.array(WANT).astype(kind)
    array.flags.writeable = False
    for given in (array, array.T.copy().T, np.flip(np.flip(array))):
        x = to_tensor(given, "x")
        assert x.dtype == found
        assert x.tolist() == WANT
    x = to_tensor(array, "x")
    x[0, 0] = 7  # its own memory, or it could not be written
    assert array[0, 0] == 1


def test_whole_numbers_beyond_int64_are_rounded():
    assert to_tensor(np.array([2**63], dtype=np.uint64), "x").tolist() == [2.0**63]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1.0], [1.0, 2.0]], "x can not be read as numbers: "),
        ([1.0, None], "x is an object array .of NoneType, float.; expected numbers"),
        ([1j], "x is complex .complex128.; expected real numbers"),
        (np.array(["a"]), "x has dtype <U1; expected numbers"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), "x has 1 masked value"),
    ],
    ids=str,
)
def test_what_holds_no_numbers_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        to_tensor(data, "x")
