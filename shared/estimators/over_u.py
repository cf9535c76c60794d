"""What a fitted model says of values of u other than the observed one, by Bayes' rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.inputs.rows import Rows
from identiflow.shared.inputs.validation import to_numpy
from identiflow.shared.priors import ConditionalPrior

Array = NDArray[np.float64]


class OverU(ABC):
    """Answers of an estimator that go over all labels, or from one u to another."""

    auxiliary_: AuxiliaryEncoder

    @property
    @abstractmethod
    def prior_(self) -> ConditionalPrior: ...

    @abstractmethod
    def _read(self, x: Any) -> Array: ...

    @abstractmethod
    def _rows(self, data: Array) -> Rows: ...

    @abstractmethod
    def _encode(self, u: Any, data: Array) -> Tensor: ...

    @abstractmethod
    def _latents(self, data: Array, u: Any) -> Array:
        """z of checked rows, (N, n)."""

    @abstractmethod
    def inverse_transform(self, z: Any) -> Array: ...

    def _draws(self, data: Array, u: Any, seed: int) -> Array:
        """z of checked rows, drawn where x leaves it open, (N, n)."""
        return self._latents(data, u)

    @abstractmethod
    def _log_density(self, rows: Rows, codes: Tensor, **options: Any) -> Array:
        """log p(x | u) of standardised rows in nats, (N,), or a bound on it."""

    def predict_aux_proba(self, x: Any, **options: Any) -> Array:
        """p(u | x) of every label, (N, K), by Bayes' rule; columns as in `auxiliary_.labels`.

        The prior probability of a label is its share of the rows of fit.

        Args:
            x: rows (N, d).
            **options: those of `log_prob`.

        Raises:
            ValueError: if fit has seen a u that is not labels alone.
        """
        return self._log_joint(self._read(x), **options).softmax(1).numpy()

    def quantiles(self, x: Any, u: Any, *, seed: int = 0) -> Array:
        """P(Z_i ≤ z_i | u) of the latents z of each row, (N, n).

        On rows that fit has not seen they are uniform, whatever u, if the density is right. Of an
        iVAE they are those of a draw from the posterior.
        """
        data = self._read(x)
        latents = torch.from_numpy(self._draws(data, u, seed))
        return in_chunks(self.prior_.cdf, latents, self._encode(u, data))

    def transport(self, x: Any, u: Any, u_new: Any) -> Array:
        """The rows x (N, d) as they would be under u_new: each latent keeps its quantile.

        A flow carries a row there and back exactly. An iVAE's rows are means of x, without noise.

        Args:
            x: rows (N, d).
            u: auxiliary variable of each row.
            u_new: another one for each row, or one label for all of them.
        """
        data = self._read(x)
        if isinstance(u_new, (str, bytes, int, float)) or getattr(u_new, "ndim", None) == 0:
            u_new = np.full(len(data), to_numpy(u_new, "u_new"))
        codes, new = self._encode(u, data), self._encode(u_new, data)
        latents = torch.from_numpy(self._latents(data, u))
        return self.inverse_transform(in_chunks(self.prior_.transport, latents, codes, new))

    def _log_marginal(self, data: Array, **options: Any) -> Array:
        """log Σ_u p(u) p(x | u) of every row, (N,)."""
        return self._log_joint(data, **options).logsumexp(1).numpy()

    def _log_joint(self, data: Array, **options: Any) -> Tensor:
        """log p(x, u) of standardised x for every label u, (N, K)."""
        shares = self.auxiliary_.shares
        if shares is None or not self.prior_.informative:
            got = "no u" if shares is not None else "continuous values"
            raise ValueError(
                "Expected an estimator fitted with labels as u, which can be summed over; got one "
                f"fitted with {got}. Pass u to log_prob."
            )
        if not len(data):
            raise ValueError("Expected x with at least 1 row; got 0. Leave the call out.")
        columns = self._log_density_of_labels(self._rows(data), len(shares), **options)
        return torch.from_numpy(columns + np.log(shares))

    def _log_density_of_labels(self, rows: Rows, n_labels: int, **options: Any) -> Array:
        """`_log_density` under every label, (N, K)."""
        codes = torch.arange(n_labels)[:, None].expand(-1, len(rows))
        return np.stack([self._log_density(rows, code, **options) for code in codes], axis=1)
