"""The base of every data set: rows of x, u and perhaps z that stay aligned."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.inputs.validation import missing_rows, to_numpy

_DatasetT = TypeVar("_DatasetT", bound="Dataset")


def rows(**options: Any) -> Any:  # noqa: ANN401 - the type of dataclasses.field
    """A dataclass field that holds one entry for each row of x (or a dict of such arrays)."""
    return field(metadata={"rows": True}, repr=False, **options)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Observations `x` with the auxiliary variable `u` of each row, and the sources `z` if known.

    Attributes:
        name: a short name of the data set.
        x: observations, shape (N, d), float64.
        u: auxiliary variable, one entry for each row of x, shape (N,): integer or string labels.
        z: true sources, shape (N, n), or None where no truth is known.
        covariates: further row-aligned columns that are neither x nor u, each of shape (N,).
        feature_names: the d names of the columns of x.
        source_names: the n names of the columns of z, empty where z is None.
        aux_name: what u is, in one word: "segment", "experiment", "subject".
        description: where the data comes from and what was done to it.

    Raises:
        TypeError: for u that is no array or series, such as `Labels`.
        ValueError: for u, z or covariates of other rows than x, or of another index, and for u
            with missing values.
    """

    name: str
    x: Array = rows()
    u: NDArray[Any] = rows()
    z: Array | None = rows(default=None)
    covariates: Mapping[str, NDArray[Any]] = rows(default_factory=dict)
    feature_names: tuple[str, ...] = ()
    source_names: tuple[str, ...] = ()
    aux_name: str = "u"
    description: str = ""

    def __post_init__(self) -> None:
        _check_u(self.u)
        of_rows = {"u": self.u, "z": self.z, **self.covariates}
        check_paired(self.x, *of_rows.values(), names=("x", *of_rows))
        for name, values in of_rows.items():
            if values is not None and len(values) != len(self.x):
                raise ValueError(
                    f"Expected {name} with {len(self.x)} rows, one for each row of x; got "
                    f"{len(values)}. Pass the same samples in the same order."
                )

    def __len__(self) -> int:
        """The number of rows N."""
        return len(self.x)

    def take(self: _DatasetT, index: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> _DatasetT:
        """The same data set with only the rows named by `index`, in that order.

        Args:
            index: row numbers, or a mask of shape (N,).

        Example:
            >>> from identiflow.shared.datasets import nonstationary_sources
            >>> data = nonstationary_sources(2, n_segments=3, samples_per_segment=10)
            >>> data.take(data.u == 1).z.shape
            (10, 2)
        """
        carried = (f.name for f in dataclasses.fields(self) if f.metadata.get("rows"))
        return dataclasses.replace(
            self, **{name: _take_rows(getattr(self, name), index) for name in carried}
        )

    def split(
        self: _DatasetT, test_fraction: float = 0.2, seed: int = 0
    ) -> tuple[_DatasetT, _DatasetT]:
        """Split at random into train and test so that every value of u gives the same share.

        Rows keep their order inside each part. A value of u with too few rows to share
        (`round(test_fraction * rows) == 0`) stays in the train part.

        Args:
            test_fraction: share of the rows of each u that goes to the test part, in (0, 1).
            seed: seeds the choice of rows; the global random state is not touched.

        Returns:
            (train, test), each of the type of this data set.

        Raises:
            ValueError: if test_fraction is not inside (0, 1), or u has several columns.

        Example:
            >>> from identiflow.shared.datasets import nonstationary_sources
            >>> data = nonstationary_sources(2, n_segments=3, samples_per_segment=10)
            >>> train, test = data.split(test_fraction=0.2)
            >>> len(train), len(test)
            (24, 6)
        """
        if not 0 < test_fraction < 1:
            raise ValueError(
                f"Expected test_fraction between 0 and 1, both excluded; got {test_fraction}. "
                "Pass for example 0.2 to hold one row in five out."
            )
        if np.ndim(self.u) != 1:
            raise ValueError(
                f"Expected u of shape (N,) to split by; got {np.shape(self.u)}. Choose rows with "
                "take(rows)."
            )
        rng = np.random.default_rng(seed)
        held_out = np.zeros(len(self), dtype=bool)
        for label in np.unique(self.u):
            members = np.flatnonzero(self.u == label)
            held_out[rng.permutation(members)[: round(test_fraction * len(members))]] = True
        return self.take(~held_out), self.take(held_out)


def _check_u(u: Any) -> None:  # noqa: ANN401 - whatever users have
    """Raise unless u has a row for each of x, and one column of it no missing value."""
    values = to_numpy(u, "u")
    if values.ndim not in (1, 2):
        raise ValueError(
            f"Expected u of shape (N,), one entry for each row of x; got shape {values.shape}. "
            "Pass one column, and others as covariates={name: column}."
        )
    if missing := missing_rows(values) if values.ndim == 1 else []:
        raise ValueError(
            f"Expected u with a value in every row of x; got {len(missing)} missing, the first in "
            f"row {missing[0]}. Drop those rows or give them a value of their own."
        )


def _take_rows(value: Any, index: NDArray[Any]) -> Any:  # noqa: ANN401 - array, dict of arrays or None
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {name: column[index] for name, column in value.items()}
    return value[index]
