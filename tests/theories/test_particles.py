"""Studies of points and particles: shape, known values, states, flows, and a double well from file to report."""

import tomllib

import jax.numpy as jnp
import numpy as np
import pytest

from latflow.errors import ConfigError
from latflow.lattice import Lattice
from latflow.report import write_report
from latflow.results import Results
from latflow.study.build import flow_shapes
from latflow.study.config import StudyConfig
from latflow.study.context import Silent
from latflow.study.run import STAGES, run_stages
from latflow.study.theories import known_values, study_physics
from latflow.theories.catalogue import table_of, theory_of
from latflow.theories.particles.estimates import difference

WELL = """
name = "well"
[action]
kind = "double-well"
temperature = 3.0
[sampling]
configurations = 1024
block_size = 512
samplers = ["hmc"]
[hmc]
chains = 64
warmup = 20
"""


def study(text: str) -> StudyConfig:
    return StudyConfig.model_validate(tomllib.loads(text))


@pytest.mark.parametrize("kind", ["double-well", "mueller-brown", "dw4", "lj13"])
def test_a_study_knows_its_space(kind: str) -> None:
    """Shapes agree, the states are shares, and every observable has a number at the cold configuration."""
    found = study(f'name = "x"\n[action]\nkind = "{kind}"\n[sampling]\nsamplers = ["hmc"]')
    physics = study_physics(found)
    assert physics.action.space.shape == found.lattice.shape
    x = physics.action.space.cold()
    columns = {observable.name: np.asarray(observable(x)) for observable in physics.observables}
    assert 0 <= columns["state"] <= 1
    assert all(np.all(np.isfinite(value)) for value in columns.values())
    known = known_values(found)
    assert known["log_z"].value > 0


def test_states_are_where_they_are_said_to_be() -> None:
    places = {"double-well": ((-1.7, 0.0), (1.7, 0.0)), "mueller-brown": ((-0.56, 1.44), (0.62, 0.03))}
    for kind, (first, second) in places.items():
        table = table_of(kind).model_validate({"kind": kind})
        physics = theory_of(kind).physics.physics(table, Lattice((2,)), {})
        modes = {o.name: o for o in physics.observables}["mode"]
        assert [float(modes(jnp.asarray(x))) for x in (first, second)] == [0.0, 1.0]
        shares = physics.sectors.weights
        assert abs(sum(shares) - 1) < 1e-12
        assert shares[0] > 0.9


def test_the_difference_of_free_energies() -> None:
    assert abs(float(difference(0.25)) - np.log(3)) < 1e-12
    assert np.isfinite(float(difference(0.0)))


@pytest.mark.parametrize(("kind", "flow"), [("double-well", "spline"), ("mueller-brown", "real_nvp"), ("dw4", "pairs")])
def test_flows_draw_on_the_space_of_the_action(kind: str, flow: str) -> None:
    text = f'name = "x"\n[action]\nkind = "{kind}"\n[sampling]\nsamplers = ["flow"]\n[flow]\nkind = '
    dense = '\nnetwork = "dense"' if flow == "spline" else ""
    found = study(f'{text}"{flow}"{dense}')
    built = flow_shapes(found)
    assert built.space.shape == found.lattice.shape
    with pytest.raises(ConfigError, match=r"flow.kind"):
        study(f'{text}"continuous"')


@pytest.mark.nightly
def test_a_double_well_from_file_to_report(tmp_path) -> None:
    """Energy, share of the right well and the difference of free energies within 5σ of the exact values."""
    results = run_stages(study(WELL), tmp_path, stages=STAGES, progress=Silent(), write_report=write_report)
    assert isinstance(results, Results)
    for name in ("energy", "state_share", "free_energy_difference"):
        row = next(row for row in results.of(name) if row.reference is not None)
        assert abs(np.asarray(row.value) - np.asarray(row.reference)) < 5 * np.asarray(row.error)
    assert "free-energy difference" in (tmp_path / "report.html").read_text(encoding="utf-8")
