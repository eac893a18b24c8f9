"""Additions of other installed packages, found through entry points.

Groups: ``latflow.theories``, ``latflow.methods``, ``latflow.flows``, ``latflow.observables``. A package that fails to
load is reported by `latflow doctor` and does not disturb the rest.
"""

import dataclasses
import functools
from importlib import metadata
from typing import Any

GROUPS = ("latflow.theories", "latflow.methods", "latflow.flows", "latflow.observables")
"""Groups of entry points that are looked at."""


@dataclasses.dataclass(frozen=True)
class Plugin:
    """One entry point of an installed package.

    Attributes:
        group: Where it belongs.
        name: Its name.
        value: What it points to: a package, or ``module:object``.
        package: Distribution that brings it.
        version: Of that distribution.
        problem: Why it cannot be used; empty if it can.
    """

    group: str
    name: str
    value: str
    package: str
    version: str
    problem: str = ""

    def load(self) -> Any:
        """The object it points to."""
        return metadata.EntryPoint(self.name, self.value, self.group).load()


@functools.cache
def plugins(group: str) -> tuple[Plugin, ...]:
    """The entry points of a group by name; of two with one name the first counts and the other says why it does not."""
    found: dict[str, Plugin] = {}
    double: list[Plugin] = []
    for point in metadata.entry_points(group=group):
        distribution = point.dist
        package, version = (distribution.name, distribution.version) if distribution else ("", "")
        plugin = Plugin(group, point.name, point.value, package, version)
        if point.name in found:
            double.append(dataclasses.replace(plugin, problem=f"{found[point.name].package} brings the same name"))
        else:
            found[point.name] = plugin
    return (*(found[name] for name in sorted(found)), *double)


def brought_by(group: str, name: str) -> str:
    """The package that brings an entry point, as the beginning of a complaint; empty for what no package brings."""
    found = next((plugin for plugin in plugins(group) if plugin.name == name and not plugin.problem), None)
    return "" if found is None else f"the plug-in {found.package} {found.version}: "


def installed() -> dict[str, str]:
    """Versions of the packages that add something, by name, for the provenance of results."""
    return {plugin.package: plugin.version for group in GROUPS for plugin in plugins(group) if plugin.package}
