"""Atomic writes: old or new, never between; failures say path and space."""

import errno
import hashlib
import os

import pytest

import faults
from latflow.errors import MissingInputError, StorageError
from latflow.store.atomic import (
    clean_temporaries,
    is_temporary,
    make_directory,
    read_bytes,
    remove_file,
    sha256_file,
    temporary_beside,
    write_bytes,
    write_json,
)
from latflow.store.records import ChecksumError, FormatError


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(3_000_000)])
def test_what_is_written_is_read(data, tmp_path):
    digest = write_bytes(tmp_path / "file", data)
    assert digest == hashlib.sha256(data).hexdigest() == sha256_file(tmp_path / "file")
    assert read_bytes(tmp_path / "file") == data
    assert os.listdir(tmp_path) == ["file"]


def test_json_is_written_in_the_order_given(tmp_path):
    write_json(tmp_path / "file", {"schema": 1, "a": [1, "χ"], "b": None})
    assert (tmp_path / "file").read_text(
        encoding="utf-8"
    ) == '{\n "schema": 1,\n "a": [\n  1,\n  "χ"\n ],\n "b": null\n}\n'


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_json_that_is_none_is_refused_before_writing(value, tmp_path):
    with pytest.raises(FormatError, match="file: cannot be written as JSON"):
        write_json(tmp_path / "file", {"a": value})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_refused_write_leaves_the_old_file(call, code, tmp_path):
    write_bytes(tmp_path / "file", b"old")

    def refuse(number: int, name: str, arguments: tuple) -> None:
        if name == call:
            raise OSError(code, os.strerror(code))

    with faults.watched(refuse), pytest.raises(StorageError) as caught:
        write_bytes(tmp_path / "file", b"newer")
    assert caught.value.exit_code == 74
    assert f"{tmp_path / 'file'}: cannot write: {os.strerror(code)} (5 bytes needed, " in str(caught.value)
    assert " bytes free)" in str(caught.value)
    assert read_bytes(tmp_path / "file") == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_partial_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:7]))
    write_bytes(tmp_path / "file", bytes(range(256)))
    assert read_bytes(tmp_path / "file") == bytes(range(256))


def test_a_disk_that_changes_bytes_is_noticed(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data).replace(b"a", b"b")))
    with pytest.raises(StorageError, match="gives back other bytes"):
        write_bytes(tmp_path / "file", b"abc")
    assert os.listdir(tmp_path) == []


def test_a_vanished_directory_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="No such file or directory"):
        write_bytes(tmp_path / "gone/file", b"x")


def test_dev_full(tmp_path, monkeypatch):
    """A real ENOSPC from the kernel."""
    (tmp_path / "full").symlink_to("/dev/full")
    monkeypatch.setattr("latflow.store.atomic.temporary_beside", lambda path: tmp_path / "full")
    monkeypatch.setattr(os, "open", _without_exclusive(os.open))
    with pytest.raises(StorageError, match="No space left on device"):
        write_bytes(tmp_path / "file", b"x")


def _without_exclusive(real):
    return lambda path, flags, *rest: real(path, flags & ~os.O_EXCL, *rest)


def test_only_temporaries_are_cleaned(tmp_path):
    stray = temporary_beside(tmp_path / "block-000000.h5")
    for path in (stray, tmp_path / "block-000000.h5", tmp_path / ".hidden.tmp", tmp_path / "notes.tmp"):
        path.write_bytes(b"")
    assert is_temporary(stray.name)
    assert clean_temporaries(tmp_path) == [stray.name]
    assert sorted(os.listdir(tmp_path)) == [".hidden.tmp", "block-000000.h5", "notes.tmp"]


def test_reading_refuses_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(FormatError, match="not a regular file"):
            read_bytes(tmp_path / name)
    with pytest.raises(FormatError, match="not a regular file"):
        read_bytes(tmp_path / "/dev/zero")
    with pytest.raises(MissingInputError, match="no such file"):
        read_bytes(tmp_path / "none")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError, match="cannot read"):
        read_bytes(tmp_path / "loop")


def test_another_length_is_refused_before_reading(tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(1 << 40)  # a sparse terabyte
    with pytest.raises(ChecksumError, match="has 1099511627776 bytes; allowed: 10 bytes"):
        read_bytes(tmp_path / "huge", length=10)


def test_directories(tmp_path):
    make_directory(tmp_path / "a/b/c")
    make_directory(tmp_path / "a/b/c")
    (tmp_path / "file").write_bytes(b"")
    for path in ("file", "file/inside"):
        with pytest.raises(StorageError, match="cannot"):
            make_directory(tmp_path / path)


def test_removing_twice_is_no_error(tmp_path):
    write_bytes(tmp_path / "file", b"x")
    remove_file(tmp_path / "file")
    remove_file(tmp_path / "file")
    assert os.listdir(tmp_path) == []
