"""The benchmarks run, compare what they say they compare, and write what they measure."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch
from torch import nn

from experiments import __main__ as command
from experiments.benchmarks.flows import count, our_flow
from experiments.benchmarks.memory import peak_memory
from experiments.benchmarks.peak import step_multiply_adds
from experiments.benchmarks.peers import PEERS, build_peers, import_peer, missing_peers, steered
from experiments.benchmarks.plan import FlowShape, Rounds
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.run import BENCHMARKS, main
from experiments.benchmarks.timing import interleave
from identiflow.shared.compute.compilation import finds_compiler

SHAPE = FlowShape(n_layers=3, hidden=(8, 16), n_labels=4)
NUMBERS = ("ratio_min", "ratio_median", "ratio_max", "seconds", "peer_seconds")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_runs_and_writes_its_rows(name, tmp_path, capsys, assert_rng_untouched):
    if name == "compilation" and not finds_compiler():
        pytest.skip("there is no compiler")
    file = tmp_path / "rows.json"
    with assert_rng_untouched():
        main(smoke=True, only=[name], json=file)
    content = json.loads(file.read_text("utf-8"))
    assert content["rows"] and {row["name"] for row in content["rows"]} == {name}
    for row in content["rows"]:
        assert all(math.isfinite(row[number]) and row[number] > 0 for number in NUMBERS), row
        assert row["ratio_min"] <= row["ratio_median"] <= row["ratio_max"]
    assert {"torch", "nflows"} <= set(content["versions"])
    assert content["threads"] == torch.get_num_threads()
    assert (content["seed"], content["smoke"]) == (0, True)
    assert content["cores"] >= 1
    assert f"| {name} " in capsys.readouterr().out


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"Expected only .* mcc, .*; got speed\. Name some"):
        main(smoke=True, only=["mcc", "speed"])


def test_a_missing_folder_is_refused_before_the_run(tmp_path):
    with pytest.raises(ValueError, match=r"Expected json in an existing folder"):
        main(smoke=True, only=["mcc"], json=tmp_path / "none" / "rows.json")


def test_the_command_takes_names_and_a_file(tmp_path, monkeypatch, capsys):
    file = tmp_path / "rows.json"
    arguments = ["benchmarks", "--smoke", "--only", "mcc", "peak", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["experiments", *arguments])
    command.main()
    assert [row["name"] for row in json.loads(file.read_text("utf-8"))["rows"]] == ["mcc", "peak"]


def test_other_experiments_do_not_take_them(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["experiments", "demo", "--only", "mcc"])
    with pytest.raises(SystemExit):
        command.main()
    assert "Expected --only with benchmarks; got" in capsys.readouterr().err


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "zuko", None)
    rows = main(smoke=True, only=["training_step"])
    assert "zuko" not in {row.peer for row in rows}
    assert capsys.readouterr().out.count("`pip install zuko`") == 1


def test_the_peers_have_the_parameters_that_are_documented():
    d, n_layers = SHAPE.features, SHAPE.n_layers
    ours = count(our_flow(SHAPE).parameters())
    fewer = {"nflows": 0, "normflows": 0, "zuko": d}
    measured = {name: ours - count(peer.parameters()) for name, peer in build_peers(SHAPE)}
    assert "nflows" in measured
    assert measured == {name: n_layers * fewer[name] for name in measured}


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("features", [2, 5])
def test_peers_map_the_columns_that_we_map(features, layer):
    shape = FlowShape(features=features, n_layers=2, hidden=(8,))
    coupling = our_flow(shape).bijection._transforms[1 + 2 * layer]
    x = torch.randn(3, features)
    changed = (coupling(x)[0] != x).any(0)
    assert torch.equal(changed, steered(shape, layer))


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_a_flow_under_a_gaussian_of_the_label(name):
    """log p(f(z) | u) + log |det J_f(z)| is the log-density of z, standard for a table of zeros."""
    if name in missing_peers():
        pytest.skip(f"{name} is not installed; pip install {name} brings it")
    peer = PEERS[name](import_peer(name), SHAPE)
    for part in peer.modules():
        if isinstance(part, nn.Embedding):
            nn.init.zeros_(part.weight)
    z, u = torch.randn(1, SHAPE.features), torch.tensor([1])
    jacobian = torch.autograd.functional.jacobian(lambda row: peer.decode(row), z)[0, :, 0]
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
    log_prob = peer.log_prob(peer.decode(z), u)[0] + jacobian.det().abs().log()
    assert log_prob.item() == pytest.approx(expected.item(), abs=1e-3)


def test_rounds_alternate_and_ratios_are_of_neighbours():
    calls = []
    rounds = Rounds(rounds=2, calls=2, warm_up=1)
    interleave(lambda: calls.append("A"), lambda: calls.append("B"), rounds)
    assert "".join(calls) == "AB" + "AABB" * 2
    row = Comparison.of("name", "peer", [1.0, 2.0, 4.0], [3.0, 2.0, 2.0], {})
    assert (row.ratio_min, row.ratio_median, row.ratio_max) == (0.5, 1.0, 3.0)
    assert (row.seconds, row.peer_seconds) == (2.0, 2.0)


def test_multiply_adds_are_those_of_the_linear_layers():
    shape = FlowShape(features=2, n_layers=1, hidden=(3,), n_bins=2)
    network = 1 * 3 + 3 * 5  # one column in, 3 n_bins - 1 numbers out
    assert step_multiply_adds(our_flow(shape), 7) == 3 * 7 * (network + 2 * 2)


def test_peak_memory_is_that_of_the_statement():
    used = peak_memory("size = 64 * 2**20", "held = b'x' * size; del held")
    assert used == pytest.approx(64 * 2**20, rel=0.1)
