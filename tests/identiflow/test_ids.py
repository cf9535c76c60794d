"""Columns that name rows are known by their names, as programs of many fields write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from identiflow.tables import write_table

N = 60
RNG = np.random.default_rng(0)
OF_ROWS = RNG.permutation(np.repeat(np.arange(20) * 7 + 525869, 3))  # each on three rows
TABLE = pd.DataFrame({"left": RNG.normal(size=N), "right": RNG.normal(size=N)})
TABLE["u"] = np.array(list("abc"))[np.arange(N) % 3]
IDS = ["SUBJID", "USUBJID", "SEQN", "eid", "MRN", "RID", "PTID", "patientunitstayid", "userid"]
IDS += [
    "user",
    "subj",
    "ppn",
    "lfdn",
    "Nr",
    "No.",
    "number",
    "barcode",
    "station",
    "CASENO",
    "stayID",
]
IDS += ["ObjectNumber", "SiteNum", "Site Num", "TRACK_ID", "FRAME", "RECORDING_SESSION_LABEL"]
MEASURED = ["humid", "fluid", "acid", "lipid", "solid", "grid", "valid", "centroid", "rapid", "bid"]
MEASURED += ["phenotype", "numeracy", "noise", "users per day", "stationary", "casein", "count"]


@pytest.mark.parametrize("name", IDS)
def test_ids_that_rows_share_are_warned_of(name: str, taken: Callable, tmp_path: Path) -> None:
    write_table(TABLE.assign(**{name: OF_ROWS}), tmp_path / "t.csv")
    (said,) = taken(tmp_path / "t.csv", "--aux", "u").said
    assert f"Taken for measurements: ids by the name ({name}). If it is not measured" in said


@pytest.mark.parametrize("name", MEASURED)
def test_measurements_whose_names_are_like_those_are_not(
    name: str, taken: Callable, tmp_path: Path
) -> None:
    write_table(TABLE.assign(**{name: OF_ROWS}), tmp_path / "t.csv")
    assert taken(tmp_path / "t.csv", "--aux", "u").said == []
