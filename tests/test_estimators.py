"""Laws that IFlow and IVAE share: data in any form, seeds, files, scikit-learn, bad input."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

import shared.estimator
from iflow import IFlow, MaskedAutoregressive
from ivae import IVAE, GaussianLikelihood
from shared.auxiliary import Continuous, History, Labels, Mixed, TimeSegments
from shared.datasets import nonstationary_sources
from shared.estimator import Estimator, IdentifiabilityWarning
from shared.priors import GaussianPrior
from shared.training import FileFormatError
from shared.training.run import Run

Make = Callable[..., Estimator]

SMALL: dict[str, Any] = {"hidden": (16,), "max_steps": 30, "batch_size": 64}
ESTIMATORS: dict[str, Make] = {
    "IFlow": partial(IFlow, n_layers=2, **SMALL),
    "IVAE, n = d": partial(IVAE, 2, n_samples=2, warm_steps=10, **SMALL),
    "IVAE, n < d": partial(IVAE, 1, n_samples=2, **SMALL),
}
N_LABELS, N = 10, 200
DATA = nonstationary_sources(2, N_LABELS, N // N_LABELS, seed=1)
SHUFFLED = np.random.default_rng(0).permutation(N)
# Numbers that single precision holds too, so that data in any form is the same data.
X = DATA.x[SHUFFLED].astype(np.float32).astype(np.float64)
U = DATA.u[SHUFFLED]
TIME = np.linspace(-1, 1, N, dtype=np.float32)


@pytest.fixture(params=ESTIMATORS)
def make(request: pytest.FixtureRequest) -> Make:
    return ESTIMATORS[request.param]


@pytest.fixture(scope="module")
def fits() -> dict[str, Estimator]:
    """Each estimator, fitted once to X and U; tests must not change them."""
    return {name: build().fit(X, U) for name, build in ESTIMATORS.items()}


@pytest.fixture(params=ESTIMATORS)
def fitted(request: pytest.FixtureRequest, fits: dict[str, Estimator]) -> Estimator:
    return fits[request.param]


def outputs(estimator: Estimator, x: Any = X, u: Any = U) -> dict[str, np.ndarray]:
    """All that a fitted estimator computes from data."""
    z = estimator.transform(x, u)
    return {
        "transform": z,
        "inverse_transform": estimator.inverse_transform(z),
        "log_prob": estimator.log_prob(x, u),
        "sample": estimator.sample(u, seed=5),
    }


def assert_same_bits(a: Estimator, b: Estimator) -> None:
    for (name, got), expected in zip(outputs(a).items(), outputs(b).values(), strict=True):
        np.testing.assert_array_equal(got, expected, err_msg=name)


def raises(message: str) -> Any:
    """A ValueError with this message, and without a training step before it."""
    return pytest.raises(ValueError, match=message)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*args: object) -> None:
        pytest.fail("A step of training came before the error.")

    monkeypatch.setattr(Run, "take_step", train)


# Shapes and values -------------------------------------------------------------------------------


def test_outputs_have_one_finite_row_for_each_row(fitted: Estimator) -> None:
    n = fitted.prior_.latent_dim
    shapes = {name: values.shape for name, values in outputs(fitted).items()}
    assert shapes == {
        "transform": (N, n),
        "inverse_transform": (N, 2),
        "log_prob": (N,),
        "sample": (N, 2),
    }
    for name, values in outputs(fitted).items():
        assert values.dtype == np.float64 and np.isfinite(values).all(), name
    assert fitted.score(X, U) == pytest.approx(fitted.log_prob(X, U).mean())


def test_fitting_improved_the_held_out_bound(fitted: Estimator) -> None:
    history = fitted.history_
    assert history.best_loss < history.held_out_loss[0] and history.skipped_steps == 0
    assert all(np.isfinite(history.train_loss)) and history.step[-1] == 30


def test_fit_transform_is_fit_then_transform(make: Make, fitted: Estimator) -> None:
    estimator = make()
    np.testing.assert_array_equal(estimator.fit_transform(X, U), estimator.transform(X, U))


def test_rows_do_not_depend_on_their_neighbours(
    fitted: Estimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor on how they are cut into chunks of bounded memory."""
    z = fitted.transform(X, U)
    np.testing.assert_allclose(fitted.transform(X[3:5], U[3:5]), z[3:5], rtol=1e-9, atol=1e-12)
    monkeypatch.setattr(shared.estimator, "CHUNK_ROWS", 7)
    np.testing.assert_allclose(fitted.transform(X, U), z, rtol=1e-9, atol=1e-12)
    assert fitted.log_prob(X, U).shape == (N,)
    assert fitted.transform(X[:0], U[:0]).shape == (0, z.shape[1])


