"""Estimators: what turns arrays into a fitted model, whatever the model is."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Self

from identiflow.shared.auxiliary import AuxiliaryEncoder, Columns, read_auxiliary
from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.compute.random import seeded
from identiflow.shared.estimators.fitted import Fitted
from identiflow.shared.estimators.saving import load_estimator, save_estimator
from identiflow.shared.estimators.sklearn import SklearnProtocol, names_of
from identiflow.shared.files import check_folder
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.density import remark_far, remark_unmeasured
from identiflow.shared.inputs.options import (
    SHARE,
    WIDTHS,
    as_they_are,
    count,
    instance_of,
    option,
    values_of,
    with_options,
)
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.inputs.rows import Observed, Rows, no_scale, scale_of, standardized, subset
from identiflow.shared.inputs.validation import as_matrix, check_enough_rows, is_plain
from identiflow.shared.training import History, Plan, Stage, run_plans
from identiflow.shared.training.ensemble import fit_best, with_seeds
from identiflow.shared.training.loss import judged, warn_if_they_part
from identiflow.shared.training.stage import Recipe, Split, device_named, hold_out
from identiflow.shared.training.streams import STREAMS, on_disk

Path = str | os.PathLike[str]


@with_options
class Estimator(SklearnProtocol, Recipe, ABC):
    """Fits a model with a `loss` and its `loss_name`, an `encode` and a `latent_dim` to x and u.

    It reads x and u, standardises, holds rows out, trains, restarts, hands latents out, saves and
    loads, and is scikit-learn's. To make an estimator of a new model, say how it is built
    (`_build`) and what x it takes (`_look_at`); `_start` is for what is trained before it,
    `_finish` for what is measured after it, `standardizes` for x that stays as it is.
    """

    hidden: Sequence[int] = option(
        default=(128, 128), kind=WIDTHS, about="widths of the networks' hidden layers."
    )
    validation_fraction: float = option(
        default=0.1,
        kind=SHARE,
        about="share of the rows held out for choosing weights and stopping.",
    )
    n_restarts: int = option(
        default=1,
        kind=count(),
        about="fits with seeds seed, seed + 1, ..., all at once, of which the one with the best "
        "held-out score is kept.",
    )
    device: str = option(
        default="cpu",
        kind=instance_of(str, torch.device, words="'auto', 'cpu' or 'cuda'"),
        about="'cpu', 'cuda' or 'auto'; results are always on the CPU.",
    )

    # The fitted plain values that belong in a saved file, by attribute name.
    measured: ClassVar[tuple[str, ...]] = ("agreement_", "held_out_loss_")
    standardizes = True
    latents_need_u = False

    # --- what an estimator supplies

    @abstractmethod
    def _build(self, n_features: int, auxiliary: AuxiliaryEncoder, found: Mapping[str, Any]) -> Any:
        """The untrained model, of x with so many columns; `found` is what `_look_at` returned."""

    @abstractmethod
    def _look_at(self, x: Array) -> dict[str, Any]:
        """Raise if x cannot be modelled; else what of it has to be known to build the model."""

    def _start(
        self, model: Any, x: Rows, u: Tensor, checkpoint: Path | None
    ) -> Plan[dict[str, Any]]:
        """Train what comes before the fit; return the options of its stage that this changes."""
        yield from ()
        return {}

    def _finish(self, model: Any, x: Rows, u: Tensor) -> dict[str, Any]:
        """Measure what users should know of the trained model, in float64, by attribute name."""
        return {}

    def _check_density(self, model: Any, table: Observed) -> None:  # noqa: B027 - discrete x has none
        """Raise, in the name of who called `fit`, if the model needs a density and x has none."""

    def _check_new(self, data: Array) -> None:  # noqa: B027 - most models take any numbers
        """Raise if rows cannot be of the kind that the model was fitted to."""

    # --- fitting

    def fit(self, x: Any, u: Any = None, *, checkpoint: Path | None = None) -> Self:
        """Fit to rows x (N, d) and the auxiliary variable u of each row.

        A share `validation_fraction` of the rows is held out for choosing weights and stopping. A
        fit that fails or is stopped leaves the one before it.

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
        self._expect_own("fit")
        self.check()
        candidates = self._candidates()
        if candidates:
            best, agreement = fit_best(candidates, x, u, checkpoint)
            self._fitted = self._chosen(best, agreement)
        else:
            with on_disk(x, u) if isinstance(x, STREAMS) else nullcontext((x, u)) as (rows, codes):
                run_plans([self.plan(rows, codes, checkpoint)])
        return self

    def plan(
        self, x: Any, u: Any = None, checkpoint: Path | None = None
    ) -> Plan[tuple[Rows, Tensor]]:
        """`fit`, as a plan of the trainings it consists of; it returns the held-out x and u.

        What runs the plan decides how each of them is trained: alone, or with those of other seeds.
        """
        self.check()
        if checkpoint is not None:
            check_folder(checkpoint, "checkpoint")
        plain = self._with_plain_options()
        self._fitted, held_out = yield from plain._plan(x, u, checkpoint)
        return held_out

    def _plan(
        self, x: Any, u: Any, checkpoint: Path | None
    ) -> Plan[tuple[Fitted, tuple[Rows, Tensor]]]:
        names = None
        if not (is_plain(x) and is_plain(u)):
            check_paired(x, u)
            names = names_of(x)
        data = as_matrix(x)
        check_enough_rows(data)
        found = self._look_at(data)
        columns = self._columns(u, data)
        split = hold_out(columns.known_rows(len(data)), self.validation_fraction)
        auxiliary = AuxiliaryEncoder.fit(columns, split.train)
        codes = auxiliary.encode(columns)
        scale = scale_of(data, split.train) if self.standardizes else no_scale(data.shape[1])
        model = self._new_model(data.shape[1], auxiliary, found)
        table = Observed(data, names, *auxiliary.label_of(codes), columns.continuous)
        remark_unmeasured(table)
        self._check_density(model, table)
        self._before_long_work(model, codes)
        rows = standardized(data, scale)
        history = yield from self._train(model, rows, codes, split, checkpoint)
        # Everything after training is in float64: an inverse is only as exact as its arithmetic.
        model = model.to("cpu").double().eval().requires_grad_(False)
        held_out = subset(rows, split.held_out), codes[split.held_out]
        of_rows = judged(model, *held_out, self.seed, device_named(self.device))
        warn_if_they_part(history.best_loss, of_rows["held_out_loss_"])
        measured = found | of_rows | self._finish(model, rows, codes)
        return Fitted(values_of(self), model, scale, auxiliary, history, names, measured), held_out

    def latents_of(self, rows: tuple[Rows, Tensor]) -> Array:
        """z (N, n) of rows as `plan` returns them."""
        return in_chunks(self.fitted_.model.encode, *rows)

    def fit_transform(self, x: Any, u: Any = None) -> Array:
        """Fit, then the latents of the same rows, (N, n)."""
        return self.fit(x, u).transform(x, u)

    def transform(self, x: Any, u: Any = None) -> Any:
        """The latents of rows x, (N, n); a data frame after `set_output(transform="pandas")`.

        A flow's are z = g(x), exactly; a VAE's the mean of its posterior. u is needed if an encoder
        sees it, and not otherwise.
        """
        return self._as_output(self._latents(self._read(x, u), u), x)

    # --- saving

    def save(self, path: Path) -> None:
        """Write the fitted estimator to a safetensors file: tensors and JSON, no code."""
        self._expect_own("save")
        save_estimator(self, path)

    @classmethod
    def load(cls, path: Path, **replaced: Any) -> Self:
        """Read an estimator written by `save`; outputs are bit-equal. Nothing in it is executed.

        Args:
            path: the file.
            **replaced: parameters that cannot be stored, such as a transform of your own.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it was not written by `save` of this class, or is damaged.
        """
        return load_estimator(cls, path, replaced)

    # --- steps of fit

    def _expect_own(self, verb: str) -> None:
        """Raise for an estimator whose weights are another one's."""
        if self._fitted is not None and self._fitted.borrowed:
            raise ValueError(
                f"Expected an {type(self).__name__} of your own to {verb}; got one "
                f"{self._fitted.borrowed}."
            )

    def _with_plain_options(self) -> Self:
        """A twin for one fit: nothing that is changed in this estimator meanwhile changes it."""
        plain = copy.copy(self)
        vars(plain).update(as_they_are(self))
        return plain

    def _candidates(self) -> dict[str, dict[str, Self]]:
        """The estimators that `fit` chooses from, if it does, by their group and their seed."""
        return {"": self._restarts()} if self.n_restarts > 1 else {}

    def _restarts(self, **changed: Any) -> dict[str, Self]:
        seeds = range(int(self.seed), int(self.seed) + self.n_restarts)
        return with_seeds(self, seeds, **changed)

    def _chosen(self, best: Self, agreement: Array) -> Fitted:
        """The fit that the best of the candidates leaves to this estimator."""
        measured = {**best.fitted_.measured, "agreement_": tuple(map(tuple, agreement.tolist()))}
        return replace(best.fitted_, parameters=as_they_are(self), measured=measured)

    def _columns(self, u: Any, data: Array) -> Columns:
        return read_auxiliary(u, data)

    def _before_long_work(self, model: Any, codes: Tensor) -> None:  # noqa: B027 - a hook
        """Say what should be known before training."""

    def _new_model(
        self, n_features: int, auxiliary: AuxiliaryEncoder, found: Mapping[str, Any]
    ) -> Any:
        """An untrained model; a copy, so that parts given by the user stay as they were."""
        with seeded(self.seed):
            return copy.deepcopy(self._build(n_features, auxiliary, found))

    def _train(
        self, model: Any, rows: Rows, codes: Tensor, split: Split, checkpoint: Path | None
    ) -> Plan[History]:
        device = device_named(self.device)
        rows = rows.float().to(device)
        codes = (codes.float() if codes.is_floating_point() else codes).to(device)
        model.to(device, torch.float32)
        x, u = subset(rows, split.train), codes[split.train]
        changed = yield from self._start(model, x, u, checkpoint)
        held_out = {"x_held_out": rows[split.held_out], "u_held_out": codes[split.held_out]}
        options = self.recipe | changed | held_out | {"checkpoint": checkpoint}
        return (yield Stage(model=model, x=x, u=u, **options))

    # --- steps of prediction

    def _read(self, x: Any, *beside: Any) -> Array:
        """Checked rows of x as it was given, (N, d), which go with those of u beside it."""
        fitted = self.fitted_
        self._check_described(x, *beside)
        data = as_matrix(x, columns=len(fitted.scale.mean))
        self._check_new(data)
        remark_far(data, fitted.scale)
        return data

    def _rows(self, data: Array) -> Rows:
        """Checked rows as the model takes them: standardised, float64."""
        return standardized(data, self.fitted_.scale)

    def _encode(self, u: Any, data: Array) -> Tensor:
        """u of these rows as the model takes it."""
        return self.auxiliary_.encode(self.auxiliary_.read(u, data))

    def _latents(self, data: Array, u: Any) -> Array:
        """z of checked rows, (N, n)."""
        codes = [self._encode(u, data)] if self.latents_need_u else []
        return in_chunks(self.fitted_.model.encode, self._rows(data), *codes)
