r"""Estimates of gauge theories: loops, Creutz ratios, potential, Polyakov loop, charge, scales of the gradient flow.

The columns are those of `latflow.observables.gauge`, traces normalised to 1 for the unit field. Where directions are
equivalent, R×T and T×R loops are averaged. A column that no chain ever changes, a frozen topological charge, has a
value but no error: its estimates say so with NaN instead of stopping the analysis of everything else.
"""

import math
from collections.abc import Collection, Mapping

import numpy as np
from jaxtyping import Float
from typing_extensions import override

from latflow.stats.estimates import ConstantSeriesError, Estimate
from latflow.stats.flowed import FLOW, flowed_estimates
from latflow.stats.propagation import Derive
from latflow.stats.quantities import AbstractEstimator, Estimates, LogWeights, Series, propagated
from latflow.stats.replicas import Chains, Replicas
from latflow.theories.gauge.words import OBSERVABLES
from latflow.words import ObservableWords

LARGEST_CHARGE = 10
"""Largest charge whose share is estimated."""

_CHARGE = "topological_charge"
_CHARGES = (_CHARGE, f"{_CHARGE}_squared", "topological_susceptibility", f"{_CHARGE}_distribution")
_POLYAKOV = ("polyakov", "polyakov_squared")

_COLUMNS = {
    "static_potential": ("wilson_loops",),
    "smeared_static_potential": ("smeared_wilson_loops",),
    "polyakov_loop": _POLYAKOV[:1],
    "polyakov_loop_squared": _POLYAKOV[1:],
    "polyakov_susceptibility": _POLYAKOV,
    **dict.fromkeys(_CHARGES, (_CHARGE,)),
    **dict.fromkeys(("clover_charge", "clover_charge_squared", "flow_charge_squared"), (FLOW,)),
    **{f"{name}{end}": (FLOW,) for name in ("t0", "w0", "flow_energy") for end in ("", "_plaquette")},
}
"""The column of each estimate whose name is not that of its column."""


class LoopEstimator(AbstractEstimator):
    """Everything that is made of traces of loops.

    Args:
        shape: Sites along each direction, time last.
        group: "U(1)" or "SU(N)".
    """

    def __init__(self, shape: tuple[int, ...], group: str) -> None:
        self._shape = shape
        self._group = group

    @override
    def words(self) -> Mapping[str, ObservableWords]:
        own = {name: words for name, words in OBSERVABLES.items() if not set(_columns_of(name)) & {FLOW, _CHARGE}}
        return {name: words for name, words in own.items() if name not in ("log_z", "free_energy_density")}

    @override
    def revisions(self) -> Mapping[str, int]:
        return dict.fromkeys(self.words(), 1)

    @override
    def columns(self, names: Collection[str]) -> frozenset[str]:
        return frozenset(column for name in names if name in self.words() for column in _columns_of(name))

    @override
    def estimates(self, series: Series, log_weights: LogWeights) -> Estimates:
        used = self.columns(self.words())
        columns = {name: np.asarray(values) for name, values in series.items() if name in used}
        if len(self._shape) == 2:
            columns.pop("plaquette_planes", None)  # there is only one
        if self._group == "SU(2)" and "polyakov" in columns:
            columns["polyakov"] = columns["polyakov"][..., :1]  # its traces are real
        return propagated(columns, log_weights, derive_gauge(self._shape)) if columns else {}


class ChargeEstimator(AbstractEstimator):
    """Q, Q² and the susceptibility ⟨Q²⟩/V of an integer charge, and the share of every charge.

    Args:
        volume: V.
    """

    def __init__(self, volume: int) -> None:
        self._volume = volume

    @override
    def words(self) -> Mapping[str, ObservableWords]:
        return {name: OBSERVABLES[name] for name in _CHARGES}

    @override
    def revisions(self) -> Mapping[str, int]:
        return dict.fromkeys(_CHARGES, 1)

    @override
    def columns(self, names: Collection[str]) -> frozenset[str]:
        return frozenset({_CHARGE} if set(_CHARGES) & set(names) else ())

    @override
    def estimates(self, series: Series, log_weights: LogWeights) -> Estimates:
        return _charge(np.asarray(series[_CHARGE]), self._volume, log_weights) if _CHARGE in series else {}


