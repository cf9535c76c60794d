"""Priors by name, and the errors of all of them in words."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.priors import (
    ConditionalPrior,
    ExponentialFamilyPrior,
    GaussianPrior,
    LaplacePrior,
    MixturePrior,
)
from identiflow.shared.priors.by_name import PRIORS, build_prior

N = 3

ENCODERS = {
    "labels": AuxiliaryEncoder(["a", "b", "c", "d"]),
    "continuous": AuxiliaryEncoder(None, [0.0, 0.0], [1.0, 1.0]),
    "mixed": AuxiliaryEncoder(["a", "b", "c", "d"], [0.0, 0.0], [1.0, 1.0]),
}
U = {
    "labels": torch.tensor([0, 3, 1, 2, 3]),
    "continuous": torch.linspace(-1, 1, 10).reshape(5, 2),
    "mixed": torch.tensor([[0.0, 0.1, 0.2], [3.0, -0.1, 0.4], [2.0, 1.0, 1.0]]),
}


def call(prior: ConditionalPrior, u: Tensor) -> Tensor:
    return prior.log_prob(torch.zeros(len(u), N), u)


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("name", [*PRIORS, "unconditional"])
def test_a_name_builds_a_prior_for_each_kind_of_u(name, kind):
    prior = build_prior(name, N, ENCODERS[kind], informative=2)
    assert call(prior, U[kind]).isfinite().all()
    assert prior.informative == (0 if name == "unconditional" else 2)
    assert build_prior(prior, N, ENCODERS[kind]) is prior


@pytest.mark.parametrize("baseline, moved", [("a", [None, 0, 1, 2]), ("c", [0, 1, None, 2])])
def test_each_value_but_the_baseline_changes_one_latent(baseline, moved):
    prior = build_prior("mean", 4, ENCODERS["labels"], baseline=baseline)
    assert prior.targets == tuple(moved) and (prior.latent_dim, prior.informative) == (4, 3)
    lam = prior.natural_parameters(torch.arange(4))[..., 0]
    changed = (lam - lam[moved.index(None)]).abs() > 1e-6
    assert [row.nonzero().flatten().tolist() for row in changed] == [
        [] if latent is None else [latent] for latent in moved
    ]


def of_labels(*, latent_dim: int = N, **options: Any) -> ConditionalPrior:
    return build_prior("mean", latent_dim, ENCODERS["labels"], **options)


LABEL_PRIOR = partial(GaussianPrior, N, n_labels=4)
CONTINUOUS_PRIOR = partial(GaussianPrior, N, aux_dim=2)
MIXED_PRIOR = partial(GaussianPrior, N, n_labels=4, aux_dim=2)
ERRORS = {
    "no latents": (lambda: GaussianPrior(0, n_labels=2), "latent_dim of at least 1; got 0"),
    "too many informative": (
        lambda: LaplacePrior(3, n_labels=2, informative=4),
        "informative between 0 and latent_dim = 3; got 4",
    ),
    "informative beside a prior": (
        lambda: build_prior(LABEL_PRIOR(), N, ENCODERS["labels"], informative=1),
        "informative=None beside a prior .* informative=3; got 1. Build the prior",
    ),
    "negative informative": (lambda: LaplacePrior(3, n_labels=2, informative=-1), "got -1"),
    "no u": (lambda: GaussianPrior(3), "n_labels .* or aux_dim .* got neither.*informative=0"),
    "unknown modulation": (
        lambda: GaussianPrior(3, n_labels=2, modulates="variance"),
        "modulates to be one of .*'mean_and_scale'.* got 'variance'",
    ),
    "no statistics": (
        lambda: ExponentialFamilyPrior(3, n_labels=2, n_statistics=0),
        "n_statistics of at least 1; got 0",
    ),
    "no components": (
        lambda: MixturePrior(3, n_labels=2, n_components=0),
        "n_components of at least 1; got 0",
    ),
    "unknown statistics": (
        lambda: ExponentialFamilyPrior(3, n_labels=2, statistics="free"),
        "'fixed' or 'learned'; got 'free'",
    ),
    "floats for labels": (
        lambda: call(LABEL_PRIOR(), torch.zeros(5)),
        r"integer label codes of shape \(B,\); got torch.float32 of shape \(5,\)",
    ),
    "labels in a column": (
        lambda: call(LABEL_PRIOR(), torch.zeros(5, 1, dtype=torch.long)),
        r"integer label codes of shape \(B,\); got torch.int64 of shape \(5, 1\)",
    ),
    "labels for continuous u": (
        lambda: call(CONTINUOUS_PRIOR(), torch.zeros(5, dtype=torch.long)),
        r"floating point of shape \(B, 2\); got torch.int64 of shape \(5,\).*n_labels=",
    ),
    "too wide": (
        lambda: call(CONTINUOUS_PRIOR(), torch.zeros(5, 3)),
        r"shape \(B, 2\); got torch.float32 of shape \(5, 3\)",
    ),
    "mixed u without its labels": (
        lambda: call(MIXED_PRIOR(), torch.zeros(5, 2)),
        r"shape \(B, 3\), label codes in column 0; got torch.float32 of shape \(5, 2\)",
    ),
    "base without context": (
        lambda: LABEL_PRIOR().as_nflows().sample(3),
        "context to hold u.*got None.*pass context=u",
    ),
    "unknown name": (
        lambda: build_prior("cauchy", N, ENCODERS["labels"]),
        "prior to be a ConditionalPrior or one of .*'laplace'.*'unconditional'.*got 'cauchy'",
    ),
    "unknown baseline": (lambda: of_labels(baseline="e"), r"seen in fit \(.*'d'\); got .*'e'"),
    "baseline of continuous u": (
        lambda: build_prior("mean", N, ENCODERS["continuous"], baseline="a"),
        "as in fit",
    ),
    "more values than latents": (
        lambda: of_labels(latent_dim=2, baseline="a"),
        "latent for each of the 3 values of u besides baseline='a'; got latent_dim=2",
    ),
    "fewer informative latents": (
        lambda: of_labels(baseline="a", informative=2),
        "each of the 3 values .*informative=2.*targets=",
    ),
    "baseline of a prior given": (
        lambda: build_prior(LABEL_PRIOR(), N, ENCODERS["labels"], baseline="a"),
        "baseline=None with prior=.*got 'a'.*targets=",
    ),
    "baseline without modulation": (
        lambda: build_prior("unconditional", N, ENCODERS["labels"], baseline="a"),
        "baseline=None with prior='unconditional'",
    ),
    "too few targets": (lambda: LABEL_PRIOR(targets=(0, 1, 2)), "one for each; got 3 of them"),
    "targets of continuous u": (
        lambda: MIXED_PRIOR(targets=(0, 1, 2, None)),
        "targets for the labels of u.*aux_dim=2",
    ),
    "a latent without a target": (
        lambda: LABEL_PRIOR(targets=(0, 1, None, 0)),
        r"0 to 2, and reach each of them; got \[0, 1, None, 0\]",
    ),
    "another number of latents": (
        lambda: build_prior(GaussianPrior(2, n_labels=2), N, ENCODERS["labels"]),
        "over 3 latents; got one over 2",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_say_what_was_expected(case):
    action, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s)^Expected .*{message}"):
        action()


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("argument", ["n_label", "modulated"])
def test_unknown_arguments_are_refused(name, argument):
    with pytest.raises(TypeError, match=f"keyword argument '{argument}'"):
        PRIORS[name](N, n_labels=4, **{argument: ("raw_scale",)})
