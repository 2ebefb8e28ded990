"""NADE on the data of its papers, on the validation part: figures that a regression would lose."""

from __future__ import annotations

import numpy as np
import pytest

from arproc import MADE, NADE, OrderEnsemble, Training

PLAN = Training(batch_size=100, warmup=0.02, lr=2e-3, validate_every=100, patience=20)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "decay", "steps", "least"),
    # published, in one order and on the test data: NADE -9.81 and -84.81
    [("mushrooms", 0.1, 3000, -9.75), ("dna_nade", 1.0, 3000, -83.0)],
)
def test_one_order(shared_data, name, decay, steps, least):
    data = np.load(shared_data / f"{name}.npz")
    plan = PLAN.set_params(steps=steps, weight_decay=decay)
    model = NADE(500, training=plan).fit(data["train"], validation=data["valid"])
    assert model.log_prob(data["valid"]).mean() > least


@pytest.mark.slow
def test_many_orders(shared_data):
    """The ensemble is better than its members, by far where training data are few."""
    data = np.load(shared_data / "dna_nade.npz")
    plan = PLAN.set_params(steps=6000, weight_decay=0.1)
    model = MADE((500,), direct=True, order_agnostic=16, training=plan)
    model.fit(data["train"], validation=data["valid"])
    ensemble = OrderEnsemble(model)
    single = [member.log_prob(data["valid"]).mean() for member in ensemble.members]
    assert ensemble.log_prob(data["valid"]).mean() > max(np.mean(single) + 1.5, -83.0)
