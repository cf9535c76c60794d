"""The true mixing f of generated data: a small invertible network with an exact inverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from identiflow.shared.inputs.arrays import AnyArray, Array

_QUANTILE_DRAWS = 2000
_QUANTILE_ENTRIES = 2_000_000  # for wide layers, fewer draws: the SVDs would take minutes


@dataclass(frozen=True)
class Activation:
    """A strictly increasing elementwise map, its inverse and its derivative, for a given slope."""

    forward: Callable[[Array, float], Array]
    inverse: Callable[[Array, float], Array]
    derivative: Callable[[Array, float], Array]


def _inverse_tanh_plus_linear(y: Array, slope: float) -> Array:
    """Solve tanh(x) + slope * x = y to machine precision.

    The map is odd, so solve for |y|. On x >= 0 it is concave and increasing, so that Newton steps
    from a point below the root rise to it and never pass it; tanh x <= min(x, 1) gives the start.
    The clip is the safeguard against rounding.
    """
    target = np.abs(y)
    lower = np.maximum(target / (1 + slope), (target - 1) / slope)
    upper = target / slope
    x = lower
    for _ in range(100):
        tanh = np.tanh(x)
        step = (target - tanh - slope * x) / (1 - tanh**2 + slope)
        x = np.clip(x + step, lower, upper)
        if np.all(np.abs(step) <= 4 * np.finfo(np.float64).eps * (1 + x)):
            break
    return np.copysign(x, y)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(
        forward=lambda x, slope: np.tanh(x) + slope * x,
        inverse=_inverse_tanh_plus_linear,
        derivative=lambda x, slope: 1 - np.tanh(x) ** 2 + slope,
    ),
    "leaky_relu": Activation(
        forward=lambda x, slope: np.where(x > 0, x, slope * x),
        inverse=lambda y, slope: np.where(y > 0, y, y / slope),
        derivative=lambda x, slope: np.where(x > 0, 1.0, slope),
    ),
}


@dataclass(frozen=True, eq=False)
class Mixing:
    """f(z): layers x <- act(x A), with the activation between layers and not after the last.

    act(x) = tanh x + slope * x, or the leaky ReLU with that negative slope. The first layer maps
    the n sources to d >= n dimensions, the others keep d, so f is injective. Where d > n, `inverse`
    is exact on the range of f and a least-squares answer (in the first layer) off it.

    Attributes:
        weights: the matrices A, of shapes (n, d), (d, d), ...; rows multiply from the left.
        activation: a key of `ACTIVATIONS`.
        slope: the slope that keeps act invertible, > 0.

    Example:
        >>> import numpy as np
        >>> f = draw_mixing(2, 2, n_layers=3, rng=np.random.default_rng(0))
        >>> z = np.array([[1.0, -2.0]])
        >>> bool(np.allclose(f.inverse(f.forward(z)), z, atol=1e-12))
        True
    """

    weights: tuple[Array, ...]
    activation: str = "tanh"
    slope: float = 0.1

    @property
    def latent_dim(self) -> int:
        """n, the number of sources."""
        return int(self.weights[0].shape[0])

    @property
    def observed_dim(self) -> int:
        """d, the number of mixed dimensions."""
        return int(self.weights[-1].shape[1])

    def forward(self, z: Array) -> Array:
        """Mix: x = f(z); (..., n) -> (..., d)."""
        return self._run(z)[0]

    def inverse(self, x: Array) -> Array:
        """Unmix: z = f^-1(x); (..., d) -> (..., n). Each layer costs O(d^3), and O(d^2) a row."""
        act = ACTIVATIONS[self.activation]
        for weight in self.weights[:0:-1]:
            x = act.inverse(_solve_right(x, weight), self.slope)
        return _solve_right(x, self.weights[0])

    def jacobian(self, z: Array) -> Array:
        """Return J_f(z) with entries d x_j / d z_i at [..., j, i]; shape (..., d, n)."""
        _, slopes = self._run(z)
        jac = np.broadcast_to(self.weights[0].T, (*z.shape[:-1], *self.weights[0].T.shape))
        for weight, slope in zip(self.weights[1:], slopes, strict=True):
            jac = weight.T @ (slope[..., None] * jac)
        return jac

    def logabsdet(self, z: Array) -> Array:
        """Return log |det J_f(z)| in nats; (..., n) -> (...,).

        Raises:
            ValueError: if d > n, where J_f is not square.
        """
        if self.observed_dim != self.latent_dim:
            raise ValueError(
                f"Expected a mixing with d = n; got d = {self.observed_dim} and n = "
                f"{self.latent_dim}, whose Jacobian is not square. Use `jacobian` instead."
            )
        _, slopes = self._run(z)
        constant = sum(np.linalg.slogdet(weight)[1] for weight in self.weights)
        return sum((np.log(s).sum(axis=-1) for s in slopes), np.full(z.shape[:-1], constant))

    def _run(self, z: Array) -> tuple[Array, list[Array]]:
        """f(z), and the derivative of every activation on the way."""
        act = ACTIVATIONS[self.activation]
        x, slopes = z @ self.weights[0], []
        for weight in self.weights[1:]:
            slopes.append(act.derivative(x, self.slope))
            x = act.forward(x, self.slope) @ weight
        return x, slopes


def draw_mixing(
    latent_dim: int,
    observed_dim: int,
    *,
    n_layers: int,
    rng: np.random.Generator,
    activation: str = "tanh",
    slope: float | None = None,
) -> Mixing:
    """Draw the matrices of a `Mixing` by the protocol of the nonlinear-ICA papers.

    Entries are uniform on [-1, 1], columns have unit norm, and a matrix is redrawn until its
    condition number is at most the 25% quantile of the condition numbers of such matrices
    (estimated from 2,000 draws; from fewer where a layer has more than 1,000 entries).

    Args:
        latent_dim: n.
        observed_dim: d >= n.
        n_layers: number of matrices, >= 1; one gives a linear mixing.
        rng: the generator the matrices come from.
        activation: "tanh" or "leaky_relu".
        slope: see `Mixing`; 0.1 by default.
    """
    shapes = [(latent_dim, observed_dim)] + [(observed_dim, observed_dim)] * (n_layers - 1)
    limits = {shape: _condition_quantile(shape, rng) for shape in dict.fromkeys(shapes)}
    weights = tuple(_draw_matrix(shape, limits[shape], rng) for shape in shapes)
    return Mixing(weights, activation, 0.1 if slope is None else slope)


def _draw_matrices(n_matrices: int, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    matrices = rng.uniform(-1.0, 1.0, (n_matrices, *shape))
    return matrices / np.linalg.norm(matrices, axis=1, keepdims=True)


def _condition_quantile(shape: tuple[int, int], rng: np.random.Generator) -> float:
    draws = min(_QUANTILE_DRAWS, max(20, _QUANTILE_ENTRIES // (shape[0] * shape[1])))
    return float(np.quantile(np.linalg.cond(_draw_matrices(draws, shape, rng)), 0.25))


def _draw_matrix(shape: tuple[int, int], limit: float, rng: np.random.Generator) -> Array:
    while True:
        matrix = _draw_matrices(1, shape, rng)[0]
        # the tolerance is for one source, where every condition number is 1 up to rounding
        if np.linalg.cond(matrix) <= limit * (1 + 1e-9):
            return matrix


def _solve_right(x: Array, weight: Array) -> AnyArray:
    """The y with y @ weight = x (least squares where weight is wide)."""
    if weight.shape[0] == weight.shape[1]:
        return np.linalg.solve(weight.T, x.reshape(-1, x.shape[-1]).T).T.reshape(x.shape)
    return x @ np.linalg.pinv(weight)
