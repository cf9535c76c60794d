"""An iVAE as published scripts train it: one-hot u, a DataLoader over single rows, one sample.

Written from the model's description (Khemakhem et al. 2020, equations 5 to 7): decoder f: n → d,
encoder g: (x, u) → n means, v: (x, u) → n log-variances, prior log-variances logl: u → n.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.utils.data import DataLoader, Dataset

from experiments.benchmarks.plan import SEED
from experiments.benchmarks.timing import Action

LEARNING_RATE = 1e-3
NOISE_VARIANCE = 0.01
LOG_2PI = math.log(2 * math.pi)


class PlainIVAE(nn.Module):
    """Four networks of three linear layers each, and the ELBO of a diagonal posterior."""

    def __init__(self, observed_dim: int, latent_dim: int, n_labels: int, hidden: int) -> None:
        super().__init__()
        self.f = network(latent_dim, hidden, observed_dim)
        self.g = network(observed_dim + n_labels, hidden, latent_dim)
        self.v = network(observed_dim + n_labels, hidden, latent_dim)
        self.logl = network(n_labels, hidden, latent_dim)

    def elbo(self, x: Tensor, u: Tensor) -> Tensor:
        """The bound of each row, (B,), for u one-hot (B, n_labels), with one draw of z."""
        both = torch.cat([x, u], dim=1)
        mean, log_variance = self.g(both), self.v(both)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        noise = torch.full_like(x, math.log(NOISE_VARIANCE))
        log_likelihood = gaussian_log_prob(x, self.f(z), noise)
        log_prior = gaussian_log_prob(z, torch.zeros_like(z), self.logl(u))
        return log_likelihood + log_prior - gaussian_log_prob(z, mean, log_variance)


class PlainRows(Dataset):
    """Rows of x with one-hot u, fetched one by one."""

    def __init__(self, x: Tensor, u: Tensor, n_labels: int) -> None:
        self.x, self.u = x, one_hot(u, n_labels).to(x)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.x[row], self.u[row]


def plain_ivae_step(model: PlainIVAE, rows: PlainRows, batch_size: int) -> Action:
    """One step of the plain loop: next batch, ELBO, Adam, and the loss as a number."""
    order = torch.Generator().manual_seed(SEED)
    loader = DataLoader(rows, batch_size, shuffle=True, generator=order)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    stream = endless(loader)

    def step() -> float:
        x, u = next(stream)
        optimizer.zero_grad()
        loss = -model.elbo(x, u).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def endless(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one epoch after another."""
    while True:
        yield from loader


def network(n_in: int, hidden: int, n_out: int) -> nn.Sequential:
    """Three linear layers with leaky ReLUs between them."""
    return nn.Sequential(
        nn.Linear(n_in, hidden),
        nn.LeakyReLU(0.1),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(0.1),
        nn.Linear(hidden, n_out),
    )


def gaussian_log_prob(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(value; mean, exp(log_variance)) summed over the columns, (B,)."""
    square = (value - mean) ** 2 / log_variance.exp()
    return -0.5 * (LOG_2PI + log_variance + square).sum(dim=1)
