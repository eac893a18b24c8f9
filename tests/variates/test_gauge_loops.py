"""Velocities of links made of loops: means of zero under the heat bath, exact values at smaller errors, edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latflow as lf
from catalogue import key
from latflow.actions.exact_gauge import sun_log_z, sun_wilson_loop
from latflow.fields.loop_velocities import path_names
from latflow.observables.plaquette_moments import (
    PlaquetteCorrelator,
    PlaquetteSusceptibility,
    plaquette_correlator,
)
from latflow.study.reduction import Reduced
from latflow.testing.stein import divergence_is_trace, stein_averages_vanish
from latflow.variates.gauge_loops import LoopFields

BETA, SHAPE = 2.2, (4, 4)


@pytest.fixture(scope="module")
def action() -> lf.WilsonAction:
    return lf.WilsonAction(lf.Lattice(SHAPE), lf.SU(2), beta=BETA)


@pytest.fixture(scope="module")
def chains(action: lf.WilsonAction) -> np.ndarray:
    """40 chains of 60 records of the heat bath."""
    kernel = lf.HeatBath(action, n_overrelaxation=2)
    return np.asarray(lf.run_chain(jax.random.key(5), kernel, n=60, chains=40, warmup=40))


@pytest.fixture(scope="module")
def reduced(action: lf.WilsonAction, chains: np.ndarray) -> Reduced:
    return lf.reduce(action, chains)


def test_means_are_zero_under_the_heat_bath(action: lf.WilsonAction, chains: np.ndarray) -> None:
    """5σ of 39 degrees of freedom; 5 % of β, 10 % of C_F are seen."""
    result = stein_averages_vanish(LoopFields(action.space, products="slices"), action, np.swapaxes(chains, 0, 1))
    assert result.passed, result.line()


def test_means_under_another_coupling_are_not(action: lf.WilsonAction, chains: np.ndarray) -> None:
    other = action.with_parameters(beta=1.05 * BETA)
    result = stein_averages_vanish(LoopFields(action.space, products="none"), other, np.swapaxes(chains, 0, 1))
    assert not result.passed, result.line()


def test_plaquette_and_response_agree_with_exact_values_at_smaller_errors(reduced: Reduced) -> None:
    """Five errors of the reduced averages, which are a fourth and a fifth of the plain ones or less."""
    h, log_z = 1e-2, [sun_log_z(2, BETA + step, volume=16) for step in (-1e-2, 0.0, 1e-2)]
    known = {
        "plaquette": (sun_wilson_loop(2, BETA, volume=16), 4),
        "plaquette_susceptibility": (float(np.diff(log_z, 2)[0]) / h**2 / 16, 5),
    }
    for name, (value, gain) in known.items():
        (found,), (plain,) = reduced.estimates[name], reduced.plain[name]
        assert abs(found.value - value) < 5 * found.error
        assert found.error < plain.error / gain
    assert reduced.null_tests.passed.all()
    assert reduced.trained_on == 0


def test_u1_by_hand() -> None:
    r"""C_F = 1: the divergence is $4\sum\cos\theta_P$, and that of the square has −4 per link that occurs twice."""
    action = lf.WilsonAction(lf.Lattice((2, 2)), lf.U1(), beta=1.3)
    x = action.space.random(key(81))
    f = LoopFields(action.space, products="none").value(action, x)
    theta = np.asarray(x[0] + jnp.roll(x[1], -1, 0) - jnp.roll(x[0], -1, 1) - x[1])
    slope = np.asarray(action.force(x)) / 1.3
    assert np.isclose(f[0], 4 * np.cos(theta).sum() - 1.3 * (slope**2).sum())
    loops = np.stack(
        [
            np.exp(1j * theta) + np.exp(-1j * np.roll(theta, 1, 1)),
            np.exp(-1j * theta) + np.exp(1j * np.roll(theta, 1, 0)),
        ]
    )
    assert np.isclose(f[1], (2 * (loops**2).real - 1.3 * (loops**2).imag * slope).sum())


def test_kinds_that_do_not_fit_or_do_not_differ_are_left_out() -> None:
    assert path_names(lf.SU(2), (2, 4)) == ("plaquette", "square", "cubic")
    assert "sides" in path_names(lf.SU(3), (3, 4))
    assert set(path_names(lf.SU(3), (4, 4))) - set(path_names(lf.SU(3), (3, 4))) == {"far"}
    assert {"trace", "conjugate", "weighted"} <= set(path_names(lf.SU(3), (2, 2)))


def test_wrong_words_are_refused(action: lf.WilsonAction) -> None:
    with pytest.raises(lf.ConfigError, match="products: 'all'; allowed: total, slices, none"):
        LoopFields(action.space, products="all")
    scalar = lf.PhiFour(lf.Lattice((2, 2)), mass_squared=1.0, coupling=1.0)
    with pytest.raises(lf.ConfigError, match="allowed: gauge links"):
        LoopFields.create(key(1), scalar.space, {})
    with pytest.raises(lf.ConfigError, match="plaquette_correlator; allowed: with a gauge field"):
        plaquette_correlator(scalar)


@pytest.mark.parametrize(("time", "times"), [(4, [1, 2, 1]), (3, [1, 2])])
def test_products_sum_to_the_square_of_the_mean(time: int, times: list[int]) -> None:
    action = lf.WilsonAction(lf.Lattice((2, 3, time)), lf.SU(2), beta=2.0)
    x = action.space.random(key(82))
    products = PlaquetteCorrelator(action.space, centre=0.3)(x)
    square = (1 - action(x) / 2.0 / action.n_plaquettes - 0.3) ** 2
    assert np.isclose(np.sum(np.array(times) * products) / time, square)
    assert np.isclose(PlaquetteSusceptibility(action.space, centre=0.3)(x), square)


@pytest.mark.nightly
@pytest.mark.parametrize("shape", [(3, 3, 3), (2, 4, 3)])
@pytest.mark.parametrize("group", ["U(1)", "SU(2)", "SU(3)"])
def test_divergences_are_traces_in_three_dimensions(group: str, shape: tuple[int, ...]) -> None:
    links = {"U(1)": lf.U1(), "SU(2)": lf.SU(2), "SU(3)": lf.SU(3)}[group]
    action = lf.WilsonAction(lf.Lattice(shape), links, beta=2.0)
    result = divergence_is_trace(key(83), LoopFields(action.space, products="slices"), action)
    assert result.passed, result.line()
