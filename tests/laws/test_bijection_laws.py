"""Every bijection of the catalogue, with scrambled weights, keeps the laws of a bijection (E1, E2, E18)."""

import functools

import jax
import pytest

from catalogue import BIJECTIONS, hmc, phi_four_2x2, trained_flow
from latflow.bijections.compose import Chain, Inverse
from latflow.flows.continuous import continuous_flow, of_draws
from latflow.flows.weighted import FlowSampler
from latflow.lattice import Lattice
from latflow.samplers.chains import advance
from latflow.samplers.draws import draw_block
from latflow.testing import BIJECTION_LAWS, equivariant_under
from latflow.testing.bijections import forces_move_along, scrambled

CASES = {name: functools.cache(make) for name, make in BIJECTIONS.items()}
AT_NIGHT = ("doubling of SU(2), open",)
"""Cases that compile two splits of SU(2), for forty seconds of CPU time in all."""
NAMES = [pytest.param(name, marks=pytest.mark.nightly) if name in AT_NIGHT else name for name in CASES]


@pytest.mark.parametrize("law", BIJECTION_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_bijection_law(name, law):
    case = CASES[name]()
    result = law(case.bijection, case.space, case.fields(jax.random.key(31)))
    assert result.passed, result.line()


@pytest.mark.parametrize("name", NAMES)
def test_claimed_symmetries(name):
    case = CASES[name]()
    if case.symmetries:
        fields = case.fields(jax.random.key(32), n=4)
        result = equivariant_under(case.bijection, case.space, tuple(case.symmetries), fields)
        assert result.passed, result.line()


FORCES = {
    "chain": lambda parts: Chain(parts),
    "inverse of a coupling": lambda parts: Inverse(parts[0]),
    "inverse of a chain, made for draws": lambda parts: Inverse(Chain(parts[::-1])),
}
"""Made of a coupling and a continuous flow made for draws, which cannot be differentiated in reverse."""


@pytest.mark.parametrize("name", FORCES)
def test_forces_move_along(name):
    small = {"n_contexts": 1, "n_features": 1, "n_hidden": 2, "n_times": 2, "radius": 1, "dtype": "float64"}
    flow = continuous_flow(jax.random.key(13), Lattice((6,)), n_steps=24, scheme="rk8", **small)
    draws = of_draws(scrambled(jax.random.key(37), flow.bijection))
    bijection = FORCES[name]((BIJECTIONS["affine dense, odd, 1d"]().bijection, draws))
    result = forces_move_along(bijection, jax.random.normal(jax.random.key(38), (3, 6)), limit=1e-9)
    assert result.passed, result.line()


@pytest.mark.parametrize("source", ["flow", "hmc"])
def test_round_trip_of_trained_weights(source):
    """On configurations as they occur: draws of the flow, and draws of the target from another sampler."""
    flow, action = trained_flow(), phi_four_2x2()
    if source == "flow":
        fields = draw_block(FlowSampler(flow, action), jax.random.key(34), first=0, n=64).x
    else:
        narrow = 0.4 * jax.random.normal(jax.random.key(35), (64, *flow.shape))
        kernel = hmc(action, "leapfrog", 0.15, 4)
        fields, _ = advance(kernel, jax.random.key(36), narrow, first=0, n_records=1, thin=50)
    results = [law(flow.bijection, action.space, fields) for law in BIJECTION_LAWS[:4]]
    assert all(result.passed for result in results), [result.line() for result in results]
