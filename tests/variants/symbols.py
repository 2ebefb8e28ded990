"""Variants of the models of symbols that count: n-grams, context trees, caches; mixtures."""

from collections.abc import Callable
from typing import Any

import arproc
from arproc import (
    PPM,
    Cache,
    ContextTree,
    InfiniGram,
    NGram,
)
from arproc.sampling import TopP

from .makers import (
    TEXT,
    digits,
    mixture_of_families,
    mixture_of_text,
    mixture_with_cache,
    ngram_of_parts,
)

SYMBOLS: dict[str, tuple[Callable[[], arproc.Process], dict[str, Any]]] = {
    "NGram of characters": (lambda: NGram(3, tokens="char").fit("".join(TEXT)), {}),
    "NGram of words": (lambda: NGram(2).fit(TEXT), {}),
    "NGram of bytes": (lambda: NGram(2, tokens="byte").fit("".join(TEXT)), {}),
    "NGram, additive": (lambda: NGram(2, smoothing="additive", tokens="char").fit(TEXT), {}),
    "NGram, Kneser-Ney": (lambda: NGram(3, "kneser_ney", "char").fit(TEXT), {}),
    "NGram, back-off Kneser-Ney": (lambda: NGram(3, "backoff_kneser_ney").fit(TEXT), {}),
    "NGram, absolute discounting": (
        lambda: NGram(3, "absolute_discounting", "char").fit("".join(TEXT)), {}
    ),
    "NGram, Katz": (lambda: NGram(3, "katz", "char").fit(TEXT), {}),
    "NGram, Witten-Bell": (lambda: NGram(3, "witten_bell").fit(TEXT), {}),
    "NGram, Jelinek-Mercer": (
        lambda: NGram(3, "jelinek_mercer", "char").fit(TEXT, validation=TEXT[:3]), {}
    ),
    "NGram, Jelinek-Mercer by deletion": (lambda: NGram(3, "jelinek_mercer").fit(TEXT), {}),
    "NGram, maximum likelihood": (
        lambda: NGram(2, "maximum_likelihood", 4).fit(digits()), {}
    ),
    "NGram, cut off": (lambda: NGram(4, tokens="char", prune=[0, 0, 1, 2]).fit(TEXT), {}),
    "NGram, pruned": (lambda: NGram(4, tokens="char").fit(TEXT).pruned(1e-3), {}),
    "NGram of numbers": (lambda: NGram(3, tokens=4).fit(digits()), {}),
    "ContextTree": (lambda: ContextTree(3, 4).fit(digits()), {}),
    "ContextTree, frozen": (lambda: ContextTree(3, 4, adaptive=False).fit(digits()), {}),
    "ContextTree of lines": (lambda: ContextTree(3, alpha=0.1).fit(TEXT), {}),
    "ContextTree that has seen nothing": (lambda: ContextTree.untrained(2, 2), {}),
    "PPM": (lambda: PPM(3, "D").fit("".join(TEXT)), {}),
    "PPM, method C": (lambda: PPM(3, "C", 4).fit(digits()), {}),
    "PPM of lines, frozen": (lambda: PPM(4, adaptive=False).fit(TEXT), {}),
    "Cache": (lambda: Cache(5, tokens="char").fit("".join(TEXT)), {}),
    "Cache of documents, decaying": (
        lambda: Cache(None, 0.9, 2.0).fit(TEXT), {"data": [line + " " + line for line in TEXT]}
    ),
    "Cache, decaying in a window": (lambda: Cache(3, 0.5, base="uniform", tokens=4).fit(digits()),
        {}),
    "Mixture of an n-gram model and a cache": (mixture_with_cache, {}),
    "InfiniGram of characters": (lambda: InfiniGram("char").fit("".join(TEXT)), {}),
    "InfiniGram of words": (lambda: InfiniGram().fit(TEXT), {}),
    "InfiniGram of numbers, by validation": (
        lambda: InfiniGram(4).fit(digits(), validation=digits(60)), {}
    ),
    "NGram of parts": (ngram_of_parts, {}),
    "Mixture of n-grams": (mixture_of_text, {}),
    "Mixture of families": (mixture_of_families, {}),
    "NGram after a prefix": (lambda: NGram(3, tokens="char").fit(TEXT).condition("the "), {}),
    "NGram under a policy": (lambda: NGram(2).fit(TEXT).with_policy(TopP(0.9)), {}),
}  # fmt: skip
