"""Flows of links in studies: trained, sampled, reweighted, measured, and judged by their topological charge."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from latflow.actions import exact_gauge
from latflow.cli import main
from latflow.store.ensemble import Ensemble
from latflow.study.build import build_flow
from latflow.study.config import load_study
from latflow.study.context import Silent
from latflow.study.plan import plan
from latflow.study.preflight import examined
from latflow.study.run import run_stages
from latflow.study.verify import verify
from latflow.training.model_file import read_header

BETA, VOLUME = 1.0, 16

STUDY = """
name = "links"
[lattice]
shape = [4, 4]
[action]
kind = "wilson"
group = "{group}"
beta = {beta}
[flow]
kind = "{flow}"
{sizes}
[training]
batch_size = 64
learning_rate = 0.02
warmup_steps = 10
evaluation_draws = 512
[training.stop]
steps = {steps}
[sampling]
configurations = {configurations}
samplers = ["flow", "heatbath"]
[heatbath]
chains = 32
warmup = 50
"""


def study(path: Path, **values: Any) -> Path:
    settings = {"group": "U(1)", "beta": BETA, "flow": "plaquettes", "sizes": "layers = 8", "steps": 80}
    path.write_text(STUDY.format(**{**settings, "configurations": 8192, **values}))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of U(1) on 4×4 with a flow of plaquettes."""
    folder = tmp_path_factory.mktemp("u1")
    config = load_study(study(folder / "study.toml"))
    run_stages(config, folder / "run", stages=("train", "sample", "measure", "analyse"), progress=Silent())
    return folder / "run"


def rows(run: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = json.loads((run / "results.json").read_text())["estimates"]
    return {(row["observable"], row["sampler"]): row for row in found}


def test_estimates_of_a_flow_of_links_are_exact(run: Path) -> None:
    found = rows(run)
    log_z = found["log_z", "reweighted"]
    assert log_z["reference"] == pytest.approx(exact_gauge.u1_log_z(BETA, volume=VOLUME))
    for name in ("plaquette", "wilson_loop_2x2", "topological_charge_squared", "polyakov_loop_squared", "log_z"):
        for sampler in ("flow", "reweighted", "heatbath"):
            row = found.get((name, sampler))
            if row is not None:
                assert abs(row["value"] - row["reference"]) < 5 * row["error"], (name, sampler)
    assert found["plaquette", "reweighted"]["error"] < 0.006


def test_the_verdict_knows_the_charge(run: Path) -> None:
    verdict = json.loads((run / "results.json").read_text())["verdict"]
    evidence = {check["name"]: check for check in verdict["evidence"]}
    weights = exact_gauge.u1_charge_distribution(BETA, volume=VOLUME, largest=2)
    for charge, share in zip((-2, -1, 0, 1, 2), weights, strict=True):
        check = evidence[f"weight of charge {charge}".replace("-", "−")]
        assert check["limit"] == f"{share:.4g}, exact"
        assert abs(check["value"] - share) < 5 * check["error"]
    assert verdict["status"] == "exact"


def test_a_flow_of_links_verifies(run: Path) -> None:
    assert [check for check in verify(run) if not check.passed] == []


def test_a_continuous_flow_of_links_goes_through_every_stage(tmp_path: Path) -> None:
    """Draws are integrated more finely than the training: log q is accurate, and draws made again are the same."""
    sizes = "start_beta = 1.0\norder = 1\ntimes = 1\nsteps = 2"
    changes = {"flow": "loops", "sizes": sizes, "steps": 12, "configurations": 2048}
    config = load_study(study(tmp_path / "study.toml", **changes))
    run_stages(config, tmp_path / "run", stages=("train", "sample", "measure", "analyse"), progress=Silent())
    found = rows(tmp_path / "run")
    for name in ("plaquette", "topological_charge_squared", "log_z"):
        row = found[name, "reweighted"]
        assert abs(row["value"] - row["reference"]) < 5 * row["error"]
    integration = read_header(tmp_path / "run" / "model")["integration"]
    assert integration["scheme"] == "rk8"
    assert integration["log_prob_error"] <= 1e-7
    assert [check for check in verify(tmp_path / "run") if not check.passed] == []


def test_uniform_links_are_a_flow_of_any_group(tmp_path: Path) -> None:
    """SU(2) at β = 0.4 by Haar draws alone: complex fields through every stage of a flow."""
    changes = {"group": "SU(2)", "beta": 0.4, "flow": "identity", "sizes": "", "steps": 20, "configurations": 4096}
    config = load_study(study(tmp_path / "study.toml", **changes))
    run_stages(config, tmp_path / "run", stages=("train", "sample", "measure", "analyse"), progress=Silent())
    found = rows(tmp_path / "run")
    for name in ("plaquette", "log_z"):
        row = found[name, "reweighted"]
        assert abs(row["value"] - row["reference"]) < 5 * row["error"]
    fields = Ensemble.open(tmp_path / "run" / "ensembles" / "flow").read(0, ("fields",)).arrays["fields"]
    assert np.iscomplexobj(fields)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("flow", "sizes"),
    [
        ("link-coupling", "layers = 4\nwidth = 4\nbins = 6\nterms = 1"),
        ("stout", "layers = 4\nwidth = 4\nslope_bound = 0.3"),
        ("link-multiscale", "coarse_layers = 4\nfine_layers = 0\nwidth = 4\nbins = 6\nterms = 1"),
    ],
)
def test_layers_of_links_run_to_their_report(flow: str, sizes: str, tmp_path: Path) -> None:
    """Errors of log Z are below 0.01, so that a wrong log-det shows."""
    changes = {"flow": flow, "sizes": sizes, "beta": 0.5, "steps": 30, "configurations": 1024}
    path = study(tmp_path / "study.toml", **changes)
    path.write_text(path.read_text().replace(', "heatbath"]', "]"))
    assert main(["run", str(path), "--run-dir", str(tmp_path / "run"), "--json"]) == 0
    found = rows(tmp_path / "run")
    for name in ("plaquette", "log_z"):
        row = found[name, "reweighted"]
        assert abs(row["value"] - row["reference"]) < 5 * row["error"]
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize(("flow", "sizes"), [("plaquettes", "layers = 8"), ("loops", "order = 1"), ("identity", "")])
def test_flows_of_links_serve_the_improved_action(flow: str, sizes: str, tmp_path: Path) -> None:
    """Its coefficients are read while shapes are traced, too."""
    text = study(tmp_path / "study.toml", flow=flow, sizes=sizes).read_text()
    text = text.replace('kind = "wilson"', 'kind = "improved"').replace("heatbath", "hmc")
    (tmp_path / "study.toml").write_text(text)
    config = load_study(tmp_path / "study.toml")
    assert plan(config)["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(build_flow(config)))


@pytest.mark.parametrize(
    ("shape", "sizes", "coarsest"), [("6, 4", "", "[3, 1]"), ("4, 4", "levels = 1", "[4, 2]"), ("8, 4", "", None)]
)
def test_what_a_doubling_flow_leaves_as_it_is_is_said(
    shape: str, sizes: str, coarsest: str | None, tmp_path: Path
) -> None:
    path = study(tmp_path / "study.toml", flow="doubling", sizes=sizes)
    path.write_text(path.read_text().replace("shape = [4, 4]", f"shape = [{shape}]"))
    config = load_study(path)
    order = examined(config, tmp_path / "run", stages=("train",))
    assert [coarsest in note for note in order.notes] == ([] if coarsest is None else [True])
    assert coarsest in (None, str(list(build_flow(config).bijection.hierarchy.coarsest)))
