"""Verdicts of whole runs: a broken phase on 2×2 sites, where log Z is known, and flows put into it by hand."""

import json
import math
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions import exact
from latflow.flows.mixture import TrainableFlow, Z2Mixture
from latflow.results import Results, read
from latflow.store.atomic import write_bytes
from latflow.store.blocks import decode_block, encode_block
from latflow.study.build import build_flow
from latflow.study.config import StudyConfig, load_study
from latflow.study.context import Silent
from latflow.study.run import run_stages
from latflow.study.verify import verify
from latflow.training.model_file import save_model

VACUUM, WIDTH = 1.36, 0.19
"""Centre and width of one site, near those of the theory, 1.376 and 0.189, whose density has a tail towards zero.

Verdicts must not hang on rounding. Over the seeds 0 to 4, where 0.7 is allowed, the run of one vacuum has k̂ of 0.14 to
0.35 for w and 0.25 to 0.47 for 1/w, that of the mixture at most 0.27 and 0.38; the mixture resolves a lost weight of
0.044 to 0.054, where 0.1 is allowed.
"""

MASS_SQUARED, COUPLING = -6.0, 1.5
LOG_Z = exact.phi_four_2x2(mass_squared=MASS_SQUARED, coupling=COUPLING).log_z


def study(path: Path, *, mass_squared: float = MASS_SQUARED, coupling: float = COUPLING, **changes: Any) -> StudyConfig:
    values = {
        "seed": 0,
        "mixture": "none",
        "samplers": ["flow", "hmc"],
        "chains": 16,
        "configurations": 8192,
        **changes,
    }
    path.write_text(
        f"""
name = "broken"
seed = {values["seed"]}
[lattice]
shape = [2, 2]
[action]
kind = "phi4"
mass_squared = {mass_squared}
coupling = {coupling}
[flow]
kind = "real_nvp"
layers = 2
hidden = [4]
network = "convolutional"
kernel_size = 3
mixture = "{values["mixture"]}"
[sampling]
configurations = {values["configurations"]}
block_size = 4096
samplers = {json.dumps(values["samplers"])}
[hmc]
chains = {values["chains"]}
warmup = 300
n_steps = 6
"""
    )
    return load_study(path)


def in_one_vacuum(flow: TrainableFlow) -> TrainableFlow:
    """Independent normal numbers about one vacuum: couplings begin as the identity."""

    def places(f: TrainableFlow) -> list[Any]:
        *couplings, scale = f.bijection.bijections
        return [*(coupling.conditioner.last.bias for coupling in couplings), scale.log_scale]

    *biases, scale = places(flow)
    moved = [jnp.asarray([0.0, VACUUM / WIDTH], bias.dtype) for bias in biases]
    component = flow.flow if type(flow) is Z2Mixture else flow
    shifted = eqx.tree_at(places, component, [*moved, jnp.full_like(scale, math.log(WIDTH))])
    return Z2Mixture(shifted) if type(flow) is Z2Mixture else shifted


def finished(config: StudyConfig, directory: Path) -> Results:
    model = directory / "model"
    model.mkdir(parents=True)
    (directory / "study.toml").write_text(config.to_toml())
    write_bytes(model / "train.jsonl", b'{"step": 1, "seconds": 0.0}\n')
    save_model(model, in_one_vacuum(build_flow(config)), header={"stopped_by": "hand"})
    return run_stages(config, directory, stages=("sample", "measure", "analyse"), progress=Silent())


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("collapsed")
    finished(study(directory / "study.toml"), directory / "run")
    return directory / "run"


def log_z(results: Results, sampler: str) -> tuple[float, float]:
    row = results.estimate("log_z", sampler)
    return row.value, row.error


