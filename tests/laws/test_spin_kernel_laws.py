"""Kernels of spins: exact values of rings, plaquettes and strips (E14), one step from exact draws (E11), dynamics."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float
from typing_extensions import override

from catalogue import SPIN_KERNELS, hmc, spins
from latflow._typing import Field, PRNGKey
from latflow.actions.spins import SpinModel
from latflow.samplers.base import AbstractKernel, AbstractWeightedSampler, Transition, Weighted
from latflow.samplers.chains import advance
from latflow.samplers.spins import SpinClusters, SpinHeatBath, SpinState
from latflow.testing import HMC_LAWS, invariant_in_one_step, reproduces_exactly

CASES = {name: functools.cache(make) for name, make in SPIN_KERNELS.items()}
CHAINS = 64


def product(x: Float[Array, "n *sites"]) -> Array:
    return jnp.mean(jnp.stack([jnp.mean(jnp.sum(x * jnp.roll(x, 1, axis=mu), axis=0)) for mu in range(1, x.ndim)]))


def structure(x: Float[Array, "n *sites"]) -> Array:
    """|Σ e^{ikx} n|²/V, k along the last direction."""
    wave = jnp.exp(2j * jnp.pi * jnp.arange(x.shape[-1]) / x.shape[-1])
    slices = jnp.sum(x, axis=tuple(range(1, x.ndim - 1)))
    return jnp.sum(jnp.abs(slices @ wave) ** 2) / x[0].size


OBSERVABLES = {
    "spin_product": product,
    "susceptibility": lambda x: jnp.sum(jnp.sum(x, axis=tuple(range(1, x.ndim))) ** 2) / x[0].size,
    "structure": structure,
}


def hot(name: str) -> Array:
    space = CASES[name]().kernel.target_space
    assert space is not None
    return jax.vmap(space.random)(jax.random.split(jax.random.key(80), CHAINS))


@pytest.mark.parametrize("name", CASES)
def test_exact_observables(name: str) -> None:
    case = CASES[name]()
    observables = {each: (OBSERVABLES[each], value) for each, value in case.exact.items()}
    results = reproduces_exactly(
        jax.random.key(81), case.kernel, hot(name), observables, n_records=case.n_records, warmup=case.warmup
    )
    assert all(result.passed for result in results), [result.line() for result in results]


@pytest.mark.parametrize("law", HMC_LAWS, ids=lambda law: law.__name__)
def test_dynamics_law(law) -> None:
    kernel = CASES["O(3) leapfrog"]().kernel
    x, _ = advance(kernel, jax.random.key(82), hot("O(3) leapfrog"), first=0, n_records=50, thin=1)
    result = law(jax.random.key(83), kernel, x[:4])
    assert result.passed, result.line()


class Overrelaxation(AbstractKernel):
    """Sweeps of overrelaxation alone."""

    heat_bath: SpinHeatBath

    @override
    def init(self, x: Field) -> SpinState:
        return self.heat_bath.init(x)

    @override
    def step(self, key: PRNGKey, state: SpinState) -> tuple[SpinState, Transition]:
        yes = jnp.ones((), dtype=bool)
        return SpinState(self.heat_bath.overrelaxed(state.x)), Transition(jnp.ones(()), yes, jnp.zeros(()))


class ByRejection(AbstractWeightedSampler):
    """Exact draws: uniform spins until one set is accepted; nothing is shared with the kernels."""

    action: SpinModel

    @override
    def draw(self, key: PRNGKey) -> Weighted:
        space, lowest = self.action.space, -self.action.beta * self.action.lattice.volume * self.action.lattice.ndim

        def again(state):
            number, _, _ = state
            one = jax.random.fold_in(key, number)
            x = space.random(one)
            u = jax.random.uniform(jax.random.fold_in(one, 1))
            return number + 1, x, u < jnp.exp(lowest - self.action(x))

        _, x, _ = jax.lax.while_loop(lambda state: ~state[2], again, (0, space.cold(), jnp.zeros((), bool)))
        return Weighted(x, jnp.zeros(()))


STATISTICS = {
    "bond": lambda x: jnp.sum(x[:, 0, 0] * x[:, 0, 1]),
    "susceptibility": OBSERVABLES["susceptibility"],
    "component": lambda x: x[0, 1, 1],
}


def one_step(components: int, *, n: int, beta: float = 0.5, drawn_at: float | None = None):
    """Results of heat bath, overrelaxation alone, clusters alone and HMC on 2×2 sites."""
    action = spins((2, 2), components, beta)
    kernels = {
        "heat bath": SpinHeatBath(action),
        "overrelaxation": Overrelaxation(SpinHeatBath(action, n_overrelaxation=1)),
        "clusters": SpinClusters(action),
        "leapfrog": hmc(action, "leapfrog", 0.6, 2),
    }
    draws = ByRejection(spins((2, 2), components, drawn_at or beta))
    return invariant_in_one_step(jax.random.key(84), kernels, draws, STATISTICS, n=n)


@pytest.mark.parametrize("components", [3])
def test_one_step_invariance(components: int) -> None:
    """A change of a distribution function by .09 is seen; N = 2 and 4 at night."""
    results = one_step(components, n=2**13)
    assert all(result.passed for result in results), [result.line() for result in results]
    assert all(2 * result.limit < 0.09 for result in results)


@pytest.mark.nightly
@pytest.mark.parametrize("components", [2, 3, 4])
def test_one_step_invariance_in_depth(components: int) -> None:
    """A change by .008 is seen."""
    results = one_step(components, n=2**20)
    assert all(result.passed and 2 * result.limit < 0.008 for result in results), [result.line() for result in results]


def test_draws_of_another_coupling_are_noticed() -> None:
    """The law must be able to fail: one step leads from β = .1 towards .5, but for overrelaxation."""
    failed = {result.name for result in one_step(3, n=2**13, drawn_at=0.1) if not result.passed}
    assert failed >= {"one step leaves bond, heat bath", "one step leaves bond, clusters"}
    assert "one step leaves bond, overrelaxation" not in failed
