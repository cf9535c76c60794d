"""Options as fields: one declaration makes the argument, its check and its documentation."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.shared.inputs.options import (
    as_they_are,
    check_fields,
    count,
    declared,
    one_of,
    option,
    with_options,
)
from identiflow.shared.training import Stage


@with_options
class Plain:
    """A class with options.

    Attributes:
        size: something else.
    """

    n: int = option(kind=count(), about="how many.", kw_only=False)
    way: str = option(default="up", kind=one_of(["up", "down"]), about="which way.")
    free: object = option(default=None, about="anything.")


@with_options
class Changed(Plain):
    """One whose way is down."""

    way: str = "down"


def test_fields_are_arguments() -> None:
    made = Plain(3, way="down")
    assert (made.n, made.way, made.free) == (3, "down", None)
    with pytest.raises(TypeError):
        Plain(3, "down")  # type: ignore[misc]


def test_a_subclass_changes_the_default_and_keeps_the_kind() -> None:
    assert Changed(1).way == "down" and Plain(1).way == "up"
    with pytest.raises(ValueError, match="Expected way to be one of 'up', 'down'; got 'left'"):
        check_fields(Changed(1, way="left"))


def test_every_option_is_checked() -> None:
    with pytest.raises(ValueError, match="Expected n to be an integer of at least 1; got 0"):
        check_fields(Plain(0))
    check_fields(Plain(1, free=object()))


def test_documentation_is_made_of_what_is_declared() -> None:
    assert inspect.cleandoc(Plain.__doc__ or "") == inspect.cleandoc(
        """A class with options.

        Args:
            n: how many.
            way: which way.
            free: anything.

        Attributes:
            size: something else."""
    )


@pytest.mark.parametrize("cls", [IFlow, IVAE, Stage])
def test_every_option_is_documented(cls: type) -> None:
    arguments = list(inspect.signature(cls).parameters)
    about = declared(cls, "about")
    assert set(arguments) == set(about)
    assert [name for name in arguments if not about[name] or f"{name}: " not in cls.__doc__] == []


@pytest.mark.parametrize("cls", [IFlow, IVAE])
def test_only_latent_dim_has_a_place(cls: type) -> None:
    kinds = {p.name: p.kind for p in inspect.signature(cls).parameters.values()}
    placed = [
        name for name, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert placed == (["latent_dim"] if cls is IVAE else [])


def test_a_subclass_whose_options_would_be_lost_is_refused_before_a_fit() -> None:
    class Initialised(IFlow):
        def __init__(self, *, power: int = 2, **rest: object) -> None:
            super().__init__(**rest)  # type: ignore[arg-type]
            self.power = power

    class Annotated(IFlow):
        max_steps: int = 7

    class Methods(IFlow):
        def log_prob(self, x: object, u: object = None) -> object:  # type: ignore[override]
            return super().log_prob(x, u)

    for cls in (Initialised, Annotated):
        with pytest.raises(TypeError, match=f"Expected @with_options on {cls.__name__}"):
            cls().fit([[0.0]], [0])
    Methods().check()
    with_options(Annotated)().check()


def test_what_is_kept_of_options_does_not_change_with_them() -> None:
    hidden, std = [16], np.ones(2)
    made = IVAE(2, hidden=hidden, noise_std=std)  # type: ignore[arg-type]
    kept = as_they_are(made)
    hidden.append(99)
    std[:] = 9
    assert kept["hidden"] == (16,) and kept["noise_std"] == (1, 1)
    assert made.get_params()["hidden"] is hidden
