"""The latents that a digit changes, of images of digits, and what they do to the image.

A volume-preserving flow can neither stretch nor shrink, so what a latent's prior says of it can be
compared with what the others' say. Ten digits are too few values of u for theorem 1 with a latent
for every pixel; they are enough for nine latents whose mean alone depends on the digit, up to a
linear map of the nine. Both are fitted.

Reference: Sorrenson, Rother & Köthe 2020, "Disentanglement by nonlinear ICA with general
incompressible-flow networks (GIN)", section 4.2.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.protocol.fits import Split, evaluate, has_data
from experiments.protocol.study import RESULTS, run_study
from experiments.protocol.table import Row
from identiflow.iflow import IFlow
from identiflow.shared.datasets import Dataset, RealData, load_digits, load_mnist_t10k
from identiflow.shared.identifiability import IdentifiabilityWarning

Array = NDArray[np.float64]
# Noise in units of the grey range: without it the border, which never changes, has no density.
NOISE = 0.1
N_TRAVERSED, STEPS_OF_A_TRAVERSAL = 8, np.linspace(-2, 2, 9)
SHARE = 0.9


@dataclass(frozen=True)
class Images:
    """Square images with grey values from 0 to `white`, and the budget for them."""

    load: Callable[[], RealData]
    white: int
    options: dict[str, Any]


# Ten thousand images are few for 784 columns: beyond a hundred steps held-out rows become less
# likely. The fit keeps its best weights anyway; a schedule of the right length finds better ones.
IMAGES = {
    "digits": Images(load_digits, 16, {"max_steps": 2000}),
    "mnist_t10k": Images(load_mnist_t10k, 255, {"max_steps": 100, "hidden": (256, 256)}),
}
READINGS: dict[str, dict[str, Any]] = {
    "all latents": {},
    "nine latents": {"prior": "mean", "informative": 9},
}
SMOKE = {"n_layers": 2, "hidden": (16,), "max_steps": 5}
SMOKE_ROWS = 1200  # a flow asks for more rows than columns


def main(smoke: bool = False, jobs: int = 2, seeds: int = 1) -> None:
    """A row and a figure for each kind of image, reading and seed."""
    names = [name for name in IMAGES if name == "digits" or has_data(name)]
    if len(names) < len(IMAGES):
        print("mnist_t10k: skipped, set IDENTIFLOW_DATA to the folder that holds its data")
    every = range(1 if smoke else seeds)
    tasks = [
        partial(fit_images, name, reading, seed, smoke)
        for name in names
        for reading in READINGS
        for seed in every
    ]
    for row in run_study("gin_spectrum", tasks, jobs):
        print(
            f"{row.data}, {row.method}: {row.details['latents with 90 % of it']:.0f} latents hold "
            f"{SHARE:.0%} of all modulation by the digit; accuracy of p(digit | x) on held-out "
            f"rows {row.details['accuracy']:.3f}"
        )


def fit_images(name: str, reading: str, seed: int, smoke: bool) -> Row:
    """Fit the flow, measure how much the digit changes each latent, draw both."""
    data = noisy(name, seed)
    data = data.take(np.arange(SMOKE_ROWS)) if smoke else data
    split = Split(*data.split(0.2, seed=seed))
    options = IMAGES[name].options | READINGS[reading] | (SMOKE if smoke else {})
    flow = IFlow(architecture="volume_preserving", seed=seed, progress=False, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentifiabilityWarning)
        row, z = evaluate(reading, flow, split)
    modulation = flow.check_identifiability(split.train.u).modulation
    order = np.argsort(modulation)[::-1]
    path = RESULTS / "gin_spectrum" / f"{name}-{reading.replace(' ', '-')}-{seed}.png"
    figure(f"{name}, {reading}", flow, z, modulation, order, path)
    details = {f"modulation {i + 1}, nats": float(modulation[order[i]]) for i in range(20)}
    details["latents with 90 % of it"] = latents_that_hold(SHARE, modulation)
    details["accuracy"] = accuracy(flow, split.test, log_shares(split.train.u))
    return replace(row, seed=seed, details=details)


def noisy(name: str, seed: int) -> Dataset:
    """Images in [0, 1] with a little noise, so that they have a density."""
    data = IMAGES[name].load()
    noise = NOISE * np.random.default_rng(seed).standard_normal(data.x.shape)
    return replace(data, x=data.x / IMAGES[name].white + noise)


def latents_that_hold(share: float, modulation: Array) -> int:
    """The number of latents, those that u changes most first, that hold a share of modulation."""
    sums = np.sort(modulation)[::-1].cumsum()
    return int(np.searchsorted(sums, share * sums[-1])) + 1


def log_shares(labels: NDArray[Any]) -> dict[Any, float]:
    """log p(u) of each label, from its share of the rows: of training rows, like all else."""
    values, counts = np.unique(labels, return_counts=True)
    return dict(zip(values, np.log(counts / counts.sum()), strict=True))


def accuracy(flow: IFlow, data: Dataset, log_prior: dict[Any, float]) -> float:
    """The share of rows whose digit has the largest p(digit | x), by Bayes' rule."""
    joint = [
        flow.log_prob(data.x, np.full(len(data), digit)) + log_p
        for digit, log_p in log_prior.items()
    ]
    guess = np.array(list(log_prior))[np.argmax(joint, axis=0)]
    return float(np.mean(guess == data.u))


def figure(
    title: str, flow: IFlow, z: Array, modulation: Array, order: NDArray[np.intp], path: Path
) -> None:
    """The spectrum beside traversals of the latents that the digit changes most."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = drawing.subplots(1, 2, width_ratios=(1, 1.3))
    changed = modulation[order][: flow.prior_.informative]
    left.loglog(np.arange(1, len(changed) + 1), changed, ".-")
    left.set(title=title, xlabel="latent, by modulation", ylabel="modulation by the digit, nats")
    right.imshow(traversals(flow, z, order[:N_TRAVERSED]), cmap="gray_r", vmin=0, vmax=1)
    right.set_title("strongest latents, one a row, from −2 to 2 standard deviations", fontsize=10)
    right.set_xticks([])
    right.set_yticks([])
    drawing.savefig(path, dpi=150)


def traversals(flow: IFlow, z: Array, latents: NDArray[np.intp]) -> Array:
    """One picture: a row for each latent, moved while all others stay at their mean."""
    mean, spread = z.mean(0), z.std(0)
    points = np.tile(mean, (len(latents), len(STEPS_OF_A_TRAVERSAL), 1))
    for row, latent in zip(points, latents, strict=True):
        row[:, latent] += STEPS_OF_A_TRAVERSAL * spread[latent]
    side = int(np.sqrt(len(mean)))
    flat = flow.inverse_transform(points.reshape(-1, len(mean)))
    images = flat.reshape(*points.shape[:2], side, side)
    apart = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return apart.transpose(0, 2, 1, 3).reshape(len(latents) * (side + 2), -1)
