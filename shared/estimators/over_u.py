"""A fitted model answers for values of u other than the observed one, by Bayes' rule.

Functions of a `Fitted`, of checked rows and of encoded u. Densities are in nats, of x as it was
given.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.compute.random import generator
from identiflow.shared.estimators.fitted import Fitted
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.rows import Rows


def log_density(
    fitted: Fitted, rows: Rows, codes: Tensor, *, seed: int = 0, **options: Any
) -> Array:
    """log p(x | u) of standardised rows, (N,), or a bound on it whose draws come from `seed`."""
    return _log_density(fitted, rows, codes, seed=seed, **options) + fitted.scale.log_jacobian


def log_marginal(fitted: Fitted, rows: Rows, **options: Any) -> Array:
    """log Σ_u p(u) p(x | u) of every row, (N,); label by label, so that memory is that of one."""
    total = reduce(np.logaddexp, _of_labels(fitted, rows, **options))
    return total + fitted.scale.log_jacobian


def log_joint(fitted: Fitted, rows: Rows, **options: Any) -> Tensor:
    """log p(x, u) of standardised x for every label u, (N, K), without the Jacobian of the scale.

    The prior probability of a label is its share of the rows of fit.

    Raises:
        ValueError: if fit has seen a u that is not labels alone, or there are no rows.
    """
    return torch.from_numpy(np.stack(list(_of_labels(fitted, rows, **options)), axis=1))


def _of_labels(fitted: Fitted, rows: Rows, **options: Any) -> Iterator[Array]:
    """log p(x, u) of every row, (N,), for one label u after another."""
    shares = fitted.auxiliary.shares
    if shares is None or not fitted.model.prior.informative:
        got = "no u" if shares is not None else "continuous values"
        raise ValueError(
            "Expected an estimator fitted with labels as u, which can be summed over; got one "
            f"fitted with {got}. Pass u to log_prob."
        )
    if not len(rows):
        raise ValueError("Expected x with at least 1 row; got 0. Leave the call out.")
    of_labels = _exact_of_labels if fitted.model.exact else _bounds_of_labels
    for share, density in zip(shares, of_labels(fitted, rows, len(shares), **options), strict=True):
        yield density + np.log(share)


def transported(fitted: Fitted, latents: Array, codes: Tensor, new: Tensor) -> Array:
    """The latents (N, n) that have the quantiles under `new` which these have under `codes`."""
    return in_chunks(fitted.model.prior.transport, torch.from_numpy(latents), codes, new)


def _log_density(
    fitted: Fitted, rows: Rows, codes: Tensor, *, seed: int = 0, **options: Any
) -> Array:
    if fitted.model.exact:
        return in_chunks(fitted.model.log_density, rows, codes)
    return bound(fitted, "log_density", rows, codes, seed=seed, **options)


def bound(
    fitted: Fitted, name: str, rows: Rows, codes: Tensor, *, seed: int = 0, **options: Any
) -> Array:
    """A method of the model that draws, from one generator for all rows, (N,)."""
    method, noise = getattr(fitted.model, name), generator(seed)
    return in_chunks(lambda *chunk: method(*chunk, generator=noise, **options), rows, codes)


def _bounds_of_labels(fitted: Fitted, rows: Rows, n_labels: int, **options: Any) -> Iterator[Array]:
    """log p(x | u) of every row, (N,), under one label after another."""
    for code in _codes(n_labels, len(rows)):
        yield _log_density(fitted, rows, code, **options)


def _exact_of_labels(fitted: Fitted, rows: Rows, n_labels: int, **options: Any) -> Iterator[Array]:
    """The same of a flow: only the prior sees u, so one pass through g is enough."""
    z = torch.from_numpy(in_chunks(fitted.model.encode, rows))
    first, *_ = codes = _codes(n_labels, len(z))
    volume = _log_density(fitted, rows, first) - in_chunks(fitted.model.prior.log_prob, z, first)
    for code in codes:
        yield in_chunks(fitted.model.prior.log_prob, z, code) + volume


def _codes(n_labels: int, n_rows: int) -> Tensor:
    return torch.from_numpy(np.arange(n_labels))[:, None].expand(-1, n_rows)
