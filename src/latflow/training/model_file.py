"""Models and checkpoints on disk: safetensors weights beside a sealed JSON header, never pickle.

The header names every array leaf with shape and dtype and holds the SHA-256 of the weights; it is written last, so
weights without a header do not exist for a reader. Loading fills a template, which the program builds from the
configuration, and lists every leaf that differs: a file never decides what code runs.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from latflow.errors import DataError, MissingInputError, PhysicsStop, UnavailableError
from latflow.flows.architectures import ARCHITECTURE
from latflow.store.atomic import clean_temporaries, make_directory, read_bytes, remove_file, sha256_file, write_bytes
from latflow.store.records import JSON, ChecksumError, FormatError, require_schema, seal, unseal

SCHEMA = 1
HEADER = "model.json"
WEIGHTS = "weights.safetensors"

_CHECKPOINT = re.compile(r"step-(\d{9,18})\.json")
_CHECKPOINT_FILE = re.compile(r"step-(\d{9,18})\.(json|safetensors)")
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_DTYPES = frozenset(("bool", *_INTEGERS, "float32", "float64"))
_COMPLEX = {"complex64": np.float32, "complex128": np.float64}
_LISTED = 12


class ModelMismatchError(DataError):
    """A whole model file that does not fit the model it is loaded into."""


@dataclass(frozen=True)
class Checkpoint:
    """The newest state that could be verified.

    Attributes:
        state: The template with the stored leaves.
        header: The caller's header.
        step: Its step.
        name: Its file.
        skipped: Newer checkpoints that are damaged: name and reason each.
    """

    state: PyTree
    header: dict[str, JSON]
    step: int
    name: str
    skipped: list[str]


def save_model(directory: Path, model: PyTree, *, header: Mapping[str, JSON]) -> str:
    """Write a model; returns its identity, the SHA-256 of the header file (which holds that of the weights).

    Args:
        directory: Where ``model.json`` and ``weights.safetensors`` go; created if absent.
        model: Any pytree; arrays and numbers are stored, functions and text are the template's.
        header: JSON facts kept with it, such as the parents' hashes.

    Raises:
        PhysicsStop: A leaf holds NaN, or an array an infinity: such a model is never written.
    """
    directory = Path(directory)
    return _save(directory / HEADER, directory / WEIGHTS, model, header)


def load_model(directory: Path, template: PyTree) -> tuple[PyTree, dict[str, JSON]]:
    """Read a model into `template`, a pytree of the same structure (arrays or `jax.ShapeDtypeStruct`).

    Returns:
        The model and the caller's header.

    Raises:
        MissingInputError: There is no model.
        DataError: Damaged, foreign, newer, or a pickle.
        ModelMismatchError: A whole model for another architecture; the differences are listed. Or one trained by
            another revision of the flows.
        UnavailableError: It needs float64 and that is switched off.
    """
    directory = Path(directory)
    if directory.is_file():
        _refuse_foreign(read_bytes(directory), what=str(directory))
        raise FormatError(f"{directory}: a model is a directory", allowed=f"a directory with {HEADER} and {WEIGHTS}")
    return _load(directory / HEADER, directory / WEIGHTS, template)


def read_header(directory: Path) -> dict[str, Any]:
    """The caller's header of a model, without its weights.

    Raises:
        MissingInputError: There is no model.
        DataError: The header is damaged, foreign or newer.
    """
    return _read_header(Path(directory) / HEADER)["header"]


def require_whole(directory: Path) -> None:
    """Refuse a model whose header or weights are not those that were written; the model itself is not built.

    Raises:
        MissingInputError: A file of it is missing.
        DataError: One is damaged, foreign or newer.
    """
    record = _read_header(Path(directory) / HEADER)
    _read_weights(Path(directory) / WEIGHTS, sha256=record["weights_sha256"], length=record["weights_bytes"])


def save_checkpoint(directory: Path, state: PyTree, *, step: int, header: Mapping[str, JSON], keep: int = 3) -> str:
    """Write the state at `step`, then remove all but the `keep` newest up to it; returns its identity.

    Checkpoints of later steps are removed too: they belong to a course of training that was given up, or are damaged.

    Raises:
        PhysicsStop: As in `save_model`; the older checkpoints are left as they are.
    """
    directory = Path(directory)
    name = f"step-{step:09d}"
    record = {"step": step, "caller": dict(header)}
    digest = _save(directory / f"{name}.json", directory / f"{name}.safetensors", state, record)
    kept = sorted(s for s in _steps(directory) if s <= step)[-keep:]
    _prune(directory, set(kept))
    return digest


def load_checkpoint(directory: Path, template: PyTree) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None if none was ever saved.

    Raises:
        ChecksumError: There are checkpoints and every one is damaged.
        ModelMismatchError: The newest whole one is of another architecture.
        SchemaError: The newest whole one is of a newer format.
    """
    directory = Path(directory)
    if not directory.is_dir():
        return None
    skipped: list[str] = []
    for step, name in sorted(_steps(directory).items(), reverse=True):
        try:
            state, record = _load(directory / name, (directory / name).with_suffix(".safetensors"), template)
            _require_step(record, step, what=str(directory / name))
        except (ChecksumError, FormatError, MissingInputError) as error:
            skipped.append(f"{name}: {error}")
            continue
        return Checkpoint(state, record["caller"], step, name, skipped)
    if skipped:
        raise ChecksumError(
            f"{directory}: no checkpoint is whole", value="; ".join(skipped), hint="remove the directory to train again"
        )
    return None


