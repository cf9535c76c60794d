"""What a file of a fitted estimator has to hold, checked before anything is built of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.training import History

LARGEST = 1e200  # of the values that u is scaled by


def check_contents(info: Any, tensors: Mapping[str, Tensor]) -> None:
    """Raise unless a file's plain values and its tensors are those of one estimator.

    Raises:
        ValueError: naming what is not as it should be.
        KeyError: for what is missing.
    """
    _expect(isinstance(info, dict), "plain values by name")
    _expect(isinstance(info["parameters"], dict), "parameters by name")
    for name in ("replaced", "feature_names_in"):
        _expect(_are(str, info.get(name) or []), name)
    replaced = [info["parameters"].get(name, name) for name in info.get("replaced") or []]
    _expect(all(value is None for value in replaced), "values in the place of what is replaced")
    _expect(isinstance(info["measured"], dict), "measured values by name")
    _check_auxiliary(info["auxiliary"])
    _check_history(info["history"])
    _check_tensors(info, tensors)
    _check_sizes(info["parameters"], tensors)


def _expect(is_so: bool, what: str) -> None:
    if not is_so:
        raise ValueError(f"no {what}")


def _are(kind: type | tuple[type, ...], values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _are_finite(values: Any) -> bool:
    """True for floats, and for integers that are some."""
    numbers = _are((int, float), values) and not any(isinstance(v, bool) for v in values)
    return numbers and all(math.isfinite(v) and abs(v) < LARGEST for v in values)


def _check_auxiliary(given: Any) -> None:
    """That u is encoded by values of one length, and each label is one."""
    _expect(isinstance(given, dict), "encoding of u")
    _expect(given.keys() <= {field.name for field in fields(AuxiliaryEncoder)}, "encoding of u")
    labels, mean = given["labels"], given.get("mean")
    _expect(labels is not None or mean is not None, "values of u")
    if labels is not None:
        _expect(_are((str, int, float), labels) and len(set(map(repr, labels))) > 0, "labels of u")
        _expect(len(set(map(str, labels))) == len(labels), "labels of u that differ")
        shares = given.get("shares")
        _expect(shares is None or (_are_finite(shares) and len(shares) == len(labels)), "shares")
    numbers = [given.get(name) for name in ("mean", "scale", "low", "high")]
    known = [values for values in numbers if values is not None]
    _expect(all(map(_are_finite, known)), "finite values of u")
    _expect(len(set(map(len, known))) <= 1, "values of u of one length")
    _expect(mean is None or all(scale > 0 for scale in given["scale"]), "positive scale of u")
    _expect(_are_in_order(given), "limits of u in order")
    _check_names(given.get("names"), len(mean or []))
    kinds = given.get("kinds")
    _expect(kinds is None or _are(str, kinds), "kinds of u")
    _expect(isinstance(given.get("moments", False), bool), "kinds of u")
    for name in ("recording", "made_by"):
        _expect(isinstance(given.get(name), list | None), name)


def _are_in_order(given: Mapping[str, Any]) -> bool:
    low, high = given.get("low"), given.get("high")
    if low is None or high is None:
        return low is high
    return all(a <= b for a, b in zip(low, high, strict=True))


def _check_names(names: Any, n_continuous: int) -> None:
    if names is not None:
        _expect(
            isinstance(names, list) and len(names) == 2 and all(_are(str, n) for n in names),
            "names of u",
        )
        _expect(not n_continuous or len(names[1]) == n_continuous, "names of u")


def _check_history(given: Any) -> None:
    _expect(isinstance(given, dict), "history")
    _expect(given.keys() <= {field.name for field in fields(History)}, "history")
    lists = [given[name] for name in ("step", "train_loss", "held_out_loss")]
    _expect(all(_are((int, float), values) for values in lists), "history")
    _expect(len(set(map(len, lists))) == 1 and len(lists[0]) > 0, "history of one length")
    _expect(isinstance(given["loss_name"], str), "history")


def _check_tensors(info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """That none is NaN, and x has as many columns as it is scaled by."""
    width, names = info["n_features_in"], info.get("feature_names_in") or []
    _expect(isinstance(width, int) and not isinstance(width, bool), "number of columns")
    for name in ("x_mean", "x_scale"):
        scale = tensors[name]
        _expect(scale.shape == (width,) and scale.dtype == torch.float64, name)
        _expect(bool(scale.isfinite().all()), f"finite {name}")
    _expect(bool((tensors["x_scale"] > 0).all()), "positive x_scale")
    _expect(not names or len(names) == width, "name for each column")
    for name, tensor in tensors.items():
        _expect(not bool(tensor.isnan().any()), f"number in {name}")


def _check_sizes(parameters: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """That a model is not far larger than what there is of it: building it takes time."""
    largest = sum(tensor.numel() for tensor in tensors.values())
    _expect(_whole(parameters.get("n_layers"), len(tensors)), "layers as there are tensors")
    widths = parameters.get("hidden")
    _expect(_are_whole(widths, largest, len(tensors)), "widths as there are numbers")
    _expect(_whole(parameters.get("latent_dim"), largest), "latents as there are numbers")


def _whole(value: Any, most: int) -> bool:
    """True for what is no number, of which others complain, and for one that is not too large."""
    return not isinstance(value, int | float) or value <= most


def _are_whole(values: Any, most: int, longest: int) -> bool:
    if not isinstance(values, list):
        return True
    return len(values) <= longest and all(_whole(value, most) for value in values)
