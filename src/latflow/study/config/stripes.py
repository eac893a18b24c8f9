"""What studies of flows on stripes of links must fulfil."""

from latflow.flows.link_tables import LARGEST_BETA, LinkCouplingTable, LinkMultiscaleTable
from latflow.study.config.methods import TRAINED
from latflow.tables import Complaint, Lookup

_KINDS = ("link-coupling", "stout")


def multiscale_links(value: Lookup) -> list[Complaint]:
    """Extents that can be halved to even ones, a group with a class map, and a heat bath that can be built."""
    samplers, shape = value("sampling.samplers"), value("lattice.shape")
    if value("flow.kind") != "link-multiscale" or samplers is None or not set(TRAINED) & set(samplers):
        return []
    group, groups, beta, doublings = (
        value("action.group"), LinkMultiscaleTable.groups, value("action.beta"), value("flow.doublings")
    )  # fmt: skip
    found, hint = [], "with a multiscale flow of links"
    if group is not None and group not in groups:
        found.append(Complaint("action.group", repr(group), " or ".join(map(repr, groups)), hint))
    if beta is not None and beta > LARGEST_BETA:
        found.append(Complaint("action.beta", f"{beta:g}", f"at most {LARGEST_BETA:g}", hint))
    # multiples of four are asked for as those of every flow whose patterns need them
    multiple = LinkMultiscaleTable.extent_multiple
    if doublings is None or shape is None or any(extent % multiple for extent in shape):
        return found
    most = min((extent & -extent).bit_length() for extent in shape) - 2
    if doublings > most:
        allowed = f"at most {most}, by which {list(shape)} is halved to even extents"
        found.append(Complaint("flow.doublings", str(doublings), allowed))
    return found


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
