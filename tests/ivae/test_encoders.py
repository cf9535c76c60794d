"""Laws of the encoders."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from identiflow.ivae.encoders import FullHead, MLPEncoder
from identiflow.ivae.posteriors import closed_form_kl

B = 6
DOUBLE = torch.float64


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


D, N, N_LABELS, AUX_DIM = 7, 3, 5, 2
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])
CONTINUOUS = normal(B, AUX_DIM, seed=11)
MIXED = torch.cat([LABELS.unsqueeze(-1).to(DOUBLE), CONTINUOUS], dim=-1)

# name → (arguments, u)
ENCODERS: dict[str, tuple[dict, Tensor]] = {
    "x alone": ({}, LABELS),
    "x and labels": ({"n_labels": N_LABELS}, LABELS),
    "x and continuous u": ({"aux_dim": AUX_DIM}, CONTINUOUS),
    "x and both": ({"n_labels": N_LABELS, "aux_dim": AUX_DIM}, MIXED),
    "diagonal": ({"covariance": "diagonal", "n_labels": N_LABELS}, LABELS),
    "three tanh layers": ({"hidden": (9, 8, 7), "activation": "tanh"}, LABELS),
}


def moved(module: torch.nn.Module) -> torch.nn.Module:
    """In double precision, with parameters away from their initial values."""
    generator = torch.Generator().manual_seed(3)
    for parameter in module.double().parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
        parameter.data.add_(0.2 * noise)
    return module


@pytest.fixture(params=ENCODERS)
def encoder_and_u(request: pytest.FixtureRequest) -> tuple[MLPEncoder, Tensor]:
    arguments, u = ENCODERS[request.param]
    return moved(MLPEncoder(D, N, **{"hidden": (16, 16), **arguments})), u


def test_a_batch_is_the_loop_over_its_rows(encoder_and_u: tuple[MLPEncoder, Tensor]) -> None:
    encoder, u = encoder_and_u
    x = normal(B, D)
    together = encoder(x, u)
    assert together.batch_shape == (B,) and together.event_shape == (N,)
    for b in range(B):
        alone = encoder(x[b : b + 1], u[b : b + 1])
        torch.testing.assert_close(alone.mean[0], together.mean[b])
        torch.testing.assert_close(alone.covariance_matrix[0], together.covariance_matrix[b])


def test_every_parameter_gets_a_gradient(
    encoder_and_u: tuple[MLPEncoder, Tensor], generator: torch.Generator
) -> None:
    encoder, u = encoder_and_u
    z, log_q = encoder(normal(B, D), u).rsample_with_log_prob(4, generator)
    (z.pow(3).sum() + log_q.sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad != 0).any(-1).all(), name


@pytest.mark.parametrize("size", [1e2, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_extreme_inputs_give_finite_posteriors_and_gradients(
    encoder_and_u: tuple[MLPEncoder, Tensor],
    size: float,
    dtype: torch.dtype,
    generator: torch.Generator,
) -> None:
    encoder, u = encoder_and_u
    encoder = encoder.to(dtype)
    u = u.to(dtype) if u.is_floating_point() else u
    posterior = encoder((size * normal(B, D)).to(dtype), u)
    z, log_q = posterior.rsample_with_log_prob(4, generator)
    prior = Independent(Normal(torch.zeros_like(posterior.mean), 1.0), 1)
    (log_q.sum() + prior.log_prob(z).sum() + closed_form_kl(posterior, prior).sum()).backward()
    assert z.dtype == dtype and z.isfinite().all() and log_q.isfinite().all()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("raw", [-1e6, 0.0, 1e6])
@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_scales_are_positive_and_bounded(raw: float, covariance: str) -> None:
    head = MLPEncoder(D, N, covariance=covariance).head
    inputs = torch.full((B, head.n_inputs), raw)
    inputs[:, 2 * N :] = 0.3
    posterior = head(inputs)
    assert (posterior.stddev >= 0.99e-4).all() and (posterior.stddev <= 1.2e4).all()
    if covariance == "full":
        triangle = posterior.scale_tril
        assert torch.equal(triangle, triangle.tril())
        assert (triangle.diagonal(dim1=-2, dim2=-1) > 0).all()
        rows, columns = torch.tril_indices(N, N, -1)
        assert (triangle[:, rows, columns] != 0).all()


def test_every_entry_of_the_triangle_has_its_own_output() -> None:
    head = MLPEncoder(D, N).head
    raw = torch.zeros(1, head.n_inputs)
    raw[:, 2 * N :] = torch.arange(1.0, head.n_inputs - 2 * N + 1)
    unit = head(raw).scale_tril[0] / head(raw).scale_tril[0, 0, 0]
    expected = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [2.0, 3.0, 1.0]])
    torch.testing.assert_close(unit, expected)


def test_u_matters_only_where_it_was_asked_for(encoder_and_u: tuple[MLPEncoder, Tensor]) -> None:
    encoder, u = encoder_and_u
    x = normal(B, D)
    same = torch.equal(encoder(x, u).mean, encoder(x, u.flip(0)).mean)
    assert same == (encoder.auxiliary is None)


BAD_U = {
    "labels, none": ({"n_labels": 5}, None, r"u of shape \(B,\).* got None"),
    "labels, a table": ({"n_labels": 5}, CONTINUOUS, r"u of shape \(B,\).* got shape \(6, 2\)"),
    "continuous, labels": ({"aux_dim": 2}, LABELS, r"u of shape \(B, 2\).* got shape \(6,\)"),
    "continuous, wide": ({"aux_dim": 2}, MIXED, r"u of shape \(B, 2\).* got shape \(6, 3\)"),
    "mixed, narrow": ({"n_labels": 5, "aux_dim": 2}, CONTINUOUS, r"u of shape \(B, 3\)"),
}


@pytest.mark.parametrize("case", BAD_U)
def test_an_u_of_the_wrong_shape_is_refused(case: str) -> None:
    arguments, u, message = BAD_U[case]
    with pytest.raises(ValueError, match=message):
        MLPEncoder(D, N, **arguments).double()(normal(B, D), u)


@pytest.mark.parametrize("argument", ["covariance", "activation"])
def test_unknown_words_are_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument} to be one of .* got 'none'"):
        MLPEncoder(D, N, **{argument: "none"})


def test_the_scale_of_a_latent_is_that_of_no_other() -> None:
    """Row i of L is it times (c, 1, 0): the correlations of z stay as they are."""
    head = FullHead(N).double()
    raw = normal(B, head.n_inputs)
    for i in range(N):
        wider = raw.clone()
        wider[:, N + i] += 0.7
        ratio = head(wider).stddev / head(raw).stddev
        others = [j for j in range(N) if j != i]
        torch.testing.assert_close(ratio[:, others], torch.ones(B, N - 1, dtype=DOUBLE))
        assert (ratio[:, i] > 1.9).all()
