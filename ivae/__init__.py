"""Identifiable VAEs for noisy, undercomplete and discrete x: front end 2."""

from identiflow.ivae.decoders import MLPDecoder
from identiflow.ivae.encoders import MLPEncoder
from identiflow.ivae.estimator import IVAE
from identiflow.ivae.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    Likelihood,
    PoissonLikelihood,
)
from identiflow.ivae.model import IdentifiableVAE
from identiflow.ivae.objectives import elbo, elbo_terms, estimate_log_prob, iw_bound, weighted_elbo
from identiflow.ivae.special_case import from_flow, noise_free, noisy_model
from identiflow.ivae.start import start_from_flow

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
    "noise_free",
    "noisy_model",
    "start_from_flow",
    "weighted_elbo",
]
