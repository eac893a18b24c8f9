"""Every kernel of the catalogue: molecular dynamics (E6, E7, E8), Creutz' identity (E9), exact observables (E14)."""

import functools

import jax
import jax.numpy as jnp
import pytest

from catalogue import KERNELS, NESTED, hmc
from latflow.actions.scalar import FreeField, PhiFour
from latflow.lattice import Lattice
from latflow.samplers.chains import advance
from latflow.samplers.integrators import SCHEMES
from latflow.testing import HMC_LAWS, energy_average_is_one, energy_error_has_order, reproduces_exactly

CASES = {name: functools.cache(make) for name, make in KERNELS.items()}
CHAINS = 256
DYNAMICS = (
    "hmc leapfrog",
    "hmc omf2",
    "hmc omf4",
    "hmc force-gradient",
    "hmc nested",
    "hmc on odd chain",
    "hmc on free field",
)

OBSERVABLES = {
    "phi_squared": lambda x: jnp.mean(x**2),
    "neighbour": lambda x: jnp.mean(x * jnp.roll(x, -1, axis=-1)),
    "susceptibility": lambda x: x.size * jnp.mean(x) ** 2,
}


def narrow(shape):
    """Noise no wider than the fields of the targets: a far start would have to find its way in first."""
    return 0.4 * jax.random.normal(jax.random.key(50), (CHAINS, *shape))


@functools.cache
def equilibrium(name):
    """A few configurations of the target of a kernel, by the same program that measures exact observables."""
    case = CASES[name]()
    n_records = case.warmup + case.n_records
    x, _ = advance(case.kernel, jax.random.key(51), narrow(case.shape), first=0, n_records=n_records, thin=case.thin)
    return x[:8]


@pytest.mark.parametrize("law", HMC_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", DYNAMICS)
def test_dynamics_law(name, law):
    result = law(jax.random.key(52), CASES[name]().kernel, equilibrium(name))
    assert result.passed, result.line()


@pytest.mark.parametrize("scheme", [*SCHEMES, *NESTED])
def test_energy_error_has_order(scheme):
    action = CASES["hmc leapfrog"]().kernel.action
    table = (SCHEMES | NESTED)[scheme]
    result = energy_error_has_order(jax.random.key(53), action, table, equilibrium("hmc leapfrog"))
    assert result.passed, result.line()


def test_order_is_found_below_a_large_next_one():
    """OMF2 is tuned to a small error of second order: on a free field the plain slope would read 1.92."""
    action = FreeField(Lattice((8, 8)), mass_squared=1.0)
    result = energy_error_has_order(jax.random.key(54), action, SCHEMES["omf2"], narrow((8, 8))[:16])
    assert result.value < 0.01, result.line()


@pytest.mark.parametrize("step_size", [0.1, 0.15, 0.18])
def test_energy_average_is_one(step_size):
    """At acceptances of about 0.95, 0.85 and 0.7; the message says which, and the error of the mean."""
    action = PhiFour(Lattice((4, 4)), mass_squared=-4.0, coupling=6.975)
    kernel = hmc(action, "leapfrog", step_size, 4)
    result = energy_average_is_one(jax.random.key(55), kernel, narrow((4, 4)), n_steps=400, warmup=200)
    assert result.passed, result.line()


@pytest.mark.parametrize("name", CASES)
def test_exact_observables(name):
    case = CASES[name]()
    results = reproduces_exactly(
        jax.random.key(57),
        case.kernel,
        narrow(case.shape),
        {observable: (OBSERVABLES[observable], value) for observable, value in case.exact.items()},
        n_records=case.n_records,
        warmup=case.warmup,
        thin=case.thin,
    )
    assert all(result.passed for result in results), [result.line() for result in results]
