"""Studies of densities without a lattice: their shape, known values, sectors, and an arm from file to report."""

import tomllib

import numpy as np
import pytest

from latflow.errors import ConfigError
from latflow.lattice import Lattice
from latflow.report import write_report
from latflow.results import Results
from latflow.study.config import StudyConfig
from latflow.study.context import Silent
from latflow.study.run import STAGES, run_stages
from latflow.study.theories import known_values, study_physics
from latflow.theories.catalogue import table_of, theory_of
from latflow.theories.sectors import ModeSectors

ARM = """
name = "arm"
[action]
kind = "robot-arm"
width = 0.3
lengths = [0.5, 0.4]
goals = [[0.6, 0.3], [-0.3, -0.6]]
[sampling]
configurations = 2048
block_size = 1024
samplers = ["messages"]
"""


def study(text: str) -> StudyConfig:
    return StudyConfig.model_validate(tomllib.loads(text))


def test_the_theory_brings_the_shape() -> None:
    found = study(ARM)
    assert found.lattice.shape == (2,)
    assert "[lattice]" not in found.to_toml(commented=True)
    # as it is stored, with a shape that says the same
    again = study(found.to_toml())
    assert again.digest() == found.digest()
    with pytest.raises(ConfigError, match=r"lattice.shape: \[3\]; allowed: \[2\]"):
        study(ARM + "[lattice]\nshape = [3]\n")


def test_known_values_are_those_of_the_action() -> None:
    found = study(ARM)
    arm, known = study_physics(found).action, known_values(found)
    exact = theory_of("robot-arm").physics.action(found.action).exact
    assert arm.space.shape == (2,)
    assert known["log_z"].value == exact.log_z
    assert known["shares"].array == exact.shares
    sphere = table_of("sphere-modes").model_validate({"kind": "sphere-modes", "concentration": 3.0})
    values = theory_of("sphere-modes").known_values(sphere, (3,))
    assert np.isclose(np.sum(np.asarray(values["shares"].array)), 1)
    assert np.linalg.norm(np.asarray(values["direction"].array)) < 1


def test_sectors_are_modes() -> None:
    sectors = ModeSectors(("goal 1", "goal 2"), (0.25, 0.75))
    columns = {"mode": np.array([0.0, 1.0, 1.0])}
    assert sectors.labels(columns).tolist() == [0, 1, 1]
    first, second = sectors.shares(columns, symmetric=False)
    assert (first.expected, second.expected) == (0.25, 0.75)
    assert (first.members.sum(), second.members.sum()) == (1, 2)
    table = table_of("robot-arm").model_validate({"kind": "robot-arm", "width": 0.5})
    near = theory_of("robot-arm").physics.physics(table, Lattice((6,)), {}).sectors
    assert {share.expected for share in near.shares(columns, symmetric=False)} == {None}


@pytest.mark.nightly
def test_an_arm_from_file_to_report(tmp_path) -> None:
    """log Z, shares and moments within 5σ of the exact values; the figures are there."""
    results = run_stages(study(ARM), tmp_path, stages=STAGES, progress=Silent(), write_report=write_report)
    assert isinstance(results, Results)
    for name in ("log_z", "shares", "cosines", "sines"):
        row = next(row for row in results.of(name) if row.reference is not None and "reweighted" in row.sampler)
        off = (np.asarray(row.value) - np.asarray(row.reference)) / np.asarray(row.error)
        assert np.max(np.abs(off)) < 5
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(words in page for words in ("Sampled arms", "Density of the tip", "Shares of goals and elbows"))
    assert (tmp_path / "figures" / "arms.svg").exists()
