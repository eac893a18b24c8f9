"""Densities of flows of links have the symmetries that their architecture has, to rounding.

A doubling flow carries links along a gauge of its own, which reflections do not keep: images of reflected fields are
reflected images up to a gauge transformation. Their density is what the law is about, for all flows alike.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import KEY_SEED, gauge_space, loop_flow, u1_doubling
from latflow.distributions import HaarPrior
from latflow.fields.gauge_symmetry import (
    ChargeConjugation,
    LinkReflection,
    LinkTranslation,
    link_generators,
    random_gauge_transformation,
)
from latflow.fields.symmetry import AbstractSymmetry
from latflow.flows.doubling import doubling_flow
from latflow.flows.flow import Flow
from latflow.testing.bijections import scrambled
from latflow.testing.link_flows import link_fields

KEY = jax.random.key(KEY_SEED + 1)
PER_DOF = 1e-12


def _doubling(group: str, shape: tuple[int, int], *steps: tuple[int, int], levels: int) -> tuple:
    """A scrambled flow, and reflections, charge conjugation, a gauge transformation, translations by some steps."""
    space = gauge_space(group, shape)
    if group == "U(1)":
        flow = Flow(HaarPrior(space), u1_doubling(shape, levels))
    else:
        flow = doubling_flow(
            KEY, space.lattice, space.group, 1.5, n_levels=levels, n_bins=4, n_terms=2, dtype="float64"
        )
    own = [LinkReflection(space.group, mu) for mu in (0, 1)]
    own += [ChargeConjugation(space.group), random_gauge_transformation(KEY, space)]
    return scrambled(KEY, flow), (*own, *(LinkTranslation(step) for step in steps))


def _loops(group: str, shape: tuple[int, ...]) -> tuple:
    flow = loop_flow(group, shape, n_steps=3)
    return flow, link_generators(KEY, flow.space)


CASES = {
    "doubling of U(1)": functools.cache(lambda: _doubling("U(1)", (4, 2), levels=3)),
    "doubling of U(1), two coarse sites": functools.cache(lambda: _doubling("U(1)", (4, 2), (2, 0), (0, 1), levels=1)),
    "doubling of SU(2)": functools.cache(lambda: _doubling("SU(2)", (2, 2), levels=2)),
    "loops of U(1)": functools.cache(lambda: _loops("U(1)", (3, 3))),
}


def changes(flow: Flow, elements: tuple[AbstractSymmetry, ...]) -> np.ndarray:
    """Of every element, the largest |Δ log q| of a few fields per degree of freedom."""
    fields = link_fields(KEY, flow.space)

    @jax.jit
    def log_probs(fields):
        every = jnp.concatenate([fields, *(jax.vmap(element)(fields) for element in elements)])
        return jax.lax.map(flow.log_prob, every).reshape(-1, len(fields))

    densities = np.asarray(log_probs(fields))
    return np.max(np.abs(densities[1:] - densities[0]), axis=1) / flow.space.dof


@pytest.mark.parametrize("name", CASES)
def test_the_density_has_the_symmetries_of_the_architecture(name):
    flow, elements = CASES[name]()
    found = changes(flow, elements)
    assert np.max(found) < PER_DOF, list(zip(elements, found, strict=True))


def test_a_doubling_flow_knows_its_coarsest_sites():
    """Translations by less than their distance change its density: this is no symmetry of the architecture."""
    flow, _ = CASES["doubling of U(1)"]()
    assert changes(flow, (LinkTranslation((1, 0)),))[0] > 1e-4
