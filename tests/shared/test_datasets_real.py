"""Laws of the loaders of real data: the published measurements, in the documented shapes."""

from __future__ import annotations

import csv
import functools
import gzip
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from identiflow.shared import datasets
from identiflow.shared.datasets import files
from identiflow.shared.datasets.light_tunnel import ANGLES, SOURCE_EXPERIMENTS, SOURCES


class Case(NamedTuple):
    """The shape of a loader's result: (rows, columns), the number of values of u, the sources."""

    load: object
    name: str
    shape: tuple
    n_values_of_u: int
    n_sources: int = 0
    covariates: tuple = ()
    n_edges: int = 0


CASES = {
    "light tunnel": Case(
        datasets.load_light_tunnel, "causal_chamber_lt", (6000, 9), 6, n_sources=5, n_edges=57
    ),
    "light tunnel, mixed": Case(
        functools.partial(datasets.load_light_tunnel, mixed=True),
        "causal_chamber_lt",
        (6000, 9),
        6,
        n_sources=5,
        n_edges=57,
    ),
    "light tunnel, everything": Case(
        functools.partial(datasets.load_light_tunnel, experiments="all", rows_per_experiment=None),
        "causal_chamber_lt",
        (30000, 9),
        21,
        n_sources=5,
        n_edges=57,
    ),
    "sachs": Case(datasets.load_sachs, "sachs", (7466, 11), 9, n_edges=20),
    "mtlnet": Case(
        datasets.load_mtlnet_fmri, "mtlnet_fmri", (9963, 10), 24, covariates=("scan", "hemisphere")
    ),
    "mtlnet, both hemispheres": Case(
        functools.partial(datasets.load_mtlnet_fmri, hemisphere="both", regions="combined"),
        "mtlnet_fmri",
        (19926, 6),
        24,
        covariates=("scan", "hemisphere"),
    ),
    "fmri 9var": Case(datasets.load_fmri_9var, "fmri_9var", (1440, 8), 9, covariates=("I", "scan")),
    "mnist": Case(datasets.load_mnist_t10k, "mnist_t10k", (10000, 784), 10),
    "japanese vowels": Case(
        datasets.load_japanese_vowels,
        "japanese_vowels",
        (9961, 12),
        9,
        covariates=("utterance", "frame", "part"),
    ),
    "pendigits": Case(datasets.load_pendigits, "pendigits", (10992, 16), 10),
    "digits": Case(datasets.load_digits, "digits", (1797, 64), 10),
}

PARENT = os.environ.get(files.FOLDER_VARIABLE)
real_files = pytest.mark.skipif(
    not PARENT, reason=f"{files.FOLDER_VARIABLE} is unset: no folder of real data to read"
)
needs = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=() if case.name == "digits" else real_files)
        for name, case in CASES.items()
    ],
)


# ---------------------------------------------------------------- every data set


@needs
def test_a_data_set_is_complete_and_described(case):
    data = case.load()
    assert (data.name, data.x.shape, data.x.dtype) == (case.name, case.shape, np.float64)
    assert data.u.shape == (case.shape[0],)
    assert len(np.unique(data.u)) == case.n_values_of_u
    assert np.isfinite(data.x).all()
    assert len(data.feature_names) == len(set(data.feature_names)) == case.shape[1]
    assert len(data.source_names) == case.n_sources
    if case.n_sources:
        assert data.z.shape == (case.shape[0], case.n_sources)
    else:
        assert data.z is None
    assert tuple(data.covariates) == case.covariates
    assert all(column.shape == data.u.shape for column in data.covariates.values())
    assert len(data.edges) == case.n_edges
    assert data.aux_name
    assert data.description
    assert data.licence
    assert data.citation


@needs
def test_parts_of_a_split_are_what_they_came_from(case):
    data = case.load()
    train, test = data.split(test_fraction=0.25, seed=3)
    assert len(train) + len(test) == len(data)
    assert (train.licence, train.edges) == (data.licence, data.edges)
    for label in np.unique(data.u):
        assert np.sum(test.u == label) == round(0.25 * np.sum(data.u == label))
    for part in (train, test):
        assert all(len(column) == len(part) for column in part.covariates.values())


