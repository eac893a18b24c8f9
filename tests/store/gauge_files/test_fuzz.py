"""Damaged files of every format: a named refusal or a field that passes every check, in little memory, and an end."""

import re
import struct
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import faults
from latflow.errors import DataError
from latflow.store.gauge_files.configuration import LARGEST_DEFECT
from latflow.store.gauge_files.files import read_configuration, spell
from store.gauge_files.fields import configuration, payload

SHAPE = (2, 2, 2, 2)
DOUBLE, SINGLE = configuration(SHAPE), configuration(SHAPE, precision="float32")
FILES = {
    "ildg": spell(DOUBLE, "ildg"),
    "scidac": spell(SINGLE, "scidac"),
    "nersc": spell(DOUBLE, "nersc"),
    "nersc two rows": spell(SINGLE, "nersc-two-row"),
    "milc": spell(SINGLE, "milc"),
    "openqcd": spell(DOUBLE, "openqcd"),
    "bridge": "\n".join(map(repr, np.frombuffer(payload(DOUBLE.links, "<d"), "<f8").tolist())).encode(),
}
ALLOWANCE = 64 << 20
SECONDS = 20.0  # for one small file, on a machine however busy
WORDS = ("", "-1", "1e400", "0.5e999", "1e-999", "nan", "0x1f", "1_000", "\u0663")
NUMBERS = (*range(5), 7, 16, 255, 65535, 2**20, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 10**30)


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory(dir=faults.MEMORY) as folder:
        yield Path(folder) / "file"


def judge(place, data, *, force=False):
    """Read damaged bytes; whether they were accepted."""
    place.write_bytes(data)
    begin = time.monotonic()
    tracemalloc.start()
    try:
        found = read_configuration(place, shape=None if force else SHAPE, force=force)
    except DataError:  # any other exception, and any other of ours, fails the test
        found = None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= len(data) + ALLOWANCE
    assert time.monotonic() - begin < SECONDS
    assert found is None or force or (not found.failed and found.defect <= LARGEST_DEFECT)
    return found is not None


@st.composite
def damaged(draw, data):
    """Bytes changed, cut out, repeated, or numbers of the header replaced by others."""
    kind = draw(st.sampled_from(["bytes", "bytes in the header", "cut", "end", "repeat", "number", "word"]))
    header = min(len(data), 2400)
    at = draw(st.integers(0, (header if kind in ("bytes in the header", "word", "number") else len(data)) - 1))
    length = draw(st.integers(1, 64))
    match kind:
        case "bytes" | "bytes in the header":
            return data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[at + draw(st.integers(0, 8)) :]
        case "cut":
            return data[:at] + data[at + length :]
        case "end":
            return data[:at]
        case "repeat":
            return data[: at + length] * draw(st.integers(1, 3)) + data[at:]
        case "word":
            form = draw(st.sampled_from(["<I", ">I", "<Q", ">Q"]))
            word = struct.pack(form, draw(st.sampled_from(NUMBERS)) % 2 ** (8 * struct.calcsize(form)))
            return data[:at] + word + data[at + len(word) :]
        case _:
            found = re.search(rb"[0-9]+", data[at:])
            if found is None:
                return data[:at]
            text = str(draw(st.sampled_from((*NUMBERS, *WORDS)))).encode()
            return data[: at + found.start()] + text + data[at + found.end() :]


def fuzz(place, name, *, examples):
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]

    @settings(max_examples=examples, deadline=None, suppress_health_check=quiet, database=None)
    @given(data=damaged(FILES[name]), force=st.booleans())
    def run(data, force):
        judge(place, data, force=force)

    run()


@pytest.mark.parametrize("name", FILES)
def test_damage_is_named(name, place):
    assert judge(place, FILES[name])
    fuzz(place, name, examples=60)


@pytest.mark.nightly
@pytest.mark.parametrize("name", FILES)
def test_much_damage_is_named(name, place):
    fuzz(place, name, examples=5000)


@pytest.mark.parametrize("name", [name for name in FILES if name != "bridge"])
def test_every_truncation_is_named(name, place):
    """Whole headers byte by byte, then the payload in strides; text may lose the last digits of its last number."""
    data = FILES[name]
    lengths = [*range(min(len(data), 400)), *range(400, len(data), 97), len(data) - 1]
    assert not any(judge(place, data[:length]) for length in lengths)


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("bridge", "openqcd")])
def test_every_kind_of_flipped_bit_in_the_links_is_found(name, place):
    """A checksum finds them all; openQCD and text have none, and a last digit changes nothing that is measured."""
    data = FILES[name]
    start = {"ildg": data.find(b"ildg-binary-data") + 128, "scidac": data.find(b"scidac-binary-data") + 128}.get(
        name, data.find(b"END_HEADER") + 11 if name.startswith("nersc") else 96
    )
    size = {"ildg": 9216, "scidac": 4608, "nersc": 9216, "nersc two rows": 3072, "milc": 4608}[name]
    for place_, bit in zip(range(start, start + size, 61), [*range(8)] * 200, strict=False):
        wrong = bytearray(data)
        wrong[place_] ^= 1 << bit
        assert not judge(place, bytes(wrong))
