"""t₀ and w₀: of a curve whose crossings are known, with the errors of the energies, and where there are none."""

import numpy as np
import pytest

from latflow.stats.estimates import SeriesShapeError
from latflow.stats.flow_scale import flow_scale_estimates

TIMES = np.linspace(0, 4, 41)


def energies(rng, n, scatter=0.01):
    """t²E = 0.1 t exactly in the mean: t₀ = 3, and t d/dt(t²E) = 0.1 t as well, so w₀ = √3."""
    curve = np.divide(0.1, TIMES, out=np.full(41, 9.0), where=TIMES > 0)
    return curve * (1 + scatter * rng.standard_normal((4, n, 1)))


def test_crossings_of_a_straight_line():
    found = flow_scale_estimates(TIMES, energies(np.random.default_rng(1), 20, scatter=1e-9))
    assert found["t0"][0].value == pytest.approx(3, abs=1e-8)
    assert found["w0"][0].value == pytest.approx(np.sqrt(3), abs=1e-8)
    assert len(found["flow_energy"]) == 40
    assert found["flow_energy"][9].value == pytest.approx(0.1, abs=1e-8)


def test_errors_are_those_of_the_mean_energy():
    """Energies scatter together by 1 %, and t₀ is inversely proportional to them."""
    n = 400
    found = flow_scale_estimates(TIMES, energies(np.random.default_rng(2), n))
    t0, w0 = found["t0"][0], found["w0"][0]
    expected = 3 * 0.01 / np.sqrt(4 * n)
    assert t0.error == pytest.approx(expected, rel=0.15)
    assert w0.error == pytest.approx(expected / (2 * np.sqrt(3)), rel=0.15)
    assert abs(t0.value - 3) < 5 * t0.error


def test_a_scale_that_is_not_reached_does_not_exist():
    found = flow_scale_estimates(TIMES[:21], energies(np.random.default_rng(3), 20)[..., :21])
    assert not found["t0"][0].exists
    assert not found["w0"][0].exists
    assert found["flow_energy"][-1].exists


def test_times_that_make_no_sense_are_refused():
    energy = energies(np.random.default_rng(4), 20)
    for times in (TIMES[:3], TIMES + 1, TIMES[::-1]):
        with pytest.raises(SeriesShapeError, match="flow times"):
            flow_scale_estimates(times, energy[..., : len(times)])
