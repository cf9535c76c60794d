"""Estimators: from an array to a fitted model, and what is asked of it then."""

from __future__ import annotations

from identiflow.shared.estimators.base import Estimator
from identiflow.shared.estimators.fitted import Fitted, NotFittedError
from identiflow.shared.estimators.identifiable import IdentifiableEstimator

__all__ = ["Estimator", "Fitted", "IdentifiableEstimator", "NotFittedError"]
