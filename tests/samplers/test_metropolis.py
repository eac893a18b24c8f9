"""E22: the edges of the accept/reject decision, alone and inside the kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.base import AbstractLocalAction
from latflow.errors import PhysicsStop
from latflow.fields.spaces import ScalarSpace
from latflow.samplers.chains import advance
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import LEAPFROG
from latflow.samplers.local import LocalMetropolis
from latflow.samplers.metropolis import acceptance_probability, is_accepted, refuse_infinite_ratio
from latflow.samplers.watch import watch

NAN, INF = np.nan, np.inf


class Cliff(AbstractLocalAction):
    """x² on every site, and something that is not a number of its own outside |x| < 1."""

    space: ScalarSpace
    outside: jax.Array

    def __init__(self, outside):
        self.space = ScalarSpace((2, 2))
        self.outside = jnp.asarray(outside)

    def site(self, x):
        return jnp.where(jnp.abs(x) < 1, x**2, self.outside)

    def __call__(self, x):
        return jnp.sum(self.site(x))

    def force(self, x):
        return 2 * x

    def site_difference(self, x, proposal):
        return self.site(proposal) - self.site(x)


@pytest.mark.parametrize(
    ("log_u", "log_ratio", "accepted"),
    [
        (-INF, -1e300, True),  # u = 0 takes everything finite
        (-INF, 0.0, True),
        (-INF, -INF, False),
        (-INF, NAN, False),
        (-INF, INF, False),
        (-1e-16, 0.0, True),  # the largest u there is
        (-1.0, -1.0, False),  # ln u < ln r, strictly
        (-1.0, -0.999, True),
        (-1.0, 5.0, True),
        (-1.0, NAN, False),
        (-1.0, -INF, False),
        (-1.0, INF, False),
    ],
)
def test_rule(log_u, log_ratio, accepted):
    assert bool(is_accepted(jnp.asarray(log_u), jnp.asarray(log_ratio))) is accepted


def test_probability():
    ratios = jnp.asarray([-INF, -1.0, 0.0, 3.0, 1e4, INF, NAN])
    np.testing.assert_allclose(acceptance_probability(ratios), [0, np.exp(-1), 1, 1, 1, 0, 0])


def test_infinite_ratio_is_an_error():
    refuse_infinite_ratio(np.array([-INF, NAN, 3.0]), what="trajectories")
    with pytest.raises(PhysicsStop, match="trajectories: 2 of 3 Metropolis ratios are infinite"):
        refuse_infinite_ratio(np.array([INF, 0.0, INF]), what="trajectories")


def run(kernel):
    x = jnp.full((8, 2, 2), 0.3)
    return advance(kernel, jax.random.key(1), x, first=0, n_records=30, thin=1)[1]


@pytest.mark.parametrize("outside", [NAN, INF])
def test_hmc_rejects_and_counts(outside):
    kernel = HMC(Cliff(outside), LEAPFROG, step_size=0.6, n_steps=2)
    records = run(kernel)
    lost = ~np.isfinite(records.transition.log_ratio)
    assert 0.05 < lost.mean() < 0.95
    assert not np.any(records.transition.accepted[lost])
    assert np.all(records.transition.acceptance[lost] == 0)
    assert np.any(records.transition.accepted)
    assert np.all(np.abs(records.x) < 1)
    assert watch(kernel, jax.random.key(2), records, first=0, thin=1).n_not_finite == lost.sum()


def test_hmc_refuses_an_action_without_a_floor():
    kernel = HMC(Cliff(-INF), LEAPFROG, step_size=0.6, n_steps=2)
    records = run(kernel)
    assert np.all(np.abs(records.x) < 1)  # refused, not taken
    with pytest.raises(PhysicsStop, match="infinite"):
        watch(kernel, jax.random.key(2), records, first=0, thin=1)


@pytest.mark.parametrize(("outside", "mark"), [(NAN, NAN), (INF, -INF), (-INF, INF)])
def test_local_rejects_and_reports(outside, mark):
    """A sweep keeps every site inside and its log_ratio tells what was met; +inf is for the driver to stop on."""
    records = run(LocalMetropolis(Cliff(outside), width=1.0))
    assert np.all(np.abs(records.x) < 1)
    seen = np.asarray(records.transition.log_ratio)
    assert 0.05 < np.mean(seen == 0) < 0.95
    np.testing.assert_array_equal(seen[seen != 0], mark)
