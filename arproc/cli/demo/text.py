"""English text: a character 6-gram, a small transformer, and their mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arproc.cli.demo.judging import Drawn, Subject
from arproc.cli.demo.report import Report

if TYPE_CHECKING:
    from arproc.process import Process

__all__ = ["run"]

STEPS, QUICK_STEPS = 600, 10


def run(report: Report, *, quick: bool) -> Subject:
    """Bits per character on held-out passages, and text from each model."""
    import arproc
    from arproc import plot

    train, valid, holdout = arproc.datasets.english()
    test = holdout
    if quick:
        valid, test = valid[:8], holdout[:4]
    size = sum(map(len, train))
    report.heading("English text: 6-gram, transformer, and their mixture")
    report.say(f"{len(train)} passages, {size} characters; {len(test)} passages held out.")
    ngram = arproc.NGram(order=6, tokens="char").fit(train)
    steps = QUICK_STEPS if quick else STEPS
    report.say(f"Training a transformer for {steps} steps ...")
    small = arproc.Transformer(
        layers=3,
        heads=4,
        width=128,
        block=64,
        tokens="char",
        training=arproc.Training(steps=steps, batch_size=16, optimizer="muon"),
    ).fit(train, validation=valid)
    mixture = arproc.Mixture([ngram, small]).fit(valid)
    weights = ", ".join(f"{w:.2f}" for w in mixture.weights_.tolist())
    report.say(f"Mixture's weights (6-gram, transformer), by EM on held-out text: {weights}.")
    models: dict[str, Process] = {"6-gram": ngram, "transformer": small, "mixture": mixture}
    report.compared(
        arproc.compare(models, test),
        f"{len(test)} held-out passages, {sum(map(len, test))} characters (a character is a byte)",
    )
    passage = min(test, key=lambda text: abs(len(text) - 700))
    report.picture(
        plot.surprisal(mixture, passage),
        "text-surprisal.png",
        "what surprises the mixture in a held-out passage",
        "The mixture reads a held-out passage",
    )
    report.write("text-samples.txt", _samples(models), "text drawn from each model")
    report.took()
    fresh = mixture.sample(20 if quick else len(holdout), seed=4)
    drawn = Drawn("passages drawn from the mixture", fresh, train, holdout)
    return Subject("text-report", "English text", models, test, {"train": train}, drawn)


def _samples(models: dict[str, Process]) -> str:
    """Plain ancestral samples, then continuations of one prefix under a policy."""
    from arproc.sampling import Temperature, TopP

    parts = []
    for name, model in models.items():
        draws = model.sample(2, length=400, seed=1, return_log_prob=True)
        for text, log_prob in zip(draws.x, draws.log_prob, strict=True):
            parts.append(_titled(f"{name}: a draw, log-probability {log_prob:.1f} nats", text))
    policy, prefix = Temperature(0.7) | TopP(0.95), "The following example"
    for name, model in models.items():
        draws = model.sample(1, 300, prefix, policy, seed=2, return_log_prob=True)
        title = (
            f"{name}: after {prefix!r} under {policy!r}; log-probability "
            f"{draws.log_prob[0]:.1f} under the model, {draws.policy_log_prob[0]:.1f} under the "
            "policy"
        )
        parts.append(_titled(title, prefix + draws.x[0]))
    return "\n".join(parts)


def _titled(title: str, text: str) -> str:
    return f"=== {title}\n{text}\n"
