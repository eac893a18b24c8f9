"""Shipped studies: valid, commented in full, and the same inside the package and outside.

Run as a program, this file brings the comments in studies/ up to date and copies the studies into the package.
"""

import re
from pathlib import Path

import pytest

from latflow.errors import UsageError
from latflow.study.config import load_study
from latflow.study.config.presets import Preset, preset, presets

STUDIES = Path(__file__).parents[3] / "studies"
PACKAGED = Path(__file__).parents[3] / "src" / "latflow" / "study" / "presets"
RENEW = "run: python tests/study/config/test_presets.py"


def single_studies() -> list[Path]:
    """Studies of one theory; a scaling study is not one, it has points."""
    return [path for path in STUDIES.glob("*.toml") if "[points]" not in path.read_text(encoding="utf-8")]


def test_the_usual_ones_are_there() -> None:
    assert {"phi4-e1", "phi4-e2", "phi4-quick", "free-8x8"} <= {entry.name for entry in presets()}


def test_the_package_and_studies_hold_the_same() -> None:
    outside = {path.name.removesuffix(".toml"): path.read_text(encoding="utf-8") for path in single_studies()}
    assert {entry.name: entry.text for entry in presets()} == outside, RENEW


@pytest.mark.parametrize("entry", presets(), ids=lambda entry: entry.name)
def test_preset(entry: Preset) -> None:
    study = load_study(STUDIES / f"{entry.name}.toml")
    assert study.name == entry.name
    assert entry.title
    assert re.search(r"\d+ minute", entry.cost)
    # Below its heading a preset is the study itself, every key explained: what `to_toml(commented=True)` writes.
    assert entry.text.partition("\n\n")[2] == study.to_toml(commented=True), RENEW


POINTS = {1: (6, 6.975), 2: (8, 6.008), 3: (10, 5.55), 4: (12, 5.276), 5: (14, 5.113)}


@pytest.mark.parametrize("suffix", ["", "-realnvp"])
@pytest.mark.parametrize("number", POINTS)
def test_the_published_parameters(number: int, suffix: str) -> None:
    study = load_study(STUDIES / f"phi4-e{number}{suffix}.toml")
    extent, coupling = POINTS[number]
    assert (study.lattice.shape, study.action.house(2)) == ((extent, extent), (-4.0, coupling))


def test_unknown_preset() -> None:
    with pytest.raises(UsageError, match=r"did you mean \"phi4-quick\""):
        preset("phi4-quik")


if __name__ == "__main__":
    for path in single_studies():
        heading = path.read_text(encoding="utf-8").partition("\n\n")[0]
        renewed = f"{heading}\n\n{load_study(path).to_toml(commented=True)}"
        for folder in (STUDIES, PACKAGED):
            (folder / path.name).write_text(renewed, encoding="utf-8")
