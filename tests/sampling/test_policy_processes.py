"""A process under any policy is a process: over families at once."""

import functools
import warnings

import numpy as np
import pytest

import arproc
from arproc import sampling
from arproc.testing import check_process

QUICK = arproc.Training(steps=2, batch_size=4)
TEXT = ["abcab", "bca", "cabbac", "acb"] * 2
#: What a policy can break: the law, its states, and its draws.
CHECKS = (
    "normalisation",
    "terms_sum",
    "parallel_equals_incremental",
    "ragged_extend",
    "select",
    "truncate",
    "draw_probability",
    "seeds",
)
CALM = ("MinP", "Typical", "RepetitionPenalty", "PresencePenalty", "FrequencyPenalty", "Bias",
        "Guidance", "Contrast")  # fmt: skip


@functools.cache
def process(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "AR":
            return arproc.AR.from_parameters([0.6, -0.2])
        if name == "PPM":
            return arproc.PPM(order=2, tokens="char").fit(TEXT)
        if name == "Transformer":
            return arproc.Transformer(
                tokens="char", layers=1, heads=1, width=4, block=8, training=QUICK
            ).fit(TEXT)
        if name == "Mixture":
            return arproc.Mixture([process("PPM"), process("Transformer")]).fit(TEXT)
        bits = (np.random.default_rng(0).random((30, 5)) > 0.4).astype(int)
        return arproc.MADE(hidden=(6,), training=QUICK).fit(bits)


def policy(name, family):
    own = process(family)
    made = {
        "MinP": lambda: sampling.MinP(0.3),
        "Typical": lambda: sampling.Typical(0.8),
        "RepetitionPenalty": lambda: sampling.RepetitionPenalty(1.5),
        "PresencePenalty": lambda: sampling.PresencePenalty(0.5),
        "FrequencyPenalty": lambda: sampling.Temperature(1.2) | sampling.FrequencyPenalty(0.2),
        "Bias": lambda: sampling.Bias({0: 0.7}),
        "Guidance": lambda: sampling.Guidance(own.with_policy(sampling.Temperature(2.0)), 1.6),
        "Contrast": lambda: sampling.Contrast(own.with_policy(sampling.Temperature(3.0)), 0.5),
    }
    return made[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", CALM)
@pytest.mark.parametrize("family", ["PPM", "Transformer", "Mixture", "MADE"])
def test_policies_of_symbols_keep_the_contract(family, name):
    under = process(family).with_policy(policy(name, family))
    check_process(under, only=CHECKS, length=24)


@pytest.mark.parametrize("family", ["PPM", "Transformer", "Mixture", "MADE"])
@pytest.mark.parametrize("name", CALM)
def test_both_probabilities_of_draws_are_exact(family, name):
    own, chosen = process(family), policy(name, family)
    draws = own.sample(4, 5, policy=chosen, seed=0, return_log_prob=True)
    assert np.isfinite(draws.policy_cost).all()
    under, whole = own.with_policy(chosen), own.sequences(draws.x, complete=False)
    if family != "MADE":
        whole.complete[:] = torch_bool(draws.complete)
    np.testing.assert_allclose(draws.policy_log_prob, under.log_prob(whole), rtol=1e-5)
    np.testing.assert_allclose(draws.log_prob, own.log_prob(whole), rtol=1e-5)


def torch_bool(values):
    import torch

    return torch.as_tensor(np.asarray(values))


@pytest.mark.parametrize(
    "chosen",
    [sampling.Temperature(1.7), sampling.Within(-1.0, 2.0)],
    ids=repr,
)
def test_policies_of_densities_keep_the_contract(chosen):
    check_process(process("AR").with_policy(chosen), only=CHECKS, length=24)


OTHERS = {"AR": arproc.AR.from_parameters([0.2], sigma2=2.0),
          "CountAR": arproc.CountAR.from_parameters(1.0, [0.5])}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "chosen"),
    [
        ("AR", sampling.Guidance(OTHERS["AR"], 1.5)),
        ("CountAR", sampling.Temperature(1.7)),
        ("CountAR", sampling.Within(1, 6) | sampling.Temperature(0.5)),
        ("CountAR", sampling.Guidance(OTHERS["CountAR"], 1.5)),
    ],
    ids=repr,
)
def test_policies_of_numbers_keep_the_contract(family, chosen):
    models = {"AR": process("AR"), "CountAR": arproc.CountAR.from_parameters(2.0, [0.3])}
    check_process(models[family].with_policy(chosen), only=CHECKS, length=24)


def test_the_cost_of_a_policy_estimates_the_divergence():
    """Of one normal law from another, whose divergence is known."""
    own = arproc.AR.from_parameters([0.0])
    draws = own.sample(4000, 1, policy=sampling.Temperature(0.5), seed=0, return_log_prob=True)
    want = 0.5 * (0.5 - 1 - np.log(0.5))
    error = draws.policy_cost.std() / len(draws.policy_cost) ** 0.5
    assert abs(draws.policy_cost.mean() - want) < 5 * error
