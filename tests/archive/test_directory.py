"""Runs and ensembles of an earlier program, read back as arrays and as objects of other libraries."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import latflow as lf
from latflow.archive import arrays
from latflow.archive.directory import Run
from latflow.errors import DataError, MissingInputError, UnavailableError, UsageError

RUNS = Path(__file__).parents[1] / "data" / "runs-v1"


@pytest.fixture(scope="module")
def scalar() -> Run:
    return lf.open_run(RUNS / "phi4")


@pytest.fixture(scope="module")
def links() -> Run:
    return lf.open_run(str(RUNS / "links"))


def test_configurations_belong_to_the_columns(scalar: Run) -> None:
    """⟨φ²⟩ of the configurations is the measured column, for chains and for draws."""
    for sampler, shape in {"hmc": (32, 16, 4, 4), "flow": (512, 4, 4)}.items():
        found = scalar.ensemble(sampler)
        fields = found.fields()
        assert fields.shape == shape
        np.testing.assert_allclose(np.mean(fields**2, axis=(-2, -1)), found.column("phi_squared"), rtol=1e-14)
        assert sum(len(block) for block in found.blocks()) == shape[0]


def test_links(links: Run) -> None:
    found = links.ensemble("heatbath")
    fields = found.fields()
    assert links.shape is not None
    assert fields.shape[-len(links.shape) :] == links.shape
    assert fields.shape[:2] == found.column("plaquette").shape
    assert found.action["kind"] == links.study["action"]["kind"]


def test_the_exact_chain_repeats_draws(scalar: Run) -> None:
    flow = scalar.ensemble("flow")
    chain = flow.chains("phi_squared")
    standing = flow.index[flow.index >= 0]
    assert chain.shape == (1, len(standing))
    assert np.array_equal(chain[0], flow.column("phi_squared")[standing])
    assert flow.log_weight.shape == (512,)
    hmc = scalar.ensemble("hmc")
    assert np.array_equal(hmc.chains("phi_squared"), hmc.column("phi_squared").T)
    with pytest.raises(UsageError, match="Markov chains"):
        _ = hmc.log_weight


def test_pyerrors_has_the_estimates_of_the_run(scalar: Run) -> None:
    """The mean of the column; its error, about the means of chains of 32 records, within a fifth of the run's."""
    obs = scalar.ensemble("hmc").to_pyerrors(["phi_squared", "correlator"])
    phi_squared = obs["phi_squared"]
    phi_squared.gamma_method(S=2)
    (row,) = [row for row in scalar.estimates("phi_squared") if row.sampler == "hmc"]
    assert row.number is not None
    assert phi_squared.value == pytest.approx(row.number.value, rel=1e-12)
    assert phi_squared.dvalue == pytest.approx(row.number.error, rel=0.2)
    assert len(phi_squared.names) == 16
    assert [o.value for o in obs["correlator"]] == pytest.approx(
        scalar.ensemble("hmc").column("correlator").mean((0, 1))
    )


def test_xarray_has_names_axes_and_words(scalar: Run) -> None:
    found = scalar.ensemble("hmc").to_xarray(["phi_squared", "two_point"])
    assert found["phi_squared"].dims == ("record", "chain")
    assert found["two_point"].dims[:2] == ("record", "chain")
    assert found["phi_squared"].attrs["title"] == scalar.results.words("phi_squared").title
    assert found.attrs["action_coupling"] == scalar.study["action"]["coupling"]
    assert found.attrs["units"] == found["two_point"].attrs["units"] == "lattice units"
    assert found["phi_squared"].attrs["long_name"] == found["phi_squared"].attrs["title"]
    assert found["record"].attrs["long_name"] == "record of a chain"
    assert found["phi_squared"].sel(record=3, chain=5) == scalar.ensemble("hmc").column("phi_squared")[3, 5]
    assert scalar.ensemble("flow").to_xarray(["phi_squared"])["log_weight"].dims == ("draw",)


def test_pandas_has_a_row_for_every_record(scalar: Run) -> None:
    chains, draws = scalar.ensemble("hmc").to_dataframe(), scalar.ensemble("flow").to_dataframe()
    assert list(chains.columns[:2]) == ["record", "chain"]
    assert list(draws.columns[:2]) == ["draw", "log_weight"]
    assert (len(chains), len(draws)) == (512, 512)
    hmc = scalar.ensemble("hmc").column("phi_squared")
    assert chains.query("record == 3 and chain == 5")["phi_squared"].item() == hmc[3, 5]
    assert chains.attrs["titles"]["phi_squared"] == scalar.results.words("phi_squared").title
    assert draws.attrs["units"] == "lattice units"
    estimates = scalar.to_dataframe()
    assert set(estimates["sampler"]) == {row.sampler for row in scalar.results.estimates}
    assert "two_point" not in set(estimates["observable"])


def test_an_ensemble_alone(scalar: Run, tmp_path: Path) -> None:
    """Inside its run it knows what was measured of it; moved elsewhere it is what its manifest says."""
    inside = lf.open_ensemble(RUNS / "phi4" / "ensembles" / "hmc")
    assert inside.names == scalar.ensemble("hmc").names
    outside = tmp_path / "a" / "b"
    outside.parent.mkdir()
    outside.symlink_to(RUNS / "phi4" / "ensembles" / "hmc")
    alone = lf.open_ensemble(outside)
    assert alone.names == ()
    assert alone.sampler == "hmc"
    assert np.array_equal(alone.fields(), inside.fields())
    assert "measured: nothing" in repr(alone)


def test_what_is_not_there_is_named(scalar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="allowed: cluster or flow or hmc"):
        scalar.ensemble("heatbath")
    with pytest.raises(UsageError, match=r"'plaquette'; allowed: .*phi_squared"):
        scalar.estimates("plaquette")
    with pytest.raises(UsageError, match=r"'plaquette'; allowed: .*phi_squared"):
        scalar.ensemble("hmc").column("plaquette")
    with pytest.raises(MissingInputError, match="latflow run"):
        lf.open_run(tmp_path / "nowhere")
    with pytest.raises(MissingInputError, match="no ensemble"):
        lf.open_ensemble(tmp_path)
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(UnavailableError, match="pip install xarray"):
        scalar.ensemble("hmc").to_xarray()
    assert arrays.frame({"x": [1]}).shape == (1, 1)


def test_a_damaged_block_is_not_read(tmp_path: Path) -> None:
    source = RUNS / "phi4" / "ensembles" / "hmc"
    copy = tmp_path / "ensembles" / "hmc"
    copy.mkdir(parents=True)
    for file in source.iterdir():
        data = bytearray(file.read_bytes())
        if file.name == "block-000001.h5":
            data[-9] ^= 1
        (copy / file.name).write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged"):
        lf.open_ensemble(copy).fields()


def test_reading_a_run_needs_no_jax() -> None:
    program = (
        "import sys, latflow as lf; run = lf.open_run(sys.argv[1]); run.ensemble('hmc').to_pyerrors(['phi_squared']);"
        "run.ensemble('flow').fields(); sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(RUNS / "phi4")], check=True)
