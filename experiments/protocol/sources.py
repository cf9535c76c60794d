"""Generated sources, every method in one protocol: the task that the benchmarks consist of.

A fifth of the rows is held out from everything, the choice of weights included, and scored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from experiments.methods.by_name import SMOKE, build
from experiments.methods.supervised import Supervised
from experiments.protocol.fits import Split, fit_row
from experiments.protocol.table import Row
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.metrics import chance_level, mean_corr_coef

# Seeds 1 to 100 are for choosing what the defaults are; reported are those from here on.
FIRST_SEED = 101
CHANCE = "chance"
Items: TypeAlias = tuple[tuple[str, Any], ...]
SQUARED = "TCL, against z²"
SUPERVISED = "supervised, a network"


def tasks(
    settings: Mapping[str, Mapping[str, Any]],
    methods: Iterable[str],
    seeds: int,
    smoke: bool,
    **options: Any,
) -> list[partial[Row]]:
    """A task for each setting of `nonstationary_sources`, method and data seed.

    `options` are of the methods, and put into the name of what is fitted.
    """
    seeds = 1 if smoke else seeds
    if smoke:
        settings = {name: {**s, **small(s["latent_dim"])} for name, s in settings.items()}
    return [
        partial(fit_sources, name, items(setting), method, seed, smoke, items(options))
        for name, setting in settings.items()
        for method in methods
        for seed in range(FIRST_SEED, FIRST_SEED + seeds)
    ]


def compared(
    settings: Mapping[str, Mapping[str, Any]], methods: Iterable[str], seeds: int, smoke: bool
) -> list[partial[Row]]:
    """`tasks` on all data seeds for IFlow, half of them for IVAE and SUPERVISED, else a sixth.

    That is where the numbers that matter need to be sharp, and where they can be had.
    """
    share = {"IFlow": 1, "IVAE": 2, SUPERVISED: 2}
    return [
        task
        for method in methods
        for task in tasks(settings, [method], max(1, seeds // share.get(method, 6)), smoke)
    ]


def small(latent_dim: int) -> dict[str, int]:
    """Few rows, of as many segments as theorem 1 asks for with two statistics a source."""
    return {"n_segments": 2 * latent_dim + 1, "samples_per_segment": 10}


def items(values: Mapping[str, Any]) -> Items:
    """A dict in the form that tasks take."""
    return tuple(values.items())


def fit_sources(
    name: str, setting: Items, method: str, seed: int, smoke: bool, options: Items = ()
) -> Row:
    """One method on one draw of the data."""
    data = nonstationary_sources(**dict(setting), seed=seed)
    split = Split(*dataclasses.replace(data, name=name).split(0.2, seed=0))
    if method == CHANCE:
        level = chance_level(split.test.z, split.test.z, n_permutations=20, seed=seed)
        return Row(name, method, level.mean, seed=seed)
    if method == SUPERVISED:
        shown = Supervised(data.z.shape[1], progress=False, **SMOKE if smoke else {})
        z = shown.fit(split.train.x, split.train.z).transform(split.test.x)
        return Row(name, method, mean_corr_coef(split.test.z, z), seed=seed)
    score = squared_mcc if method == SQUARED else None
    built = "TCL" if method == SQUARED else method
    estimator = build(built, data.z.shape[1], smoke, **dict(options))
    row = fit_row(method, estimator, split, *([score] if score else []))
    changed = ", ".join(f"{key} {value}" for key, value in options)
    return dataclasses.replace(row, seed=seed, method=f"{method}, {changed}" if changed else method)


def squared_mcc(data: Any, latents: Any) -> float:
    """MCC with z², which is what TCL can recover of sources whose scale alone changes."""
    return mean_corr_coef(data.z**2, latents, allow_unequal=True)
