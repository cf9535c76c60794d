"""Columns of x that a value of u says all of, and those that it does not."""

from __future__ import annotations

import numpy as np
import pytest

from identiflow.shared.inputs.density import Observed, check_density

X = np.random.default_rng(0).standard_normal((1000, 3))


@pytest.mark.parametrize("shift", [0.0, 100.0, -1e4])
def test_a_column_is_one_of_u_wherever_both_are(shift: float) -> None:
    """Far from 0 two columns are not alike because they are far from it."""
    u = np.random.default_rng(1).standard_normal((1000, 1)) + shift
    check_density(Observed(X + shift, continuous=u))
    with pytest.raises(ValueError, match="column 3, which is a linear function of column 0 of u"):
        check_density(Observed(np.c_[X, 2 - 3 * u] + shift, continuous=u))
