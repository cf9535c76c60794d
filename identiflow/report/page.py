"""The page: facts and figures in one HTML file that needs nothing else."""

from __future__ import annotations

import os
from importlib import metadata, resources
from typing import Any

import numpy as np

from identiflow.report import figures
from identiflow.report.facts import TRAVERSED, Facts, advice, gather
from identiflow.shared.estimators import IdentifiableEstimator
from identiflow.shared.files import check_folder, written_whole
from identiflow.shared.inputs.extras import needed_by


def write_report(
    estimator: IdentifiableEstimator,
    x: Any,
    u: Any,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    oracle: float | None = None,
) -> None:
    """Write one HTML page about a fitted model, which works offline.

    Args:
        estimator: a fitted IFlow or IVAE.
        x: rows (N, d), best such that fit has not seen.
        u: auxiliary variable of each row.
        path: the file to write.
        title: of the page.
        oracle: the true model's mean log p(x | u) on these rows, if it is known.
    """
    if not hasattr(estimator, "auxiliary_"):
        raise TypeError(
            f"Expected a fitted IFlow or IVAE; got {type(estimator).__name__}. Fit it first; of an "
            "ensemble pass its best_."
        )
    check_folder(path)
    page = render(gather(estimator, x, u, oracle), title)
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(facts: Facts, title: str = "") -> str:
    """The page as text."""
    with needed_by("cli"):
        from jinja2 import Environment

    template = resources.files("identiflow.report").joinpath("page.html").read_text("utf-8")
    return (
        Environment(autoescape=True)
        .from_string(template)
        .render(
            title=title or f"{type(facts.estimator).__name__} of {len(facts.nats)} rows",
            report=facts.report,
            fitted=_fitted(facts),
            sections=_sections(facts),
            advice=advice(facts),
        )
    )


def _fitted(facts: Facts) -> dict[str, str]:
    """The rows of a table about the model and its fit."""
    estimator, history = facts.estimator, facts.estimator.history_
    prior = type(estimator.prior_).__name__
    rows = {
        "model": repr(type(estimator)(**estimator.fitted_.parameters)),
        "prior": f"{prior}, k = {estimator.prior_.n_statistics} statistics a latent",
        "columns": f"{len(facts.names)} of x, {facts.z.shape[1]} latents",
        "u": f"{facts.report.n_values} different values",
        "held-out rows of the fit": f"{estimator.held_out_nats_:.3f} nats a row",
        "these rows": f"{facts.nats.mean():.3f} nats a row, {len(facts.nats)} rows",
    }
    if facts.oracle is not None:
        rows["the true model, these rows"] = f"{facts.oracle:.3f} nats a row"
    ended = "no further improvement" if history.stopped == "patience" else "all steps done"
    rows["training"] = (
        f"{history.step[-1]} steps in {history.seconds:.0f} s ({ended}), weights of step "
        f"{history.best_step} kept, {history.skipped_steps} steps skipped"
    )
    if facts.report.round_trip_error is not None:
        rows["round trip"] = f"x to z and back: at most {facts.report.round_trip_error:.1e} off"
    versions = ("identiflow", "torch", "numpy")
    rows["versions"] = ", ".join(f"{name} {metadata.version(name)}" for name in versions)
    return rows


def _sections(facts: Facts) -> list[dict[str, Any]]:
    """Headings, figures and what they show."""
    history, z = facts.estimator.history_, facts.z
    modulation, values = facts.modulation
    ways = facts.traversals
    latents = [f"z{i}" for i in range(z.shape[1])]
    sections = [
        {
            "heading": "Learning curves",
            "figure": figures.learning_curves(history, _standardised(facts)),
            "text": "Loss of training and held-out rows, nats a row of standardised x. The "
            "held-out loss chose the weights.",
        },
        {
            "heading": "Latents by u",
            "figure": figures.latents(z, facts.codes.numpy()),
            "text": "Neighbouring latents, a colour for each value of u (of the first column).",
        },
        {
            "heading": "How u modulates the prior",
            "figure": figures.heat_map(modulation.T, facts.statistics, values, "λ(u), deviations"),
            "text": "Natural parameters λ(u) of each latent, a column for each value of u. The "
            "theorem needs rows that go their own ways.",
        },
        {
            "heading": "What each latent does to x",
            "figure": figures.traversals(ways, TRAVERSED, facts.names),
            "text": "x as one latent goes from its 5 % to its 95 % quantile and all others stay at "
            "their medians: the columns that change most.",
        },
        {
            "heading": "Is the density right?",
            "figure": figures.calibration(facts.quantiles),
            "text": "P(Z ≤ z | u) of every row's latents. Flat if the prior's family and its "
            f"parameters are right; the largest distance from that is "
            f"{facts.miscalibration.max():.3f} (Kolmogorov).",
        },
    ]
    if len(facts.names) > figures.MOST_CURVES:
        sections.insert(
            4,
            {
                "heading": "All columns",
                "figure": figures.heat_map(
                    ways[:, -1] - ways[:, 0], latents, facts.names, "change of x, deviations"
                ),
                "text": "The change of every column over that way, in standard deviations.",
            },
        )
    if facts.estimator.agreement_ is not None:
        scores = np.array(facts.estimator.agreement_)
        seeds = [str(i) for i in range(len(scores))]
        sections.append(
            {
                "heading": "Do seeds agree?",
                "figure": figures.heat_map(scores, seeds, seeds, "MCC", diverging=False),
                "text": "MCC between the latents of every two seeds, on held-out rows: "
                f"{scores.min():.3f} at least. Identified latents agree.",
            }
        )
    return sections


def _standardised(facts: Facts) -> float | None:
    """The true model's nats in the units of the history."""
    if facts.oracle is None:
        return None
    return facts.oracle - float(facts.estimator.fitted_.scale.log_jacobian)
