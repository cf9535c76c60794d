"""Fixtures that tests ask for by name. What holds for every test is in the conftest.py above."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real measurements that IDENTIFLOW_DATA names; the test skips without one."""
    name = os.environ.get("IDENTIFLOW_DATA")
    if not name:
        pytest.skip("needs real data: set IDENTIFLOW_DATA to the folder that holds it")
    folder = Path(name)
    if not folder.is_dir():
        pytest.fail(f"IDENTIFLOW_DATA names {name!r}, which is not a folder; mend or unset it.")
    return folder
