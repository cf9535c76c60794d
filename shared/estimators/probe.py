"""A few rows and what a fit makes of them: a file holds both, so that it is seen to be that fit.

A checksum tells that a file is as it was written. That what is read computes what was saved, with
another version of this library, or with parts that the user gives again, only computing tells.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from identiflow.shared.auxiliary import AuxiliaryEncoder, Columns
from identiflow.shared.estimators.fitted import Fitted

FEWEST, MOST = 4, 64  # rows: one for each label, if these are no more
TOLERANCE = 1e-6  # what processors and versions of torch may differ by, in units of the values
PROBE = "probe/"
SHOWN = ("labels", "shares", "mean", "scale")  # of what u is read by: by the outputs

# What a model may make of rows x, their u and z = encode(x, u), if it has the part that is named.
OUTPUTS: dict[str, tuple[str, Callable[[Any, Tensor, Tensor, Tensor], Tensor]]] = {
    "z": ("encode", lambda model, x, u, z: z),
    "prior": ("prior", lambda model, x, u, z: model.prior.log_prob(z, u)),
    "density": ("log_likelihood", lambda model, x, u, z: model.log_likelihood(x, z)),
    "variance": ("posterior", lambda model, x, u, z: model.posterior(x, u).variance),
}


def probe_of(fitted: Fitted) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the plain values that a file of this fit holds to be known by."""
    given = _u(fitted.auxiliary)
    codes = _codes(fitted.auxiliary, given)
    x = torch.from_numpy(fitted.scale.undo(_rows(fitted.model, codes, fitted.n_features)))
    computed = {f"{PROBE}x": x, **_computed(fitted, x, codes, tuple(OUTPUTS))}
    return computed, given | {"said": _said(fitted)}


def check_probe(fitted: Fitted, tensors: Mapping[str, Tensor], given: Mapping[str, Any]) -> None:
    """Raise if a fit that was read makes other values of these rows than the one that was saved.

    Raises:
        ValueError: saying which.
    """
    here = _said(fitted)
    for name, value in given.get("said", {}).items():
        if here[name] != value:
            raise ValueError(f"other {name} of u or x than it was saved with")
    expected = {name: t for name, t in tensors.items() if name != f"{PROBE}x"}
    names = [name.removeprefix(PROBE) for name in expected]
    codes = _codes(fitted.auxiliary, given)
    for name, value in _computed(fitted, tensors[f"{PROBE}x"], codes, names).items():
        size = 1 + expected[name].abs()
        same = torch.allclose(value / size, expected[name] / size, 0.0, TOLERANCE, equal_nan=True)
        if not same:
            raise ValueError(f"other values of {name.removeprefix(PROBE)} than it was saved with")


def _u(auxiliary: AuxiliaryEncoder) -> dict[str, Any]:
    """Rows of u as a file holds them: some labels, and values between the limits of fit."""
    labels, continuous = auxiliary.labels, None
    n_rows = min(max(FEWEST, len(labels or [])), MOST)
    if auxiliary.mean is not None:
        ends = [auxiliary.low or auxiliary.mean, auxiliary.high or auxiliary.mean]
        shares = np.linspace(0.1, 0.9, n_rows)[:, None]
        continuous = ((1 - shares) * ends[0] + shares * ends[1]).tolist()
    if labels is not None:
        labels = [labels[i % len(labels)] for i in range(n_rows)]
    return {"labels": labels, "continuous": continuous}


def _said(fitted: Fitted) -> dict[str, Any]:
    """What rows are asked for by, and no output shows: names of columns, kinds and limits of u."""
    of_u = {name: v for name, v in asdict(fitted.auxiliary).items() if name not in SHOWN}
    return json.loads(json.dumps(of_u | {"columns": fitted.names or ()}))


def _codes(auxiliary: AuxiliaryEncoder, given: Mapping[str, Any]) -> Tensor:
    labels, continuous = given["labels"], given["continuous"]
    columns = Columns(
        None if labels is None else np.array(labels),
        None if continuous is None else np.array(continuous, dtype=np.float64),
        recording=auxiliary.recording,
        made_by=auxiliary.made_by,
    )
    return auxiliary.encode(columns)


def _rows(model: Any, codes: Tensor, n_features: int) -> np.ndarray[Any, Any]:
    """Rows of standardised x: draws of a model in whose support not all of them are."""
    if hasattr(model, "log_likelihood"):
        drawn: Tensor = model.draw(codes, 0)[0]
        return drawn.double().numpy(force=True)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(len(codes), n_features, generator=generator, dtype=torch.float64).numpy()


@torch.no_grad()
def _computed(
    fitted: Fitted, x: Tensor, codes: Tensor, names: tuple[str, ...] | list[str]
) -> dict[str, Tensor]:
    """What the model makes of these rows, of all that it makes."""
    rows = torch.from_numpy(fitted.scale.apply(x.numpy()))
    z = fitted.model.encode(rows, codes)
    found = {}
    for name in names:
        part, compute = OUTPUTS[name]
        if not hasattr(fitted.model, part):
            continue
        with suppress(NotImplementedError):  # as by a posterior without a variance
            found[f"{PROBE}{name}"] = compute(fitted.model, rows, codes, z).double()
    return found
