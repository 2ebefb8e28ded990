"""Tables of any columns, for property tests."""

import hypothesis.strategies as st
import pandas as pd


def gaps(values: st.SearchStrategy, missing: bool) -> st.SearchStrategy:
    return st.one_of(st.none(), values) if missing else values


@st.composite
def columns(draw: st.DrawFn, n: int) -> pd.Series:
    """A column of n entries of any kind and dtype that a table may have, at least one there."""
    missing = draw(st.booleans())
    kind = draw(st.sampled_from(["float", "int", "Int64", "text", "bool", "boolean", "category"]))
    values = {
        "float": st.floats(-1e9, 1e9),
        "int": st.integers(-(2**40), 2**40),
        "Int64": st.integers(-(2**40), 2**40),
        "text": st.text(max_size=3),
        "bool": st.booleans(),
        "boolean": st.booleans(),
        "category": st.sampled_from(["x", "y", "z"]),
    }[kind]
    missing = missing and kind not in ("int", "bool")
    found = [draw(values), *(draw(gaps(values, missing)) for _ in range(n - 1))]
    if kind == "category":
        ordered = draw(st.booleans())
        return pd.Series(pd.Categorical(found, categories=list("zxy"), ordered=ordered))
    dtype = {"float": "float64", "int": "int64", "text": "string"}.get(kind, kind)
    return pd.Series(found, dtype=dtype)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    n, width = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    names = draw(st.lists(st.text(min_size=1, max_size=3), min_size=width, max_size=width,
                          unique=True))  # fmt: skip
    return pd.DataFrame({name: draw(columns(n)) for name in names})
