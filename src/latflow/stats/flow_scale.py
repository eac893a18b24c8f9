r"""Scales of the gradient flow, t₀ and w₀, from energies along the flow.

$t^2\langle E(t)\rangle=0.3$ at $t_0$, and $t\frac d{dt}t^2\langle E(t)\rangle=0.3$ at $t=w_0^2$, in lattice units. Both
are functions of mean energies, interpolated by cubic splines, so that their errors follow from the Γ method.

References:
    M. Lüscher, JHEP 08 (2010) 071, arXiv:1006.4518; BMW, JHEP 09 (2012) 010, arXiv:1203.4469.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

from latflow.stats.estimates import Estimate, SeriesShapeError
from latflow.stats.gamma import chain_estimates

LEVEL = 0.3
"""What both combinations of E are at their scales."""

_LEAST_TIMES = 4


def flow_scale_estimates(
    time: Float[np.ndarray, " times"], energy: Float[np.ndarray, "chains n times"], *, level: float = LEVEL
) -> dict[str, list[Estimate]]:
    """t₀ and w₀ with errors, and t²⟨E⟩ along the flow.

    Args:
        time: Flow times, growing from 0.
        energy: E per site of every record at these times.
        level: What both combinations are at their scales.

    Returns:
        `t0`, `w0`, and `flow_energy`, which is t²⟨E(t)⟩ for all times but 0; NaN for a scale that the flow did not
        reach.

    Raises:
        SeriesShapeError: If the times do not grow from 0, or are fewer than four.
    """
    times = np.asarray(time, dtype=float)
    if len(times) < _LEAST_TIMES or times[0] != 0 or np.any(np.diff(times) <= 0):
        raise SeriesShapeError("flow times", value=str(times.tolist()[:4]), allowed="0 and three or more that grow")

    def derive(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        t2e = times**2 * np.concatenate([[0.0], means["energy"]])
        curve = CubicSpline(times, t2e)
        slope = CubicSpline(times, times * curve(times, 1))
        found = {"t0": _first(curve, level), "w0": math.sqrt(_first(slope, level))}
        return {"flow_energy": t2e[1:]} | {name: np.asarray(value) for name, value in found.items()}

    return chain_estimates({"energy": energy[..., 1:]}, derive)


def _first(curve: CubicSpline, level: float) -> float:
    """The first positive time at which the curve is at the level."""
    crossings = [float(t) for t in np.ravel(curve.solve(level, extrapolate=False)) if t > 0]
    return min(crossings, default=math.nan)
