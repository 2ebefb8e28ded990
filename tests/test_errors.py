"""The errors: one base, the built-in kinds that users expect, and the checks that raise them."""

import numpy as np
import pytest

import arproc
from arproc import errors
from arproc.errors import ArprocError, ParameterError, check_choice, check_integer

EXPECTED = {
    "DataError": ValueError, "ParameterError": ValueError, "NothingLeftError": ValueError,
    "NotFittedError": AttributeError,
    "UnsupportedError": NotImplementedError, "NotEstimatedError": AttributeError,
    "ReadOnlyError": AttributeError, "NotComparableError": ValueError,
    "FileFormatError": ValueError, "StorageError": OSError, "TrainingError": RuntimeError,
    "MissingDependencyError": ImportError,
}  # fmt: skip


def test_every_error_has_the_one_base_and_the_kind_that_users_expect():
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    own = {
        kind.__name__: kind
        for kind in kinds
        if issubclass(kind, Exception) and not issubclass(kind, Warning)
    }
    assert set(own) == {"ArprocError", *EXPECTED}
    assert all(issubclass(value, ArprocError) for value in own.values())
    assert all(issubclass(own[name], kind) for name, kind in EXPECTED.items())
    assert arproc.ArprocError is ArprocError


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers_of_any_kind_pass(value):
    assert check_integer("x", value, minimum=3) == 3
    assert type(check_integer("x", value)) is int


@pytest.mark.parametrize("value", [3.0, "3", None, True, np.bool_(True), np.float64(3), [3], 3j])
def test_other_things_are_no_whole_numbers(value):
    with pytest.raises(ParameterError, match="x must be an integer; got") as error:
        check_integer("x", value)
    assert type(value).__name__ in str(error.value)


def test_bounds_and_choices_are_named():
    with pytest.raises(ParameterError, match="x must be at least 1; got 0"):
        check_integer("x", 0, minimum=1)
    assert check_choice("x", "a", ("a", "b")) == "a"
    for value in ("c", None, 1, ["a"]):
        with pytest.raises(ParameterError, match="x must be one of 'a', 'b'; got"):
            check_choice("x", value, ("a", "b"))


@pytest.mark.parametrize(
    "check",
    [errors.check_integer, errors.check_flag, errors.check_number, errors.check_bytes,
     lambda name, value: errors.check_choice(name, value, ("a",))],
)  # fmt: skip
def test_tables_are_not_written_out(check):
    table = np.zeros((40, 40)).tolist()
    with pytest.raises(ParameterError, match=r"^horizon must be .*got a list") as caught:
        check("horizon", table)
    assert len(str(caught.value)) < 200
