"""The maximum-likelihood fit of a prior to rows of z and u, which training starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from identiflow.shared.priors.parameters import LabelTable, RawParameters

# A label with fewer rows than this takes its spread from others: its own would be near zero.
MIN_ROWS_PER_LABEL = 5
MAX_FIT_ROWS = 20_000  # rows that an iterative fit climbs the likelihood of
MAX_JUDGES = 4096  # rows that decide whether an iterative fit is kept

FitGroups = Callable[[Tensor, Tensor, int], dict[str, Tensor]]
LogProb = Callable[[Tensor, Tensor], Tensor]


def set_groups(prior: RawParameters, fit_groups: FitGroups, z: Tensor, u: Tensor) -> None:
    """Set raw parameters to the fit of each label's rows; for a continuous u, of all rows as one.

    Latents and parameters that u does not modulate take the fit of all rows.
    """
    everything = torch.zeros(len(z), dtype=torch.long, device=z.device)
    pooled = fitted = fit_groups(z, everything, 1)
    if isinstance(prior.modulation, LabelTable):
        fitted = fit_labels(fit_groups, prior.modulation.groups(prior.latent_dim), z, u)
        prior.modulation.assign(prior.modulated_part(fitted))
    elif prior.modulation is not None:
        prior.modulation.assign_constant(prior.modulated_part(pooled)[0])
    m = prior.informative
    for name, value in prior.unmodulated.items():
        both = torch.cat([fitted[name][0, :m], pooled[name][0, m:]])
        value.copy_(both[prior.latent_dim - len(value) :])


def fit_labels(fit_groups: FitGroups, groups: Tensor, z: Tensor, u: Tensor) -> dict[str, Tensor]:
    """Raw parameters (n_labels, n), where labels of one group in `groups` (n_labels, n) share."""
    n_groups = int(groups.max()) + 1
    columns = [
        fit_groups(column[:, None], of_label[u], n_groups)
        for column, of_label in zip(z.T, groups.T, strict=True)
    ]
    return {
        name: torch.cat([c[name][g] for c, g in zip(columns, groups.T, strict=True)], dim=1)
        for name in columns[0]
    }


def refine(prior: RawParameters, log_prob: LogProb, z: Tensor, u: Tensor, max_rows: int) -> None:
    """Climb the likelihood of at most `max_rows` rows; undo it if other rows become less likely."""
    few, codes = _some(*_of_frequent_labels(prior, z, u), max_rows)
    if not len(few):
        return
    judges = _some(z, u, MAX_JUDGES)
    start = {name: tensor.clone() for name, tensor in prior.state_dict().items()}
    before = log_prob(*judges).mean()
    minimize(lambda: -log_prob(few, codes).mean(), prior.parameters(), max_iter=50)
    if not log_prob(*judges).mean() >= before:  # true of a NaN as well
        prior.load_state_dict(start)


def _of_frequent_labels(prior: RawParameters, z: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    if not isinstance(prior.modulation, LabelTable):
        return z, u
    enough = torch.bincount(u)[u] >= MIN_ROWS_PER_LABEL
    return z[enough], u[enough]


def _some(z: Tensor, u: Tensor, n_rows: int) -> tuple[Tensor, Tensor]:
    """At most `n_rows` rows, drawn at random but the same ones in every call."""
    if len(z) <= n_rows:
        return z, u
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(z), generator=generator)[:n_rows].to(z.device)
    return z[chosen], u[chosen]


def group_mean(values: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """The mean of the rows of each group, (n_groups, n); an empty group takes the overall mean."""
    counts = torch.bincount(groups, minlength=n_groups).to(values)
    sums = values.new_zeros(n_groups, values.shape[1]).index_add_(0, groups, values)
    means = sums / counts.clamp(min=1)[:, None]
    return torch.where(counts[:, None] > 0, means, values.mean(0))


def group_spread(deviations: Tensor, groups: Tensor, n_groups: int, overall: Tensor) -> Tensor:
    """`group_mean` of deviations; a group with too few rows takes the mean of the other groups.

    If all have too few, as when every row has a label of its own, they take `overall`, (n,).
    """
    enough = torch.bincount(groups, minlength=n_groups) >= MIN_ROWS_PER_LABEL
    told = enough[groups]
    pooled = deviations[told].mean(0) if told.any() else overall
    return torch.where(enough[:, None], group_mean(deviations, groups, n_groups), pooled)


@torch.enable_grad()
def minimize(loss: Callable[[], Tensor], parameters: Iterable[Tensor], max_iter: int) -> None:
    """Change the parameters to where L-BFGS finds the loss lowest; their gradients are cleared."""
    optimizer = torch.optim.LBFGS(
        list(parameters), max_iter=max_iter, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    optimizer.zero_grad()
