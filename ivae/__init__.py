"""Identifiable VAEs for noisy, undercomplete and discrete x: front end 2."""

from ivae.decoders import MLPDecoder
from ivae.encoders import MLPEncoder
from ivae.estimator import IVAE
from ivae.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    Likelihood,
    PoissonLikelihood,
)
from ivae.model import IdentifiableVAE
from ivae.objectives import elbo, elbo_terms, estimate_log_prob, iw_bound, weighted_elbo
from ivae.special_case import from_flow, noisy_model, start_from_flow

__all__ = [
    "IVAE",
    "BernoulliLikelihood",
    "CategoricalLikelihood",
    "GaussianLikelihood",
    "IdentifiableVAE",
    "Likelihood",
    "MLPDecoder",
    "MLPEncoder",
    "PoissonLikelihood",
    "elbo",
    "elbo_terms",
    "estimate_log_prob",
    "from_flow",
    "iw_bound",
    "noisy_model",
    "start_from_flow",
    "weighted_elbo",
]
