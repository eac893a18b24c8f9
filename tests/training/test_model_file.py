"""Model files: bit-exact, differences listed, nothing damaged or foreign loaded, no poison saved (F6, F7, F11, F13)."""

import hashlib
import json
import os
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors

import faults
from latflow.errors import DataError, LatflowError, MissingInputError, PhysicsStop
from latflow.flows.architectures import ARCHITECTURE
from latflow.store.records import ChecksumError, FormatError, SchemaError, seal, unseal
from latflow.training.model_file import (
    HEADER,
    WEIGHTS,
    ModelMismatchError,
    load_checkpoint,
    load_model,
    save_checkpoint,
    save_model,
)


class Layer(eqx.Module):
    weight: jax.Array
    bias: jax.Array
    bound: float
    activation: object = jax.nn.relu


class Model(eqx.Module):
    layers: tuple[Layer, ...]
    key: jax.Array
    step: jax.Array
    flag: bool = True
    name: str = "model"
    absent: None = None


def model(seed: int, *, hidden: int = 3, dtype: str = "float32") -> Model:
    keys = jax.random.split(jax.random.key(seed), 3)
    layers = tuple(
        Layer(jax.random.normal(key, (hidden, 2), dtype), jnp.zeros(hidden, "float64") + seed, 0.5 + seed)
        for key in keys[:2]
    )
    return Model(layers, keys[2], jnp.asarray(seed), flag=bool(seed % 2))


def bits(tree) -> list:
    """Leaves with their types, numbers as bytes."""
    return [(type(leaf), *raw(leaf)) if eqx.is_array_like(leaf) else leaf for leaf in jax.tree.leaves(tree)]


def raw(leaf) -> tuple:
    is_key = eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
    return array.dtype, array.shape, array.tobytes()


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path):
    header = {"parents": {"config": "abc"}, "steps": 10, "history": [{"loss": 0.1}]}
    save_model(tmp_path / "model", model(3), header=header)
    assert sorted(os.listdir(tmp_path / "model")) == [HEADER, WEIGHTS]
    loaded, got = load_model(tmp_path / "model", model(0))
    assert got == header
    assert bits(loaded) == bits(model(3))
    assert jax.tree.structure(loaded) == jax.tree.structure(model(3))
    assert jax.random.uniform(loaded.key) == jax.random.uniform(model(3).key)


def test_a_template_need_not_hold_numbers(tmp_path):
    save_model(tmp_path, model(3), header={})
    template = eqx.filter_eval_shape(model, 0)
    assert bits(load_model(tmp_path, template)[0]) == bits(model(3))


@pytest.mark.parametrize(
    "leaf",
    [
        np.array([1 + 2j, complex(-0.0, 0.0)]),
        np.complex64(1 + 2j),
        np.array(1 - 2j),
        np.float32(0.1),
        np.int64(-5),
        np.arange(6, dtype=np.uint8)[::2],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 3)),
        np.array(True),
        0.1,
        7,
        False,
        2j,
        jnp.array([1 + 2j]),
    ],
)
def test_every_kind_of_leaf(leaf, tmp_path):
    save_model(tmp_path, {"leaf": leaf}, header={})
    loaded = load_model(tmp_path, {"leaf": leaf})[0]["leaf"]
    assert bits(loaded) == bits(leaf)


@pytest.mark.parametrize("leaf", [jnp.zeros(2, jnp.bfloat16), np.zeros(2, np.float16), np.array(["text"]), 1 << 80])
def test_other_leaves_are_refused(leaf, tmp_path):
    with pytest.raises(FormatError, match="dtype of leaf 'leaf'"):
        save_model(tmp_path, {"leaf": leaf}, header={})
    assert os.listdir(tmp_path) == []


def test_equal_models_give_equal_files(tmp_path):
    assert save_model(tmp_path / "a", model(3), header={"a": 1, "b": 2}) == save_model(
        tmp_path / "b", model(3), header={"b": 2, "a": 1}
    )
    assert faults.contents(tmp_path / "a") == faults.contents(tmp_path / "b")


