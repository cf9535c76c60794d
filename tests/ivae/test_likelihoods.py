"""Laws of every likelihood: it is normalised, means and draws agree, bad x is refused in words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from identiflow.ivae.likelihoods import LIKELIHOODS as BY_NAME
from identiflow.ivae.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    Likelihood,
    PoissonLikelihood,
)
from identiflow.shared.inputs.remarks import InputWarning

D = 2
N_CATEGORIES = 4

LIKELIHOODS: dict[str, Callable[[], Likelihood]] = {
    "Gaussian, fixed": lambda: GaussianLikelihood(D, [0.3, 0.7], learn="fixed"),
    "Gaussian, one learned sigma": lambda: GaussianLikelihood(D, 0.4, learn="scalar"),
    "Gaussian, sigma per dimension": lambda: GaussianLikelihood(D, [0.3, 0.7]),
    "Bernoulli": lambda: BernoulliLikelihood(D),
    "Poisson": lambda: PoissonLikelihood(D),
    "categorical": lambda: CategoricalLikelihood(D, N_CATEGORIES),
}


@pytest.fixture(params=LIKELIHOODS)
def likelihood(request: pytest.FixtureRequest) -> Likelihood:
    return LIKELIHOODS[request.param]().double()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def draw_parameters(
    likelihood: Likelihood, generator: torch.Generator, *shape: int, scale: float = 1.0
) -> Tensor:
    size = (*shape, likelihood.parameter_dim)
    return scale * torch.randn(size, generator=generator, dtype=torch.float64)


def support(likelihood: Likelihood) -> tuple[Tensor, float]:
    """All values of one x_j that matter, and the measure of each."""
    if isinstance(likelihood, GaussianLikelihood):
        return torch.linspace(-8, 8, 161, dtype=torch.float64), 0.1
    sizes = {"BernoulliLikelihood": 2, "PoissonLikelihood": 100}
    size = sizes.get(type(likelihood).__name__, N_CATEGORIES)
    return torch.arange(size, dtype=torch.float64), 1.0


def probabilities_on_support(likelihood: Likelihood, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Every x of the support, (M², 2), and its probability under each row, (M², B)."""
    values, measure = support(likelihood)
    x = torch.cartesian_prod(values, values)
    log_prob = likelihood(parameters).log_prob(x.unsqueeze(1))
    return x, log_prob.exp() * measure**D


def test_density_is_normalised(likelihood: Likelihood, generator: torch.Generator) -> None:
    _, p = probabilities_on_support(likelihood, draw_parameters(likelihood, generator, 4))
    torch.testing.assert_close(p.sum(0), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-9)


def test_mean_is_the_mean_of_the_density(
    likelihood: Likelihood, generator: torch.Generator
) -> None:
    parameters = draw_parameters(likelihood, generator, 4)
    x, p = probabilities_on_support(likelihood, parameters)
    torch.testing.assert_close(p.T @ x, likelihood.mean(parameters), rtol=0, atol=1e-9)


def test_draws_have_the_mean_and_variance_of_the_density(
    likelihood: Likelihood, generator: torch.Generator
) -> None:
    parameters = draw_parameters(likelihood, generator, 1)
    x, p = probabilities_on_support(likelihood, parameters)
    mean, square, fourth = (p.T @ x**power for power in (1, 2, 4))
    n = 40_000
    draws = likelihood.sample(parameters.expand(n, -1), generator)
    likelihood.check(draws)
    assert draws.shape == (n, D)
    error = ((square - mean**2) / n).sqrt()
    assert ((draws.mean(0) - mean).abs() < 5 * error).all()
    error = ((fourth - square**2) / n).sqrt()
    assert ((draws.square().mean(0) - square).abs() <= 5 * error + 1e-12).all()


def test_draws_come_from_the_generator_alone(
    likelihood: Likelihood, generator: torch.Generator, assert_rng_untouched: Callable
) -> None:
    parameters = draw_parameters(likelihood, generator, 50)
    seeds = (7, 7, 8)
    with assert_rng_untouched():
        a, b, c = (likelihood.sample(parameters, torch.Generator().manual_seed(s)) for s in seeds)
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_samples_and_rows_broadcast_as_in_a_loop(
    likelihood: Likelihood, generator: torch.Generator
) -> None:
    parameters = draw_parameters(likelihood, generator, 3, 5)
    x = likelihood.sample(parameters[0], generator)
    together = likelihood(parameters).log_prob(x).detach()
    for s, b in np.ndindex(3, 5):
        alone = likelihood(parameters[s, b]).log_prob(x[b]).detach()
        torch.testing.assert_close(together[s, b], alone)


