"""Every model of the package, and every wrapper, keeps the contract.

A new model adds its line to `tests/variants` and is proved.
"""

from __future__ import annotations

import pytest
from variants import MODELS

from arproc.testing import EXCEPTIONS, check_process

#: Variants whose parts others show, each in its class: they are tried among the slow tests.
LATER = {
    "WaveNet",
    "NGram under a policy", "AR(2) of logarithms with gaps", "MADE of all orders",
    "Markov-switching AR(1)", "PixelCNN++ of zeros and ones, three resolutions", "PixelSNAIL",
    "PPM of lines, frozen", "AR(1) by least squares", "AR(2) from a law of its own",
    "AR-GJR with innovations of a mixture, about a line", "RNADE, mixture of normals",
    "VAR about a regression, of data with gaps", "MADE of a table with gaps",
    "seasonal ARIMA", "Mixture of families", "ARIMA of data with gaps",
    "ARIMA with seasons and waves",
    "AR with Student-t innovations", "AR(2) fitted with gaps", "AR about a regression",
    "AR(2) with data", "AR(2) without a mean, given", "AR with seasons and no constant, given",
    "AR of lags 1 and 4", "AR about a parabola", "AR about a regression, given",
    "VAR(2) with a line", "VAR(2), shrunk", "VAR after a prefix", "ARMA(1, 1)",
    "integrated ARIMA with regressors", "AR with Laplace innovations",
    "AR-GARCH with Student-t innovations", "NGram of bytes", "NGram, Kneser-Ney",
    "NGram, absolute discounting", "NGram, Jelinek-Mercer by deletion", "NGram, cut off",
    "ContextTree that has seen nothing", "PPM, method C", "Cache, decaying in a window",
    "InfiniGram of characters", "MADE of pictures", "MADE, residual, with direct connections",
    "MADE of classes", "MADE, mixture of logistics", "MADE of a table, tried with rows of it",
    "MADE of a table of one kind, with gaps", "MADE of a table of categories",
    "MADE of a table, of classes", "MADE of three orders, in another", "kernel density of levels",
    "NADE of classes", "NADE of all orders, of labels", "RNADE, normal",
    "RNADE, mixture of logistics", "RNADE, Student's t", "NADE of all orders, in another",
    "PixelCNN of grey levels", "PixelCNN of ordered grey levels", "PixelCNN of ordered colours",
    "PixelCNN of classes", "PixelCNN after a prefix", "PixelCNN under a policy",
    "PixelCNN of every order", "PixelCNN of every order, of ordered colours given vectors",
    "PixelCNN++", "PixelCNN++ of classes", "PixelCNN++ of colours",
    "PixelSNAIL of colours", "PixelSNAIL of classes", "Transformer of characters",
    "Transformer of published weights, learned positions",
    "Transformer with heads for later symbols",
    "Transformer with linear biases of attention",
    "Transformer of every order", "Transformer of every order, of texts in another",
    "Transformer of every order, of images given vectors",
    "Transformer of images", "Transformer of texts of a vector", "Transformer after a prefix",
    "VAR about a regression, given", "VAR driven by regressors", "VAR(2) of data with gaps",
    "Markov-switching normals, of data with gaps",
    "Bayesian AR, orders averaged", "Markov-switching intercepts", "Markov-switching variance",
    "SETAR of three regimes about lines", "CountAR, log-linear", "CountAR, given",
    "LogisticAR, given", "AR of seasonal differences", "AR of standardised values",
    "AR of roots, cut", "AR of reciprocals, cut", "AR of differences of Box-Cox values",
    "AR under a fitted Box-Cox transform", "Mixture of transformed", "NGram after a prefix",
    "MADE after a prefix", "AR of logarithms of counts and one", "AR with seasons",
    "AR of lags 2 and 5, exact", "AR of many lags, shrunk", "AR(3) with a line, by Yule-Walker",
    "VAR(1) from a law of its own", "VAR(0)", "AR-ARCH", "NGram, additive",
    "NGram, back-off Kneser-Ney", "NGram, Katz", "NGram, Jelinek-Mercer", "NGram, pruned",
    "ContextTree, frozen", "InfiniGram of numbers, by validation",
    "MADE, two layers, categorical", "MADE without hidden units", "MADE of labels",
    "MADE, normal", "MADE, Student's t", "MADE of an array of mixed columns", "NADE of labels",
    "PixelCNN given vectors", "PixelCNN of colours", "Transformer of colours",
    "Markov-switching AR(2) about lines", "CountAR, negative binomial", "AR of differences",
    "ARIMA of logarithms", "AR at a temperature",
    "BayesianAR of Box-Cox values", "Bayesian AR of a few values", "Mixture of tables",
    "AR driven by regressors", "MADE of a table", "MADE of a table after its first columns",
    "Transformer of classes", "Transformer under a policy",
    "AR of seasonal differences of differences of logarithms", "VAR with unit roots",
    "VAR(1) by least squares, given", "AR with innovations of a mixture",
    "GJR with Laplace innovations", "CountAR with regressors", "NGram, Witten-Bell",
    "NGram, maximum likelihood", "NGram of numbers", "ContextTree of lines",
    "Cache of documents, decaying", "MADE of ordered levels", "MADE, mixture of normals",
    "NADE of ordered levels", "RNADE of all orders", "MADE, residual, categorical, direct",
    "kernel density of reals", "Mixture of AR", "Mixture of n-grams", "AR with Fourier terms",
    "AR with a unit root", "AR(0)", "ARIMA about a regression", "Transformer of published weights",
    "LogisticAR of characters", "Transformer whose sequences end",
    "WaveNet, mixture of logistics", "WaveNet of classes", "WaveNet given features",
    "AR as codes", "AR-GARCH with Student-t innovations, as codes", "NGram of parts",
    "RNN of lines", "RNN of classes", "RNN of reals", "RNN of reals on their own scales",
    "RNN of reals with covariates and scales", "RNN of reals, vectors and scales",
    "RNN of counts", "RNN of counts on their own scales", "RNN of frames",
    "RNN of frames by a MADE", "RNN of frames by a deep NADE",
    "RNN of frames of independent notes", "RNN after a prefix", "PianoRoll with a clock",
    "NeuralAR of lines", "NeuralAR of reals with covariates and scales",
    "NeuralAR of counts on their own scales", "NeuralAR of frames",
    "Transformer of reals",
    "Transformer of reals on their own scales", "Transformer of frames",
    "Transformer of counts with covariates and scales", "Transformer of symbols with covariates",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::arproc.models.ngram.smoothing.discounts.DiscountWarning")
@pytest.mark.filterwarnings("ignore:the standard errors of")  # of more orders than the data need
@pytest.mark.parametrize(
    "name", [pytest.param(k, marks=[pytest.mark.slow] * (k in LATER)) for k in MODELS]
)
def test_the_model_keeps_the_contract(name):
    make, given = MODELS[name]
    report = check_process(make(), **given)
    assert not report.failed
    assert {result.outcome for result in report.results} <= {"passed", "not applicable"}


#: Kinds of which every variant takes twenty seconds and more: they are all among the slow tests.
DEAR = {"Markov-switching", "PixelCNN++", "PixelSNAIL", "WaveNet"}


def test_of_every_kind_of_model_one_is_tried_with_every_test():
    assert set(MODELS) > LATER
    alike = {
        "ARMA": "ARIMA", "integrated": "ARIMA", "AR-ARCH": "AR-GARCH", "GJR": "AR-GARCH",
        "BayesianAR": "Bayesian", "AR-GJR": "AR-GARCH", "RNADE": "NADE", "seasonal": "ARIMA",
    }  # fmt: skip
    kinds = {name: name.partition(" ")[0].partition("(")[0].rstrip(",") for name in MODELS}
    kinds = {name: alike.get(kind, kind) for name, kind in kinds.items()}
    later = {kinds[name] for name in LATER} - DEAR
    assert later <= {kinds[name] for name in MODELS if name not in LATER}


def test_what_is_skipped_or_loosened_stands_here():
    """Every exception for a class of the package; each line is a promise not kept."""
    assert EXCEPTIONS == {}


#: One of each family: what is drawn at random, drawn more often and larger.
THOROUGH = (
    "AR(2)", "AR about a regression", "Bayesian AR(2)", "VAR(2)", "ARIMA of data with gaps",
    "AR-GARCH with Student-t innovations", "NGram of characters", "NGram of words",
    "PPM of lines, frozen", "Cache of documents, decaying", "InfiniGram of words", "MADE",
    "MADE of a table with gaps", "NADE of mixed levels", "kernel density", "PixelCNN of colours",
    "PixelCNN++", "PixelSNAIL", "Transformer whose sequences end", "Transformer of classes",
    "WaveNet given features", "RNN of reals with covariates and scales", "RNN of frames",
    "Mixture of families",
    "Markov-switching AR(1)", "SETAR", "BetaAR", "CountAR", "LogisticAR",
    "AR(2) of logarithms with gaps", "NGram under a policy", "AR after a prefix",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::arproc.models.ngram.smoothing.discounts.DiscountWarning")
@pytest.mark.filterwarnings("ignore:the standard errors of")  # of more orders than the data need
@pytest.mark.parametrize("name", THOROUGH)
def test_the_model_keeps_the_contract_at_more_sizes(name):
    make, given = MODELS[name]
    assert not check_process(make(), thorough=True, **given).failed
