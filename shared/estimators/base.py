"""What IFlow and IVAE have in common: reading data, training, saving."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import Self

from identiflow.shared.auxiliary import AuxiliaryEncoder, read_auxiliary
from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.compute.random import seeded
from identiflow.shared.estimators.frames import Frames
from identiflow.shared.estimators.over_u import OverU
from identiflow.shared.estimators.parameters import Parameterized
from identiflow.shared.estimators.saving import load_estimator, save_estimator
from identiflow.shared.identifiability import (
    IdentifiabilityReport,
    check_conditions,
    warn_if_unidentified,
)
from identiflow.shared.inputs.options import (
    LABEL,
    SHARE,
    Kind,
    check_options,
    count,
    declared,
    instance_of,
    optional,
)
from identiflow.shared.inputs.rows import Rows, StoredRows, mean_and_std, subset
from identiflow.shared.inputs.validation import as_matrix, check_decay, check_enough_rows
from identiflow.shared.priors import ConditionalPrior
from identiflow.shared.priors.by_name import CANDIDATES, build_prior
from identiflow.shared.training import History, Plan, Stage, check_folder, run_plans
from identiflow.shared.training.ensemble import fit_best, with_seeds
from identiflow.shared.training.stage import MAX_HELD_OUT, Recipe
from identiflow.shared.training.streams import on_disk

Array = NDArray[np.float64]

HOLD_OUT_SEED = 0


class NotFittedError(ValueError, AttributeError):
    """The estimator was asked for something it only has after fit."""


class Estimator(Parameterized, Frames, OverU, ABC):
    """Fits a model of p(x | u) whose latents z are identified by u.

    Fitted attributes end in an underscore: `model_` (the torch module, float64, on standardised
    x), `history_`, `prior_`, `n_features_in_`, `auxiliary_` (how u is encoded), `agreement_` (with
    n_restarts: the MCC between the latents of each two seeds, on held-out rows).
    """

    # What options may be, and below the options; a front end adds its own and sets all.
    options: ClassVar[dict[str, Kind]] = {
        **declared(Recipe, "kind"),
        "prior": instance_of(str, ConditionalPrior, words="to be a name or a ConditionalPrior"),
        "informative": optional(count(0)),
        "baseline": optional(LABEL),
        "validation_fraction": SHARE,
        "n_restarts": count(),
        "device": instance_of(str, torch.device, words="'auto', 'cpu' or 'cuda'"),
    }
    prior: str | ConditionalPrior
    informative: int | None
    baseline: Any
    max_steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    validation_fraction: float
    patience: int
    n_restarts: int
    compile: bool | str
    device: str
    progress: bool | None
    seed: int

    history_: History
    model_: Any  # the front end says which module
    parameters_: dict[str, Any]  # as they were in fit
    chosen_prior_: str | None = None
    agreement_: tuple[tuple[float, ...], ...] | None = None
    # Fitted plain values, by attribute name, that belong in a saved file.
    measured: ClassVar[tuple[str, ...]] = ("chosen_prior_", "agreement_")

    # --- what a front end supplies

    @abstractmethod
    def _build(self, n_features: int) -> nn.Module:
        """The untrained model; `self.auxiliary_` is known."""

    @abstractmethod
    def _check_data(self, x: Array) -> None:
        """Raise if x cannot be modelled."""

    @abstractmethod
    def _before_training(
        self, model: Any, x: Rows, u: Tensor, checkpoint: str | os.PathLike[str] | None
    ) -> Plan[dict[str, Any]]:
        """Train what comes before the fit; return the options of its stage that this changes."""

    # --- fitting

    def fit(
        self, x: Any, u: Any = None, *, checkpoint: str | os.PathLike[str] | None = None
    ) -> Self:
        """Fit to rows x (N, d) and the auxiliary variable u of each row.

        A share `validation_fraction` of the rows is held out for choosing weights and stopping.

        Args:
            x: numpy array, torch tensor or data frame; a memory-map, which may be larger than
                memory and stays on disk; a torch Dataset, or an iterator over parts of the data,
                of pairs (x, u), which are written to a temporary file first.
            u: labels, continuous values, or an `Auxiliary` such as TimeSegments(40); None if x
                brings it along.
            checkpoint: a file written as training goes; the same call resumes from it exactly.

        Raises:
            ValueError: for unusable x or u, naming the argument and what to do.
            DivergedError: if training finds no finite gradient any more.
        """
        self._check_options()
        fitted = type(self)(**self.get_params())  # what was fitted before stays, should this fail
        if self.n_restarts > 1 or self.prior == "auto":
            fitted, agreement = fit_best(self._candidates(), x, u, checkpoint)
            fitted.agreement_ = tuple(map(tuple, agreement.tolist()))
            if self.prior == "auto":
                fitted.chosen_prior_ = str(fitted.prior)
        else:
            with on_disk(x, u) as (rows, codes):
                run_plans([fitted.plan(rows, codes, checkpoint)])
        self._become(fitted)
        return self

    def plan(
        self, x: Any, u: Any = None, checkpoint: str | os.PathLike[str] | None = None
    ) -> Plan[tuple[Rows, Tensor]]:
        """`fit`, as a plan of the trainings it consists of; it returns the held-out x and u.

        What runs the plan decides how each of them is trained: alone, or with those of other seeds.
        """
        self._check_options()
        if checkpoint is not None:
            check_folder(checkpoint, "checkpoint")
        data = as_matrix(x)
        self._remember_names(x)
        check_enough_rows(data)
        self._check_data(data)
        train, held_out = self._hold_out(len(data))
        codes = self._fit_auxiliary(u, data, train)
        self.n_features_in_ = data.shape[1]
        self._fit_scale(data, train)
        model = self._new_model()
        warn_if_unidentified(model.prior, codes)
        rows = self._rows(data)
        self.history_ = yield from self._train(model, rows, codes, train, held_out, checkpoint)
        # Everything after training is in float64: an inverse is only as exact as its arithmetic.
        self.model_ = model.to("cpu").double().eval().requires_grad_(False)
        self.parameters_ = self.get_params()
        self._after_training(rows, codes)
        return subset(rows, held_out), codes[held_out]

    def latents_of(self, rows: tuple[Rows, Tensor]) -> Array:
        """z (N, n) of rows as `plan` returns them."""
        return in_chunks(self.model_.encode, *rows)

    def fit_transform(self, x: Any, u: Any = None) -> Array:
        """Fit, then the latents of the same rows, (N, n)."""
        return self.fit(x, u).transform(x, u)

    def transform(self, x: Any, u: Any = None) -> Any:
        """The latents of rows x, (N, n); a data frame after `set_output(transform="pandas")`."""
        return self._as_output(self._latents(self._read(x), u), x)

    def inverse_transform(self, z: Any) -> Array:
        """x of latents z (N, n), (N, d)."""
        latents = as_matrix(z, "z", columns=self.prior_.latent_dim)
        x = in_chunks(self.model_.decode, torch.from_numpy(np.require(latents, float, ["C", "W"])))
        return x * self.x_scale_ + self.x_mean_

    @abstractmethod
    def sample(self, u: Any, *, return_latents: bool = False, seed: int = 0) -> Any:
        """One row x ~ p(x | u) for each row of u, (len(u), d); with its z if asked for."""

    @abstractmethod
    def log_prob(self, x: Any, u: Any = None) -> Array:
        """log p(x | u) of every row in nats, (N,), or a bound on it; without u, log p(x)."""

    def _log_prob(self, x: Any, u: Any, **options: Any) -> Array:
        data = self._read(x)
        if u is None and self.prior_.informative:
            densities = self._log_marginal(data, **options)
        else:
            densities = self._log_density(self._rows(data), self._encode(u, data), **options)
        return densities - np.log(self.x_scale_).sum()

    def score(self, x: Any, u: Any) -> float:
        """The mean of `log_prob`, in nats per row: higher is better."""
        return float(self.log_prob(x, u).mean())

    def check_identifiability(self, u: Any, x: Any = None) -> IdentifiabilityReport:
        """Check the theorem's conditions on this model and these values of u.

        Args:
            u: auxiliary variable of the rows to check, as in `fit`.
            x: the rows themselves; needed if u is made from them, as History is.
        """
        self._require_fitted()
        data = rows_of(u) if x is None else self._read(x)
        codes = self._encode(u, data)
        return check_conditions(self.prior_, codes, getattr(self, "round_trip_error_", None))

    @property
    def prior_(self) -> ConditionalPrior:
        """The fitted p(z | u)."""
        self._require_fitted()
        return self.model_.prior

    @property
    def held_out_nats_(self) -> float:
        """The best held-out score of fit, in nats a row of x as it was given."""
        self._require_fitted()
        return -self.history_.best_loss - float(np.log(self.x_scale_).sum())

    # --- saving

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to a safetensors file: tensors and JSON, no code."""
        self._require_fitted()
        save_estimator(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **replaced: Any) -> Self:
        """Read an estimator written by `save`; outputs are bit-equal. Nothing in it is executed.

        Args:
            path: the file.
            **replaced: parameters that cannot be stored, such as a transform of your own.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it was not written by `save` of this class, or is damaged.
        """
        return load_estimator(cls, path, replaced)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether fit has been called."""
        return hasattr(self, "model_")

    # --- steps of fit

    def _check_options(self) -> None:
        """Raise for an option that is of no use, before anything is done."""
        check_options(self.options, vars(self))
        check_decay(self.learning_rate, self.weight_decay)

    def _become(self, fitted: Self) -> None:
        """Take all that another one has learned in the place of what was learned before."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        learned = {name: value for name, value in vars(fitted).items() if name.endswith("_")}
        vars(self).update(learned | {"parameters_": self.get_params()})

    def _candidates(self) -> dict[str, list[Self]]:
        """What `fit` chooses from, by the name of the prior if that is to be chosen too."""
        seeds = range(int(self.seed), int(self.seed) + self.n_restarts)
        if self.prior != "auto":
            return {"": with_seeds(self, seeds)}
        return {name: with_seeds(self, seeds, prior=name) for name in CANDIDATES}

    def _fit_auxiliary(self, u: Any, data: Array, train: Tensor) -> Tensor:
        if self.prior == "unconditional":
            u = np.arange(len(data)) % 2  # any u will do: the prior does not look at it
        columns = read_auxiliary(u, data)
        self.auxiliary_ = AuxiliaryEncoder.fit(columns, train)
        return self.auxiliary_.encode(columns)

    def _hold_out(self, n_rows: int) -> tuple[Tensor, Tensor]:
        wanted = max(2, round(self.validation_fraction * n_rows))  # of one, seeds cannot agree
        n_held_out = min(wanted, n_rows - 1, MAX_HELD_OUT)
        # The same rows for every seed: fits can then be compared on rows that none was trained on.
        order = torch.randperm(n_rows, generator=torch.Generator().manual_seed(HOLD_OUT_SEED))
        return order[n_held_out:], order[:n_held_out]

    def _fit_scale(self, data: Array, train: Tensor) -> None:
        """Set x_mean_ and x_scale_ to those of the training rows; discrete x stays as it is."""
        self.x_mean_, spread = mean_and_std(data, train)
        # 0 if a column varies in held-out rows only.
        self.x_scale_ = np.where(spread > 0, spread, 1.0)

    def _train(
        self,
        model: Any,
        rows: Rows,
        codes: Tensor,
        train: Tensor,
        held_out: Tensor,
        checkpoint: str | os.PathLike[str] | None,
    ) -> Generator[Stage, History, History]:
        device = _device(self.device)
        rows = rows.float().to(device)
        codes = (codes.float() if codes.is_floating_point() else codes).to(device)
        model.to(device, torch.float32)
        x, u = subset(rows, train), codes[train]
        before = yield from self._before_training(model, x, u, checkpoint)
        options: dict[str, Any] = {
            "max_steps": self.max_steps,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "patience": self.patience,
        }
        history = yield Stage(
            model=model,
            x=x,
            u=u,
            x_held_out=rows[held_out],
            u_held_out=codes[held_out],
            checkpoint=checkpoint,
            **options | self._stage_options() | before,
        )
        return history

    def _stage_options(self) -> dict[str, Any]:
        """What all trainings of this estimator have in common."""
        return {"seed": int(self.seed), "progress": self.progress, "compile": self.compile}

    def _after_training(self, x: Rows, u: Tensor) -> None:  # noqa: B027 - a hook
        """Measure what users should know of the fitted model, in float64."""

    def _new_model(self) -> Any:
        """An untrained model; a copy, so that parts given by the user stay as they were."""
        with seeded(self.seed):
            return copy.deepcopy(self._build(self.n_features_in_))

    def _make_prior(self, latent_dim: int) -> ConditionalPrior:
        prior = self.prior
        if prior == "auto":
            prior = self.chosen_prior_ or prior
        return build_prior(prior, latent_dim, self.auxiliary_, self.informative, self.baseline)

    # --- steps of prediction

    def _require_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise NotFittedError(
                f"Expected a fitted {type(self).__name__}; got one before fit. Call fit(x, u)."
            )

    def _read(self, x: Any) -> Array:
        self._require_fitted()
        self._check_names(x)
        return as_matrix(x, columns=self.n_features_in_)

    def _rows(self, data: Array) -> Rows:
        """Checked data as the model takes it: standardised, float64."""
        if isinstance(data, np.memmap):
            return StoredRows(data, self.x_mean_, self.x_scale_)
        return torch.from_numpy((data - self.x_mean_) / self.x_scale_)

    def _encode(self, u: Any, data: Array) -> Tensor:
        if self.prior_.informative == 0:
            return torch.zeros(len(data), dtype=torch.long)
        return self.auxiliary_.encode(read_auxiliary(u, data))


def rows_of(u: Any) -> Array:
    """Stands in for the x of u, where only the number of rows matters."""
    try:
        return np.zeros((len(u), 1))
    except TypeError:
        raise ValueError(
            f"Expected u of shape (N,) or (N, q), one row for each sample; got {u!r}. Pass a list, "
            "such as u=[0, 3, 3]."
        ) from None


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"Expected device 'auto', 'cpu' or 'cuda'; got {name!r}.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"Expected a device of this machine; got {name!r} and no CUDA. Use 'cpu'.")
    return device
