"""Flows from specifications: what is built, and what is refused by name."""

import jax
import numpy as np
import pytest

from latflow.bijections.ode.runge_kutta import RK8
from latflow.errors import DataError
from latflow.fields.product import ProductSpace
from latflow.fields.spaces import GaugeSpace, ScalarSpace
from latflow.flows.conditional import ConditionalFlow
from latflow.flows.mixture import Z2Mixture
from latflow.flows.model import (
    Integration,
    Specification,
    build,
    describe_space,
    production,
    read_integration,
    read_specification,
)
from latflow.groups import SU, U1
from latflow.lattice import Lattice

REAL_NVP = {
    "flow": {"kind": "real_nvp", "layers": 2, "hidden": [4]},
    "space": {"fields": "scalar", "shape": [2, 2]},
    "precision": "float64",
}
CONTINUOUS = {
    **REAL_NVP,
    "flow": {"kind": "continuous", "hidden": 2, "contexts": 1, "features": 1, "times": 1, "radius": 1, "steps": 2},
}
LINKS = {**REAL_NVP, "flow": {"kind": "plaquettes", "layers": 2}}
U1_LINKS = {"fields": "links", "group": "U(1)", "shape": [4, 4]}


def built(plain):
    return build(read_specification(plain, what="here"), what="here")


def test_sizes_space_precision_and_mixture_are_obeyed():
    flow = built({**REAL_NVP, "flow": {**REAL_NVP["flow"], "mixture": "z2"}, "precision": "float32"})
    assert type(flow) is Z2Mixture
    assert (flow.space, len(flow.bijection.bijections)) == (ScalarSpace((2, 2)), 3)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(flow)} == {"float32", "float64"}
    links = built({**LINKS, "space": U1_LINKS})
    assert (links.space, len(links.bijection.bijections)) == (GaugeSpace(Lattice((4, 4)), U1()), 2)


def test_the_key_draws_the_networks():
    one, other = (build(read_specification(REAL_NVP, what="here"), jax.random.key(seed)) for seed in (1, 2))
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert any(np.any(a != b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def test_a_range_gives_a_conditional_flow():
    over = {"parameter": "alpha", "lower": 0.5, "upper": 2.0, "order": 3}
    flow = built({**REAL_NVP, "over": over})
    assert isinstance(flow, ConditionalFlow)
    assert (flow.lower, flow.upper, flow.order) == (0.5, 2.0, 3)


def test_production_is_float64_and_integrated_as_stated():
    flow = built({**CONTINUOUS, "precision": "float32"})
    exact = production(flow, Integration(scheme="rk8", steps=16, log_prob_error=1e-9))
    assert (exact.bijection.scheme, exact.bijection.n_steps) == (RK8, 16)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(exact)} == {"float64"}
    with pytest.raises(DataError, match=r"integration\.scheme: euler; allowed: rk4, rk8"):
        production(flow, Integration(scheme="euler", steps=16, log_prob_error=1e-9))
    assert read_integration({}) is None
    with pytest.raises(DataError, match=r"integration\.steps: Field required"):
        read_integration({"integration": {"scheme": "rk8", "log_prob_error": 0.0}})


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ("real_nvp", r"^here: specification: "),
        ({**REAL_NVP, "depth": 3}, r"^here: specification\.depth: Extra inputs"),
        ({key: REAL_NVP[key] for key in ("flow", "space")}, r"^here: specification\.precision: Field required"),
        ({**REAL_NVP, "precision": "float16"}, r"^here: specification\.precision: "),
        ({**REAL_NVP, "space": {"fields": "spins", "shape": [2]}}, r"^here: specification\.space: .*'links'"),
        ({**REAL_NVP, "flow": {**REAL_NVP["flow"], "layers": 1}}, r"^here: specification\.flow\.layers: "),
        ({**REAL_NVP, "flow": {}}, r"^here: a flow of a kind that is not installed: flow\.kind = None"),
        ({**REAL_NVP, "flow": {"kind": ["a"]}}, r"^here: a flow of a kind that is not installed"),
        (
            {**REAL_NVP, "flow": {"kind": "diffusion"}},
            r"not installed: flow\.kind = 'diffusion'; allowed: continuous, ",
        ),
        (LINKS, r"^here: specification\.space: scalar for flow plaquettes"),
        ({**LINKS, "space": {**U1_LINKS, "group": "E(8)"}}, r'^here: specification: group: "E\(8\)"; allowed'),
        ({**REAL_NVP, "space": {"fields": "scalar", "shape": [3, 2]}}, r"^here: specification: .*even"),
        (
            {**REAL_NVP, "over": {"parameter": "a", "lower": 2.0, "upper": 1.0, "order": 1}},
            r"^here: specification: .*two increasing numbers",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(plain, message):
    with pytest.raises(DataError, match=message):
        built(plain)


def test_spaces_have_descriptions():
    for space in (ScalarSpace((2, 3)), GaugeSpace(Lattice((2, 3)), U1()), GaugeSpace(Lattice((2, 3)), SU(3))):
        described = describe_space(space)
        assert described is not None
        assert described.build() == space
    assert describe_space(ProductSpace({"a": ScalarSpace((2,))})) is None


def test_a_specification_is_its_plain_data():
    found = read_specification(CONTINUOUS, what="here")
    assert isinstance(found, Specification)
    assert read_specification(found.plain(), what="here") == found
