"""The numbers and words of a page about a model, without their looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from identiflow.shared.estimators import IdentifiableEstimator
from identiflow.shared.identifiability import IdentifiabilityReport
from identiflow.shared.inputs.arrays import Array

MOST_ROWS = 20_000
MOST_VALUES = 60  # of u, in the heat map of λ(u)
TRAVERSED = np.linspace(0.05, 0.95, 19)
# Kolmogorov's distance from uniform that a reader would see in a histogram.
MISCALIBRATED = 0.05
OVERFIT_NATS = 0.5
AGREEING = 0.95


@dataclass(frozen=True)
class Facts:
    """A fitted model and what rows x, u show of it.

    Attributes:
        estimator: fitted.
        names: of the columns of x.
        z: latents (N, n).
        codes: u as the prior takes it.
        nats: log p(x | u) of each row, or a bound on it.
        quantiles: P(Z ≤ z | u), (N, n).
        report: the theorem's conditions.
        oracle: the true model's mean log p(x | u), if it is known.
    """

    estimator: IdentifiableEstimator
    names: list[str]
    z: Array
    codes: torch.Tensor
    nats: Array
    quantiles: Array
    report: IdentifiabilityReport
    oracle: float | None

    @property
    def miscalibration(self) -> Array:
        """Kolmogorov's distance of each latent's quantiles from uniform ones, (n,)."""
        ordered = np.sort(self.quantiles, axis=0)
        steps = np.arange(len(ordered) + 1)[:, None] / len(ordered)
        return np.maximum(ordered - steps[:-1], steps[1:] - ordered).max(0)

    @property
    def modulation(self) -> tuple[Array, list[str]]:
        """λ(u) of some values of u, (values, n · k), each column in units of its spread; names."""
        labels = self.estimator.auxiliary_.labels
        if self.codes.ndim == 1 and labels:
            rows = torch.linspace(0, len(labels) - 1, min(len(labels), MOST_VALUES)).long()
            shown, names = rows, [str(labels[int(i)]) for i in rows]
        else:
            order = self.codes[:, -1].argsort()
            shown = self.codes[order[torch.linspace(0, len(order) - 1, MOST_VALUES).long()]]
            names = [f"{float(row[-1]):.2g}" for row in shown]
        with torch.no_grad():
            lam = self.estimator.prior_.natural_parameters(shown).flatten(1).numpy()
        spread = lam.std(0)
        return (lam - lam.mean(0)) / np.where(spread > 0, spread, 1), names

    @property
    def statistics(self) -> list[str]:
        """Names of the columns of `modulation`."""
        k = self.estimator.prior_.n_statistics
        return [f"z{i}, λ{j + 1}" for i in range(self.z.shape[1]) for j in range(k)]

    @property
    def traversals(self) -> Array:
        """x, in standard deviations, as one latent goes through its quantiles, (n, T, d).

        The others stay at their medians.
        """
        middle = np.median(self.z, axis=0)
        ways = np.tile(middle, (self.z.shape[1], len(TRAVERSED), 1))
        for i, column in enumerate(self.z.T):
            ways[i, :, i] = np.quantile(column, TRAVERSED)
        estimator = self.estimator
        x = estimator.inverse_transform(ways.reshape(-1, len(middle)))
        return estimator.fitted_.scale.apply(x).reshape(*ways.shape[:2], -1)


def gather(estimator: IdentifiableEstimator, x: Any, u: Any, oracle: float | None = None) -> Facts:
    """Look at a fitted model through rows; of more than 20,000 a random choice is taken."""
    data = np.asarray(x)
    codes = torch.zeros(len(data), dtype=torch.long)
    if estimator.prior_.informative:
        codes = estimator.auxiliary_.encode(estimator.auxiliary_.read(u, data))
    rows = np.sort(np.random.default_rng(0).permutation(len(data))[:MOST_ROWS])
    names = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(data.shape[1])])
    z = np.asarray(estimator.transform(x, u))
    return Facts(
        estimator=estimator,
        names=[str(name) for name in names],
        z=z[rows],
        codes=codes[rows],
        nats=estimator.log_prob(x, u),
        quantiles=estimator.quantiles(x, u)[rows],
        report=estimator.check_identifiability(u, x),
        oracle=oracle,
    )


def advice(facts: Facts) -> list[str]:
    """Advice on what to try next, the most pressing first."""
    estimator, report, history = facts.estimator, facts.report, facts.estimator.history_
    found = []
    if not report.satisfied:
        found.append(
            "The conditions of the theorem do not hold here, so the latents may be mixtures of the "
            "sources. More values of u, fewer informative latents, or a prior with fewer "
            "statistics (prior='scale') would help."
        )
    if report.collapsed:
        found.append(f"Fewer latents: {len(report.collapsed)} of them carry no information on x.")
    if estimator.agreement_ is None:
        found.append("Several seeds: one fit cannot show whether its latents are identified.")
    elif np.min(estimator.agreement_) < AGREEING:
        found.append(
            "Seeds do not agree on all latents. Compare their held-out scores: seeds that differ "
            "in score stopped at different optima, and more of them, or more steps, may help; "
            "seeds of equal score say that the data do not identify the latents."
        )
    if history.stopped == "budget" and history.best_step == history.step[-1]:
        found.append("More steps: the held-out loss was still falling when the fit ended.")
    at_best = history.train_loss[history.step.index(history.best_step)]
    if history.best_loss - at_best > OVERFIT_NATS:
        found.append(
            "A smaller or more regularised model (fewer layers, weight_decay), or more rows: "
            f"held-out rows cost {history.best_loss - at_best:.1f} nats more than training rows."
        )
    if facts.miscalibration.max() > MISCALIBRATED:
        worst = int(facts.miscalibration.argmax())
        found.append(
            f"Another family of priors (prior='auto' or 'exponential_family'): z{worst} does not "
            "have the distribution that the prior says."
        )
    if history.skipped_steps:
        found.append(
            f"A lower learning rate: {history.skipped_steps} steps had no finite gradient."
        )
    return found
