"""Whitening by QR and SVD, the step that the linear metrics share."""

from __future__ import annotations

import numpy as np

from identiflow.shared.inputs.arrays import AnyArray


def whitening(x: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return c (d,) and W (d, r) such that (x - c) W has r orthonormal columns, r = rank(x - c).

    Constant and collinear columns drop out here, so that they need no care later. Cost O(N d²).
    """
    # Measured from the first row, a constant column is exactly 0, whatever its value.
    centred = x - x[0]
    mean = centred.mean(axis=0)
    centred -= mean
    scale = np.linalg.norm(centred, axis=0)
    scale[scale == 0] = 1.0  # the rank must not depend on the units of the columns
    # The triangular factor has the singular values of the whole at the size of the columns alone.
    _, values, vectors = np.linalg.svd(np.linalg.qr(centred / scale, mode="r"))
    rank = np.count_nonzero(values > values[0] * max(x.shape) * np.finfo(np.float64).eps)
    return x[0] + mean, (vectors[:rank].T / values[:rank]) / scale[:, None]
