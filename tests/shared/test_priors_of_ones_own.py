"""A prior of one's own: rows are carried to the same quantiles, or it is said why not."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Distribution, Independent, StudentT

from identiflow.shared.priors import ConditionalPrior, LocationScale

DOUBLE = torch.float64


class StudentPrior(ConditionalPrior):
    """Student's t, whose degrees of freedom depend on u if asked to."""

    parameter_names = ("loc", "raw_scale", "raw_df")
    n_statistics = 1

    def __init__(self, latent_dim: int, *, df_of_u: bool, n_labels: int) -> None:
        modulated = self.parameter_names if df_of_u else ("loc", "raw_scale")
        super().__init__(latent_dim, modulated=modulated, n_labels=n_labels)

    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        df, scale = (parameters[name].exp() for name in ("raw_df", "raw_scale"))
        return Independent(StudentT(3 * df, parameters["loc"], scale), 1)

    def quantiles(self, u: Tensor) -> LocationScale:
        return LocationScale(self(u).base_dist)

    def natural_parameters(self, u: Tensor) -> Tensor:
        raise NotImplementedError

    def sufficient_statistics(self, z: Tensor) -> Tensor:
        raise NotImplementedError

    def log_base_measure(self, z: Tensor) -> Tensor:
        raise NotImplementedError

    def fit_groups(self, z: Tensor, groups: Tensor, n_groups: int) -> dict[str, Tensor]:
        raise NotImplementedError


def student(df_of_u: bool) -> StudentPrior:
    prior = StudentPrior(2, df_of_u=df_of_u, n_labels=4).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in prior.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
    return prior


U, NEW = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 2, 3, 0])
Z = torch.tensor([[0.5, -2.0], [3.0, 0.1], [-1.0, 7.0], [0.0, -0.3]], dtype=DOUBLE)


def test_a_shape_that_all_u_share_is_carried() -> None:
    prior = student(df_of_u=False)
    carried = prior.transport(Z, U, NEW).detach()
    before, after = (prior.quantiles(u).each for u in (U, NEW))
    share, expected = (
        stats.t.cdf(z, *(t.detach() for t in (each.df, each.loc, each.scale)))
        for z, each in ((carried, after), (Z, before))
    )
    torch.testing.assert_close(torch.tensor(share), torch.tensor(expected))


def test_a_shape_that_depends_on_u_is_refused() -> None:
    with pytest.raises(ValueError, match="a StudentT whose df changes with u, too. Return LogOdds"):
        student(df_of_u=True).transport(Z, U, NEW)
