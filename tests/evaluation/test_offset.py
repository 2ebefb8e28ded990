"""Scores of a model with a trend or seasons, of data that begin elsewhere than those of fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import arproc
from arproc.errors import PlaceWarning
from arproc.evaluation import diagnose, pit, uniformity

N, LATER = 120, 70
WHOLE = pd.Series(
    arproc.AR.from_parameters([0.5], slope=0.4).sample(length=N, seed=0)[0]
    + 5.0 * (np.arange(N) % 4 == 1),
    pd.date_range("2020-01-01", periods=N),
)
MODEL = arproc.AR(1, trend="ct", seasonal=4).fit(WHOLE)
LABELLED, BARE = WHOLE.iloc[LATER:], WHOLE.to_numpy()[LATER:]

CALLS = {
    "evaluate": lambda x, **place: arproc.evaluate(MODEL, x, **place).log_prob_nats,
    "compare": lambda x, **place: arproc.compare(
        {"a": MODEL, "b": arproc.AR(0).fit(WHOLE)}, x, **place
    ).loc["a", "log_prob_nats"],
    "crps": lambda x, **place: arproc.evaluation.crps(MODEL, x, **place),
    "pit": lambda x, **place: pit(MODEL, x, **place),
    "diagnose": lambda x, **place: diagnose(MODEL, x, **place),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_offset_says_what_labels_say(call):
    labelled = CALLS[call](LABELLED)
    np.testing.assert_allclose(CALLS[call](BARE, offset=LATER), labelled, rtol=1e-9)
    with pytest.warns(PlaceWarning, match="Say offset="):
        wrong = CALLS[call](BARE)
    assert np.abs(np.asarray(wrong) - np.asarray(labelled)).max() > 0.01


def test_the_total_is_that_of_log_prob():
    assert CALLS["evaluate"](BARE, offset=LATER) == pytest.approx(
        MODEL.log_prob(BARE, offset=LATER)
    )
    assert uniformity(CALLS["pit"](BARE, offset=LATER)).ks_p_value > 1e-3


def test_gaps_are_filled_from_where_they_stand():
    gaps = LABELLED.copy()
    gaps.iloc[[3, 4, 20]] = np.nan
    table = MODEL.impute(gaps)
    again = MODEL.impute(gaps.to_numpy(), offset=LATER)
    np.testing.assert_allclose(again.to_numpy(), table.to_numpy())
    assert np.abs(table["mean"] - LABELLED).max() < 5


def test_several_sequences_begin_each_at_its_own_step():
    parts = [BARE, WHOLE.to_numpy()[31:60]]
    total = arproc.evaluate(MODEL, parts, offset=[LATER, 31]).log_prob_nats
    apart = MODEL.log_prob(LABELLED) + MODEL.log_prob(WHOLE.iloc[31:60])
    assert total == pytest.approx(apart)
