"""The theory of a study: its lattice and its action, whose tables the theories bring."""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from pydantic import Field

from latflow.tables import AbstractSection, Extent, List
from latflow.theories.base import AbstractActionTable
from latflow.theories.catalogue import all_tables


class LatticeConfig(AbstractSection):
    """The periodic lattice."""

    shape: List[Extent] = Field(min_length=1, max_length=6, description="sites along each direction, time last")


def _union() -> Any:
    tables = all_tables()
    return Annotated[Union[tuple(tables)], Field(discriminator="kind", description="the theory")]  # noqa: UP007


if TYPE_CHECKING:
    ActionConfig: TypeAlias = AbstractActionTable
else:
    ActionConfig = _union()
    """What may stand in the table ``[action]``: one table of every installed theory, told apart by `kind`."""
