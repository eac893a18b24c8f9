"""What studies of doubling flows must fulfil, and what is said of them before they run."""

import math
from collections.abc import Sequence
from typing import Any

from latflow.flows.link_tables import DoublingTable, largest_beta
from latflow.study.config.methods import METHODS, TRAINED
from latflow.tables import Complaint, Lookup

_OF_RANGE = ("flow.coupling_range", "action.group", "action.beta", "flow.bins")
_SMOOTH = ("U(1)", "SU(2)")
"""Groups whose start is a smooth function of β."""


def doubling(value: Lookup) -> list[Complaint]:
    """A plane that can be halved, a group with a split, and plaquettes no narrower than bins."""
    samplers, shape = value("sampling.samplers"), value("lattice.shape")
    if value("flow.kind") != "doubling" or samplers is None or not set(TRAINED) & set(samplers) or shape is None:
        return []
    group, groups, beta, bins = value("action.group"), DoublingTable.groups, value("action.beta"), value("flow.bins")
    found, hint = [], "with a doubling flow"
    if group is not None and group not in groups:
        found.append(Complaint("action.group", repr(group), " or ".join(map(repr, groups)), hint))
    if beta is not None and bins is not None and beta > largest_beta(bins):
        found.append(Complaint("action.beta", f"{beta:g}", f"at most {largest_beta(bins):g}", f"{hint} of {bins} bins"))
    found += _range(value)
    if len(shape) != 2:
        return [*found, Complaint("lattice.shape", str(list(shape)), "two directions", hint)]
    halvings = sum(map(_halvings, shape))
    if not halvings:
        return [*found, Complaint("lattice.shape", str(list(shape)), "an even extent", hint)]
    levels = value("flow.levels")
    if levels is not None and levels > halvings:
        allowed = f"at most {halvings}, the halvings of {list(shape)}"
        found.append(Complaint("flow.levels", str(levels), allowed))
    return found


def _range(value: Lookup) -> list[Complaint]:
    """A range of β that holds the β of the study and that bins resolve, of a group whose start is smooth in β."""
    ends, group, beta, bins = map(value, _OF_RANGE)
    if ends is None or not ends[0] < ends[1]:
        return []
    found, text = [], f"[{ends[0]:g}, {ends[1]:g}]"
    if group in DoublingTable.groups and group not in _SMOOTH:
        allowed = " or ".join(map(repr, _SMOOTH))
        hint = "with flow.coupling_range of a doubling flow; elsewhere the start is a fit of networks at one β"
        found.append(Complaint("action.group", repr(group), allowed, hint))
    if bins is not None and ends[1] > largest_beta(bins):
        hint = f"with a doubling flow of {bins} bins"
        found.append(Complaint("flow.coupling_range", text, f"an upper end of at most {largest_beta(bins):g}", hint))
    if beta is not None and not ends[0] <= beta <= ends[1]:
        hint = f"flow.coupling_range is {text}, and a doubling flow is nothing beyond it"
        found.append(Complaint("action.beta", f"{beta:g}", f"from {ends[0]:g} to {ends[1]:g}", hint))
    return found


def notes_on_flow(config: Any) -> tuple[str, ...]:
    """What a study should know of its flow before it is trained, in words; nothing of most.

    Args:
        config: The study.
    """
    if not any(METHODS[name].trained for name in config.sampling.samplers):
        return ()
    if not isinstance(config.flow, DoublingTable):
        return ()
    coarsest = _coarsest(config.lattice.shape, config.flow.levels)
    if math.prod(coarsest) == 1:
        return ()
    what = f"flow.kind: links of the coarsest lattice {coarsest} keep the Haar density, whatever the training"
    hint = "the fewer halvings and the larger β, the smaller the ESS: U(1) at β = 2 has"
    return (f"{what}; {hint} 0.98 on 4×6, 0.26 on 2×3 and 0.03 on 6×3",)


def _coarsest(shape: Sequence[int], levels: int | None) -> list[int]:
    """What is left of a plane after so many halvings; see `latflow.bijections.levels.halvings`."""
    left = list(shape)
    for _ in range(sum(map(_halvings, shape)) if levels is None else levels):
        mu = max((mu for mu in (1, 0) if left[mu] % 2 == 0), key=left.__getitem__)
        left[mu] //= 2
    return left


def _halvings(extent: int) -> int:
    return (extent & -extent).bit_length() - 1