@real_files
@pytest.mark.parametrize("name", [name for name in CASES if name != "digits"])
def test_folder_argument_and_environment_agree(name, monkeypatch):
    case = CASES[name]
    by_environment = case.load()
    monkeypatch.setenv(files.FOLDER_VARIABLE, "nowhere")
    by_parent = case.load(folder=PARENT)
    by_folder = case.load(Path(PARENT) / case.name)
    for data in (by_parent, by_folder):
        np.testing.assert_array_equal(data.x, by_environment.x)


# ---------------------------------------------------------------- one by one, read another way


def read_csv(name, filename):
    with (Path(PARENT) / name / filename).open(newline="") as file:
        return list(csv.DictReader(file))


@real_files
@pytest.mark.parametrize("experiment", SOURCE_EXPERIMENTS)
def test_light_tunnel_rows_are_the_first_of_their_experiment(experiment):
    data = datasets.load_light_tunnel()
    rows = read_csv("causal_chamber_lt", f"uniform_{experiment}.csv")[:1000]
    member = data.u == experiment
    assert member.sum() == 1000
    for values, names in ((data.x, data.feature_names), (data.z, SOURCES)):
        expected = [[float(row[name]) for name in names] for row in rows]
        np.testing.assert_array_equal(values[member], expected)


@real_files
def test_light_tunnel_interventions_move_one_source():
    data = datasets.load_light_tunnel()
    base = data.z[data.u == "reference"]
    for i, source in enumerate(SOURCES):
        shifted = data.z[data.u == f"{source}_strong"]
        moved = np.abs(shifted.mean(axis=0) - base.mean(axis=0)) / base.std(axis=0)
        assert np.argmax(moved) == i
        assert moved[i] > 5
        assert np.delete(moved, i).max() < 0.25


@real_files
def test_light_tunnel_mixture_is_an_invertible_map_of_the_sensors():
    plain, mixed = datasets.load_light_tunnel(), datasets.load_light_tunnel(mixed=True)
    design = np.column_stack([plain.x, np.ones(len(plain))])
    fit, _, rank, _ = np.linalg.lstsq(design, mixed.x, rcond=None)
    np.testing.assert_allclose(design @ fit, mixed.x, atol=1e-8)
    assert rank == 10
    standardised = fit[:-1] * plain.x.std(axis=0)[:, None]
    assert np.linalg.cond(standardised) < 30
    # a sensor alone almost is pol_1; no mixed column is
    pol_1 = plain.z[:, 3]
    angle = plain.x[:, plain.feature_names.index("angle_1")]
    assert abs(np.corrcoef(pol_1, angle)[0, 1]) > 0.99
    assert max(abs(np.corrcoef(pol_1, column)[0, 1]) for column in mixed.x.T) < 0.95
    other = datasets.load_light_tunnel(mixed=True, seed=1)
    assert not np.allclose(other.x, mixed.x)


@real_files
def test_light_tunnel_without_angles_and_by_name():
    data = datasets.load_light_tunnel(
        experiments=["red_strong", "l_11_mid"], rows_per_experiment=10, include_angles=False
    )
    assert data.x.shape == (20, 7)
    assert not set(ANGLES) & set(data.feature_names)
    assert list(dict.fromkeys(data.u)) == ["red_strong", "l_11_mid"]


@real_files
def test_sachs_blocks_logs_and_graph():
    raw, log = datasets.load_sachs(), datasets.load_sachs(log=True)
    sizes = [853, 902, 911, 723, 810, 799, 848, 913, 707]
    conditions = list(dict.fromkeys(raw.u))
    np.testing.assert_array_equal(raw.u, np.repeat(conditions, sizes))
    # the other published file holds log(x + 10), rounded
    with (
        Path(PARENT) / "sachs" / "sachs.2005.continuous.discrete.experimental.mixed.maximum.2.txt"
    ).open() as file:  # noqa: E501
        names = file.readline().split()
        published = np.loadtxt(file)
    assert tuple(names[:11]) == raw.feature_names
    np.testing.assert_allclose(log.x, published[:, :11], atol=6e-5)
    assert conditions[1] == "cd3_cd28+icam2"
    assert ("raf", "mek") in raw.edges
    assert {name for edge in raw.edges for name in edge} == set(raw.feature_names)


