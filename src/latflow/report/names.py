"""What samplers and observables are called, drawn and defined as: one colour and one marker per sampler everywhere.

The colours are those of Okabe and Ito, told apart by readers with any colour vision; markers differ as well, so nothing
depends on colour alone.
"""

from dataclasses import dataclass

from latflow.theories.catalogue import all_words
from latflow.words import ObservableWords, plain_words


@dataclass(frozen=True)
class SamplerStyle:
    """How one sampler appears.

    Attributes:
        label: Words in legends and tables.
        colour: Hexadecimal RGB.
        marker: Matplotlib marker.
        note: One sentence on how its configurations arise.
    """

    label: str
    colour: str
    marker: str
    note: str


SAMPLERS: dict[str, SamplerStyle] = {
    "flow": SamplerStyle("flow", "#0072B2", "o", "flow draws made exact by independence Metropolis–Hastings"),
    "reweighted": SamplerStyle("reweighted", "#CC79A7", "D", "the same flow draws as weighted averages, none rejected"),
    "reverse": SamplerStyle("reverse", "#999933", "*", "draws of the target with the flow's density, 1/w averaged"),
    "hmc": SamplerStyle("HMC", "#D55E00", "s", "hybrid Monte Carlo"),
    "local": SamplerStyle("local", "#009E73", "^", "local checkerboard Metropolis"),
    "cluster": SamplerStyle("cluster", "#56B4E9", "P", "Wolff clusters of signs between local Metropolis sweeps"),
    "heatbath": SamplerStyle("heat bath", "#E69F00", "v", "local heat bath"),
    "metropolis": SamplerStyle("Metropolis", "#882255", "p", "Metropolis of one link after another"),
}
"""Every sampler in the order in which tables and legends list them."""

DEPENDENT_PAIRS = frozenset({frozenset({"flow", "reweighted"})})
"""Pairs that analyse the same draws: their difference has no independent error, so no pull is printed."""


OBSERVABLES: dict[str, ObservableWords] = all_words()
"""Every observable with words of its own, in the order in which tables list them."""


def sampler_style(sampler: str) -> SamplerStyle:
    """Style of `sampler`; a neutral one for a name not listed."""
    return SAMPLERS.get(sampler, SamplerStyle(sampler, "#7F7F7F", "X", ""))


def observable_words(observable: str) -> ObservableWords:
    """Words for `observable`; its own name, spaced, where it is not listed."""
    return OBSERVABLES.get(observable) or plain_words(observable)


def order_of(name: str, table: dict) -> tuple[int, str]:
    """Sort key: the order of `table`, unknown names after it alphabetically."""
    names = list(table)
    return (names.index(name) if name in table else len(names), name)
