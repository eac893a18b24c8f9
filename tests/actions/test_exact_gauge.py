"""Closed forms of gauge theories against tabulated digits, quadrature and each other."""

import math

import numpy as np
import pytest
from scipy.special import iv

from latflow.actions import exact_gauge as exact
from latflow.errors import ConfigError

U1_TABLE = [
    # β, L, plaquette, ⟨Q²⟩, log Z without the constant
    (1.0, 8, 0.44638997, 2.600719, 15.098519),
    (2.0, 8, 0.69777466, 1.239299, 52.735587),
    (4.0, 8, 0.86353004, 0.482016, 155.198426),
    (7.0, 8, 0.92570036, 0.217111, 328.173576),
    (1.0, 16, 0.44638997, 10.402876, 60.394076),
    (2.0, 16, 0.69777466, 4.957196, 210.942347),
    (4.0, 16, 0.86352261, 1.933879, 620.793036),
    (7.0, 16, 0.92553221, 1.006414, 1312.638186),
]

SUN_TABLE = [
    # N, β, plaquette, log Z without the constant at L = 8, 16
    (2, 1.8, 0.39937238, 24.374010, 97.496041),
    (2, 2.2, 0.46447903, 35.451812, 141.807248),
    (2, 2.7, 0.53297073, 51.447204, 205.788816),
    (3, 4.0, 0.27961915, 33.914778, 135.659112),
    (3, 5.0, 0.35395444, 54.211636, 216.846542),
    (3, 6.0, 0.42253174, 79.096966, 316.387863),
]


@pytest.mark.parametrize(("beta", "extent", "plaquette", "charge", "log_z"), U1_TABLE)
def test_u1_digits(beta, extent, plaquette, charge, log_z):
    volume = extent**2
    assert round(exact.u1_wilson_loop(beta, volume=volume), 8) == plaquette
    assert round(exact.u1_charge_squared(beta, volume=volume), 6) == charge
    assert round(exact.u1_log_z(beta, volume=volume) + beta * volume, 6) == log_z


@pytest.mark.parametrize(("n", "beta", "plaquette", "small", "large"), SUN_TABLE)
def test_sun_digits(n, beta, plaquette, small, large):
    assert round(exact.sun_plaquette(n, beta), 8) == plaquette
    assert round(exact.sun_log_z(n, beta, volume=64) + 64 * beta, 6) == small
    assert round(exact.sun_log_z(n, beta, volume=256) + 256 * beta, 6) == large


def test_su2_has_bessel_functions_for_characters():
    """f_j/d_j = (2/β) I_{2j+1}(β), without the constant."""
    for j2 in range(4):
        ours = exact._ratio((j2, 0), 2.2) * math.exp(2.2)
        assert abs(ours - 2 / 2.2 * iv(j2 + 1, 2.2)) < 1e-13


@pytest.mark.parametrize(("n", "beta", "volume"), [(2, 2.2, 4), (3, 5.0, 6), (4, 6.0, 9)])
def test_plaquette_is_the_slope_of_log_z(n, beta, volume):
    """d log Z/dβ = V(P − 1) with the constant in the action; loops and log Z share the characters only."""
    h = 1e-3
    slopes = [exact.sun_log_z(n, beta + i * h, volume=volume) for i in (-2, -1, 1, 2)]
    slope = (slopes[0] - 8 * slopes[1] + 8 * slopes[2] - slopes[3]) / (12 * h)
    assert abs(1 + slope / volume - exact.sun_wilson_loop(n, beta, volume=volume)) < 1e-10
    u1 = [exact.u1_log_z(beta + i * h, volume=volume) for i in (-2, -1, 1, 2)]
    slope = (u1[0] - 8 * u1[1] + 8 * u1[2] - u1[3]) / (12 * h)
    assert abs(1 + slope / volume - exact.u1_wilson_loop(beta, volume=volume)) < 1e-10


def test_loops_obey_the_area_law_in_a_large_volume():
    for area in (1, 2, 4, 9):
        assert abs(exact.sun_wilson_loop(3, 5.0, volume=256, area=area) - exact.sun_plaquette(3, 5.0) ** area) < 1e-12
        u1 = exact.u1_wilson_loop(1.0, volume=256, area=area)
        assert abs(u1 - (iv(1, 1.0) / iv(0, 1.0)) ** area) < 1e-12


