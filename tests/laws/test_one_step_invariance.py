"""E11 on links: exact draws of open boundaries, moved by one step, are still exact draws."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float
from typing_extensions import override

from catalogue import OPEN_KERNELS, wilson
from latflow._typing import Field, PRNGKey
from latflow.fields import transport
from latflow.fields.spaces import GaugeSpace
from latflow.groups.matrices import trace
from latflow.samplers.base import AbstractKernel, Transition
from latflow.samplers.heatbath import HeatBath, LinkState
from latflow.samplers.open_boundaries import OpenBoundaries
from latflow.testing import invariant_in_one_step

N = {"U(1)": 3 * 2**12, "SU(2)": 2**12, "SU(3)": 2**12}
SEEN = {
    "U(1)": {"plaquettes": 0.0187, "dominoes": 0.0296, "links": 0.0148},
    "SU(2)": {"plaquettes": 0.0323, "dominoes": 0.0511, "links": 0.0256},
    "SU(3)": {"plaquettes": 0.0323, "dominoes": 0.0511, "links": 0.0256},
}
"""Changes of distribution functions that are seen at this size, but for one time in 10⁶."""


class Overrelaxation(AbstractKernel):
    """Sweeps of overrelaxation alone."""

    heat_bath: HeatBath

    @override
    def init(self, x: Field) -> LinkState:
        return self.heat_bath.init(x)

    @override
    def step(self, key: PRNGKey, state: LinkState) -> tuple[LinkState, Transition]:
        yes = jnp.ones((), dtype=bool)
        return LinkState(self.heat_bath.overrelaxed(state.x)), Transition(jnp.ones(()), yes, jnp.zeros(()))


def statistics(space: GaugeSpace):
    """Numbers that are independent of each other within a configuration: no two of them share a plaquette or a link."""

    def parts(m: Array) -> Float[Array, "..."]:
        traces = trace(m)
        return jnp.real(traces) if space.group.n == 2 else jnp.real(traces) + jnp.sqrt(2) * jnp.imag(traces)

    def plaquettes(x: Field) -> Float[Array, "..."]:
        return parts(transport.plaquette(space.links(x), mu=0, nu=1))[:-1, :-1]

    def dominoes(x: Field) -> Float[Array, "..."]:
        return parts(transport.wilson_loop(space.links(x), mu=0, nu=1, steps_mu=1, steps_nu=2))[:-1, :-2:2]

    def links(x: Field) -> Float[Array, "..."]:
        return parts(space.links(x)[1])

    return {"plaquettes": plaquettes, "dominoes": dominoes, "links": links}


@functools.cache
def kernels(group: str) -> dict[str, AbstractKernel]:
    made = OPEN_KERNELS[group]()
    return made | {"overrelaxation": Overrelaxation(HeatBath(made["heat bath"].action, n_overrelaxation=1))}


def results(group: str, *, n: int, sampler: OpenBoundaries | None = None):
    action = kernels(group)["heat bath"].action
    return invariant_in_one_step(
        jax.random.key(90), kernels(group), sampler or OpenBoundaries(action), statistics(action.space), n=n
    )


@pytest.mark.parametrize("group", OPEN_KERNELS)
def test_one_step_invariance(group):
    """Heat bath, overrelaxation alone, Metropolis and HMC."""
    found = results(group, n=N[group])
    assert all(result.passed for result in found), [result.line() for result in found]
    for result, seen in zip(found, len(kernels(group)) * list(SEEN[group].values()), strict=True):
        assert 2 * result.limit < seen, result.line()


@pytest.mark.nightly
@pytest.mark.parametrize("group", OPEN_KERNELS)
def test_one_step_invariance_in_depth(group):
    """With a million configurations a plaquette's distribution function off by 0.002 is seen, a domino's by 0.0032."""
    found = results(group, n=2**20)
    assert all(result.passed and 2 * result.limit < 0.0055 for result in found), [result.line() for result in found]


def test_draws_of_another_coupling_are_noticed():
    """The law must be able to fail: here one step leads from plaquettes of β = 1.7 towards those of 1.5."""
    found = results("U(1)", n=N["U(1)"], sampler=OpenBoundaries(wilson("U(1)", (4, 6), 1.7, open_boundaries=True)))
    failed = {result.name for result in found if not result.passed}
    assert failed >= {"one step leaves plaquettes, heat bath", "one step leaves plaquettes, metropolis"}
    assert "one step leaves links, heat bath" not in failed
