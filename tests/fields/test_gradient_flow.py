"""Gradient flow: order of the scheme, the heat equation, symmetries, and another code written in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.gauge import ImprovedAction, WilsonAction
from latflow.errors import ConfigError
from latflow.fields.field_strength import charge, clover, clover_energy, plaquette_energy
from latflow.fields.gauge_symmetry import LinkReflection, random_gauge_transformation
from latflow.fields.gradient_flow import GradientFlow
from latflow.fields.spaces import GaugeSpace
from latflow.groups import named
from latflow.lattice import Lattice
from latflow.store.gauge_files.files import read_configuration
from store.gauge_files.fields import needs_real_files, real


def space_of(group: str, shape: tuple[int, ...]) -> GaugeSpace:
    return GaugeSpace(Lattice(shape), named(group))


SU2 = space_of("SU(2)", (3, 2, 2))


@functools.cache
def jitted_integrate(flow: GradientFlow, n_steps: int):
    return jax.jit(lambda x, size: flow.integrate(x, step_size=size, n_steps=n_steps))


@pytest.mark.parametrize(("group", "shape"), [("U(1)", (4, 3)), ("SU(2)", (3, 2, 2))])
def test_the_scheme_has_third_order(group, shape):
    """From rough fields; the slope of the error is that of the last halving of the step."""
    flow = GradientFlow(space_of(group, shape))
    x = flow.space.random(jax.random.key(1))
    ends = [jitted_integrate(flow, n)(x, 0.4 / n) for n in (16, 32, 256)]
    links = [flow.space.links(end) for end in ends]
    coarse, fine = (float(jnp.max(jnp.abs(u - links[2]))) for u in links[:2])
    assert 1e-9 < fine < 1e-4
    assert np.log2(coarse / fine) == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize(
    ("c1", "rate"), [(0.0, lambda k: k), (-1 / 12, lambda k: k + k**2 / 12)], ids=["wilson", "improved"]
)
def test_weak_waves_decay_as_the_heat_equation_says(c1, rate):
    r"""A transverse wave of momentum k decays as $e^{-t\hat k^2}$, or $e^{-t\hat k^2(1-c_1\hat k^2)}$ with c₁."""
    flow, amplitude, time = GradientFlow(space_of("U(1)", (2, 6)), c1), 1e-5, 0.5
    k = 2 * np.pi / 6
    wave = amplitude * np.cos(k * np.arange(6))[None] * np.ones((2, 1))
    x = jnp.asarray(np.stack([wave, np.zeros((2, 6))]))
    end = jitted_integrate(flow, 40)(x, time / 40)
    decay = np.exp(-time * rate(4 * np.sin(k / 2) ** 2))
    np.testing.assert_allclose(end, decay * x, atol=1e-7 * amplitude)


@pytest.mark.parametrize("group", ["U(1)", "SU(2)"])
def test_the_flow_descends_the_action(group):
    """Its velocity is the force, times −N/cβ: what makes the coefficient of the heat equation one."""
    space = space_of(group, (2, 3))
    x = space.random(jax.random.key(2))
    g = space.group
    for flow, action in (
        (GradientFlow(space), WilsonAction(space.lattice, g, beta=g.n / g.trace_norm)),
        (GradientFlow.symanzik(space), ImprovedAction.luescher_weisz(space.lattice, g, beta=g.n / g.trace_norm)),
    ):
        velocity = jax.jit(lambda x, f=flow: f.velocity(x))(x)
        np.testing.assert_allclose(velocity, -action.force(x), atol=1e-13)
        later = jitted_integrate(flow, 5)(x, 0.02)
        assert float(action(later)) < float(action(x)) - 0.03


def test_the_flow_commutes_with_gauge_transformations_and_reflections():
    flow = GradientFlow(SU2)
    x = SU2.random(jax.random.key(3))
    run = jitted_integrate(flow, 5)
    for g in (random_gauge_transformation(jax.random.key(4), SU2), LinkReflection(SU2.group, 1)):
        np.testing.assert_allclose(run(g(x), 0.04), g(run(x, 0.04)), atol=1e-13)
    assert float(SU2.defect(run(x, 0.04))) < 1e-14


def test_adaptive_steps_arrive_where_fixed_ones_do():
    flow = GradientFlow(SU2)
    x = SU2.random(jax.random.key(5))
    reference = jitted_integrate(flow, 256)(x, 1.0 / 256)
    adaptive = jax.jit(lambda x, f: flow.integrate_adaptively(x, duration=1.0, tolerance=1e-4, first_step=f))
    loose, bold = adaptive(x, 0.01), adaptive(x, 1.0)
    for found in (loose, bold):
        assert float(jnp.max(jnp.abs(found.x - reference))) < 3e-4
        assert int(found.n_steps) < 60
    assert int(loose.n_rejected) < int(bold.n_rejected)
    # smooth fields allow longer steps
    assert float(loose.step_size) > 0.03
    with pytest.raises(ConfigError, match=r"flow\.tolerance: 0"):
        flow.integrate_adaptively(x, duration=1.0, tolerance=0.0)


def test_histories():
    space = space_of("SU(2)", (3, 2))
    flow = GradientFlow(space)
    x = space.random(jax.random.key(6))
    end, fixed = jax.jit(lambda x: flow.history(x, step_size=0.02, n_records=3, steps_per_record=5))(x)
    _, adaptive = jax.jit(lambda x: flow.adaptive_history(x, spacing=0.1, n_records=3, tolerance=1e-7))(x)
    np.testing.assert_allclose(fixed.time, [0, 0.1, 0.2, 0.3], atol=1e-15)
    np.testing.assert_allclose(end, jitted_integrate(flow, 15)(x, 0.02), atol=1e-14)
    for name in ("plaquette_energy", "clover_energy"):
        energy = getattr(fixed, name)
        np.testing.assert_allclose(energy, getattr(adaptive, name), rtol=1e-3)
        assert np.all(np.diff(energy) < 0)
    assert float(fixed.plaquette_energy[0]) == pytest.approx(float(plaquette_energy(space, x)), rel=1e-14)
    assert float(fixed.clover_energy[3]) == pytest.approx(float(clover_energy(space, end)), rel=1e-13)
    assert np.all(fixed.charge == 0)


def test_charge_of_u1_stays_an_integer_and_changes_sign_under_reflections():
    space = space_of("U(1)", (6, 6))
    flow = GradientFlow(space)
    xs = jax.vmap(space.random)(jax.random.split(jax.random.key(7), 16))
    measured = jax.jit(jax.vmap(lambda x: flow.history(x, step_size=0.05, n_records=4)[1].charge))
    q = np.asarray(measured(xs))
    np.testing.assert_allclose(q, np.rint(q), atol=1e-12)
    assert np.abs(np.rint(q[:, 0])).max() >= 1
    mirrored = jax.vmap(LinkReflection(space.group, 0))(xs)
    np.testing.assert_allclose(measured(mirrored), -q, atol=1e-12)


@pytest.mark.parametrize("mu", [0, 3])
def test_charge_in_four_dimensions_changes_sign_under_reflections(mu):
    space = space_of("SU(2)", (2, 3, 2, 2))
    x = space.random(jax.random.key(8))
    q = charge_of(space)
    assert abs(float(q(x))) > 1e-2
    assert float(q(LinkReflection(space.group, mu)(x))) == pytest.approx(-float(q(x)), abs=1e-13)
    g = random_gauge_transformation(jax.random.key(9), space)
    assert float(q(g(x))) == pytest.approx(float(q(x)), abs=1e-13)
    with pytest.raises(ConfigError, match="topological charge"):
        charge(SU2, SU2.cold())


@functools.cache
def charge_of(space: GaugeSpace):
    return jax.jit(lambda x: charge(space, x))


def test_the_clover_of_a_constant_field():
    """U(1) with one flux quantum through the torus: F is the same everywhere, whichever leaf."""
    space, flux = space_of("U(1)", (4, 5)), 2 * np.pi / 20
    theta = np.zeros((2, 4, 5))
    theta[1] = flux * np.arange(4)[:, None]
    theta[0, 3] = -2 * np.pi / 5 * np.arange(5)
    x = jnp.asarray(theta - 2 * np.pi * np.round(theta / (2 * np.pi)))
    np.testing.assert_allclose(clover(space, x, mu=0, nu=1), np.sin(flux), atol=1e-13)
    assert float(clover_energy(space, x)) == pytest.approx(np.sin(flux) ** 2 / 2, abs=1e-13)
    assert float(plaquette_energy(space, x)) == pytest.approx(1 - np.cos(flux), abs=1e-13)
    assert float(charge(space, x)) == pytest.approx(1.0, abs=1e-13)


# The same in plain NumPy: sites first, one matrix product after another, exponentials by eigenvectors -----------------


def dag(m):
    return np.swapaxes(m.conj(), -1, -2)


def at(m, mu, steps=1):
    return np.roll(m, -steps, axis=mu)


def traceless_antihermitian(m):
    a = (m - dag(m)) / 2
    return a - np.trace(a, axis1=-2, axis2=-1)[..., None, None] / m.shape[-1] * np.eye(m.shape[-1])


def exp(a):
    values, vectors = np.linalg.eigh(-1j * a)
    return vectors * np.exp(1j * values)[..., None, :] @ dag(vectors)


def numpy_staples(u, mu):
    total = 0
    for nu in range(4):
        if nu != mu:
            total = total + at(u[nu], mu) @ dag(at(u[mu], nu)) @ dag(u[nu])
            down = at(u[nu], nu, -1)
            total = total + dag(at(down, mu)) @ dag(at(u[mu], nu, -1)) @ down
    return total


def numpy_flow_step(u, eps):
    def z(w):
        return [-eps * traceless_antihermitian(w[mu] @ numpy_staples(w, mu)) for mu in range(4)]

    z0 = z(u)
    w1 = [exp(z0[mu] / 4) @ u[mu] for mu in range(4)]
    z1 = z(w1)
    w2 = [exp(8 / 9 * z1[mu] - 17 / 36 * z0[mu]) @ w1[mu] for mu in range(4)]
    z2 = z(w2)
    return [exp(3 / 4 * z2[mu] - 8 / 9 * z1[mu] + 17 / 36 * z0[mu]) @ w2[mu] for mu in range(4)]


def numpy_clover(u, mu, nu):
    def path(*steps):
        m, x = np.eye(3), []
        for direction, sign in steps:
            if sign < 0:
                x = [*x, (direction, -1)]
            link = u[direction]
            for axis, s in x:
                link = at(link, axis, s)
            m = m @ (link if sign > 0 else dag(link))
            if sign > 0:
                x = [*x, (direction, 1)]
        return m

    leaves = [
        path((a, s), (b, r), (a, -s), (b, -r))
        for a, s, b, r in ((mu, 1, nu, 1), (nu, 1, mu, -1), (mu, -1, nu, -1), (nu, -1, mu, 1))
    ]
    return traceless_antihermitian(sum(leaves)) / 4


def numpy_measured(u):
    g = {(mu, nu): numpy_clover(u, mu, nu) for mu in range(4) for nu in range(mu + 1, 4)}
    energy = -sum(np.trace(f @ f, axis1=-2, axis2=-1).real.mean() for f in g.values())

    def product(a, b):
        return np.trace(g[a] @ g[b], axis1=-2, axis2=-1).real.sum()

    q = -(product((0, 1), (2, 3)) - product((0, 2), (1, 3)) + product((0, 3), (1, 2))) / (4 * np.pi**2)
    loops = [u[a] @ at(u[b], a) @ dag(at(u[a], b)) @ dag(u[b]) for a, b in g]
    return 2 * sum(3 - np.trace(p, axis1=-2, axis2=-1).real.mean() for p in loops), energy, q


@needs_real_files
def test_another_code_flows_a_real_configuration_alike():
    """A configuration of another code (its clover charge is known), five steps of ε = 0.02."""
    links = read_configuration(real("testconf.txt"), shape=(4, 4, 4, 4)).links
    space = space_of("SU(3)", (4, 4, 4, 4))
    _, history = jax.jit(lambda x: GradientFlow(space).history(x, step_size=0.02, n_records=1, steps_per_record=5))(
        jnp.asarray(links)
    )
    u = list(np.moveaxis(links, (1, 2), (-2, -1)))
    before = numpy_measured(u)
    for _ in range(5):
        u = numpy_flow_step(u, 0.02)
    expected = np.stack([before, numpy_measured(u)])
    ours = np.stack([history.plaquette_energy, history.clover_energy, history.charge], axis=1)
    np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-12)
    assert float(history.charge[0]) == pytest.approx(-0.027164585971545994, abs=1e-12)
