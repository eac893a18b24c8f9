r"""Observables of gauge theories derived from the means of measured columns: loops, Creutz ratios, potential, charge.

The columns are those of `latflow.observables.gauge`, traces normalised to 1 for the unit field. Where directions are
equivalent, R×T and T×R loops are averaged. A column that no chain ever changes, a frozen topological charge, has a
value but no error: its estimates say so with NaN instead of stopping the analysis of everything else.
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from latflow.stats.estimates import ConstantSeriesError, Estimate
from latflow.stats.flowed import FLOW, flowed_estimates
from latflow.stats.gamma import chain_estimates
from latflow.stats.propagation import Derive

LARGEST_CHARGE = 10
"""Largest charge whose share is estimated."""

_CHARGE = "topological_charge"


def gauge_chain_estimates(
    series: Mapping[str, np.ndarray],
    shape: tuple[int, ...],
    group: str,
    flow_times: Float[np.ndarray, " times"] | None = None,
) -> dict[str, list[Estimate]]:
    """All gauge observables of Markov chains with errors and autocorrelation times.

    Args:
        series: Columns (chains, n, …) by name.
        shape: Sites along each direction.
        group: "U(1)" or "SU(N)".
        flow_times: Where a gradient flow was measured, its times.
    """
    columns = {name: np.asarray(values) for name, values in series.items() if name not in (_CHARGE, FLOW)}
    if len(shape) == 2:
        del columns["plaquette_planes"]  # there is only one
    if group == "SU(2)":
        columns["polyakov"] = columns["polyakov"][..., :1]  # its traces are real
    found = chain_estimates(columns, derive_gauge(shape))
    volume = math.prod(shape)
    if _CHARGE in series:
        found |= _charge(np.asarray(series[_CHARGE]), volume)
    if flow_times is not None:
        found |= flowed_estimates(np.asarray(series[FLOW]), flow_times, volume=volume)
    return found


def derive_gauge(shape: tuple[int, ...]) -> Derive:
    r"""Function from the means of the columns to physics.

    `plaquette` and `plaquette_planes`; `rectangle`; `wilson_loop_RxT` for R ≤ T; `creutz_ratio_RxR`
    $-\ln\frac{W(R,R)W(R-1,R-1)}{W(R,R-1)W(R-1,R)}$; `static_potential` $V(R)=\ln\frac{W(R,T)}{W(R,T+1)}$ at the largest
    T that was measured, `smeared_static_potential` the same of smeared loops; `polyakov_loop` ⟨Re L⟩,
    `polyakov_loop_squared` ⟨|L|²⟩ and `polyakov_susceptibility` $V_s(\langle|L|^2\rangle-|\langle L\rangle|^2)$ with
    the spatial volume $V_s$; `action_density`.

    Args:
        shape: Sites along each direction, time last.
    """
    spatial_volume = math.prod(shape[:-1])

    def derive(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        loops = symmetrised(means["wilson_loops"], shape)
        mean, square = means["polyakov"], means["polyakov_squared"]
        derived = {
            "plaquette": means["plaquette"],
            **({"plaquette_planes": means["plaquette_planes"]} if "plaquette_planes" in means else {}),
            "rectangle": means["rectangle"],
            **_named_loops(loops),
            **_creutz_ratios(loops),
            **_potential(loops, "static_potential"),
            **_potential(means.get("smeared_wilson_loops", loops[:, :1]), "smeared_static_potential"),
            "polyakov_loop": mean[0],
            "polyakov_loop_squared": square,
            "polyakov_susceptibility": spatial_volume * (square - np.sum(mean**2)),
            "action_density": means["action_density"],
        }
        return {name: np.asarray(value) for name, value in derived.items()}

    return derive


def symmetrised(loops: Float[np.ndarray, "space time"], shape: tuple[int, ...]) -> Float[np.ndarray, "space time"]:
    """W(R, T) averaged with W(T, R) where all directions of the lattice are alike."""
    alike = len(set(shape)) == 1 and loops.shape[0] == loops.shape[1]
    return (loops + loops.T) / 2 if alike else loops


def _named_loops(loops: Float[np.ndarray, "space time"]) -> dict[str, np.ndarray | np.floating]:
    """Loops of R ≤ T by name; 1×1 is the plaquette."""
    return {
        f"wilson_loop_{r + 1}x{t + 1}": loops[r, t]
        for r in range(loops.shape[0])
        for t in range(r, loops.shape[1])
        if t > 0
    }


def _creutz_ratios(loops: Float[np.ndarray, "space time"]) -> dict[str, np.ndarray | np.floating]:
    return {
        f"creutz_ratio_{r + 1}x{r + 1}": -np.log(
            loops[r, r] * loops[r - 1, r - 1] / (loops[r, r - 1] * loops[r - 1, r])
        )
        for r in range(1, min(loops.shape))
    }


def _potential(loops: Float[np.ndarray, "space time"], name: str) -> dict[str, np.ndarray | np.floating]:
    if loops.shape[1] < 2:
        return {}
    return {name: np.log(loops[:, -2] / loops[:, -1])}


def _charge(charge: Float[np.ndarray, "chains n"], volume: int) -> dict[str, list[Estimate]]:
    """Q, Q² and the susceptibility ⟨Q²⟩/V of an integer charge; its rounding would hide that a chain is frozen."""
    charge = np.rint(charge)

    def derive(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        square = means["square"]
        return {"topological_charge_squared": square, "topological_susceptibility": square / volume}

    try:
        first = chain_estimates({_CHARGE: charge}, lambda means: means)
    except ConstantSeriesError:
        first = {_CHARGE: [_frozen(charge)]}
    try:
        second = chain_estimates({"square": charge**2}, derive)
    except ConstantSeriesError:
        frozen = {"topological_charge_squared": charge**2, "topological_susceptibility": charge**2 / volume}
        second = {name: [_frozen(values)] for name, values in frozen.items()}
    return first | second | {f"{_CHARGE}_distribution": _distribution(charge)}


def _distribution(charge: Float[np.ndarray, "chains n"]) -> list[Estimate]:
    """Share of every charge from −`LARGEST_CHARGE` on; one that was never or always seen has no error."""
    shares = []
    for q in range(-LARGEST_CHARGE, LARGEST_CHARGE + 1):
        seen = (charge == q).astype(float)
        constant = seen.min() == seen.max()
        shares.append(_frozen(seen) if constant else chain_estimates({"share": seen}, lambda means: means)["share"][0])
    return shares


def _frozen(values: Float[np.ndarray, "chains n"]) -> Estimate:
    return Estimate(float(values.mean()), math.nan, n=values.size)
