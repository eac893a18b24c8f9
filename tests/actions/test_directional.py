"""Targets on tori and spheres: exact log Z against quadrature and against known numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from latflow.actions.directional import (
    FOUR_ON_S2,
    FOUR_ON_S3,
    ONE_ON_T2,
    THREE_ON_T2,
    CorrelatedAngles,
    SphereModes,
    TorusModes,
    TurnedSphere,
)
from latflow.errors import ConfigError


@pytest.mark.parametrize(
    ("action", "known"),
    [
        (SphereModes(FOUR_ON_S2, concentration=10.0), 8.390562086),
        (SphereModes(FOUR_ON_S3, concentration=10.0), 7.667060283),
        (SphereModes([(1, 0, 0, 0)], concentration=2.2), 0.553934564),
        (TorusModes(ONE_ON_T2, concentration=4.0), 4.849945591),
        (TorusModes(THREE_ON_T2, concentration=4.0), 4.849945591),
        (CorrelatedAngles(concentration=4.0), 2.424972796),
        (TurnedSphere(concentration=10.0), 2.424972796 + 0.823993541 + 8.390562086),
    ],
)
def test_known_integrals(action, known):
    assert abs(action.log_z - known) < 2e-9


@pytest.mark.parametrize(
    "action",
    [
        TorusModes(THREE_ON_T2, concentration=4.0),
        CorrelatedAngles(concentration=4.0),
        SphereModes(FOUR_ON_S2, concentration=10.0),
        SphereModes(FOUR_ON_S3, concentration=3.0),
    ],
)
def test_the_integral_by_quadrature(action):
    """Over the uniform coordinates: equidistant points on circles, Gauss points on intervals."""
    n = 32
    nodes, weights = np.polynomial.legendre.leggauss(n)
    rules = [
        (np.arange(n) / n, np.full(n, 1 / n)) if circle else ((nodes + 1) / 2, weights / 2)
        for circle in action.space.periodic
    ]
    u = np.stack([g.ravel() for g in np.meshgrid(*(rule[0] for rule in rules), indexing="ij")], axis=-1)
    w = np.prod(np.stack([g.ravel() for g in np.meshgrid(*(rule[1] for rule in rules), indexing="ij")]), axis=0)
    values = np.asarray(jax.vmap(lambda v: -action(action.space.of_uniforms(v)))(jnp.asarray(u)))
    assert abs(logsumexp(values, b=w) - action.log_z) < 1e-6


def test_bad_input():
    with pytest.raises(ConfigError, match="centres: rows of"):
        TorusModes([(1.0, 2.0), (1.0,)], concentration=1.0)
    with pytest.raises(ConfigError, match="directions: a zero vector"):
        SphereModes([(0.0, 0.0)], concentration=1.0)
    with pytest.raises(ConfigError, match=r"action.concentration: -1.0; allowed: a positive number"):
        CorrelatedAngles(concentration=-1.0)
