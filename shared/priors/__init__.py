"""Conditional priors p(z | u), one family a file."""

from identiflow.shared.priors.base import ConditionalPrior
from identiflow.shared.priors.exponential_family import ExponentialFamilyPrior
from identiflow.shared.priors.gaussian import GaussianPrior, UnconditionalPrior
from identiflow.shared.priors.laplace import LaplacePrior
from identiflow.shared.priors.mixture import MixturePrior
from identiflow.shared.priors.parameters import Conditioning
from identiflow.shared.priors.quantiles import LocationScale, LogOdds, Quantiles

__all__ = [
    "ConditionalPrior",
    "Conditioning",
    "ExponentialFamilyPrior",
    "GaussianPrior",
    "LaplacePrior",
    "LocationScale",
    "LogOdds",
    "MixturePrior",
    "Quantiles",
    "UnconditionalPrior",
]
