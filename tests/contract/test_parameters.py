"""scikit-learn's protocol, tested with scikit-learn itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError as SklearnNotFitted
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import check_is_fitted

import arproc
from arproc.contract.parameters import Parameters
from arproc.errors import ParameterError
from arproc.sampling import Temperature, TopK
from arproc.transforms import Log, Transformed

MODELS = [
    arproc.AR(3, trend="n", method="ols", initial="given"),
    arproc.NGram(4, tokens="char", smoothing="additive", alpha=0.5),
    arproc.MADE(hidden=(8,), training=arproc.Training(steps=3)),
    arproc.Transformer(layers=1, heads=1, width=8, tokens="byte"),
    Transformed(arproc.AR(2), Log()),
    Temperature(0.5) | TopK(3),
]


def simulated(n: int = 400) -> np.ndarray:
    x = arproc.AR.from_parameters([1.2, -0.6], mean=3.0, sigma2=1.0)
    return x.sample(1, length=n, seed=3)[0]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_the_constructor_only_stores(model: arproc.Model) -> None:
    params = model.get_params(deep=False)
    again = type(model)(**params)
    assert all(again.get_params(deep=False)[name] is value for name, value in params.items())


@pytest.mark.parametrize("model", MODELS[:5], ids=lambda m: type(m).__name__)
def test_scikit_learn_clones(model: arproc.Model) -> None:
    copy = clone(model)
    assert repr(copy) == repr(model)
    assert copy is not model
    with pytest.raises(SklearnNotFitted):
        check_is_fitted(copy)


def test_repr_shows_what_differs_from_the_defaults() -> None:
    assert repr(arproc.AR(2)) == "AR(2)"
    assert repr(arproc.AR(2, trend="n")) == "AR(2, trend='n')"
    assert repr(Temperature(0.5) | TopK(3)) == "Temperature(0.5) | TopK(3)"


def test_set_params_reaches_nested_models() -> None:
    model = Transformed(arproc.AR(2), Log())
    assert model.set_params(process__order=5).process.order == 5
    assert model.get_params()["process__order"] == 5
    with pytest.raises(ParameterError, match="no parameter 'orderr'"):
        arproc.AR(1).set_params(orderr=2)


def test_grid_search_chooses_the_order() -> None:
    search = GridSearchCV(
        arproc.AR(1), {"order": [0, 1, 2, 3]}, cv=TimeSeriesSplit(4), error_score="raise"
    ).fit(simulated())
    assert search.best_params_["order"] in (2, 3)
    assert search.cv_results_["mean_test_score"][2] > search.cv_results_["mean_test_score"][1]
    assert search.best_estimator_.coef_[:2] == pytest.approx([1.2, -0.6], abs=0.15)


def test_grid_search_reaches_inside_a_wrapper() -> None:
    search = GridSearchCV(
        Transformed(arproc.AR(1), Log()), {"process__order": [0, 2]}, cv=TimeSeriesSplit(3)
    ).fit(np.exp(simulated()))
    assert search.best_params_ == {"process__order": 2}


def test_cross_val_score_is_the_mean_log_probability() -> None:
    series = simulated(100)
    scores = cross_val_score(arproc.AR(1), series, cv=TimeSeriesSplit(2))
    first, second = list(TimeSeriesSplit(2).split(series))
    for score, (train, test) in zip(scores, (first, second), strict=True):
        model = arproc.AR(1).fit(series[train])
        assert score == pytest.approx(model.log_prob(series[test]) / len(test), rel=1e-12)


def test_a_pipeline_of_columns() -> None:
    frame = pd.DataFrame({"x": simulated(200)})
    steps = [("scale", StandardScaler().set_output(transform="pandas")), ("ar", arproc.AR(2))]
    pipeline = Pipeline(steps).fit(frame)
    scaled = (frame - frame.mean()) / frame.std(ddof=0)
    assert pipeline.score(frame) == pytest.approx(arproc.AR(2).fit(scaled).score(scaled), rel=1e-9)


def test_a_pipeline_of_series_searched_over() -> None:
    pipeline = Pipeline([("log", FunctionTransformer(np.log)), ("ar", arproc.AR(1))])
    search = GridSearchCV(pipeline, {"ar__order": [0, 2]}, cv=TimeSeriesSplit(3))
    assert search.fit(np.exp(simulated())).best_params_ == {"ar__order": 2}


def test_a_y_is_refused() -> None:
    with pytest.raises(ParameterError, match="no y"):
        arproc.AR(1).fit(simulated(20), simulated(20))  # type: ignore[arg-type]


def test_a_nested_parameter_reaches_the_value_that_is_set_with_it() -> None:
    model = Transformed(arproc.AR(2), Log())
    model.set_params(process__order=5, process=arproc.AR(1, trend="n"))
    assert repr(model.process) == "AR(5, trend='n')"
    with pytest.raises(ParameterError, match="transform is None, which has no parameters"):
        model.set_params(transform=None, transform__lag=1)


def test_a_clone_of_a_mixture_keeps_its_fitted_parts_and_forgets_its_weights() -> None:
    series = simulated(200)
    mixture = arproc.Mixture([arproc.AR(p).fit(series[:100]) for p in (0, 2)]).fit(series[100:])
    copy = clone(mixture)
    assert copy is not mixture
    assert not copy.__sklearn_is_fitted__()
    assert copy.fit(series[100:]).log_prob(series) == pytest.approx(mixture.log_prob(series))


def test_clones_share_no_learnt_value_and_no_nested_model() -> None:
    model = Transformed(arproc.AR(1), Log()).fit(np.exp(simulated(50)))
    for copy in (clone(model), model.clone()):
        assert copy.process is not model.process
        assert "process_" not in vars(copy)
    wrapped = arproc.AR(1).fit(simulated(50)).condition([1.0])
    assert wrapped.clone().get_params(deep=False).keys() == wrapped.get_params(deep=False).keys()


def test_parameters_of_classes_without_a_constructor() -> None:
    class Plain(Parameters):
        pass

    assert Plain().get_params() == {}
    assert repr(Plain()) == "Plain()"
    with pytest.raises(ParameterError, match="Plain has no parameter 'x'"):
        Plain().set_params(x=1)
