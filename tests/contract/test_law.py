"""What every law does, with conditionals or without: fit, score, refuse, say what is missing."""

import numpy as np
import pytest
import torch
from toys import Bits, Chain, Counter, Letters, Linear, Orders, Walk

from arproc import ChainLaw, Model
from arproc.contract.law import observed_terms
from arproc.errors import ArprocError, DataError, NotFittedError, ParameterError, UnsupportedError
from arproc.sampling import TopK


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.log_prob([1.0]),
        lambda m: m.log_prob_terms([1.0]),
        lambda m: m.score([1.0]),
        lambda m: m.conditional(),
        lambda m: m.conditional([1.0]),
        lambda m: m.conditionals([1.0]),
        lambda m: m.sample(1, 2),
        lambda m: m.sample(0, 2),
        lambda m: m.start(),
        lambda m: m.start(3),
        lambda m: m.condition([1.0]),
        lambda m: m.with_policy(TopK(1)).log_prob([1]),
        lambda m: m.distribution(2),
        lambda m: m.forecast([1.0], 2),
        lambda m: m.save("never.arproc"),
        lambda m: m.space,
        lambda m: m.layout,
    ],
)
@pytest.mark.parametrize("model", [Walk(), Bits(), Letters()], ids=repr)
def test_an_unfitted_model_says_so_in_every_call(call, model):
    with pytest.raises(NotFittedError, match=f"{type(model).__name__} is not fitted yet") as error:
        call(model)
    assert isinstance(error.value, (ArprocError, ValueError, AttributeError))
    assert "fit" in str(error.value)


def test_fit_returns_itself_and_takes_no_target():
    model = Walk()
    assert model.fit([1.0, 2.0], None) is model
    with pytest.raises(ParameterError, match="fit takes no y"):
        model.fit([1.0, 2.0], [3.0])
    assert model.score([1.0], None) == model.log_prob([1.0])


def test_fitting_again_forgets_the_last_data():
    model = Chain(3).fit([0, 1, 2])
    model.set_params(symbols=2).fit([0, 1, 0, 1])
    assert model.space.size == 2
    assert model.total_ == 4
    assert model.fit(torch.tensor([0, 1])).sample(1, 1).dtype == torch.int64


def test_score_is_the_mean_over_all_terms_ends_included():
    model = Letters().fit("ab")
    words = ["a", "", "abba"]
    assert model.score(words) == pytest.approx(model.log_prob(words).sum() / (5 + 3))


def test_a_law_without_conditionals_says_why_and_does_the_rest():
    law = Orders().fit([[0.0, 1.0], [2.0, 1.0]])
    assert isinstance(law, Model)
    assert law.log_prob([0.3, 0.1]) == pytest.approx(law.log_prob([0.1, 0.3]))
    assert law.log_prob([[0.3, 0.1]]).shape == (1,)
    assert law.sample(4, seed=0).shape == (4, 2)
    assert law.score([[0.3, 0.1]]) == pytest.approx(law.log_prob([0.3, 0.1]) / 2)
    for call in ("conditional", "conditionals", "condition"):
        with pytest.raises(
            UnsupportedError, match=f"Orders has no {call}: it is a mixture over two orders"
        ):
            getattr(law, call)([0.3])
    x = torch.tensor([0.3, 0.1], requires_grad=True)
    law.log_prob(x).backward()
    assert bool((x.grad != 0).all())


def test_validation_data_are_read_in_the_same_space():
    with pytest.raises(DataError, match="validation does not fit the model's space"):
        Chain(2).fit([0, 1], validation=[0, 5])
    assert Chain(2).fit([0, 1], validation=[1, 1]).total_ == 2


def test_data_given_as_sequences_are_checked_against_the_models_space():
    two, three = Chain(2).fit([0]), Chain(3).fit([0])
    with pytest.raises(DataError, match=r"categorical with 3 symbols .* model's are .* with 2"):
        two.log_prob(three.sequences([0, 1]))
    np.testing.assert_allclose(two.log_prob(two.sequences([0, 1])), two.log_prob([0, 1]))


def test_a_law_that_names_no_order_has_none():
    law = Bits().fit([[0, 1, 0, 1]]).law_
    unordered = ChainLaw.window_length.fget
    with pytest.raises(UnsupportedError, match="has no finite order"):
        unordered(law)


@pytest.mark.parametrize(
    ("process", "known"), [(Walk(), True), (Counter(), True), (Linear(), False), (Bits(), True)]
)
def test_one_step_ahead_the_prediction_is_the_conditional(process, known):
    """For scalars whose kind has quantiles; further on, and for vectors, there is none."""
    law = process.fit({"Linear": [[1.0, 2.0]], "Bits": [[0, 1, 0, 1]]}.get(
        type(process).__name__, [1.0])).law_  # fmt: skip
    state = law.fresh(3, None)
    found = law.predictive(state, 1)
    assert law.predictive(state, 2) is None
    if not known:
        assert found is None
        return
    assert found.batch_shape == (3, 1)
    x = torch.zeros(3, 1, dtype=torch.float64)
    torch.testing.assert_close(found.log_prob(x)[:, 0], state.conditional.log_prob(x[:, 0]))


def test_a_kind_without_quantiles_is_forecast_by_draws():
    class Drawn(Walk):
        def window(self, ctx, position):
            mean = ctx[:, :, -1]
            return Uncounted(mean)

    class Uncounted(torch.distributions.Distribution):
        arg_constraints = {"mean_": torch.distributions.constraints.real}

        def __init__(self, mean_, validate_args=False):
            self.mean_ = mean_
            super().__init__(mean_.shape, validate_args=False)

    law = Drawn().fit([1.0]).law_
    assert law.predictive(law.fresh(2, None), 1) is None


def test_what_was_not_observed_has_log_probability_zero():
    """In the derived terms: a whole element; of one seen in part there is no such thing."""
    gone = torch.tensor([[False, True, False], [True, False, False]])
    x = torch.randn(2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scale = torch.ones(2, 3, 2, dtype=torch.float64)
    scalars = torch.distributions.Normal(0 * scale[..., 0], scale[..., 0], validate_args=False)
    vectors = torch.distributions.Independent(
        torch.distributions.Normal(0 * scale, scale, validate_args=False), 1
    )
    for law, values in ((scalars, x[..., 0]), (vectors, x)):
        want = law.log_prob(values).masked_fill(gone, 0.0)
        holes = values.clone()
        holes[gone] = torch.nan
        terms = observed_terms(law, holes, missing=True)
        assert terms.dtype == torch.float64
        assert torch.equal(terms, want)
        assert bool(observed_terms(law, holes, missing=False)[gone].isnan().all())
    x[0, 0, 1] = torch.nan
    with pytest.raises(UnsupportedError, match="observed in part"):
        observed_terms(vectors, x, missing=True)
