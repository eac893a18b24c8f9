"""One entry of the table of sampling methods: all that a study needs to know of a method, in plain data.

A method of the stage ``chains`` is a Markov kernel, run as many chains; one of the stage ``draws`` is a sampler of
independent weighted draws, made exact by an accept/reject chain through them or by reweighting. One of the stage
``scramblings`` draws from quasi-random points, which are weighted only. The stage ``files`` samples nothing: another
code has made the configurations. Nothing here imports jax: the code of a method is named as text and imported when it
samples.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from latflow.errors import ConfigError
from latflow.tables import AbstractSection
from latflow.words import Work

Stage: TypeAlias = Literal["chains", "draws", "scramblings", "files"]

NEUTRAL = "#7F7F7F"
"""Colour of a method that names none."""

_COLOUR = re.compile("#[0-9A-Fa-f]{6}")
_MARKERS = ".,ov^<>1234+xXDdsp*hH8P|_"
"""Matplotlib's markers of one character, which this module does not import."""

_FIRST_DERIVED = 2**31


@dataclasses.dataclass(frozen=True)
class SamplerStyle:
    """How one sampler, or one analysis of its draws, appears in tables and figures.

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

    def __post_init__(self) -> None:
        """Refuse what no figure could be drawn with.

        Raises:
            ConfigError: If the colour is not hexadecimal, or the marker none of matplotlib's.
        """
        if not _COLOUR.fullmatch(self.colour):
            raise ConfigError([f"colour of {self.label}: {self.colour!r}; allowed: hexadecimal RGB such as {NEUTRAL}"])
        if self.marker not in _MARKERS or len(self.marker) != 1:
            raise ConfigError([f"marker of {self.label}: {self.marker!r}; allowed: one of {_MARKERS}"])


def width(settings: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """The tuned scale of most kernels as a setting: the width of their proposals."""
    del settings
    return {"width": scale}


@dataclasses.dataclass(frozen=True)
class Method:
    """One way to sample.

    Attributes:
        name: The word of `sampling.samplers`, of the settings' table, of directories and of results.
        stage: ``chains``, ``draws``, ``scramblings`` or ``files``.
        build: ``package.module:function``, imported when it samples. The function takes the study and returns an
            `AbstractKernel` or an `AbstractWeightedSampler`; if `trained` it takes the study and the flow.
        table: The settings, all with defaults. Chains need `chains`, `warmup` and `thin`; `target_acceptance` if the
            kernel is tunable, and `start` if it may be chosen.
        style: How its estimates and figures appear; None for its name in grey.
        serves: Kinds of action it can sample, beside those whose table names it; None for every theory whose fields it
            knows.
        fields: Which fields it knows, "scalar" or "links".
        streams: Numbers of its random streams under the root key: one for chains, two for draws (draws and
            accept/reject). Built-in ones are fixed; those of a plug-in follow from its name.
        trained: Whether it needs the trained flow of the study.
        even_extents: Whether every extent of the lattice must be even.
        target_rank: Place among the chains that may stand for the target in the evidence on a flow, 0 first; None if
            its chains never do.
        trajectories: Whether an update is a trajectory of molecular dynamics, with one decision for the whole.
        baseline: Whether costs of errors are compared with those of its plain averages; true of one method.
        works: What a report cites for it; the keys of a work decide which reports do.
        tuned: From the settings and the tuned scale to the settings that the scale replaces.
        cost: ``package.module:function`` from the study to seconds per update of one chain or per draw, for
            ``--dry-run``; unknown if empty.
        reweighted_as: What results call the weighted averages of its draws; by default NAME_reweighted.
    """

    name: str
    stage: Stage
    build: str
    table: type[AbstractSection] | None = None
    style: SamplerStyle | None = None
    serves: tuple[str, ...] | None = None
    fields: tuple[str, ...] = ("scalar",)
    streams: tuple[int, ...] = ()
    trained: bool = False
    even_extents: bool = False
    target_rank: int | None = None
    trajectories: bool = False
    baseline: bool = False
    works: tuple[Work, ...] = ()
    tuned: Callable[[Mapping[str, Any], float], dict[str, Any]] = width
    cost: str = ""
    reweighted_as: str = ""

    @property
    def look(self) -> SamplerStyle:
        """Its style; its name in grey if it has none."""
        return self.style or SamplerStyle(self.name, NEUTRAL, "X", "")

    @property
    def reweighted(self) -> str:
        """What the results call the weighted averages of its draws."""
        return self.reweighted_as or f"{self.name}_reweighted"

    def samples(self, kind: str, fields: str) -> bool:
        """Whether it can sample a kind of action with such fields, also where the action's table does not name it."""
        return fields in self.fields if self.serves is None else kind in self.serves

    def stream(self, part: int = 0) -> int:
        """Number of a random stream of the method.

        Args:
            part: 0 for the stream of chains or of draws, 1 for that of accept/reject decisions.
        """
        return self.streams[part] if self.streams else _derived(f"{self.name}/{part}")


def _derived(text: str) -> int:
    """A stream number made of a name: 31 bits of its SHA-256, above all numbers given by hand."""
    return _FIRST_DERIVED + int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % _FIRST_DERIVED
