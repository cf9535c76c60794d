"""Conditional priors p(z | u), one family a file."""

from shared.priors.base import ConditionalPrior
from shared.priors.exponential_family import ExponentialFamilyPrior
from shared.priors.gaussian import GaussianPrior, UnconditionalPrior
from shared.priors.laplace import LaplacePrior
from shared.priors.mixture import MixturePrior

__all__ = [
    "ConditionalPrior",
    "ExponentialFamilyPrior",
    "GaussianPrior",
    "LaplacePrior",
    "MixturePrior",
    "UnconditionalPrior",
]
