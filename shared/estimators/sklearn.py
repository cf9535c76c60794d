"""scikit-learn's protocol for estimators, without importing scikit-learn.

Importing it would import pandas, and take as long as importing torch. Pipeline, clone and
GridSearchCV only ask for these methods.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.estimators.fitted import Fitted, NotFittedError
from identiflow.shared.inputs.containers import column_names
from identiflow.shared.inputs.options import values_of
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.inputs.validation import is_plain
from identiflow.shared.training import History

OUTPUTS = ("default", "pandas")


class SklearnProtocol:
    """Options are attributes to be read and changed; a fit is one attribute; frames come and go."""

    _fitted: Fitted | None = None

    @property
    def fitted_(self) -> Fitted:
        """The fit: model, scale, u and history as one thing."""
        if self._fitted is None:
            raise NotFittedError(
                f"Expected a fitted {type(self).__name__}; got one before fit. Call fit(x, u)."
            )
        return self._fitted

    def __sklearn_is_fitted__(self) -> bool:
        """True if fit has been called."""
        return self._fitted is not None

    # --- what fit has left

    @property
    def model_(self) -> Any:
        """The fitted torch module, float64, of standardised x."""
        return self.fitted_.model

    @property
    def history_(self) -> History:
        """The course of the training."""
        return self.fitted_.history

    @property
    def held_out_loss_(self) -> float:
        """The loss of the held-out rows in float64, in nats a row of standardised x.

        Restarts, priors and seeds are compared by it. Of a file that an earlier version wrote it is
        `history_.best_loss`, which is in single precision.
        """
        loss = self.fitted_.measured.get("held_out_loss_")
        return self.history_.best_loss if loss is None else loss

    @property
    def auxiliary_(self) -> AuxiliaryEncoder:
        """The encoder of u."""
        return self.fitted_.auxiliary

    @property
    def n_features_in_(self) -> int:
        """d."""
        return self.fitted_.n_features

    @property
    def x_mean_(self) -> NDArray[np.float64]:
        """The mean that standardisation takes away from x, (d,)."""
        return self.fitted_.scale.mean

    @property
    def x_scale_(self) -> NDArray[np.float64]:
        """The standard deviation that standardisation divides x by, (d,)."""
        return self.fitted_.scale.std

    @property
    def agreement_(self) -> tuple[tuple[float, ...], ...] | None:
        """With n_restarts, the MCC between the held-out latents of every two seeds."""
        return self.fitted_.measured.get("agreement_")

    # --- options

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [field.name for field in fields(cls)]  # type: ignore[arg-type]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return values_of(self)

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments; unknown names are a ValueError."""
        known = self._parameter_names()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"Expected parameters among {known}; got {name!r}.")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Only what differs from the defaults."""
        defaults = {field.name: field.default for field in fields(self)}  # type: ignore[arg-type]
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name])
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """scikit-learn's description of an estimator; u takes the place of its y."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=True),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(),
        )

    # --- data frames

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """The names of the columns of x in fit, if they had some."""
        if self.fitted_.names is None:
            raise AttributeError("Expected x with named columns in fit; got none.")
        return np.array(self.fitted_.names, dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Say what `transform` returns: "default" for arrays, "pandas" for data frames."""
        if transform is not None:
            if transform not in OUTPUTS:
                raise ValueError(f"Expected transform to be one of {OUTPUTS}; got {transform!r}.")
            # Under the name that scikit-learn's clone takes along.
            self._sklearn_output_config = {"transform": transform}
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """z0, z1, … as the names of the latents."""
        return np.array([f"z{i}" for i in range(self.fitted_.model.latent_dim)], dtype=object)

    def _check_described(self, x: Any, *beside: Any) -> None:
        """Raise if names of columns are not those of fit, or rows not those of u beside x."""
        if all(map(is_plain, (x, *beside))):
            return
        check_paired(x, *beside)
        names, by_position = _all_names(x), _numbers(self.n_features_in_)
        expected = self.fitted_.names or by_position
        if names is None or names == expected:
            return
        # Numbers from 0 on are what a frame has for want of names.
        has_no_names = self.fitted_.names is None or names == _numbers(len(names))
        if has_no_names and sorted(names) != sorted(expected):
            return
        raise ValueError(
            f"Expected x with the columns {list(expected)}; got {list(names)}. The feature names "
            "should match those that were passed during fit: same names, same order."
        )

    def _check_latent_names(self, z: Any) -> None:
        """Raise for latents in a frame under other names, or in another order, than `transform`."""
        names, expected = _all_names(z), tuple(self.get_feature_names_out())
        if names is not None and names not in (expected, _numbers(len(expected))):
            raise ValueError(
                f"Expected z with the columns {list(expected)}, in this order; got {list(names)}. "
                "Pass z.to_numpy() to take them by their position."
            )

    def _as_output(self, z: NDArray[np.float64], x: Any) -> Any:
        """Latents (N, n) of rows x, in the form that was asked for."""
        own = getattr(self, "_sklearn_output_config", {}).get("transform")
        if (own or _global_output()) != "pandas":
            return z
        import pandas as pd

        index = x.index if isinstance(x, pd.DataFrame) else None
        return pd.DataFrame(z, index=index, columns=self.get_feature_names_out())


def names_of(x: Any) -> tuple[str, ...] | None:
    """The names of a frame's columns as strings, if it is one and they are not just numbered."""
    names = _all_names(x)
    return None if not names or names == _numbers(len(names)) else names


def _all_names(x: Any) -> tuple[str, ...] | None:
    names = None if is_plain(x) else column_names(x)
    return None if names is None else tuple(map(str, names))


def _numbers(n_columns: int) -> tuple[str, ...]:
    return tuple(map(str, range(n_columns)))


def _global_output() -> str:
    """The kind of output that scikit-learn is set to, if it is in use."""
    sklearn = sys.modules.get("sklearn")
    return sklearn.get_config()["transform_output"] if sklearn is not None else "default"
