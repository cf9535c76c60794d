"""Conditional priors p(z | u), one family a file."""

from identiflow.shared.priors.base import ConditionalPrior
from identiflow.shared.priors.exponential_family import ExponentialFamilyPrior
from identiflow.shared.priors.gaussian import GaussianPrior, UnconditionalPrior
from identiflow.shared.priors.laplace import LaplacePrior
from identiflow.shared.priors.mixture import MixturePrior

__all__ = [
    "ConditionalPrior",
    "ExponentialFamilyPrior",
    "GaussianPrior",
    "LaplacePrior",
    "MixturePrior",
    "UnconditionalPrior",
]
