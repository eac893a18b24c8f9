r"""Scales of the gradient flow, t₀ and w₀, from energies along the flow.

$t^2\langle E(t)\rangle=0.3$ at $t_0$, and $t\frac d{dt}t^2\langle E(t)\rangle=0.3$ at $t=w_0^2$, in lattice units. Both
are functions of mean energies, so that their errors follow from the Γ method. Between records a cubic spline of ln⟨E⟩
interpolates: E falls by orders of magnitude along the flow, its logarithm is a smooth curve from time zero on, and
$t\frac d{dt}t^2E=t^2E\,(2+t\frac d{dt}\ln E)$ needs the slope of that curve alone.

References:
    M. Lüscher, JHEP 08 (2010) 071, arXiv:1006.4518; BMW, JHEP 09 (2012) 010, arXiv:1203.4469.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.optimize import root_scalar

from latflow.given import require_type
from latflow.stats.estimates import Estimate, SeriesShapeError
from latflow.stats.gamma import chain_estimates
from latflow.stats.replicas import Along

LEVEL = 0.3
"""Value of both combinations of E that defines the scales."""

_LEAST_TIMES = 4
_FINER = 16


def flow_scale_estimates(
    time: Float[np.ndarray, " times"],
    energy: Float[np.ndarray, "chains n times"],
    *,
    level: float = LEVEL,
    replicas: Along = None,
) -> dict[str, list[Estimate]]:
    """t₀ and w₀ with errors, and t²⟨E⟩ along the flow.

    Args:
        time: Flow times, growing from 0.
        energy: E per site of every record at these times.
        level: Value of both combinations that defines the scales.
        replicas: As for `latflow.stats.gamma.chain_estimates`.

    Returns:
        `t0`, `w0`, and `flow_energy`, which is t²⟨E(t)⟩ for all times but 0; NaN for a scale that the flow did not
        reach, and for both where a mean energy is not positive.

    Raises:
        SeriesShapeError: If the times do not grow from 0, or are fewer than four.
    """
    require_type("time", time, (np.ndarray, list, tuple), "an array of flow times")
    require_type("energy", energy, np.ndarray, "an array (chain, record, time)")
    times = np.asarray(time, dtype=float)
    if len(times) < _LEAST_TIMES or times[0] != 0 or np.any(np.diff(times) <= 0):
        raise SeriesShapeError("flow times", value=str(times.tolist()[:4]), allowed="0 and three or more that grow")

    def derive(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        energy = means["energy"]
        t0, w0_squared = _scales(times, energy, level) if np.all(energy > 0) else (math.nan, math.nan)
        found = {"t0": t0, "w0": math.sqrt(w0_squared)}
        return {"flow_energy": (times**2 * energy)[1:]} | {name: np.asarray(value) for name, value in found.items()}

    return chain_estimates({"energy": energy}, derive, replicas=replicas)


def _scales(
    times: Float[np.ndarray, " times"], energy: Float[np.ndarray, " times"], level: float
) -> tuple[float, float]:
    """t₀ and w₀²."""
    logarithm = CubicSpline(times, np.log(energy))

    def curve(t: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return t**2 * np.exp(logarithm(t))

    def slope(t: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return curve(t) * (2 + t * logarithm(t, 1))

    return _first(curve, times, level), _first(slope, times, level)


def _first(
    curve: Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]],
    times: Float[np.ndarray, " times"],
    level: float,
) -> float:
    """The first time at which a curve that begins below the level reaches it."""
    fine = np.interp(np.arange(_FINER * (len(times) - 1) + 1) / _FINER, np.arange(len(times)), times)
    above = np.flatnonzero(curve(fine) >= level)
    if not len(above):
        return math.nan
    before, after = fine[above[0] - 1], fine[above[0]]
    return float(root_scalar(lambda t: curve(np.asarray([t]))[0] - level, bracket=(before, after), xtol=1e-14).root)
