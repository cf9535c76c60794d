"""Training of either front end, and safe files."""

from identiflow.shared.files import (
    FileFormatError,
    check_folder,
    kind_of,
    load_tensors,
    save_tensors,
)
from identiflow.shared.training.ensemble import Ensemble, fit_ensemble
from identiflow.shared.training.fit import Plan, fit, fit_together, run_plans
from identiflow.shared.training.history import History
from identiflow.shared.training.stage import Stage, start_stage
from identiflow.shared.training.training import DivergedError

__all__ = [
    "DivergedError",
    "Ensemble",
    "FileFormatError",
    "History",
    "Plan",
    "Stage",
    "check_folder",
    "fit",
    "fit_ensemble",
    "fit_together",
    "kind_of",
    "load_tensors",
    "run_plans",
    "save_tensors",
    "start_stage",
]
