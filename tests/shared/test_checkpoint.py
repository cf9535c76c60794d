"""Laws of our files: exact, never half written, damage always noticed, nothing executed."""

from __future__ import annotations

import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from identiflow.shared import files
from identiflow.shared.training import FileFormatError, load_tensors, save_tensors

TENSORS = {
    "float": torch.tensor([1.5, -0.0, float("inf"), 1e-45]),
    "double": torch.tensor([[1 / 3, 2 / 3]], dtype=torch.float64),
    "half": torch.tensor([1 / 3], dtype=torch.bfloat16),
    "long": torch.tensor([2**62, -(2**63)]),
    "Boolean": torch.tensor([True, False]),
    "scalar": torch.tensor(3.0),
    "empty": torch.zeros(0, 4),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "nested/ä": torch.tensor([1]),
}
INFO = {"numbers": [0.1, 1e300, float("inf"), 2**60], "text": "λ(u)\n", "nothing": None, "": {}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    save_tensors(path, "test", TENSORS, INFO)
    return path


def test_what_is_written_is_read(path):
    tensors, info = load_tensors(path, "test")
    assert info == INFO and tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype and torch.equal(tensors[name], tensor), name


def test_tensors_that_share_memory_or_need_gradients_are_written(path):
    weight = torch.ones(3, requires_grad=True)
    save_tensors(path, "test", {"a": weight, "b": weight, "c": weight[1:]}, {})
    tensors, _ = load_tensors(path, "test")
    assert tensors["c"].tolist() == [1, 1] and not tensors["a"].requires_grad


def test_a_changed_byte_is_noticed_wherever_it_is(path):
    contents = path.read_bytes()
    generator = random.Random(0)
    for position in range(0, len(contents), 3):
        changed = bytearray(contents)
        changed[position] ^= 1 << generator.randrange(8)
        path.write_bytes(changed)
        try:
            tensors, info = load_tensors(path, "test")
        except FileFormatError:
            continue
        # A header may say the same in other bytes: a space for a space of another kind.
        assert info == INFO and all(map(torch.equal, tensors.values(), TENSORS.values()))
        assert position < len(contents) - 80, f"byte {position} of the tensors"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(FileFormatError, match="a.safetensors.*damaged"):
        load_tensors(path, "test")


class Trap:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


DISGUISES: dict[str, Callable[[Trap, Path], None]] = {
    "pickle": lambda trap, path: path.write_bytes(pickle.dumps(trap)),
    "torch": torch.save,
    "torch, old format": lambda trap, path: torch.save(
        trap, path, _use_new_zipfile_serialization=False
    ),
}


@pytest.mark.parametrize("kind", DISGUISES)
def test_a_pickle_in_disguise_is_not_executed(kind, path):
    sprung = path.with_name("sprung")
    DISGUISES[kind](Trap(sprung), path)
    with pytest.raises(FileFormatError, match="nothing in it was executed"):
        load_tensors(path, "test")
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()  # the trap does work


@pytest.mark.parametrize("kind", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(kind, path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(files.os, kind, fail)
    with pytest.raises(OSError, match="no space left"):
        save_tensors(path, "test", {}, {})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_what_a_killed_write_left_is_removed(tmp_path):
    path, others = tmp_path / "run[1].ckpt", ["run[1].ckpt.part", "run1.ckpt.0123abcd.part"]
    for name in [path.name, *others, "run[1].ckpt.0123abcd.part"]:
        (tmp_path / name).touch()
    files.discard_parts(path)
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, *others])


def test_a_file_is_as_readable_as_others(path):
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def header(**changes: str) -> dict[str, str]:
    plain = {"format": "identiflow", "version": "1", "kind": "test", "info": json.dumps({})}
    return {**plain, **changes}


HEADERS = {
    "not ours": (header(format="other"), "written by identiflow; got a file without its mark"),
    "no version": (header(version=""), "without its mark"),
    "a newer version": (header(version="2"), "version ≤ 1; got 2. Upgrade identiflow"),
    "another kind": (header(kind="IFlow"), "to hold 'test'; got 'IFlow'"),
    "no digest": (header(), "as it was written; got other contents.*damaged"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_other_safetensors_files_are_refused(case, path):
    metadata, message = HEADERS[case]
    save_file({"a": torch.ones(2)}, path, metadata=metadata)
    with pytest.raises(FileFormatError, match=f"^Expected .*a.safetensors.*{message}"):
        load_tensors(path, "test")


@pytest.mark.parametrize("name", ["absent", "."])
def test_a_missing_file_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="^Expected a file written by save; found none at"):
        load_tensors(tmp_path / name, "test")


def test_a_missing_folder_is_named_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="Expected path in an existing folder; got .*Make the"):
        save_tensors(tmp_path / "nowhere" / "model", "model", {}, {})


def test_a_link_stays_and_what_it_leads_to_is_replaced(path, tmp_path):
    link = tmp_path / "link.ckpt"
    link.symlink_to(path)
    save_tensors(link, "test", {"b": torch.ones(1)}, {})
    path.with_name(f"{path.name}.0123abcd.part").touch()
    files.discard_parts(link)
    assert link.is_symlink() and list(load_tensors(path, "test")[0]) == ["b"]
    assert set(os.listdir(tmp_path)) == {link.name, path.name}
