"""What the arrays of blocks are, said beside them: every HDF5 dataset has attributes with title, axes, units and field.

They are for readers with h5py alone. Nothing here reads them, and no identity depends on them.
"""

from collections.abc import Mapping

import numpy as np

from latflow.words import ObservableWords

HOUSE = "house field of latflow's docs/conventions.md, whatever normalisation the study has"
"""The field of all that blocks hold; results are converted to that of the study."""

_NONE = "1"
_TITLES = {
    "fields": ("configurations", "lattice units"),
    "log_weight": ("ln w of every draw, −S − ln q", _NONE),
    "log_prob": ("ln q of every draw", _NONE),
    "action": ("S", _NONE),
    "accepted": ("whether the proposal was accepted", _NONE),
    "acceptance": ("mean acceptance probability", _NONE),
    "log_ratio": ("logarithm of the Metropolis ratio, −ΔH", _NONE),
    "index": ("draw at which the accept/reject chain stands", _NONE),
}
_OF_FIELDS = {0: (), 1: ("mu",), 3: ("mu", "row", "column")}


def of_ensemble(arrays: Mapping[str, np.ndarray], *, chains: bool, n_dim: int) -> dict[str, dict[str, str]]:
    """Attributes of the datasets of a block of configurations.

    Args:
        arrays: Its arrays by name.
        chains: Whether they are of Markov chains, with axes (record, chain); else of draws.
        n_dim: Directions of the lattice.
    """
    lead = ("record", "chain") if chains else ("draw",)
    n = len(arrays["fields"]) if "fields" in arrays else None
    found = {}
    for name, array in arrays.items():
        title, units = _TITLES.get(name, (name.replace("_", " "), _NONE))
        inner = array.ndim - len(lead)
        axes = _axes_of_field(inner, n_dim) if name == "fields" else tuple(f"{name}_{i}" for i in range(inner))
        # flags of every step, also of those that are thinned away
        first = lead if n in (None, len(array)) else ("step", *lead[1:])
        found[name] = _said(title, (*first[: array.ndim], *axes), units)
    return found


def of_measurement(
    arrays: Mapping[str, np.ndarray], *, chains: bool, words: Mapping[str, ObservableWords]
) -> dict[str, dict[str, str]]:
    """Attributes of the datasets of a block of measured columns.

    Args:
        arrays: The columns by name.
        chains: As for `of_ensemble`.
        words: How estimates are written, by name.
    """
    lead = ("record", "chain") if chains else ("draw",)
    found = {}
    for name, array in arrays.items():
        known = words.get(name)
        title = name.replace("_", " ") if known is None else known.title
        n = array.ndim - len(lead)
        axes = [f"{name}_{i}" for i in range(n)]
        if n == 1 and known is not None and known.axis is not None:
            axes = [known.axis.name]
        found[name] = _said(title, (*lead, *axes), "lattice units")
        if known is not None:
            found[name] |= {"definition": known.definition}
    return found


def _said(title: str, axes: tuple[str, ...], units: str) -> dict[str, str]:
    return {"long_name": title, "axes": ", ".join(axes), "units": units, "normalisation": HOUSE}


def _axes_of_field(inner: int, n_dim: int) -> tuple[str, ...]:
    sites = tuple(f"x{i}" for i in range(n_dim))
    return (*_OF_FIELDS.get(inner - n_dim, ()), *sites) if inner >= n_dim else ()
