"""Autoregressive flows of angles and unit vectors, coordinate by coordinate."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.arguments import choice, count, counts, require_type
from latflow.bijections.autoregression import CIRCLE_MAPS, AbstractFeatures, Autoregression, Harmonics
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace, refuse_uniforms
from latflow.flows.flow import Flow
from latflow.randomness import uniform

MOST_COORDINATES = 64
"""Every coordinate has a network of its own, and one is drawn after the other."""


def autoregressive_flow(
    key: PRNGKey,
    space: AbstractFieldSpace,
    *,
    bins: int = 24,
    hidden: tuple[int, ...] = (64, 64),
    order: int = 3,
    features: AbstractFeatures | None = None,
    circle_map: str = "spline",
    windings: tuple[tuple[int, ...], ...] = (),
    dtype: str | jnp.dtype = "float64",
) -> Flow:
    r"""Splines of the uniform coordinates of a torus, a sphere or a product, each conditional on those before.

    Untrained it is the uniform density.

    Where a mode of an angle goes round the circle with earlier ones, the sum of those with integer factors k, its
    windings, are taken as its zero: $\theta_i=\pi+\theta'_i+\sum_jk_{ij}(\theta_j-\pi)$ with what the map makes,
    $\theta'$. `likely_windings` looks for them.

    Args:
        key: Randomness of the hidden layers.
        space: `TorusSpace`, `SphereSpace` or a `ProductSpace` of them.
        bins: Of every spline; maps of every mixture.
        hidden: Units of the hidden layers of every network.
        order: Largest harmonic of earlier angles that networks read.
        features: What they read instead.
        circle_map: Of circles: "spline", or a mixture of projections ("ncp") or of Möbius maps ("moebius").
        windings: Rows of 0, 1, … integers, one row for every uniform coordinate; none: zeros.
        dtype: Precision of the networks.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the space has no uniform coordinates or more than 64, a number is out of range, the map is
            unknown, or windings do not fit the space.

    References:
        arXiv:2002.02428.
    """
    require_type("space", space, AbstractFieldSpace, "TorusSpace, SphereSpace or a ProductSpace of them")
    widths = counts("hidden", hidden, words="units of one or more layers")
    count("bins", bins, least=2)
    count("order", order)
    choice("circle_map", circle_map, CIRCLE_MAPS)
    rows = _integers(windings)
    if space.n_uniforms > MOST_COORDINATES:
        allowed = f"at most {MOST_COORDINATES}"
        raise ConfigError([f"space: {space.summary}, {space.n_uniforms} coordinates; allowed: {allowed}"])
    read = Harmonics(space.periodic, order) if features is None else features
    bijection = Autoregression.untrained(
        key, space, read, n_bins=bins, hidden=widths, dtype=dtype, circle_map=circle_map, windings=rows
    )
    return Flow(HaarPrior(space), bijection)


def likely_windings(key: PRNGKey, action: AbstractAction, *, n: int = 8192) -> tuple[tuple[int, ...], ...]:
    r"""Windings for `autoregressive_flow` that uniform draws with weights $e^{-tS}$ show.

    A circle follows ±1 times that earlier one about which its density is most peaked, by the root of
    $\sum_{m\le3}|\langle e^{im(\theta_i\mp\theta_j)}\rangle|^2$, if that is above the one of $\theta_i$ alone by more
    than five errors. t ≤ 1 is the temper at which half of the draws are effective.

    Args:
        key: Randomness of the draws.
        action: On a space with uniform coordinates.
        n: Draws.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the space has no uniform coordinates.
    """
    require_type("action", action, AbstractAction, "an action")
    space, size = action.space, count("n", n)
    if not space.n_uniforms:
        refuse_uniforms(space)
    u = uniform(key, (size, space.n_uniforms))
    energy = np.asarray(jax.jit(jax.vmap(lambda v: action(space.of_uniforms(v))))(u), float)
    weights = _tempered(energy - energy.min())
    phases = np.exp(2j * np.pi * np.asarray(u))
    error = math.sqrt(np.sum(weights**2))
    return tuple(_row(phases, weights, space.periodic, i, least=5 * error) for i in range(space.n_uniforms))


def _row(
    phases: Complex[np.ndarray, "n m"],
    weights: Float[np.ndarray, " n"],
    periodic: tuple[bool, ...],
    i: int,
    *,
    least: float,
) -> tuple[int, ...]:
    """Windings of the i-th coordinate."""

    def peak(relative: Complex[np.ndarray, " n"]) -> float:
        return math.sqrt(sum(abs(weights @ relative**m) ** 2 for m in range(1, 4)))

    row, best = [0] * i, peak(phases[:, i]) + least
    for j in range(i) if periodic[i] else ():
        for factor in (1, -1) if periodic[j] else ():
            found = peak(phases[:, i] * phases[:, j] ** -factor)
            if found > best:
                row, best = [0] * i, found
                row[j] = factor
    return tuple(row)


def _tempered(energy: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Weights that add up to one, of which half are effective, or more."""
    low, high = 0.0, 2.0
    for _ in range(30):
        temper = (low + high) / 2
        w = np.exp(-temper * energy)
        enough = np.sum(w) ** 2 >= energy.size / 2 * np.sum(w**2)
        low, high = (temper, high) if enough else (low, temper)
        if low == 1.0:
            break
    w = np.exp(-low * energy)
    return w / np.sum(w)


def _integers(windings: object) -> tuple[tuple[int, ...], ...]:
    words = "rows of integers"
    require_type("windings", windings, (tuple, list), words)
    rows = []
    for row in windings:  # pyright: ignore[reportGeneralTypeIssues]
        require_type("windings", row, (tuple, list), words)
        for factor in row:
            require_type("windings", factor, int, words)
        rows.append(tuple(row))
    return tuple(rows)
