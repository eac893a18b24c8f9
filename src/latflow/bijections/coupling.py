"""Couplings: some sites are transformed by a map whose parameters are read from the others.

The Jacobian is triangular, so the log-determinant is a sum, and the inverse costs what the forward map costs.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.conditioners import AbstractConditioner
from latflow.bijections.partition import Partition


class AffineCoupling(AbstractBijection):
    r"""Real NVP: $y_a = x_a\,e^{s(x_f)} + t(x_f)$ on active sites, $y_f = x_f$ on frozen ones.

    The log-scale is bounded smoothly, $s = b\tanh(r/b)$ with $r$ the conditioner's output, so that no draw can
    overflow the exponential.

    Args:
        partition: Which sites are frozen and which active.
        conditioner: Maps the frozen values to $(r, t)$ on every active site.
        bound: $b>0$, the largest possible $|s|$.

    References:
        arXiv:1605.08803 eqs. (7)-(8); on a lattice arXiv:1904.12072.
    """

    partition: Partition = eqx.field(static=True)
    conditioner: AbstractConditioner
    bound: float = eqx.field(static=True)

    def _parameters(
        self, frozen: Float[Array, " n_frozen"]
    ) -> tuple[Float[Array, " n_active"], Float[Array, " n_active"]]:
        raw, shift = self.conditioner(frozen).T
        return self.bound * jnp.tanh(raw / self.bound), shift

    @override
    def forward_and_log_det(self, x: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        frozen, active = self.partition.split(x)
        log_scale, shift = self._parameters(frozen)
        return self.partition.merge(frozen, active * jnp.exp(log_scale) + shift), jnp.sum(log_scale)

    @override
    def inverse_and_log_det(self, y: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Scalar]:
        frozen, active = self.partition.split(y)
        log_scale, shift = self._parameters(frozen)
        return self.partition.merge(frozen, (active - shift) * jnp.exp(-log_scale)), -jnp.sum(log_scale)
