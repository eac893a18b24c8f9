"""Many chains: streams, blocks, records, tuning and starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow import execution
from latflow.actions.base import AbstractAction
from latflow.actions.scalar import PhiFour
from latflow.errors import ConfigError, UnavailableError
from latflow.fields.spaces import ScalarSpace
from latflow.lattice import Lattice
from latflow.samplers.chains import advance, starts, warm_up
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import LEAPFROG
from latflow.samplers.local import LocalMetropolis

ACTION = PhiFour(Lattice((4, 4)), mass_squared=-4.0, coupling=6.975)
KERNELS = {
    "hmc": HMC(ACTION, LEAPFROG, step_size=0.14, n_steps=5),
    "local": LocalMetropolis(ACTION, width=0.4),
}
KEY = jax.random.key(5)
X = 0.3 * jax.random.normal(jax.random.key(6), (6, 4, 4))


def by_hand(kernel, x, chain, steps):
    """One chain alone, with the documented keys."""
    stream = jax.random.fold_in(KEY, chain)
    step, state = jax.jit(lambda key, state: kernel.step(key, state)), kernel.init(x)
    path, transitions = [], []
    for i in steps:
        state, transition = step(jax.random.fold_in(stream, i), state)
        path.append(np.asarray(state.x))
        transitions.append(transition)
    return np.stack(path), transitions


@pytest.mark.parametrize("name", KERNELS)
def test_records_are_those_of_single_chains(name):
    """Keys, order, thinning and the offset of a later block."""
    kernel = KERNELS[name]
    end, records = advance(kernel, KEY, X, first=3, n_records=4, thin=2)
    assert records.x.shape == (4, 6, 4, 4)
    assert records.transition.log_ratio.shape == (8, 6)
    np.testing.assert_array_equal(end, records.x[-1])
    for chain in (0, 5):
        path, transitions = by_hand(kernel, X[chain], chain, range(6, 14))
        np.testing.assert_allclose(records.x[:, chain], path[1::2], atol=1e-12)
        for i, transition in enumerate(transitions):
            np.testing.assert_allclose([column[i, chain] for column in records.transition], [*transition], atol=1e-12)


@pytest.mark.parametrize("name", KERNELS)
def test_restart_is_bitwise(name):
    """A block depends on nothing but its start, its number and the key."""
    kernel = KERNELS[name]
    middle, _ = advance(kernel, KEY, X, first=3, n_records=4, thin=2)
    end, records = advance(kernel, KEY, jnp.asarray(np.asarray(middle)), first=7, n_records=4, thin=2)
    again, repeated = advance(kernel, KEY, jnp.asarray(np.asarray(middle)), first=7, n_records=4, thin=2)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), (end, records), (again, repeated)))
    whole, _ = advance(kernel, KEY, X, first=3, n_records=8, thin=2)
    np.testing.assert_allclose(whole, end, atol=1e-11)


@pytest.mark.parametrize("accelerated", [False, True], ids=["groups", "all at once, as on an accelerator"])
def test_large_fields_run_in_groups(accelerated, monkeypatch):
    """32 chains of 64 × 64 are more than one group; every chain is still its own stream."""
    monkeypatch.setattr(execution, "accelerated", lambda: accelerated)
    action = PhiFour(Lattice((64, 64)), mass_squared=-4.0, coupling=5.0)
    kernel = HMC(action, LEAPFROG, step_size=0.05, n_steps=2)
    x = 0.3 * jax.random.normal(jax.random.key(7), (32, 64, 64))
    end, records = advance(kernel, KEY, x, first=0, n_records=2, thin=1)
    for chain in (0, 15, 16, 31):
        path, transitions = by_hand(kernel, x[chain], chain, range(2))
        np.testing.assert_allclose(records.x[:, chain], path, atol=1e-12)
        np.testing.assert_array_equal(end[chain], records.x[-1, chain])
        np.testing.assert_allclose(
            records.transition.log_ratio[:, chain], [t.log_ratio for t in transitions], atol=1e-9
        )


@pytest.mark.parametrize(("name", "target"), [("hmc", 0.8), ("hmc", 0.55), ("local", 0.5)])
def test_warm_up_reaches_its_target(name, target):
    """From over-dispersed starts and a scale five times too large or too small; the acceptance holds in production."""
    for factor in (0.2, 5.0):
        kernel = KERNELS[name].with_scale(KERNELS[name].scale * factor)
        x = starts(jax.random.key(8), ACTION.space, 32)
        kernel, x, acceptance = warm_up(kernel, jax.random.key(9), x, n_steps=600, target_acceptance=target)
        assert acceptance == pytest.approx(target, abs=0.02)
        _, records = advance(kernel, KEY, x, first=0, n_records=200, thin=1)
        assert float(jnp.mean(records.transition.acceptance)) == pytest.approx(target, abs=0.03)
        assert float(jnp.min(jnp.mean(records.transition.acceptance, axis=0))) > target - 0.2  # no chain is stuck


class Counted(AbstractAction):
    """Counts how often it is traced."""

    space: ScalarSpace
    traces = [0]  # noqa: RUF012

    def __init__(self):
        self.space = ScalarSpace((2,))

    def __call__(self, x):
        self.traces[0] += 1
        return jnp.sum(x**2)

    def force(self, x):
        return 2 * x


@pytest.mark.parametrize("n_steps", [0, 2])
def test_too_short_a_warm_up_is_refused(n_steps):
    with pytest.raises(ConfigError, match=f"warm-up steps: {n_steps}; allowed: at least 3"):
        warm_up(KERNELS["local"], KEY, X, n_steps=n_steps, target_acceptance=0.5)


def test_tuning_does_not_compile_again():
    kernel = HMC(Counted(), LEAPFROG, step_size=0.1, n_steps=2)
    x = jnp.ones((3, 2))
    advance(kernel, KEY, x, first=0, n_records=2, thin=1)
    traced = Counted.traces[0]
    advance(kernel.with_scale(jnp.asarray(0.3)), jax.random.key(1), x, first=2, n_records=2, thin=1)
    assert Counted.traces[0] == traced > 0


def test_starts_are_over_dispersed():
    x = np.asarray(starts(jax.random.key(10), ScalarSpace((8, 8)), 8))
    means, widths = x.mean(axis=(1, 2)), x.std(axis=(1, 2))
    np.testing.assert_allclose(means, [0, 0, 1, -1] * 2, atol=0.5)
    np.testing.assert_allclose(widths, [1, 0.1, 0.1, 0.1] * 2, rtol=0.4)
    assert len({float(m) for m in means}) == 8


def test_single_precision_is_refused():
    with jax.enable_x64(False), pytest.raises(UnavailableError, match="float64"):
        advance(KERNELS["hmc"], KEY, X, first=0, n_records=1, thin=1)
