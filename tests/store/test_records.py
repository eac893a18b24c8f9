"""Sealed records: every changed byte is found; nothing but a named refusal comes out of bad ones."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latflow.store.records import (
    ChecksumError,
    FormatError,
    SchemaError,
    canonical,
    parse,
    require_schema,
    resolve_inside,
    seal,
    unseal,
)

RECORD = {"schema": 1, "kind": "ensemble", "identity": {"seed": 3, "coupling": 6.975, "shape": [6, 6], "α": None}}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(
    record=st.dictionaries(st.text().filter(lambda key: key != "check"), values, max_size=4),
    indent=st.sampled_from([None, 1]),
)
def test_a_seal_opens_to_what_was_sealed(record, indent):
    assert unseal(seal(record, indent=indent), what="here", indent=indent) == record


@pytest.mark.parametrize("indent", [None, 1])
def test_every_flipped_bit_is_found(indent):
    data = seal(RECORD, indent=indent)
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            with pytest.raises((ChecksumError, FormatError), match="here"):
                unseal(bytes(changed), what="here", indent=indent)


def test_every_truncation_and_every_extension_is_found():
    data = seal(RECORD)
    for changed in [*(data[:n] for n in range(len(data))), data + b" ", data + b"\n", b" " + data, data + data]:
        with pytest.raises((ChecksumError, FormatError)):
            unseal(changed, what="here")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1e999, "check": ""}',
        b'{"a": 1}',
        b'{"check": "0"}',
        b"[" * 100_000,
        b'{"a": ' + b"1" * 5000 + b"}",
        b"\x80\x04\x95\x00",
    ],
)
def test_garbage_gets_a_named_refusal(data):
    with pytest.raises((ChecksumError, FormatError), match="somewhere") as caught:
        unseal(data, what="somewhere")
    assert caught.value.exit_code == 65


def test_numpy_values_are_spelt_as_plain_ones():
    value = {"n": np.int64(3), "x": np.float64(0.1), "a": np.arange(3), "t": (1, 2)}
    assert json.loads(canonical(value)) == {"n": 3, "x": 0.1, "a": [0, 1, 2], "t": [1, 2]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("nan"), object(), {1, 2}, b"bytes"])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(FormatError, match="cannot be written as JSON"):
        canonical({"value": value})


def test_a_bare_value_is_not_a_record():
    with pytest.raises(FormatError, match="a bare list"):
        parse(b"[1]", what="here")


def test_newer_schemas_are_refused_with_advice():
    with pytest.raises(SchemaError, match="newer latflow: schema 2; allowed: up to 1; update") as caught:
        require_schema({"schema": 2}, newest=1, what="here")
    assert caught.value.exit_code == 65


@pytest.mark.parametrize("schema", [None, 0, -1, "1", True, 1.0])
def test_no_schema_is_refused(schema):
    with pytest.raises(FormatError, match="no schema number"):
        require_schema({"schema": schema}, newest=1, what="here")


@pytest.mark.parametrize("name", ["../a", "a/b", "/etc/passwd", "..", ".", "", "a\0b", "a\\b", "link"])
def test_names_that_leave_the_directory_are_refused(name, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_text("secret")
    (tmp_path / "in/link").symlink_to("../out")
    with pytest.raises(FormatError, match="refuses a name that leaves it"):
        resolve_inside(tmp_path / "in", name)


def test_plain_names_are_resolved(tmp_path):
    assert resolve_inside(tmp_path, "block-000000.h5") == tmp_path / "block-000000.h5"
