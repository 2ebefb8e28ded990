"""The training loop: what it learns, keeps, writes and refuses."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from arproc.contract.model_file import read_file, write_file
from arproc.errors import FileFormatError, ParameterError, StorageError, TrainingError
from arproc.training import Batches, Objective, Training, train
from arproc.training.optimizers import AdamW, Muon, orthogonalise

X = torch.linspace(-2, 2, 64)[:, None]
Y = torch.sin(2 * X)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(1, 16),
        nn.Tanh(),
        nn.Dropout(0.1),
        nn.Linear(16, 16),
        nn.Tanh(),
        nn.Linear(16, 1),
    )


def regression(module: nn.Module, training: Training):
    batches = Batches(len(X), training.batch_size, training.seed)

    def loss(step: int, generator: torch.Generator) -> torch.Tensor:
        rows = batches(step)
        noise = 0.01 * torch.randn(len(rows), 1, generator=generator)
        return (module(X[rows]) - Y[rows] + noise).square().mean()

    return loss


def run(module, loss, training, validation=None, **more):
    """The history of a training by a loss of the step and the generator."""
    objective = Objective(
        lambda step, _: torch.tensor([step]),
        lambda batch, generator: loss(int(batch[0]), generator),
        validation=validation,
    )
    return train(module, objective, training, **more).history


def fitted(training: Training, validation=None, loss=None):
    module = network()
    history = run(module, loss or regression(module, training), training, validation=validation)
    return module, history


def course(history) -> list:
    """What of a history is the same whenever it is repeated."""
    return [history.loss.tolist(), looks(history), history.learning_rate.tolist()]


def looks(history) -> dict[int, float]:
    table = history.table().dropna(subset=["validation"])
    return dict(zip(table["step"], table["validation"], strict=True))


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_learns(optimizer):
    module, history = fitted(Training(steps=400, lr=0.01, optimizer=optimizer, weight_decay=0.01))
    assert (module(X) - Y).square().mean() < 0.02
    assert len(history) == 400
    assert not module.training


def test_equal_settings_give_equal_weights_and_another_seed_others():
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first, _ = fitted(Training(steps=20, seed=1))
    torch.manual_seed(123)
    state_after_network = network() and torch.get_rng_state()
    second, _ = fitted(Training(steps=20, seed=1))
    other, _ = fitted(Training(steps=20, seed=2))
    assert same(first, second)
    assert not same(first, other)
    assert torch.equal(torch.get_rng_state(), state_after_network)  # ours leave torch's alone
    assert not torch.equal(before, state_after_network)


class Stop(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("cut", [30, 37])
def test_a_resumed_run_is_the_uninterrupted_run_to_the_bit(tmp_path, optimizer, cut):
    path = tmp_path / "run.safetensors"
    plan = Training(steps=60, optimizer=optimizer, validate_every=7, seed=3)
    kept = plan.set_params(checkpoint=str(path), checkpoint_every=10, resume=True)

    def cut_run(training, until=None):
        module = network()
        inner = regression(module, training)

        def loss(step, generator):
            if step == until:
                raise Stop
            return inner(step, generator)

        def validation():
            return float((module(X) - Y).square().mean())

        return module, run(module, loss, training, validation=validation)

    whole, history = cut_run(plan)
    with pytest.raises(Stop):
        cut_run(kept, until=cut)
    assert path.exists()
    resumed, again = cut_run(kept)
    assert same(whole, resumed)
    assert course(again) == course(history)
    finished, once_more = cut_run(kept)  # nothing left to do
    assert same(whole, finished)
    assert course(once_more) == course(history)


def test_an_interrupted_run_resumes_to_the_bit(tmp_path):
    plan = Training(steps=40, validate_every=8)
    kept = plan.set_params(checkpoint=str(tmp_path / "c"), resume=True)
    whole, history = fitted(plan)
    module = network()
    inner = regression(module, kept)

    def loss(step, generator):
        if step == 25:
            raise KeyboardInterrupt
        return inner(step, generator)

    with pytest.warns(UserWarning, match="interrupted at step 25 of 40"):
        run(module, loss, kept)
    resumed, again = fitted(kept)
    assert same(whole, resumed)
    assert course(again) == course(history)


def test_it_learns_where_gradients_were_turned_off():
    with torch.no_grad():
        inside, _ = fitted(Training(steps=3))
    assert same(inside, fitted(Training(steps=3))[0])


def test_early_stopping_keeps_the_best_weights():
    losses = iter([3.0, 2.0, 1.0, 1.5, 1.4, 1.2, 0.1])
    seen = []

    def validation():
        seen.append(weights(module))
        return next(losses)

    training = Training(steps=1000, validate_every=5, patience=3)
    module = network()
    history = run(module, regression(module, training), training, validation=validation)
    assert looks(history) == {5: 3.0, 10: 2.0, 15: 1.0, 20: 1.5, 25: 1.4, 30: 1.2}
    assert len(history) == 30
    assert all(torch.equal(a, b) for a, b in zip(weights(module), seen[2], strict=True))


def test_an_interrupt_keeps_the_best_so_far():
    values = iter([1.0, 0.5, 0.8])
    seen = []

    def validation():
        seen.append(weights(module))
        return next(values)

    training = Training(steps=1000, validate_every=4)
    module = network()
    inner = regression(module, training)

    def loss(step, generator):
        if step == 14:
            raise KeyboardInterrupt
        return inner(step, generator)

    with pytest.warns(UserWarning, match=r"interrupted at step 14 of 1000; .* step 8, the best"):
        history = run(module, loss, training, validation=validation)
    assert all(torch.equal(a, b) for a, b in zip(weights(module), seen[1], strict=True))
    assert len(history) == 14


def test_a_signal_during_an_update_waits_for_its_end(monkeypatch, request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    plan = Training(steps=50)
    module = network()
    original = AdamW.step

    def step(self, count, scale):
        if count == 10:
            os.kill(os.getpid(), signal.SIGINT)
        original(self, count, scale)

    loss = regression(module, plan)
    with monkeypatch.context() as patch:
        patch.setattr(AdamW, "step", step)
        with pytest.warns(UserWarning, match="interrupted at step 10 of 50"):
            history = run(module, loss, plan)
    assert len(history) == 10
    expected = network()
    inner = regression(expected, plan)

    def ten(step, generator):
        if step == 10:
            raise KeyboardInterrupt
        return inner(step, generator)

    with pytest.warns(UserWarning, match="interrupted"):
        run(expected, ten, plan)
    assert same(module, expected)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_first_loss_that_is_not_finite_is_an_error(bad):
    module = network()
    before = weights(module)
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step 0, .* lower lr"):
        run(module, lambda step, _: module(X).square().mean() * bad, Training(steps=10))
    assert all(torch.equal(a, b) for a, b in zip(weights(module), before, strict=True))


def spoilt(module: nn.Module, at: int, what: float = float("nan")):
    """A loss that is no number at a step, and a list of the weights before each."""
    seen = []

    def loss(step, generator):
        seen.append(weights(module))
        return module(X).square().mean() * (what if step == at else 1.0)

    return loss, seen


def test_a_loss_that_is_not_finite_ends_the_run_with_the_last_good_weights():
    module = network()
    loss, seen = spoilt(module, at=47)
    told = r"the loss is nan at step 47; the weights of step 40, the last .* A lower lr"
    with pytest.warns(UserWarning, match=told):
        history = run(module, loss, Training(steps=200, lr=0.01, warmup=0.0))
    assert all(torch.equal(a, b) for a, b in zip(weights(module), seen[40], strict=True))
    assert len(history) == 47
    assert not module.training


def test_weights_from_which_the_loss_exploded_are_not_the_good_ones():
    module = network()
    _, seen = spoilt(module, at=0)

    def loss(step, generator):
        seen.append(weights(module))
        value = module(X).square().mean()
        return value * (float("nan") if step == 47 else 1.0) + (1e6 if step > 32 else 0.0)

    with pytest.warns(UserWarning, match=r"the weights of step 30, the last"):
        run(module, loss, Training(steps=200, lr=0.01, warmup=0.0))
    assert all(torch.equal(a, b) for a, b in zip(weights(module), seen[30], strict=True))


def test_a_loss_that_is_not_finite_leaves_the_best_on_the_validation_data():
    module = network()
    values = iter([3.0, 1.0, 2.0, 2.0])
    loss, seen = spoilt(module, at=18)
    training = Training(steps=100, validate_every=5)
    with pytest.warns(UserWarning, match=r"nan at step 18; the weights of step 10, the best on"):
        run(module, loss, training, validation=lambda: next(values))
    assert all(torch.equal(a, b) for a, b in zip(weights(module), seen[10], strict=True))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 7 GiB"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 7 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_a_full_memory_keeps_the_last_weights_and_says_what_helps(error, tmp_path):
    module = network()
    seen = []

    def loss(step, generator):
        seen.append(weights(module))
        if step == 7:
            raise error
        return module(X).square().mean()

    training = Training(steps=20, batch_size=32, checkpoint=str(tmp_path / "c"))
    told = r"ran out of memory at step 7, with batch_size=32 .* of the last step .* Accumulate=2"
    with pytest.warns(UserWarning, match=told.replace("Accumulate", "accumulate")):
        history = run(module, loss, training)
    assert all(torch.equal(a, b) for a, b in zip(weights(module), seen[7], strict=True))
    assert len(history) == 7
    assert (tmp_path / "c").exists()  # a run with more memory may go on from it
    with pytest.raises(
        TrainingError, match=r"ran out of memory at step 0, .*weights worth keeping"
    ):
        run(network(), lambda step, _: (_ for _ in ()).throw(error), Training(steps=20))


def test_memory_that_is_full_in_the_middle_of_an_update_spoils_the_weights(monkeypatch):
    module = network()
    original, seen = AdamW.step, {}

    def step(self, count, scale):
        seen[count] = weights(module)
        original(self, count, scale)
        if count == 33:
            raise MemoryError("half of the weights are new")

    monkeypatch.setattr(AdamW, "step", step)
    plan = Training(steps=200, lr=0.01)
    with pytest.warns(UserWarning, match="out of memory at step 32.* of step 30, the last with"):
        run(module, regression(module, plan), plan)
    assert all(torch.equal(a, b) for a, b in zip(weights(module), seen[31], strict=True))


def test_other_errors_of_a_loss_are_passed_on():
    module = network()
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(module, lambda step, _: exec("raise RuntimeError('shapes do not match')"), Training())


def test_a_gradient_that_is_not_finite_stops_the_run():
    module = nn.Linear(1, 1)

    def loss(step, generator):
        return (module.weight.sum() * 0).sqrt() + module.bias.sum() * 0

    with pytest.raises(TrainingError, match="norm of the gradient is nan at step 0"):
        run(module, loss, Training(steps=10))


def test_a_validation_loss_that_is_not_finite_stops_the_run():
    with pytest.raises(TrainingError, match="validation loss is inf after 5 steps"):
        fitted(Training(steps=10, validate_every=5), validation=lambda: float("inf"))


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = str(tmp_path / "c")
    plan = Training(steps=5, checkpoint=path)
    fitted(plan)
    with pytest.raises(TrainingError, match=r"other settings: lr=None \(now 0.1\)"):
        fitted(plan.set_params(resume=True, lr=0.1))
    module = nn.Linear(1, 1)
    with pytest.raises(TrainingError, match="a model of another shape"):
        run(module, regression(module, plan), plan.set_params(resume=True))
    module = network()
    with pytest.raises(TrainingError, match="other data"):
        run(module, regression(module, plan), plan.set_params(resume=True), fingerprint="x")
    (tmp_path / "c").write_bytes(b"not a checkpoint")
    with pytest.raises(FileFormatError, match="not a model of arproc's"):
        fitted(plan.set_params(resume=True))


def test_without_resume_a_run_begins_anew(tmp_path):
    plan = Training(steps=5, checkpoint=str(tmp_path / "c"))
    first, _ = fitted(plan)
    second, history = fitted(plan)
    assert same(first, second)
    assert len(history) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["c"]  # no temporary file is left


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    plan = Training(steps=5, checkpoint=str(tmp_path / "c"))
    fitted(plan)
    before = (tmp_path / "c").read_bytes()

    def broken(*args):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(StorageError, match=r"c' can not be written: disk full"):
        fitted(plan.set_params(seed=1))
    assert (tmp_path / "c").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_weights_of_an_interrupted_run_are_kept_though_the_disk_is_full(
    tmp_path, monkeypatch, request
):
    plan = Training(steps=20, checkpoint=str(tmp_path / "c"))
    module = network()
    inner = regression(module, plan)

    def loss(step, generator):
        if step == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return inner(step, generator)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    # a shell has its background jobs ignore interrupts, and they are begun so
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with (
        pytest.warns(UserWarning, match=r"of an earlier step: '.*c' can not be written: No space"),
        pytest.warns(UserWarning, match="training was interrupted"),
    ):
        history = run(module, loss, plan)
    assert 7 <= len(history) < 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda run, tensors: run.pop("identity"),
        lambda run, tensors: run.update(identity=[]),
        lambda run, tensors: run["identity"].update(settings=3),
        lambda run, tensors: run.pop("step"),
        lambda run, tensors: run.update(step="5"),
        lambda run, tensors: run.update(step=-1),
        lambda run, tensors: run.update(snapshots=None),
        lambda run, tensors: tensors.pop("history.loss"),
        lambda run, tensors: tensors.update({"history.seconds": torch.ones(3)}),
        lambda run, tensors: tensors.pop("module.0.weight"),
        lambda run, tensors: tensors.pop(next(n for n in tensors if "optimizer" in n)),
        lambda run, tensors: tensors.update({"module.0.weight": torch.ones(3)}),
    ],
)
def test_a_checkpoint_with_other_contents_is_refused(change, tmp_path):
    plan = Training(steps=5, checkpoint=str(tmp_path / "c"))
    fitted(plan)
    header, tensors = read_file(tmp_path / "c")
    change(header["run"], tensors)
    write_file(tmp_path / "c", header, tensors)
    with pytest.raises(FileFormatError, match=r"c' is not a checkpoint of this training"):
        fitted(plan.set_params(resume=True, steps=5))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": 1.5}, "steps must be an integer"),
        ({"lr": 0.0}, "lr must be a number above 0"),
        ({"lr": float("nan")}, "lr must be a number above 0"),
        ({"warmup": 2}, "warmup must be a number at least 0 and at most 1"),
        ({"schedule": "step"}, "schedule must be one of 'cosine'"),
        ({"betas": (0.9, 1.0)}, r"betas must be two numbers in \[0, 1\)"),
        ({"betas": 0.9}, "betas must be two numbers"),
        ({"clip": -1.0}, "clip must be a number above 0"),
        ({"resume": True}, "resume=True needs checkpoint="),
        ({"precision": "float16"}, "precision must be one of"),
    ],
)
def test_wrong_settings_are_refused(setting, message):
    with pytest.raises(ParameterError, match=message):
        Training(**setting)


def test_the_learning_rate_suits_the_optimizer():
    assert Training().peak_lr == 0.003
    assert Training(optimizer="muon").peak_lr == 0.01
    assert Training(optimizer="muon", lr=0.5).peak_lr == 0.5


def test_settings_follow_scikit_learns_protocol():
    from sklearn.base import clone

    plan = Training(steps=7, lr=0.1)
    assert clone(plan, safe=False) == plan
    assert plan.set_params(lr=0.2) == Training(steps=7, lr=0.2)
    with pytest.raises(ParameterError, match="no setting 'rate'"):
        plan.set_params(rate=1)


def test_schedules():
    plan = Training(steps=100, warmup=0.2, final_lr=0.1, schedule="trapezoid")
    assert [plan.scale(s) for s in (0, 9, 19, 40, 70)] == pytest.approx([0.05, 0.5, 1, 1, 0.55])
    assert plan.scale(99) == pytest.approx(0.1, abs=0.02)
    assert Training(steps=10, schedule="constant", warmup=0.0).scale(9) == 1.0


def test_batches_are_epochs_and_depend_on_the_step_alone():
    batches = Batches(7, 3, seed=0)
    rows = torch.cat([batches(step) for step in range(14)])
    assert all(sorted(rows[i : i + 7].tolist()) == list(range(7)) for i in range(0, 42, 7))
    assert torch.equal(Batches(7, 3, seed=0)(11), batches(11))
    assert len(Batches(3, 8, seed=0)(1)) == 8  # a batch may span several epochs
    assert not torch.equal(rows[:7], rows[7:14])


def steps_of(optimizer, params: list[torch.Tensor]) -> list[torch.Tensor]:
    """The parameters after five steps with some gradients."""
    generator = torch.Generator().manual_seed(1)
    for count in range(1, 6):
        for p in params:
            p.grad = torch.randn(p.shape, generator=generator)
        optimizer.step(count, 1.0) if isinstance(optimizer, (AdamW, Muon)) else optimizer.step()
    return [p.detach() for p in params]


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((8, 8), (12, 8), (8, 20), (8, 8))
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def test_adamw_steps_as_torchs_does():
    ours, theirs = parameters(), parameters()
    ours = steps_of(AdamW(ours, 0.1, [0.3] * 4, (0.8, 0.95)), ours)
    optimizer = torch.optim.AdamW(theirs, lr=0.1, weight_decay=0.3, betas=(0.8, 0.95))
    for a, b in zip(ours, steps_of(optimizer, theirs), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_muon_steps_as_torchs_does():
    start, ours, theirs = parameters(), parameters(), parameters()
    ours = steps_of(Muon(ours, 0.1, [0.1] * 4), ours)
    optimizer = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.1, momentum=0.95)
    for a, b, s in zip(ours, steps_of(optimizer, theirs), start, strict=True):
        assert (b - s).norm() > 0.1
        assert (a - b).norm() < 0.02 * (b - s).norm()  # theirs iterates in bfloat16


def test_orthogonalise_brings_singular_values_near_one():
    torch.manual_seed(0)
    for shape in ((3, 6, 6), (2, 4, 9), (2, 9, 4)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_progress_is_quiet_unless_asked(capsys):
    fitted(Training(steps=3))
    assert capsys.readouterr().err == ""
    fitted(Training(steps=3, progress=True))
    assert "3/3" in capsys.readouterr().err


def test_small_data_are_looked_at_once_an_epoch_at_first():
    plan = Training(steps=2000)
    looks = plan.looks(epoch=4)
    assert looks[:10] == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    gaps = np.diff(looks)
    assert gaps.max() == 100  # a twentieth
    assert looks[-1] == 2000
    assert len(looks) < 80
    assert Training(steps=2000, validate_every=300).looks(epoch=4) == [
        *range(300, 2000, 300),
        2000,
    ]


def test_the_best_of_all_looks_is_kept_and_a_first_best_is_told():
    calls = []

    def validation():
        calls.append(weights(module))
        return float(len(calls))  # worse and worse

    training = Training(steps=60)
    module = network()
    with pytest.warns(UserWarning, match="lowest when .* first looked at, after 2 of 60"):
        history = run(
            module, regression(module, training), training, validation=validation, epoch=2
        )
    assert list(looks(history)) == training.looks(epoch=2)
    assert all(torch.equal(a, b) for a, b in zip(weights(module), calls[0], strict=True))


def test_patience_is_counted_in_steps():
    losses = iter([3.0, 2.0, *[2.5] * 100])
    training = Training(steps=200, patience=2)  # twice a twentieth
    module = network()
    history = run(
        module, regression(module, training), training, validation=lambda: next(losses), epoch=2
    )
    assert len(history) == 4 + 20
