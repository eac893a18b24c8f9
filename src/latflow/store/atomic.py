"""Writing a file so that it is, at every instant, either the old one or the new one.

Temporary file in the same directory → write → flush → fsync → re-read and hash → `os.replace` → fsync of the directory.
Nothing is ever written under its final name, so a process killed anywhere leaves at worst a stray temporary, which
`clean_temporaries` recognises by its name. Failures of the disk become `StorageError` with path and free space.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from latflow.errors import CannotCreateError, MissingInputError, StorageError
from latflow.store.records import JSON, ChecksumError, FormatError

_CHUNK = 1 << 20
_WRITING = threading.Lock()
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
_HINTS = {
    errno.ENOSPC: "free some space and run the same command again; everything written before is whole",
    errno.EDQUOT: "your quota is used up; free some space and run the same command again",
    errno.EACCES: "check the permissions of the directory",
    errno.EROFS: "the file system is read-only; choose another --run-dir",
}


def write_bytes(path: Path, data: bytes) -> str:
    """Replace or create `path` in one instant.

    Returns:
        The SHA-256 of the file, hexadecimal.

    Raises:
        StorageError: The disk refused, or gave back other bytes than were written; `path` is as it was before.
    """
    digest = hashlib.sha256(data).hexdigest()
    temporary = temporary_beside(path)
    try:
        with _WRITING:
            write_new(temporary, data)
            if sha256_file(temporary) != digest:
                raise OSError(errno.EIO, "the disk gives back other bytes than were written")
            os.replace(temporary, path)
            sync_directory(path.parent)
    except OSError as error:
        _discard(temporary)
        raise storage_error(path, error, needed=len(data)) from error
    return digest


@contextlib.contextmanager
def between_writes(*, seconds: float) -> Iterator[None]:
    """Context in which no `write_bytes` of this process is under way, for a process that is about to end.

    Args:
        seconds: How long to wait for one; a disk that hangs for longer is not waited for.
    """
    held = _WRITING.acquire(timeout=seconds)
    try:
        yield
    finally:
        if held:
            _WRITING.release()


def write_json(path: Path, value: JSON) -> str:
    """Write indented JSON, keys in the order given; returns the SHA-256.

    Raises:
        FormatError: NaN, infinity, or something without a JSON form.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=1)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: cannot be written as JSON", value=str(error)) from error
    return write_bytes(path, (text + "\n").encode("utf-8"))


def read_bytes(path: Path, *, length: int | None = None) -> bytes:
    """A whole regular file; memory used is the file's size and no more.

    Args:
        path: The file.
        length: Refuse before reading if the file has another length.

    Raises:
        MissingInputError: There is no such file.
        FormatError: Not a regular file.
        ChecksumError: Another length.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FormatError(f"{path}: not a regular file")
            if length is not None and status.st_size != length:
                raise ChecksumError(
                    f"{path}: has {status.st_size} bytes", allowed=f"{length} bytes", hint="the file is damaged"
                )
            return file.read(status.st_size)
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise FormatError(f"{path}: not a regular file") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot read", value=error.strerror or str(error)) from error


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def clean_temporaries(directory: Path) -> list[str]:
    """Remove temporaries of killed writers from `directory` and return their names. Only for the holder of the run."""
    strays = sorted(name for name in os.listdir(directory) if _TEMPORARY.fullmatch(name))
    for name in strays:
        _discard(directory / name)
    return strays


def is_temporary(name: str) -> bool:
    """Whether a file of this name is an unfinished write."""
    return _TEMPORARY.fullmatch(name) is not None


def make_directory(path: Path) -> None:
    """Create a directory and its parents durably; one that exists is left alone.

    Raises:
        StorageError: It cannot be created.
    """
    try:
        missing = [level for level in (path, *path.parents) if not level.exists()]
        for level in reversed(missing):
            level.mkdir(exist_ok=True)
            sync_directory(level.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    if not path.is_dir():
        raise StorageError(f"{path}: cannot create the directory", value="a file of that name is in the way")


def require_directory(path: Path, *, new: bool = False) -> None:
    """Refuse a place where an output cannot be created, before anything is computed for it.

    Args:
        path: The directory in which files are to be created.
        new: Whether it and its parents will be made if they are missing.

    Raises:
        CannotCreateError: There is no such directory, a file is in the way, or it cannot be written to.
    """
    there = next(level for level in (path, *path.parents) if os.path.lexists(level)) if new else path
    if not there.exists():
        raise CannotCreateError(f"{there}: no such directory", hint="create it first, or choose another")
    if not there.is_dir():
        raise CannotCreateError(f"{there}: a file is in the way", allowed="a directory")
    if not os.access(there, os.W_OK | os.X_OK):
        raise CannotCreateError(f"{there}: no permission to create files there", hint="choose another directory")


@contextlib.contextmanager
def directory_for(path: Path) -> Iterator[None]:
    """Context in which a directory and its parents are made; on an error those made are removed again if empty.

    Raises:
        CannotCreateError: As `require_directory`.
        StorageError: It cannot be created.
    """
    require_directory(path, new=True)
    made = [level for level in (path, *path.parents) if not level.exists()]
    make_directory(path)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # a directory that is not empty stays
            for level in made:
                level.rmdir()
        raise


def remove_file(path: Path) -> None:
    """Remove a file durably; one that is gone already is no error."""
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error


def temporary_beside(path: Path) -> Path:
    """A fresh name in the same directory, hence on the same file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def write_new(path: Path, data: bytes) -> None:
    """Create `path` with `data` and flush it to the disk; the caller handles `OSError`."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems have no fsync of directories
            raise
    finally:
        os.close(handle)


def storage_error(path: Path, error: OSError, *, needed: int = 0) -> StorageError:
    """The error for a failed write, with the space needed and the space available."""
    reason = error.strerror or str(error)
    return StorageError(
        f"{path}: cannot write",
        value=f"{reason} ({needed} bytes needed, {_free(path.parent)} bytes free)",
        hint=_HINTS.get(error.errno or 0, ""),
    )


def _open_without_waiting(path: str, flags: int) -> int:
    """Open without blocking: a named pipe without a writer would otherwise block for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


def _free(directory: Path) -> str:
    try:
        return str(shutil.disk_usage(directory).free)
    except OSError:
        return "unknown"


def _discard(path: Path) -> None:
    """Remove a temporary if possible; one that is left does no harm and is removed at the next start."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
