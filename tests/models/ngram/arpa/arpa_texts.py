"""ARPA files made at random, and lines of their words."""

from __future__ import annotations

from itertools import product

from hypothesis import strategies as st

WORDS = ("a", "b", "c")


@st.composite
def arpa_texts(draw, lowest=1):
    """Files with any set of n-grams: what begins or ends them may be missing."""
    order = draw(st.integers(lowest, 4))
    numbers = st.sampled_from(["-0.5", "-1e-1", "-2.25", "-.75", "-0", "-99", "-1.5E+0"])
    weights = st.sampled_from(["", "\t-0.25", "\t-1e0", "\t0.125", "\t-0"])
    single = ["<unk>", "<s>", "</s>", *WORDS]
    sections = [[(word,) for word in single]]
    for k in range(2, order + 1):
        every = [
            (first, *rest)
            for first in ("<s>", *WORDS)
            for rest in product((*WORDS, "<unk>"), repeat=k - 2)
        ]
        every = [(*h, w) for h in every for w in (*WORDS, "</s>")]
        sections.append(draw(st.lists(st.sampled_from(every), unique=True, max_size=12)))
    lines = ["\\data\\", *(f"ngram {k}={len(s)}" for k, s in enumerate(sections, 1)), ""]
    for k, section in enumerate(sections, 1):
        lines.append(f"\\{k}-grams:")
        for gram in section:
            number = "-0.5" if gram == ("</s>",) else draw(numbers)
            lines.append(f"{number}\t{' '.join(gram)}{draw(weights) if k < order else ''}")
        lines.append("")
    return "\n".join([*lines, "\\end\\", ""])


texts = st.lists(st.sampled_from([*WORDS, "zoo"]), max_size=7).map(" ".join)