def test_every_difference_is_listed(tmp_path):
    save_model(tmp_path, model(3), header={})
    with pytest.raises(ModelMismatchError) as caught:
        load_model(tmp_path, {"layers": model(0, hidden=4, dtype="float64").layers, "extra": np.zeros(2)})
    message = str(caught.value)
    assert caught.value.exit_code == 65
    assert "layers.0.weight is float32[3, 2] in the file, float64[4, 2] in the model" in message
    assert "layers.1.bias is float64[3] in the file, float64[4] in the model" in message
    assert "extra is not in the file" in message
    assert "key is not in the model" in message
    many = {f"leaf{i:02d}": 0.0 for i in range(40)}
    with pytest.raises(ModelMismatchError, match=r"; and [0-9]+ more"):
        load_model(tmp_path, many)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_poison_is_never_written(value, dtype, tmp_path):
    save_checkpoint(tmp_path, {"w": np.zeros(3, dtype), "best": np.inf}, step=1, header={})
    before = faults.contents(tmp_path)
    poisoned = {"w": np.array([0, value, 0], dtype), "best": np.inf}
    for save in (
        lambda: save_checkpoint(tmp_path, poisoned, step=2, header={}),
        lambda: save_model(tmp_path, poisoned, header={}),
        lambda: save_checkpoint(tmp_path, {"w": np.zeros(3), "best": np.nan}, step=2, header={}),
    ):
        with pytest.raises(PhysicsStop, match="not written: NaN or infinity in ") as caught:
            save()
        assert caught.value.exit_code == 70
    assert faults.contents(tmp_path) == before
    with pytest.raises(FormatError):
        save_checkpoint(tmp_path, {"w": np.zeros(3)}, step=2, header={"loss": float("nan")})
    assert faults.contents(tmp_path) == before