def test_samples_come_with_their_latents(fitted: Estimator) -> None:
    u = [0, 3, 3]
    x, z = fitted.sample(u, return_latents=True, seed=1)
    assert x.shape == (3, 2) and z.shape == (3, fitted.prior_.latent_dim)
    np.testing.assert_array_equal(fitted.sample(u, seed=1), x)
    assert (fitted.sample(u, seed=2) != x).all()
    assert (x[1] != x[2]).all()


def test_rescaling_x_shifts_log_densities_by_the_log_of_the_scale(make: Make) -> None:
    """Scales that are powers of two change no rounding, so the shift is all that differs."""
    scale = np.array([8.0, 0.25])
    here, there = make().fit(X, U), make().fit(X * scale, U)
    np.testing.assert_allclose(
        there.log_prob(X * scale, U),
        here.log_prob(X, U) - np.log(scale).sum(),
        rtol=0,
        atol=1e-12,
    )
    np.testing.assert_array_equal(there.transform(X * scale, U), here.transform(X, U))
    np.testing.assert_allclose(there.sample(U), here.sample(U) * scale, rtol=1e-12)


# Forms of data -----------------------------------------------------------------------------------


def memory_map(values: np.ndarray, folder: Path) -> np.memmap:
    mapped = np.memmap(folder / "values", values.dtype, "w+", shape=values.shape)
    mapped[:] = values
    return mapped


FORMS_OF_X: dict[str, Callable[[Path], Any]] = {
    "torch": lambda _: torch.from_numpy(X),
    "torch, single precision": lambda _: torch.from_numpy(X).float().requires_grad_(),
    "single precision": lambda _: X.astype(np.float32),
    "data frame": lambda _: pd.DataFrame(X, columns=["left", "right"]),
    "lists": lambda _: X.tolist(),
    "memory-map": lambda folder: memory_map(X, folder),
    "Fortran order": lambda _: np.asfortranarray(X),
    "read only": lambda _: np.broadcast_to(X, X.shape),
}
FORMS_OF_U: dict[str, Callable[[Path], Any]] = {
    "torch": lambda _: torch.from_numpy(U),
    "one byte": lambda _: U.astype(np.uint8),
    "list": lambda _: U.tolist(),
    "strings": lambda _: U.astype(str),
    "series": lambda _: pd.Series(U),
    "data frame": lambda _: pd.DataFrame({"label": U}),
    "categories": lambda _: pd.Series(U).astype(str).astype("category"),
    "column": lambda _: U[:, None],
    "memory-map": lambda folder: memory_map(U, folder),
    "Labels": lambda _: Labels(U.astype(float)),
}


@pytest.mark.parametrize("form", FORMS_OF_X)
def test_x_in_any_form_gives_the_same_numbers(form: str, fitted: Estimator, tmp_path: Path) -> None:
    for name, values in outputs(fitted, FORMS_OF_X[form](tmp_path)).items():
        np.testing.assert_array_equal(values, outputs(fitted)[name], err_msg=name)


@pytest.mark.parametrize("form", [*FORMS_OF_X, *(f"u: {form}" for form in FORMS_OF_U)])
def test_a_fit_to_data_in_any_form_is_the_same_fit(form: str, tmp_path: Path) -> None:
    make = partial(ESTIMATORS["IFlow"], max_steps=5)
    kind, _, name = form.rpartition(": ")
    x, u = (X, FORMS_OF_U[name](tmp_path)) if kind else (FORMS_OF_X[name](tmp_path), U)
    fit, expected = make().fit(x, u), make().fit(X, U)
    np.testing.assert_array_equal(fit.log_prob(x, u), expected.log_prob(X, U))


