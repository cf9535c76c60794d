"""Training of either front end, and safe files."""

from shared.training.checkpoint import FileFormatError, check_folder, load_tensors, save_tensors
from shared.training.fit import fit
from shared.training.history import History
from shared.training.run import DivergedError
from shared.training.start import fit_start

__all__ = [
    "DivergedError",
    "FileFormatError",
    "History",
    "check_folder",
    "fit",
    "fit_start",
    "load_tensors",
    "save_tensors",
]
