"""scikit-learn's own checks of estimators, and data frames out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import clone, config_context
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.shared.auxiliary import Continuous, Fourier, History, Labels, Mixed, TimeSegments
from identiflow.shared.estimators.base import Estimator

Array = np.ndarray
Make = Callable[..., Estimator]
TINY = {"hidden": (4,), "max_steps": 3, "progress": False}
CHECKED = [IFlow(n_layers=1, **TINY), IVAE(1, n_samples=2, warm_steps=0, **TINY)]
NAMED_U = "the second argument is called u, and is passed by position in pipelines and searches"
EXCEPTIONS = {
    "check_fit_score_takes_y": NAMED_U,
    "check_transformer_general": NAMED_U,
    "check_transformer_data_not_an_array": NAMED_U,
    "check_requires_y_none": "the error speaks of u, not of y",
    "check_n_features_in_after_fitting": "the error has the words of all others here",
}

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Estimator .* does not inherit from", UserWarning)
    lazy = parametrize_with_checks(CHECKED, expected_failed_checks=lambda _: EXCEPTIONS)
    names, checks = lazy.args  # scikit-learn 1.6 warns when it makes them
    every_check = pytest.mark.parametrize(names, list(checks), **lazy.kwargs)


# Ten columns of noise and two labels, as the checks have them, identify nothing, and of the iris,
# whose petals are measured in tenths of a centimetre, 19 % are equally wide.
@pytest.mark.filterwarnings("ignore::shared.inputs.density.DensityWarning")
@pytest.mark.filterwarnings("ignore::shared.identifiability.IdentifiabilityWarning")
@pytest.mark.filterwarnings("ignore:SCIPY_ARRAY_API is not set")
@every_check
def test_scikit_learn_has_no_objections(estimator: Estimator, check: Callable) -> None:
    check(estimator)


@pytest.fixture
def frame(x: Array) -> pd.DataFrame:
    return pd.DataFrame(x, columns=["left", "right"], index=np.arange(200) + 1000)


def test_latents_come_as_data_frames_if_asked_for(
    make: Make, frame: pd.DataFrame, u: Array, fitted: Estimator, latent_dim: int
) -> None:
    estimator = make().set_output(transform="pandas")
    z = estimator.fit_transform(frame, u)
    assert list(z.columns) == [f"z{i}" for i in range(latent_dim)]
    assert list(z.columns) == list(estimator.get_feature_names_out())
    assert z.index.equals(frame.index)
    np.testing.assert_array_equal(z, fitted.transform(frame.to_numpy(), u))
    assert isinstance(estimator.set_output(transform="default").transform(frame, u), np.ndarray)
    with config_context(transform_output="pandas"):
        assert isinstance(fitted.transform(frame.to_numpy(), u), pd.DataFrame)
    with pytest.raises(ValueError, match="transform to be one of .*'pandas'.*; got 'xarray'"):
        estimator.set_output(transform="xarray")


def test_names_of_columns_are_kept_and_compared(
    make: Make, frame: pd.DataFrame, x: Array, u: Array, tmp_path
) -> None:
    estimator = make(max_steps=2).fit(frame, u)
    estimator.save(tmp_path / "model")
    for fit in (estimator, type(estimator).load(tmp_path / "model")):
        assert list(fit.feature_names_in_) == ["left", "right"]
        with pytest.raises(ValueError, match=r"columns \['left', 'right'\]; got \['right', 'left'"):
            fit.transform(frame[["right", "left"]], u)
    assert not hasattr(estimator.fit(x, u), "feature_names_in_")


def test_a_search_in_a_pipeline_is_scored_in_held_out_nats(x: Array, u: Array) -> None:
    small = IFlow(hidden=(8,), max_steps=15, progress=False)
    pipeline = make_pipeline(StandardScaler(), small)
    grid = {"iflow__prior": ["scale", "mean_and_scale"], "iflow__n_layers": [1, 2]}
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(pipeline, grid, cv=folds).fit(x, u)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and len(set(scores)) == 4
    assert search.best_estimator_.score(x, u) > -10


DOSE = np.arange(60) * 7 % 5 / 2
DAYS = pd.Series(pd.date_range("2020-01-01", periods=60, freq="7h"))
DAY = pd.Timedelta("24h")
SPLIT: dict[str, tuple[Any, Any]] = {  # objects in the place of u, and what holds the same rows
    "labels": (Labels(DOSE), lambda rows: Labels(DOSE[rows])),
    "labels of a list": (Labels(DOSE.tolist()), lambda rows: Labels(DOSE[rows])),
    "labels of a series": (Labels(pd.Series(DOSE)), lambda rows: Labels(DOSE[rows])),
    "continuous": (Continuous(DAYS), lambda rows: Continuous(DAYS.iloc[rows])),
    "waves": (Fourier(DAYS, DAY), lambda rows: Fourier(DAYS.iloc[rows], DAY)),
    "mixed": (
        Mixed(DOSE.tolist(), Fourier(DAYS, DAY)),
        lambda rows: Mixed(DOSE[rows], Fourier(DAYS.iloc[rows], DAY)),
    ),
}


@pytest.mark.parametrize("case", SPLIT)
def test_objects_in_the_place_of_u_are_split_into_folds(case: str) -> None:
    whole, of_rows = SPLIT[case]
    x = np.random.default_rng(0).normal(size=(60, 2)) * (1 + DOSE[:, None])
    small = IFlow(n_layers=1, prior="scale", **TINY)
    folds = KFold(2, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few values and rows, and values beyond those of fit
        search = GridSearchCV(small, {"n_layers": [1]}, cv=folds, error_score="raise").fit(x, whole)
        scores = [search.cv_results_[f"split{i}_test_score"][0] for i in range(2)]
        expected = [
            clone(small).fit(x[train], of_rows(train)).score(x[test], of_rows(test))
            for train, test in folds.split(x)
        ]
    np.testing.assert_allclose(scores, expected)
    assert len(whole[::3]) == 20 and whole.shape == (60,)


@pytest.mark.parametrize("u", [TimeSegments(3), History(1), Mixed(TimeSegments(3), DOSE)])
def test_what_is_made_of_rows_of_x_is_not_split(u: Any) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    message = r"where x is split into folds .* got u = \w+, made from the rows of x.* Pass what it"
    for call in (
        lambda: GridSearchCV(IFlow(), {"n_layers": [1]}, cv=2).fit(x, u),
        lambda: cross_val_score(IFlow(), x, u),
        lambda: u[:3],
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_labels_are_an_array_to_others() -> None:
    np.testing.assert_array_equal(np.asarray(Labels(DOSE.tolist())), DOSE)
    folds = StratifiedKFold(3).split(DOSE, Labels(DOSE * 2 > 1))
    assert len(list(folds)) == 3
