"""Names, colours and markers of samplers: one colour and one marker per sampler in all tables and figures.

The colours are those of Okabe and Ito, told apart by readers with any colour vision; markers differ as well, so nothing
depends on colour alone.
"""

from latflow.study.config.methods import DRAWS, METHODS, STYLES, SamplerStyle

SAMPLERS: dict[str, SamplerStyle] = STYLES
"""Every sampler in the order in which tables and legends list them."""

DEPENDENT_PAIRS = frozenset(frozenset({name, METHODS[name].reweighted}) for name in DRAWS)
"""Pairs that analyse the same draws: their difference has no independent error, so no pull is printed."""


def are_dependent(one: str, other: str) -> bool:
    """Whether two samplers analyse the same draws, also where their method is not installed."""
    return {one, other} in DEPENDENT_PAIRS or f"{one}_reweighted" == other or f"{other}_reweighted" == one


def sampler_style(sampler: str) -> SamplerStyle:
    """Style of `sampler`; a neutral one for a name not listed."""
    return SAMPLERS.get(sampler, SamplerStyle(sampler, "#7F7F7F", "X", ""))


def order_of(name: str, table: dict) -> tuple[int, str]:
    """Sort key: the order of `table`, unknown names after it alphabetically."""
    names = list(table)
    return (names.index(name) if name in table else len(names), name)
