"""Shipped studies: valid, commented in full, and stored once.

Run as a program, this file brings the comments of the shipped studies up to date.
"""

import re
from pathlib import Path

import pytest

from latflow.errors import UsageError
from latflow.study.config import load_study
from latflow.study.config.presets import Preset, preset, presets
from latflow.study.config.scaling import load_scaling

ROOT = Path(__file__).parents[3]
STUDIES = ROOT / "studies"
PACKAGED = ROOT / "src" / "latflow" / "study" / "presets"
RENEW = "run: python tests/study/config/test_presets.py"
SINGLE = [entry for entry in presets() if entry.command == "run"]


def test_the_usual_ones_are_there() -> None:
    assert {"phi4-e1", "phi4-e2", "phi4-quick", "free-8x8"} <= {entry.name for entry in presets()}


def test_studies_are_the_files_of_the_package() -> None:
    """`studies` is a link in a checkout and a copy in an sdist: its files cannot differ from those of the package."""
    outside = {path.stem: path.read_text(encoding="utf-8") for path in STUDIES.glob("*.toml")}
    assert {entry.name: entry.text for entry in presets()} == outside
    if (ROOT / ".git").exists():
        assert STUDIES.is_symlink()
        assert STUDIES.resolve() == PACKAGED


@pytest.mark.parametrize("entry", presets(), ids=lambda entry: entry.name)
def test_heading(entry: Preset) -> None:
    assert entry.title
    assert re.search(r"\d+ minute", entry.cost)


@pytest.mark.parametrize("entry", SINGLE, ids=lambda entry: entry.name)
def test_preset(entry: Preset) -> None:
    study = load_study(STUDIES / f"{entry.name}.toml")
    assert study.name == entry.name
    # Below its heading a preset is the study itself, every key explained: what `to_toml(commented=True)` writes.
    assert entry.text.partition("\n\n")[2] == study.to_toml(commented=True), RENEW


@pytest.mark.parametrize("entry", SINGLE, ids=lambda entry: entry.name)
def test_chains_alone_can_be_asked_for(entry: Preset) -> None:
    """HMC of the ready studies is tuned to an acceptance of its own, so that none of them needs a flow."""
    path = STUDIES / f"{entry.name}.toml"
    scalar = load_study(path).action.fields == "scalar"
    study = load_study(path, {"sampling.samplers": "cluster hmc" if scalar else "hmc"})
    assert study.hmc.target_acceptance in (0.8, 0.9, 0.95)
    assert "coupling_order" not in study.to_toml(commented=True).replace("# coupling_order", "")


def test_a_range_shows_the_keys_that_go_with_it() -> None:
    """Without `flow.coupling_range` they are comments, since they say nothing."""
    path = STUDIES / "phi4-e1.toml"
    assert '\n# parameter = "coupling" ' in load_study(path).to_toml(commented=True)
    ranged = {"flow.coupling_range": "4.5 7.0", "training.loss": "reverse_kl"}
    assert '\nparameter = "coupling" ' in load_study(path, ranged).to_toml(commented=True)
    assert "\n# coupling_order = 2 " in load_study(path).to_toml(commented=True)
    assert "\ncoupling_order = 3 " in load_study(path, {"flow.coupling_order": "3"}).to_toml(commented=True)


def test_scaling_presets_load() -> None:
    scaling = [entry for entry in presets() if entry.command == "scaling"]
    assert [entry.name for entry in scaling] == ["phi4-critical"]
    for entry in scaling:
        assert load_scaling(STUDIES / f"{entry.name}.toml").name == entry.name


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
    for file in (PACKAGED / f"{entry.name}.toml" for entry in SINGLE):
        heading = file.read_text(encoding="utf-8").partition("\n\n")[0]
        file.write_text(f"{heading}\n\n{load_study(file).to_toml(commented=True)}", encoding="utf-8")
