"""Kernels on links: molecular dynamics (E6, E7, E8), Creutz' identity (E9), exact values of flat tori (E14)."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import pytest

from catalogue import GAUGE_KERNELS, LINK_KERNELS, NESTED
from latflow.actions.gauge import ImprovedAction
from latflow.fields import transport
from latflow.groups.base import wrap
from latflow.groups.matrices import trace
from latflow.samplers.chains import advance
from latflow.samplers.integrators import SCHEMES
from latflow.testing import HMC_LAWS, energy_average_is_one, energy_error_has_order, reproduces_exactly

CASES = {name: functools.cache(make) for name, make in GAUGE_KERNELS.items()}
ALL = CASES | {name: functools.cache(make) for name, make in LINK_KERNELS.items()}
CHAINS = 128


def loop(space, x, steps):
    """Real part of the trace per N of loops that leave every site along direction 0 and go `steps` along 1."""
    w = transport.wilson_loop(space.links(x), mu=0, nu=1, steps_mu=1, steps_nu=steps)
    return jnp.mean(jnp.real(trace(w))) / space.group.n


def charge_squared(x):
    """Q² of U(1) angles."""
    angles = x[0] + jnp.roll(x[1], -1, axis=0) - jnp.roll(x[0], -1, axis=1) - x[1]
    return (jnp.sum(wrap(angles)) / (2 * jnp.pi)) ** 2


@functools.cache
def hot(name):
    """Haar draws: far from the target, where the force is bounded as everywhere."""
    space = ALL[name]().kernel.action.space
    return jax.vmap(space.random)(jax.random.split(jax.random.key(70), CHAINS))


@functools.cache
def equilibrium(name):
    """A few configurations of the target, by the same program that measures exact observables."""
    case = CASES[name]()
    n_records = case.warmup + case.n_records
    x, _ = advance(case.kernel, jax.random.key(71), hot(name), first=0, n_records=n_records, thin=case.thin)
    return x[:4]


@pytest.mark.parametrize("law", HMC_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", CASES)
def test_dynamics_law(name, law):
    result = law(jax.random.key(72), CASES[name]().kernel, equilibrium(name))
    assert result.passed, result.line()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_energy_error_has_order(scheme):
    action = CASES["SU(2) leapfrog"]().kernel.action
    result = energy_error_has_order(jax.random.key(73), action, SCHEMES[scheme], equilibrium("SU(2) leapfrog"))
    assert result.passed, result.line()


@pytest.mark.parametrize("scheme", NESTED)
def test_energy_error_has_order_with_rectangles_on_their_own(scheme):
    case = CASES["U(1) leapfrog"]()
    action = ImprovedAction.iwasaki(case.kernel.action.space.lattice, case.kernel.action.space.group, beta=0.9)
    result = energy_error_has_order(jax.random.key(75), action, NESTED[scheme], equilibrium("U(1) leapfrog"))
    assert result.passed, result.line()


@pytest.mark.parametrize("step_size", [0.2, 0.35, 0.5])
def test_energy_average_is_one(step_size):
    """At three acceptances; the message says which, and the error of the mean."""
    kernel = dataclasses.replace(CASES["SU(2) leapfrog"]().kernel, step_size=jnp.asarray(step_size))
    result = energy_average_is_one(jax.random.key(74), kernel, hot("SU(2) leapfrog"), n_steps=150, warmup=50)
    assert result.passed, result.line()


@pytest.mark.parametrize("name", ALL)
def test_exact_observables(name):
    case = ALL[name]()
    space = case.kernel.action.space
    measured = {
        "plaquette": lambda x: loop(space, x, 1),
        "loop 1x2": lambda x: loop(space, x, 2),
        "charge squared": charge_squared,
    }
    results = reproduces_exactly(
        jax.random.key(71),
        case.kernel,
        hot(name),
        {observable: (measured[observable], value) for observable, value in case.exact.items()},
        n_records=case.n_records,
        warmup=case.warmup,
        thin=case.thin,
    )
    assert all(result.passed for result in results), [result.line() for result in results]
