"""What a value holds is looked at when it is made or loaded: by declaration, for every class."""

import dataclasses
import inspect
import time
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pytest
import torch
from helpers import edit

import arproc
from arproc import ChainLaw, storable
from arproc.contract import model_file as files
from arproc.contract.checked import Array, Number, annotation_of, check_fields, check_value, is_own
from arproc.contract.storable import _KNOWN
from arproc.data.vocabulary import Vocabulary
from arproc.errors import FileFormatError, ParameterError
from arproc.process.fit import Learnt
from arproc.spaces import Categorical, Real


@storable
@dataclass(frozen=True, eq=False, repr=False)
class Shifts(ChainLaw):
    """Each regime's shift at each lag, the first of them by the last element's sign."""

    shift: Annotated[np.ndarray, Array("k", "p", low=-9, high=9)]
    scale: Annotated[np.ndarray, Array("k", above=0)]
    bound: Annotated[np.ndarray, Array("k - 1")]
    rate: Annotated[float, Number(above=0, below=1)] = 0.5
    space = Real()
    window_length = 1

    def problems(self):
        if (np.diff(self.bound) < 0).any():
            yield "bound does not ascend"

    def window(self, ctx, position):
        return torch.distributions.Normal(self.shift[0, 0] + 0 * ctx[..., 0], self.scale[0])


FINE = {"shift": np.zeros((3, 2)), "scale": np.ones(3), "bound": np.zeros(2)}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("shift", np.zeros(3), r"Shifts.shift has shape \[3\]; expected \[k, p\]"),
        ("scale", np.ones(4), r"scale has shape \[4\]; expected \[k\] with k = 3"),
        ("bound", np.ones(3), r"bound has shape \[3\]; expected \[k - 1\] with k = 3"),
        ("scale", np.ones(3, np.float32), "scale has dtype float32; expected float64"),
        ("scale", np.array([1, np.nan, 1]), "scale has nan among its numbers"),
        ("shift", np.full((3, 2), np.inf), "shift has infinite numbers"),
        ("bound", np.array([0.0, 1e200]), r"bound has numbers beyond 1e\+100 in size"),
        ("scale", np.array([1, 0.0, 1]), "numbers from 0 to 1; expected numbers above 0"),
        ("shift", np.full((3, 2), 10.0), "is|has 10; expected numbers at least -9 and at most 9"),
        ("rate", 1.0, "rate is 1; expected numbers above 0 and below 1"),
        ("rate", float("nan"), "rate is nan"),
        ("scale", [1.0, 1.0, 1.0], "scale is a list; expected an array"),
        ("bound", np.array([1.0, 0.0]), "Shifts: bound does not ascend"),
    ],
)
def test_a_law_says_what_is_wrong_with_it(name, value, message):
    Shifts(**FINE)
    with pytest.raises(ParameterError, match=message):
        Shifts(**FINE | {name: value})


def test_numbers_that_record_gradients_are_on_their_way():
    rule = Number(above=0)
    assert rule.problem(torch.tensor(-1.0, requires_grad=True)) is None
    assert rule.problem(torch.tensor(-1.0)) is not None


@pytest.mark.parametrize(
    ("value", "hint", "fits"),
    [
        (1, int, True), (True, int, False), (1, float, True), ("1", float, False),
        (None, int | None, True), ((1, 2), tuple[int, ...], True), ([1], tuple[int, ...], False),
        ((1, "a"), tuple[int, str], True), ((1,), tuple[int, str], False),
        ({"a": 1}, dict[str, int], True), ({"a": "b"}, dict[str, int], False),
        ("c", Literal["c", "ct"], True), (True, Literal[1], False),
        (Real(), Real, True), (Real(), Categorical, False), ("ab", tuple[str, ...], False),
    ],
)  # fmt: skip
def test_types_are_checked_all_the_way_down(value, hint, fits):
    if fits:
        check_value("it", value, hint)
        return
    with pytest.raises(ParameterError, match=r"it is a .*; expected "):
        check_value("it", value, hint)


def own_classes():
    from variants import MODELS

    assert MODELS  # importing it imports every model
    return [cls for cls in set(_KNOWN.values()) if is_own(cls) and dataclasses.is_dataclass(cls)]