@real_files
def test_mtlnet_regions_time_and_hemispheres():
    left = datasets.load_mtlnet_fmri()
    combined = datasets.load_mtlnet_fmri(regions="combined")
    right = datasets.load_mtlnet_fmri(hemisphere="R", regions="combined")
    both = datasets.load_mtlnet_fmri(hemisphere="both", regions="combined")
    np.testing.assert_array_equal(both.x, np.concatenate([combined.x, right.x]))
    assert list(both.covariates["hemisphere"]) == ["L"] * 9963 + ["R"] * 9963
    assert not {"HEAD", "BG", "MISC"} & set(left.feature_names)
    column = dict(zip(left.feature_names, left.x.T, strict=True))
    merged = dict(zip(combined.feature_names, combined.x.T, strict=True))
    np.testing.assert_allclose(merged["PRC"], (column["BA35"] + column["BA36"]) / 2)
    np.testing.assert_allclose(
        merged["CA2/3+DG"], (column["CA2"] + column["CA3"] + column["DG"]) / 3
    )
    lengths = np.bincount(left.u)[1:]
    assert lengths[0] == 303
    assert np.all(lengths[1:] == 420)
    np.testing.assert_array_equal(left.covariates["scan"][left.u == 2], np.arange(420))
    lag_1 = [np.corrcoef(x[1:], x[:-1])[0, 1] for x in left.x[left.u == 5].T]
    assert np.mean(lag_1) > 0.9
    # scales differ between subjects: the loader does not take them away
    scales = [left.x[left.u == subject].std() for subject in range(1, 25)]
    assert max(scales) > 1.2 * min(scales)


@real_files
def test_fmri_9var_keeps_the_task_input_apart():
    data = datasets.load_fmri_9var()
    table = np.loadtxt(
        Path(PARENT) / "fmri_9var" / "sub004.cent-table.9.continuous.txt", skiprows=1
    )
    np.testing.assert_array_equal(data.x[data.u == 4], table[:, :8])
    np.testing.assert_array_equal(data.covariates["I"][data.u == 4], table[:, 8])
    assert np.all(np.unique(data.u, return_counts=True)[1] == 160)


@real_files
def test_mnist_has_its_known_digits():
    data = datasets.load_mnist_t10k()
    known = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_array_equal(np.bincount(data.u), known)
    assert list(data.u[:5]) == [7, 2, 1, 0, 4]
    assert (data.x.min(), data.x.max()) == (0, 255)
    with gzip.open(Path(PARENT) / "mnist_t10k" / "t10k-images-idx3-ubyte.gz") as file:
        assert data.x[1].astype(np.uint8).tobytes() == file.read()[16 + 784 : 16 + 2 * 784]


@real_files
def test_japanese_vowels_frames_and_utterances():
    data = datasets.load_japanese_vowels()
    part, utterance = data.covariates["part"], data.covariates["utterance"]
    assert {name: np.sum(part == name) for name in ("train", "test")} == {
        "train": 4274,
        "test": 5687,
    }
    lengths = np.bincount(utterance)
    assert (len(lengths), lengths.min(), lengths.max()) == (640, 7, 29)
    assert len(np.unique(utterance[part == "train"])) == 270
    assert sorted(set(data.u)) == list(range(1, 10))
    assert np.all(data.covariates["frame"][np.r_[0, np.cumsum(lengths)[:-1]]] == 0)
    np.testing.assert_allclose(data.x[:3, 0], [1.860936, 1.891651, 1.939205])
    np.testing.assert_allclose(data.x[:2, 1], [-0.207383, -0.193249])


@real_files
def test_pendigits_coordinates():
    data = datasets.load_pendigits()
    assert (data.x.min(), data.x.max()) == (0, 100)
    assert list(data.x[0, :4]) == [47, 100, 27, 81]
    assert data.u[0] == 8
