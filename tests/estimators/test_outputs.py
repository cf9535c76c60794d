"""Laws of what a fitted estimator computes: shapes, units, data in any form, seeds, no traces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from identiflow.shared.auxiliary import Labels
from identiflow.shared.compute import passes
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.inputs.remarks import InputWarning

Array = np.ndarray
Make = Callable[..., Estimator]


def test_outputs_have_one_finite_row_for_each_row(
    fitted: Estimator, x: Array, u: Array, outputs: Callable, latent_dim: int
) -> None:
    shapes = {
        "transform": (200, latent_dim),
        "inverse_transform": (200, 2),
        "log_prob": (200,),
        "sample": (200, 2),
    }
    for name, values in outputs(fitted).items():
        assert values.shape == shapes[name] and values.dtype == np.float64
        assert np.isfinite(values).all(), name
    assert fitted.score(x, u) == pytest.approx(fitted.log_prob(x, u).mean())


def test_fitting_improved_the_held_out_bound(fitted: Estimator, name: str) -> None:
    history = fitted.history_
    steps = 12 if name == "IVAE, n = d" else 24  # half are left to do after a start from a flow
    assert history.best_loss < history.held_out_loss[0] and history.skipped_steps == 0
    assert all(np.isfinite(history.train_loss)) and history.step[-1] == steps


def test_fit_transform_is_fit_then_transform(
    make: Make, fitted: Estimator, x: Array, u: Array
) -> None:
    np.testing.assert_array_equal(make().fit_transform(x, u), fitted.transform(x, u))


def test_rows_do_not_depend_on_their_neighbours(
    fitted: Estimator, x: Array, u: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor on how they are cut into chunks of bounded memory."""
    z = fitted.transform(x, u)
    np.testing.assert_allclose(fitted.transform(x[3:5], u[3:5]), z[3:5], rtol=1e-9, atol=1e-12)
    monkeypatch.setattr(passes, "CHUNK_ROWS", 7)
    np.testing.assert_allclose(fitted.transform(x, u), z, rtol=1e-9, atol=1e-12)
    assert fitted.log_prob(x, u).shape == (200,)
    assert fitted.transform(x[:0], u[:0]).shape == (0, z.shape[1])
    with pytest.raises(ValueError, match="Expected x with at least 1 row"):
        fitted.predict_aux_proba(x[:0])


def test_samples_come_with_their_latents(fitted: Estimator, latent_dim: int) -> None:
    u = [0, 3, 3]
    x, z = fitted.sample(u, return_latents=True, seed=1)
    assert x.shape == (3, 2) and z.shape == (3, latent_dim)
    np.testing.assert_array_equal(fitted.sample(u, seed=1), x)
    assert (fitted.sample(u, seed=2) != x).all()
    assert (x[1] != x[2]).all()


def test_latents_that_are_read_only_are_inverted(fitted: Estimator, x: Array, u: Array) -> None:
    z = fitted.transform(x, u)
    expected = fitted.inverse_transform(z)
    z.setflags(write=False)
    np.testing.assert_array_equal(fitted.inverse_transform(z), expected)


