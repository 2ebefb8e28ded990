"""Variants of the models of vectors and tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
from helpers import shake

import arproc
from arproc import (
    MADE,
    NADE,
    KernelDensity,
    Mixture,
)
from arproc.sampling import Temperature

from .makers import (
    LABELS,
    PUSH,
    QUICK,
    made,
    made_of_classes,
    made_of_reals,
    made_of_table,
    nade,
    nade_of_classes,
    nade_of_reals,
    of_labels,
    series,
    table,
    vectors,
)

VECTORS: dict[str, tuple[Callable[[], arproc.Process], dict[str, Any]]] = {
    "MADE": (lambda: made(2, 6, (13,)), {}),
    "MADE, two layers, categorical": (lambda: made(3, 5, (11, 8), ordering="random"), {}),
    "MADE of mixed levels": (lambda: made((2, 4, 1, 3, 2), 5, (12,)), {}),
    "MADE without hidden units": (lambda: made(2, 4, (), ordering=(2, 0, 3, 1)), {}),
    "MADE of pictures": (
        lambda: shake(MADE((9,), training=QUICK).fit(vectors(2, 12).reshape(-1, 3, 4))), {}
    ),
    "MADE, residual, with direct connections": (
        lambda: made(2, 5, (9, 9), residual=True, direct=True), {}
    ),
    "MADE, residual, categorical, direct": (
        lambda: made((2, 3, 2, 4), 4, (9, 9), residual=True, direct=True), {}
    ),
    "MADE of classes": (made_of_classes, {"context": np.eye(3)}),
    "MADE of labels": (lambda: of_labels(MADE((9,), classes=3, training=QUICK)), LABELS),
    "MADE of ordered levels": (
        lambda: made(6, 4, (9,), head="discretised_logistic", components=2), {}
    ),
    "MADE, normal": (lambda: made_of_reals("normal"), {}),
    "MADE, mixture of normals": (
        lambda: made_of_reals("normal_mixture", (9, 9), residual=True), {}
    ),
    "MADE, mixture of logistics": (
        lambda: made_of_reals("logistic_mixture", direct=True, ordering=(2, 0, 3, 1)), {}
    ),
    "MADE, Student's t": (lambda: made_of_reals("student_t"), {}),
    "MADE of a table": (lambda: made_of_table(table()), {}),
    "MADE of a table, tried with rows of it": (
        lambda: made_of_table(table(0.1)), {"data": table(0.1, n=20)}
    ),
    "MADE of a table with gaps": (
        lambda: made_of_table(table(0.2), (9, 9), ordering=(3, 0, 4, 2, 1), residual=True), {}
    ),
    "MADE of a table of one kind, with gaps": (
        lambda: made_of_table(table(0.2)[["height"]].assign(a=table().height, b=series(60))), {}
    ),
    "MADE of a table of categories": (
        lambda: made_of_table(table()[["city", "smokes"]].assign(k=np.arange(60) % 4), ()), {}
    ),
    "MADE of an array of mixed columns": (
        lambda: made_of_table(
            vectors((1000, 3, 7), 3, 40) / [7, 1, 1], columns=["real", "categorical", "count"],
            head="student_t", direct=True,
        ),
        {},
    ),
    "MADE of a table, of classes": (
        lambda: made_of_table(table(0.2), context=np.eye(3)[np.arange(60) % 3]),
        {"context": np.eye(3)},
    ),
    "Mixture of tables": (
        lambda: Mixture([made_of_table(table(0.2)), made_of_table(table(0.2), (4, 4))]).fit(
            table(0.2)
        ),
        {},
    ),
    "MADE of a table after its first columns": (
        lambda: made_of_table(table(0.2)).condition([180.0, 12.0]), {}
    ),
    "MADE of all orders": (
        lambda: made((2, 4, 1, 3, 2), 5, (9, 8), order_agnostic=True, direct=True), {}
    ),
    "MADE of three orders, in another": (
        lambda: made(2, 6, (9, 9), order_agnostic=3, residual=True).in_order((5, 0, 2, 4, 1, 3)),
        {},
    ),
    "kernel density": (lambda: KernelDensity().fit(vectors(2, 6)), {}),
    "kernel density of levels": (
        lambda: KernelDensity(0.3, ordering="random").fit(vectors(3, 5)), {}
    ),
    "kernel density of reals": (
        lambda: KernelDensity(min_scale=0.01, ordering=(2, 0, 1)).fit(PUSH.reshape(-1, 3)[:12]), {}
    ),
    "NADE": (lambda: nade(2, 6, activation="sigmoid"), {}),
    "NADE of mixed levels": (lambda: nade((2, 4, 1, 3, 2), 5, ordering="random"), {}),
    "NADE of ordered levels": (
        lambda: nade(6, 4, head="discretised_logistic", components=2), {}
    ),
    "NADE of classes": (nade_of_classes, {"context": np.eye(3)}),
    "NADE of labels": (lambda: of_labels(NADE(7, classes=3, training=QUICK)), LABELS),
    "NADE of all orders, of labels": (
        lambda: of_labels(NADE(7, classes=3, order_agnostic=True, training=QUICK)), LABELS
    ),
    "RNADE, normal": (lambda: nade_of_reals("normal"), {}),
    "RNADE, mixture of normals": (
        lambda: nade_of_reals("normal_mixture", ordering=(2, 0, 3, 1)), {}
    ),
    "RNADE, mixture of logistics": (lambda: nade_of_reals("logistic_mixture"), {}),
    "RNADE, Student's t": (lambda: nade_of_reals("student_t"), {}),
    "NADE of all orders": (
        lambda: nade(3, 5, (7, 6), order_agnostic=True, ordering=(3, 1, 0, 4, 2)), {}
    ),
    "NADE of all orders, in another": (
        lambda: nade(2, 6, order_agnostic=True).in_order((5, 0, 2, 4, 1, 3)), {}
    ),
    "RNADE of all orders": (
        lambda: nade_of_reals("normal_mixture", order_agnostic=True, activation="sigmoid"), {}
    ),
    "MADE after a prefix": (lambda: made(2, 6, (13,)).condition([1, 0]), {}),
    "MADE under a policy": (lambda: made(2, 6, (13,)).with_policy(Temperature(2.0)), {}),
}  # fmt: skip
