"""Files: everything comes back as it was, and what is damaged is refused before it costs."""

import math
import struct
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from helpers import edit
from hypothesis import given
from toys import Bits, Chain, Letters, Net, Walk, fitted

import arproc
from arproc.errors import FileFormatError, NotFittedError, ParameterError
from arproc.sampling import Temperature, TopK
from arproc.spaces import Real

TOYS = fitted()


class Holder(Walk):
    """Learns whatever it is given: for what a file can hold."""

    def __init__(self, value=None) -> None:
        self.value = value
        self.a = 0.5
        self.given = False


def there_and_back(model, path: Path):
    model.save(path)
    return arproc.load(path)


def same(a, b) -> bool:
    """Equal in value, kind, dtype and shape, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool(
            ((a == b) | (a.isnan() & b.isnan())).all())  # fmt: skip
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, a.dtype.kind == "f")  # fmt: skip # noqa: E501
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    return a == b


# ---- round trips -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TOYS))
def test_every_process_gives_the_same_numbers_after_loading(name, tmp_path):
    process, data = TOYS[name]
    for policy in (None, Temperature(0.5), TopK(1) | Temperature(2)):
        if policy is not None and name.startswith(("Walk", "Counter", "Linear")):
            continue
        model = process if policy is None else process.with_policy(policy)
        again = there_and_back(model, tmp_path / "m.arproc")
        assert repr(again) == repr(model)
        assert again.space == model.space
        np.testing.assert_array_equal(again.log_prob(data), model.log_prob(data))
        draws = [m.sample(3, None if m.space.length else 4, prefix=[0.1] if m.n_given else None,
                          seed=1) for m in (again, model)]  # fmt: skip
        assert all(np.array_equal(a, b) for a, b in zip(*draws, strict=True))


def test_conditioned_processes_and_wrappers_of_wrappers(tmp_path):
    text = Letters().fit("ab")
    model = text.with_policy(TopK(2)).condition("ab").with_policy(Temperature(2.0))
    again = there_and_back(model, tmp_path / "m.arproc")
    assert again.log_prob("ba") == model.log_prob("ba")
    assert again.sample(3, 5, seed=1) == model.sample(3, 5, seed=1)


numbers = st.floats() | st.integers(-(2**70), 2**70) | st.booleans() | st.none()
leaves = numbers | st.text() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.booleans(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=values, learnt=values)
def test_plain_values_come_back_exactly(value, learnt, tmp_path_factory):
    model = Holder(value).fit([0.0])
    vars(model.law_.model)["learnt_"] = learnt
    again = there_and_back(model, tmp_path_factory.getbasetemp() / "plain.arproc")
    assert same(again.value, value)
    assert same(again.learnt_, learnt)


@pytest.mark.parametrize(
    "value",
    [
        *(np.arange(6).reshape(2, 3).astype(d) for d in "bBhHiIlLqQefd"),
        np.array(True), np.array(3.5), np.array([]), np.zeros((0, 3), np.int8), np.float64(2.5),
        np.array([np.nan, -np.inf, np.inf, -0.0]), np.arange(6.0)[::-2],
        np.asfortranarray(np.eye(3)),
        np.array(["a", "ß€", ""]), np.array([["x"], ["yy"]]), np.zeros((0, 2), dtype="<U1"),
        torch.tensor(1.5), torch.zeros(0, 2), torch.ones(3, dtype=torch.bfloat16),
        torch.arange(4, dtype=torch.uint8), torch.tensor([True, False]), torch.eye(2).T[:, :1],
        torch.tensor([-math.inf, math.nan]), torch.ones(2, requires_grad=True).detach(),
        Real(precision="float32"), arproc.spaces.Categorical(4, end_symbol=3),
        arproc.Training(steps=7), Path("some/where"),
    ],
    ids=lambda v: f"{type(v).__name__} {getattr(v, 'dtype', '')}",
)  # fmt: skip
def test_arrays_tensors_and_own_values_come_back_exactly(value, tmp_path):
    model = Holder().fit([0.0])
    vars(model.law_.model)["learnt_"] = {"here": [value], "twice": value}
    again = there_and_back(model, tmp_path / "m.arproc").learnt_
    want = float(value) if isinstance(value, np.float64) else value
    assert same(again["here"][0], want)
    assert same(again["twice"], want)


def test_big_endian_arrays_and_numpys_scalars_come_back_as_plain_ones(tmp_path):
    model = Holder(np.bool_(True)).fit([0.0])
    vars(model.law_.model)["learnt_"] = np.array([1.0, 2.0], dtype=">f8")
    again = there_and_back(model, tmp_path / "m.arproc")
    assert again.value is True
    assert again.learnt_.tolist() == [1.0, 2.0]


def test_tensors_whose_paths_look_alike_are_kept_apart(tmp_path):
    model = Holder().fit([0.0])
    vars(model.law_.model)["learnt_"] = {
        "a.b": torch.ones(1),
        "a": {"b": torch.zeros(2)},
        1: np.ones(3),
        "1": np.zeros(4),
    }
    assert same(there_and_back(model, tmp_path / "m.arproc").learnt_, model.learnt_)


@pytest.mark.parametrize(
    "value", [lambda x: x, {1, 2}, np.array([None]), np.array([1j]), np.array([b"x"]), object(),
              np.array(["2024"], "datetime64[D]"), np.zeros(2, np.longdouble), torch.tensor([1j]),
              torch.eye(2).to_sparse(), torch.float32, int, {"deep": [print]}],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_what_a_file_can_not_hold_is_named_with_its_path(value, tmp_path):
    model = Holder().fit([0.0])
    vars(model.law_.model)["learnt_"] = value
    with pytest.raises(ParameterError, match=r"model\.learnt_.* a model file can not hold"):
        model.save(tmp_path / "m.arproc")
    assert not list(tmp_path.iterdir())


def test_networks(tmp_path):
    model = Net().fit([0.0])
    with torch.no_grad():
        model.network_.train()(torch.randn(9, 2))  # running averages are saved, too
    model.network_.eval()
    again = there_and_back(model, tmp_path / "m.arproc")
    x = torch.randn(4, 2)
    assert torch.equal(again.network_(x), model.network_(x))
    assert not again.network_.training
    assert all(p.requires_grad for p in again.network_.parameters())


def test_a_class_defined_twice_is_the_last_and_an_unknown_one_is_named(tmp_path):
    def define():
        class Mine(Walk):
            pass

        return Mine

    first, second = define(), define()
    second().fit([0.0]).save(tmp_path / "m.arproc")
    assert type(arproc.load(tmp_path / "m.arproc")) is second
    assert first is not second
    edit(tmp_path / "m.arproc", "Mine", "Yours")
    with pytest.raises(FileFormatError, match=r"Yours, which is not known here.*import its class"):
        arproc.load(tmp_path / "m.arproc")


def test_an_unfitted_model_is_not_saved(tmp_path):
    for make in (Walk, lambda: Chain().with_policy(TopK(1)), Bits):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            make().save(tmp_path / "m.arproc")
    assert not list(tmp_path.iterdir())
