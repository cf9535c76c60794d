"""The conditions of the identifiability theorem, checked on a model and on the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from identiflow.shared.compute.random import seeded, usual_modes
from identiflow.shared.priors.base import ConditionalPrior

# Below this many nats a latent's prior is the same for every u, as far as data can tell.
NEGLIGIBLE_MODULATION = 0.01
# Singular values below this share of the largest one count as zero.
RANK_TOLERANCE = 1e-5
POOR_CONDITIONING = 1e3
# What differs by fewer units in the last place than this does not differ.
ROUNDING = 100.0
DECIMALS = 9  # of u, standardised: what differs by less is one value, rounded in several ways
MAX_VALUES = 1000
N_DRAWS = 4096
DRAWS_AT_ONCE = 256


class IdentifiabilityWarning(UserWarning):
    """The conditions of the identifiability theorem do not hold; latents may not be the sources."""


@dataclass(frozen=True)
class IdentifiabilityReport:
    """The conditions of theorem 1, and how far a model and data meet them; `str` puts it in words.

    Attributes:
        n_values: number of different values of u.
        n_values_needed: nk + 1, over the latents that may depend on u; n + 1 if each value changes
            one latent alone (see `ConditionalPrior.directions_needed`).
        rank: of the matrix of λ(u_l) − λ(u_0), one row for each value of u (theorem 1, iv).
        rank_needed: nk, or n.
        n_informative: n, the latents that may depend on u; they come first.
        condition_number: of that matrix with columns of unit length; infinite if rank is short.
        modulation: for each latent, how far u changes its prior: the mean over pairs of values of
            u of the Jeffreys divergence between its two priors, in nats; (n,).
        unmodulated: of the latents that may depend on u those whose prior is the same for all u:
            theorem 1 says nothing of them, nor of the others.
        collapsed: latents that carry no information on x (iVAE only; a flow's never do).
        dependent: latents whose k statistics are linearly dependent (theorem 1, iii), as learned
            ones may be.
        permutation: whether the result is sharpened to a permutation: by theorems 2 and 3, for
            k ≥ 2 or statistics that are not monotone, or by values that change one latent alone;
            and by a map without kinks.
        round_trip_error: largest |x − f(g(x))| measured on standardised data; None for an iVAE.
        kinks: activations of the networks of f whose derivative jumps, where theorems 2 and 3 ask
            for one that is continuous. Those that are modules are seen, and named where these
            theorems would say something without them.
        interventions: whether each value of u changes one latent alone, which takes the place of
            theorem 1 (Squires et al. 2023; Buchholz et al. 2023).
    """

    n_values: int
    n_values_needed: int
    rank: int
    rank_needed: int
    n_informative: int
    condition_number: float
    modulation: NDArray[np.float64]
    unmodulated: tuple[int, ...]
    collapsed: tuple[int, ...]
    permutation: bool
    round_trip_error: float | None = None
    dependent: tuple[int, ...] = ()
    kinks: tuple[str, ...] = ()
    interventions: bool = False

    @property
    def satisfied(self) -> bool:
        """True if all conditions that can be checked hold."""
        return (
            self.rank_needed > 0
            and self.n_values >= self.n_values_needed
            and self.rank >= self.rank_needed
            and not self.unmodulated
            and not self.collapsed
            and not self.dependent
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields and the verdict, as plain values for JSON."""
        fields = asdict(self) | {"modulation": self.modulation.tolist()}
        if not np.isfinite(self.condition_number):
            fields["condition_number"] = None  # JSON knows no infinity
        return {"satisfied": self.satisfied, **fields}

    def __str__(self) -> str:
        """One paragraph of plain words."""
        verdict = "hold" if self.satisfied else "do not hold"
        of = "single interventions" if self.interventions else "theorem 1"
        sentences = [f"The conditions of {of} that can be checked {verdict}."]
        if self.rank_needed == 0:
            sentences.append("The prior does not depend on u, so nothing identifies the latents.")
        else:
            sentences += [self._about_values(), self._about_rank(), self._about_modulation()]
            sentences += [self._about_permutation(), *self._about_the_others()]
        if self.dependent:
            sentences.append(
                f"The statistics of latents {list(self.dependent)} are linearly dependent: a prior "
                "with fewer of them will do."
            )
        if self.collapsed:
            sentences.append(
                f"Latents {list(self.collapsed)} carry no information on x: fewer latents will do."
            )
        if self.round_trip_error is not None:
            sentences.append(
                f"Going to the latents and back changes x by at most {self.round_trip_error:.1e} "
                "(in standard deviations)."
            )
        return " ".join(sentences)

    def _about_values(self) -> str:
        enough = "enough" if self.n_values >= self.n_values_needed else "too few"
        return f"u takes {self.n_values} values, {enough} for the {self.n_values_needed} it needs."

    def _about_rank(self) -> str:
        rank = min(self.rank, self.rank_needed)
        text = (
            f"The prior's parameters span {rank} of the {self.rank_needed} directions they should"
        )
        if self.rank < self.rank_needed:
            if self.interventions:
                return f"{text}: no value of u here changes the other latents alone."
            return f"{text}: some latents change with u only together, and may be mixed."
        if self.condition_number > POOR_CONDITIONING:
            return (
                f"{text}, but barely (condition number {self.condition_number:.0f}): compare "
                "several seeds before trusting single latents."
            )
        return f"{text} (condition number {self.condition_number:.0f})."

    def _about_modulation(self) -> str:
        modulation = self.modulation[: self.n_informative]
        weakest = int(np.argmin(modulation))
        text = (
            f"u changes the weakest latent ({weakest}) by {modulation[weakest]:.2g} nats and "
            f"the strongest by {modulation.max():.2g}."
        )
        if self.unmodulated:
            return f"{text} u does not reach latents {list(self.unmodulated)}: not identified."
        return text

    def _about_permutation(self) -> str:
        if self.kinks:
            of = "their theory asks" if self.interventions else "theorems 2 and 3 ask"
            return (
                f"The derivative of {' and '.join(self.kinks)} jumps, where {of} for a continuous "
                "one: what is said of single latents is not sure. Take 'silu'."
            )
        if self.permutation:
            return (
                "Where they hold, latents are the sources up to order and a map of each one alone."
            )
        return (
            "Its statistics are monotone with k = 1: where they hold, latents are identified "
            "up to a linear map."
        )

    def _about_the_others(self) -> list[str]:
        n, m = len(self.modulation), self.n_informative
        others = f"latent {m}" if n == m + 1 else f"latents {m} to {n - 1}"
        return [f"All of this is of the first {m}; {others} may not depend on u."] if n > m else []


@torch.no_grad()
@usual_modes()
def check_conditions(
    prior: ConditionalPrior,
    u: Tensor,
    round_trip_error: float | None = None,
    collapsed: tuple[int, ...] = (),
    kinks: tuple[str, ...] = (),
) -> IdentifiabilityReport:
    """Check theorem 1 (iv) for `prior` on the encoded rows u, and whether theorems 2–3 apply.

    That the sources have such a prior, and that f is injective, cannot be checked from data.

    Args:
        prior: p(z | u), fitted.
        u: encoded auxiliary variable of the rows, (N,) or (N, q).
        round_trip_error: of the flow, to be reported.
        collapsed: latents found to be unused by the decoder, to be reported.
        kinks: what in f has a derivative that jumps.

    Reference: Khemakhem et al. 2020, theorems 1, 2 and 3.
    """
    u = u.round(decimals=DECIMALS) if u.is_floating_point() else u
    values = torch.unique(u, dim=0)
    n_values = len(values)
    m, needed = prior.informative, prior.directions_needed
    n_checked = max(MAX_VALUES, needed + 1)
    if n_values > n_checked:
        values = values[torch.linspace(0, n_values - 1, n_checked, dtype=torch.float64).long()]
    natural = prior.natural_parameters(values)
    lam = natural.double().cpu()
    differences = _without_rounding(lam[:, :m].flatten(1).numpy(), torch.finfo(natural.dtype).eps)
    rank, condition = _rank_and_conditioning(differences, needed)
    if prior.targets is not None:  # of one latent several statistics are one direction
        of_latents = np.abs(differences).reshape(len(differences), m, -1).sum(-1)
        rank = min(rank, _rank_and_conditioning(of_latents, needed)[0])
        condition = condition if rank >= needed else float("inf")
    modulation = _modulation(prior, values, lam)
    sharpened = _is_up_to_permutation(prior, values)
    return IdentifiabilityReport(
        n_values=n_values,
        n_values_needed=needed + 1,
        rank=rank,
        rank_needed=needed,
        n_informative=m,
        condition_number=condition,
        modulation=modulation,
        unmodulated=tuple(np.flatnonzero(modulation[:m] < NEGLIGIBLE_MODULATION).tolist()),
        collapsed=collapsed,
        permutation=sharpened and not kinks,
        round_trip_error=round_trip_error,
        dependent=_dependent(prior, values) if prior.learns_statistics else (),
        kinks=kinks if sharpened else (),
        interventions=prior.targets is not None,
    )


def _without_rounding(lam: NDArray[np.float64], eps: float) -> NDArray[np.float64]:
    """λ(u_l) − λ(u_0), (V − 1, nk), with 0 for what does not depend on u but for rounding."""
    differences = lam[1:] - lam[:1]
    varies = np.ptp(lam, axis=0) > ROUNDING * eps * np.abs(lam).max(axis=0)
    return np.where(varies, differences, 0.0)


def _rank_and_conditioning(differences: NDArray[np.float64], needed: int) -> tuple[int, float]:
    if not differences.size:
        return 0, float("inf")
    norms = np.linalg.norm(differences, axis=0)
    scaled = differences / np.where(norms > 0, norms, 1.0)
    singular = np.linalg.svd(scaled, compute_uv=False)
    rank = int((singular > RANK_TOLERANCE * max(singular[0], 1e-300)).sum())
    return rank, float(singular[0] / singular[needed - 1]) if rank >= needed else float("inf")


def _dependent(prior: ConditionalPrior, values: Tensor) -> tuple[int, ...]:
    """Latents whose statistics, on draws of the prior, do not span k dimensions."""
    with seeded(0, values.device):
        z = prior(values).sample((-(-N_DRAWS // len(values)),)).flatten(0, 1)
    statistics = prior.sufficient_statistics(z).double().cpu().numpy()
    centred = statistics - statistics.mean(0)
    k = prior.n_statistics
    ranks = [_rank_and_conditioning(centred[:, i], k)[0] for i in range(prior.informative)]
    return tuple(i for i, rank in enumerate(ranks) if rank < k)


def _modulation(prior: ConditionalPrior, values: Tensor, lam: Tensor) -> NDArray[np.float64]:
    """Mean Jeffreys divergence over pairs of u: Σ_j 2 Cov_u(λ_ij, E[T_ij | u]), in nats."""
    expected = _expected_statistics(prior, values).double().cpu()
    products = (lam - lam.mean(0)) * (expected - expected.mean(0))
    jeffreys = 2 * products.sum(0).sum(-1) / max(1, len(values) - 1)
    return jeffreys.clamp(min=0).numpy()


def _expected_statistics(prior: ConditionalPrior, values: Tensor) -> Tensor:
    """E[T(z) | u] for each value of u by sampling, few draws at a time, (V, n, k)."""
    family, total = prior(values), torch.zeros(())
    with seeded(0, values.device):
        for _ in range(N_DRAWS // DRAWS_AT_ONCE):
            z = family.sample((DRAWS_AT_ONCE,))
            statistics = prior.sufficient_statistics(z.flatten(0, 1))
            total = total + statistics.unflatten(0, z.shape[:2]).sum(0)
    return total / N_DRAWS


def _is_up_to_permutation(prior: ConditionalPrior, values: Tensor) -> bool:
    several = prior.n_statistics > 1 or prior.targets is not None
    return several or not _is_monotone(prior, values)


def _is_monotone(prior: ConditionalPrior, values: Tensor) -> bool:
    family = prior(values[:1])
    z = family.mean + family.stddev * torch.linspace(-5, 5, 101)[:, None].to(family.mean)
    steps = prior.sufficient_statistics(z)[..., 0].diff(dim=0)
    return bool((steps >= 0).all() or (steps <= 0).all())
