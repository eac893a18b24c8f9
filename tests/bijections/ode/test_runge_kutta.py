"""Every scheme converges with the order it claims, on an equation that depends on time and on the field."""

import math

import numpy as np
import pytest

from latflow.bijections.ode.runge_kutta import SCHEMES


def solve(scheme, n_steps):
    """x' = x cos(3t) − x³ sin(t), which no scheme solves exactly."""
    x, step = 0.8, 2.0 / n_steps
    for i in range(n_steps):
        slopes = []
        for node, row in zip(scheme.nodes, scheme.matrix, strict=True):
            y = x + step * sum(a * k for a, k in zip(row, slopes, strict=True))
            t = (i + node) * step
            slopes.append(y * math.cos(3 * t) - y**3 * math.sin(t))
        x += step * sum(b * k for b, k in zip(scheme.weights, slopes, strict=True))
    return x


@pytest.mark.parametrize("name", SCHEMES)
def test_order(name):
    scheme = SCHEMES[name]
    steps = {4: (16, 24, 32, 48, 64), 8: (24, 28, 32, 36, 40)}[scheme.order]
    exact = solve(SCHEMES["rk8"], 400)
    errors = [abs(solve(scheme, n) - exact) for n in steps]
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - scheme.order) < 0.05 * scheme.order + 0.1


@pytest.mark.parametrize("name", SCHEMES)
def test_table_is_consistent(name):
    scheme = SCHEMES[name]
    assert [len(row) for row in scheme.matrix] == list(range(len(scheme.weights)))
    assert math.isclose(sum(scheme.weights), 1, abs_tol=1e-14)
