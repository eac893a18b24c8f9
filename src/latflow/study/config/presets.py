"""Ready studies shipped with the package.

A preset is a commented study file. Its first two lines say what it is and what it costs, and `latflow new` prints them.
The folder `studies` of the repository is a link to these files.
"""

import dataclasses
import tomllib
from importlib import resources
from importlib.resources.abc import Traversable

from latflow.errors import UsageError
from latflow.study.config.reading import did_you_mean


@dataclasses.dataclass(frozen=True)
class Preset:
    """One study file of the package.

    Args:
        name: Its name, which is also the name of the file without its ending.
        text: Contents of the file.
    """

    name: str
    text: str

    @property
    def title(self) -> str:
        """What the study computes: the first line of the file."""
        return self._line(0)

    @property
    def cost(self) -> str:
        """Time on two cores: the second line of the file."""
        return self._line(1).removeprefix("Cost: ")

    @property
    def command(self) -> str:
        """Command that runs it: `scaling` for a file with a table `[points]`, else `run`."""
        return "scaling" if "points" in tomllib.loads(self.text) else "run"

    def _line(self, number: int) -> str:
        return self.text.splitlines()[number].removeprefix("# ")


def presets() -> tuple[Preset, ...]:
    """All presets, by name."""
    files = sorted(_folder().iterdir(), key=lambda file: file.name)
    return tuple(
        Preset(name=file.name.removesuffix(".toml"), text=file.read_text(encoding="utf-8"))
        for file in files
        if file.name.endswith(".toml")
    )


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UsageError: If there is none.
    """
    known = {entry.name: entry for entry in presets()}
    if name not in known:
        hint = did_you_mean(name, tuple(known))
        raise UsageError("PRESET", value=repr(name), allowed="what `latflow new` lists", hint=hint)
    return known[name]


def _folder() -> Traversable:
    return resources.files("latflow.study").joinpath("presets")
