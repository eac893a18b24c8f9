"""Models that were trained in Python: kept, and the same function when they are loaded; another table is refused."""

import jax
import numpy as np
import pytest

import latflow as lf
from latflow.errors import CannotCreateError, DataError
from latflow.training.model_file import ModelMismatchError

LATTICE = lf.Lattice((2, 2))
ACTION = lf.PhiFour(LATTICE, mass_squared=-4.0, coupling=8.0)
TABLE = {"kind": "real_nvp", "layers": 2, "network": "convolutional", "hidden": [4], "kernel_size": 3, "z2": True}


@pytest.fixture(scope="module")
def flow():
    built = lf.real_nvp(jax.random.key(0), LATTICE, n_layers=2, hidden=(4,), kernel_size=3, z2=True)
    return lf.fit(jax.random.key(1), built, ACTION, stop=lf.StopCriterion(steps=3), loss=lf.ReverseKL(16)).flow


@pytest.mark.filterwarnings("ignore::latflow.errors.UnreliableWarning")
def test_a_model_is_loaded_as_it_was_kept(flow, tmp_path):
    lf.save_model(tmp_path / "model", flow, TABLE)
    again = lf.load_model(tmp_path / "model")
    one, other = (lf.sample(jax.random.key(2), each, ACTION, n=64) for each in (flow, again))
    assert np.array_equal(one.proposals, other.proposals)
    assert np.array_equal(one.log_weight, other.log_weight)
    with pytest.raises(CannotCreateError, match="holds a model already"):
        lf.save_model(tmp_path / "model", flow, TABLE)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"layers": 4}, ModelMismatchError, "weights in"),
        ({"hidden": [5]}, ModelMismatchError, "weights in"),
        ({"log_scale_bound": 0.01}, ModelMismatchError, "another function of these weights"),
        ({"kind": "reel_nvp"}, DataError, "not installed"),
        ({"leyers": 2}, DataError, "leyers"),
    ],
)
def test_another_table_is_refused(flow, tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        lf.save_model(tmp_path / "model", flow, TABLE | changes)
    assert not (tmp_path / "model").exists()


def test_kinds_with_a_range_and_an_integration(tmp_path):
    sizes = {"n_contexts": 1, "n_features": 1, "n_hidden": 2, "n_times": 1, "radius": 1, "n_steps": 2}
    flow = lf.continuous_flow(jax.random.key(3), LATTICE, **sizes)
    over = lf.conditioned(flow, lower=4.0, upper=8.0, order=1)
    table = {"kind": "continuous", "hidden": 2, "contexts": 1, "features": 1, "times": 1, "radius": 1, "steps": 2}
    lf.save_model(tmp_path / "model", over, table)
    again = lf.load_model(tmp_path / "model")
    assert repr(again) == repr(over)
    assert (again.lower, again.upper, again.order) == (4.0, 8.0, 1)
