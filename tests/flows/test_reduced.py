"""The reduced form of doubling flows: the weights of the links from halves of plaquettes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import gauge_space, u1_doubling, wilson
from latflow.actions.gauge import WilsonAction
from latflow.bijections.elementwise import Identity
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.flows.flow import Flow
from latflow.flows.reduced import reduced
from latflow.flows.weighted import FlowSampler
from latflow.testing.bijections import scrambled
from latflow.training.losses import PathGradient

KEY = jax.random.key(4)


def case(shape, n_levels):
    flow = scrambled(KEY, Flow(HaarPrior(gauge_space("U(1)", shape)), u1_doubling(shape, n_levels)), scale=0.2)
    return flow, wilson("U(1)", shape, 1.5)


def halves_of(doubling, field):
    """The links of the coarsest lattice, and halves and plaquettes in the pieces of the link form."""
    levels, group = doubling.hierarchy, doubling.group
    store, new = levels.taken_apart(group, levels.dressed(group, field, levels.gauge(group, field)))
    store = levels.filled(store, new)
    tables = [{name: t[i] for name, t in levels.pieces.items()} for i in range(len(new))]
    loops = [doubling.loops(store, links, table)[:2] for links, table in zip(new, tables, strict=True)]
    n = 2 * int(np.prod(levels.coarsest))
    return store[1 : 1 + n].reshape(2, *levels.coarsest), *(jnp.stack(part) for part in zip(*loops, strict=True))


def order_of(levels):
    """Of every plaquette of the reduced form, its place in the link form; both as flat lists of pieces."""
    shape, real, size = list(levels.coarsest), levels.pieces["real"], levels.pieces["real"].shape[1]
    sites, order = np.indices(shape).reshape(2, -1).T, []
    for number, mu in enumerate(levels.directions):
        first = size * int(np.argmax(levels.level_of_pieces == number))
        places = first + sites[:, 0] * shape[1] + sites[:, 1]
        order.append(np.append(places, np.zeros(-len(places) % size, int)))
        children = []
        for some in np.split(sites, range(size, len(sites), size)):
            for shift in (0, 1):
                child = some.copy()
                child[:, mu] = 2 * child[:, mu] + shift
                children.append(child)
        sites = np.concatenate(children)
        shape[mu] *= 2
    assert real.size == sum(map(len, order))
    return np.concatenate(order)


@pytest.mark.parametrize(("shape", "n_levels"), [((4, 4), 4), ((2, 6), 2)])
def test_links_and_reduced_form_have_the_same_weights(shape, n_levels):
    """Of any links, and of the draw that is made of the same Haar halves, to 1e-10."""
    flow, action = case(shape, n_levels)
    short, energy = reduced(flow, action)
    links = action.space.random(KEY)
    coarsest, halves, plaquettes = eqx.filter_jit(halves_of)(flow.bijection, links)
    splits, static = flow.bijection.by_piece()
    inverse = jax.jit(jax.vmap(lambda part, *loops: eqx.combine(part, static).inverse_and_log_det(*loops)[0]))
    origins = inverse(splits, halves, plaquettes)
    order, real = order_of(flow.bijection.hierarchy), flow.bijection.hierarchy.pieces["real"]
    origins, *expected = (part.ravel()[order].reshape(part.shape) for part in (origins, halves, plaquettes))

    x, log_prob = eqx.filter_jit(short.of_halves)(coarsest, origins)
    for part, other in zip(x, expected, strict=True):
        assert np.allclose(np.exp(1j * part)[real], np.exp(1j * other)[real], rtol=0, atol=1e-10)
    for found in (log_prob, eqx.filter_jit(short.log_prob)(x)):
        assert np.allclose(found, eqx.filter_jit(flow.log_prob)(links), rtol=0, atol=1e-10)
    assert np.allclose(energy(x), action(links), rtol=0, atol=1e-10)


def test_training_of_links_is_that_of_the_reduced_form():
    """The loss of either form is the same up to noise: 5σ of 512 draws; its gradient reaches every array."""
    flow, action, loss = *case((4, 4), 4), PathGradient(512)
    (value, log_weights), gradient = eqx.filter_jit(eqx.filter_value_and_grad(loss, has_aux=True))(flow, action, KEY)
    draws = jax.jit(jax.vmap(FlowSampler(flow, action).draw))(jax.random.split(KEY, 512)).log_weight
    error = np.sqrt((np.var(log_weights) + np.var(draws)) / 512)
    assert abs(value + np.mean(draws)) < 5 * error
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


def test_other_flows_and_actions_have_no_reduced_form():
    flow, action = case((4, 4), 4)
    open_action = WilsonAction(action.space.lattice, action.space.group, beta=1.0, open_boundaries=True)
    assert reduced(flow, open_action) == (flow, open_action)
    other = Flow(flow.prior, Identity())
    assert reduced(other, action) == (other, action)
    with pytest.raises(ConfigError, match="reduced form"):
        reduced(flow, action)[1].force(jnp.zeros(3))
