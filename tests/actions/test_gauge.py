"""Gauge actions against loops over sites and paths in numpy, and at configurations whose action is known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.gauge import DBW2, IWASAKI, LUESCHER_WEISZ, ImprovedAction, WilsonAction
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.groups import SU, U1
from latflow.lattice import Lattice
from latflow.testing import agrees_with


def naive(shape, group, *, beta, c1=0.0, open_boundaries=False):
    """S by walking around every plaquette and rectangle, link by link."""

    def link(x, site, step):
        mu = abs(step) - 1
        site = list(site)
        if step < 0:
            site[mu] = (site[mu] - 1) % shape[mu]
        u = x[(mu, ..., *site)].reshape(group.n, group.n)
        u = np.exp(1j * u) if isinstance(group, U1) else u
        if step > 0:
            site[mu] = (site[mu] + 1) % shape[mu]
        return (u if step > 0 else u.conj().T), site

    def deficit(x, start, steps):
        site, out = start, np.eye(group.n)
        for step in steps:
            u, site = link(x, site, step)
            out = out @ u
        return 1 - np.trace(out).real / group.n

    def action(x):
        total = 0.0
        for start in np.ndindex(*shape):
            for mu, nu in itertools.combinations(range(1, len(shape) + 1), 2):
                across = start[mu - 1] == shape[mu - 1] - 1 or start[nu - 1] == shape[nu - 1] - 1
                if open_boundaries and across:
                    continue
                total += (1 - 8 * c1) * deficit(x, start, [mu, nu, -mu, -nu])
                if c1:
                    total += c1 * deficit(x, start, [mu, mu, nu, -mu, -mu, -nu])
                    total += c1 * deficit(x, start, [mu, nu, nu, -mu, -nu, -nu])
        return beta * total

    return action


@pytest.mark.parametrize("open_boundaries", [False, True])
@pytest.mark.parametrize(("group", "shape"), [(U1(), (3, 4)), (SU(2), (2, 3, 2)), (SU(3), (3, 2))], ids=str)
def test_wilson_is_a_loop_over_plaquettes(group, shape, open_boundaries):
    action = WilsonAction(Lattice(shape), group, beta=1.3, open_boundaries=open_boundaries)
    reference = naive(shape, group, beta=1.3, open_boundaries=open_boundaries)
    result = agrees_with(jax.random.key(41), action, reference, n_fields=2)
    assert result.passed, result.line()


@pytest.mark.parametrize(("group", "shape", "c1"), [(U1(), (3, 4), IWASAKI), (SU(2), (3, 2, 3), LUESCHER_WEISZ)])
def test_improved_is_a_loop_over_rectangles(group, shape, c1):
    action = ImprovedAction(Lattice(shape), group, beta=0.7, c1=c1)
    result = agrees_with(jax.random.key(42), action, naive(shape, group, beta=0.7, c1=c1), n_fields=2)
    assert result.passed, result.line()


def test_constructors_say_their_coefficient():
    lattice, group = Lattice((2, 2)), SU(2)
    assert ImprovedAction.luescher_weisz(lattice, group, beta=1.0).c1 == -1 / 12
    assert ImprovedAction.iwasaki(lattice, group, beta=1.0).c1 == -0.331
    assert ImprovedAction.dbw2(lattice, group, beta=1.0).c1 == DBW2 == -1.4088


@pytest.mark.parametrize("group", [U1(), SU(3)], ids=lambda g: g.name)
def test_cold_and_twisted_configurations(group):
    """Zero for unit links; one link turned by −1 (U(1)) or a centre element costs its plaquettes."""
    action = WilsonAction(Lattice((4, 3)), group, beta=2.0)
    x = action.space.cold()
    assert abs(float(action(x))) < 1e-13
    assert float(jnp.max(jnp.abs(action.force(x)))) == 0
    assert action.n_plaquettes == 12
    turned = x.at[0, 1, 1].set(jnp.pi) if group.n == 1 else x.at[0, :, :, 1, 1].multiply(jnp.exp(2j * jnp.pi / 3))
    assert float(action(turned)) == pytest.approx(2.0 * 2 * (2 if group.n == 1 else 1.5), abs=1e-13)


def test_open_boundaries_leave_plaquettes_out():
    action = WilsonAction(Lattice((4, 3)), U1(), beta=2.0, open_boundaries=True)
    assert action.n_plaquettes == 6
    x = action.space.random(jax.random.key(43))
    force = np.asarray(action.force(x))
    assert np.all(force[0, -1] == 0)  # links that would reach around
    assert np.all(force[1, :, -1] == 0)
    assert np.all(force[0, :-1] != 0)


@pytest.mark.parametrize("beta", [-0.1, float("nan"), float("inf")])
def test_bad_couplings_are_refused(beta):
    with pytest.raises(ConfigError, match=r"action\.beta"):
        WilsonAction(Lattice((2, 2)), U1(), beta=beta)


def test_one_direction_has_no_plaquettes():
    with pytest.raises(ConfigError, match="two or more directions"):
        GaugeSpace(Lattice((4,)), U1())


def test_chains_side_by_side_have_the_forces_of_single_ones():
    """The batch may stand first or last; numbers agree to rounding."""
    action = WilsonAction(Lattice((2, 3)), SU(2), beta=1.9)
    x = jax.vmap(action.space.random)(jax.random.split(jax.random.key(44), 3))
    one = action.force(x[1])
    assert np.allclose(jax.vmap(action.force)(x)[1], one, rtol=0, atol=1e-13)
    last = jax.vmap(action.force, in_axes=-1, out_axes=-1)(jnp.moveaxis(x, 0, -1))
    assert np.allclose(last[..., 1], one, rtol=0, atol=1e-13)
