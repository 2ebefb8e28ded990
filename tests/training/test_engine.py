"""Batches in parts, averages of the weights, snapshots, callbacks, buckets, the course."""

from __future__ import annotations

import math
import struct

import numpy as np
import pandas as pd
import pytest
import torch

import arproc
from arproc.errors import NotEstimatedError, ParameterError, TrainingError
from arproc.models.neural.sequences.crops import BatchesOfCrops, Crops
from arproc.sampling import Temperature
from arproc.spaces import Categorical
from arproc.training import CSVLog, StopTraining, TensorBoardLog, Training

X = np.random.default_rng(0).integers(0, 2, (60, 6))
REAL = np.random.default_rng(1).normal(size=(60, 4))
IMAGES = np.random.default_rng(2).integers(0, 3, (40, 4, 4))
TEXTS = ["a rose is a rose", "is", "a rose", "so they say, a rose is"] * 5
PLAN = Training(steps=12, batch_size=8, lr=0.01)


def made(plan: Training, data=X, **more):
    return arproc.MADE((8,), training=plan).fit(data, **more)


def texts(plan: Training, **more):
    model = arproc.Transformer(1, 2, 8, block=16, tokens="char", training=plan)
    return model.fit(TEXTS, **more)


def flow(plan: Training) -> arproc.MAF:
    return arproc.MAF((6,), layers=2, normalisation="none", training=plan)


KINDS = {
    "made": made,
    "transformer": texts,
    "nade": lambda plan, **more: arproc.NADE(6, training=plan).fit(X, **more),
    "maf": lambda plan, **more: flow(plan).fit(REAL, **more),
    "pixelcnn": lambda plan, **more: arproc.PixelCNN(1, 4, training=plan).fit(IMAGES, **more),
}


def weights(model) -> dict[str, torch.Tensor]:
    return model.network_.state_dict()


def distance(first: dict, second: dict) -> float:
    return max(float((a.double() - second[k].double()).abs().max()) for k, a in first.items())


# ---- parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_in_parts_makes_the_same_updates(kind):
    # at AdamW's first steps a gradient of about nothing is amplified: so few of them
    plan = PLAN.set_params(steps=4, lr=1e-3, batch_size=9)  # an odd size: no gradient of 0
    whole, parts = KINDS[kind](plan), KINDS[kind](plan.set_params(accumulate=3))
    assert distance(weights(whole), weights(parts)) < 1e-4  # a tenth of an update
    assert parts.history_["loss"].to_numpy() == pytest.approx(
        whole.history_["loss"].to_numpy(), abs=1e-5
    )
    assert distance(weights(whole), weights(KINDS[kind](plan.set_params(seed=1)))) > 1e-3


def test_parts_of_unequal_sequences_count_by_their_terms():
    """Means of parts of 2 and of 22 characters are not worth the same."""
    plan = PLAN.set_params(steps=1, batch_size=7)
    whole, parts = texts(plan), texts(plan.set_params(accumulate=7))
    assert parts.history_["loss"][0] == pytest.approx(whole.history_["loss"][0], abs=1e-6)


def test_there_can_not_be_more_parts_than_rows():
    with pytest.raises(ParameterError, match="accumulate=9 parts of batch_size=8 rows"):
        PLAN.set_params(accumulate=9)


@pytest.mark.slow
def test_a_compiled_loss_makes_the_same_updates():
    plan = PLAN.set_params(steps=4, lr=1e-3, batch_size=9)
    assert distance(weights(made(plan)), weights(made(plan.set_params(compile=True)))) < 1e-4


# ---- averages, snapshots --------------------------------------------------------------------


def path_of(plan: Training) -> list[dict[str, torch.Tensor]]:
    """The weights after each update, by snapshots."""
    kept = made(plan.set_params(ema=None, swa=None, snapshots=plan.steps)).snapshots_
    return [weights(model) for model in kept]


