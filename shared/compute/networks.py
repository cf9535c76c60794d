"""Small building blocks that both front ends and the priors use."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
}

# Those whose derivative jumps.
KINKED: tuple[type[nn.Module], ...] = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU)
KINKED += (nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Threshold, nn.Hardshrink, nn.Softshrink)


def kinks_of(module: nn.Module) -> tuple[str, ...]:
    """The names of the activations in it whose derivative jumps."""
    return tuple(sorted({type(m).__name__ for m in module.modules() if isinstance(m, KINKED)}))


def mlp(
    in_features: int, hidden: Sequence[int], out_features: int, activation: str = "silu"
) -> nn.Sequential:
    """A multilayer perceptron (B, in_features) → (B, out_features).

    Raises:
        ValueError: for an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"Expected activation to be one of {sorted(ACTIVATIONS)}; got {activation!r}."
        )
    widths = [in_features, *hidden]
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(fan_in, fan_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], out_features))


def bounded_exp(raw: Tensor, log_bound: float) -> Tensor:
    """exp(raw) near 0, bent smoothly so that it stays within exp(± log_bound).

    A scale that can neither vanish nor overflow keeps likelihoods finite without clamping, which
    would stop the gradient.
    """
    return (log_bound * torch.tanh(raw / log_bound)).exp()


def inverse_bounded_exp(scale: Tensor, log_bound: float) -> Tensor:
    """The raw value that `bounded_exp` turns into `scale` (clipped to what it can reach)."""
    ratio = (scale.log() / log_bound).clamp(-0.999, 0.999)
    return log_bound * torch.atanh(ratio)


LOG_2PI = math.log(2 * math.pi)
