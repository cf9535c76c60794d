"""Handwritten digits, as images and as pen strokes, with u = digit."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.datasets.files import data_files
from identiflow.shared.datasets.real import RealData, real_data

_MNIST_IMAGES, _MNIST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


def load_digits() -> RealData:
    """Load scikit-learn's bundled digits: 1,797 images of 8 x 8, no file and no network needed.

    Returns:
        `RealData`: x (1797, 64) with integer grey values 0 ... 16, u the digit. Columns 0, 32 and
        39 are constant in all images.

    Example:
        >>> load_digits().x.shape
        (1797, 64)
    """
    from sklearn.datasets import load_digits as load_bundled

    x, u = load_bundled(return_X_y=True)
    return real_data("digits", x=x, u=u, feature_names=_pixels(8))


def load_mnist_t10k(folder: str | os.PathLike[str] | None = None) -> RealData:
    """Load the 10,000 test images of MNIST.

    Args:
        folder: the data's folder or its parent; else IDENTIFLOW_DATA; else the files are fetched.

    Returns:
        `RealData`: x (10000, 784) with integer grey values 0 ... 255, u the digit. Pixels near the
        border are constant.

    Example:
        >>> load_mnist_t10k().x.shape  # doctest: +SKIP
        (10000, 784)
    """
    paths = data_files("mnist_t10k", [_MNIST_IMAGES, _MNIST_LABELS], folder)
    # the headers of the idx format: 16 bytes before images, 8 before labels
    images = _read_bytes(paths[_MNIST_IMAGES], skip=16).reshape(-1, 28 * 28)
    labels = _read_bytes(paths[_MNIST_LABELS], skip=8)
    return real_data(
        "mnist_t10k",
        x=images.astype(np.float64),
        u=labels.astype(np.int64),
        feature_names=_pixels(28),
    )


def load_pendigits(folder: str | os.PathLike[str] | None = None) -> RealData:
    """Load the pen-based digits: eight (x, y) pen positions of 10,992 digits.

    Args:
        folder: the data's folder or its parent; else IDENTIFLOW_DATA; else the files are fetched.

    Returns:
        `RealData`: x (10992, 16) with integer coordinates 0 ... 100, u the digit.

    Example:
        >>> load_pendigits().x.shape  # doctest: +SKIP
        (10992, 16)
    """
    table = np.loadtxt(
        data_files("pendigits", ["penbased.dat"], folder)["penbased.dat"], delimiter=","
    )
    return real_data(
        "pendigits",
        x=table[:, :-1],
        u=table[:, -1].astype(np.int64),
        feature_names=tuple(f"{axis}_{i + 1}" for i in range(8) for axis in "xy"),
    )


def _pixels(side: int) -> tuple[str, ...]:
    return tuple(f"pixel_{row}_{column}" for row in range(side) for column in range(side))


def _read_bytes(path: Path, skip: int) -> NDArray[np.uint8]:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=skip)
