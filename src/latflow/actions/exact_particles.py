r"""Integrals of energies of points and particles, by quadrature and convolution; all energies are over $k_BT$.

Integrands are smooth. Where they vanish at both ends equidistant points give all digits, elsewhere those of Simpson or
of Gauss and Legendre.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Curve = Callable[[Float[np.ndarray, "*n"]], Float[np.ndarray, "*n"]]


@dataclasses.dataclass(frozen=True)
class PointMoments:
    """Of the density of a point (x, y).

    Attributes:
        log_z: Log of the integral over the plane.
        energy: ⟨U⟩ over the temperature.
        share: Of the density on the side that was asked for.
    """

    log_z: float
    energy: float
    share: float

    @property
    def free_energy_difference(self) -> float:
        """−ln of the share of that side over that of the other."""
        return float(-np.log(self.share / (1 - self.share)))


def double_well_moments(*, tilt: float, temperature: float = 1.0, n: int = 4001) -> PointMoments:
    """Of U = x⁴ − 6x² + t x + y²/2; the side is x > 0.

    Args:
        tilt: t.
        temperature: In units of U.
        n: Points of the quadrature.
    """
    deepest = 3 + abs(tilt)
    # where U exceeds its minimum by 800 temperatures
    far = (800 * temperature + 9 + 4 * deepest) ** 0.25 + 2
    x, step = np.linspace(-far, far, n, retstep=True)
    u = (x**4 - 6 * x**2 + tilt * x) / temperature
    lowest = u.min()
    w = np.exp(-(u - lowest))
    total = w.sum() * step
    log_z = np.log(total) - lowest + 0.5 * np.log(2 * np.pi * temperature)
    # the integral from zero on has an end at which the integrand is not flat
    positive = _simpson(w[n // 2 :], step) / total
    return PointMoments(float(log_z), float(w @ u / w.sum() + 0.5), float(positive))


def plane_moments(
    energy: Callable[[Float[np.ndarray, "m n"], Float[np.ndarray, "m n"]], Float[np.ndarray, "m n"]],
    *,
    divide: float,
    x_limits: tuple[float, float] = (-2.6, 2.0),
    reach: tuple[float, float] = (-4.0, 4.0),
    n: int = 600,
) -> PointMoments:
    """Of any energy of a point, by quadrature in x and u = y − x; the side is that of u below a number.

    Args:
        energy: U over the temperature at (x, y). Outside of the limits its weight must vanish; the default ones are for
            the potential of Müller and Brown.
        divide: The number; a point of the grid.
        x_limits: Of x.
        reach: Of u less the number.
        n: Points along each direction and side.
    """
    x, step = np.linspace(*x_limits, 2 * n + 1, retstep=True)
    below, h_below = np.linspace(divide + reach[0], divide, n + 1, retstep=True)
    above, h_above = np.linspace(divide, divide + reach[1], n + 1, retstep=True)
    lowest, sides = math.inf, []
    for u in (below, above):
        value = energy(*np.broadcast_arrays(x[:, None], x[:, None] + u[None]))
        lowest = min(lowest, float(value.min()))
        sides.append(value)
    weights = [np.exp(-(value - lowest)) for value in sides]
    steps = (float(h_below), float(h_above))
    totals = [_simpson(w.sum(axis=0), h) * step for w, h in zip(weights, steps, strict=True)]
    energies = [_simpson((w * value).sum(axis=0), h) * step for w, value, h in zip(weights, sides, steps, strict=True)]
    total = sum(totals)
    return PointMoments(float(np.log(total) - lowest), float(sum(energies) / total), float(totals[0] / total))


@dataclasses.dataclass(frozen=True)
class PairMoments:
    """Of four particles in a plane, on their mean-free subspace.

    Attributes:
        log_z: Log of the integral over the mean-free subspace.
        distances: Where the density of the distance of a pair is known, points of Gauss and Legendre.
        weights: Of these points.
        density: That density, its integral is one.
        pair: The energy of a pair there.
    """

    log_z: float
    distances: Float[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"]
    density: Float[np.ndarray, " n"]
    pair: Float[np.ndarray, " n"]

    def mean(self, values: Float[np.ndarray, " n"]) -> float:
        """The average of a function of the distance of a pair."""
        return float((self.weights * self.density) @ values)

    @property
    def energy(self) -> float:
        """⟨U⟩ of all six pairs."""
        return 6 * self.mean(self.pair)

    def share_below(self, distance: float) -> float:
        """P(d < distance), by a spline through the density."""
        from scipy.interpolate import CubicSpline

        whole = CubicSpline(self.distances, self.density).antiderivative()
        first, last = self.distances[0], self.distances[-1]
        return float((whole(distance) - whole(first)) / (whole(last) - whole(first)))


def four_particles(pair: Curve, *, largest: float, n_distances: int = 150, n_grid: int = 192) -> PairMoments:
    r"""With every pair interacting by one potential: two of them fixed, the others by one convolution.

    $\int e^{-u(r)}\,2\pi r\,dr\int dx\,dy\,g_r(x)\,e^{-u(|x-y|)}g_r(y)$, where $g_r$ are the factors of one particle
    with the two fixed ones. It holds one particle at the origin; the integral over the mean-free subspace is
    $n^{-d/2}=\tfrac14$ of it.

    Args:
        pair: u, the energy of a pair over the temperature.
        largest: Distance beyond which no pair is found.
        n_distances: Points in r.
        n_grid: Points of the convolution along each direction.
    """
    points, weights = np.polynomial.legendre.leggauss(n_distances)
    r, weights = largest * (points + 1) / 2, largest * weights / 2
    lowest = float(np.min(pair(np.linspace(0.0, largest, 4001))))
    # a period that holds both g and the reach of the interaction: no image contributes
    length = 3 * largest
    axis = (np.arange(n_grid) - n_grid // 2) * (length / n_grid)
    x, y = np.meshgrid(axis, axis, indexing="ij")

    def factor(distance: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        near = np.minimum(distance, largest)
        return np.where(distance < largest, np.exp(-(pair(near) - lowest)), 0.0)

    between = np.fft.rfft2(np.fft.ifftshift(factor(np.hypot(x, y))))
    cell = (length / n_grid) ** 2
    density, between_fixed = np.empty(n_distances), factor(r)
    for i, distance in enumerate(r):
        g = factor(np.hypot(x - distance / 2, y)) * factor(np.hypot(x + distance / 2, y))
        felt = np.fft.irfft2(np.fft.rfft2(g) * between, s=g.shape)
        density[i] = 2 * np.pi * distance * between_fixed[i] * np.sum(g * felt) * cell**2
    total = weights @ density
    log_z = np.log(total) - 6 * lowest - np.log(4.0)
    return PairMoments(float(log_z), r, weights, density / total, pair(r))


def double_well_reach(pair: Curve, offset: float) -> float:
    """The distance at which a double well of a pair about an offset is 60 temperatures above its deepest point."""
    distance = np.linspace(0.0, 40.0 + offset, 8001)
    energy = pair(distance)
    return float(distance[np.nonzero(energy < energy.min() + 60)[0][-1]])


def _simpson(values: Float[np.ndarray, " n"], step: float) -> float:
    weights = np.full(len(values), 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return float(weights @ values) * step / 3