def test_arguments_are_left_as_they_were(make: Make) -> None:
    x, u = X.copy(), U.copy()
    fit = make().fit(x, u)
    fit.transform(x, u)
    fit.log_prob(x, u)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(u, U)


# Seeds and global state --------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(make: Make, fitted: Estimator) -> None:
    torch.manual_seed(123)  # of no consequence
    again, other = make().fit(X, U), make(seed=1).fit(X, U)
    assert (
        type(again) is not type(fitted)
        or again.get_params() != fitted.get_params()
        or (outputs(again)["transform"].tobytes() == outputs(fitted)["transform"].tobytes())
    )
    assert_same_bits(again, make().fit(X, U))
    assert (other.transform(X, U) != again.transform(X, U)).all()


def test_fitting_again_is_fitting_anew(make: Make) -> None:
    twice = make().fit(X[:100] * 3, U[:100]).fit(X, U)
    assert_same_bits(twice, make().fit(X, U))


def test_no_call_touches_global_random_state(
    make: Make, tmp_path: Path, assert_rng_untouched: Callable
) -> None:
    path = tmp_path / "model"
    with assert_rng_untouched():
        estimator = make().fit(X, U, checkpoint=tmp_path / "checkpoint")
        outputs(estimator)
        estimator.score(X, U)
        estimator.check_identifiability(U)
        estimator.save(path)
        outputs(type(estimator).load(path))


def test_another_default_dtype_does_no_harm(make: Make, tmp_path: Path) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        fit = make().fit(X, U)
        fit.save(tmp_path / "model")
        loaded = type(fit).load(tmp_path / "model")
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same_bits(loaded, fit)


# Files -------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_a_loaded_estimator_is_the_same_bit_for_bit(fitted: Estimator, path: Path) -> None:
    fitted.save(path)
    loaded = type(fitted).load(path)
    assert_same_bits(loaded, fitted)
    assert loaded.get_params() == fitted.get_params() and repr(loaded) == repr(fitted)
    assert loaded.history_ == fitted.history_
    for name in fitted.measured:
        assert getattr(loaded, name) == getattr(fitted, name)
    assert str(loaded.check_identifiability(U)) == str(fitted.check_identifiability(U))
    again = path.with_name("again")
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copy_is_the_same_bit_for_bit(fitted: Estimator, copied: Callable) -> None:
    assert_same_bits(copied(fitted), fitted)


KINDS_OF_U: dict[str, tuple[Any, str]] = {
    "strings": (np.array(["a", "bé", "c, d"])[U % 3], "mean"),
    "continuous": (TIME, "scale"),
    "mixed": (pd.DataFrame({"label": U, "time": TIME}), "mean_and_scale"),
    "two labels": (np.stack([U, U % 2], axis=1), "mean_and_scale"),
}


@pytest.mark.parametrize("kind", KINDS_OF_U)
def test_files_keep_how_u_is_read(kind: str, make: Make, path: Path) -> None:
    u, prior = KINDS_OF_U[kind]
    fit = make(prior=prior, max_steps=5).fit(X, u)
    fit.save(path)
    loaded = type(fit).load(path)
    np.testing.assert_array_equal(loaded.log_prob(X, u), fit.log_prob(X, u))


def test_parameters_of_numpy_are_stored_too(make: Make, path: Path) -> None:
    """A grid search over np.arange sets such ones."""
    options = {"max_steps": np.int64(5), "learning_rate": np.float32(0.01), "seed": np.int64(1)}
    fit = make(**options, hidden=np.array([8])).fit(X, U)
    fit.save(path)
    assert_same_bits(type(fit).load(path), fit)


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def rewritten(fit: Estimator, path: Path, **changes: str) -> None:
    fit.save(path)
    with safe_open(path, framework="pt") as file:
        header, names = dict(file.metadata()), list(file.keys())
        tensors = {name: file.get_tensor(name) for name in names}
    save_file(tensors, path, metadata={**header, **changes})