def _require_step(record: Mapping[str, Any], step: int, *, what: str) -> None:
    if record.get("step") != step or type(record.get("caller")) is not dict:
        raise FormatError(f"{what}: not the checkpoint of step {step}", hint="the file was renamed or is foreign")


def _save(header_path: Path, weights_path: Path, tree: PyTree, header: Mapping[str, JSON]) -> str:
    """Weights, then the header that makes them exist."""
    arrays = _leaves(tree)
    _require_finite(arrays, what=str(header_path))
    weights = safetensors.save({name: _storable(name, array) for name, array in arrays.items()})
    digest = hashlib.sha256(weights).hexdigest()
    record = {
        "schema": SCHEMA,
        "architecture": ARCHITECTURE,
        "weights_sha256": digest,
        "weights_bytes": len(weights),
        "leaves": {name: _describe(array) for name, array in arrays.items()},
        "header": dict(header),
    }
    spelt = seal(record, indent=1) + b"\n"
    make_directory(header_path.parent)
    clean_temporaries(header_path.parent)
    if not (weights_path.exists() and sha256_file(weights_path) == digest):
        remove_file(header_path)  # an old header must never stand beside new weights
        write_bytes(weights_path, weights)
    return write_bytes(header_path, spelt)


def _load(header_path: Path, weights_path: Path, template: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """Header first, compared with the template; then the weights, verified before they are interpreted."""
    record = _read_header(header_path)
    _require_architecture(record, header_path)
    wanted = {name: _describe(leaf) for name, leaf in _template_leaves(template).items()}
    _compare(record["leaves"], wanted, header_path)
    arrays = _read_weights(weights_path, sha256=record["weights_sha256"], length=record["weights_bytes"])
    _compare({name: _describe(array) for name, array in arrays.items()}, _as_stored(wanted), weights_path)
    return _fill(template, arrays), record["header"]


def _require_architecture(record: Mapping[str, Any], path: Path) -> None:
    """Weights of another revision of the flows may fit in shape and yet mean another function."""
    found = record.get("architecture")
    if found != ARCHITECTURE:
        raise ModelMismatchError(
            f"{path}: trained by another revision of the flows",
            value=f"architecture {found}",
            allowed=f"architecture {ARCHITECTURE}",
            hint="train again in another run directory, or use the latflow that trained it",
        )


def _read_weights(path: Path, *, sha256: str, length: int) -> dict[str, np.ndarray]:
    try:
        data = read_bytes(path, length=length)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ChecksumError(f"{path}: does not match the checksum in its header", hint="the file is damaged")
    except ChecksumError:
        # Only now: the length that begins a good safetensors file may look like the beginning of a pickle.
        with open(path, "rb") as file:
            _refuse_foreign(file.read(16), what=str(path))
        raise
    try:
        return safetensors.load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"{path}: not a safetensors file", value=str(error)) from error


def _read_header(path: Path) -> dict[str, Any]:
    try:
        data = read_bytes(path)
    except MissingInputError as error:
        raise MissingInputError(f"{path.parent}: no model there", hint=f"it has no {path.name}") from error
    _refuse_foreign(data, what=str(path))
    if not data.endswith(b"\n"):
        raise FormatError(
            f"{path}: not a model header", value="the end is missing", hint="the file is truncated or damaged"
        )
    record = unseal(data[:-1], what=str(path), indent=1)
    require_schema(record, newest=SCHEMA, what=str(path))
    kinds = {"weights_sha256": str, "weights_bytes": int, "leaves": dict, "header": dict}
    leaves = record.get("leaves")
    plain = type(leaves) is dict and all(
        type(leaf) is dict and {*leaf} == {"shape", "dtype"} for leaf in leaves.values()
    )
    if not plain or any(type(record.get(key)) is not kind for key, kind in kinds.items()):
        raise FormatError(f"{path}: not a model header", value=f"keys {sorted(record)}")
    return record


def _refuse_foreign(data: bytes, *, what: str) -> None:
    """Formats that can run code when loaded get their own words."""
    if re.match(rb"\x80[\x02-\x05][^\0]|PK\x03\x04|c(__builtin__|builtins|os|posix)\n", data):
        raise FormatError(
            f"{what}: a pickle, or an archive of pickles", allowed=WEIGHTS, hint="refused: loading one can run any code"
        )


