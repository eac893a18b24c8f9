"""Observables of gauge fields: what they must not see, the unit field, and loops multiplied link by link in NumPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.errors import ConfigError
from latflow.fields.gauge_symmetry import GaugeTransformation, LinkTranslation, link_generators
from latflow.fields.spaces import GaugeSpace
from latflow.groups.names import named
from latflow.lattice import Lattice
from latflow.observables.base import measure
from latflow.observables.gauge import (
    Plaquette,
    PlaquettePlanes,
    PolyakovLoop,
    Rectangle,
    TopologicalCharge,
    WilsonLoops,
    gauge_observables,
)
from latflow.testing import observables_invariant_under

SPACES = {
    "U(1) 4×3": GaugeSpace(Lattice((4, 3)), named("U(1)")),
    "SU(2) 3×2×2": GaugeSpace(Lattice((3, 2, 2)), named("SU(2)")),
    "SU(3) 2×3": GaugeSpace(Lattice((2, 3)), named("SU(3)")),
}


def no_action(x):
    return jnp.zeros(())


def numpy_links(space: GaugeSpace, x) -> np.ndarray:
    """Matrices by direction and site, `[mu, *sites, a, b]`."""
    return np.moveaxis(np.asarray(space.links(x)), (1, 2), (-2, -1))


def walked(links: np.ndarray, site: tuple[int, ...], path: list[tuple[int, int]]) -> np.ndarray:
    """The product of links along a path of (direction, ±1) steps from a site."""
    shape = links.shape[1:-2]
    product = np.eye(links.shape[-1], dtype=complex)
    here = list(site)
    for mu, sign in path:
        if sign < 0:
            here[mu] = (here[mu] - 1) % shape[mu]
        u = links[(mu, *here)]
        product = product @ (u if sign > 0 else u.conj().T)
        if sign > 0:
            here[mu] = (here[mu] + 1) % shape[mu]
    return product


def loop(links: np.ndarray, mu: int, nu: int, r: int, t: int) -> float:
    path = [(mu, 1)] * r + [(nu, 1)] * t + [(mu, -1)] * r + [(nu, -1)] * t
    sites = itertools.product(*(range(n) for n in links.shape[1:-2]))
    return float(np.mean([np.trace(walked(links, site, path)).real for site in sites])) / links.shape[-1]


@pytest.mark.parametrize("name", SPACES)
def test_gauge_transformations_and_translations_are_not_seen(name: str) -> None:
    space = SPACES[name]
    omega = space.group.haar(jax.random.key(3), space.lattice.shape)
    elements = (GaugeTransformation(space.group, omega), LinkTranslation((1,) * space.ndim))
    results = observables_invariant_under(jax.random.key(1), gauge_observables(space, no_action), space, elements)
    assert len(results) >= 7
    assert [result.line() for result in results if not result.passed] == []


def test_planes_and_rectangles_have_every_symmetry_of_the_lattice() -> None:
    space = GaugeSpace(Lattice((3, 3, 3)), named("SU(2)"))
    elements = link_generators(jax.random.key(4), space)
    results = observables_invariant_under(jax.random.key(2), (Plaquette(space), Rectangle(space)), space, elements)
    assert [result.line() for result in results if not result.passed] == []
    assert len(elements) >= 4


def test_every_loop_of_the_unit_field_is_one() -> None:
    space = SPACES["SU(2) 3×2×2"]
    columns = measure(gauge_observables(space, no_action), space.cold()[None])
    for name in ("plaquette", "plaquette_planes", "rectangle", "wilson_loops", "polyakov_squared"):
        assert np.allclose(columns[name], 1.0, atol=1e-14), name
    assert np.allclose(columns["polyakov"], [1.0, 0.0], atol=1e-14)


@pytest.mark.parametrize("name", SPACES)
def test_loops_are_those_walked_link_by_link(name: str) -> None:
    space = SPACES[name]
    x = space.random(jax.random.key(7))
    links = numpy_links(space, x)
    time = space.ndim - 1
    planes = [loop(links, mu, nu, 1, 1) for mu, nu in itertools.combinations(range(space.ndim), 2)]
    columns = measure(
        (Plaquette(space), PlaquettePlanes(space), Rectangle(space), WilsonLoops(space, 2, 1), PolyakovLoop(space)),
        x[None],
    )
    assert columns["plaquette_planes"][0] == pytest.approx(planes, abs=1e-13)
    assert columns["plaquette"][0] == pytest.approx(np.mean(planes), abs=1e-13)
    ways = itertools.permutations(range(space.ndim), 2)
    assert columns["rectangle"][0] == pytest.approx(np.mean([loop(links, m, n, 2, 1) for m, n in ways]), abs=1e-13)
    for r in (1, 2):
        walked_loops = [loop(links, mu, time, r, 1) for mu in range(time)]
        assert columns["wilson_loops"][0, r - 1, 0] == pytest.approx(np.mean(walked_loops), abs=1e-13)
    others = itertools.product(*(range(n) for n in space.lattice.shape[:-1]))
    lines = [np.trace(walked(links, (*site, 0), [(time, 1)] * space.lattice.shape[-1])) for site in others]
    mean = np.mean(lines) / space.group.n
    assert columns["polyakov"][0] == pytest.approx([mean.real, mean.imag], abs=1e-13)


def test_the_charge_counts_the_flux() -> None:
    space = GaugeSpace(Lattice((6, 5)), named("U(1)"))
    charge = TopologicalCharge(space)
    values = measure((charge,), jax.vmap(space.random)(jax.random.split(jax.random.key(5), 64)))["topological_charge"]
    assert np.allclose(values, np.round(values), atol=1e-12)
    assert len(set(np.round(values))) > 2
    # Constant flux 2πk/V through every plaquette: the classical solution of charge k.
    x0, x1 = np.meshgrid(np.arange(6), np.arange(5), indexing="ij")
    for k in (-2, 1, 3):
        flux = 2 * np.pi * k / 30
        angles = np.stack([np.where(x0 == 5, -6 * flux * x1, 0.0), flux * x0])
        assert float(charge(jnp.asarray(angles))) == pytest.approx(k, abs=1e-12)


def test_the_charge_is_for_angles_in_two_dimensions() -> None:
    for space in (SPACES["SU(3) 2×3"], GaugeSpace(Lattice((2, 2, 2)), named("U(1)"))):
        with pytest.raises(ConfigError, match=r"U\(1\) in two dimensions"):
            TopologicalCharge(space)
        assert all(observable.name != "topological_charge" for observable in gauge_observables(space, no_action))
