"""Real NVP: the identity at first, alternating colours, exact casts, densities that integrate to one."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import DISTRIBUTIONS
from latflow.actions import exact
from latflow.actions.scalar import FreeField
from latflow.bijections.compose import Chain
from latflow.bijections.elementwise import Scale
from latflow.errors import ConfigError
from latflow.flows.architectures import ARCHITECTURE, cast, multiscale, rational_quadratic_spline, real_nvp
from latflow.flows.flow import Flow
from latflow.flows.networks import Networks
from latflow.flows.weighted import FlowSampler
from latflow.lattice import Lattice
from latflow.samplers.draws import draw_block
from latflow.testing.bijections import scrambled

NETWORKS = ("dense", "convolutional")


def small(network, *, shape=(4, 2), n_layers=2, dtype="float64"):
    return real_nvp(
        jax.random.key(1), Lattice(shape), n_layers=n_layers, network=network, hidden=(4,), kernel_size=3, dtype=dtype
    )


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_identity_at_initialisation(network, dtype):
    flow = small(network, dtype=dtype)
    x = jax.random.normal(jax.random.key(2), (4, 2))
    y, log_det = flow.bijection.forward_and_log_det(x)
    assert jnp.array_equal(y, x)
    assert log_det == 0


def test_colours_alternate_so_that_two_layers_transform_every_site():
    flow = scrambled(jax.random.key(3), small("dense"))
    first, second, _ = flow.bijection.bijections
    assert np.array_equal(first.partition.mask, ~second.partition.mask)
    x = jax.random.normal(jax.random.key(2), (4, 2))
    assert not jnp.any(flow.bijection.forward_and_log_det(x)[0] == x)


@pytest.mark.parametrize(
    ("name", "log_prob"),
    [
        ("real nvp dense", -18.384660302510728),
        ("real nvp convolutional", -18.76218200465157),
        ("real nvp, z2", -14.840044713273114),
        ("spline", -16.46583441233338),
        ("multiscale", -14.736036983088361),
        ("continuous", -81.46059821371264),
        ("free field", -51.71965894545693),
        ("z2 mixture", -13.862162263664404),
        ("u1 plaquettes", 1.2389610564391527),
    ],
)
def test_weights_mean_what_they_meant(name, log_prob):
    """If not, models on disk have become other functions: raise `ARCHITECTURE`, then renew these numbers."""
    assert ARCHITECTURE == 1
    distribution = DISTRIBUTIONS[name]()
    shape = jax.eval_shape(distribution.sample_and_log_prob, jax.random.key(0))[0].shape
    x = jnp.linspace(-2, 2, math.prod(shape)).reshape(shape)
    assert float(distribution.log_prob(x)) == pytest.approx(log_prob, rel=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_cast_keeps_every_weight(network):
    coarse = scrambled(jax.random.key(4), small(network, dtype="float32"))
    fine = cast(coarse, "float64")
    for a, b in zip(*(jax.tree.leaves(eqx.filter(f, eqx.is_inexact_array)) for f in (coarse, fine)), strict=True):
        assert b.dtype == jnp.float64
        assert np.array_equal(np.asarray(a, dtype=np.float64), b)
    back = cast(fine, "float32")
    assert eqx.tree_equal(back, coarse)


def test_float32_networks_leave_densities_exact():
    """Precision of the networks moves the flow, but log q stays the density of what was drawn (E4)."""
    flow = scrambled(jax.random.key(4), small("dense", dtype="float32"))
    x, log_prob = jax.vmap(flow.sample_and_log_prob)(jax.random.split(jax.random.key(5), 64))
    np.testing.assert_allclose(jax.vmap(flow.log_prob)(x), log_prob, rtol=0, atol=1e-10)


def test_mean_ratio_of_densities_is_one():
    """⟨p/q⟩ over draws of q, for a free field p with known log Z: one within 5σ, where σ ≤ 0.01."""
    lattice = Lattice((4, 2))
    action = FreeField(lattice, mass_squared=3.0)
    near = scrambled(jax.random.key(6), small("convolutional"), scale=0.1)
    # A little wider than the target, so that no weight is large.
    flow = Flow(near.prior, Chain((near.bijection, Scale(-1.15))))
    drawn = draw_block(FlowSampler(flow, action), jax.random.key(7), first=0, n=200_000)
    ratio = np.exp(np.asarray(drawn.log_weight) - exact.free_log_z(lattice, mass_squared=3.0))
    error = ratio.std() / np.sqrt(ratio.size)
    assert error <= 0.01
    assert abs(ratio.mean() - 1) < 5 * error


@pytest.mark.parametrize(
    ("arguments", "key"),
    [({"network": "fancy"}, "flow.network"), ({"hidden": ()}, "flow.hidden")],
)
def test_unknown_settings_are_refused(arguments, key):
    with pytest.raises(ConfigError, match=key):
        real_nvp(jax.random.key(1), Lattice((4, 2)), **arguments)


def test_odd_extents_are_refused():
    with pytest.raises(ConfigError, match=r"lattice\.shape"):
        real_nvp(jax.random.key(1), Lattice((3, 4)))


SMALL = Networks(hidden=(4,), kernel_size=3, dtype="float64")


@pytest.mark.parametrize("make", [multiscale, rational_quadratic_spline])
def test_other_flows_begin_as_the_identity_too(make):
    x = jax.random.normal(jax.random.key(2), (4, 2))
    y, log_det = make(jax.random.key(1), Lattice((4, 2)), networks=SMALL).bijection.forward_and_log_det(x)
    np.testing.assert_allclose(y, x, rtol=0, atol=1e-14)
    assert abs(float(log_det)) < 1e-13


def test_coarse_sites_know_nothing_of_the_fluctuations_between_them():
    """The density of a multiscale flow factorises level by level, and every site is transformed."""
    flow = multiscale(jax.random.key(1), Lattice((8,)), n_coarse=2, n_fine=2, networks=SMALL)
    bijection = scrambled(jax.random.key(3), flow).bijection
    x = jax.random.normal(jax.random.key(2), (8,))
    reads = np.asarray(jax.jacobian(lambda z: bijection.forward_and_log_det(z)[0])(x)) != 0
    coarsest, middle, fine = np.array([0, 4]), np.array([2, 6]), np.array([1, 3, 5, 7])
    assert not reads[np.ix_(coarsest, np.concatenate([middle, fine]))].any()
    assert not reads[np.ix_(middle, fine)].any()
    assert reads[np.ix_(middle, coarsest)].all()
    assert reads[fine].any(axis=1).all()
    assert not jnp.any(bijection.forward_and_log_det(x)[0] == x)