def test_a_loop_around_nothing_is_one():
    """The dimensions of the representations that the loop joins must add up."""
    assert exact.sun_wilson_loop(3, 4.0, volume=4, area=0) == pytest.approx(1.0, abs=1e-13)
    assert exact.u1_wilson_loop(2.2, volume=4, area=0) == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize(("beta", "area"), [(-1.0, 1), (float("nan"), 1), (1.0, 17), (1.0, -1)])
def test_loops_that_do_not_exist(beta, area):
    with pytest.raises(ConfigError, match="allowed"):
        exact.u1_wilson_loop(beta, volume=16, area=area)
    with pytest.raises(ConfigError, match="allowed"):
        exact.sun_wilson_loop(3, beta, volume=16, area=area)


def test_a_frozen_charge_has_no_negative_variance():
    assert 0 <= exact.u1_charge_squared(500.0, volume=16) < 1e-15


@pytest.mark.parametrize(("beta", "volume"), [(1.0, 16), (4.0, 64)])
def test_charge_distribution(beta, volume):
    p = exact.u1_charge_distribution(beta, volume=volume, largest=12)
    q = np.arange(-12, 13)
    assert abs(np.sum(p) - 1) < 1e-9
    assert abs(np.sum(p * q**2) - exact.u1_charge_squared(beta, volume=volume)) < 1e-7
    assert np.all(p > -1e-12)


def test_charge_of_two_plaquettes_by_quadrature():
    """V = 2: both plaquettes share all links, θ₂ = −θ₁, so Q is zero unless the angles are ±π."""
    p = exact.u1_charge_distribution(2.0, volume=2, largest=1)
    assert np.allclose(p, [0, 1, 0], atol=1e-4)


def test_strong_coupling():
    """β = 3.36 lies at the edge: two terms give 0.2332 where simulations on 8³×4 find 0.23439(18)."""
    u = exact.sun_plaquette(3, 3.36)
    p = exact.strong_coupling_plaquette(u, dimensions=4)
    assert p == pytest.approx(u + 4 * u**5, abs=1e-15)
    assert exact.strong_coupling_plaquette(u, dimensions=2) == u
    assert 0 < 0.23439 - p < 0.0015


@pytest.mark.parametrize("beta", [0.4, 1.0, 3.0])
def test_polyakov_loops_of_two_sites(beta):
    """2×1 plaquettes, both made of the same two time links; spatial ones only turn them against each other."""
    # U(1): one angle with weight e^{2β cos}.
    assert exact.u1_polyakov_squared(beta, space=2, time=1) == pytest.approx(
        (1 + iv(1, 2 * beta) / iv(0, 2 * beta)) / 2
    )
    # SU(2): angles a, b of the classes, and the mean over the spatial link of one plaquette's weight, squared.
    x, w = np.polynomial.legendre.leggauss(80)
    angle, haar = np.pi * (x + 1) / 2, w * np.sin(np.pi * (x + 1) / 2) ** 2
    a, b = angle[:, None], angle[None, :]
    turned = np.exp(beta * (np.cos(a) * np.cos(b))[..., None] + beta * (np.sin(a) * np.sin(b))[..., None] * x) @ w / 2
    weight = haar[:, None] * haar[None, :] * turned**2
    expected = np.sum(weight * ((np.cos(a) + np.cos(b)) / 2) ** 2) / np.sum(weight)
    assert exact.sun_polyakov_squared(2, beta, space=2, time=1) == pytest.approx(expected, rel=1e-12)


def test_polyakov_loops_at_weak_and_strong_coupling():
    for n in (2, 3):
        assert exact.sun_polyakov_squared(n, 1e-6, space=4, time=2) == pytest.approx(1 / (4 * n**2), rel=1e-5)
    # Neighbouring lines are alike at weak coupling, and a phase has length 1.
    assert exact.u1_polyakov_squared(400.0, space=2, time=2) == pytest.approx(1.0, abs=0.01)
