"""Linear bijections: an LU-factorised matrix, a matrix that is data, and a fixed permutation."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from identiflow.iflow.transforms import Bijection

# Each of the factors on the diagonal of an LU layer stays within exp(± this).
LOG_DIAGONAL_BOUND = log(1e3)

# A step of training changes all entries of a matrix alike, and so what a row becomes by d times as
# much. With more columns than this an entry counts for less, and a step moves z no further.
COLUMNS_OF_A_FULL_STEP = 20


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
