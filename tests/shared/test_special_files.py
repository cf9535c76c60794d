"""A file never takes the place of what is none: pipes, sockets and devices stay."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from identiflow.iflow import IFlow
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.files import save_tensors

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs files that are none")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


KINDS: dict[str, tuple[Callable[[Path], object], Callable[[int], bool]]] = {
    "a pipe": (os.mkfifo, stat.S_ISFIFO),
    "a socket": (make_socket, stat.S_ISSOCK),
    "a link to a pipe": (
        lambda path: (os.mkfifo(path.with_name("pipe")), path.symlink_to("pipe")),
        stat.S_ISFIFO,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_refused_and_stays(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    make, is_one = KINDS[kind]
    path = tmp_path / "model"
    make(path)
    with pytest.raises(ValueError, match="Expected path to be a file; got .* pipe or socket"):
        save_tensors(path, "kind", {"t": torch.zeros(2)}, {})
    data = nonstationary_sources(2, 6, 20, seed=1)
    with pytest.raises(ValueError, match="Expected checkpoint to be a file; got .* Name another"):
        IFlow(max_steps=2).fit(data.x, data.u, checkpoint=path)
    assert is_one(path.stat().st_mode)
