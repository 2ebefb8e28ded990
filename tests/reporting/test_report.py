from __future__ import annotations

import base64
import io
import re
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from reporting.reading import Page

import arproc
from arproc.errors import (
    MissingDependencyError,
    NotComparableError,
    NotFittedError,
    ParameterError,
    StorageError,
)
from arproc.reporting import Report, compose
from arproc.reporting.page import number, page

RNG = np.random.default_rng(0)
SERIES = pd.Series(
    np.convolve(RNG.normal(size=92), [1, 0.6, 0.3], mode="valid"),
    index=pd.period_range("1910", periods=90, freq="Y"),
    name="level [m]",
)
WALKS = {f"AR({p})": arproc.AR(p).fit(SERIES[:60]) for p in (0, 1)}
QUICK = arproc.Training(steps=3)
BITS = RNG.integers(0, 2, (40, 3, 4))
VECTORS = RNG.normal(size=(40, 3))
NASTY = "<script>alert('x')</script>"


def table(n: int) -> pd.DataFrame:
    return pd.DataFrame({"size": RNG.gamma(2.0, size=n), NASTY: RNG.choice(["a<b", "c"], n)})


def of_series() -> Report:
    return arproc.report(WALKS, SERIES, given=60)


def of_list() -> Report:
    rows = [RNG.normal(size=n) for n in (9, 12, 15)]
    return arproc.report({"a": arproc.AR(1).fit(rows), "b": arproc.AR(0).fit(rows)}, rows)


def of_frame() -> Report:
    frame = pd.DataFrame(RNG.normal(size=(20, 2)), columns=["x", "y"])
    return arproc.report({"only": arproc.AR(0).fit(frame)}, frame, given=5)


def of_vectors() -> Report:
    models = {"maf": arproc.MAF(training=QUICK), "memory": arproc.KernelDensity()}
    fitted = {name: model.fit(VECTORS) for name, model in models.items()}
    return arproc.report(fitted, VECTORS, train=VECTORS[:20])


def of_series_of_vectors() -> Report:
    return arproc.report({"VAR": arproc.VAR(1).fit(VECTORS)}, VECTORS)


def of_counts() -> Report:
    x = np.random.default_rng(0).poisson(2 + np.arange(50) % 7)
    return arproc.report({NASTY: arproc.CountAR(1).fit(x)}, x, given=40)


def of_images() -> Report:
    return arproc.report({"MADE": arproc.MADE((4,), training=QUICK).fit(BITS)}, BITS)


def of_pixels() -> Report:
    x = BITS.reshape(40, 12)
    return arproc.report({"MADE": arproc.MADE((4,), training=QUICK).fit(x)}, x, shape=(3, 4))


def of_text() -> Report:
    text = [f"a{NASTY}b", "a b\nc", "\x00\x0b\x1f plain"] * 4
    models = {"PPM": arproc.PPM(order=2, tokens="char").fit(text)}
    return arproc.report(models, text, title=NASTY, train=text)


def of_symbols() -> Report:
    x = RNG.integers(0, 3, 60)
    return arproc.report({"LogisticAR": arproc.LogisticAR(1).fit(x)}, x)


def of_table() -> Report:
    train, test = table(40), table(30)
    model = arproc.MADE((4,), training=QUICK).fit(train)
    judged = arproc.fidelity(train, test, model.sample(30, seed=0), rows=["distribution"])
    return arproc.report({"MADE": model}, test, train=train, fidelity={NASTY: judged})


def of_given_starts() -> Report:
    model = arproc.transforms.Transformed(arproc.AR(1), arproc.transforms.Difference(1))
    return arproc.report({"differences": model.fit(SERIES)}, SERIES.to_numpy())


def of_missing() -> Report:
    return arproc.report(WALKS, SERIES.where(np.arange(90) % 7 > 0))


#: What stands for a picture where it is drawn, but not made into dots, which takes long.
DOT = b"\x89PNG\r\n\x1a\n"


