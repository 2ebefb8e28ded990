"""Variants of the neural models of images, sound and sequences."""

from collections.abc import Callable
from typing import Any

import numpy as np

import arproc
from arproc import (
    AR,
    ARGARCH,
)
from arproc.sampling import Temperature, TopK

from .makers import (
    FEATURES,
    GPT2,
    LABELS,
    TEXT,
    any_order,
    attention,
    coded,
    counts,
    digits,
    frames,
    pixelcnn,
    plus_plus,
    positive_context,
    published,
    rnn,
    roll,
    series,
    snail,
    transformer,
    transformer_of_classes,
    transformer_of_vectors,
    unlike_series,
    vectors,
    wavenet,
    window,
)

NEURAL: dict[str, tuple[Callable[[], arproc.Process], dict[str, Any]]] = {
    "PixelCNN": (lambda: pixelcnn(2, (3, 4), layers=2), {}),
    "PixelCNN of grey levels": (lambda: pixelcnn(5, (4, 3), first_kernel=3, kernel=5), {}),
    "PixelCNN of ordered grey levels": (
        lambda: pixelcnn(256, (3, 4), head="discretised_logistic", components=2), {}
    ),
    "PixelCNN of colours": (lambda: pixelcnn(4, (3, 2, 2)), {}),
    "PixelCNN of ordered colours": (
        lambda: pixelcnn(9, (2, 5, 3), head="discretised_logistic", components=2), {}
    ),
    "PixelCNN of classes": (
        lambda: pixelcnn(2, (3, 4), classes=3, context=np.arange(20) % 3), LABELS
    ),
    "PixelCNN given vectors": (
        lambda: pixelcnn(3, (3, 1, 2), conditioned=True, context=series(40).reshape(20, 2)),
        {"context": series(8).reshape(4, 2)},
    ),
    "PixelCNN of every order": (lambda: pixelcnn(2, (2, 3), order_agnostic=True), {}),
    "PixelCNN of every order, of ordered colours given vectors": (
        lambda: pixelcnn(
            4, (2, 1, 3), order_agnostic=True, head="discretised_logistic", components=2,
            conditioned=True, context=series(40).reshape(20, 2),
        ),
        {"context": series(8).reshape(4, 2)},
    ),
    "PixelCNN++": (lambda: plus_plus(256, (4, 5)), {}),
    "PixelCNN++ of zeros and ones, three resolutions": (
        lambda: plus_plus(2, (3, 4), resolutions=3), {}
    ),
    "PixelCNN++ of colours": (lambda: plus_plus(9, (3, 2, 5)), {}),
    "PixelCNN++ of classes": (
        lambda: plus_plus(5, (3, 2), classes=3, context=np.arange(20) % 3), LABELS
    ),
    "PixelSNAIL": (lambda: snail(2, (3, 4)), {}),
    "PixelSNAIL of colours": (lambda: snail(4, (3, 2, 2)), {}),
    "PixelSNAIL of classes": (
        lambda: snail(
            8, (2, 4), classes=3, context=np.arange(20) % 3, head="discretised_logistic"
        ),
        LABELS,
    ),
    "WaveNet": (lambda: wavenet(), {}),
    "WaveNet, mixture of logistics": (
        lambda: wavenet(9, head="discretised_logistic", components=2, kernel=3), {}
    ),
    "WaveNet of classes": (lambda: wavenet(classes=3, context=np.arange(6) % 3), LABELS),
    "WaveNet given features": (
        lambda: wavenet(conditioned="steps", context=FEATURES), {"context": FEATURES[:4]}
    ),
    "AR as codes": (lambda: coded(AR(2)), {}),
    "AR-GARCH with Student-t innovations, as codes": (
        lambda: coded(ARGARCH(1, "student_t"), companded=True), {}
    ),
    "Transformer": (lambda: transformer(tokens=4), {}),
    "Transformer whose sequences end": (
        lambda: transformer([digits(n) for n in (9, 30, 14)], tokens=4, end=True), {}
    ),
    "Transformer with heads for later symbols": (lambda: transformer(tokens=4, ahead=2), {}),
    "Transformer with vectors of n-grams": (lambda: transformer(tokens=4, ngrams=3), {}),
    "Transformer with vectors of n-grams whose sequences end": (
        lambda: transformer(
            [digits(n) for n in (9, 30, 14)], tokens=4, end=True, ngrams=2, ahead=1
        ),
        {},
    ),
    "Transformer with vectors of n-grams and learned positions": (
        lambda: transformer(tokens=4, block=16, ngrams=3, **GPT2), {}
    ),
    "Transformer of published weights": (lambda: published(tokens=4, kv_heads=1), {}),
    "Transformer of published weights, learned positions": (
        lambda: published(TEXT, tokens="char", block=16, **GPT2), {}
    ),
    "Transformer with linear biases of attention": (
        lambda: transformer(tokens=4, positions="alibi", activation="squared_relu"), {}
    ),
    "Transformer of characters": (lambda: transformer("".join(TEXT), tokens="char"), {}),
    # series of like size: extremes of others, fed back, magnify the last digit, which is not the
    # same for few rows and for many
    "Transformer of reals": (
        lambda: attention(
            np.stack([series(60, seed=i) * (1 + i) for i in range(3)]), head="student_t"
        ),
        {},
    ),
    "Transformer of reals on their own scales": (
        lambda: attention(
            unlike_series(), head="normal_mixture", scaling=4, positions="alibi", kv_heads=1
        ),
        {},
    ),
    "Transformer of counts with covariates and scales": (
        lambda: attention(
            np.stack([counts(60)] * 3), head="negative_binomial", covariates=True,
            scaling="context", context=0.1 + positive_context(3),
        ),
        {"context": 0.1 + positive_context()},
    ),
    "Transformer of frames": (lambda: attention(frames(), head="nade"), {}),
    "Transformer of symbols with covariates": (
        lambda: attention(digits()[None], tokens=4, covariates=True, context=positive_context(1)),
        {"context": positive_context()},
    ),
    "RNN": (lambda: rnn(tokens=4), {}),
    "RNN of lines": (lambda: rnn(TEXT, "gru", 2, tokens="char"), {}),
    "RNN of classes": (
        lambda: rnn(TEXT, tokens="char", classes=3, context=np.arange(12) % 3), LABELS
    ),
    "RNN of reals": (lambda: rnn(unlike_series(), "elman", 2, head="student_t"), {}),
    "RNN of reals on their own scales": (
        lambda: rnn(unlike_series(), "gru", head="normal_mixture", scaling=4, min_scale=0.01), {}
    ),
    "RNN of reals with covariates and scales": (
        lambda: rnn(
            unlike_series(), "gru", 2, head="normal", covariates=True, scaling="context",
            context=0.1 + positive_context(3),
        ),
        {"context": 0.1 + positive_context()},
    ),
    "RNN of reals, vectors and scales": (
        lambda: rnn(
            unlike_series(), head="logistic_mixture", conditioned=True, scaling="context",
            context=0.1 + positive_context(3)[:, 0],
        ),
        {"context": 0.1 + positive_context()[:, 0]},
    ),
    "RNN of counts": (lambda: rnn(counts(), head="negative_binomial"), {}),
    "RNN of counts on their own scales": (
        lambda: rnn(counts(), "gru", head="poisson", scaling=3), {}
    ),
    "RNN of frames": (lambda: rnn(frames(), head="nade", hidden=6), {}),
    "RNN of frames by a MADE": (lambda: rnn(frames(), "gru", head="made", hidden=6), {}),
    "RNN of frames by a deep NADE": (lambda: rnn(frames(), head="nade", hidden=(6, 5)), {}),
    "RNN of frames of independent notes": (lambda: rnn(frames(), head="bernoulli"), {}),
    "NeuralAR": (lambda: window(tokens=4), {}),
    "NeuralAR of lines": (lambda: window(TEXT, tokens="char", dropout=0.1), {}),
    "NeuralAR of reals, classes and scales": (
        lambda: window(
            unlike_series(), head="student_t", scaling=7, classes=3, context=np.arange(3)
        ),
        LABELS,
    ),
    "NeuralAR of reals with covariates and scales": (
        lambda: window(
            unlike_series(), order=1, head="normal", covariates=True, scaling="context",
            context=0.1 + positive_context(3),
        ),
        {"context": 0.1 + positive_context()},
    ),
    "NeuralAR of counts on their own scales": (
        lambda: window(counts(), head="negative_binomial", scaling=3), {}
    ),
    "NeuralAR of frames": (lambda: window(frames(), head="nade", hidden=6), {}),
    "PianoRoll": (roll, {}),
    "PianoRoll with a clock": (
        lambda: roll(covariates=True, memory=0, context=np.arange(60.0).reshape(1, 60, 1) % 4),
        {"context": positive_context()[..., :1]},
    ),
    "RNN after a prefix": (lambda: rnn(tokens=4).condition([0, 3, 3]), {}),
    "PixelCNN after a prefix": (lambda: pixelcnn(2, (3, 4)).condition([1, 0, 0, 1, 1]), {}),
    "PixelCNN under a policy": (
        lambda: pixelcnn(4, (3, 3)).with_policy(Temperature(0.8) | TopK(3)), {}
    ),
    "Transformer of images": (
        lambda: transformer(vectors(3, 12).reshape(-1, 3, 4), block=None, attention_window=None),
        {},
    ),
    "Transformer of colours": (
        lambda: transformer(vectors(4, 18).reshape(-1, 3, 2, 3), tokens=4, channel_axis="first"),
        {},
    ),
    "Transformer of classes": (transformer_of_classes, LABELS),
    "Transformer of every order": (lambda: any_order(vectors(3, 4)), {}),
    "Transformer of every order, of texts in another": (
        lambda: any_order(["abca", "bbac", "cabb"] * 4, tokens="char").in_order((2, 0, 3, 1)), {}
    ),
    "Transformer of every order, of images given vectors": (
        lambda: any_order(
            vectors(3, 4).reshape(-1, 2, 2), positions="alibi", attention_window=2,
            conditioned=True, context=series(2 * len(vectors(3, 4))).reshape(-1, 2),
        ),
        {"context": series(8).reshape(4, 2)},
    ),
    "Transformer of texts of a vector": (transformer_of_vectors, {"context": np.eye(2)}),
    "Transformer after a prefix": (lambda: transformer(tokens=4).condition([0, 3, 3]), {}),
    "Transformer under a policy": (
        lambda: transformer(tokens=4).with_policy(Temperature(0.8) | TopK(3)), {}
    ),
}  # fmt: skip
