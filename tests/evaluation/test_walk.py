"""Going through conditionals in blocks: of any size, the terms are those of the likelihood."""

import pytest
import torch
from evaluation.toys import Chain, CorrelatedPairs, GaussianAR, Steps

from arproc.evaluation import walk

CHAIN = Chain([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.1, 0.1, 0.8]], end=True)
ROWS = [[0.3, -1.0, 0.2, 2.0, 0.1], [0.5], [1.0, 0.0, -0.7]]
CASES = {
    "numbers": (GaussianAR(0.6), ROWS, None),
    "after a given value": (GaussianAR(0.6, given=1), ROWS, None),
    "symbols with an end": (CHAIN, [[0, 1, 1, 0, 0], [], [1]], None),
    "vectors": (CorrelatedPairs(), [[[0.1, 0.2], [1.0, -1.0], [0.0, 0.3]], [[0.5, 0.5]]], None),
    "a context by steps": (Steps(0.5), ROWS, torch.arange(15.0).reshape(3, 5, 1).double()),
}


def own(block: walk.Block) -> torch.Tensor:
    return block.conditionals.log_prob(block.x)


def place(block: walk.Block) -> torch.Tensor:
    """Which row a term is of, and where it stands from the start."""
    at = block.positions[:, None] + torch.arange(block.x.shape[1])
    return torch.stack([block.rows[:, None].expand_as(at), at], dim=-1)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("numbers", [1, 2, 3, 7, 20, 10**6])
def test_blocks_of_every_size_give_the_terms_in_their_order(name, numbers, monkeypatch):
    model, data, context = CASES[name]
    sequences = model.sequences(data)
    monkeypatch.setattr(walk, "_BLOCK_NUMBERS", numbers)
    terms = walk.per_term(model, sequences, context, own)
    want = model.law_.log_prob_terms(sequences, context)
    assert terms.dtype == torch.float64
    torch.testing.assert_close(terms, want, rtol=0, atol=1e-14)
    given, ends = model.n_given, sequences.n_terms
    places = walk.per_term(model, sequences, context, place).long().tolist()
    assert places == [[i, t] for i in range(len(ends)) for t in range(given, int(ends[i]))]


@pytest.mark.parametrize("numbers", [1, 6, 11, 64])
def test_no_block_is_larger_than_allowed(numbers, monkeypatch):
    """Of as many conditionals, each of so many numbers; one at least."""
    seen = []
    monkeypatch.setattr(walk, "_BLOCK_NUMBERS", numbers)

    def note(block):
        seen.append(block.x.shape[0] * block.x.shape[1] * 3)
        return own(block)

    sequences = CHAIN.sequences([[0, 1] * 8, [1] * 16, [0] * 16])
    walk.per_term(CHAIN, sequences, None, note)
    assert max(seen) <= max(numbers, 3)
    assert sum(seen) == 3 * 3 * 17  # nothing is walked over twice