def test_the_exponential_average_is_that_of_the_weights_along_the_way():
    plan = PLAN.set_params(ema=0.3)
    want = {k: v.double() for k, v in weights(made(PLAN.set_params(steps=1, lr=1e-30))).items()}
    for step, held in enumerate(path_of(plan), 1):
        decay = min(0.3, (1 + step) / (10 + step))
        want = {k: decay * want[k] + (1 - decay) * v.double() for k, v in held.items()}
    assert distance(want, weights(made(plan))) < 1e-6


def test_the_average_of_the_last_steps_is_their_mean():
    plan = PLAN.set_params(swa=0.25)
    last = path_of(plan)[-3:]
    want = {k: sum(held[k].double() for held in last) / 3 for k in last[0]}
    assert distance(want, weights(made(plan))) < 1e-6


def test_averages_are_what_is_scored_and_kept():
    plan = PLAN.set_params(ema=0.9, validate_every=4, steps=40, lr=0.1)
    model = made(plan, validation=X[:20])
    looks = model.history_["validation"].dropna()
    assert looks.min() == pytest.approx(-model.score(X[:20]), abs=1e-6)
    raw = made(plan.set_params(ema=None), validation=X[:20])
    assert abs(looks.min() - raw.history_["validation"].min()) > 1e-4


def test_snapshots_are_models_for_a_mixture():
    plan = PLAN.set_params(steps=60, snapshots=3, schedule="cyclic", lr=0.05)
    model = made(plan)
    first, _, last = model.snapshots_
    assert distance(weights(last), weights(model)) == 0
    assert distance(weights(first), weights(last)) > 1e-3
    early = made(plan.set_params(steps=60))
    assert distance(weights(early.snapshots_[0]), weights(first)) == 0
    mixed = arproc.Mixture(model.snapshots_).fit(X)
    assert mixed.score(X) >= max(one.score(X) for one in model.snapshots_) - 1e-6
    rates = model.history_["learning_rate"]
    assert rates.argmax() == 2  # after the warm-up
    assert rates[20] == pytest.approx(0.05)
    assert rates[19] < 0.001


def test_there_are_at_most_as_many_snapshots_as_steps():
    assert Training(steps=1, snapshots=3, schedule="cyclic").snapshot_steps == [1]
    assert len(made(PLAN.set_params(steps=2, snapshots=5)).snapshots_) == 2


def test_snapshots_and_course_are_in_files(tmp_path):
    model = made(PLAN.set_params(snapshots=2))
    model.save(tmp_path / "m")
    again = arproc.load(tmp_path / "m")
    pd.testing.assert_frame_equal(again.history_, model.history_)
    for ours, theirs in zip(model.snapshots_, again.snapshots_, strict=True):
        assert distance(weights(ours), weights(theirs)) == 0
        assert ours.with_policy(Temperature(0.5)).log_prob(X[0]) < 0


