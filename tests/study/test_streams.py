"""Configurations of another code: streams cut into parts, their averages at smaller errors."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import latflow as lf
from latflow.cli import main
from latflow.stats.estimates import TooShortError
from latflow.study.config import load_study
from latflow.study.context import Silent
from latflow.study.run import run_stages
from latflow.study.stages.reducing import reduction_of
from latflow.study.streams import parts_of_streams

SHAPE = (2, 2)
STAGES = ("sample", "measure", "reduce", "analyse")
STUDY = """
name = "small"
lattice.shape = [2, 2]
action = { kind = "wilson", group = "SU(2)", beta = 2.0 }
sampling = { samplers = ["hmc"] }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two replicas of 108 and 113 configurations in SciDAC files, and a study of their action."""
    place = tmp_path_factory.mktemp("streams")
    action = lf.WilsonAction(lf.Lattice(SHAPE), lf.SU(2), beta=2.0)
    hmc = lf.HMC(action, lf.LEAPFROG, step_size=jnp.asarray(0.3), n_steps=4)
    x = np.asarray(lf.run_chain(jax.random.key(7), hmc, n=113, chains=2, warmup=20, thin=3))
    (place / "files").mkdir()
    for replica, size in enumerate((108, 113)):
        for i in range(size):
            lf.write_configuration(place / "files" / f"r{replica}n{i}", x[i, replica], "scidac")
    (place / "study.toml").write_text(STUDY)
    return place


def test_streams_are_cut_in_the_order_of_their_numbers(folder: Path) -> None:
    """221 configurations in parts of 27: four of either replica, of the longer one without its first five."""
    parts = parts_of_streams(folder / "files", shape=SHAPE, colours=2)
    assert parts.shape == (27, 8, 2, 2, 2, *SHAPE)
    first = next(c for c in lf.open_configurations(folder / "files") if np.array_equal(c.links, parts[0, 4]))
    assert np.array_equal(first.links, lf.read_configuration(folder / "files" / "r1n5").links)


def test_the_command_reduces_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With 216 records and 6 velocities: the plaquette of 2 × 2 sites, whose variance falls by more than 2."""
    assert main(["reduce", str(folder / "files"), "--action", str(folder / "study.toml"), "--json"]) == 0
    (row,) = (e for e in json.loads(capsys.readouterr().out)["estimates"] if e["observable"] == "plaquette")
    assert row["variance_ratio"][0] > 2
    assert abs(row["value"][0] - row["plain_value"][0]) < 5 * row["plain_error"][0]


def test_a_study_reduces_its_files(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the command does for the folder; with products of time slices the velocities say so."""
    study = (
        STUDY.replace('["hmc"]', '["files"]') + f'files.folder = "{folder / "files"}"\n[reduce]\nsamplers = ["files"]\n'
    )
    (tmp_path / "study.toml").write_text(study)
    config = load_study(tmp_path / "study.toml")
    results = run_stages(config, tmp_path / "run", stages=STAGES, progress=Silent())
    assert results is not None
    row = results.estimate("plaquette", "files")
    assert row is not None
    assert main(["reduce", str(folder / "files"), "--action", str(folder / "study.toml"), "--json"]) == 0
    (other,) = (e for e in json.loads(capsys.readouterr().out)["estimates"] if e["observable"] == "plaquette")
    for name in ("value", "error", "variance_ratio"):
        assert np.isclose(getattr(row, name), other[name][0], rtol=1e-6)
    kept = reduction_of(tmp_path / "run", "files")
    assert "products" not in kept["identity"]["reduce"]  # as runs of before have it
    assert kept["settings"]["products"] == "total"
    changed = load_study(tmp_path / "study.toml", {"reduce.products": "slices"})
    run_stages(changed, tmp_path / "run", stages=("reduce",), progress=Silent(), fork=False)
    kept = reduction_of(tmp_path / "run", "files")
    assert kept["identity"]["reduce"]["products"] == kept["settings"]["products"] == "slices"


def test_without_an_action_or_with_too_few_they_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reduce", str(folder / "files")]) != 0
    assert "action: missing for" in capsys.readouterr().err
    (folder / "few").mkdir()
    for i in range(12):
        (folder / "few" / f"r0n{i}").write_bytes((folder / "files" / f"r0n{i}").read_bytes())
    with pytest.raises(TooShortError, match="at least 16 configurations"):
        parts_of_streams(folder / "few", shape=SHAPE, colours=2)
