"""The watch sees what it is there to see, and nothing else."""

import jax
import numpy as np
import pytest

from latflow.actions.scalar import PhiFour
from latflow.errors import PhysicsStop
from latflow.lattice import Lattice
from latflow.samplers.chains import advance, starts, warm_up
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import LEAPFROG
from latflow.samplers.watch import Creutz, Watch, creutz, watch

ACTION = PhiFour(Lattice((4, 4)), mass_squared=-4.0, coupling=6.975)


@pytest.fixture(scope="module")
def block():
    kernel = HMC(ACTION, LEAPFROG, step_size=0.1, n_steps=5)
    x = starts(jax.random.key(0), ACTION.space, 16)
    kernel, x, _ = warm_up(kernel, jax.random.key(1), x, n_steps=300, target_acceptance=0.7)
    return kernel, advance(kernel, jax.random.key(2), x, first=0, n_records=100, thin=1)[1]


def test_sound_block_passes(block):
    kernel, records = block
    seen = watch(kernel, jax.random.key(3), records, first=0, thin=1)
    seen.check()
    assert seen.n_reversed == 20  # two chains at every tenth trajectory
    assert 0 < seen.reversibility < 1e-12 * 4
    assert abs(seen.creutz.z) < 5
    assert 0.002 < seen.creutz.error < 0.05
    assert seen.n_not_finite == 0


def test_rare_records_are_all_examined(block):
    kernel, records = block
    assert watch(kernel, jax.random.key(3), records, first=0, thin=20, chains=1).n_reversed == 100


@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_wrong_energies_break_the_identity(block, shift):
    kernel, records = block
    transition = records.transition._replace(log_ratio=records.transition.log_ratio + shift)
    with pytest.raises(PhysicsStop, match="Creutz"):
        watch(kernel, jax.random.key(3), records._replace(transition=transition), first=0, thin=1).check()


@pytest.mark.parametrize("variance", [0.1, 1.0, 6.0])
def test_creutz_of_a_gaussian(variance):
    """A Gaussian ΔH with mean half its variance fulfils the identity; acceptances .82, .48, .08."""
    rng = np.random.default_rng(5)
    z = [creutz(rng.normal(-variance / 2, np.sqrt(variance), size=(40, 25))).z for _ in range(200)]
    assert np.max(np.abs(z)) < 5
    assert creutz(rng.normal(variance, np.sqrt(variance), size=(40, 25))).z > 3


def test_creutz_counts_lost_proposals():
    assert creutz(np.array([0.0, np.nan, -np.inf, 0.0])).value == 0.5


def test_creutz_without_scatter():
    assert creutz(np.zeros(10)) == Creutz(1.0, 0.0, 0.0)


@pytest.mark.parametrize("value", [0.02, np.nan])
def test_irreversible_block_stops(value):
    with pytest.raises(PhysicsStop, match="reversibility"):
        Watch(value, 10, Creutz(1.0, 0.01, 0.0), 0).check()


@pytest.mark.parametrize("z", [-5.1, 5.1, np.nan])
def test_broken_identity_stops(z):
    with pytest.raises(PhysicsStop, match="Creutz"):
        Watch(1e-14, 10, Creutz(1.2, 0.01, z), 0).check()
