"""Small fitted processes of symbols, of several families, for tests that hold for all of them."""

import functools
import warnings

import numpy as np

import arproc

QUICK = arproc.Training(steps=2, batch_size=4)
TEXT = ["abcab", "bca", "cabbac", "acb"] * 2
TEXT_FAMILIES = ["NGram", "PPM", "Transformer", "Mixture", "ContextTree"]


@functools.cache
def process(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "NGram":
            return arproc.NGram(2, "witten_bell", tokens="char").fit(TEXT)
        if name == "PPM":
            return arproc.PPM(order=2, tokens="char").fit(TEXT)
        if name == "ContextTree":
            return arproc.ContextTree(depth=2, tokens="char").fit(TEXT)
        if name == "Transformer":
            return arproc.Transformer(
                tokens="char", layers=1, heads=1, width=4, block=8, training=QUICK
            ).fit(TEXT)
        if name == "Mixture":
            return arproc.Mixture([process("NGram"), process("PPM")]).fit(TEXT)
        bits = (np.random.default_rng(0).random((30, 5)) > 0.4).astype(int)
        return arproc.MADE(hidden=(6,), training=QUICK).fit(bits)