def test_every_annotation_of_the_package_can_be_looked_up():
    classes = own_classes()
    assert len(classes) > 50
    for cls in classes:
        for field in dataclasses.fields(cls):
            assert annotation_of(cls, field.name) is not None, (cls, field.name)


def _bare_arrays(cls):
    """The fields that are arrays and say no shape."""
    for field in dataclasses.fields(cls):
        hint = str(field.type)
        arrays = any(word in hint for word in ("np.ndarray", "torch.Tensor", "Tensor"))
        if arrays and "Array(" not in hint and "Number(" not in hint:
            yield f"{cls.__name__}.{field.name}"


def test_every_array_of_a_law_says_what_it_must_be():
    bare = {name for cls in own_classes() for name in _bare_arrays(cls)}
    assert bare == {"ConditionedLaw.prefix"}  # whose shape is its space's: see its `problems`


# ---- files -------------------------------------------------------------------------------------


def changed(model, tmp_path, **tensors):
    """The model's file with other tensors, by the last part of their names."""
    path = tmp_path / "m.arproc"
    model.save(path)
    header, held = files.read_file(path)
    for name, change in tensors.items():
        full = next(key for key in held if key.rpartition(".")[2] == name)
        held[full] = change(held[full]).contiguous()
    files.write_file(path, {k: header[k] for k in ("kind", "model")}, held)
    return path


TEXT = ["the cat sat", "a cat ran", "the rat sat on the mat"]


@pytest.mark.parametrize(
    "model",
    [
        lambda: arproc.NGram(3, "witten_bell", "char").fit(TEXT),
        lambda: arproc.PPM(2).fit("".join(TEXT)),
        lambda: arproc.ContextTree(2).fit("".join(TEXT)),
        lambda: arproc.InfiniGram("char").fit(TEXT),
        lambda: arproc.Cache(3, tokens="char").fit("".join(TEXT)),
    ],
    ids=["NGram", "PPM", "ContextTree", "InfiniGram", "Cache"],
)
def test_another_model_s_vocabulary_is_refused(model, tmp_path):
    """Compiled code takes symbols for places in tables, and would read beyond them."""
    law = model().law_
    size = law.space.size + 900
    ends = law.space.end is not None
    letters = Vocabulary(tuple(map(chr, range(1000, 1000 + size - ends))), "char")
    space = Categorical(size, letters, size - 1 if ends else None)
    with pytest.raises(ParameterError, match=r"symbols|shape"):
        dataclasses.replace(law, space=space)
    held = model()
    object.__setattr__(held.law_, "space", space)  # as a file may say
    held.save(tmp_path / "m.arproc")
    with pytest.raises(FileFormatError, match=r"symbols|shape"):
        arproc.load(tmp_path / "m.arproc")


def test_a_panel_of_other_lags_or_tails_is_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 60))
    panel = arproc.Panel(arproc.AR(1)).fit(dict(zip("abc", x, strict=True)))
    panel.save(tmp_path / "m.arproc")
    arproc.load(tmp_path / "m.arproc")
    edit(tmp_path / "m.arproc", '"order": 1', '"order": 500')
    with pytest.raises(FileFormatError, match=r"parameters are of 1 lags .* the process of 500"):
        arproc.load(tmp_path / "m.arproc")
    for name, change in {
        "tail_offsets": lambda t: t * 1000,
        "parameters": lambda t: t[:0],
        "tail_values": lambda t: t[:0],
        "lengths": lambda t: t - 100,
    }.items():
        with pytest.raises(FileFormatError):
            arproc.load(changed(panel, tmp_path, **{name: change}))


