"""Laws of the files behind real data: local or fetched, and always the published bytes."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading

import pooch
import pytest

from identiflow.shared import datasets
from identiflow.shared.datasets import files
from identiflow.shared.datasets.real import ABOUT

TABLE = "47, 100, 27, 81, 57, 37, 26, 0, 0, 23, 56, 53, 100, 90, 40, 98, 8\n" * 3


@pytest.fixture
def small_pendigits(tmp_path, monkeypatch):
    """A miniature of pendigits, which the registry takes for the published file; its bytes."""
    content = TABLE.encode()
    entry = files._Entry(hashlib.sha256(content).hexdigest(), "http://localhost:9/penbased.dat")
    monkeypatch.setattr(files, "registry", lambda: {"pendigits/penbased.dat": entry})
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.delenv(files.FOLDER_VARIABLE, raising=False)
    return content


@pytest.fixture
def origin(tmp_path, monkeypatch):
    """A web server on this machine: its folder and its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "origin"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def serve(monkeypatch, address):
    entry = files.registry()["pendigits/penbased.dat"]._replace(url=f"{address}/penbased.dat")
    monkeypatch.setattr(files, "registry", lambda: {"pendigits/penbased.dat": entry})


def test_files_are_fetched_once_and_then_read_from_the_cache(small_pendigits, origin, monkeypatch):
    folder, address = origin
    serve(monkeypatch, address)
    (folder / "penbased.dat").write_bytes(small_pendigits)
    assert datasets.load_pendigits().x.shape == (3, 16)
    (folder / "penbased.dat").unlink()
    assert datasets.load_pendigits().x.shape == (3, 16)


def test_a_fetched_file_with_other_bytes_is_refused(small_pendigits, origin, monkeypatch):
    folder, address = origin
    serve(monkeypatch, address)
    (folder / "penbased.dat").write_bytes(small_pendigits.replace(b"47", b"48"))
    with pytest.raises(ValueError, match=r"SHA256 hash.*penbased\.dat.*does not match"):
        datasets.load_pendigits()


def test_a_missing_origin_says_how_to_go_on(small_pendigits, origin, monkeypatch):
    serve(monkeypatch, origin[1])
    with pytest.raises(ConnectionError, match=r"pendigits/penbased\.dat.*IDENTIFLOW_DATA"):
        datasets.load_pendigits()


@pytest.mark.parametrize("inside", ["", "pendigits"])
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_folder_is_found(small_pendigits, tmp_path, monkeypatch, inside, by):
    place = tmp_path / "data" / inside
    place.mkdir(parents=True)
    (place / "penbased.dat").write_bytes(small_pendigits)
    folder = tmp_path / "data"
    if by == "environment":
        monkeypatch.setenv(files.FOLDER_VARIABLE, str(folder))
        assert len(datasets.load_pendigits()) == 3
    else:
        monkeypatch.setenv(files.FOLDER_VARIABLE, "nowhere")
        assert len(datasets.load_pendigits(folder=folder)) == 3
    assert datasets.find_folder("pendigits", folder) == place


def test_a_corrupted_copy_is_named(small_pendigits, tmp_path):
    (tmp_path / "penbased.dat").write_bytes(small_pendigits[:-1])
    with pytest.raises(
        ValueError, match=r"Expected .*penbased\.dat with SHA-256 \w{64}; got \w{64}"
    ):
        datasets.load_pendigits(tmp_path)


def test_a_missing_file_is_named(small_pendigits, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"penbased\.dat of pendigits .*IDENTIFLOW_DATA"):
        datasets.load_pendigits(tmp_path)


def test_no_folder_means_none(monkeypatch):
    monkeypatch.delenv(files.FOLDER_VARIABLE, raising=False)
    assert datasets.find_folder("sachs") is None


def test_registry_pins_every_file():
    registry = files.registry()
    assert {key.split("/")[0] for key in registry} == ABOUT.keys() - {"digits"}
    for key, (sha256, url) in registry.items():
        assert re.fullmatch("[0-9a-f]{64}", sha256)
        assert re.match(r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/", url)
        assert key.split("/")[1].endswith(url.split("/")[-1])
    assert len({entry.sha256 for entry in registry.values()}) == len(registry)