class Trap:
    """Unpickling it leaves a trace."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_refused(protocol, tmp_path):
    data = pickle.dumps(Trap(tmp_path / "trace"), protocol=protocol)
    (tmp_path / "model.pkl").write_bytes(data)
    save_model(tmp_path / "weights", model(3), header={})
    (tmp_path / "weights" / WEIGHTS).write_bytes(data)
    save_model(tmp_path / "header", model(3), header={})
    (tmp_path / "header" / HEADER).write_bytes(data)
    for name in ("model.pkl", "weights", "header"):
        with pytest.raises(DataError) as caught:
            load_model(tmp_path / name, model(0))
        # The two oldest protocols have no signature of their own: refused as what they are not.
        assert protocol < 2 or "refused: loading one can run any code" in str(caught.value)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04rest", b"\x89HDF\r\n\x1a\n", b"{}"])
def test_other_files_are_not_models(data, tmp_path):
    (tmp_path / "model.pt").write_bytes(data)
    with pytest.raises(FormatError):
        load_model(tmp_path / "model.pt", model(0))
    with pytest.raises(MissingInputError, match="no model there"):
        load_model(tmp_path / "none", model(0))


SMALL = {"w": np.arange(3, dtype=np.float32), "n": 3}


@pytest.mark.parametrize("name", [HEADER, WEIGHTS])
def test_truncations_and_flipped_bits_are_found(name, tmp_path):
    """Every length, and one bit of every byte."""
    save_model(tmp_path, SMALL, header={"steps": 10})
    data = (tmp_path / name).read_bytes()
    truncated = [data[:n] for n in range(len(data))]
    flipped = [data[:p] + bytes([data[p] ^ (1 << p % 8)]) + data[p + 1 :] for p in range(len(data))]
    for changed in [*truncated, data + b"\0", data + b"\n", *flipped]:
        # In place: this test is about reading, and there are thousands.
        with open(tmp_path / name, "r+b") as file:
            file.write(changed)
            file.truncate()
        with pytest.raises((ChecksumError, FormatError)) as caught:
            load_model(tmp_path, SMALL)
        assert name in str(caught.value)


def rewrite_header(directory, name=HEADER, **changes) -> None:
    """Other contents under a good checksum."""
    record = unseal((directory / name).read_bytes()[:-1], what="here", indent=1)
    (directory / name).write_bytes(seal({**record, **changes}, indent=1) + b"\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 0},
        {"weights_bytes": 1 << 60},
        {"weights_bytes": "many"},
        {"weights_sha256": "0" * 64},
        {"weights_sha256": None},
        {"leaves": []},
        {"leaves": {"w": 3}},
        {"leaves": {"w": {"shape": [1 << 60], "dtype": "float32"}, "n": {"shape": [], "dtype": "int64"}}},
        {"leaves": {"w": {"shape": None, "dtype": {}}, "n": {"shape": [], "dtype": "int64"}}},
        {"header": None},
    ],
)
def test_forged_headers_are_refused(changes, tmp_path):
    save_model(tmp_path, SMALL, header={})
    rewrite_header(tmp_path, **changes)
    with pytest.raises(DataError):
        load_model(tmp_path, SMALL)


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"\xff" * 8,
        b"\x02\0\0\0\0\0\0\0{}",
        safetensors.save({"w": SMALL["w"]}),
        safetensors.save({"w": SMALL["w"], "n": np.zeros(2)}),
        safetensors.save({"w": SMALL["w"].astype("f8"), "n": np.array(3)}),
    ],
)
def test_forged_weights_are_refused(weights, tmp_path):
    save_model(tmp_path, SMALL, header={})
    (tmp_path / WEIGHTS).write_bytes(weights)
    rewrite_header(tmp_path, weights_sha256=hashlib.sha256(weights).hexdigest(), weights_bytes=len(weights))
    with pytest.raises(DataError):
        load_model(tmp_path, SMALL)


def test_newer_models_are_refused_with_advice(tmp_path):
    save_model(tmp_path, SMALL, header={})
    rewrite_header(tmp_path, schema=2)
    with pytest.raises(SchemaError, match="newer latflow: schema 2; allowed: up to 1"):
        load_model(tmp_path, SMALL)


@pytest.mark.parametrize("found", [None, 0, ARCHITECTURE + 1, str(ARCHITECTURE)])
def test_models_of_another_revision_of_the_flows_are_refused(found, tmp_path):
    """Also where every leaf has the right shape, and never passed over in favour of an older checkpoint."""
    save_model(tmp_path / "model", SMALL, header={})
    rewrite_header(tmp_path / "model", architecture=found)
    with pytest.raises(ModelMismatchError, match=f"architecture {found}; allowed: architecture {ARCHITECTURE}; train"):
        load_model(tmp_path / "model", SMALL)
    save_many(tmp_path)
    rewrite_header(tmp_path, "step-000000500.json", architecture=found)
    with pytest.raises(ModelMismatchError, match="another revision of the flows"):
        load_checkpoint(tmp_path, faults.state(0))


def save_many(directory, steps=(100, 200, 300, 400, 500)) -> None:
    for step in steps:
        save_checkpoint(directory, faults.state(step), step=step, header={"history": [step]})


def test_the_three_newest_checkpoints_are_kept(tmp_path):
    assert load_checkpoint(tmp_path / "none", faults.state(0)) is None
    assert load_checkpoint(tmp_path, faults.state(0)) is None
    save_many(tmp_path)
    names = [f"step-{step:09d}.{kind}" for step in (300, 400, 500) for kind in ("json", "safetensors")]
    assert sorted(os.listdir(tmp_path)) == names
    checkpoint = load_checkpoint(tmp_path, faults.state(0))
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.name, checkpoint.skipped) == (500, "step-000000500.json", [])
    assert checkpoint.header == {"history": [500]}
    assert bits(checkpoint.state) == bits(faults.state(500))


def damage(path, how: str) -> None:
    data = path.read_bytes()
    middle = len(data) // 2
    changed = {"empty": b"", "short": data[:-1], "flip": data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]}
    path.unlink() if how == "gone" else path.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["empty", "short", "flip", "gone"])
@pytest.mark.parametrize("kind", ["json", "safetensors"])
def test_a_damaged_newest_checkpoint_falls_back_and_says_both_names(how, kind, tmp_path):
    save_many(tmp_path)
    damage(tmp_path / f"step-000000500.{kind}", how)
    checkpoint = load_checkpoint(tmp_path, faults.state(0))
    assert checkpoint is not None
    assert checkpoint.name == "step-000000400.json"
    assert bits(checkpoint.state) == bits(faults.state(400))
    if (kind, how) == ("json", "gone"):  # weights without a header were never saved
        assert checkpoint.skipped == []
    else:
        assert len(checkpoint.skipped) == 1
        assert checkpoint.skipped[0].startswith("step-000000500.json: ")
    save_checkpoint(tmp_path, faults.state(450), step=450, header={})
    assert sorted({name.partition(".")[0] for name in os.listdir(tmp_path)}) == [
        f"step-{step:09d}" for step in (300, 400, 450)
    ]


def test_when_every_checkpoint_is_damaged_it_says_so(tmp_path):
    save_many(tmp_path)
    for step in (300, 400, 500):
        damage(tmp_path / f"step-{step:09d}.safetensors", "flip")
    with pytest.raises(ChecksumError, match=r"no checkpoint is whole: .*500.*400.*300.*remove the directory"):
        load_checkpoint(tmp_path, faults.state(0))


def test_a_renamed_checkpoint_is_not_taken_for_a_newer_one(tmp_path):
    save_many(tmp_path, steps=(100, 200))
    for kind in ("json", "safetensors"):
        os.rename(tmp_path / f"step-000000100.{kind}", tmp_path / f"step-000000900.{kind}")
    checkpoint = load_checkpoint(tmp_path, faults.state(0))
    assert checkpoint is not None
    assert checkpoint.step == 200
    assert "not the checkpoint of step 900" in checkpoint.skipped[0]


def test_a_checkpoint_of_another_model_or_version_is_no_damage(tmp_path):
    save_many(tmp_path)
    with pytest.raises(ModelMismatchError, match="other is not in the file"):
        load_checkpoint(tmp_path, {**faults.state(0), "other": 1.0})
    rewrite_header(tmp_path, "step-000000500.json", schema=2)
    with pytest.raises(SchemaError):
        load_checkpoint(tmp_path, faults.state(0))


def test_saving_again_is_safe(tmp_path):
    """The same weights: one replaced header. Other weights: never an old header beside them."""
    save_model(tmp_path, faults.state(1), header={"n": 1})
    with faults.watched(lambda number, name, arguments: None) as calls:
        save_model(tmp_path, faults.state(1), header={"n": 2})
    assert calls == ["open", "write", "fsync", "replace", "fsync"]
    assert load_model(tmp_path, faults.state(0))[1] == {"n": 2}
    for number in range(1, 20):
        save_model(tmp_path, faults.state(1), header={"n": 1})

        def stop(now: int, name: str, arguments: tuple, number: int = number) -> None:
            if now == number:
                raise KeyboardInterrupt

        try:
            with faults.watched(stop):
                save_model(tmp_path, faults.state(2), header={"n": 2})
        except KeyboardInterrupt:
            try:
                step = load_model(tmp_path, faults.state(0))[0]["step"]
            except MissingInputError:
                continue
            assert step in (1, 2)
        else:
            assert number > 10
            break
    assert load_model(tmp_path, faults.state(0))[0]["step"] == 2


def test_the_header_can_be_read_by_anyone(tmp_path):
    save_model(tmp_path, SMALL, header={"steps": 10})
    record = json.loads((tmp_path / HEADER).read_text())
    assert record["leaves"] == {"w": {"shape": [3], "dtype": "float32"}, "n": {"shape": [], "dtype": "int64"}}
    assert record["header"] == {"steps": 10}
    np.testing.assert_array_equal(safetensors.load_file(tmp_path / WEIGHTS)["w"], SMALL["w"])


def test_refusals_are_refusals(tmp_path):
    """Nothing here escapes as a bare exception."""
    (tmp_path / HEADER).mkdir()
    with pytest.raises(LatflowError):
        load_model(tmp_path, SMALL)
    with pytest.raises(LatflowError):
        save_model(tmp_path, SMALL, header={})