class FlowedEstimator(AbstractEstimator):
    """Energies, t₀, w₀ and the charge along the gradient flow; of chains only.

    Args:
        times: Flow times, growing from 0.
        volume: V.
    """

    def __init__(self, times: Float[np.ndarray, " times"], volume: int) -> None:
        self._times = times
        self._volume = volume

    @override
    def words(self) -> Mapping[str, ObservableWords]:
        names = [name for name in OBSERVABLES if FLOW in _columns_of(name)]
        return {name: OBSERVABLES[name] for name in [*names, "topological_susceptibility"]}

    @override
    def revisions(self) -> Mapping[str, int]:
        return dict.fromkeys(self.words(), 1)

    @override
    def columns(self, names: Collection[str]) -> frozenset[str]:
        return frozenset({FLOW} if set(self.words()) & set(names) else ())

    @override
    def estimates(self, series: Series, log_weights: LogWeights) -> Estimates:
        if FLOW not in series or not (log_weights is None or isinstance(log_weights, Replicas | Chains)):
            return {}
        return flowed_estimates(np.asarray(series[FLOW]), self._times, volume=self._volume, replicas=log_weights)


def _columns_of(name: str) -> tuple[str, ...]:
    if name.startswith(("wilson_loop_", "creutz_ratio_")):
        return ("wilson_loops",)
    return _COLUMNS.get(name, (name,))


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
        loops = symmetrised(means.get("wilson_loops", _NO_LOOPS), shape)
        derived = {
            **{name: means[name] for name in _PLAIN if name in means},
            **_named_loops(loops),
            **_creutz_ratios(loops),
            **_potential(loops, "static_potential"),
            **_potential(means.get("smeared_wilson_loops", _NO_LOOPS), "smeared_static_potential"),
            **_polyakov(means, spatial_volume),
        }
        return {name: np.asarray(value) for name, value in derived.items()}

    return derive


_PLAIN = ("plaquette", "plaquette_planes", "rectangle", "action_density")
_NO_LOOPS = np.zeros((0, 0))


def _polyakov(means: Mapping[str, np.ndarray], spatial_volume: int) -> dict[str, np.ndarray | np.floating]:
    found: dict[str, np.ndarray | np.floating] = {}
    if "polyakov" in means:
        found["polyakov_loop"] = means["polyakov"][0]
    if "polyakov_squared" in means:
        found["polyakov_loop_squared"] = means["polyakov_squared"]
    if len(found) == 2:
        square, mean = means["polyakov_squared"], means["polyakov"]
        found["polyakov_susceptibility"] = spatial_volume * (square - np.sum(mean**2))
    return found


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


def _charge(charge: np.ndarray, volume: int, log_weights: LogWeights) -> Estimates:
    """Estimates of an integer charge; the rounding of the column would hide that a chain is frozen."""
    charge = np.rint(charge)

    def derive(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        square = means["square"]
        return {f"{_CHARGE}_squared": square, "topological_susceptibility": square / volume}

    try:
        first = propagated({_CHARGE: charge}, log_weights, lambda means: means)
    except ConstantSeriesError:
        first = {_CHARGE: [_frozen(charge)]}
    try:
        second = propagated({"square": charge**2}, log_weights, derive)
    except ConstantSeriesError:
        frozen = {f"{_CHARGE}_squared": charge**2, "topological_susceptibility": charge**2 / volume}
        second = {name: [_frozen(values)] for name, values in frozen.items()}
    return first | second | {f"{_CHARGE}_distribution": _distribution(charge, log_weights)}


def _distribution(charge: np.ndarray, log_weights: LogWeights) -> list[Estimate]:
    """Share of every charge from −`LARGEST_CHARGE` on; one that was never or always seen has no error."""
    shares = []
    for q in range(-LARGEST_CHARGE, LARGEST_CHARGE + 1):
        seen = (charge == q).astype(float)
        if seen.min() == seen.max():
            shares.append(_frozen(seen))
        else:
            shares.append(propagated({"share": seen}, log_weights, lambda means: means)["share"][0])
    return shares


def _frozen(values: np.ndarray) -> Estimate:
    return Estimate(float(values.mean()), math.nan, n=values.size)
