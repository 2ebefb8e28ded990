"""Files read in a fresh interpreter, which has nothing but the file and the classes."""

from __future__ import annotations

import pytest
import torch

from arproc.distributions import Categorical
from arproc.testing import CheckFailed, check_process

from .healthy_states import Twins
from .healthy_windows import Chain

WEIGHTS: dict[int, torch.Tensor] = {}


class Elsewhere(Chain):
    """What is learnt is kept in the module; the file has its number alone."""

    def _learn(self, g):
        super()._learn(g)
        WEIGHTS[self.seed] = self.scores_
        self.scores_ = torch.zeros(1)
        self.number_ = self.seed

    def window(self, ctx, position):
        return Categorical(WEIGHTS[self.number_][ctx[..., 0], ctx[..., 1]])


def test_what_is_kept_in_a_module_passes_in_the_same_interpreter():
    assert check_process(Elsewhere.made(), only=["save_and_load"]).passed == ["save_and_load"]


@pytest.mark.slow
def test_what_is_kept_in_a_module_is_missed_in_a_fresh_interpreter():
    with pytest.raises(CheckFailed, match="fresh interpreter"):
        check_process(Elsewhere.made(), only=["save_and_load"], thorough=True)


@pytest.mark.slow
@pytest.mark.parametrize("make", [Chain.made, Twins.made])
def test_healthy_processes_are_the_same_in_a_fresh_interpreter(make):
    report = check_process(make(), only=["save_and_load"], thorough=True)
    assert "the same in a fresh interpreter" in report.results[0].detail


def test_a_class_of_the_moment_can_not_be_read_elsewhere():
    class Here(Chain):
        pass

    report = check_process(Here.made(), only=["save_and_load"])
    assert not report.failed
