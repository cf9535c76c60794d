"""Safe files of tensors and JSON: nothing in them is ever executed, and none is half written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

FORMAT = "identiflow"
VERSION = 1


class FileFormatError(ValueError):
    """A file that is not one of ours, is damaged, or comes from a newer version."""


def save_tensors(
    path: str | os.PathLike[str], kind: str, tensors: Mapping[str, Tensor], info: Mapping[str, Any]
) -> None:
    """Write tensors and JSON-ready `info` to `path`, atomically.

    The file is written under a temporary name, flushed to disk, then renamed: after a crash there
    is the old file or the new one. Devices are not stored.
    """
    header = {"format": FORMAT, "version": str(VERSION), "kind": kind, "info": json.dumps(info)}
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(save(plain, metadata=header))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_tensors(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the info of a file written by `save_tensors`.

    Raises:
        FileNotFoundError: if there is no such file.
        FileFormatError: if it is not ours, is damaged, is of another kind or a newer version.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"Expected a file written by save; found none at {path}.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise FileFormatError(
            f"Expected {path} to be a safetensors file written by save; got {error}. "
            "The file is damaged or of another kind; nothing in it was executed."
        ) from None
    _check_header(header, kind, path)
    return tensors, json.loads(header["info"])


def _check_header(header: Mapping[str, str], kind: str, path: str | os.PathLike[str]) -> None:
    if header.get("format") != FORMAT:
        raise FileFormatError(
            f"Expected {path} to be written by identiflow; got a file without its mark."
        )
    if int(header["version"]) > VERSION:
        raise FileFormatError(
            f"Expected {path} in format version ≤ {VERSION}; got {header['version']}. "
            "Upgrade identiflow to read it."
        )
    if header["kind"] != kind:
        raise FileFormatError(f"Expected {path} to hold {kind!r}; got {header['kind']!r}.")