def test_latents_in_any_layout_are_inverted(
    fitted: Estimator, x: Array, u: Array, tmp_path: Path
) -> None:
    z = fitted.transform(x, u).astype(np.float32)
    expected = fitted.inverse_transform(z)
    backwards = fitted.inverse_transform(z[::-1])  # other rows share a sum: equal to rounding
    np.testing.assert_allclose(backwards, expected[::-1], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(fitted.inverse_transform(np.asfortranarray(z)), expected)
    for kind in ("<f4", ">f8"):
        np.save(tmp_path / "z.npy", z.astype(kind))
        mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
        np.testing.assert_array_equal(fitted.inverse_transform(mapped), expected)


def test_seeds_may_be_numbers_of_numpy(fitted: Estimator, u: Array) -> None:
    expected = fitted.sample(u, seed=3)
    np.testing.assert_array_equal(fitted.sample(u, seed=np.int64(3)), expected)
    with pytest.raises(ValueError, match=r"seed to be an integer from 0 to 2\*\*63 - 1; got 1844"):
        fitted.sample(u, seed=2**64)


def test_held_out_rows_do_not_scale_a_continuous_u(make: Make, x: Array) -> None:
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    u = np.linspace(0, 1, 200)
    one = make(max_steps=2).fit(x, u)
    u[order[0]] = 1e4
    with pytest.warns(InputWarning, match="far from all others: row .* has the value 10000 in"):
        other = make(max_steps=2).fit(x, u)
    assert one.auxiliary_.scale == other.auxiliary_.scale


def test_rescaling_x_shifts_log_densities_by_the_log_of_the_scale(
    make: Make, fitted: Estimator, x: Array, u: Array
) -> None:
    """Scales that are powers of two change no rounding, so the shift is all that differs."""
    scale = np.array([8.0, 0.25])
    other = make().fit(x * scale, u)
    expected = fitted.log_prob(x, u) - np.log(scale).sum()
    np.testing.assert_allclose(other.log_prob(x * scale, u), expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(other.transform(x * scale, u), fitted.transform(x, u))
    np.testing.assert_allclose(other.sample(u), fitted.sample(u) * scale, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::shared.inputs.density.DensityWarning")
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 / 3])
def test_a_column_that_varies_in_held_out_rows_only_is_scaled(
    constant: float, make: Make, x: Array, u: Array
) -> None:
    """Its training rows have no spread to divide by, though rounding may say otherwise."""
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    x[:, 1] = constant
    x[order[0], 1] += 1.0
    fit = make(max_steps=1).fit(x, u)
    assert fit.x_scale_[1] == 1.0
    assert np.isfinite(fit.log_prob(x, u)).all()


# Forms of data -----------------------------------------------------------------------------------


def memory_map(values: Array, folder: Path) -> np.memmap:
    mapped = np.memmap(folder / "values", values.dtype, "w+", shape=values.shape)
    mapped[:] = values
    return mapped


FORMS_OF_X: dict[str, Callable[[Array, Path], Any]] = {
    "torch": lambda x, _: torch.from_numpy(x),
    "torch, single precision": lambda x, _: torch.from_numpy(x).float().requires_grad_(),
    "single precision": lambda x, _: x.astype(np.float32),
    "torch, signs left open": lambda x, _: torch.from_numpy(-1j * x).conj().imag,
    "data frame": lambda x, _: pd.DataFrame(x, columns=["left", "right"]),
    "lists": lambda x, _: x.tolist(),
    "memory-map": memory_map,
    "Fortran order": lambda x, _: np.asfortranarray(x),
    "read only": lambda x, _: np.broadcast_to(x, x.shape),
}
FORMS_OF_U: dict[str, Callable[[Array, Path], Any]] = {
    "torch": lambda u, _: torch.from_numpy(u),
    "one byte": lambda u, _: u.astype(np.uint8),
    "list": lambda u, _: u.tolist(),
    "strings": lambda u, _: u.astype(str),
    "series": lambda u, _: pd.Series(u),
    "data frame": lambda u, _: pd.DataFrame({"label": u}),
    "categories": lambda u, _: pd.Series(u).astype(str).astype("category"),
    "column": lambda u, _: u[:, None],
    "memory-map": memory_map,
    "Labels": lambda u, _: Labels(u.astype(float)),
}


@pytest.mark.parametrize("form", FORMS_OF_X)
def test_x_in_any_form_gives_the_same_numbers(
    form: str, fitted: Estimator, x: Array, tmp_path: Path, outputs: Callable
) -> None:
    expected = outputs(fitted)
    for name, values in outputs(fitted, FORMS_OF_X[form](x, tmp_path)).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("name", ["IFlow", "IVAE, n < d"])
@pytest.mark.parametrize("form", FORMS_OF_X)
def test_x_in_any_form_gives_the_same_fit(
    form: str, make: Make, fitted: Estimator, x: Array, u: Array, tmp_path: Path
) -> None:
    fit = make().fit(FORMS_OF_X[form](x, tmp_path), u)
    np.testing.assert_array_equal(fit.log_prob(x, u), fitted.log_prob(x, u))


@pytest.mark.parametrize("name", ["IFlow", "IVAE, n < d"])
@pytest.mark.parametrize("form", FORMS_OF_U)
def test_u_in_any_form_gives_the_same_fit(
    form: str, make: Make, fitted: Estimator, x: Array, u: Array, tmp_path: Path
) -> None:
    given = FORMS_OF_U[form](u, tmp_path)
    expected = fitted.log_prob(x, u)
    np.testing.assert_array_equal(make().fit(x, given).log_prob(x, given), expected)


def test_arguments_are_left_as_they_were(make: Make, x: Array, u: Array, outputs: Callable) -> None:
    before = x.copy(), u.copy()
    outputs(make(max_steps=3).fit(x, u), x, u)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(u, before[1])


# Seeds and global state --------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(
    make: Make, fitted: Estimator, x: Array, u: Array, assert_same_bits: Callable
) -> None:
    torch.manual_seed(123)  # of no consequence
    assert_same_bits(make().fit(x, u), fitted)
    other = make(seed=1).fit(x, u)
    assert (other.transform(x, u) != fitted.transform(x, u)).all()


def test_the_seed_chooses_the_weights_a_fit_starts_from(make: Make, x: Array, u: Array) -> None:
    still = {"learning_rate": 1e-30, "weight_decay": 0.0}
    starts = [make(seed=seed, **still).fit(x, u).model_.state_dict() for seed in (0, 1)]
    drawn = [name for name, tensor in starts[0].items() if tensor.ndim == 2 and "factors" in name]
    drawn += [name for name in starts[0] if name.endswith("0.weight")]
    assert drawn and not any((starts[0][name] == starts[1][name]).all() for name in drawn)


def test_fitting_again_is_fitting_anew(
    make: Make, fitted: Estimator, x: Array, u: Array, assert_same_bits: Callable
) -> None:
    assert_same_bits(make().fit(x[:100] * 3, u[:100]).fit(x, u), fitted)


def test_no_call_touches_global_random_state(
    make: Make,
    x: Array,
    u: Array,
    tmp_path: Path,
    outputs: Callable,
    assert_rng_untouched: Callable,
) -> None:
    with assert_rng_untouched():
        estimator = make().fit(x, u, checkpoint=tmp_path / "checkpoint")
        outputs(estimator)
        estimator.score(x, u)
        estimator.check_identifiability(u)
        estimator.save(tmp_path / "model")
        outputs(type(estimator).load(tmp_path / "model"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_another_default_dtype_changes_nothing(
    dtype: torch.dtype,
    make: Make,
    fitted: Estimator,
    x: Array,
    u: Array,
    tmp_path: Path,
    assert_same_bits: Callable,
) -> None:
    torch.set_default_dtype(dtype)
    try:
        with torch.inference_mode():
            fit = make().fit(x, u)
        fit.save(tmp_path / "model")
        loaded = type(fit).load(tmp_path / "model")
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same_bits(loaded, fit)
    assert_same_bits(fit, fitted)
