"""The flow as the noise-free limit of the iVAE: |ELBO(σ) − log p(x | u)| against σ.

The slope in log–log is 2: the gap is O(σ²).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iflow import IFlow
from ivae import from_flow
from shared.datasets import nonstationary_sources


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Train a flow, print the gap for each σ and the slope, draw it."""
    data = nonstationary_sources(latent_dim=2, n_segments=10, samples_per_segment=500, seed=1)
    smaller = {"hidden": (16,), "max_steps": 20} if smoke else {"max_steps": 1000}
    flow = IFlow(seed=0, **smaller).fit(data.x, data.u)
    noise = np.logspace(-1, -3, 3 if smoke else 9)
    rows = data.split(0.2, seed=0)[1]
    exact = flow.log_prob(rows.x, rows.u)
    gaps = [np.abs(from_flow(flow, std).elbo(rows.x, rows.u) - exact).mean() for std in noise]
    for std, gap in zip(noise, gaps, strict=True):
        print(f"σ = {std:.1e}   mean |ELBO − log p(x | u)| = {gap:.3e} nats")
    slope = np.polyfit(np.log(noise), np.log(gaps), 1)[0]
    print(f"slope in log–log: {slope:.3f}")
    if not smoke:
        draw(noise, np.asarray(gaps), slope)


def draw(noise: np.ndarray, gaps: np.ndarray, slope: float) -> None:
    """Write results/special_case/gap.png."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 3.5), layout="constrained")
    ax = figure.subplots()
    ax.loglog(noise, gaps, "o-", label=f"measured, slope {slope:.2f}")
    ax.loglog(noise, gaps[0] * (noise / noise[0]) ** 2, "k:", label="slope 2")
    ax.set_xlabel("noise σ (standard deviations of x)")
    ax.set_ylabel("mean |ELBO − log p(x | u)| (nats)")
    ax.legend(frameon=False)
    folder = Path("results/special_case")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "gap.png", dpi=150)
    print(f"figure: {folder / 'gap.png'}")