REFERENCES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Gaussian, fixed": lambda x, p: stats.norm.logpdf(x, p, [0.3, 0.7]),
    "Gaussian, one learned sigma": lambda x, p: stats.norm.logpdf(x, p, 0.4),
    "Bernoulli": lambda x, p: stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-p))),
    "Poisson": lambda x, p: stats.poisson.logpmf(x, np.exp(13.815510558 * np.tanh(p / 13.8155106))),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_log_prob_is_scipys(name: str, generator: torch.Generator) -> None:
    likelihood = LIKELIHOODS[name]().double()
    parameters = draw_parameters(likelihood, generator, 20, scale=1.5)
    x = likelihood.sample(parameters, generator)
    expected = REFERENCES[name](x.numpy(), parameters.numpy()).sum(-1)
    got = likelihood(parameters).log_prob(x).detach().numpy()
    # sigma was given in single precision.
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-5)


# Values and parameters no sensible model produces, and untrained ones do.
EXTREME_X = {"GaussianLikelihood": (-1e4, 1e4), "PoissonLikelihood": (0.0, 1e4)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [-1e4, -1e3, 0.0, 1e3, 1e4])
def test_extreme_parameters_give_finite_values_and_gradients(
    likelihood: Likelihood, size: float, dtype: torch.dtype
) -> None:
    likelihood = likelihood.to(dtype)
    signs = torch.tensor([1.0, -1.0], dtype=dtype).repeat(likelihood.n_parameters)
    for value in EXTREME_X.get(type(likelihood).__name__, (0.0, 1.0)):
        parameters = (size * signs).requires_grad_()
        log_prob = likelihood(parameters).log_prob(torch.full((D,), value, dtype=dtype))
        log_prob.backward()
        assert log_prob.isfinite() and log_prob.dtype == dtype
        assert parameters.grad.isfinite().all()
        for parameter in likelihood.parameters():
            assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("size", [-1e3, 1e3])
def test_draws_of_extreme_parameters_have_the_mean_of_the_density(
    likelihood: Likelihood, generator: torch.Generator, size: float
) -> None:
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(likelihood.n_parameters)
    draws = likelihood.sample((size * signs).expand(300, -1), generator)
    torch.testing.assert_close(draws.mean(0), likelihood.mean(size * signs), rtol=1e-3, atol=0.2)


def test_features_feed_an_encoder(likelihood: Likelihood, generator: torch.Generator) -> None:
    x = likelihood.sample(draw_parameters(likelihood, generator, 30), generator)
    features = likelihood.features(x)
    assert features.shape == (30, likelihood.feature_dim)
    assert features.isfinite().all() and features.dtype == x.dtype
    # Rows that differ must still differ.
    assert len(features.unique(dim=0)) == len(x.unique(dim=0))


BAD_X = {
    "NaN": (
        "Gaussian, fixed",
        [[0.0, 1.0], [float("nan"), 0.0]],
        "finite real .* got nan in row 1",
    ),
    "infinity": ("Gaussian, fixed", [[0.0, float("inf")]], "finite .* got inf in row 0, column 1"),
    "a fraction": ("Bernoulli", [[0.0, 1.0], [1.0, 0.5]], "values 0 and 1 .* got 0.5 in row 1"),
    "NaN for a label": ("Bernoulli", [[float("nan"), 1.0]], "values 0 and 1 .* got nan"),
    "a negative count": ("Poisson", [[3.0, -1.0]], "counts 0, 1, 2.* got -1 .* Pass raw counts"),
    "half a count": ("Poisson", [[3.0, 1.5]], "counts .* got 1.5"),
    "a count beyond all rates": (
        "Poisson",
        [[3.0, 4e6]],
        "counts .*, 500000 .*got 4e.06 .* pass their logarithms",
    ),
    "an infinite count": ("Poisson", [[3.0, float("inf")]], "counts .* got inf .* raw counts"),
    "one category too many": ("categorical", [[3.0, 4.0]], "codes 0, ..., 3 .* got 4 .* Encode"),
    "a negative code": ("categorical", [[0.0, -1.0]], "codes .* got -1"),
    "a fractional code": ("categorical", [[0.0, 0.5]], "codes .* got 0.5"),
    "a wrong width": ("Poisson", [[1.0, 2.0, 3.0]], r"shape \(N, 2\); got \(1, 3\)"),
    "no rows": ("Gaussian, fixed", [1.0, 2.0], r"shape \(N, 2\); got \(2,\)"),
}