def _leaves(tree: PyTree) -> dict[str, np.ndarray]:
    """Arrays and numbers of a pytree by dotted path; typed keys as their raw data."""
    return {name: _to_numpy(leaf) for name, leaf in _template_leaves(tree).items()}


def _template_leaves(tree: PyTree) -> dict[str, Any]:
    paths = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): leaf for path, leaf in paths if _is_stored(leaf)}


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _is_stored(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | jax.ShapeDtypeStruct | np.ndarray | np.generic | bool | int | float | complex)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | jax.ShapeDtypeStruct) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _to_numpy(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _describe(leaf: Any) -> dict[str, JSON]:
    """Shape and dtype of a leaf as the header states them."""
    if _is_key(leaf):
        leaf = jax.eval_shape(jax.random.key_data, leaf)
    if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        leaf = np.asarray(leaf)
    return {"shape": [int(extent) for extent in leaf.shape], "dtype": leaf.dtype.name}


def _as_stored(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The same as they stand in the safetensors file, where a complex number is a last axis of length 2."""
    return {
        name: {"shape": [*leaf["shape"], 2], "dtype": np.dtype(_COMPLEX[leaf["dtype"]]).name}
        if leaf["dtype"] in _COMPLEX
        else leaf
        for name, leaf in leaves.items()
    }


def _storable(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.name in _COMPLEX:
        return np.ascontiguousarray(array).view(_COMPLEX[array.dtype.name]).reshape(*array.shape, 2)
    if array.dtype.name not in _DTYPES:
        raise FormatError(f"dtype of leaf {name!r}", value=str(array.dtype), allowed=", ".join(sorted(_DTYPES)))
    return np.ascontiguousarray(array).reshape(array.shape)


def _require_finite(arrays: Mapping[str, np.ndarray], *, what: str) -> None:
    """No NaN anywhere; infinities only as single numbers, where optimisers keep "the best so far"."""
    bad = [
        name
        for name, array in arrays.items()
        if array.dtype.kind in "fc" and (np.isnan(array).any() or (array.ndim and not np.isfinite(array).all()))
    ]
    if bad:
        raise PhysicsStop(
            f"{what}: not written", value=f"NaN or infinity in {_list(bad)}", hint="what was saved before is untouched"
        )


def _compare(have: Mapping[str, Any], want: Mapping[str, Any], path: Path) -> None:
    """Every leaf that differs, at once."""
    differences = [f"{name} is not in the file" for name in want if name not in have]
    differences += [f"{name} is not in the model" for name in have if name not in want]
    differences += [
        f"{name} is {_spell(have[name])} in the file, {_spell(want[name])} in the model"
        for name in want
        if name in have and have[name] != want[name]
    ]
    if differences:
        raise ModelMismatchError(
            f"{path}: a model of another shape",
            value=_list(differences),
            hint="use the configuration it was trained with",
        )


def _spell(description: Mapping[str, Any]) -> str:
    return f"{description['dtype']}{description['shape']}"


def _list(items: list[str]) -> str:
    rest = len(items) - _LISTED
    return "; ".join(items[:_LISTED]) + (f"; and {rest} more" if rest > 0 else "")


def _fill(template: PyTree, arrays: Mapping[str, np.ndarray]) -> PyTree:
    """The template with its stored leaves replaced."""

    def replace(path: tuple[Any, ...], leaf: Any) -> Any:
        return _restore(_name(path), leaf, arrays[_name(path)]) if _is_stored(leaf) else leaf

    return jax.tree_util.tree_map_with_path(replace, template)


def _restore(name: str, leaf: Any, array: np.ndarray) -> Any:
    """`array` as the same kind of thing as `leaf`, bit for bit."""
    if _is_key(leaf):
        implementation = jax.random.key_impl(leaf) if isinstance(leaf, jax.Array) else leaf.dtype
        return jax.random.wrap_key_data(jnp.asarray(array), impl=implementation)
    if (dtype := str(_describe(leaf)["dtype"])) in _COMPLEX:
        array = np.ascontiguousarray(array).view(dtype).reshape(array.shape[:-1])
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        restored = jnp.asarray(array)
        if restored.dtype != leaf.dtype:
            raise UnavailableError(f"{name}: {leaf.dtype} is switched off", hint="enable jax_enable_x64")
        return restored
    return array if isinstance(leaf, np.ndarray) else type(leaf)(array.item())


def _steps(directory: Path) -> dict[int, str]:
    """Header files of the checkpoints by step."""
    return {int(match[1]): name for name in os.listdir(directory) if (match := _CHECKPOINT.fullmatch(name))}


def _prune(directory: Path, kept: set[int]) -> None:
    """Remove the files of all other steps, each header before its weights."""
    for name in sorted(os.listdir(directory)):
        match = _CHECKPOINT_FILE.fullmatch(name)
        if match and int(match[1]) not in kept:
            remove_file(directory / name)
