r"""Estimates from the gradient flow of a gauge study: energies, t₀ and w₀ by either definition, topological charge.

The column is that of `latflow.observables.flowed.AlongTheFlow`: energy by plaquettes, energy by the clover, charge.
Clover and plaquettes differ at a given t by cut-off effects, so the two t₀ show how large these are.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from latflow.stats.estimates import Estimate
from latflow.stats.flow_scale import flow_scale_estimates
from latflow.stats.gamma import chain_estimates
from latflow.stats.replicas import Along

FLOW = "gradient_flow"
"""The measured column."""

CLOVER_CHARGE = "clover_charge"
"""The charge at the end of the flow: of every record, and its mean."""

_PLAQUETTES, _CLOVER, _CHARGE = range(3)


def flowed_estimates(
    column: Float[np.ndarray, "chains n three times"],
    time: Float[np.ndarray, " times"],
    *,
    volume: int,
    replicas: Along = None,
) -> dict[str, list[Estimate]]:
    r"""All estimates from a column of the gradient flow.

    `flow_energy` $t^2\langle E\rangle$ at all times but 0, `t0` and `w0` by the clover, the same with the ending
    `_plaquette` by plaquettes. Where the group has a charge: `clover_charge` ⟨Q⟩, `clover_charge_squared` ⟨Q²⟩ and
    `topological_susceptibility` ⟨Q²⟩/V at the end of the flow, `flow_charge_squared` ⟨Q²⟩ at all times but 0.

    Args:
        column: Three rows of every record, at all times.
        time: Flow times, growing from 0.
        volume: Sites.
        replicas: As for `latflow.stats.gamma.chain_estimates`.
    """
    clover = flow_scale_estimates(time, column[:, :, _CLOVER], replicas=replicas)
    plaquettes = flow_scale_estimates(time, column[:, :, _PLAQUETTES], replicas=replicas)
    found = clover | {f"{name}_plaquette": values for name, values in plaquettes.items()}
    charge = column[:, :, _CHARGE, 1:]
    return found | (_charge(charge, volume, replicas) if np.any(charge) else {})


def charge_column(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The charge of every record at the end of the flow, with the leading axes of the column."""
    return {CLOVER_CHARGE: columns[FLOW][..., _CHARGE, -1]}


def _charge(charge: Float[np.ndarray, "chains n times"], volume: int, replicas: Along) -> dict[str, list[Estimate]]:
    def derive(means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        last = means["square"][-1]
        return {
            CLOVER_CHARGE: means["charge"],
            f"{CLOVER_CHARGE}_squared": last,
            "topological_susceptibility": last / volume,
            "flow_charge_squared": means["square"],
        }

    return chain_estimates({"charge": charge[..., -1], "square": charge**2}, derive, replicas=replicas)
