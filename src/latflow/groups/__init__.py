"""Compact groups as arrays: elements, algebra, exponential, Haar measure; see docs/conventions.md, "algebra"."""

from latflow.groups.base import AbstractGroup as AbstractGroup
from latflow.groups.names import named as named
from latflow.groups.sun import SU as SU
from latflow.groups.u1 import U1 as U1
