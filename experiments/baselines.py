"""What a result has to be seen against: linear methods, chance, and what supervision reaches."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA, FastICA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning

Array = NDArray[np.float64]


def fast_ica(train: Array, test: Array, n_components: int, seed: int = 0) -> Array:
    """Latents of the test rows by linear FastICA fitted on the training rows."""
    ica = FastICA(n_components, whiten="unit-variance", max_iter=2000, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is a baseline at its best effort
        ica.fit(train)
    return ica.transform(test)


def pca(train: Array, test: Array, n_components: int) -> Array:
    """Principal components of the test rows, standardised and fitted on the training rows."""
    mean, scale = train.mean(0), train.std(0)
    model = PCA(n_components).fit((train - mean) / scale)
    return model.transform((test - mean) / scale)


def supervised(train: Array, z_train: Array, test: Array, seed: int = 0) -> Array:
    """Sources of the test rows predicted by gradient boosting that was shown the true ones."""
    columns = [
        HistGradientBoostingRegressor(random_state=seed).fit(train, z).predict(test)
        for z in z_train.T
    ]
    return np.stack(columns, axis=1)
