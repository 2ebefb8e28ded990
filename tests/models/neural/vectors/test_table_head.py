"""The head of tables: what enters and leaves the network, by columns of unequal width."""

import numpy as np
import pytest
import torch

from arproc.data.tables import Column
from arproc.distributions import from_uniform, present
from arproc.models.neural.vectors.heads import MixtureHead
from arproc.models.neural.vectors.table_head import TableHead
from arproc.spaces import Categorical, Count, Integer, Real

COLUMNS = (
    Column("r", Real(), missing=True),
    Column("k", Categorical(3)),
    Column("c", Count(), missing=True),
    Column("one", Categorical(1), missing=True),
    Column("i", Integer()),
    Column("s", Real()),
)


def rows(n: int = 30) -> torch.Tensor:
    rng = np.random.default_rng(0)
    x = np.stack(
        [rng.normal(5, 2, n), rng.integers(0, 3, n), rng.poisson(4, n), np.zeros(n),
         rng.integers(-9, 9, n), rng.normal(-1, 0.1, n)], axis=1
    )  # fmt: skip
    for j in (0, 2, 3):
        x[rng.random(n) < 0.3, j] = np.nan
    return torch.from_numpy(x)


def head_of(kind: str = "normal", components: int = 2) -> TableHead:
    reals = MixtureHead(len(COLUMNS), kind, components if kind == "normal" else 1)
    head = TableHead(COLUMNS, reals, components)
    head.learn(rows())
    return head


def raw(head: TableHead, *batch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*batch, sum(head.widths(len(COLUMNS))[1]), generator=generator)


def test_a_column_has_as_many_inputs_and_outputs_as_it_needs():
    inputs, outputs = head_of().widths(len(COLUMNS))
    assert inputs == [2, 3, 2, 2, 1, 1]
    assert outputs == [1 + 6, 3, 1 + 6, 1 + 1, 6, 6]
    assert head_of().biases(len(COLUMNS)).shape == (sum(outputs),)
    assert head_of("student_t").widths(len(COLUMNS))[1] == [1 + 4, 3, 1 + 6, 1 + 1, 6, 4]


def test_numbers_enter_standardised_categories_one_by_one_and_missing_by_a_flag():
    head, x = head_of(), rows()
    entered = head.encode(x)
    assert entered.shape == (30, 11)
    assert not bool(torch.isnan(entered).any())
    gone = torch.isnan(x)
    for flag, column in ((0, 0), (5, 2), (7, 3)):
        assert entered[:, flag].bool().tolist() == gone[:, column].tolist()
    for value, column in ((1, 0), (6, 2), (9, 4), (10, 5)):
        there = entered[~gone[:, column], value].double()
        assert float(there.mean()) == pytest.approx(0, abs=1e-6)
        assert float(there.std(correction=0)) == pytest.approx(1, abs=1e-6)
        assert not bool(entered[gone[:, column], value].any())
    assert entered[:, 2:5].argmax(1).tolist() == x[:, 1].tolist()
    assert entered[:, 2:5].sum(1).tolist() == [1] * 30
    assert bool((entered[:, 7] + entered[:, 8] == 1).all())


@pytest.mark.parametrize("kind", ["normal", "logistic", "student_t"])
def test_one_site_at_a_time_is_all_at_once(kind):
    head, x = head_of(kind), rows()
    inputs, outputs = head.widths(len(COLUMNS))
    entered, flat = head.encode(x), raw(head, 30)
    whole = head.finish(head.split(flat))
    a = b = 0
    for site in range(len(COLUMNS)):
        one = head.encode(x[:, site : site + 1], site)
        torch.testing.assert_close(one, entered[:, a : a + inputs[site]])
        part = head.finish(head.split(flat[:, b : b + outputs[site]], site), site)
        torch.testing.assert_close(head.padded(part), whole[:, site])
        u = torch.rand(30, dtype=torch.float64)
        drawn = head.draw(flat[:, b : b + outputs[site]], site, u)
        law = head.distribution(whole[:, site])
        torch.testing.assert_close(drawn, from_uniform(law, u).double(), equal_nan=True)
        there = head.draw(flat[:, b : b + outputs[site]], site, u, given_present=True)
        torch.testing.assert_close(there, from_uniform(present(law), u).double())
        a, b = a + inputs[site], b + outputs[site]


@pytest.mark.parametrize("kind", ["normal", "logistic", "student_t"])
def test_the_loss_is_the_distributions_log_prob(kind):
    head, x = head_of(kind), rows()
    flat = raw(head, 30).requires_grad_()
    parameters = head.finish(head.split(flat))
    fast, slow = head.terms(flat, x), head.distribution(parameters).log_prob(x)
    torch.testing.assert_close(fast, slow)
    slopes = [torch.autograd.grad(v.sum(), flat, retain_graph=True)[0] for v in (fast, slow)]
    assert bool(torch.isfinite(slopes[0]).all())
    torch.testing.assert_close(*slopes)


def test_learning_begins_at_the_datas_frequencies():
    head, x = head_of(), rows()
    law = head.distribution(head.finish(head.split(0 * raw(head, 1))))
    gone = torch.isnan(x)
    want = torch.where(torch.tensor([c.missing for c in COLUMNS]), (gone.sum(0) + 0.5) / 31, 0.0)
    torch.testing.assert_close(law.missing[0], want.double())
    shares = [float((x[:, 1] == k).sum() + 0.5) / 31.5 for k in range(3)]
    k = torch.arange(3.0)[:, None, None].expand(3, 1, 6)
    np.testing.assert_allclose(law.log_prob(k).exp()[:, 0, 1], shares)


def test_rubbish_behind_the_ends_of_rows_enters_somehow():
    entered = head_of().encode(torch.full((2, 6), -1e6, dtype=torch.float64))
    assert bool(torch.isfinite(entered).all())
