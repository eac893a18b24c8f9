"""What a table of settings of a flow says beside its keys. Nothing here imports JAX."""

import abc
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import Field

from latflow.tables import ADDED, AbstractSection

Layers: TypeAlias = Annotated[int, Field(ge=2, le=256)]

WHICH = "the flow; docs/cli.md lists all"
PARAMETER = "key of [action] that coupling_range speaks of"
WITH_RANGE: dict[str, Any] = {"needs": "coupling_range"}
RANGED: dict[str, Any] = {**ADDED, **WITH_RANGE}


class AbstractFlowTable(AbstractSection):
    """The table ``[flow]`` of a study for one word of `flow.kind`.

    Attributes:
        kind: The word.
        fields: Which fields it is built for, "scalar" or "links".
        extent_multiple: What every extent of the lattice must be a multiple of.
        linear: Whether its velocity is linear in its weights, so that least squares can find them.
        transfers: Whether trained weights can be carried to other lattices.
        several_extents: Whether its kernels meet lattices of several extents, and may cover the small ones.
        drawing: Work of a draw against one pass of the training.
        builder: ``module:function`` that builds it from a key, the space of the fields, the table and a dtype.
        starter: ``module:function`` from a built flow and the parameters of the action class by name to the flow whose
            training begins, if the start depends on them.
        fixed_start: Whether no training moves what its start depends on. A model that goes on at other parameters then
            gets the start of these.
        groups: Of links; empty for any.
        actions: Words of `action.kind` that it is made for; empty for any of its fields.
    """

    kind: Any
    fields: ClassVar[tuple[str, ...]] = ("scalar",)
    builder: ClassVar[str]
    drawing: ClassVar[float] = 2.0
    extent_multiple: ClassVar[int] = 1
    transfers: ClassVar[bool] = False
    linear: ClassVar[bool] = False
    several_extents: ClassVar[bool] = False
    starter: ClassVar[str | None] = None
    fixed_start: ClassVar[bool] = False
    groups: ClassVar[tuple[str, ...]] = ()
    actions: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def serves(cls, action: str, fields: str) -> bool:
        """Whether it can be trained for an action of this kind, whose fields are "scalar" or "links"."""
        return fields in cls.fields and (not cls.actions or action in cls.actions)

    @abc.abstractmethod
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        """Products with a weight per draw, and numbers kept per draw for the gradient.

        Args:
            parameters: Number of weights.
            volume: Sites.
        """
