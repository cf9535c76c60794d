"""Likelihoods p(x | z), one class for each kind of data, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Distribution, Normal, Poisson

from identiflow.ivae.likelihood import Likelihood, factorised
from identiflow.shared.compute.networks import bounded_exp, inverse_bounded_exp
from identiflow.shared.inputs.remarks import remark

LOG_NOISE_BOUND = log(1e3)
LOG_RATE_BOUND = log(1e6)
MAX_COUNT = 500_000  # no rate near the bound is needed for it
NOISE_MODES = ("fixed", "scalar", "per_dimension")


class GaussianLikelihood(Likelihood):
    """x_j = f_j(z) + ε_j, ε_j ~ N(0, σ_j²): equation (6) with Gaussian noise.

    A learned σ stays within [1e-3, 1e3], smoothly; in units of standardised x the lower bound is a
    thousandth of the spread of x. Without it the density of noiseless data would have no maximum.

    Reference: Khemakhem et al. 2020, equations (5) and (6).

    Example:
        >>> import torch
        >>> likelihood = GaussianLikelihood(3, noise_std=0.5, learn="fixed")
        >>> likelihood(torch.zeros(4, 3)).log_prob(torch.zeros(4, 3)).shape
        torch.Size([4])
        >>> likelihood.noise_std
        tensor([0.5000, 0.5000, 0.5000])

    Args:
        observed_dim: d.
        noise_std: σ, one number or d of them; where it starts, if it is learned (better too large).
        learn: "fixed", "scalar" (one σ for all dimensions) or "per_dimension".

    Raises:
        ValueError: for an unknown `learn`, a σ that is not positive, or a wrong number of them.
    """

    continuous: ClassVar[bool] = True
    option_names = ("noise_std", "learn")
    support = "finite real numbers"
    advice = "Drop or impute those rows."
    fixed_noise_std: Tensor

    def __init__(
        self,
        observed_dim: int,
        noise_std: float | Sequence[float] = 0.3,
        *,
        learn: str = "per_dimension",
    ) -> None:
        super().__init__(observed_dim)
        if learn not in NOISE_MODES:
            raise ValueError(f"Expected learn to be one of {NOISE_MODES}; got {learn!r}.")
        self.learn = learn
        std = _noise_vector(noise_std, 1 if learn == "scalar" else observed_dim)
        if learn == "fixed":
            self.register_buffer("fixed_noise_std", std)
        else:
            self.raw_noise_std = nn.Parameter(inverse_bounded_exp(std, LOG_NOISE_BOUND))

    @property
    def noise_std(self) -> Tensor:
        """σ, shape (d,)."""
        if self.learn == "fixed":
            return self.fixed_noise_std
        return bounded_exp(self.raw_noise_std, LOG_NOISE_BOUND).expand(self.observed_dim)

    def forward(self, parameters: Tensor) -> Distribution:
        return factorised(Normal(parameters, self.noise_std, validate_args=False))

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters

    @torch.no_grad()
    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(
            parameters.shape, generator=generator, dtype=parameters.dtype, device=parameters.device
        )
        return parameters + self.noise_std * noise

    def _in_support(self, x: Tensor) -> Tensor:
        return x.isfinite()


class BernoulliLikelihood(Likelihood):
    """x_j ∈ {0, 1}, P(x_j = 1) = sigmoid(parameters_j).

    Example:
        >>> import torch
        >>> BernoulliLikelihood(2)(torch.zeros(2)).log_prob(torch.tensor([0.0, 1.0])).exp()
        tensor(0.2500)
    """

    support = "the values 0 and 1"
    advice = "Binarise x, or choose another likelihood."

    def forward(self, parameters: Tensor) -> Distribution:
        return factorised(Bernoulli(logits=parameters, validate_args=False))

    @torch.no_grad()
    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return torch.bernoulli(parameters.sigmoid(), generator=generator)

    def features(self, x: Tensor) -> Tensor:
        """2 x − 1, centred."""
        return 2 * x - 1

    def _in_support(self, x: Tensor) -> Tensor:
        return (x == 0) | (x == 1)


class PoissonLikelihood(Likelihood):
    """x_j ∈ {0, 1, 2, ...}, with log-rate parameters_j.

    The link is exp, bent smoothly to keep rates within [1e-6, 1e6] whatever the decoder says;
    softplus would let a rate underflow to 0, where a positive count has no finite gradient.

    Example:
        >>> import torch
        >>> PoissonLikelihood(1).mean(torch.tensor([[0.0], [-1000.0]]))
        tensor([[1.0000e+00],
                [1.0000e-06]])
    """

    support = f"counts 0, 1, 2, ..., {MAX_COUNT}"
    advice = "Pass raw counts, neither scaled nor logged, or choose another likelihood."
    advice_on_large = (
        "Counts this large are as good as measurements: pass their logarithms with "
        "likelihood='gaussian'."
    )

    def forward(self, parameters: Tensor) -> Distribution:
        return factorised(Poisson(bounded_exp(parameters, LOG_RATE_BOUND), validate_args=False))

    @torch.no_grad()
    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return torch.poisson(bounded_exp(parameters, LOG_RATE_BOUND), generator=generator)

    def features(self, x: Tensor) -> Tensor:
        """log(1 + x), since counts can span decades."""
        return x.log1p()

    def _advice_on(self, value: Tensor) -> str:
        large = MAX_COUNT < value < inf and value == value.round()
        return self.advice_on_large if large else self.advice

    def _in_support(self, x: Tensor) -> Tensor:
        return (x >= 0) & (x <= MAX_COUNT) & (x == x.round())


class CategoricalLikelihood(Likelihood):
    """x_j ∈ {0, ..., C − 1}, P(x_j = c) = softmax_c(parameters_j).

    The C logits of a dimension stand next to each other in the decoder's output. The categories
    have no order, so `mean`, the expected code, says little unless yours do: `probabilities` does.

    Example:
        >>> import torch
        >>> likelihood = CategoricalLikelihood(2, n_categories=4)
        >>> likelihood(torch.zeros(5, 8)).log_prob(torch.zeros(5, 2)).exp()[0]
        tensor(0.0625)

    Args:
        observed_dim: d.
        n_categories: C, the same for all dimensions.

    Raises:
        ValueError: if n_categories is below 2.
    """

    option_names = ("n_categories",)

    def __init__(self, observed_dim: int, n_categories: int) -> None:
        super().__init__(observed_dim)
        if n_categories < 2:
            raise ValueError(f"Expected n_categories of at least 2; got {n_categories}.")
        self.n_parameters = n_categories
        self.support = f"category codes 0, ..., {n_categories - 1}"
        self.advice = "Encode the categories as integers, or pass a larger n_categories."

    @classmethod
    def count_categories(cls, x: NDArray[Any]) -> int:
        """One more than the largest code in x (N, d), and at least 2.

        Raises:
            ValueError: if that is more than the entries of x, so that codes cannot be without gaps.
        """
        n_categories = max(2, int(x.max()) + 1)
        if n_categories > x.size:
            raise ValueError(
                f"Expected x with category codes 0, 1, 2, ...; got the code {x.max():g} among "
                f"{x.size} entries. Number the categories without gaps, or choose another "
                "likelihood."
            )
        _remark_gaps(np.unique(x), n_categories)
        return n_categories

    @property
    def feature_dim(self) -> int:
        """d * C."""
        return self.parameter_dim

    def forward(self, parameters: Tensor) -> Distribution:
        return factorised(Categorical(logits=self._by_category(parameters), validate_args=False))

    def probabilities(self, parameters: Tensor) -> Tensor:
        """P(x_j = c | z), shape (..., d, C)."""
        return self._by_category(parameters).softmax(-1)

    def mean(self, parameters: Tensor) -> Tensor:
        """E[code], shape (..., d)."""
        codes = torch.arange(self.n_parameters, dtype=parameters.dtype, device=parameters.device)
        return self.probabilities(parameters) @ codes

    @torch.no_grad()
    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        probabilities = self.probabilities(parameters)
        codes = torch.multinomial(probabilities.flatten(0, -2), 1, generator=generator)
        return codes.reshape(probabilities.shape[:-1]).to(parameters.dtype)

    def features(self, x: Tensor) -> Tensor:
        """One indicator for each category of each dimension, (B, d * C)."""
        categories = torch.arange(self.n_parameters, device=x.device)
        return (x.unsqueeze(-1) == categories).flatten(-2).to(x.dtype)

    def _in_support(self, x: Tensor) -> Tensor:
        return (x >= 0) & (x < self.n_parameters) & (x == x.round())

    def _by_category(self, parameters: Tensor) -> Tensor:
        return parameters.unflatten(-1, (self.observed_dim, self.n_parameters))


def _noise_vector(noise_std: float | Sequence[float], size: int) -> Tensor:
    try:
        std = torch.as_tensor(noise_std, dtype=torch.get_default_dtype(), device="cpu")
    except (TypeError, ValueError, RuntimeError):  # no numbers
        std = torch.zeros(())
    if std.numel() not in (1, size) or not bool((std > 0).all()):
        raise ValueError(
            f"Expected noise_std to be a positive number, or {size} of them; got {noise_std!r}. "
            "It is in the units of x as the model sees it."
        )
    return std.reshape(-1).expand(size).clone()


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": GaussianLikelihood,
    "bernoulli": BernoulliLikelihood,
    "poisson": PoissonLikelihood,
    "categorical": CategoricalLikelihood,
}


def _remark_gaps(codes: NDArray[Any], n_categories: int) -> None:
    """Warn of categories that no cell has: draws have them, and nats are lost to them."""
    missing = sorted(set(range(n_categories)) - set(map(int, codes)))
    if missing and len(codes) > 1:
        few = ", ".join(map(str, missing[:4])) + (", ..." if len(missing) > 4 else "")
        code = f", and drop cells whose code, such as {int(codes[-1])}, says that nothing was said"
        remark(
            f"{len(missing)} of the {n_categories} categories 0 to {n_categories - 1} are in no "
            f"cell of x: {few}. Unless they may come later, number those that there are from 0, "
            f"without gaps{code if len(missing) > len(codes) else ''}."
        )
