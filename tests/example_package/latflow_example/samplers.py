"""Two weighted samplers and a kernel of scalar fields."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

import latflow as lf
from latflow.actions.base import AbstractAction
from latflow.distributions import Normal
from latflow.fields.spaces import AbstractFieldSpace
from latflow.samplers.base import AbstractTunableKernel, AbstractWeightedSampler, Transition, Weighted
from latflow.samplers.hmc import HMC
from latflow.samplers.local import LocalMetropolis


class Annealed(AbstractWeightedSampler):
    """From the normal distribution to exp(−S) by Metropolis steps; the weight is exp(−work)."""

    action: AbstractAction
    prior: Normal
    width: float
    steps: int = eqx.field(static=True)

    @override
    def draw(self, key: Array) -> Weighted:
        first, key = jax.random.split(key)
        x, _ = self.prior.sample_and_log_prob(first)
        share = 1 / (self.steps + 1)

        def gap(y: Array) -> Array:
            return self.action(y) + self.prior.log_prob(y)

        def step(carry: tuple[Array, Array], i: Array) -> tuple[tuple[Array, Array], None]:
            y, work = carry
            work = work + share * gap(y)

            def energy(z: Array) -> Array:
                return (i + 1) * share * gap(z) - self.prior.log_prob(z)

            move, decide = jax.random.split(jax.random.fold_in(key, i))
            z = y + self.width * jax.random.normal(move, y.shape)
            taken = jnp.log(jax.random.uniform(decide)) < energy(y) - energy(z)
            return (jnp.where(taken, z, y), work), None

        (x, work), _ = jax.lax.scan(step, (x, jnp.zeros(())), jnp.arange(self.steps))
        work = work + share * gap(x)
        return lf.Weighted(x, -work, {"work": work, "action": self.action(x)})


class Normals(lf.AbstractWeightedSampler):
    """Normal sites of one width under the weight exp(−S)/q; E[w] = Z."""

    action: lf.AbstractAction
    prior: lf.Normal
    width: float

    def draw(self, key):
        z, log_prob = self.prior.sample_and_log_prob(key)
        x, log_prob = self.width * z, log_prob - z.size * jnp.log(self.width)
        return lf.Weighted(x, -self.action(x) - log_prob, {"action": self.action(x)})


class Mixed(AbstractTunableKernel):
    """A trajectory, then sweeps."""

    hmc: HMC
    local: LocalMetropolis
    sweeps: int = eqx.field(static=True)

    @property
    @override
    def target_space(self) -> AbstractFieldSpace:
        return self.hmc.action.space

    @property
    @override
    def scale(self) -> Array:
        return self.hmc.scale

    @override
    def with_scale(self, scale: Array) -> "Mixed":
        return Mixed(self.hmc.with_scale(scale), self.local, self.sweeps)

    @override
    def init(self, x: Array) -> Any:
        return self.hmc.init(x)

    @override
    def step(self, key: Array, state: Any) -> tuple[Any, Transition]:
        state, transition = self.hmc.step(jax.random.fold_in(key, 0), state)
        here = self.local.init(state.x)
        for i in range(self.sweeps):
            here, _ = self.local.step(jax.random.fold_in(key, i + 1), here)
        return self.hmc.init(here.x), transition