def test_a_flow_in_one_vacuum_is_collapsed(collapsed: Path) -> None:
    """Half of the weight is lost; only log Z tells, and it is known: from the flow's side it is short of ln 2."""
    results = read(collapsed / "results.json")
    verdict = results.verdict
    assert verdict.status == "collapsed", verdict
    assert abs(verdict.lost_weight - 0.5) < 5 * verdict.lost_weight_error
    assert verdict.lost_weight_error < 0.05
    assert results.flow.acceptance > 0.5
    value, error = log_z(results, "reverse")
    assert abs(value - LOG_Z) < 5 * error
    value, error = log_z(results, "reweighted")
    assert abs(value - (LOG_Z - math.log(2))) < 5 * error


def test_its_mixture_with_the_mirror_image_is_exact(tmp_path: Path) -> None:
    results = finished(study(tmp_path / "study.toml", mixture="z2"), tmp_path / "run")
    assert results.verdict.status == "exact", results.verdict
    compared = [check.name for check in results.verdict.evidence if check.name.endswith("flow − target")]
    assert len(compared) == 4
    for sampler in ("reverse", "reweighted"):
        value, error = log_z(results, sampler)
        assert abs(value - LOG_Z) < 5 * error
        assert error < 0.02
    row = results.estimate("free_energy_density", "reverse")
    assert row.value == pytest.approx(-log_z(results, "reverse")[0] / 4)
    assert row.reference == pytest.approx(-LOG_Z / 4)


def test_frozen_target_chains_leave_the_sectors_unresolved(tmp_path: Path) -> None:
    """So deep a well that sites which start with different signs stay so: the chains are in different places."""
    frozen = study(tmp_path / "study.toml", mass_squared=-60.0, coupling=45.0)
    verdict = finished(frozen, tmp_path / "run").verdict
    assert verdict.status == "unresolved sectors", verdict
    assert "R̂" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chains": 4}, "from 4 starts"),
        ({"samplers": ["flow"]}, "no draws of the target"),
        ({"samplers": ["hmc"]}, "no draws of a flow"),
    ],
)
def test_too_little_evidence_is_no_verdict(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    config = study(tmp_path / "study.toml", configurations=4096, **changes)
    verdict = finished(config, tmp_path / "run").verdict
    assert verdict.status == "no verdict"
    assert reason in verdict.reasons[0]


def test_without_target_draws_a_symmetry_shows_the_lost_vacuum(tmp_path: Path) -> None:
    """φ → −φ leads there: no average of the flow is called reliable."""
    config = study(tmp_path / "study.toml", configurations=4096, samplers=["flow"])
    results = finished(config, tmp_path / "run")
    judged = results.flow.reliability
    assert judged.unseen == pytest.approx(0.5, abs=0.01)
    assert any("a symmetry of the action" in reason for reason in judged.reasons)
    assert {row.state for row in results.estimates} == {judged.state} == {"error underestimated"}


def test_verify_recomputes_the_evidence(collapsed: Path) -> None:
    (check,) = [check for check in verify(collapsed) if check.name.startswith("evidence")]
    assert check.passed, check
    path = collapsed / "ensembles" / "evidence.h5"
    kept = path.read_bytes()
    block = decode_block(path)
    arrays = {**block.arrays, "log_prob": block.arrays["log_prob"] + 1e-6}
    path.write_bytes(encode_block(arrays, block.attributes))
    assert [check.passed for check in verify(collapsed) if check.name.startswith("evidence")] == [False]
    path.write_bytes(kept[:-1])
    assert [check.passed for check in verify(collapsed) if check.name.startswith("evidence")] == [False]
    path.write_bytes(kept)


def test_evidence_is_even_and_belongs_to_its_draws(collapsed: Path) -> None:
    arrays = decode_block(collapsed / "ensembles" / "evidence.h5").arrays
    assert arrays["action"].shape == (512, 16, 2)
    np.testing.assert_allclose(arrays["action"][..., 0], arrays["action"][..., 1], rtol=1e-12)
    assert np.mean(np.abs(np.diff(arrays["log_prob"], axis=-1)) > 10) > 0.9
