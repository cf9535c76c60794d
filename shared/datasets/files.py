"""Where the files of a real data set come from: a folder, or their origin; always by checksum."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from identiflow.shared.inputs.extras import needed_by

FOLDER_VARIABLE = "IDENTIFLOW_DATA"


class _Entry(NamedTuple):
    sha256: str
    url: str


@functools.cache
def registry() -> dict[str, _Entry]:
    """Every known file, as "data set/file name", with its SHA-256 and the address of its origin."""
    text = (
        resources.files("identiflow.shared.datasets")
        .joinpath("registry.txt")
        .read_text(encoding="ascii")
    )
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {key: _Entry(sha256, url) for key, sha256, url in lines}


def find_folder(name: str, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The local folder of a data set, or None where its files would be fetched.

    Looks at `folder`, otherwise at the environment variable IDENTIFLOW_DATA. Either names the
    folder of the data set itself or one that contains it under the name of the data set.

    Args:
        name: the data set, for example "sachs" or "causal_chamber_lt".
        folder: overrides the environment variable.

    Example:
        >>> find_folder("sachs", "my_data").name
        'my_data'
    """
    place = folder if folder is not None else os.environ.get(FOLDER_VARIABLE)
    if not place:
        return None
    inside = Path(place) / name
    return inside if inside.is_dir() else Path(place)


def data_files(
    name: str, filenames: Iterable[str], folder: str | os.PathLike[str] | None = None
) -> dict[str, Path]:
    """The paths of the named files of a data set, each checked against its SHA-256.

    Files are read from `find_folder(name, folder)`; where that is None they are fetched through
    pooch from their origin (a repository at a pinned commit) into pooch's cache folder.

    Raises:
        FileNotFoundError: if a local folder lacks a file.
        ValueError: if a file is not, byte for byte, the published one.
        ConnectionError: if a file could not be fetched.
    """
    local = find_folder(name, folder)
    if local is None:
        return {filename: _fetch(f"{name}/{filename}") for filename in filenames}
    return {filename: _checked(local / filename, f"{name}/{filename}") for filename in filenames}


def _checked(path: Path, key: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected the file {path.name} of {key.partition('/')[0]} in {path.parent}; found "
            f"none. Pass as folder, or in the environment variable {FOLDER_VARIABLE}, the folder "
            "that holds it, or leave both out to fetch it."
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != registry()[key].sha256:
        raise ValueError(
            f"Expected {path} with SHA-256 {registry()[key].sha256}; got {found}. The file is not "
            f"the published one: replace it with {registry()[key].url}"
        )
    return path


def _fetch(key: str) -> Path:
    with needed_by("data"):
        import pooch

    sha256, url = registry()[key]
    try:
        path = pooch.retrieve(
            url, known_hash=sha256, fname=key, path=pooch.os_cache("identiflow"), progressbar=False
        )
    except OSError as error:
        raise ConnectionError(
            f"Expected to fetch {key} from {url}; got {error}. Check the network, or fetch the "
            f"file by other means and pass its folder (argument folder, or {FOLDER_VARIABLE})."
        ) from error
    return Path(path)
