"""Multiscale flows of links: exact log Z before and after a training, the centre of staples, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import multiscale_links, wilson
from latflow.actions import exact_gauge
from latflow.bijections.elementwise import Identity
from latflow.bijections.link_coupling import centre
from latflow.errors import ConfigError
from latflow.flows.flow import Flow
from latflow.flows.multiscale_links import at_known_heat_bath, blocked_coupling, multiscale_link_flow
from latflow.groups import named
from latflow.lattice import Lattice
from latflow.testing.bijections import scrambled
from latflow.training.losses import ReverseKL
from latflow.training.schedules import adam
from latflow.training.steps import TrainingState, run_steps

KEY = jax.random.key(8)


@pytest.mark.nightly
def test_training_finds_the_target():
    """U(1) on 4×4 at β = 1: log Z is exact within 5σ of some 0.01 before and after; the ESS rises from above 0.5."""
    action = wilson("U(1)", (4, 4), 1.0)
    flow = multiscale_links("U(1)", (4, 4), n_coarse=4, reach=1)
    optimiser = adam(lambda step: jnp.asarray(0.02))
    start = TrainingState.start(flow, optimiser)
    state, outcome = run_steps(start, KEY, 30, action=action, loss=ReverseKL(64), optimiser=optimiser)
    assert bool(outcome.finite)

    @eqx.filter_jit
    def weights(flow):
        def one(key):
            x, log_q = flow.sample_and_log_prob(key)
            return -action(x) - log_q

        return jnp.exp(jax.vmap(one)(jax.random.split(KEY, 2048)))

    found = []
    for each in (flow, state.flow):
        w = np.asarray(weights(each))
        error = np.std(w) / np.mean(w) / np.sqrt(len(w))
        assert error < 0.03
        assert abs(np.log(np.mean(w)) - exact_gauge.u1_log_z(1.0, volume=16)) < 5 * error
        found.append(np.mean(w) ** 2 / np.mean(w**2))
    assert found[0] > 0.5
    assert found[1] > found[0], found


@pytest.mark.parametrize("group", ["U(1)", "SU(2)", "SU(3)"])
def test_the_centre_of_staples_is_a_group_element_that_moves_with_them(group):
    """R(g A h) = g R(A) h, and Re tr R†A is larger than of any staple."""
    group = named(group)
    staples, left, right = (group.haar(jax.random.fold_in(KEY, i), (4, 5)) for i in range(3))
    left, right = (jnp.broadcast_to(each[..., :1, :], staples.shape) for each in (left, right))
    w = jnp.asarray([1.0, 0.6, 0.0, 0.3])
    found, length = centre(staples, w, group)
    moved, same = centre(group.compose(group.compose(left, staples), right), w, group)
    assert group.defect(found) < 1e-13
    expected = group.compose(group.compose(left[..., 0, :], found), right[..., 0, :])
    np.testing.assert_allclose(group.matrices(moved), group.matrices(expected), atol=1e-12)
    np.testing.assert_allclose(same, length, atol=1e-12)
    total = jnp.sum(w[None, None, :, None] * group.matrices(staples), axis=-2)

    def along(element):
        return jnp.sum(jnp.real(jnp.conj(group.matrices(element)) * total), axis=(0, 1)) / group.n

    np.testing.assert_allclose(along(found), length, atol=1e-12)
    assert bool(jnp.all(length >= along(staples[..., 0, :]) - 1e-12))


@pytest.mark.nightly
def test_filling_in_links_of_su3_is_exact():
    """At Haar fields: inverse, and log-det against the Jacobian in tangent coordinates."""
    filling = scrambled(KEY, multiscale_links("SU(3)", (4, 4)).bijection.fillings[0])
    space = wilson("SU(3)", filling.stripes[0].lattice.shape, 1.0).space
    x = space.random(KEY)
    y, log_det = eqx.filter_jit(filling.forward_and_log_det)(x)
    back, minus = eqx.filter_jit(filling.inverse_and_log_det)(y)
    np.testing.assert_allclose(back, x, atol=1e-9)
    np.testing.assert_allclose(log_det, -minus, atol=1e-9)
    momentum = space.momentum(KEY)
    size = momentum.size

    @jax.jit
    @jax.vmap
    def column(p):
        def moved(t):
            return filling.forward_and_log_det(space.move(x, t * p.reshape(momentum.shape)))[0]

        change = jax.jvp(moved, (0.0,), (1.0,))[1]
        return space.coordinates(y, change).ravel()

    jacobian = column(jnp.eye(size))
    np.testing.assert_allclose(jnp.linalg.slogdet(jacobian)[1], log_det, atol=1e-8)


def test_blocks_have_the_averages_of_two_dimensions():
    for group in ("SU(2)", "SU(3)"):
        kappa = blocked_coupling(named(group), 2.0, 4)
        n = named(group).n
        assert abs(exact_gauge.sun_plaquette(n, kappa) - exact_gauge.sun_plaquette(n, 2.0) ** 4) < 1e-10
        assert blocked_coupling(named(group), 0.0, 4) == 0.0


def test_the_start_depends_on_beta_alone():
    flow = multiscale_links("U(1)", (4, 4))
    other = at_known_heat_bath(at_known_heat_bath(flow, 0.0), 1.0)
    assert bool(eqx.tree_equal(flow, other))
    with pytest.raises(TypeError, match="a multiscale flow of links"):
        at_known_heat_bath(Flow(flow.prior, Identity()), 1.0)


@pytest.mark.parametrize(
    ("shape", "group", "beta", "settings", "says"),
    [
        ((4, 6), "U(1)", 1.0, {}, r"lattice\.shape: \[4, 6\]; allowed: multiples of 4, to be halved 1 times"),
        ((4, 4, 4), "U(1)", 1.0, {"n_doublings": 2}, r"allowed: multiples of 8, to be halved 2 times to even extents"),
        ((4,), "U(1)", 1.0, {}, r"lattice\.shape: \[4\]; allowed: two or more directions"),
        ((4, 4), "SU(4)", 1.0, {}, r"group: SU\(4\); allowed: U\(1\), SU\(2\), SU\(3\)"),
        ((4, 4), "U(1)", -1.0, {}, r"beta: -1\.0; allowed: from 0 to 30"),
        ((4, 4), "U(1)", 31.0, {}, r"beta: 31\.0; allowed: from 0 to 30"),
        ((4, 4), "U(1)", 1.0, {"reach": 2}, r"flow\.reach: 2; allowed: at most 1, half an extent of \[2, 2\]"),
        ((4, 4), "U(1)", 1.0, {"n_doublings": 0}, r"flow\.doublings: 0; allowed: at least 1"),
        ((4, 4), "U(1)", 1.0, {"n_coarse": -1}, r"flow\.coarse_layers: -1; allowed: at least 0"),
        ((4, 4), "U(1)", 1.0, {"n_bins": 1}, r"flow\.bins: 1; allowed: at least 2"),
    ],
)
def test_what_cannot_be_built_is_refused(shape, group, beta, settings, says):
    with pytest.raises(ConfigError, match=says):
        multiscale_link_flow(KEY, Lattice(shape), named(group), beta, **settings)


def test_a_traced_coupling_is_refused():
    with pytest.raises(ConfigError, match="beta: traced"):
        jax.eval_shape(lambda beta: multiscale_link_flow(KEY, Lattice((4, 4)), named("U(1)"), beta).prior, 2.0)
