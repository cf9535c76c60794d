"""The page about a model: whole, self-contained, and honest about what it sees."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import kstest

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.main import app
from identiflow.report import figures, write_report
from identiflow.report.facts import Facts, advice, gather
from identiflow.report.page import render
from identiflow.shared.auxiliary import Mixed
from identiflow.shared.datasets import nonstationary_sources

DATA = nonstationary_sources(3, n_segments=8, samples_per_segment=60, seed=1)
NAMES = ["<i>left</i>", "right $x_1$", "y & z"]
TINY: dict[str, Any] = {"hidden": (8,), "max_steps": 12, "progress": False}
TIME = np.linspace(0, 1, len(DATA.x))
PAGES: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "a flow": lambda: fitted(IFlow(n_layers=1, n_restarts=2, **TINY), DATA.u),
    "a VAE of continuous u": lambda: fitted(IVAE(1, **TINY), TIME),
    "a VAE of mixed u": lambda: fitted(
        IVAE(2, encoder_sees_u=True, prior="laplace", **TINY), Mixed(DATA.u, TIME)
    ),
    "no u": lambda: fitted(IFlow(n_layers=1, prior="unconditional", **TINY), DATA.u),
}


def fitted(estimator: Any, u: Any) -> tuple[Any, Any, Any]:
    x = pd.DataFrame(DATA.x, columns=NAMES)
    return estimator.fit(x, u), x, u


@pytest.fixture(scope="module")
def facts() -> Facts:
    return gather(*PAGES["a flow"](), oracle=1.5)


@pytest.mark.parametrize("case", PAGES)
@pytest.mark.filterwarnings("ignore::shared.identifiability.IdentifiabilityWarning")
def test_a_page_is_whole_and_needs_nothing_else(case: str, tmp_path: Path) -> None:
    estimator, x, u = PAGES[case]()
    write_report(estimator, x, u, tmp_path / "page.html", title="A <script>bad()</script> title")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<figure") == page.count("<svg") == 5 + (case == "a flow")
    outside = re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    assert outside == [] and "@import" not in page
    assert "<script" not in page and "A &lt;script&gt;" in page
    assert "<i>left" not in page and "right $x_1$" in page
    assert str(estimator.check_identifiability(u, x)) in page.replace("&#39;", "'")


def test_a_page_is_the_same_each_time(facts: Facts) -> None:
    assert render(facts) == render(facts)


def test_colours_are_those_of_the_page(facts: Facts) -> None:
    figure = figures.learning_curves(facts.estimator.history_, 1.0)
    assert "currentColor" in figure and figures.INK not in figure


def test_labels_in_scripts_that_a_font_lacks_stay_text() -> None:
    figure = figures.heat_map(np.eye(2), ["対照", "处理"], ["z0", "z1"], "λ(u)")
    assert "対照" in figure and "处理" in figure


def test_more_columns_get_a_map_of_their_own() -> None:
    data = nonstationary_sources(5, n_segments=12, samples_per_segment=30, seed=1)
    flow = IFlow(n_layers=1, **TINY).fit(data.x, data.u)
    assert "All columns" in render(gather(flow, data.x, data.u))


def test_traversals_go_through_the_inverse(facts: Facts) -> None:
    ways, z = facts.traversals, facts.z
    assert ways.shape == (3, 19, 3)
    middle = np.median(z, axis=0)
    middle[1] = np.quantile(z[:, 1], 0.95)
    expected = facts.estimator.inverse_transform(middle[None])[0]
    scaled = (expected - facts.estimator.x_mean_) / facts.estimator.x_scale_
    np.testing.assert_allclose(ways[1, -1], scaled)


def test_quantiles_of_the_true_model_are_uniform() -> None:
    """A linear mixing of Gaussian sources is what a flow starts from: a fit of it is right."""
    data = nonstationary_sources(2, 5, 800, n_layers=1, seed=2)
    train, test = data.split(0.5, seed=0)
    flow = IFlow(n_layers=1, hidden=(8,), max_steps=200, progress=False).fit(train.x, train.u)
    assert gather(flow, test.x, test.u).miscalibration.max() < 0.04
    turned = test.u[::-1].copy()  # the u of other rows
    assert gather(flow, test.x, turned).miscalibration.max() > 0.05


def test_miscalibration_is_kolmogorovs_distance_on_either_side(facts: Facts) -> None:
    uniform = np.random.default_rng(0).random(200)
    quantiles = np.stack([uniform, uniform**3, 1 - uniform**3], axis=1)
    expected = [kstest(column, "uniform").statistic for column in quantiles.T]
    found = replace(facts, quantiles=quantiles).miscalibration
    np.testing.assert_allclose(found, expected)
    assert found[0] < 0.1 < 0.3 < found[1:].min()


def test_quantiles_of_a_vae_are_those_of_draws() -> None:
    """Its posterior means vary less than its latents do."""
    estimator, x, u = PAGES["a VAE of continuous u"]()
    quantiles = estimator.quantiles(x, u)
    np.testing.assert_array_equal(quantiles, estimator.quantiles(x, u, seed=0))
    assert (quantiles != estimator.quantiles(x, u, seed=1)).all()


AGREED = ((1.0, 0.99), (0.99, 1.0))
ADVICE: dict[str, tuple[dict[str, Any], str]] = {
    "conditions": ({"report": {"rank": 2}}, "conditions of the theorem do not hold"),
    "collapse": ({"report": {"collapsed": (1,)}}, "Fewer latents: 1 of them"),
    "one seed": ({"agreement": None}, "Several seeds"),
    "disagreement": ({"agreement": ((1.0, 0.5), (0.5, 1.0))}, "Seeds do not agree"),
    "steps": ({"history": {"best_step": 20, "stopped": "budget"}}, "More steps"),
    "overfitting": ({"history": {"train_loss": [0.0, 0.0]}}, "held-out rows cost 1.0 nats"),
    "family": ({"quantiles": np.full((9, 3), 0.5)}, "Another family of priors"),
    "skipped steps": ({"history": {"skipped_steps": 7}}, "7 steps had no finite gradient"),
}
GOOD = {"step": [10, 20], "train_loss": [2.0, 1.0], "held_out_loss": [1.0, 1.1], "best_step": 10}


@pytest.mark.parametrize("case", ADVICE)
def test_advice_follows_from_what_is_seen(case: str, facts: Facts) -> None:
    changed, message = ADVICE[case]
    assert advice(_seen(facts)) == []
    assert any(message in line for line in advice(_seen(facts, **changed)))


def _seen(
    facts: Facts,
    history: dict[str, Any] | None = None,
    report: dict[str, Any] | None = None,
    quantiles: np.ndarray | None = None,
    agreement: tuple | None = AGREED,
) -> Facts:
    """The facts of a fit that leaves nothing to be advised, but for what is changed."""
    estimator, fitted = copy.copy(facts.estimator), facts.estimator.fitted_
    settled = {**GOOD, "stopped": "patience", "skipped_steps": 0, **(history or {})}
    estimator._fitted = replace(
        fitted,
        history=replace(fitted.history, **settled),
        measured={**fitted.measured, "agreement_": agreement},
    )
    uniform = np.tile(np.linspace(0, 1, 200)[:, None], 3)
    return replace(
        facts,
        estimator=estimator,
        quantiles=uniform if quantiles is None else quantiles,
        report=replace(facts.report, **(report or {})),
    )


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    estimator, x, u = PAGES["a flow"]()
    x.assign(u=u).to_csv(tmp_path / "x.csv", index=False)
    runner, model, page = CliRunner(), str(tmp_path / "m"), str(tmp_path / "page.html")
    options = ["--set", "max_steps=5", "--set", "n_layers=1", "--seeds", "2", "-o", model]
    assert (
        runner.invoke(app, ["fit", str(tmp_path / "x.csv"), "--aux", "u", *options]).exit_code == 0
    )
    result = runner.invoke(app, ["report", model, str(tmp_path / "x.csv"), "-o", page])
    assert (result.exit_code, result.output) == (0, "")
    assert "Do seeds agree?" in Path(page).read_text("utf-8")
