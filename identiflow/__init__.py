"""Identifiable flows and identifiable VAEs: `from identiflow import IFlow, IVAE`.

What is exported here is imported when it is first asked for, so that `import identiflow` is light.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from identiflow.iflow import IdentifiableFlow, IFlow
    from identiflow.ivae import IVAE, IdentifiableVAE, from_flow
    from identiflow.shared.auxiliary import (
        Continuous,
        Fourier,
        History,
        Labels,
        Mixed,
        TimeSegments,
    )
    from identiflow.shared.datasets import nonstationary_sources
    from identiflow.shared.estimators.export import export_program
    from identiflow.shared.identifiability import IdentifiabilityReport, IdentifiabilityWarning
    from identiflow.shared.inputs.density import DensityWarning
    from identiflow.shared.inputs.remarks import InputWarning
    from identiflow.shared.metrics import agreement, chance_level, mean_corr_coef
    from identiflow.shared.training import DivergedError, Ensemble, fit_ensemble

__all__ = [
    "IVAE",
    "Continuous",
    "DensityWarning",
    "DivergedError",
    "Ensemble",
    "Fourier",
    "History",
    "IFlow",
    "IdentifiabilityReport",
    "IdentifiabilityWarning",
    "IdentifiableFlow",
    "IdentifiableVAE",
    "InputWarning",
    "Labels",
    "Mixed",
    "TimeSegments",
    "agreement",
    "chance_level",
    "export_program",
    "fit_ensemble",
    "from_flow",
    "mean_corr_coef",
    "nonstationary_sources",
]

# Which names each of these modules supplies.
SOURCES = {
    "iflow": ("IFlow", "IdentifiableFlow"),
    "ivae": ("IVAE", "IdentifiableVAE", "from_flow"),
    "shared.auxiliary": ("Continuous", "Fourier", "History", "Labels", "Mixed", "TimeSegments"),
    "shared.datasets": ("nonstationary_sources",),
    "shared.estimators.export": ("export_program",),
    "shared.identifiability": ("IdentifiabilityReport", "IdentifiabilityWarning"),
    "shared.inputs.density": ("DensityWarning",),
    "shared.inputs.remarks": ("InputWarning",),
    "shared.metrics": ("agreement", "chance_level", "mean_corr_coef"),
    "shared.training": ("DivergedError", "Ensemble", "fit_ensemble"),
}
MODULE_OF = {name: module for module, names in SOURCES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in MODULE_OF:
        value = getattr(import_module(f"identiflow.{MODULE_OF[name]}"), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("identiflow")
    else:
        raise AttributeError(f"module 'identiflow' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULE_OF, "__version__"})


if not (Path(__file__).parent / "iflow").is_dir():
    # A checkout, whose packages lie beside this one; installed, they lie in it.
    from identiflow.checkout import lay_out

    lay_out(Path(__file__).resolve().parents[1], __path__)
