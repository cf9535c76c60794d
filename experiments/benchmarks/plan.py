"""Sizes of each benchmark: those that are reported, and tiny ones to see that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # where processes of their own find the packages
SEED = 0


@dataclass(frozen=True)
class Rounds:
    """`warm_up` calls that do not count, then `rounds` times `calls` calls of ours and a peer's."""

    rounds: int
    calls: int
    warm_up: int


@dataclass(frozen=True)
class FlowShape:
    """n_layers × [rational-quadratic coupling, linear layer] under a Gaussian prior of labels."""

    features: int = 5
    n_labels: int = 40
    n_layers: int = 8
    hidden: tuple[int, ...] = (128, 128)
    n_bins: int = 8
    bound: float = 5.0


@dataclass(frozen=True)
class Plan:
    """Sizes of all benchmarks.

    Attributes:
        steps: rounds of training steps.
        passes: rounds of one pass over many rows, which benchmarks warm up on less.
        few: rounds of steps of many models.
        processes: rounds of fresh processes.
        compilations: how often compiling is timed, which takes a minute each time.
        fit_steps: steps of a fit that is just long enough to be compiled.
        seeds: how many models are stacked.
        ensembles: seeds and steps of whole ensembles; ensemble_rounds: of their fits.
        flow: the flow, ours and the peers'.
        flow_batch: rows in a training step of a flow.
        vae_batch: rows in a training step of an iVAE.
        data_rows: rows that training draws its batches from.
        pass_rows: rows of one pass.
        score_shape: rows and columns that are scored by MCC.
        imports: the package whose import is timed, and its peer.
        matmul_width: n of the (n, n) product that measures the machine.
        few_labels, many_labels: what `labels` compares.
        data_sets, rows_of_a_segment: the data of `time_to_mcc`.
        target_mcc, seconds_to_mcc: what it is timed to, and the longest that it waits.
        compile_to_mcc: `compile` of its fit; compiling takes longer than the rest of a tiny one.
        features, rows, segments: the settings of `scaling`; its peer is the first of each.
    """

    steps: Rounds
    passes: Rounds
    few: Rounds
    processes: Rounds
    compilations: int
    fit_steps: int
    seeds: tuple[int, ...]
    ensembles: tuple[tuple[int, int], ...]
    ensemble_rounds: Rounds
    flow: FlowShape
    flow_batch: int
    vae_batch: int
    data_rows: int
    pass_rows: int
    score_shape: tuple[int, int]
    imports: tuple[str, str]
    matmul_width: int
    few_labels: int
    many_labels: int
    data_sets: int
    rows_of_a_segment: int
    target_mcc: float
    seconds_to_mcc: float
    compile_to_mcc: bool | str
    features: tuple[int, ...]
    rows: tuple[int, ...]
    segments: tuple[int, ...]


FULL = Plan(
    steps=Rounds(rounds=7, calls=20, warm_up=10),
    passes=Rounds(rounds=5, calls=1, warm_up=0),
    few=Rounds(rounds=5, calls=2, warm_up=1),
    processes=Rounds(rounds=7, calls=1, warm_up=1),
    compilations=3,
    fit_steps=4000,
    seeds=(2, 8, 32),
    ensembles=((8, 1000), (8, 5000)),
    ensemble_rounds=Rounds(rounds=2, calls=1, warm_up=0),
    flow=FlowShape(),
    flow_batch=256,
    vae_batch=64,
    data_rows=100_000,
    pass_rows=1_000_000,
    score_shape=(1_000_000, 100),
    imports=("identiflow.iflow", "torch"),
    matmul_width=2048,
    few_labels=10,
    many_labels=10_000,
    data_sets=3,
    rows_of_a_segment=1000,
    target_mcc=0.75,
    seconds_to_mcc=180,
    compile_to_mcc="auto",
    features=(2, 4, 8, 16, 32, 64),
    rows=(1_000, 10_000, 100_000, 1_000_000),
    segments=(10, 100, 1_000, 10_000),
)

SMOKE = Plan(
    steps=Rounds(rounds=2, calls=1, warm_up=1),
    passes=Rounds(rounds=2, calls=1, warm_up=0),
    few=Rounds(rounds=2, calls=1, warm_up=1),
    processes=Rounds(rounds=1, calls=1, warm_up=0),
    compilations=1,
    fit_steps=2,
    seeds=(2,),
    ensembles=((2, 3),),
    ensemble_rounds=Rounds(rounds=1, calls=1, warm_up=0),
    flow=FlowShape(features=2, n_labels=10, n_layers=1, hidden=(8,)),  # it is compiled
    flow_batch=32,
    vae_batch=16,
    data_rows=256,
    pass_rows=256,
    score_shape=(1_000, 5),
    imports=("json", "re"),  # torch takes seconds
    matmul_width=64,
    few_labels=10,
    many_labels=100,
    data_sets=1,
    rows_of_a_segment=20,
    target_mcc=0.99,
    seconds_to_mcc=0.2,
    compile_to_mcc=False,
    features=(2, 4),
    rows=(64, 256),
    segments=(10, 40),
)
