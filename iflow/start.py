"""The start of a flow: the most likely linear flow with the same prior."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from identiflow.iflow.linear import Unmixing
from identiflow.iflow.model import IdentifiableFlow
from identiflow.shared.compute.lbfgs import minimize
from identiflow.shared.inputs.rows import Rows, head
from identiflow.shared.priors.base import ConditionalPrior

# The smallest variance, as a share of the largest, that whitening makes 1.
SMALLEST_SHARE = 1e-6
# More rows than this are always enough of a label; of few columns twice as many as columns are.
ROWS_OF_A_LABEL = 30
# Together these bound the search to some seconds.
MAX_FEATURES, MAX_ROWS, ITERATIONS = 100, 20_000, 200


def start_from_linear(flow: IdentifiableFlow, x: Rows, u: Tensor, seed: int) -> None:
    """Start a flow from its linear special case, z = W x with the same prior, and fit its prior.

    W is found by maximum likelihood, which for Gaussian sources of modulated variance means
    diagonalising the covariances of all u at once. The nearly linear part of the mixing is then
    undone before the first step, and the flow learns the rest. W stays the identity if it makes
    held-out rows less likely, and for more than 100 columns, where the search would take longer
    than it saves. In a flow without an `Unmixing` only the prior is fitted.

    Args:
        flow: to be trained.
        x: standardised training rows (N, d), in random order; the first 20,000 are used.
        u: encoded, (N,) or (N, q).
        seed: of the rotation that the search starts from.

    Reference: Pham & Cardoso 2001, "Blind separation of instantaneous mixtures of nonstationary
        sources", whose likelihood this is.
    """
    unmixing = next((part for part in flow.modules() if isinstance(part, Unmixing)), None)
    if unmixing is not None and unmixing.features <= MAX_FEATURES:
        rows, codes = head(x, MAX_ROWS).double().cpu(), u[:MAX_ROWS].cpu()
        codes = codes.double() if codes.is_floating_point() else codes
        parts = (copy.deepcopy(part).double().cpu() for part in (unmixing, flow.prior))
        unmixing.set(_fit_linear(IdentifiableFlow(*parts), rows, codes, seed))
    flow.initialize_prior(x, u)


def _fit_linear(linear: IdentifiableFlow, x: Tensor, u: Tensor, seed: int) -> Tensor:
    """W of the most likely linear flow, or the present W if held-out rows prefer it."""
    unmixing, n_test = linear.bijection, max(1, len(x) // 10)
    before = unmixing.matrix.clone()
    test = x[:n_test], u[:n_test]
    x, u = _of_frequent_labels(linear.prior, x[n_test:], u[n_test:])
    if len(x) <= 2 * unmixing.features:
        return before
    linear.initialize_prior(x, u)
    loss_before = linear.loss(*test).mean()
    unmixing.set(whitening(x, torch.Generator().manual_seed(seed)))
    if linear.prior.informative:
        linear.initialize_prior(x, u)
        _maximize_likelihood(linear, x, u)
    if not linear.loss(*test).mean() < loss_before:  # true of a NaN as well
        return before
    # The scale of a latent is the prior's to say; the layers that follow expect standardised rows.
    matrix = unmixing.matrix
    return matrix / (x @ matrix.T).std(0, correction=0)[:, None]


def _of_frequent_labels(prior: ConditionalPrior, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of labels that have enough of them for a mean and a variance of each latent."""
    if prior.n_labels is None or u.ndim > 1:
        return x, u
    enough = torch.bincount(u)[u] > min(2 * x.shape[1], ROWS_OF_A_LABEL)
    return x[enough], u[enough]


def _maximize_likelihood(linear: IdentifiableFlow, x: Tensor, u: Tensor) -> None:
    matrix = linear.bijection.matrix.requires_grad_()
    parameters = [matrix, *(p for p in linear.parameters() if p.requires_grad)]
    minimize(lambda: linear.loss(x, u).mean(), parameters, ITERATIONS)
    matrix.requires_grad_(False)


def whitening(x: Tensor, generator: torch.Generator) -> Tensor:
    """A random rotation of what makes the covariance of rows x (N, d) the identity, (d, d)."""
    variances, axes = torch.linalg.eigh(torch.cov(x.T, correction=0).reshape(2 * x.shape[1:]))
    variances = variances.clamp(min=SMALLEST_SHARE * float(variances.max()))
    normal = torch.randn(len(axes), len(axes), generator=generator, dtype=x.dtype)
    return torch.linalg.qr(normal)[0] @ (axes / variances.sqrt()).T
