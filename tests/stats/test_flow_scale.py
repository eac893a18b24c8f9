"""t₀ and w₀: of a curve whose crossings are known, with the errors of the energies, and where there are none."""

import numpy as np
import pytest
from scipy.optimize import brentq

from latflow.stats.estimates import SeriesShapeError
from latflow.stats.flow_scale import flow_scale_estimates

TIMES = np.linspace(0, 4, 41)
SHIFT = 0.5
T0 = (3 + np.sqrt(9 + 12 * SHIFT)) / 2
W0 = np.sqrt(brentq(lambda t: t**2 * (t + 2 * SHIFT) - 3 * (t + SHIFT) ** 2, 3, 5))


def energies(rng, n, scatter=0.01):
    """E = 0.1/(t + ½) in the mean; t²E = 0.3 at T0, and its logarithmic slope is 0.3 at W0²."""
    return 0.1 / (TIMES + SHIFT) * (1 + scatter * rng.standard_normal((4, n, 1)))


def test_crossings_of_a_known_curve():
    found = flow_scale_estimates(TIMES, energies(np.random.default_rng(1), 20, scatter=1e-9))
    assert found["t0"][0].value == pytest.approx(T0, abs=1e-6)
    assert found["w0"][0].value == pytest.approx(W0, abs=1e-6)
    assert len(found["flow_energy"]) == 40
    assert found["flow_energy"][9].value == pytest.approx(0.1 / 1.5, abs=1e-8)


@pytest.mark.parametrize("spacing", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("factor", [225.0, 600.0, 1350.0])
def test_scales_shorter_than_a_record(spacing, factor):
    """Free fields on 8⁴, whose energy is a sum of exponentials: within 0.4 % where t₀ is a tenth of the spacing."""
    components = 4 * np.sin(np.pi * np.arange(8) / 8) ** 2
    squares = sum(np.meshgrid(*[components] * 4, indexing="ij")).ravel()[1:]

    def energy(t):
        return factor * np.mean(np.exp(-2 * t * squares))

    def slope(t):
        return t**2 * factor * np.mean((2 - 2 * t * squares) * np.exp(-2 * t * squares))

    t0, w0 = brentq(lambda t: t**2 * energy(t) - 0.3, 0, 0.08), np.sqrt(brentq(lambda t: slope(t) - 0.3, 0, 0.06))
    times = spacing * np.arange(8)
    series = np.array([energy(t) for t in times]) * (1 + 1e-9 * np.random.default_rng(5).standard_normal((4, 20, 1)))
    found = flow_scale_estimates(times, series)
    assert found["t0"][0].value == pytest.approx(t0, rel=4e-3)
    assert found["w0"][0].value == pytest.approx(w0, rel=4e-3)


def test_errors_are_those_of_the_mean_energy():
    """Energies scatter together by 1 %; both crossings move as the curves' logarithmic slopes there say."""
    n = 400
    found = flow_scale_estimates(TIMES, energies(np.random.default_rng(2), n))
    t0, w0 = found["t0"][0], found["w0"][0]
    relative, time = 0.01 / np.sqrt(4 * n), W0**2
    steepness = 2 + time / (time + 2 * SHIFT) - 2 * time / (time + SHIFT)
    assert t0.error == pytest.approx(T0 * (T0 + SHIFT) / (T0 + 2 * SHIFT) * relative, rel=0.15)
    assert w0.error == pytest.approx(W0 / 2 * relative / steepness, rel=0.15)
    assert abs(t0.value - T0) < 5 * t0.error


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
