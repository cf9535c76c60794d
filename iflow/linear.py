"""Linear bijections, and the most likely linear flow, which a flow starts from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from identiflow.iflow.model import IdentifiableFlow
from identiflow.iflow.transforms import Bijection
from identiflow.shared.inputs.rows import Rows, head
from identiflow.shared.priors.base import ConditionalPrior
from identiflow.shared.priors.fitting import minimize

# Each of the factors on the diagonal of an LU layer stays within exp(± this).
LOG_DIAGONAL_BOUND = log(1e3)

# A step of training changes all entries of a matrix alike, and so what a row becomes by d times as
# much. With more columns than this an entry counts for less, and a step moves z no further.
COLUMNS_OF_A_FULL_STEP = 20

# The smallest variance, as a share of the largest, that whitening makes 1.
SMALLEST_SHARE = 1e-6
# More rows than this are always enough of a label; of few columns twice as many as columns are.
ROWS_OF_A_LABEL = 30
# Together these bound the search to some seconds.
MAX_FEATURES, MAX_ROWS, ITERATIONS = 100, 20_000, 200


class LULinear(Bijection):
    """z = L U x + b with L unit lower and U upper triangular, the diagonal of U positive.

    Costs O(d²) for a row in both directions. The diagonal stays within exp(± log 1000), so the
    map cannot become singular. With `volume_preserving` its product is 1.

    One matrix holds all of it: L below its diagonal, U above, and what U's diagonal is made of on
    it. Off the diagonal its entries are multiplied by min(1, 20 / d), without which no learning
    rate suits both few columns and many.
    """

    below: Tensor
    eye: Tensor

    def __init__(self, features: int, *, volume_preserving: bool = False) -> None:
        super().__init__(features)
        self.volume_preserving = volume_preserving
        share = min(1.0, COLUMNS_OF_A_FULL_STEP / features)
        factors = 0.1 / features**0.5 / share * torch.randn(features, features)
        self.factors = nn.Parameter(factors.fill_diagonal_(0))
        self.bias = nn.Parameter(torch.zeros(features))
        # Constants, because making them anew would take as long as the product itself.
        shares = torch.full_like(factors, share)
        self.register_buffer("below", shares.tril(-1), persistent=False)
        self.register_buffer("eye", torch.eye(features), persistent=False)

    @property
    def raw_diagonal(self) -> Tensor:
        """The logarithm of U's diagonal before it is bounded, (d,)."""
        return self.factors.diagonal()

    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        log_diagonal = LOG_DIAGONAL_BOUND * torch.tanh(self.raw_diagonal / LOG_DIAGONAL_BOUND)
        if self.volume_preserving:
            log_diagonal = log_diagonal - log_diagonal.mean()
        lower = torch.addcmul(self.eye, self.factors, self.below)
        upper = torch.addcmul(self.factors * self.below.T, self.eye, log_diagonal.exp())
        return lower, upper, log_diagonal.sum()

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper, logabsdet = self._factors()
        z = torch.addmm(self.bias[:, None], lower @ upper, x.T).T
        return z, logabsdet.expand(x.shape[0])

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper, logabsdet = self._factors()
        centred = (z - self.bias).T
        half = torch.linalg.solve_triangular(lower, centred, upper=False, unitriangular=True)
        x = torch.linalg.solve_triangular(upper, half, upper=True).T
        return x, -logabsdet.expand(z.shape[0])


class Unmixing(Bijection):
    """z = W x, with a matrix W that is data: training leaves it as it is.

    It is the identity until `start_from_linear` sets it. With `volume_preserving` log |det W| = 0.
    """

    matrix: Tensor

    def __init__(self, features: int, *, volume_preserving: bool = False) -> None:
        super().__init__(features)
        self.volume_preserving = volume_preserving
        self.register_buffer("matrix", torch.eye(features))

    @torch.no_grad()
    def set(self, matrix: Tensor) -> None:
        """Make W this matrix (d, d)."""
        self.matrix.copy_(matrix)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        matrix, logabsdet = self._map()
        return x @ matrix.T, logabsdet.expand(x.shape[0])

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        matrix, logabsdet = self._map()
        return torch.linalg.solve(matrix, z.T).T, -logabsdet.expand(z.shape[0])

    def _map(self) -> tuple[Tensor, Tensor]:
        """W and log |det W|."""
        logabsdet = torch.linalg.slogdet(self.matrix)[1]
        if not self.volume_preserving:
            return self.matrix, logabsdet
        return self.matrix * (-logabsdet / self.features).exp(), torch.zeros_like(logabsdet)


class Permutation(Bijection):
    """z = x[:, order], with a fixed order of the columns; log |det J| = 0.

    Raises:
        ValueError: if `order` is not a permutation of 0 … d − 1.
    """

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__(len(order))
        columns = [int(column) for column in order]  # no tensor: on "meta" they have no values
        if sorted(columns) != list(range(len(columns))):
            raise ValueError(
                f"Expected order to hold each of 0 … {len(columns) - 1} once; got {list(order)}."
            )
        self.register_buffer("order", torch.tensor(columns))

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, self.order], x.new_zeros(x.shape[0])

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z[:, self.order.argsort()], z.new_zeros(z.shape[0])


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
