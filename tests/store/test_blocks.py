"""Blocks: bit-exact round trip, equal bytes for equal contents, and a named refusal of everything else (F6, F7)."""

import io
import subprocess
import sys
import time

import h5py
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latflow.errors import DataError, MissingInputError
from latflow.store.blocks import DTYPES, Block, decode_block, decode_bytes, encode_block, frame
from latflow.store.records import ChecksumError, FormatError, SchemaError

ARRAYS = {
    "x": np.random.default_rng(0).normal(size=(5, 3, 3)),
    "accepted": np.array([True, False, True, True, False]),
    "index": np.arange(5, dtype=np.int32),
}
ATTRIBUTES = {"first": 0, "sampler": "flow", "weights": [0.1, -0.0, 1e-300], "none": None}
IMAGE = encode_block(ARRAYS, ATTRIBUTES)


names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)
values = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@settings(max_examples=40, deadline=None)
@given(
    arrays=st.dictionaries(
        st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
        ),
        max_size=3,
    ),
    attributes=st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.booleans()), max_size=3),
)
def test_round_trip_is_exact(arrays, attributes):
    block = decode_bytes(encode_block(arrays, attributes), what="here")
    assert block.attributes == attributes
    assert block.arrays.keys() == arrays.keys()
    assert all(same(block.arrays[name], array) for name, array in arrays.items())


def test_not_a_number_survives_with_its_bits():
    odd = np.array([np.nan, -np.nan, np.inf, -0.0, 5e-324])
    assert same(decode_bytes(encode_block({"odd": odd}, {}), what="here").arrays["odd"], odd)


def test_any_memory_layout_is_stored_alike():
    x = np.arange(24.0).reshape(4, 6)
    images = {encode_block({"x": y}, {}) for y in (x, np.asfortranarray(x), x.astype(">f8"), np.repeat(x, 2, 0)[::2])}
    assert len(images) == 1


def test_large_attributes_and_many_arrays():
    arrays = {f"array_{i}": np.full(3, i) for i in range(200)}
    block = decode_bytes(encode_block(arrays, {"text": "x" * 200_000}), what="here")
    assert len(block.arrays) == 200
    assert block.attributes == {"text": "x" * 200_000}


def test_equal_contents_give_equal_bytes():
    """Another process, another time, another order of the keys."""
    code = (
        "import numpy as np; from latflow.store.blocks import encode_block; import sys, hashlib;"
        "junk = [bytes([i]) * 100_000 for i in range(50)]; del junk;"
        "x = np.random.default_rng(0).normal(size=(5, 3, 3));"
        "a = {'index': np.arange(5, dtype=np.int32), 'accepted': np.array([True, False, True, True, False]), 'x': x};"
        "b = {'none': None, 'weights': [0.1, -0.0, 1e-300], 'sampler': 'flow', 'first': 0};"
        "sys.stdout.buffer.write(encode_block(a, b)); assert 'jax' not in sys.modules"
    )
    time.sleep(1.1)
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == IMAGE


def test_the_file_is_plain_hdf5(tmp_path):
    (tmp_path / "block.h5").write_bytes(IMAGE)
    with h5py.File(tmp_path / "block.h5") as file:
        assert sorted(file) == ["accepted", "index", "x"]
        np.testing.assert_array_equal(file["x"][()], ARRAYS["x"])


def test_only_the_arrays_asked_for(tmp_path):
    (tmp_path / "block.h5").write_bytes(IMAGE)
    block = decode_block(tmp_path / "block.h5", ["x"])
    assert type(block) is Block
    assert list(block.arrays) == ["x"]
    assert block.attributes == ATTRIBUTES
    with pytest.raises(FormatError, match="no array of that name: y; allowed: accepted, index, x"):
        decode_block(tmp_path / "block.h5", ["x", "y"])
    with pytest.raises(MissingInputError):
        decode_block(tmp_path / "none.h5")


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([object()]), np.zeros(2, "f2"), np.zeros(2, "M8[s]")])
def test_other_dtypes_are_refused(array):
    with pytest.raises(FormatError, match="dtype of array 'a'"):
        encode_block({"a": array}, {})


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "é", "x" * 101, "1a"])
def test_other_names_are_refused(name):
    with pytest.raises(FormatError, match="array name"):
        encode_block({name: np.zeros(1)}, {})


def test_every_truncation_is_found():
    for length in range(len(IMAGE)):
        with pytest.raises((ChecksumError, FormatError), match="here"):
            decode_bytes(IMAGE[:length], what="here")


def test_every_flipped_bit_is_found():
    for position in range(len(IMAGE)):
        changed = bytearray(IMAGE)
        for bit in range(8):
            changed[position] ^= 1 << bit
            with pytest.raises((ChecksumError, FormatError), match="here"):
                decode_bytes(bytes(changed), what="here")
            changed[position] ^= 1 << bit


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 600, b"\x89HDF\r\n\x1a\n" + b"\0" * 600, b"latflow block\n1\n", IMAGE + b"\0", IMAGE[512:]]
)
def test_foreign_files_are_refused(data):
    with pytest.raises((ChecksumError, FormatError), match="here"):
        decode_bytes(data, what="here")


