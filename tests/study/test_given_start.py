"""Chains that begin in a configuration from a file, and links that are carried back into their group."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from latflow.errors import DataError, MissingInputError
from latflow.store.ensemble import Ensemble
from latflow.store.gauge_files.configuration import examine
from latflow.store.gauge_files.files import write_configuration
from latflow.store.interrupts import Interrupts
from latflow.study.build import build_action
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.study import with_overrides
from latflow.study.context import RunContext, Silent
from latflow.study.given_start import given_links
from latflow.study.run import run_stages
from latflow.study.stages.chains import load_start, one_block

FROZEN = """
name = "given"
[lattice]
shape = [2, 2, 2, 4]
[action]
kind = "wilson"
group = "SU(2)"
beta = 1e4
[sampling]
configurations = 32
samplers = ["metropolis"]
block_size = 4
start_from = "{path}"
[metropolis]
chains = 4
warmup = 6
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cold configuration with one time slice of links in time multiplied by −1, in single precision."""
    links = np.zeros((4, 2, 2, 2, 2, 2, 4), dtype=complex)
    links[:, 0, 0] = links[:, 1, 1] = 1.0
    links[3, :, :, :, :, :, 2] *= -1
    path = tmp_path_factory.mktemp("given") / "cfg.ildg"
    found = examine(links, format="made", precision="float64", details={})
    write_configuration(path, found, "ildg", precision="float32")
    return path


@pytest.fixture(scope="module")
def config(given: Path) -> StudyConfig:
    path = given.parent / "given.toml"
    path.write_text(FROZEN.format(path=given))
    return load_study(path)


@pytest.fixture(scope="module")
def sampled(config: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("given-run") / "run"
    run_stages(config, directory, stages=("sample",), progress=Silent())
    return directory


def test_all_chains_begin_in_the_configuration(sampled: Path) -> None:
    # At this coupling links fluctuate by a hundredth: neither a hot nor a cold start has all Polyakov loops at −1.
    fields = Ensemble.open(sampled / "ensembles" / "metropolis").column("fields")
    line = np.eye(2)
    for t in range(4):
        line = line @ fields[:, :, 3, :, :, 0, 0, 0, t]
    loops = np.einsum("ncaa->nc", line).real / 2
    assert loops.shape == (8, 4)
    assert np.all(np.abs(loops + 1) < 0.05)
    assert not np.array_equal(fields[0, 0], fields[0, 1])


def test_links_are_carried_back_before_every_block(config: StudyConfig, sampled: Path) -> None:
    context = RunContext(config, sampled, Silent(), Interrupts())
    kernel, start = load_start(context, "metropolis")
    space = build_action(config).space
    away = start * (1 + 1e-6)
    assert float(jnp.max(space.defect(away[0]))) > 1e-7
    _, _, attributes = one_block(context, "metropolis", kernel, away, first=0, n=1)
    assert 0 < attributes["defect"] < 1e-13
    ensemble = Ensemble.open(sampled / "ensembles" / "metropolis")
    assert all(0 < ensemble.read(block, ()).attributes["defect"] < 1e-13 for block in range(2))


def test_files_of_other_lattices_and_groups_are_refused(config: StudyConfig, given: Path) -> None:
    links = given_links(config)
    assert links is not None
    assert links.dtype == np.complex128
    for changes, words in (
        ({"lattice.shape": "2 2 2 2"}, r"lattice 2x2x2x4; allowed: 2x2x2x2, as the study"),
        ({"action.group": "SU(3)"}, r"group SU\(2\); allowed: SU\(3\), as the study"),
    ):
        with pytest.raises(DataError, match=rf"cfg\.ildg: the file has {words}"):
            given_links(with_overrides(config, changes))
    with pytest.raises(MissingInputError, match="nowhere"):
        given_links(with_overrides(config, {"sampling.start_from": str(given.parent / "nowhere")}))


def test_a_missing_file_leaves_nothing_behind(config: StudyConfig, tmp_path: Path) -> None:
    missing = with_overrides(config, {"sampling.start_from": str(tmp_path / "nowhere")})
    with pytest.raises(MissingInputError):
        run_stages(missing, tmp_path / "run", stages=("sample",), progress=Silent())
    assert not (tmp_path / "run").exists()
