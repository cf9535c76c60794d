"""What a flow of digits says of a digit: Bayes' rule with the shares of the training rows."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.studies.gin_spectrum import accuracy, latents_that_hold, log_shares
from identiflow.shared.datasets import Dataset


class Undecided:
    """A density that u does not change, but for rows that lie at the digit."""

    def log_prob(self, x, u):
        return np.where(x[:, 0] == u, 5.0, 0.0)


def test_where_x_says_nothing_the_digit_is_the_commonest_of_training() -> None:
    test = Dataset(
        name="digits", x=np.array([[9.0], [9.0], [9.0], [0.0]]), u=np.array([0, 0, 1, 0])
    )
    seldom, often = np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1])
    assert accuracy(Undecided(), test, log_shares(seldom)) == 0.5  # 1 but for the last row
    assert accuracy(Undecided(), test, log_shares(often)) == 0.75


def test_shares_are_those_of_the_rows() -> None:
    shares = log_shares(np.array(["a", "b", "b", "b"]))
    assert {key: np.exp(value) for key, value in shares.items()} == pytest.approx(
        {"a": 0.25, "b": 0.75}
    )


def test_latents_that_hold_a_share_are_counted_from_the_strongest() -> None:
    assert latents_that_hold(0.9, np.array([0.5, 5.0, 0.0, 4.5])) == 2
