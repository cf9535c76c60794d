"""The base of all likelihoods p(x | z); the kinds of it are in `likelihoods.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Distribution, Independent
from typing_extensions import Self

from identiflow.shared.inputs.remarks import row_number


class Likelihood(nn.Module, ABC):
    """p(x | z) = Π_j p(x_j | parameters_j(z)), factorised over the d dimensions of x.

    Densities are in nats: of x_j as a real number if `continuous`, otherwise probabilities of its
    values.

    To add one, write a class with `forward`, `sample`, `_in_support` and the words `support` and
    `advice` of its error message, and override `features` or `mean` where x as it is, or the mean
    of `forward`, will not do. Enter it in `LIKELIHOODS` of likelihoods.py for estimators to know it
    by name, and in `LIKELIHOODS` of tests/ivae/test_likelihoods.py, where every law runs on it.

    Attributes:
        observed_dim: d.
        n_parameters: outputs of the decoder for each dimension of x.
        continuous: x is real-valued, so it may be standardised before fitting.
        option_names: arguments of the constructor besides d that `of` hands on.
        support: the values that x may have, in words.
        advice: for users whose x has others.
    """

    n_parameters: int = 1
    continuous: ClassVar[bool] = False
    option_names: ClassVar[tuple[str, ...]] = ()
    support: str
    advice: str

    def __init__(self, observed_dim: int) -> None:
        super().__init__()
        self.observed_dim = observed_dim

    @classmethod
    def of(cls, observed_dim: int, **options: Any) -> Self:
        """One for x of d columns, with those of the options that this class has.

        Args:
            observed_dim: d.
            **options: all that an estimator knows: noise_std, learn and n_categories.
        """
        return cls(observed_dim, **{name: options[name] for name in cls.option_names})

    @classmethod
    def count_categories(cls, x: NDArray[Any]) -> int:
        """The number of categories in x (N, d); 0 for a likelihood that has none."""
        return 0

    @abstractmethod
    def forward(self, parameters: Tensor) -> Distribution:
        """p(x | z), event shape (d,), for the decoder's outputs (..., d * n_parameters)."""

    @abstractmethod
    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw of x, shape (..., d), in the dtype of the parameters and without gradient."""

    @abstractmethod
    def _in_support(self, x: Tensor) -> Tensor:
        """True for the entries of x that can be observed at all, the shape of x."""

    def _advice_on(self, value: Tensor) -> str:
        """What to do about a value that is not in the support."""
        return self.advice

    @property
    def parameter_dim(self) -> int:
        """Number of outputs the decoder has, d * n_parameters."""
        return self.observed_dim * self.n_parameters

    @property
    def feature_dim(self) -> int:
        """Width of `features(x)`."""
        return self.observed_dim

    def mean(self, parameters: Tensor) -> Tensor:
        """E[x | z], shape (..., d)."""
        return self(parameters).mean

    def features(self, x: Tensor) -> Tensor:
        """x as an encoder should be given it, (B, d) → (B, feature_dim)."""
        return x

    def check(self, x: Tensor, first_row: int = 0) -> None:
        """Refuse values that the likelihood gives no probability.

        Args:
            x: (N, d).
            first_row: the number of its first row, where x is a part of something.

        Raises:
            ValueError: if x is not (N, d), or has entries outside the support.
        """
        if x.ndim != 2 or x.shape[1] != self.observed_dim:
            raise ValueError(
                f"Expected x of shape (N, {self.observed_dim}); got {tuple(x.shape)}. Pass the "
                "columns that the model was built for."
            )
        outside = ~self._in_support(x)
        if outside.any():
            row, column = outside.nonzero()[0].tolist()
            others = f", and {more} more such entries" if (more := int(outside.sum()) - 1) else ""
            raise ValueError(
                f"Expected x with {self.support} for {type(self).__name__}; got "
                f"{x[row, column].item():g} in row {row_number(first_row + row)}, column {column} "
                f"(columns count from 0){others}. {self._advice_on(x[row, column])}"
            )


def factorised(distribution: Distribution) -> Independent:
    """The d distributions of the last dimension as one, event shape (d,)."""
    return Independent(distribution, 1, validate_args=False)
