"""Faults planted in the code, one at a time, and whether the tests notice.

Each is made in a copy of the checkout, where the tests that should notice are then run. One that
passes them all is a hole in the suite.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("iflow", "ivae", "shared", "identiflow", "experiments", "tests")
FILES = ("pyproject.toml", "conftest.py")


@dataclass(frozen=True)
class Mutation:
    """A piece of a file, what it is changed to, and the tests that should notice."""

    file: str
    before: str
    after: str
    tests: str


MUTATIONS: dict[str, Mutation] = {
    "the log-determinant of a flow with the wrong sign": Mutation(
        "iflow/model.py",
        "return self._distribution.log_prob(z, context) + logabsdet",
        "return self._distribution.log_prob(z, context) - logabsdet",
        "tests/iflow/test_flow.py",
    ),
    "the log-determinant of an inverse with the wrong sign": Mutation(
        "iflow/linear.py",
        "return x, -logabsdet.expand(z.shape[0])",
        "return x, logabsdet.expand(z.shape[0])",
        "tests/iflow/test_bijections.py",
    ),
    "the slope of a spline upside down": Mutation(
        "iflow/elements.py",
        "log_derivative = -curve(t, segment)[1]",
        "log_derivative = curve(t, segment)[1]",
        "tests/iflow/test_splines.py",
    ),
    "the scale of x left out of the density": Mutation(
        "shared/estimators/over_u.py",
        "(fitted, rows, codes, seed=seed, **options) + fitted.scale.log_jacobian",
        "(fitted, rows, codes, seed=seed, **options)",
        "tests/estimators/test_outputs.py",
    ),
    "a constant of the Gaussian left out": Mutation(
        "shared/priors/quadrature.py",
        "return self.width.log() + 0.5 * LOG_2PI",
        "return self.width.log()",
        "tests/shared/test_priors.py",
    ),
    "the number of draws left out of the bound": Mutation(
        "ivae/objectives.py",
        "return torch.cat(bounds) - log(n_samples)",
        "return torch.cat(bounds)",
        "tests/ivae/test_objectives.py",
    ),
    "u of other rows": Mutation(
        "shared/auxiliary/encoder.py",
        "return codes.astype(np.int64)",
        "return codes[::-1].astype(np.int64)",
        "tests/shared/test_auxiliary.py",
    ),
    "rows held out that were trained on": Mutation(
        "shared/training/stage.py",
        "return Split(order[n_held_out:], order[:n_held_out])",
        "return Split(order, order[:n_held_out])",
        "tests/estimators/test_outputs.py tests/estimators/test_protocol.py",
    ),
    "the last weights instead of the best": Mutation(
        "shared/training/training.py",
        "self.model.load_state_dict(self.best)",
        "pass",
        "tests/shared/test_training.py",
    ),
    "the seed ignored": Mutation(
        "shared/estimators/base.py",
        "with seeded(self.seed):",
        "with seeded(0):",
        "tests/estimators/test_outputs.py",
    ),
    "a step along a gradient that is not finite": Mutation(
        "shared/training/training.py",
        "bad = total - total != 0",
        "bad = total - total > 0",
        "tests/shared/test_training.py",
    ),
    "a damaged file read as it is": Mutation(
        "shared/files.py",
        'if header.get("sha256") != _digest(tensors, header.get("info", "")):',
        "if False:",
        "tests/shared/test_checkpoint.py",
    ),
    "signs that count in the MCC": Mutation(
        "shared/metrics/matching.py",
        "strength = np.abs(signed)",
        "strength = signed",
        "tests/shared/test_metrics.py",
    ),
    "rows carried the wrong way": Mutation(
        "shared/estimators/over_u.py",
        "in_chunks(fitted.model.prior.transport, torch.from_numpy(latents), codes, new)",
        "in_chunks(fitted.model.prior.transport, torch.from_numpy(latents), new, codes)",
        "tests/estimators/test_over_u.py",
    ),
    "a rank that always suffices": Mutation(
        "shared/identifiability.py",
        "rank = int((singular > RANK_TOLERANCE * max(singular[0], 1e-300)).sum())",
        "rank = len(singular)",
        "tests/shared/test_identifiability.py",
    ),
}


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Print which mutations were caught: all of them, or it fails."""
    names = list(MUTATIONS)[:1] if smoke else list(MUTATIONS)
    parallel = Parallel(n_jobs=jobs)
    caught = parallel(delayed(is_caught)(MUTATIONS[name]) for name in names)
    print("| planted | in | caught |\n|---|---|---|")
    for name, noticed in zip(names, caught, strict=True):
        print(f"| {name} | {MUTATIONS[name].file} | {'yes' if noticed else '**no**'} |")
    print(f"\n{sum(caught)} of {len(caught)} caught")
    if not all(caught):
        raise SystemExit("Expected all mutations to be caught; got some that pass the tests.")


def is_caught(mutation: Mutation) -> bool:
    """True if its tests fail in a copy of the checkout that has it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name)
        for name in FILES:
            shutil.copy(ROOT / name, copy / name)
        plant(mutation, copy / mutation.file)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, *mutation.tests.split()],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
        )
    if done.returncode not in (0, 1):  # neither passed nor failed
        raise RuntimeError(f"Expected tests to run; got {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.returncode == 1


def plant(mutation: Mutation, path: Path) -> None:
    """Change the file, which has to hold the piece once."""
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.before) != 1:
        raise ValueError(
            f"Expected {mutation.file} to hold {mutation.before!r} once; got "
            f"{text.count(mutation.before)}. Change the mutation with the code."
        )
    path.write_text(text.replace(mutation.before, mutation.after), encoding="utf-8")
