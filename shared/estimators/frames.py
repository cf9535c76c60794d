"""Data frames in, data frames out, by scikit-learn's protocol and without importing it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

Array = NDArray[np.float64]
OUTPUTS = ("default", "pandas")


class Frames(ABC):
    """Remembers the names of x's columns, and hands latents out as frames if asked to."""

    feature_names_in_: NDArray[Any]
    # Under the name that scikit-learn's clone takes along.
    _sklearn_output_config: dict[str, str]

    @property
    @abstractmethod
    def prior_(self) -> Any: ...

    def set_output(self, *, transform: str | None = None) -> Self:
        """Say what `transform` returns: "default" for arrays, "pandas" for data frames."""
        if transform is not None:
            if transform not in OUTPUTS:
                raise ValueError(f"Expected transform to be one of {OUTPUTS}; got {transform!r}.")
            self._sklearn_output_config = {"transform": transform}
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """z0, z1, … as the names of the latents."""
        return np.array([f"z{i}" for i in range(self.prior_.latent_dim)], dtype=object)

    def _remember_names(self, x: Any) -> None:
        names = _names_of(x)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _check_names(self, x: Any) -> None:
        expected, names = getattr(self, "feature_names_in_", None), _names_of(x)
        if expected is None or names is None or list(expected) == list(names):
            return
        raise ValueError(
            f"Expected x with the columns {list(expected)}; got {list(names)}. The feature names "
            "should match those that were passed during fit: same names, same order."
        )

    def _as_output(self, z: Array, x: Any) -> Any:
        """Latents (N, n) of rows x, in the form that was asked for."""
        own = getattr(self, "_sklearn_output_config", {}).get("transform")
        if (own or _global_output()) != "pandas":
            return z
        import pandas as pd

        index = x.index if isinstance(x, pd.DataFrame) else None
        return pd.DataFrame(z, index=index, columns=self.get_feature_names_out())


def _names_of(x: Any) -> NDArray[Any] | None:
    """The names of a frame's columns, if it is one and they are strings."""
    names = list(x.columns) if hasattr(x, "dtypes") and hasattr(x, "columns") else []
    if not names or not all(isinstance(name, str) for name in names):
        return None
    return np.array(names, dtype=object)


def _global_output() -> str:
    """What scikit-learn is set to, if it is in use."""
    sklearn = sys.modules.get("sklearn")
    return sklearn.get_config()["transform_output"] if sklearn is not None else "default"
