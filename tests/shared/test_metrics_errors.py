"""The metrics refuse bad input and name the argument, what was expected and what came."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from identiflow.shared.metrics import (
    Matching,
    agreement,
    chance_level,
    linear_mean_corr_coef,
    mean_corr_coef,
    mean_r2,
    within_group_mean_corr_coef,
)

N, D = 3000, 4
Z = np.random.default_rng(0).laplace(size=(N, D))
U = np.arange(N) % 5
KEPT = Matching(np.arange(2), np.arange(2), np.ones(2), np.ones(2))


def spoiled(value):
    z = Z.copy()
    z[17, 2] = value
    return z


ERRORS = {
    "NaN": (lambda: mean_corr_coef(Z, spoiled(np.nan)), "z_pred to be finite.*nan in row 17, c"),
    "infinity": (lambda: mean_corr_coef(spoiled(-np.inf), Z), "z_true to be finite.*got -inf in"),
    "overflow": (lambda: mean_corr_coef(spoiled(1e200), Z), "z_true.*below 1e.100.*got 1e.200"),
    "rows": (lambda: mean_corr_coef(Z, Z[:-1]), "z_pred with 3000 rows.*z_true; got 2999"),
    "one row": (lambda: mean_corr_coef(Z[:1], Z[:1]), "z_true with at least 2 rows; got 1"),
    "no rows": (lambda: mean_corr_coef(Z[:0], Z[:0]), "z_true with at least 2 rows; got 0"),
    "three axes": (lambda: mean_corr_coef(Z, Z[None]), r"z_pred of shape .*got \(1, 3000, 4\)"),
    "a number": (lambda: mean_corr_coef(3.0, Z), r"z_true of shape .*got \(\)"),
    "no columns": (lambda: mean_corr_coef(Z[:, :0], Z), r"z_true of shape .*got \(3000, 0\)"),
    "strings": (lambda: mean_corr_coef(Z, [["a"], ["b"]]), "z_pred to hold real numbers"),
    "complex": (
        lambda: mean_corr_coef(Z, Z + 1j),
        "z_pred to hold real numbers.*complex128",
    ),
    "ragged": (lambda: mean_corr_coef([[1], [1, 2]], Z), "z_true to be an array of numbers"),
    "objects": (
        lambda: mean_corr_coef(Z, [None, {}]),
        "z_pred to be an array of numbers",
    ),
    "method": (lambda: mean_corr_coef(Z, Z, method="kendall"), "method.*'spearman'; got 'kenda"),
    "matching kind": (
        lambda: mean_corr_coef(Z, Z, matching=[0, 1]),
        "to be a Matching; got list",
    ),
    "matching width": (
        lambda: mean_corr_coef(Z, Z[:, :1], matching=KEPT),
        r"matching to index the 1 columns of z_pred; got \[0, 1\]",
    ),
    "matching twice": (
        lambda: Matching(np.arange(2), np.zeros(2, int), np.ones(2), np.ones(2)),
        r"pred_index to use every column at most once; got \[0, 0\]",
    ),
    "matching lengths": (
        lambda: Matching(np.arange(2), np.arange(3), np.ones(2), np.ones(2)),
        r"one length; got lengths \[2, 3, 2, 2\]",
    ),
    "u rows": (lambda: within_group_mean_corr_coef(Z, Z, U[:-5]), "u with 3000 rows.*; got 2995"),
    "u wide": (
        lambda: within_group_mean_corr_coef(Z, Z, Z),
        r"u of shape \(N,\) or \(N, 1\); got \(3000, 4\)",
    ),
    "u NaN": (
        lambda: within_group_mean_corr_coef(Z, Z, np.where(U == 0, np.nan, U)),
        "u without NaN; got 600 rows",
    ),
    "u missing": (
        lambda: within_group_mean_corr_coef(Z, Z, [None, *["a"] * (N - 1)]),
        "u with labels of one kind and none missing",
    ),
    "u nullable": (
        lambda: within_group_mean_corr_coef(Z, Z, pd.Series([pd.NA, *[1] * (N - 1)], dtype=object)),
        "u with labels of one kind and none missing",
    ),
    "u continuous": (
        lambda: within_group_mean_corr_coef(Z, Z, Z[:, 0]),
        "u with at least 3 rows in each group; got 1 in group",
    ),
    "u method": (
        lambda: within_group_mean_corr_coef(Z, Z, U, method="linear"),
        "method.*got 'linear'",
    ),
    "fit_rows outside": (
        lambda: mean_r2(Z, Z, fit_rows=[5000]),
        "fit_rows.*indices below 3000",
    ),
    "fit_rows mask": (
        lambda: mean_r2(Z, Z, fit_rows=U[:9] == 0),
        "fit_rows.*a mask of 3000",
    ),
    "fit_rows all": (lambda: mean_r2(Z, Z, fit_rows=slice(None)), "2 to score on; got 3000 and 0"),
    "fit_rows few": (
        lambda: linear_mean_corr_coef(Z, Z, fit_rows=range(8)),
        "fit_rows to leave at least 9 rows to fit on and 2 to score on; got 8 and 2992",
    ),
    "permutations": (lambda: chance_level(Z, Z, n_permutations=0), "n_permutations.*>= 1; got 0"),
    "half permutation": (lambda: chance_level(Z, Z, n_permutations=2.5), "n_permutations.*got 2.5"),
    "quantile": (lambda: chance_level(Z, Z, quantile=95), "quantile between 0 and 1; got 95"),
    "chance rows": (lambda: chance_level(Z, Z[:-1]), "z_pred with 3000 rows.*got 2999"),
    "one fit": (lambda: agreement([Z]), "latents to be a sequence of at least 2.*got 1"),
    "an array of one fit": (lambda: agreement(Z), "latents to be a sequence.*got one array"),
    "fits one by one": (lambda: agreement(z for z in (Z, Z)), "to be a sequence.*got a generator"),
    "fits by name": (lambda: agreement({"a": Z, "b": Z}), "to be a sequence.*got a dict"),
    "a set of fits": (lambda: agreement({1, 2}), "to be a sequence.*got a set"),
    "fits NaN": (lambda: agreement([Z, spoiled(np.nan)]), r"latents\[1\] to be finite"),
    "fits rows": (lambda: agreement([Z, Z, Z[1:]]), r"latents\[2\] with 3000 rows.*latents\[0\]"),
    "fits columns": (lambda: agreement([Z, Z[:, 1:]]), r"latents\[1\] with 4 columns.*got 3"),
    "fits method": (lambda: agreement([Z, Z], method="cca"), "method.*'linear'; got 'cca'"),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
