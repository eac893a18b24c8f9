"""Groups by the names that studies and files use."""

import re

from latflow.arguments import require_type
from latflow.errors import ConfigError
from latflow.groups.base import AbstractGroup
from latflow.groups.sun import SU
from latflow.groups.u1 import U1


def named(name: str) -> AbstractGroup:
    """The group called "U(1)" or "SU(N)".

    >>> named("SU(3)").n_generators
    8

    Raises:
        ConfigError: If there is no such group, or N is out of range.
    """
    require_type("group", name, str, '"U(1)" or "SU(N)" with N = 2 ... 8')
    if name == "U(1)":
        return U1()
    match = re.fullmatch(r"SU\((\d{1,3})\)", name)
    if match is None:
        raise ConfigError([f'group: "{name}"; allowed: "U(1)" or "SU(N)" with N = 2 ... 8'])
    return SU(int(match[1]))
