"""Laws of the one file that knows nflows: no plotting on import, no context in a bijection."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from nflows.nn.nde.made import MADE
from nflows.nn.nets import ConvResidualNet, ResidualNet
from nflows.transforms import (
    AffineCouplingTransform,
    LULinear,
    MaskedAffineAutoregressiveTransform,
    MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
)
from torch import nn

from identiflow.shared.compute.nflows_adapter import (
    CompositeTransform,
    InverseTransform,
    Transform,
    refuse_conditional,
)
from identiflow.shared.priors import GaussianPrior

ROOT = Path(__file__).resolve().parents[2]
D, CONTEXT = 4, 3

IMPORTS = {
    "alone": """
import sys
import identiflow.shared.compute.nflows_adapter
assert not [name for name in sys.modules if name.startswith("matplotlib")]
from nflows.nn.nde import made
assert not hasattr(made.plt, "__wrapped__") and "matplotlib.pyplot" not in sys.modules
plot = made.plt.plot  # the first use imports it
import matplotlib.pyplot
assert plot is matplotlib.pyplot.plot
""",
    "after matplotlib": """
import matplotlib.pyplot
import identiflow.shared.compute.nflows_adapter
from nflows.nn.nde import made
assert made.plt is matplotlib.pyplot
""",
}


@pytest.mark.parametrize("order", IMPORTS)
def test_importing_nflows_leaves_plotting_to_its_first_use(order):
    command = [sys.executable, "-W", "error", "-c", IMPORTS[order]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def coupling(network: Callable[[int, int], nn.Module]) -> Transform:
    return AffineCouplingTransform([0, 1] * (D // 2), network)


def residual(n_in: int, n_out: int, context: int | None, blocks: int = 1) -> nn.Module:
    return ResidualNet(n_in, n_out, 8, context_features=context, num_blocks=blocks)


def convolutional(n_in: int, n_out: int, context: int | None, blocks: int = 1) -> nn.Module:
    return ConvResidualNet(n_in, n_out, 8, context_channels=context, num_blocks=blocks)


# Each takes the number of context features, or None.
TRANSFORMS: dict[str, Callable[[int | None], nn.Module]] = {
    "autoregressive": lambda c: MaskedAffineAutoregressiveTransform(D, 8, context_features=c),
    "autoregressive, residual": lambda c: MaskedAffineAutoregressiveTransform(
        D, 8, context_features=c, use_residual_blocks=True, num_blocks=1
    ),
    "spline": lambda c: MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
        D, 8, context_features=c
    ),
    "coupling": lambda c: coupling(partial(residual, context=c)),
    "coupling, no blocks": lambda c: coupling(partial(residual, context=c, blocks=0)),
    "coupling, images": lambda c: coupling(partial(convolutional, context=c)),
    "coupling, images, no blocks": lambda c: coupling(partial(convolutional, context=c, blocks=0)),
    "MADE": lambda c: MADE(D, 8, context_features=c),
    "inside others": lambda c: CompositeTransform(
        [LULinear(D), InverseTransform(MaskedAffineAutoregressiveTransform(D, 8, c))]
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_without_a_context_are_accepted(name):
    refuse_conditional(TRANSFORMS[name](None), "bijection")


MESSAGE = "^Expected a bijection that does not see u; got one whose part .*Condition the prior only"


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_with_a_context_are_refused(name):
    with pytest.raises(ValueError, match=MESSAGE):
        refuse_conditional(TRANSFORMS[name](CONTEXT), "bijection")


@pytest.mark.parametrize("u", [{"n_labels": 3}, {"aux_dim": 2}, {"n_labels": 3, "aux_dim": 2}])
def test_our_own_conditional_parts_are_refused(u):
    part = nn.Sequential(nn.Linear(2, 2), GaussianPrior(2, **u))
    with pytest.raises(ValueError, match=MESSAGE):
        refuse_conditional(part, "bijection")


def test_the_part_is_named():
    transform = TRANSFORMS["inside others"](CONTEXT)
    with pytest.raises(
        ValueError, match="a decoder .*'_transforms.1._transform.autoregressive_net"
    ):
        refuse_conditional(transform, "decoder")
