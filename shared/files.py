"""Safe files of tensors and JSON: nothing in them is ever executed, and none is half written."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

FORMAT = "identiflow"
VERSION = 1


class FileFormatError(ValueError):
    """A file that is not one of ours, is damaged, or comes from a newer version."""


def check_folder(path: str | os.PathLike[str], name: str = "path") -> None:
    """Raise, before any long work, if the folder a file is to be written to does not exist."""
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise ValueError(
            f"Expected {name} in an existing folder; got {os.fspath(path)!r}, and there is no "
            f"{folder}. Make the folder first."
        )
    if Path(path).is_dir():
        raise ValueError(f"Expected {name} to be a file; got the folder {os.fspath(path)!r}.")
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError(
            f"Expected {name} to be a file; got {os.fspath(path)!r}, a device, pipe or socket, in "
            "the place of which a file would be put. Name another file."
        )


def save_tensors(
    path: str | os.PathLike[str],
    kind: str,
    tensors: Mapping[str, Tensor],
    info: Mapping[str, Any],
    check: Callable[[Path], object] | None = None,
) -> None:
    """Write tensors and JSON-ready `info` to `path`, atomically.

    After a crash there is the old file or the new one (`written_whole`). Devices are not stored.

    Args:
        path: of the file.
        kind: what it holds.
        tensors: by name.
        info: made of what JSON holds.
        check: given what was written, before it takes the place of what was there; it may raise.

    Raises:
        ValueError: if the folder does not exist, and whatever `check` raises.
        OSError: if it cannot be written; what was there before is untouched.
    """
    check_folder(path)
    text = json.dumps(info)
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    header = {"format": FORMAT, "version": str(VERSION), "kind": kind, "info": text}
    header["sha256"] = _digest(plain, text)
    try:
        with written_whole(path) as temporary:
            temporary.write_bytes(save(plain, metadata=header))
            if check:
                check(temporary)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Expected to write {path}; got {error.strerror or error}. What was there before is "
            "untouched: make room, and do the same again",
        ) from None


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside `path` to write to, which takes its place at the end, or is removed.

    It is flushed to disk before it is renamed. A symbolic link stays: what it leads to is replaced.
    Who may read what was there may read what takes its place, and nobody else.
    """
    place = Path(os.path.realpath(path))
    temporary = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
    replaces = place.exists()
    try:
        if replaces:
            temporary.touch(mode=0o600)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if replaces:
            shutil.copymode(place, temporary)
        os.replace(temporary, place)
        _sync_folder(place.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flush to disk that a file has another name, where a folder can be flushed."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems do not know how
        pass
    finally:
        os.close(descriptor)


@contextmanager
def used_alone(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes and threads from doing this with `path`, by a lock file beside it.

    Raises:
        ValueError: if one of them does.
    """
    lock = FileLock(f"{os.path.realpath(path)}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"Expected checkpoint {path} to be used by one fit at a time; got another one that is "
            "under way. Pass another file name, or wait for that one."
        ) from None
    except (OSError, NotImplementedError):  # where files cannot be locked
        yield
        return
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def discard_parts(path: str | os.PathLike[str]) -> None:
    """Remove what was left where a process was killed while it wrote this file."""
    path = Path(os.path.realpath(path))
    for part in path.parent.glob(f"{glob.escape(path.name)}.{'[0-9a-f]' * 8}.part"):
        part.unlink(missing_ok=True)


def load_tensors(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the info of a file written by `save_tensors`.

    Raises:
        FileNotFoundError: if there is no such file.
        FileFormatError: if it is not ours, is damaged, is of another kind or a newer version.
    """
    with _opened(path) as (file, header):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if header.get("kind") != kind:
        raise FileFormatError(f"Expected {path} to hold {kind!r}; got {header.get('kind')!r}.")
    if header.get("sha256") != _digest(tensors, header.get("info", "")):
        raise FileFormatError(
            f"Expected {path} as it was written; got other contents. The file is damaged: restore "
            "it from a copy, or delete it and start anew."
        )
    try:
        info = json.loads(header["info"])
    except (KeyError, ValueError, RecursionError) as error:
        raise FileFormatError(
            f"Expected {path} to hold plain values beside its tensors; got {error!r}. The file is "
            "damaged, or not of save."
        ) from None
    # What was read is a view of the file, which others may change.
    return {name: t.clone() for name, t in tensors.items()}, info


def kind_of(path: str | os.PathLike[str]) -> str:
    """The kind of a file written by `save_tensors`; its errors are those of `load_tensors`."""
    with _opened(path) as (_, header):
        return header.get("kind", "")


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[Any, Mapping[str, str]]]:
    """The file and its header, if it is one of ours."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"Expected a file written by save; found none at {path}.")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            _check_header(header, path)
            yield file, header
    except SafetensorError as error:
        raise FileFormatError(
            f"Expected {path} to be a safetensors file written by save; got {error}. "
            "The file is damaged or of another kind; nothing in it was executed."
        ) from None


def _check_header(header: Mapping[str, str], path: str | os.PathLike[str]) -> None:
    version = header.get("version", "")
    if header.get("format") != FORMAT or not version.isdecimal():
        raise FileFormatError(
            f"Expected {path} to be written by identiflow; got a file without its mark."
        )
    if int(version) > VERSION:
        raise FileFormatError(
            f"Expected {path} in format version ≤ {VERSION}; got {version}. "
            "Upgrade identiflow to read it."
        )


def _digest(tensors: Mapping[str, Tensor], info: str) -> str:
    digest = hashlib.sha256(info.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
