"""Observables against loops over sites."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from latflow import execution
from latflow.actions.scalar import PhiFour
from latflow.lattice import Lattice
from latflow.observables.base import measure
from latflow.observables.scalar import scalar_observables

SHAPES = [(4, 4), (3, 4), (5,), (2, 2), (3, 2, 3)]


def loop(x):
    """Every column by its definition, site by site."""
    shape, volume, d = x.shape, x.size, x.ndim
    sites = list(itertools.product(*map(range, shape)))
    extent = shape[-1]
    directions = [mu for mu in range(d) if shape[mu] == extent]

    def neighbour(site, mu, r):
        return x[tuple((s + r * (nu == mu)) % n for nu, (s, n) in enumerate(zip(site, shape, strict=True)))]

    m = sum(x[s] for s in sites) / volume
    half = range(extent // 2 + 1)
    return {
        "magnetization": m,
        "abs_magnetization": abs(m),
        "magnetization_squared": m**2,
        "magnetization_fourth": m**4,
        "phi_squared": sum(x[s] ** 2 for s in sites) / volume,
        "neighbour_product": sum(x[s] * neighbour(s, mu, 1) for s in sites for mu in range(d)) / (d * volume),
        "two_point": [
            np.mean([sum(x[s] * neighbour(s, mu, r) for s in sites) / volume for mu in directions]) for r in half
        ],
        "correlator": [
            np.mean(
                [
                    sum(x[s] * x[t] for s in sites for t in sites if (t[mu] - s[mu]) % extent == r) / volume
                    for mu in directions
                ]
            )
            for r in half
        ],
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_columns_are_their_definitions(shape):
    x = np.random.default_rng(0).normal(size=(2, *shape))
    action = PhiFour(Lattice(shape), mass_squared=-0.5, coupling=1.5)
    columns = measure(scalar_observables(action), x)
    for i in range(2):
        expected = loop(x[i]) | {"action_density": float(action(jnp.asarray(x[i]))) / x[i].size}
        assert columns.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(columns[name][i], value, rtol=1e-12, atol=1e-13, err_msg=name)


def test_correlator_sums_to_the_susceptibility():
    x = np.random.default_rng(1).normal(size=(3, 6, 6))
    columns = measure(scalar_observables(PhiFour(Lattice((6, 6)), mass_squared=1.0, coupling=0.0)), x)
    both_sides = columns["correlator"] @ np.array([1, 2, 2, 1])
    np.testing.assert_allclose(both_sides, 36 * columns["magnetization_squared"], rtol=1e-12)


@pytest.mark.parametrize("n", [1, 7, 8, 9])
def test_pieces_do_not_show(monkeypatch, n):
    """Fields larger than a piece, with and without a remainder."""
    monkeypatch.setattr(execution, "_PIECE_BYTES", 4 * 16 * 8)
    x = np.random.default_rng(2).normal(size=(n, 4, 4))
    columns = measure(scalar_observables(PhiFour(Lattice((4, 4)), mass_squared=1.0, coupling=0.0)), x)
    np.testing.assert_allclose(columns["phi_squared"], np.mean(x**2, axis=(1, 2)), rtol=1e-14)
    assert columns["two_point"].shape == (n, 3)
    assert all(column.dtype == np.float64 and len(column) == n for column in columns.values())