def _unrendered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Figure, "savefig", lambda self, file, **_: file.write(DOT))


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "rendered" not in request.fixturenames:
        _unrendered(monkeypatch)


@pytest.fixture
def rendered() -> None:
    """For tests of the pictures themselves."""


CASES = [
    of_series, of_list, of_frame, of_vectors, of_series_of_vectors, of_counts, of_images,
    of_pixels, of_text, of_symbols, of_table, of_given_starts, of_missing,
]  # fmt: skip


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.__name__)
def found(request: pytest.FixtureRequest) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        _unrendered(patch)
        return request.param()


def test_a_page_asks_nothing_of_any_network(found: Report):
    page = Page(found.html)
    for tag, attributes in page.tags:
        assert tag not in {"link", "script", "iframe", "object", "embed", "base", "form", "svg"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}:
                assert (value or "").startswith(("#", "data:image/png;base64,"))
            elif name != "alt":
                assert "//" not in (value or "")
    style = page.text("style")
    assert "url(" not in style
    assert "@import" not in style
    policy = next(m for m in page.all("meta") if "http-equiv" in m)
    assert "default-src 'none'" in (policy["content"] or "")


def test_a_page_is_for_everybody(found: Report):
    page = Page(found.html)
    assert page.levels[:2] == [1, 2]
    assert page.levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(page.levels, page.levels[1:], strict=False))
    assert all(len(image["alt"] or "") > 20 for image in page.all("img"))
    assert page.all("img")
    for image in page.all("img"):  # known before it is read, so that nothing jumps
        assert min(int(image["width"]), int(image["height"])) > 50
    assert page.all("html") == [{"lang": "en"}]
    view = next(m for m in page.all("meta") if m.get("name") == "viewport")
    assert "width=device-width" in (view["content"] or "")
    assert len(page.all("main")) == 1
    names = [a["id"] for _, a in page.tags if "id" in a]
    assert len(names) == len(set(names))
    assert all((a["href"] or "")[1:] in names for a in page.all("a"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
    frames = [a for a in page.all("div") if a.get("class") == "scroll"]
    assert len(frames) == len(page.all("table")) + len(page.all("img"))
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in frames)


def test_a_page_is_text_that_a_file_can_hold(found: Report, tmp_path):
    found.save(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes().decode("utf-8") == found.html
    assert not re.search("[\x00-\x08\x0b-\x1f]", found.html)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_holds_every_part_and_draws_all_it_can(found: Report):
    page = Page(found.html)
    parts = {"summary", "leaderboard", "calibration", "samples"}
    assert parts <= {a["id"] for a in page.all("h2")}
    assert all(line in page.text("li") for line in (*found.findings, *found.caveats))
    assert "Not drawn" not in page.text() or found.leaderboard.attrs["n_missing"]
    assert "No draws" not in page.text()


@pytest.mark.parametrize("background", ["#fff", "#f5f5f5"])
def test_colours_can_be_told_from_their_ground(background: str):
    style = Page(page("title", "about", [], "end")).text("style")
    assert f"background: {background}" in style
    colours = set(re.findall(r"(?<!-)color: (#[0-9a-f]{3,6})", style))
    assert len(colours) > 1
    for colour in colours:
        light, dark = sorted((luminance(background), luminance(colour)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 7, colour  # the guidelines' strictest level


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    rgb = np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


# ---- what it says -------------------------------------------------------------------------------


def test_the_leaderboard_is_that_of_compare():
    want = arproc.compare(WALKS, SERIES, given=60)
    found = of_series()
    pd.testing.assert_frame_equal(found.leaderboard, want)
    read = Page(found.html)
    for cost in want["nats_per_element"]:
        assert number(cost) in read.text("td")
    assert f"{want.index[0]} gives the data the highest likelihood" in found.findings[0]


def test_one_model_alone_has_the_cost_of_evaluate():
    model = WALKS["AR(1)"]
    found = arproc.report({"AR(1)": model}, SERIES, given=60)
    cost = arproc.evaluate(model, SERIES, given=60)
    assert found.leaderboard["nats_per_element"].iloc[0] == cost.nats_per_element
    assert found.leaderboard["se_nats_per_element"].iloc[0] == cost.nats_per_element_se


def test_calibration_is_of_what_is_scored_alone():
    wild = pd.concat([1000 * SERIES[:60], SERIES[60:]])
    found = arproc.report({"AR(0)": WALKS["AR(0)"]}, wild, given=60)
    assert "No fault was found in the calibration of AR(0)." in found.findings


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda x: 4 * x, "too narrow"),
        (lambda x: x / 4, "too wide"),
        (lambda x: x + 1, "the data lie higher"),
        (lambda x: x - 1, "the data lie lower"),
        (lambda x: x, "none found"),
    ],
)
def test_a_fault_of_calibration_is_named(change, verdict):
    model = arproc.AR.from_parameters([0.0])
    noise = np.random.default_rng(1).normal(size=200)
    page = Page(arproc.report({"white": model}, change(noise)).html)
    assert verdict in page.text("td")


def test_verdicts_are_told_in_words():
    rng = np.random.default_rng(0)
    x = np.zeros(600)
    for t in range(2, 600):
        x[t] = 0.9 * x[t - 1] + rng.normal()
    models = {f"AR({p})": arproc.AR(p).fit(x[:300]) for p in (0, 1, 2)}
    found = "\n".join(arproc.report(models, x[300:]).findings)
    assert re.search(r"AR\(\d\) is ahead of AR\(0\)", found)
    assert "no clear difference between AR(" in found
    against = arproc.report(models, x[300:], reference="AR(0)").findings
    assert any("ahead of AR(0), with 95% intervals" in line for line in against)


def test_data_that_are_impossible_are_told():
    models = {
        kind: arproc.NGram(2, tokens="char", smoothing=kind).fit(["abab", "aba"])
        for kind in ("maximum_likelihood", "additive")
    }
    found = arproc.report(models, ["abba"] * 12)
    assert np.isinf(found.leaderboard["bits_per_byte"]).tolist() == [False, True]
    told = "Some of the data have probability zero under maximum_likelihood."
    assert told in found.findings
    alone = arproc.report({"only": models["maximum_likelihood"]}, ["abba"] * 12)
    assert alone.findings[0].startswith("only gives some of the data probability zero")


def test_twins_are_counted_and_left_out():
    model = arproc.KernelDensity(bandwidth=0.05).fit(VECTORS[:20])
    found = arproc.report({"memory": model}, VECTORS, train=VECTORS[:20])
    assert any(line.startswith("20 of 40 sequences stand in") for line in found.findings)
    cost = found.leaderboard["nats_per_element_without_twins"].iloc[0]
    assert cost > found.leaderboard["nats_per_element"].iloc[0]
    assert number(cost) in Page(found.html).text("td")


def test_of_many_sequences_the_first_are_calibrated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("arproc.reporting.calibration._ELEMENTS", 50)
    x = RNG.normal(size=(30, 12))
    model = arproc.AR(0).fit(x)
    page = Page(arproc.report({"AR": model}, x).html)
    assert "of the first 5 sequences, which are enough" in page.text("p")
    first = arproc.evaluation.uniformity(arproc.evaluation.pit(model, x[:5])).ks_p_value
    assert number(first) in page.text("td")
    assert "which are enough" not in Page(arproc.report({"AR": model}, x[:4]).html).text("p")


def test_what_fidelity_failed_is_told():
    x = RNG.normal(size=(30, 12))
    judged = arproc.fidelity(x, None, 3 * x, rows=["level and spread"])
    found = arproc.report({"AR": arproc.AR(0).fit(x)}, x, fidelity=judged)
    assert any("can be told from real data: 1 of 1" in line for line in found.findings)
    page = Page(found.html)
    assert "standard deviation is too high" in page.text("td")
    assert any("those that fail: level and spread." in (i["alt"] or "") for i in page.all("img"))


def test_names_and_texts_are_no_tags():
    for found in (of_counts(), of_text(), of_table()):
        assert NASTY not in found.html
        assert NASTY in Page(found.html).text()


def test_the_same_seed_gives_the_same_page(rendered):
    model = {"AR(0)": WALKS["AR(0)"]}
    first, again, other = (arproc.report(model, SERIES, seed=seed).html for seed in (0, 0, 1))
    assert first == again != other
    for image in Page(first).all("img"):
        picture = base64.b64decode((image["src"] or "").partition(",")[2])
        height, width, _ = imread(io.BytesIO(picture)).shape
        assert 500 < width < 1200
        assert 80 < height < 1200


def test_the_users_pictures_and_style_are_left_alone():
    plt.close("all")  # those of other tests
    with plt.rc_context({"axes.facecolor": "black"}):
        own = plt.figure()
        before = dict(plt.rcParams)
        html = of_frame().html
        assert dict(plt.rcParams) == before
        assert plt.get_fignums() == [own.number]
    plt.close("all")
    assert html.count("<img") == of_frame().html.count("<img")


def test_a_model_that_can_not_be_drawn_from_says_so():
    driven = arproc.AR(1, regressors="mean").fit(SERIES[:60], context=np.arange(60.0))
    found = arproc.report(
        {"driven": driven}, SERIES, context=np.arange(90.0), given=60, length=200
    )
    assert re.search("No draws are shown: .*context", Page(found.html).text("p"))


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"models": {}}, ParameterError, "dict of fitted models by name.*of none"),
        ({"models": WALKS["AR(1)"]}, ParameterError, "dict of fitted models by name.*got AR"),
        ({"models": {"a": 3}}, ParameterError, "model 'a' must be a fitted arproc model; got int"),
        ({"models": {"a": arproc.AR(1)}}, NotFittedError, "not fitted yet"),
        ({"models": {1: WALKS["AR(1)"], "1": WALKS["AR(0)"]}}, ParameterError, "two of one name"),
        ({"title": " "}, ParameterError, "title must be a str"),
        ({"by": "row"}, ParameterError, "by must be"),
        ({"given": -1}, ParameterError, "given must be"),
        ({"reference": "AR(7)"}, ParameterError, "reference must be one of 'AR"),
        ({"unit": "bits_per_byte"}, ParameterError, "have no bits_per_byte"),
        ({"models": {"a": WALKS["AR(1)"]}, "unit": "bits_per_byte"}, ParameterError, "no unit"),
        ({"samples": 0}, ParameterError, "samples must be"),
        ({"length": 0}, ParameterError, "length must be"),
        ({"seed": "x"}, ParameterError, "seed must be"),
        ({"fidelity": 3}, ParameterError, "fidelity must be what arproc.fidelity.*got int"),
        ({"shape": (2, 2)}, ParameterError, "'AR.0.' have no fixed size"),
        ({"shape": (2,)}, ParameterError, r"shape must be \(h, w\)"),
        ({"shape": "ab"}, ParameterError, "shape"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    with pytest.raises(error, match=message):
        arproc.report(**({"models": WALKS, "data": SERIES} | change))


def test_likelihoods_of_different_things_are_no_leaderboard():
    models = {"a": WALKS["AR(1)"], "b": arproc.CountAR(0).fit(RNG.poisson(3.0, 50))}
    with pytest.raises(NotComparableError):
        arproc.report(models, [1.0, 2.0, 3.0])


def test_a_place_that_can_not_be_written_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    found = of_frame()
    with pytest.raises(ParameterError, match="does not exist"):
        found.save(tmp_path / "no" / "report.html")
    path = tmp_path / "report.html"
    path.write_text("before")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(StorageError, match="No space left"):
        found.save(path)
    monkeypatch.undo()
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_without_matplotlib_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "arproc\[plot\]"'):
        arproc.report(WALKS, SERIES)


def test_the_summary_is_what_is_printed():
    found = of_frame()
    assert str(found).startswith(found.findings[0])
    assert all(caveat in str(found) for caveat in found.caveats)
    assert repr(found).startswith("<Report on 1 model(s)")
    assert compose.Report is Report