BAD_FILES: dict[str, tuple[Callable[[Estimator, Path], object], str]] = {
    "a pickle in disguise": (
        lambda _, path: path.write_bytes(pickle.dumps(Bomb(path.with_name("fired")))),
        "safetensors file written by save.* nothing in it was executed",
    ),
    "a torch file": (
        lambda fit, path: torch.save(fit.model_.state_dict(), path),
        "safetensors file written by save",
    ),
    "half a file": (
        lambda fit, path: (
            fit.save(path),
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        ),
        "safetensors file written by save",
    ),
    "an empty file": (lambda _, path: path.write_bytes(b""), "safetensors file written by save"),
    "tensors of someone else": (
        lambda _, path: save_file({"a": torch.zeros(1)}, path),
        "written by identiflow",
    ),
    "a newer version": (
        lambda fit, path: rewritten(fit, path, version="999"),
        "format version ≤ 1; got 999.* Upgrade",
    ),
    "another class": (
        lambda fit, path: rewritten(fit, path, kind="Other"),
        "to hold '(IFlow|IVAE)'; got 'Other'",
    ),
    "another setting": (lambda fit, path: rewritten(fit, path, info="{}"), "damaged"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_model_is_refused(case: str, fitted: Estimator, path: Path) -> None:
    write, message = BAD_FILES[case]
    write(fitted, path)
    with pytest.raises(FileFormatError, match=message):
        type(fitted).load(path)
    assert not path.with_name("fired").exists()


def test_classes_do_not_load_each_other(fits: dict[str, Estimator], path: Path) -> None:
    fits["IFlow"].save(path)
    with raises("to hold 'IVAE'; got 'IFlow'"):
        IVAE.load(path)
    with pytest.raises(FileNotFoundError, match="written by save; found none at"):
        IVAE.load(path.with_name("none"))


# Stopping and resuming ---------------------------------------------------------------------------


def weights(estimator: Estimator) -> dict[str, torch.Tensor]:
    return estimator.model_.state_dict()


@pytest.mark.parametrize("stop", [0, 5, 13, 23])
def test_a_resumed_fit_is_the_uninterrupted_one(
    stop: int, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in any step, of a warm start too; the same call takes up the work."""
    path, take_step, steps = tmp_path / "run.ckpt", Run.take_step, []

    def interrupted(run: Run, *args: Any) -> torch.Tensor:
        if len(steps) == stop:
            raise KeyboardInterrupt
        steps.append(None)
        return take_step(run, *args)

    monkeypatch.setattr(Run, "take_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, U, checkpoint=path)
    monkeypatch.setattr(Run, "take_step", take_step)
    resumed, whole = make().fit(X, U, checkpoint=path), make().fit(X, U)
    assert weights(resumed).keys() == weights(whole).keys()
    for name, tensor in weights(whole).items():
        assert torch.equal(weights(resumed)[name], tensor), name
    assert resumed.history_.held_out_loss == whole.history_.held_out_loss
    assert_same_bits(resumed, whole)


def test_a_checkpoint_of_another_fit_is_refused(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    make().fit(X, U, checkpoint=path)
    for other in (make(seed=1), make(learning_rate=0.1)):
        with raises(f"checkpoint {re.escape(str(path))}.* belong to this fit.* Delete it"):
            other.fit(X, U, checkpoint=path)
    with raises("belong to this fit"):
        make().fit(X + 0.1 * X**2, U, checkpoint=path)


# scikit-learn's protocol -------------------------------------------------------------------------


def test_parameters_are_read_changed_and_cloned(make: Make) -> None:
    estimator = make(seed=7)
    assert estimator.get_params()["seed"] == 7
    assert estimator.set_params(max_steps=11, seed=8) is estimator
    copied = clone(estimator)
    assert type(copied) is type(estimator) and copied.get_params() == estimator.get_params()
    assert (copied.max_steps, copied.seed) == (11, 8)
    assert "max_steps=11" in repr(copied) and "batch_size=64" in repr(copied)
    assert "patience" not in repr(copied)
    with raises("Expected parameters among .*'max_steps'.*; got 'nonsense'"):
        estimator.set_params(nonsense=1)


def test_a_clone_is_not_fitted(fitted: Estimator) -> None:
    check_is_fitted(fitted)
    copied = clone(fitted)
    with pytest.raises(NotFittedError):
        check_is_fitted(copied)
    assert_same_bits(copied.fit(X, U), clone(fitted).fit(X, U))


def test_fit_leaves_parameters_alone(make: Make) -> None:
    """A prior, transform or likelihood of one's own is copied, so a fit can be repeated."""
    own = {"prior": GaussianPrior(make().get_params().get("latent_dim", 2), n_labels=N_LABELS)}
    if isinstance(make(), IFlow):
        own["architecture"] = MaskedAutoregressive(2, hidden=(8,))
    else:
        own["likelihood"] = GaussianLikelihood(2)
    before = {name: copy.deepcopy(part.state_dict()) for name, part in own.items()}
    estimator = make(**own).fit(X, U)
    first = outputs(estimator)
    for name, part in own.items():
        assert estimator.get_params()[name] is part
        for key, tensor in part.state_dict().items():
            assert torch.equal(tensor, before[name][key]), f"{name}: {key}"
        assert all(parameter.requires_grad for parameter in part.parameters())
    for name, values in outputs(estimator.fit(X, U)).items():
        np.testing.assert_array_equal(values, first[name], err_msg=name)


def test_parts_of_ones_own_are_given_again_to_load(make: Make, path: Path) -> None:
    n = make().get_params().get("latent_dim", 2)
    fit = make(prior=GaussianPrior(n, n_labels=N_LABELS), max_steps=5).fit(X, U)
    fit.save(path)
    with raises("Expected prior= with load: files hold no code"):
        type(fit).load(path)
    assert_same_bits(type(fit).load(path, prior=GaussianPrior(n, n_labels=N_LABELS)), fit)
    with raises(f"Expected {re.escape(str(path))} to fit .*"):
        type(fit).load(path, prior=GaussianPrior(n, n_labels=3))


def test_a_pipeline_ends_in_an_estimator(make: Make) -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("model", make())]).fit(X, U)
    scaled = StandardScaler().fit_transform(X)
    alone = make().fit(scaled, U)
    np.testing.assert_array_equal(pipeline.transform(X), alone.transform(scaled, U))
    assert pipeline.score(X, U) == alone.score(scaled, U)


def test_a_grid_search_ranks_by_log_density(make: Make) -> None:
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(make(), {"max_steps": [1, 40]}, cv=folds, error_score="raise")
    search.fit(X, U)
    assert search.best_params_ == {"max_steps": 40}
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.score(X, U) == search.best_estimator_.score(X, U)


CALLS: dict[str, Callable[[Estimator], object]] = {
    "transform": lambda e: e.transform(X, U),
    "inverse_transform": lambda e: e.inverse_transform(X[:, :1]),
    "log_prob": lambda e: e.log_prob(X, U),
    "score": lambda e: e.score(X, U),
    "sample": lambda e: e.sample(U),
    "check_identifiability": lambda e: e.check_identifiability(U),
    "prior_": lambda e: e.prior_,
    "save": lambda e: e.save("nowhere"),
}


@pytest.mark.parametrize("call", CALLS)
def test_nothing_works_before_fit(call: str, make: Make) -> None:
    with raises(r"Expected a fitted (IFlow|IVAE); got one before fit. Call fit\(x, u\)"):
        CALLS[call](make())


# Priors and kinds of u ---------------------------------------------------------------------------

PRIORS = ["mean_and_scale", "scale", "mean", "laplace", "exponential_family", "unconditional"]
READINGS_OF_U: dict[str, Any] = {
    "labels": U,
    "Continuous": Continuous(np.stack([TIME, TIME**2], axis=1)),
    "Mixed": Mixed(U % 3, TIME),
    "TimeSegments": TimeSegments(12),
    "History": History(lags=2, series=np.arange(N) // 50),
}


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("reading", READINGS_OF_U)
def test_every_prior_fits_every_kind_of_u(reading: str, prior: str, make: Make) -> None:
    u = READINGS_OF_U[reading]
    fit = make(prior=prior, max_steps=3).fit(X, u)
    assert np.isfinite(fit.log_prob(X, u)).all()
    report = fit.check_identifiability(u, X)
    assert report.modulation.shape == (fit.prior_.latent_dim,)
    if reading not in ("TimeSegments", "History"):
        assert fit.sample(u).shape == (N, 2)
    elif prior != "unconditional":
        with raises("Expected x together with u"):
            fit.sample(u)


def test_an_unconditional_fit_needs_no_u(make: Make) -> None:
    fit = make(prior="unconditional").fit(X)
    without, others = fit.log_prob(X, None), fit.log_prob(X, U)
    np.testing.assert_array_equal(without, others)
    assert not fit.check_identifiability(U).satisfied


def test_nuisance_latents_do_not_depend_on_u(make: Make) -> None:
    if make().get_params().get("latent_dim") == 1:
        pytest.skip("needs two latents")
    fit = make(informative=1).fit(X, U)
    scale = fit.prior_(torch.arange(N_LABELS)).stddev
    assert (scale[:, 0].diff() != 0).all() and (scale[:, 1].diff() == 0).all()


def test_too_few_values_of_u_are_a_warning(make: Make) -> None:
    n = make().get_params().get("latent_dim", 2)
    message = f"u has 2 different values; theorem 1 asks for nk \\+ 1 = {2 * n + 1}"
    with pytest.warns(IdentifiabilityWarning, match=message) as record:
        fit = make(max_steps=3).fit(X, U % 2)
    assert [warning.filename for warning in record] == [__file__]
    assert not fit.check_identifiability(U % 2).satisfied
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(max_steps=3).fit(X, U)


# Bad input ---------------------------------------------------------------------------------------


def replaced(values: np.ndarray, where: tuple, by: Any) -> np.ndarray:
    changed = values.copy()
    changed[where] = by
    return changed


BAD_DATA: dict[str, tuple[Any, Any, str]] = {
    "NaN in x": (
        replaced(X, (3, 1), np.nan),
        U,
        r"finite values in x; got 1 NaN or infinite, the first at \(3, 1\). Drop or impute",
    ),
    "infinity in x": (replaced(X, (7, 0), -np.inf), U, r"finite values in x.* at \(7, 0\)"),
    "x overflows": (replaced(X.astype(object), (0, 0), 10**400), U, "Expected x to be numeric"),
    "strings in x": (replaced(X.astype(object), (0, 0), "a"), U, "Expected x to be numeric"),
    "complex x": (X * 1j, U, "Expected x to be .*(real|numeric)"),
    "a flat x": (X[:, 0], U, r"x of shape \(N, d\).* got shape \(200,\). .* x\[:, None\]"),
    "x with three axes": (X[None], U, r"x of shape \(N, d\).* got shape \(1, 200, 2\)"),
    "a constant column": (replaced(X, np.s_[:, 1], 0.1), U, r"x to vary; got constant.*\[1\]"),
    "too few rows": (X[:9], U[:9], "x with at least 10 rows for 2 columns; got 9"),
    "no columns": (X[:, :0], U, r"x .*column"),
    "fewer u than x": (X, U[:150], "u with 200 rows, one for each row of x; got 150"),
    "more u than x": (X[:150], U, "u with 150 rows, one for each row of x; got 200"),
    "one value of u": (X, np.zeros(N, int), "u with at least 2 different values; got only 0"),
    "one continuous u": (X, np.full(N, 0.1), "u with at least 2 different values; got only 0.1"),
    "no u": (X, None, "Expected u, the auxiliary variable.* got None. Pass labels"),
    "NaN in u": (X, replaced(TIME, (5,), np.nan), r"finite values in u; got 1 NaN.*\(5,\)"),
    "a missing label": (X, [None, *U[1:]], "label in every row of u; got 1 missing.* row 0"),
    "a label of 2**70": (X, [2**70, *U[1:]], f"labels of u within 64 bits.* got {2**70}. Use str"),
    "an unsigned label": (
        X,
        np.where(U == 0, np.uint64(2**64 - 1), U.astype(np.uint64)),
        f"labels of u within 64 bits.* got {2**64 - 1}",
    ),
    "too many segments": (X, TimeSegments(N + 1), r"TimeSegments\(n\) with 2 ≤ n ≤ 200.* n = 201"),
    "too many lags": (X, History(N), "1 ≤ lags < 200 rows of x; got 200"),
}


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_refused_before_training(case: str, make: Make) -> None:
    x, u, message = BAD_DATA[case]
    with raises(message):
        make().fit(x, u)


BAD_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown prior": ({"prior": "student"}, "prior to be .*'laplace'.*; got 'student'"),
    "a prior of another size": (
        {"prior": GaussianPrior(5, n_labels=N_LABELS)},
        "prior over [12] latents; got one over 5",
    ),
    "a prior of other labels": (
        {"prior": GaussianPrior(2, n_labels=3)},
        "prior .*(n_labels|latents)",
    ),
    "too many informative latents": ({"informative": 9}, "informative between 0 and .*; got 9"),
    "an unknown device": ({"device": "gpu"}, "device 'auto', 'cpu' or 'cuda'; got 'gpu'"),
    "a device that is no computer": ({"device": "meta"}, "device 'auto', 'cpu' or 'cuda'.*'meta'"),
    "nothing held out": ({"validation_fraction": 0.0}, "validation_fraction between 0 and 1"),
    "all held out": ({"validation_fraction": 1.0}, "validation_fraction between 0 and 1"),
    "no steps": ({"max_steps": 0}, "max_steps of at least 1; got 0"),
    "empty batches": ({"batch_size": 0}, "batch_size of at least 1; got 0"),
    "no patience": ({"patience": 0}, "patience of at least 1; got 0"),
}


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_refused_before_training(case: str, make: Make) -> None:
    options, message = BAD_OPTIONS[case]
    with raises(message):
        make(**options).fit(X, U)


BAD_CALLS: dict[str, tuple[Callable[[Estimator], object], str]] = {
    "unseen labels": (lambda e: e.log_prob(X[:2], [0, 77]), "seen in fit .*; got 77. Refit"),
    "labels for sampling": (lambda e: e.sample([0, 77]), "seen in fit .*; got 77"),
    "another kind of u": (lambda e: e.log_prob(X, TIME), "of labels, as in fit; got u with 1 cont"),
    "other rows of u": (lambda e: e.log_prob(X, U[:3]), "u with 200 rows.* got 3"),
    "no u": (lambda e: e.log_prob(X, None), "Expected u.* got None"),
    "one u that is no row": (lambda e: e.sample(3), r"u of shape \(N,\).* got shape \(\)"),
    "another width": (lambda e: e.transform(X[:, :1], U), "x with 2 columns, as in fit; got 1"),
    "width of log_prob": (lambda e: e.log_prob(X[:, [0, 1, 1]], U), "x with 2 columns.* got 3"),
    "width of latents": (
        lambda e: e.inverse_transform(np.zeros((4, 7))),
        "z with [12] col.* got 7",
    ),
    "NaN in x": (lambda e: e.transform(replaced(X, (0, 0), np.nan), U), "finite values in x"),
    "NaN in latents": (
        lambda e: e.inverse_transform(np.full((1, e.prior_.latent_dim), np.nan)),
        "finite values in z",
    ),
    "a flat x": (lambda e: e.transform(X[0], U), r"x of shape \(N, d\)"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls_of_a_fitted_estimator_are_refused(case: str, fitted: Estimator) -> None:
    call, message = BAD_CALLS[case]
    with raises(message):
        call(fitted)


def test_a_column_that_varies_in_held_out_rows_only_is_scaled(make: Make) -> None:
    """Its training rows have no spread to divide by."""
    for row in range(0, N, 5):
        x = replaced(X, np.s_[:, 1], 0.0)
        x[row, 1] = 1.0
        fit = make(max_steps=1).fit(x, U)
        if fit.x_scale_[1] == 1.0:
            break
    assert np.isfinite(fit.log_prob(x, U)).all()
