"""Every kind of coupling flow goes from its table to an ensemble, with the settings the table names."""

import tomllib
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections.coupling import AffineCoupling
from latflow.bijections.parity import Symmetrised
from latflow.bijections.spline import SplineCoupling
from latflow.store.ensemble import Ensemble
from latflow.study.build import build_flow
from latflow.study.config import StudyConfig
from latflow.study.context import Silent
from latflow.study.run import run_stages

TABLES = {
    "real_nvp": {"layers": 2, "network": "dense", "hidden": [4], "z2": True},
    "spline": {"layers": 2, "splines": 1, "bins": 4, "hidden": [4], "kernel_size": 3, "z2": True},
    "multiscale": {"coarse_layers": 2, "fine_layers": 2, "hidden": [4], "kernel_size": 3, "z2": True},
}


def study(path: Path, kind: str) -> StudyConfig:
    data: dict[str, Any] = tomllib.loads(path.read_text())
    data["lattice"]["shape"] = [4, 2]
    data["flow"] = {"kind": kind, **TABLES[kind]}
    data["training"] |= {"loss": "path_gradient", "evaluate_every": 5, "stop": {"steps": 5}}
    data["sampling"] |= {"samplers": ["flow"], "configurations": 128}
    data["hmc"]["target_acceptance"] = 0.8
    return StudyConfig.model_validate(data)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["spline", "multiscale"])
def test_from_table_to_ensemble(kind: str, tiny_study: Path, tmp_path: Path) -> None:
    """Those of real NVP are tests/study/test_run.py."""
    run_stages(study(tiny_study, kind), tmp_path, stages=("train", "sample"), progress=Silent())
    ensemble = Ensemble.open(tmp_path / "ensembles/flow")
    assert ensemble.n_records == 128
    assert np.all(np.isfinite(ensemble.column("log_weight")))


@pytest.mark.parametrize("kind", TABLES)
def test_tables_are_obeyed(kind: str, tiny_study: Path) -> None:
    flow = build_flow(study(tiny_study, kind))
    leaves = jax.tree.leaves(flow, is_leaf=lambda node: type(node) in (AffineCoupling, SplineCoupling))
    couplings = [leaf for leaf in leaves if type(leaf) in (AffineCoupling, SplineCoupling)]
    assert len(couplings) == {"real_nvp": 2, "spline": 2, "multiscale": 4}[kind]
    assert [type(c) is SplineCoupling for c in couplings] == [False] * (len(couplings) - 1) + [kind == "spline"]
    assert all(type(c.conditioner) is Symmetrised for c in couplings)
    x = jax.random.normal(jax.random.key(1), (4, 2))
    networks = jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_inexact_array(leaf) else leaf, flow)
    np.testing.assert_allclose(networks.log_prob(-x), networks.log_prob(x), rtol=0, atol=1e-12)
    assert jnp.abs(networks.log_prob(x) - flow.log_prob(x)) > 1e-3