@pytest.mark.parametrize(
    "change",
    [lambda t: t[:0], lambda t: t * float("nan"), lambda t: t[None], lambda t: t.float(),
     lambda t: t * float("inf")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["trend", "coef", "sigma2", "transition"])
def test_learnt_arrays_of_classical_models_are_checked(name, change, tmp_path):
    law = arproc.MarkovSwitchingAR.from_parameters(
        [[0.9, 0.1], [0.2, 0.8]], mean=[0.0, 3.0], coef=[0.5], sigma2=[1.0, 2.0]
    )
    with pytest.raises(FileFormatError, match="MarkovSwitchingARLaw"):
        arproc.load(changed(law, tmp_path, **{name: change}))


def test_any_stored_object_in_any_field_is_refused(tmp_path):
    model = arproc.AR.from_parameters([0.5])
    model.save(tmp_path / "m.arproc")
    for value in ('"x"', "[]", "null", '{"!": "path", "value": "x"}'):
        model.save(tmp_path / "m.arproc")
        edit(tmp_path / "m.arproc", '{"!": "array", "at": "model.law.coef"}', value)
        with pytest.raises(FileFormatError, match=r"ARLaw\.coef is a"):
            arproc.load(tmp_path / "m.arproc")


def test_the_law_of_another_model_is_refused(tmp_path):
    model = arproc.VAR.from_parameters([[[0.5]]])
    with pytest.raises(ParameterError, match="law is a VARLaw; expected ARLaw"):
        arproc.AR.of(model.law_, order=1)
    held = arproc.AR.from_parameters([0.5])
    vars(held)["_held"] = Learnt(model.law_, held.fit_)
    held.save(tmp_path / "m.arproc")
    with pytest.raises(FileFormatError, match="law is a VARLaw; expected ARLaw"):
        arproc.load(tmp_path / "m.arproc")


# ---- networks ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transformer():
    settings = {"tokens": 3, "block": 4, "training": arproc.Training(steps=1)}
    return arproc.Transformer(1, 1, 8, **settings).fit(np.arange(30) % 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("layers", 100_000), ("width", 10**6), ("window", 10**12), ("symbols", 10**9)],
)
def test_absurd_networks_are_refused_before_they_are_built(name, value, transformer, tmp_path):
    transformer.save(tmp_path / "m.arproc")
    header, tensors = files.read_file(tmp_path / "m.arproc")
    header["model"]["law"]["fields"]["network"]["arguments"][name] = value
    files.write_file(tmp_path / "m.arproc", {k: header[k] for k in ("kind", "model")}, tensors)
    begun = time.process_time()
    with pytest.raises(FileFormatError, match="do not fit the model"):
        arproc.load(tmp_path / "m.arproc")
    assert time.process_time() - begun < 5


# ---- what a stranger's file may not do ---------------------------------------------------------


def test_no_place_to_write_to_comes_back_from_a_file(transformer, tmp_path):
    transformer.save(tmp_path / "m.arproc")
    header, tensors = files.read_file(tmp_path / "m.arproc")
    training = header["model"]["params"]["training"]["fields"]
    assert not {"checkpoint", "resume"} & set(training)
    training |= {"checkpoint": str(tmp_path / "yours"), "resume": True}
    files.write_file(tmp_path / "m.arproc", {k: header[k] for k in ("kind", "model")}, tensors)
    again = arproc.load(tmp_path / "m.arproc")
    assert again.training.checkpoint is None
    assert again.training.resume is False
    again.fit(np.arange(30) % 3)
    assert not (tmp_path / "yours").exists()

    ngram = arproc.NGram(2, "witten_bell", "char").fit(TEXT).set_params(scratch="yours")
    ngram.save(tmp_path / "n.arproc")
    edit(tmp_path / "n.arproc", '"memory": null', '"memory": null, "scratch": "yours"')
    assert arproc.load(tmp_path / "n.arproc").scratch is None


PLACES = ("scratch", "checkpoint", "folder", "path")


def test_every_parameter_that_names_a_file_is_marked():
    """A new parameter of such a name has to say that files do not hold it."""
    own_classes()
    for cls in filter(is_own, set(_KNOWN.values())):
        names = inspect.signature(cls.__init__).parameters if "__init__" in vars(cls) else ()
        told = {
            n for n in names if any(w in n for w in ("scratch", "checkpoint", "folder", "path"))
        }
        wrong = told - set(getattr(cls, "local", ())) - {"checkpoint_every"}
        assert not wrong, (cls, wrong)


def test_a_dataclass_of_one_s_own_is_checked_by_what_it_declares_alone():
    @dataclass
    class Loose:
        number: int = 0
        array: Annotated[np.ndarray | None, Array(2)] = None

    check_fields(Loose("not an int"))
    with pytest.raises(ParameterError, match=r"array has shape \[3\]; expected \[2\]"):
        check_fields(Loose(0, np.zeros(3)))
