"""Exact-likelihood identifiable flows: front end 1, built on nflows."""

from identiflow.iflow.architectures import (
    ARCHITECTURES,
    affine_coupling_flow,
    autoregressive_flow,
    spline_coupling_flow,
    volume_preserving_flow,
)
from identiflow.iflow.estimator import IFlow
from identiflow.iflow.linear import LULinear, Permutation, Unmixing, start_from_linear
from identiflow.iflow.model import IdentifiableFlow
from identiflow.iflow.transforms import (
    AffineCoupling,
    Composition,
    Coupling,
    MaskedAutoregressive,
    SplineCoupling,
    VolumePreservingCoupling,
)

__all__ = [
    "ARCHITECTURES",
    "AffineCoupling",
    "Composition",
    "Coupling",
    "IFlow",
    "IdentifiableFlow",
    "LULinear",
    "MaskedAutoregressive",
    "Permutation",
    "SplineCoupling",
    "Unmixing",
    "VolumePreservingCoupling",
    "affine_coupling_flow",
    "autoregressive_flow",
    "spline_coupling_flow",
    "start_from_linear",
    "volume_preserving_flow",
]
