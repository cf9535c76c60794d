"""Fitted estimators as files of tensors and JSON."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.compute.random import single_precision
from identiflow.shared.training import FileFormatError, History, load_tensors, save_tensors

if TYPE_CHECKING:
    from identiflow.shared.estimators.base import Estimator

EstimatorT = TypeVar("EstimatorT", bound="Estimator")


def save_estimator(estimator: Estimator, path: str | os.PathLike[str]) -> None:
    """Write parameters, fitted tensors and plain fitted values."""
    given = {name: _plain(value) for name, value in estimator.parameters_.items()}
    parameters = {name: value if _is_plain(value) else None for name, value in given.items()}
    tensors = {f"model/{name}": t for name, t in estimator.model_.state_dict().items()}
    tensors["x_mean"] = torch.from_numpy(estimator.x_mean_)
    tensors["x_scale"] = torch.from_numpy(estimator.x_scale_)
    info = {
        "parameters": parameters,
        "replaced": [name for name, v in given.items() if not _is_plain(v)],
        "n_features_in": estimator.n_features_in_,
        "feature_names_in": list(getattr(estimator, "feature_names_in_", [])),
        "auxiliary": asdict(estimator.auxiliary_),
        "history": estimator.history_.to_dict(),
        "measured": {name: getattr(estimator, name) for name in estimator.measured},
        "torch": torch.__version__,
    }
    save_tensors(path, type(estimator).__name__, tensors, info)


def load_estimator(
    cls: type[EstimatorT], path: str | os.PathLike[str], replaced: dict[str, Any]
) -> EstimatorT:
    """Read what `save_estimator` wrote."""
    tensors, info = load_tensors(path, cls.__name__)
    try:
        with single_precision():
            return _rebuild(cls, tensors, info, replaced)
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise FileFormatError(
            f"Expected {path} to hold an {cls.__name__} as save writes it; got {error!r}. It is "
            "damaged, or of another version."
        ) from None


def _rebuild(
    cls: type[EstimatorT],
    tensors: dict[str, Tensor],
    info: dict[str, Any],
    replaced: dict[str, Any],
) -> EstimatorT:
    missing = sorted(set(info["replaced"]) - set(replaced))
    if missing:
        raise ValueError(
            f"Expected {', '.join(f'{name}=' for name in missing)} with load: files hold no code, "
            "and this estimator was built with an object of yours."
        )
    unknown = sorted(set(replaced) - set(cls._parameter_names()))
    if unknown:
        raise ValueError(
            f"Expected load with parameters among {cls._parameter_names()}; got {unknown[0]!r}."
        )
    parameters = {name: _as_tuple(value) for name, value in info["parameters"].items()}
    estimator = cls(**{**parameters, **replaced})
    estimator.parameters_ = estimator.get_params()
    estimator.n_features_in_ = info["n_features_in"]
    if info.get("feature_names_in"):
        estimator.feature_names_in_ = np.array(info["feature_names_in"], dtype=object)
    estimator.auxiliary_ = AuxiliaryEncoder(**info["auxiliary"])
    estimator.history_ = History(**info["history"])
    estimator.x_mean_ = tensors.pop("x_mean").numpy()
    estimator.x_scale_ = tensors.pop("x_scale").numpy()
    for name in cls.measured:
        setattr(estimator, name, _as_tuple(info["measured"][name]))
    estimator.model_ = _with_weights(
        estimator,
        {name.removeprefix("model/"): tensor for name, tensor in tensors.items()},
        info["replaced"],
    )
    return estimator


def _with_weights(
    estimator: Estimator, weights: dict[str, Tensor], replaced: Collection[str]
) -> nn.Module:
    """The estimator's model with these weights, once they are known to be its own."""
    # Where a model takes no memory, however large a file says it is. What users hand over is as
    # large as they made it, and may not work there.
    with torch.device("meta") if not replaced else nullcontext():
        expected = _shapes(estimator._new_model().state_dict())
    got = _shapes(weights)
    differing = sorted(n for n in expected | got if expected.get(n) != got.get(n))
    if differing:
        first = differing[0]
        raise RuntimeError(f"{first} of shape {got.get(first)} instead of {expected.get(first)}")
    model = estimator._new_model().double().eval().requires_grad_(False)
    model.load_state_dict(weights)
    return model


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _plain(value: Any) -> Any:
    """What JSON does not know but has a twin there, such as the numbers of a grid search."""
    if isinstance(value, (np.generic, np.ndarray)):
        return _plain(value.tolist())
    if isinstance(value, bytes):  # a label, which is read so too
        return value.decode("utf-8", "backslashreplace")
    return str(value) if isinstance(value, torch.device) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