@pytest.mark.parametrize("case", BAD_X)
def test_x_outside_the_support_is_refused(case: str) -> None:
    name, x, message = BAD_X[case]
    with pytest.raises(ValueError, match=message):
        LIKELIHOODS[name]().check(torch.tensor(x))


BAD_ARGUMENTS = {
    "a negative sigma": (lambda: GaussianLikelihood(3, -1.0), "noise_std .* positive .* got -1.0"),
    "zero sigma": (lambda: GaussianLikelihood(3, [1.0, 0.0, 1.0]), "noise_std .* positive"),
    "NaN sigma": (lambda: GaussianLikelihood(3, float("nan")), "noise_std .* positive .* got nan"),
    "too few sigmas": (lambda: GaussianLikelihood(3, [1.0, 1.0]), "or 3 of them"),
    "an unknown mode": (lambda: GaussianLikelihood(3, learn="none"), "learn .* got 'none'"),
    "one category": (lambda: CategoricalLikelihood(3, 1), "n_categories of at least 2; got 1"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_are_refused(case: str) -> None:
    build, message = BAD_ARGUMENTS[case]
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("learn", "n_learned"), [("fixed", 0), ("scalar", 1), ("per_dimension", 3)]
)
def test_noise_starts_where_told_and_stays_bounded(learn: str, n_learned: int) -> None:
    likelihood = GaussianLikelihood(3, 0.25, learn=learn)
    assert sum(p.numel() for p in likelihood.parameters()) == n_learned
    torch.testing.assert_close(likelihood.noise_std, torch.full((3,), 0.25))
    for parameter in likelihood.parameters():
        for raw in (-1e6, 1e6):
            parameter.data.fill_(raw)
            assert (likelihood.noise_std >= 0.999e-3).all()
            assert (likelihood.noise_std <= 1.001e3).all()


def test_only_real_valued_x_may_be_standardised() -> None:
    built = [build() for build in LIKELIHOODS.values()]
    assert all(p.continuous == isinstance(p, GaussianLikelihood) for p in built)


# By name -----------------------------------------------------------------------------------------

OPTIONS = {"noise_std": 0.7, "learn": "fixed", "n_categories": 5}


@pytest.mark.parametrize("name", BY_NAME)
def test_each_takes_those_options_that_it_has(name: str) -> None:
    made = BY_NAME[name].of(3, **OPTIONS)
    assert type(made) is BY_NAME[name] and made.observed_dim == 3
    if isinstance(made, GaussianLikelihood):
        assert made.learn == "fixed" and torch.equal(made.noise_std, torch.full((3,), 0.7))
    assert made.n_parameters == (5 if isinstance(made, CategoricalLikelihood) else 1)


def test_every_kind_has_a_name() -> None:
    assert {type(build()) for build in LIKELIHOODS.values()} == set(BY_NAME.values())


def test_categories_are_counted_where_there_are_any() -> None:
    counted = {
        name: kind.count_categories(np.array([[0, 3], [1, 2]])) for name, kind in BY_NAME.items()
    }
    assert counted == {**dict.fromkeys(BY_NAME, 0), "categorical": 4}
    assert CategoricalLikelihood.count_categories(np.zeros((5, 1))) == 2
    with pytest.raises(ValueError, match="codes 0, 1, 2, .* got the code 40 among 2 entries"):
        CategoricalLikelihood.count_categories(np.array([[40.0, 0.0]]))


GAPS = {
    "a code for no answer": ([1, 2, 3, 4, 99], "95 of the 100 categories 0 to 99 .*: 0, 5, 6, 7,"),
    "tens": ([0, 10, 20], "18 of the 21 categories 0 to 20 are in no cell of x: 1, 2, 3, 4, ..."),
    "from 1": ([1, 2, 3], "1 of the 4 categories 0 to 3 are in no cell of x: 0. Unless they"),
}


@pytest.mark.parametrize("case", GAPS)
def test_categories_that_no_cell_has_are_named(case: str) -> None:
    codes, message = GAPS[case]
    x = np.resize(codes, (60, 2))
    with pytest.warns(InputWarning, match=message):
        assert CategoricalLikelihood.count_categories(x) == max(codes) + 1
    CategoricalLikelihood.count_categories(np.resize([0, 1, 2], (60, 2)))