def test_a_model_of_a_law_has_no_course():
    model = arproc.MADE.of(made(PLAN).law_)
    for name in ("history_", "snapshots_"):
        with pytest.raises(NotEstimatedError, match=f"no {name}: it was made of a law"):
            getattr(model, name)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"ema": 1.0}, "ema must be below 1"),
        ({"swa": 0.0}, "swa must be a number above 0"),
        ({"ema": 0.9, "swa": 0.5}, "two averages"),
        ({"snapshots": -1}, "snapshots must be at least 0"),
        ({"schedule": "cyclic"}, "a cycle for each snapshot"),
        ({"callbacks": [3]}, "callbacks must be a tuple of functions"),
        ({"callbacks": print}, "callbacks must be a tuple of functions"),
        ({"bucket": 0}, "bucket must be at least 1"),
        ({"sharded": True, "optimizer": "muon"}, "Muon needs each matrix whole"),
        ({"compile": 1}, "compile"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(setting, message):
    with pytest.raises(ParameterError, match=message):
        PLAN.set_params(**setting)


def test_shares_need_several_processes():
    with pytest.raises(ParameterError, match="start the script with torchrun"):
        made(PLAN.set_params(sharded=True))


# ---- the course -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_in_the_unit_of_score(kind):
    data = {"transformer": TEXTS, "maf": REAL, "pixelcnn": IMAGES}.get(kind, X)
    model = KINDS[kind](PLAN.set_params(validate_every=3), validation=data)
    table = model.history_
    assert list(table) == ["step", "epoch", "loss", "validation", "seconds", "learning_rate"]
    assert table["step"].tolist() == list(range(1, 13))
    assert table["validation"].count() == 4
    assert table["seconds"].is_monotonic_increasing
    if kind != "transformer":  # whose held-out crops are drawn
        assert table["validation"].min() == pytest.approx(-model.score(data), abs=1e-4)
    at_first = table["loss"][0] - KINDS[kind](PLAN.set_params(steps=1, lr=1e-30)).score(data) * -1
    assert abs(at_first) < 0.4
    rows = len(data)
    if kind != "transformer":
        assert table["epoch"][11] == 12 / math.ceil(rows / 8)


def test_callbacks_get_the_rows_and_may_stop():
    rows = []

    def note(row):
        rows.append(row)
        if row["step"] == 7:
            raise StopTraining

    model = made(PLAN.set_params(callbacks=(note,), validate_every=3), validation=X)
    pd.testing.assert_frame_equal(pd.DataFrame(rows), model.history_)
    assert len(rows) == 7


def test_a_model_with_callbacks_is_saved_without_them(tmp_path):
    model = made(PLAN.set_params(callbacks=(lambda row: None,)))
    model.save(tmp_path / "m")
    assert arproc.load(tmp_path / "m").training == PLAN


def test_an_error_of_a_callback_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        made(PLAN.set_params(callbacks=(lambda row: 1 / 0,)))


def test_a_csv_file_of_a_broken_run_is_that_of_a_whole_one(tmp_path):
    plan = PLAN.set_params(validate_every=5, checkpoint_every=4)
    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    want = made(plan.set_params(callbacks=(CSVLog(whole),)), validation=X)
    broken.write_text("something older\n")

    def cut(row):
        if row["step"] == 11:
            raise KeyError("power cut")

    with pytest.raises(KeyError):
        made(
            plan.set_params(checkpoint=str(tmp_path / "c"), callbacks=(CSVLog(broken), cut)),
            validation=X,
        )
    with broken.open("a") as file:
        file.write("12,0.")  # a line that was cut short
    resumed = plan.set_params(
        checkpoint=str(tmp_path / "c"), callbacks=(CSVLog(broken),), resume=True
    )
    made(resumed, validation=X)
    tables = [pd.read_csv(path).drop(columns="seconds") for path in (whole, broken)]
    pd.testing.assert_frame_equal(*tables)
    pd.testing.assert_frame_equal(tables[0], want.history_.drop(columns="seconds"))


def test_a_csv_file_may_have_some_of_the_rows(tmp_path):
    log = CSVLog(tmp_path / "log.csv", every=5)
    made(PLAN.set_params(callbacks=(log,), validate_every=4), validation=X)
    assert pd.read_csv(log.path)["step"].tolist() == [4, 5, 8, 10, 12]
    with pytest.raises(ParameterError, match=r"folder .* does not exist"):
        made(PLAN.set_params(callbacks=(CSVLog(tmp_path / "no" / "log.csv"),)))


def events(path) -> list[tuple[int, dict[str, float]]]:
    """A reader of TensorBoard's files: the step and the scalars of each event."""
    raw, found, at = path.read_bytes(), [], 0
    while at < len(raw):
        size = struct.unpack_from("<Q", raw, at)[0]
        fields = message(raw[at + 12 : at + 12 + size])
        values = [message(v) for v in message(fields[5][0])[1]] if 5 in fields else []
        scalars = {v[1][0].decode(): struct.unpack("<f", v[2][0])[0] for v in values}
        found.append((fields.get(2, [0])[0], scalars))
        at += 16 + size
    assert at == len(raw)
    return found


def message(raw: bytes) -> dict[int, list]:
    """The fields of a protocol buffer by their numbers."""
    fields, at = {}, 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(raw):
        number, kind = divmod(varint(), 8)
        size = {0: 0, 1: 8, 5: 4}.get(kind)
        value = varint() if kind in (0, 2) else None
        if kind:
            size = value if kind == 2 else size
            value, at = raw[at : at + size], at + size
        fields.setdefault(number, []).append(value)
    return fields


def test_tensorboard_gets_the_rows(tmp_path):
    model = made(PLAN.set_params(callbacks=(TensorBoardLog(tmp_path / "runs", every=4),)))
    (path,) = (tmp_path / "runs").iterdir()
    begin, *told = events(path)
    assert begin == (0, {})
    assert [step for step, _ in told] == [4, 8, 12]
    names = ("epoch", "learning_rate", "loss", "seconds")
    assert sorted(told[0][1]) == [f"training/{name}" for name in names]
    for step, scalars in told:
        row = model.history_.iloc[step - 1]
        assert scalars["training/loss"] == pytest.approx(row["loss"], rel=1e-6)


# ---- lengths --------------------------------------------------------------------------------


def crops_of(lengths: list[int], block: int) -> Crops:
    rows = [[0] * n for n in lengths]
    return Crops(arproc.Sequences.of(rows, Categorical(2, end_symbol=1)), block)


def test_buckets_need_little_padding_and_see_all_alike():
    lengths = list(np.random.default_rng(0).integers(1, 100, 400))
    crops = crops_of(lengths, 128)
    plain = BatchesOfCrops(crops, Training(batch_size=16))
    sorted_by = BatchesOfCrops(crops, Training(batch_size=16, bucket=32))
    generator = torch.Generator().manual_seed(0)
    padded = [
        sum(b.targets.numel() for b in drawn) / sum(b.terms() for b in drawn)
        for drawn in (
            [plain(step, generator) for step in range(320)],
            [sorted_by(step, generator) for step in range(320)],
        )
    ]
    assert padded[0] > 1.7
    assert padded[1] < 1.1
    batches = [sorted_by(step, generator) for step in range(320)]
    terms = np.array([batch.terms() for batch in batches])
    assert terms.max() < 1.35 * terms.min()  # the mean of each counts for as much
    seen = torch.cat([batch.rows for batch in batches]).bincount(minlength=400).double()
    assert len(torch.cat([b.rows for b in batches])) == 320 * 16
    assert float(seen.std() / seen.mean()) < 0.4  # chance: 0.28
    assert torch.equal(BatchesOfCrops(crops, sorted_by.settings)(77, generator).rows,
                       batches[77].rows)  # fmt: skip


def test_every_batch_of_a_bucket_has_a_row():
    crops = crops_of([1, 1, 1, 1, 500], 512)
    batches = BatchesOfCrops(crops, Training(batch_size=1, bucket=7))
    assert min(len(batches(step, torch.Generator()).rows) for step in range(70)) >= 1


# ---- learning rates -------------------------------------------------------------------------


def test_the_learning_rate_finder_finds_a_rate_that_learns():
    model = arproc.MADE((16,), training=Training(steps=60, batch_size=16, optimizer="muon"))
    x = X.copy()
    x[:, 3:] = x[:, :3]
    found = model.find_lr(x, steps=50)
    assert not hasattr(model, "_held")
    assert found.training.lr == found.suggestion
    ratio = found.training.matrix_lr / found.training.lr
    assert ratio == pytest.approx(0.02 / 0.01)
    slow = model.set_params(training__lr=found.suggestion / 1000).fit(x).score(x)
    assert arproc.MADE((16,), training=found.training).fit(x).score(x) > slow + 0.05
    curve = found.curve
    assert curve["learning_rate"].is_monotonic_increasing
    assert curve["learning_rate"].iloc[0] == pytest.approx(1e-6)


def test_a_sweep_that_never_falls_says_so():
    with pytest.raises(TrainingError, match=r"never fell|weights worth keeping"):
        arproc.MADE((16,)).find_lr(X, steps=20, low=1e6, high=1e9)
    with pytest.raises(ParameterError, match="high must be above low"):
        arproc.MADE((16,)).find_lr(X, low=1.0, high=0.1)
