"""The options of `arproc sample`: policies, constraints, drafts."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import Run, fitted

import arproc

# texts of a few lines have too few n-grams for the closed-form discounts
pytestmark = pytest.mark.filterwarnings(
    "ignore::arproc.models.ngram.smoothing.discounts.DiscountWarning"
)


def test_a_policy_without_an_end_asks_for_a_length(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("arproc.sampling.ancestral.MOST_UNDER_POLICY", 300)
    arproc.NGram(2, "witten_bell").fit(["a b a b a b a b a b", "a b a b"]).save("n.arproc")
    result = run("sample", "n.arproc", "--top-k", 1)
    assert result.code == 2
    assert "length is needed" in result.err
    assert run("sample", "n.arproc", "--top-k", 1, "--length", 4).out == "a b a b\n"


def test_every_policy_is_an_option(run: Run, text: Path):
    from arproc import sampling

    run("fit", "ppm", text, "--lines", "--order", 2, "--tokens", "char", "--out", "p.arproc")
    model = arproc.load("p.arproc")
    options = (
        "--min-length", 5, "--ban", "d", "--ban", "e", "--no-repeat-ngram", 4,
        "--repetition-penalty", 1.1, "--presence-penalty", 0.1, "--frequency-penalty", 0.05,
        "--temperature", 0.9, "--top-k", 20, "--top-p", 0.99, "--min-p", 0.01, "--typical", 0.95,
    )  # fmt: skip
    policy = (
        sampling.MinLength(5) | sampling.Ban(["d", "e"]) | sampling.NoRepeatNGram(4)
        | sampling.RepetitionPenalty(1.1) | sampling.PresencePenalty(0.1)
        | sampling.FrequencyPenalty(0.05) | sampling.Temperature(0.9) | sampling.TopK(20)
        | sampling.TopP(0.99) | sampling.MinP(0.01) | sampling.Typical(0.95)
    )  # fmt: skip
    drawn = run("sample", "p.arproc", "--length", 30, "--seed", 2, *options)
    want = model.sample(1, 30, policy=policy, seed=2)
    assert drawn.out.strip() == want[0].strip()
    assert "e" not in drawn.out
    cut = run("sample", "p.arproc", "--length", 60, "--seed", 2, "--stop", "a", "--stop", "o")
    assert cut.out.strip() == model.sample(1, 60, stop=["a", "o"], seed=2)[0].strip()


def test_constraints_and_budgets_are_options(run: Run, text: Path, tmp_path: Path):
    from arproc import sampling

    run("fit", "ngram", text, "--lines", "--order", 2, "--tokens", "char", "--out", "n.arproc")
    model = arproc.load("n.arproc")
    kept = sampling.Regex("t[a-z]+")
    masked = run("sample", "n.arproc", "-n", 3, "--regex", "t[a-z]+", "--seed", 1, "--length", 9)
    want = model.sample(3, 9, policy=sampling.Constrain(kept), seed=1)
    assert [line.strip() for line in masked.out.splitlines() if line.strip()] == want
    given = run("sample", "n.arproc", "-n", 3, "--regex", "t[a-z]+", "--seed", 1, "--condition")
    assert [line.strip() for line in given.out.splitlines() if line.strip()] == (
        sampling.constrained(model, kept, 3, seed=1).x
    )
    assert "by backward; log p(constraint) = -" in given.err
    after = run("sample", "n.arproc", "--prefix", "the ", "--regex", "dog", "--seed", 1)
    assert after.out.strip() == "dog"
    pytest.importorskip("llguidance")
    (tmp_path / "kept").write_text('start: "t" "e"*')
    drawn = run("sample", "n.arproc", "--grammar", "kept", "--length", 4, "--seed", 0)
    assert re.fullmatch("te*", drawn.out.strip())
    (tmp_path / "kept").write_text('{"uniqueItems": true}')
    refused = run("sample", "n.arproc", "--json-schema", "kept")
    assert refused.code != 0
    assert "schema has the keyword 'uniqueItems'" in refused.err
    two = run("sample", "n.arproc", "--regex", "a", "--grammar", "kept")
    assert "only one of --regex, --json-schema and --grammar" in two.err
    beside = run("sample", "n.arproc", "--regex", "t", "--condition", "--nats", 2)
    assert "can not stand beside --condition" in beside.err
    short = run("sample", "n.arproc", "--nats", 2, "--seed", 3, "--length", 40).out.strip()
    assert short == model.sample(1, 40, stop=sampling.Budget(nats=2.0), seed=3)[0].strip()


def test_an_interval_of_numbers(run: Run, series: Path):
    model = fitted(run, series)
    result = run("sample", model, "--length", 5, "--seed", 1, "--low", -1e6, "--high", 1e6)
    policy = arproc.sampling.Within(-1e6, 1e6)
    want = arproc.load(model).sample(1, 5, policy=policy, seed=1)
    np.testing.assert_allclose(np.loadtxt(io.StringIO(result.out), delimiter=","), want[0])


@pytest.mark.parametrize("verify", ["token", "block", "coupled"])
def test_a_draft_guesses_ahead(run: Run, text: Path, verify: str):
    run("fit", "ppm", text, "--lines", "--order", 3, "--tokens", "char", "--out", "p.arproc")
    run("fit", "ppm", text, "--lines", "--order", 1, "--tokens", "char", "--out", "d.arproc")
    options = ("--length", 30, "--seed", 2, "--speculative")
    result = run("sample", "p.arproc", *options, "d.arproc", "--verify", verify)
    model, draft = arproc.load("p.arproc"), arproc.load("d.arproc")
    rule = {"coupled": True} if verify == "coupled" else {"verify": verify}
    want = arproc.sampling.speculative(model, draft, 1, 30, seed=2, **rule)
    assert result.out.strip() == want.draws[0].strip()
    assert result.err.startswith("Report(")
    looked = run("sample", "p.arproc", *options, "look-up", "--verify", verify)
    assert looked.code == 0
    assert "look-up" in looked.err


def test_a_model_drafts_for_itself(run: Run):
    model = arproc.Transformer(
        1, 2, 8, block=8, tokens="char", end=False, ahead=1,
        training=arproc.Training(steps=2, batch_size=2),
    ).fit("abcabcabc")  # fmt: skip
    model.save("t.arproc")
    options = ("--length", 12, "--seed", 2, "--speculative", "own-heads")
    result = run("sample", "t.arproc", *options)
    want = arproc.sampling.speculative(model, arproc.sampling.OwnHeads(), 1, 12, seed=2)
    assert result.out.strip() == want.draws[0]
    assert "own heads" in result.err


def test_a_draft_that_can_not_be_is_refused(run: Run, text: Path):
    run("fit", "ppm", text, "--lines", "--order", 1, "--tokens", "char", "--out", "p.arproc")
    options = ("sample", "p.arproc", "--length", 3, "--speculative")
    for more, told in (
        (("none.arproc",), "no model file"),
        (("p.arproc", "--verify", "all"), "verify must be one of"),
        (("p.arproc", "--known", "{}"), "--known can not stand beside"),
    ):
        result = run(*options, *more)
        assert result.code == 2
        assert told in result.err
