"""The optimiser: Muon for the matrices of hidden layers, Adam for everything else."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, pairwise
from math import prod, sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

# A matrix with a side shorter than this has few directions to balance, and is left to Adam.
SHORTEST_SIDE = 8
MOMENTUM = 0.95
# With this factor a step changes each entry about as much as one of Adam does (Liu et al. 2025).
STEP_OF_ADAM = 0.2
# An odd polynomial that, four times over, brings singular values between 0.005 and 1 to within 0.6
# and 1.2. Of 3, 4 and 5 times, 4 came closest to the oracle; a direction that is kept for several
# steps is far worse at the learning rates that pay.
POLYNOMIAL, TIMES = (3.4445, -4.775, 2.0315), 4
# A matrix of a smaller norm hardly moves, as an entry does whose gradient is below Adam's ε. The
# norm of a vanishing matrix can be too small in single precision, and the polynomial has no bound
# above 1.
SMALLEST_NORM = 1e-8
# Adam's ε. Single precision knows the entries of a gradient to about this; with the usual 1e-8, one
# that is rounding and nothing else moves its weight as far as any other entry does.
SMALLEST_ENTRY = 1e-6


class FlatParameters:
    """A vector (P,) whose parts are the parameters of a model: changing it changes the model.

    A step then clips one gradient and updates one tensor, instead of a hundred small ones; several
    models can be rows of one matrix, and several processes add up one tensor.

    Args:
        parameters: those to be trained, all of one dtype and on one device.

    Raises:
        ValueError: for parameters of several dtypes or devices.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        kinds = {(p.dtype, p.device) for p in parameters}
        if len(kinds) > 1:
            raise ValueError(
                "Expected a model with parameters of one dtype on one device; got "
                f"{sorted(f'{dtype} on {device}' for dtype, device in kinds)}. "
                "Call model.to(device, dtype) first."
            )
        self.parameters = parameters
        parts = [p.detach().reshape(-1) for p in parameters]
        vector = torch.cat(parts) if parts else torch.zeros(0)
        self.slices = [slice(*ends) for ends in pairwise(accumulate(map(len, parts), initial=0))]
        self.move_to(vector)

    def move_to(self, vector: Tensor) -> None:
        """Make the parameters parts of this vector (P,), which holds their values already."""
        self.vector = vector
        for parameter, part in zip(self.parameters, self.slices, strict=True):
            parameter.data = vector[part].view(parameter.shape)


class Optimizer:
    """Steps of a model's parameters, all as one vector: hidden layers first, then the others.

    A hidden layer moves along its averaged gradient with all singular values brought near 1, so
    that directions which the loss asks for weakly are learned as fast as the strong ones. On the
    benchmark's sources that takes a third of the steps that Adam alone takes.

    Args:
        model: what is trained.
        weight_decay: a step first takes `rate * weight_decay` of each weight of a hidden layer
            away: how fast functions may bend then has a limit.

    Reference: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks";
        Kingma & Ba 2015 for Adam; Loshchilov & Hutter 2019 for the decay.
    """

    def __init__(self, model: Any, weight_decay: float = 0.0) -> None:
        self.weight_decay = weight_decay
        hidden = sorted(_hidden_weights(model), key=lambda weight: tuple(weight.shape))
        ids = {id(weight) for weight in hidden}
        others = [p for p in model.parameters() if p.requires_grad and id(p) not in ids]
        self.flat = FlatParameters([*hidden, *others])
        # Weights of one shape lie side by side, and are one batch of matrices.
        counts = Counter(tuple(weight.shape) for weight in hidden)
        self.shapes = [(number, *shape) for shape, number in counts.items()]
        self.size = sum(prod(shape) for shape in self.shapes)
        of_hidden, of_others = self.flat.vector[: self.size], self.flat.vector[self.size :]
        self.state = {
            "step": torch.zeros((), dtype=torch.float32, device=of_others.device),
            "exp_avg": torch.zeros_like(of_others),
            "exp_avg_sq": torch.zeros_like(of_others),
            "momentum": torch.zeros_like(of_hidden),
        }

    def take(self, gradient: Tensor, rate: float, divisor: Tensor, skip: Tensor) -> None:
        """Change the parameters, unless `skip` is true.

        Args:
            gradient: (P,), in the order of the vector.
            rate: learning rate.
            divisor: (), what to divide the gradient by, so that its norm is bounded.
            skip: (), whether the gradient is not finite.
        """
        if self.size:
            self._step_of_hidden(gradient[: self.size] / divisor, rate, skip)
        self._step_of_others(gradient[self.size :], rate, divisor, skip.float())

    def _step_of_hidden(self, gradient: Tensor, rate: float, skip: Tensor) -> None:
        momentum, weights = self.state["momentum"], self.flat.vector[: self.size]
        gradient = torch.where(skip, momentum, gradient)
        momentum.lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(momentum, MOMENTUM)
        if self.weight_decay:
            weights.mul_(1 - rate * self.weight_decay * ~skip)
        for matrices, part in zip(self._matrices(ahead), self._matrices(weights), strict=True):
            size = STEP_OF_ADAM * sqrt(max(matrices.shape[1:]))
            step = torch.where(skip, 0.0, with_equal_singular_values(matrices))
            part.add_(step, alpha=-rate * size)

    def _step_of_others(self, gradient: Tensor, rate: float, divisor: Tensor, skip: Tensor) -> None:
        """Adam by torch's function: its optimiser takes as long again to get there."""
        adam(
            [self.flat.vector[self.size :]],
            [gradient],
            [self.state["exp_avg"]],
            [self.state["exp_avg_sq"]],
            [],
            [self.state["step"]],
            fused=True,
            grad_scale=divisor,
            found_inf=skip,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=SMALLEST_ENTRY,
            maximize=False,
        )

    def _matrices(self, vector: Tensor) -> list[Tensor]:
        """The batches of matrices (k, m, n) that a vector of the hidden weights consists of."""
        parts = vector.split([prod(shape) for shape in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]


def with_equal_singular_values(matrices: Tensor) -> Tensor:
    """Matrices (k, m, n) with the same singular vectors and singular values near 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=SMALLEST_NORM)
    a, b, c = POLYNOMIAL
    for _ in range(TIMES):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _hidden_weights(model: Any) -> list[nn.Parameter]:
    """The weights of linear layers that are trained and have more than a few rows and columns."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    weights: dict[int, Any] = {id(layer.weight): layer.weight for layer in layers}  # each once
    return [w for w in weights.values() if w.requires_grad and min(w.shape) >= SHORTEST_SIDE]