def test_a_newer_format_is_refused_with_advice(monkeypatch):
    monkeypatch.setattr("latflow.store.blocks.VERSION", 2)
    data = encode_block(ARRAYS, {})
    monkeypatch.undo()
    with pytest.raises(SchemaError, match="newer latflow: block 2; allowed: up to 1; update"):
        decode_bytes(data, what="here")


def forged(build, *, attributes: object = np.bytes_(b"{}")) -> bytes:
    """A block with a good checksum around whatever `build` puts into the HDF5 file."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest", userblock_size=512) as file:
        if attributes is not None:
            file.attrs["attributes"] = attributes
        build(file)
    return frame(buffer.getvalue()[512:])


def null_space(file):
    file["a"] = h5py.Empty("f8")


def external(file):
    file.create_dataset("a", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (3,))
    file.create_virtual_dataset("a", layout)


elsewhere = "stored in chunks, filtered or elsewhere"
not_plain = "is not a plain array"
FORGERIES = {
    "terabytes declared": ("declares 8796093022208 bytes", lambda file: file.create_dataset("a", (1 << 40,), "f8")),
    "declared and not there": ("declares 64 bytes: 0", lambda file: file.create_dataset("a", (8,), "f8")),
    "chunks": (elsewhere, lambda file: file.create_dataset("a", data=np.zeros(8), chunks=(8,))),
    "a bomb": (elsewhere, lambda file: file.create_dataset("a", data=np.zeros(10**6), compression="gzip")),
    "external storage": (
        elsewhere,
        lambda file: file.create_dataset("a", (8,), "u1", external=[("/etc/passwd", 0, 8)]),
    ),
    "virtual": (elsewhere, virtual),
    "external link": (not_plain, lambda file: file.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/x"))),
    "soft link": (not_plain, lambda file: file.__setitem__("a", h5py.SoftLink("/a"))),
    "group": (not_plain, lambda file: file.create_group("a")),
    "root again": (not_plain, lambda file: file.__setitem__("a", file["/"])),
    "type": (not_plain, lambda file: file.__setitem__("a", np.dtype("f8"))),
    "text of any length": ("has type object", lambda file: file.create_dataset("a", data="text")),
    "ragged": ("has type object", lambda file: file.create_dataset("a", (2,), h5py.vlen_dtype("f8"))),
    "references": ("has type object", lambda file: file.create_dataset("a", data=file.ref, dtype=h5py.ref_dtype)),
    "record type": ("has type", lambda file: file.create_dataset("a", data=np.zeros(2, [("r", "f8"), ("s", "i4")]))),
    "half floats": ("has type float16", lambda file: file.create_dataset("a", data=np.zeros(2, "f2"))),
    "no space": ("not a block", null_space),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_forged_contents_are_refused_without_following_or_allocating(case):
    message, build = FORGERIES[case]
    data = forged(build)
    assert len(data) < 100_000
    with pytest.raises(FormatError, match="here: ") as caught:
        decode_bytes(data, what="here")
    assert message in str(caught.value)


def test_an_external_file_is_not_followed_even_if_it_is_there(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.arange(3.0)
    data = forged(lambda file: file.__setitem__("a", h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")))
    with pytest.raises(FormatError, match=not_plain):
        decode_bytes(data, what="here")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (None, "not a block: KeyError"),
        (3, "attributes of type int64"),
        ("text of any length", "attributes of type object"),
        (np.zeros(3), "attributes of type float64"),
        (np.full(3, b"{}"), "attributes of type"),
        (np.bytes_(b"[]"), "attributes are not a table"),
        (np.bytes_(b"{"), "not a block: JSONDecodeError"),
    ],
)
def test_forged_attributes_are_refused(attributes, message):
    with pytest.raises(FormatError, match=message):
        decode_bytes(forged(lambda file: None, attributes=attributes), what="here")


def mutate(rng: np.random.Generator) -> bytes:
    """A block with a few random bytes of its HDF5 image changed and a good checksum."""
    image = bytearray(IMAGE[512:])
    for _ in range(rng.integers(1, 4)):
        image[rng.integers(len(image))] = rng.integers(256)
    return frame(bytes(image))


@pytest.mark.parametrize("n", [300, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_random_forgeries_end_in_a_refusal_or_a_block(n):
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(n):
        try:
            decode_bytes(mutate(rng), what="here")
        except DataError:
            refused += 1
    assert refused > n // 4


def test_datasets_carry_labels_for_other_readers(tmp_path):
    arrays = {"x": np.arange(3.0), "y": np.zeros((3, 2))}
    labels = {"x": {"long_name": "φ², a title", "axes": "record"}}
    data = encode_block(arrays, {"first": 0}, labels)
    assert data == encode_block(arrays, {"first": 0}, labels)
    assert encode_block(arrays, {"first": 0}, {}) == encode_block(arrays, {"first": 0})
    (tmp_path / "block.h5").write_bytes(data)
    found = decode_block(tmp_path / "block.h5")
    assert found.attributes == {"first": 0}
    assert np.array_equal(found.arrays["x"], arrays["x"])
    with h5py.File(tmp_path / "block.h5", "r") as file:
        assert {key: text.decode() for key, text in file["x"].attrs.items()} == labels["x"]
        assert not dict(file["y"].attrs)
