"""The families of Stein fields by their words, imported when they are needed."""

import importlib

from latflow.errors import ConfigError
from latflow.variates.base import AbstractSteinFields

FAMILIES = {
    "lattice": "latflow.variates.lattice_fields:LatticeFields",
    "loops": "latflow.variates.gauge_loops:LoopFields",
}
"""``module:class`` of every family; theories name theirs in `stein_fields` of their table."""


def family(kind: str) -> type[AbstractSteinFields]:
    """The class of a family.

    Raises:
        ConfigError: If there is none of this word.
    """
    if kind not in FAMILIES:
        raise ConfigError([f"stein fields: {kind!r}; allowed: {', '.join(FAMILIES)}"])
    module, name = FAMILIES[kind].split(":")
    return getattr(importlib.import_module(module), name)
