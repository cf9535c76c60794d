"""Bad arguments of generators and loaders are named, with what was expected and what came."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from identiflow.shared import datasets
from identiflow.shared.auxiliary import Labels, TimeSegments
from identiflow.shared.datasets import nonstationary_sources, oracle_importance_log_prob

SMALL = {"latent_dim": 3, "n_segments": 4, "samples_per_segment": 50, "seed": 1}


def make(setting):
    return nonstationary_sources(**{**SMALL, **setting})


BAD_ARGUMENTS = {
    "no sources": ({"latent_dim": 0}, r"latent_dim to be an integer of at least 1; got 0"),
    "half a source": ({"latent_dim": 1.5}, r"latent_dim to be an integer of at least 1; got 1\.5"),
    "n > d": ({"observed_dim": 2}, r"observed_dim of at least latent_dim = 3; got 2.*injective"),
    "no segments": ({"n_segments": 0}, r"n_segments to be an integer of at least 1; got 0"),
    "no samples": (
        {"samples_per_segment": -1},
        r"samples_per_segment to be an integer of at least 1; got -1",
    ),
    "no layers": ({"n_layers": 0}, r"n_layers to be an integer of at least 1; got 0"),
    "unknown source": (
        {"source": "cauchy"},
        r"source.*'gaussian', 'laplace', 'hyperbolic_secant'; got 'cauchy'",
    ),
    "unknown mixing": ({"mixing": "relu"}, r"mixing.*'tanh', 'leaky_relu'; got 'relu'"),
    "unknown observation": (
        {"observation": "beta"},
        r"observation.*'gaussian', 'bernoulli', 'poisson', 'categorical'; got 'beta'",
    ),
    "negative noise": ({"noise_std": -0.1}, r"noise_std to be at least 0; got -0\.1"),
    "infinite noise": ({"noise_std": np.inf}, r"noise_std to be at least 0; got inf"),
    "undefined noise": ({"noise_std": np.nan}, r"noise_std to be at least 0; got nan"),
    "noisy counts": (
        {"noise_std": 0.1, "observation": "poisson"},
        r"noise_std = 0 with observation='poisson'",
    ),
    "flat activation": ({"slope": 0.0}, r"slope to be positive, or None; got 0\.0"),
    "one category": (
        {"observation": "categorical", "n_categories": 1},
        r"n_categories to be an integer of at least 2; got 1",
    ),
    "negative seed": ({"seed": -1}, r"seed to be an integer of at least 0; got -1"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys())
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(arguments)


BAD_CALLS = {
    "split all": (lambda: make({}).split(1.0), r"test_fraction between 0 and 1"),
    "estimate the exact": (
        lambda: oracle_importance_log_prob(make({})),
        r"noise or a discrete observation; got noise_std = 0",
    ),
    "too few draws": (
        lambda: oracle_importance_log_prob(make({"noise_std": 1.0}), n_samples=3),
        r"n_samples to be an integer of at least 10; got 3",
    ),
    "determinant of a wide map": (
        lambda: make({"observed_dim": 6}).mixing.logabsdet(np.zeros((1, 3))),
        r"d = n; got d = 6 and n = 3",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD_CALLS.values(), ids=BAD_CALLS.keys())
def test_bad_calls_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


BAD_LOADS = {
    "unknown experiment": (
        lambda: datasets.load_light_tunnel(experiments=["red_strong", "violet"]),
        r"experiments.*got \['violet'\].*reference",
    ),
    "no experiment": (
        lambda: datasets.load_light_tunnel(experiments=[]),
        r"experiments.*got an empty list",
    ),
    "no rows": (
        lambda: datasets.load_light_tunnel(rows_per_experiment=0),
        r"rows_per_experiment to be an integer of at least 1, or None; got 0",
    ),
    "unknown hemisphere": (
        lambda: datasets.load_mtlnet_fmri(hemisphere="left"),
        r"hemisphere.*'L', 'R', 'both'; got 'left'",
    ),
    "unknown regions": (
        lambda: datasets.load_mtlnet_fmri(regions="all"),
        r"regions.*'separate', 'combined'; got 'all'",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD_LOADS.values(), ids=BAD_LOADS.keys())
def test_bad_calls_of_loaders_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


X = np.zeros((12, 2))
NAMES = [f"cell {i}" for i in range(12)]
IN_ORDER, BACK = pd.Series(range(12), NAMES), pd.Series(range(12), NAMES[::-1])
OTHER_ROWS = {
    "u too short": ({"u": np.arange(11)}, "Expected u with 12 rows, one for each row of x; got 11"),
    "z too long": ({"z": np.zeros((13, 2))}, "Expected z with 12 rows, .*; got 13"),
    "a short covariate": ({"covariates": {"age": np.arange(3)}}, "Expected age with 12 rows"),
    "u of another index": ({"u": BACK}, r"u with the index of x.* Pass u\.loc\[x\.index\]"),
    "z of another index": ({"z": BACK.to_frame()}, "z with the index of x"),
    "a covariate of another index": ({"covariates": {"age": BACK}}, "age with the index of x"),
}


NO_U = {
    "labels": (Labels(np.arange(12)), "Expected u as an array.*; got a Labels.* pass its values"),
    "segments": (TimeSegments(3), "got a TimeSegments"),
    "trials": (
        np.zeros((3, 4, 2)),
        r"u of shape \(N,\), .*; got shape \(3, 4, 2\)\. Pass one",
    ),
    "one value": ("word", r"got shape \(\)"),
    "NaN": (np.r_[np.nan, np.arange(11)], "value in every row of x; got 1 missing, .* in row 0"),
    "None": (np.array(["a", None] * 6), "got 6 missing, the first in row 1"),
    "NA": (pd.Series(["a", pd.NA] * 6), "got 6 missing, the first in row 1"),
    "NaT": (np.array(["2020-01-01", "NaT"] * 6, "M8[D]"), "got 6 missing, the first in row 1"),
}


@pytest.mark.parametrize("case", NO_U)
def test_u_of_a_data_set_is_one_known_value_a_row(case):
    u, message = NO_U[case]
    with pytest.raises((TypeError, ValueError), match=message):
        datasets.Dataset(name="other", x=X, u=u)
    assert len(datasets.Dataset(name="none", x=X[:0], u=np.zeros(0, int))) == 0


def test_several_columns_of_u_are_not_split_by():
    data = datasets.Dataset(name="past", x=X, u=X)
    assert len(data.take(np.arange(3))) == 3
    with pytest.raises(ValueError, match=r"u of shape \(N,\) to split by; got \(12, \d\)\. Choose"):
        data.split()


@pytest.mark.parametrize("case", OTHER_ROWS)
def test_rows_of_a_data_set_are_those_of_x(case):
    parts, message = OTHER_ROWS[case]
    x = pd.DataFrame(X, NAMES)
    assert len(datasets.Dataset(name="fine", x=x, u=IN_ORDER, z=IN_ORDER.to_frame())) == 12
    with pytest.raises(ValueError, match=message):
        datasets.Dataset(**{"name": "other", "x": x, "u": IN_ORDER, **parts})
