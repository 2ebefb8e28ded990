"""Real data that other packages already ship, so that nothing is downloaded; and your pictures.

`images` reads a folder of picture files. Each of the other functions returns a `Split`: the part
to fit on, the part to choose and stop on, the part to report on. The numbers come from statsmodels
and scikit-learn (`pip install "arproc[data]"`), the English text from Python itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from arproc.data.images import images
from arproc.errors import MissingDependencyError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Split", "co2", "digits", "english", "images", "sunspots"]

Data = TypeVar("Data")


class Split(NamedTuple, Generic[Data]):
    """One data set in three parts.

    Attributes:
        train: what models are fitted on.
        valid: what settings, stopping times and mixture weights are chosen on.
        test: what figures are reported on; looked at once.
    """

    train: Data
    valid: Data
    test: Data


def sunspots() -> Split[pd.Series]:
    """Wolf's yearly sunspot numbers, 1700 to 2008 (309 values), a series with a yearly index.

    Parts in order of time: train 1700-1949, valid 1950-1978, test 1979-2008. The source is the
    National Geophysical Data Center's table, as statsmodels ships it.

    Example:
        >>> train, valid, test = sunspots()
        >>> len(train), len(valid), len(test)
        (250, 29, 30)
        >>> str(test.index[0]), float(test.iloc[0])
        ('1979', 155.4)
    """
    import pandas as pd

    table = _statsmodels().sunspots.load_pandas().data
    years = pd.PeriodIndex(table["YEAR"].astype(int).astype(str), freq="Y", name="year")
    series = pd.Series(table["SUNACTIVITY"].to_numpy(), index=years, name="sunspots")
    return Split(series[:"1949"], series["1950":"1978"], series["1979":])


def co2() -> Split[pd.Series]:
    """Monthly mean CO2 at Mauna Loa in parts per million, May 1964 to December 2001 (452 values).

    The weekly measurements are averaged by month. They begin in 1958; the months before May 1964
    are left out because five of them have no measurement, so that no value here is made up.
    Parts in order of time: train to 1991, valid 1992-1996, test 1997-2001.

    Example:
        >>> train, valid, test = co2()
        >>> len(train), len(valid), len(test), train.name
        (332, 60, 60, 'co2 [ppm]')
    """
    weekly = _statsmodels().co2.load_pandas().data["co2"]
    monthly = weekly.resample("MS").mean().to_period("M").rename("co2 [ppm]")["1964-05":]
    return Split(monthly[:"1991"], monthly["1992":"1996"], monthly["1997":])


def digits(threshold: int | None = 8) -> Split[np.ndarray]:
    r"""Handwritten digits of 8 by 8 pixels, binarised: [N, 64] arrays of zeros and ones (uint8).

    A pixel (0 to 16 in the source) is one where it is at least `threshold`; with None the 17
    levels of grey are left as they are. Of each six consecutive images the first four go to
    train, the fifth to valid, the sixth to test, so each part has all the writers; pixels run row
    by row. The source is the test part of UCI's "Optical Recognition of Handwritten Digits", as
    scikit-learn ships it.

    Example:
        >>> train, valid, test = digits()
        >>> train.shape, valid.shape, test.shape
        ((1199, 64), (299, 64), (299, 64))
        >>> print("\n".join("".join("-#"[p] for p in row) for row in train[0].reshape(8, 8)))
        ---##---
        --####--
        --#--##-
        --#--##-
        --#--##-
        --#--#--
        --#-##--
        ---##---
    """
    import numpy as np

    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise _missing("scikit-learn") from None
    grey = load_digits().data
    pixels = (grey if threshold is None else grey >= threshold).astype(np.uint8)
    part = np.arange(len(pixels)) % 6
    return Split(pixels[part < 4], pixels[part == 4], pixels[part == 5])


def english(length: int = 1000) -> Split[list[str]]:
    """Technical English: the reference pages on Python's language that CPython carries.

    79 topics (`pydoc_data.topics`; some 370,000 characters, a little more in newer Pythons).
    Paragraphs that several topics share are kept once, where they first appear, so no test text
    has been seen in training. Topics are cut between paragraphs into passages of at most `length`
    characters (longer only where one paragraph is). Of ten consecutive passages the fifth goes to
    valid and the tenth to test: the text is new there, the subject is not. Quotation marks, dashes
    and the like are written in ASCII, so that a character is a byte.

    Args:
        length: the longest passage to make, in characters.

    Example:
        >>> train, valid, test = english()
        >>> len(train) > 5 * len(test), max(map(len, train)) < 10_000
        (True, True)
    """
    from pydoc_data.topics import topics

    passages: list[str] = []
    seen: set[str] = set()
    for name in sorted(topics):
        paragraphs = []
        for paragraph in _ascii(topics[name]).strip().split("\n\n"):
            words = " ".join(paragraph.split())
            if words and words not in seen:
                seen.add(words)
                paragraphs.append(paragraph)
        passages.extend(_passages(paragraphs, length))
    train = [text for i, text in enumerate(passages) if i % 5 != 4]
    return Split(train, passages[4::10], passages[9::10])


def _ascii(text: str) -> str:
    marks: dict[str, str | int | None] = {
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "–": "-",
        "—": "--",
        "…": "...",
    }
    return text.translate(str.maketrans(marks)).encode("ascii", "replace").decode("ascii")


def _passages(paragraphs: list[str], length: int) -> list[str]:
    """Consecutive paragraphs joined while they fit into `length` characters."""
    passages: list[str] = []
    for paragraph in paragraphs:
        if passages and len(passages[-1]) + 2 + len(paragraph) <= length:
            passages[-1] += "\n\n" + paragraph
        else:
            passages.append(paragraph)
    return passages


def _statsmodels():  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Its data package (statsmodels has no types)."""
    try:
        import statsmodels.datasets
    except ImportError:
        raise _missing("statsmodels") from None
    return statsmodels.datasets


def _missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(
        f'this data set comes with {package}, which is not installed: pip install "arproc[data]"'
    )
