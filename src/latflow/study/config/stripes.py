"""What studies of flows on stripes of links must fulfil."""

from latflow.flows.tables import LinkCouplingTable
from latflow.study.config.methods import TRAINED
from latflow.tables import Complaint, Lookup

_KINDS = ("link-coupling", "stout")


def stripes(value: Lookup) -> list[Complaint]:
    """Stripes that close around the lattice, loops inside it, and a group with a class map."""
    kind, samplers, shape = value("flow.kind"), value("sampling.samplers"), value("lattice.shape")
    if kind not in _KINDS or samplers is None or not set(TRAINED) & set(samplers) or shape is None:
        return []
    period, reach, found = value("flow.period"), value("flow.reach"), []
    if period is not None and any(extent % period for extent in shape):
        allowed = f"a period that divides every extent of {list(shape)}"
        found.append(Complaint("flow.period", str(period), allowed))
    if reach is not None and 2 * reach > min(shape):
        found.append(Complaint("flow.reach", str(reach), f"at most {min(shape) // 2}, half an extent of {list(shape)}"))
    group = value("action.group")
    if kind == "stout" or group is None:
        return found
    if group not in LinkCouplingTable.groups:
        allowed = " or ".join(map(repr, LinkCouplingTable.groups))
        found.append(Complaint("action.group", repr(group), allowed, "with couplings of links"))
    elif value("flow.transform") == "projections" and group != "U(1)":
        found.append(Complaint("flow.transform", repr("projections"), repr("spline"), f"with {group}"))
    return found
