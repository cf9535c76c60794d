"""Fitted estimators as files of tensors and JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor, nn

from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.compute.random import single_precision, usual_modes
from identiflow.shared.estimators.fitted import Fitted
from identiflow.shared.estimators.probe import PROBE, check_probe, probe_of
from identiflow.shared.estimators.schema import check_contents
from identiflow.shared.files import FileFormatError, load_tensors, save_tensors
from identiflow.shared.inputs.options import as_they_are, is_plain
from identiflow.shared.inputs.rows import Scale
from identiflow.shared.training import History

EstimatorT = TypeVar("EstimatorT", bound="Savable")


# What a file that is not as `save` writes it may raise where it is read.
BROKEN = (AttributeError, LookupError, ArithmeticError, RuntimeError, TypeError, ValueError)


class ReplacedError(ValueError):
    """`load` was given other parts of the user's own than the file needs."""


class Savable(Protocol):
    """The parts of an estimator that saving it needs."""

    measured: ClassVar[tuple[str, ...]]
    _fitted: Fitted | None

    @property
    def fitted_(self) -> Fitted: ...

    @classmethod
    def _parameter_names(cls) -> list[str]: ...

    def check(self) -> None: ...

    def _new_model(
        self, n_features: int, auxiliary: AuxiliaryEncoder, found: Mapping[str, Any]
    ) -> Any: ...


@usual_modes()
def save_estimator(estimator: Savable, path: str | os.PathLike[str]) -> None:
    """Write parameters, fitted tensors and plain fitted values.

    What is written is read again before it takes the place of what was there.

    Raises:
        ValueError: if the estimator that is read is not the same.
    """
    fitted, cls = estimator.fitted_, type(estimator)
    tensors = {f"model/{name}": t for name, t in fitted.model.state_dict().items()}
    scale = fitted.scale.as_tensors
    tensors |= {"x_mean": scale.mean, "x_scale": scale.std}
    probe, rows_of_u = probe_of(fitted)
    tensors |= probe
    info = _info(cls, fitted) | {"probe": rows_of_u}
    own = {name: fitted.parameters[name] for name in info["replaced"]}
    save_tensors(path, cls.__name__, tensors, info, check=partial(_check_written, cls, info, own))


def _info(cls: type[Savable], fitted: Fitted) -> dict[str, Any]:
    """All of a fit that is no tensor; of parameters that are objects of the user's own, the name.

    Tuples are lists here, as they are in JSON.
    """
    given = fitted.parameters
    own = [name for name, value in given.items() if not is_plain(value)]
    info = {
        "parameters": {name: None if name in own else value for name, value in given.items()},
        "replaced": own,
        "n_features_in": fitted.n_features,
        "feature_names_in": list(fitted.names or []),
        "auxiliary": asdict(fitted.auxiliary),
        "history": fitted.history.to_dict(),
        "measured": {name: fitted.measured.get(name) for name in cls.measured},
        "torch": torch.__version__,
    }
    return json.loads(json.dumps(info))


def _check_written(
    cls: type[EstimatorT], info: Mapping[str, Any], own: dict[str, Any], path: Path
) -> None:
    """Raise unless the file can be loaded, with the user's own parts given again."""
    try:
        read = _info(cls, load_estimator(cls, path, own).fitted_)
        differing = [name for name in read if repr(info[name]) != repr(read[name])]
    except ValueError as error:
        differing = [str(error)]
    if differing:
        parts = f" with its own {', '.join(own)}" if own else ""
        raise ValueError(
            f"Expected an {cls.__name__} that a file can hold; got one that is another once it is "
            f"read{parts}: {'; '.join(differing)}. A part of your own has to be built alike each "
            "time. The fit is still there, and no file was written or replaced."
        )


@usual_modes()
def load_estimator(
    cls: type[EstimatorT], path: str | os.PathLike[str], replaced: dict[str, Any]
) -> EstimatorT:
    """Read what `save_estimator` wrote."""
    tensors, info = load_tensors(path, cls.__name__)
    try:
        check_contents(info, tensors)
        _check_replaced(cls, info["replaced"], replaced)
        with single_precision():
            return _rebuild(cls, tensors, info, replaced)
    except ReplacedError:
        raise
    except BROKEN as error:
        given = (
            f", or was not fitted with the {', '.join(replaced)} given to load" if replaced else ""
        )
        raise FileFormatError(
            f"Expected {path} to hold an {cls.__name__} as save writes it; got {error!r}. It is "
            f"damaged, or of another version{given}."
        ) from None


def _rebuild(
    cls: type[EstimatorT],
    tensors: dict[str, Tensor],
    info: dict[str, Any],
    replaced: dict[str, Any],
) -> EstimatorT:
    parameters = {name: _as_tuple(value) for name, value in info["parameters"].items()}
    estimator = cls(**{**parameters, **replaced})
    estimator.check()
    auxiliary = AuxiliaryEncoder(**info["auxiliary"])
    measured = {name: _as_tuple(info["measured"].get(name)) for name in cls.measured}
    scale = Scale(tensors.pop("x_mean").numpy(), tensors.pop("x_scale").numpy())
    probe = {name: tensors.pop(name) for name in list(tensors) if name.startswith(PROBE)}
    model = _with_weights(
        partial(estimator._new_model, info["n_features_in"], auxiliary, measured),
        {name.removeprefix("model/"): tensor for name, tensor in tensors.items()},
        info["replaced"],
    )
    estimator._fitted = Fitted(
        parameters=as_they_are(estimator),
        model=model,
        scale=scale,
        auxiliary=auxiliary,
        history=History(**info["history"]),
        names=tuple(info.get("feature_names_in") or ()) or None,
        measured=measured,
    )
    if probe:  # which files of before have none of
        check_probe(estimator._fitted, probe, info["probe"])
    return estimator


def _check_replaced(
    cls: type[Savable], needed: Collection[str], replaced: Mapping[str, Any]
) -> None:
    missing = sorted(set(needed) - set(replaced))
    if missing:
        raise ReplacedError(
            f"Expected {', '.join(f'{name}=' for name in missing)} with load: files hold no code, "
            "and this estimator was built with an object of yours."
        )
    unknown = sorted(set(replaced) - set(cls._parameter_names()))
    if unknown:
        raise ReplacedError(
            f"Expected load with parameters among {cls._parameter_names()}; got {unknown[0]!r}."
        )


def _with_weights(
    build: Callable[[], nn.Module], weights: dict[str, Tensor], replaced: Collection[str]
) -> nn.Module:
    """The model that is built, with these weights, once they are known to be its own."""
    # Where a model takes no memory, however large a file says it is. What users hand over is as
    # large as they made it, and may not work there.
    with torch.device("meta") if not replaced else nullcontext():
        expected = _shapes(build().state_dict())
    got = _shapes(weights)
    differing = sorted(n for n in expected | got if expected.get(n) != got.get(n))
    if differing:
        first = differing[0]
        raise RuntimeError(f"{first} of shape {got.get(first)} instead of {expected.get(first)}")
    model = build().double().eval().requires_grad_(False)
    model.load_state_dict(weights)
    if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
        raise RuntimeError("weights that are not finite")
    return model


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
