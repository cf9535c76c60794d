"""References for every result: linear methods, and what methods reach that saw the sources."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA, FastICA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from typing_extensions import Self

Array = NDArray[np.float64]


class LinearICA:
    """Linear FastICA: what can be had without a nonlinear model, and without u."""

    def __init__(self, n_components: int, *, seed: int = 0) -> None:
        self.ica = FastICA(n_components, whiten="unit-variance", max_iter=2000, random_state=seed)

    def fit(self, x: Array, u: object = None) -> Self:
        """Fit on rows x (N, d)."""
        with warnings.catch_warnings():
            # It is a baseline at its best effort.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.ica.fit(x)
        return self

    def transform(self, x: Array, u: object = None) -> Array:
        """The latents of rows x, (N, n)."""
        return self.ica.transform(x)


def pca(train: Array, test: Array, n_components: int) -> Array:
    """Principal components of the test rows, standardised and fitted on the training rows."""
    mean, scale = train.mean(0), train.std(0)
    model = PCA(n_components).fit((train - mean) / scale)
    return model.transform((test - mean) / scale)


def boosted(train: Array, z_train: Array, test: Array, seed: int = 0) -> Array:
    """Sources of the test rows predicted by gradient boosting that was shown the true ones."""
    columns = [
        HistGradientBoostingRegressor(random_state=seed).fit(train, z).predict(test)
        for z in z_train.T
    ]
    return np.stack(columns, axis=1)


def regressed(train: Array, z_train: Array, test: Array) -> Array:
    """Sources of the test rows predicted by linear regression that was shown the true ones."""
    return LinearRegression().fit(train, z_train).predict(test)
