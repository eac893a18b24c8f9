"""One writer per run directory, without flock (which network file systems ignore or hang on).

The lock is the file ``run.lock``; whoever creates it exclusively holds it. It contains a lease: process number, start
time, place (host, boot and process namespace) and a random token. A holder in the same place is dead if no process of
that number and start time runs; one elsewhere is dead if it has not touched the file for `expiry` seconds. A dead
holder's lock is removed under a guard, a second lock named after the dead lease: without it, two processes that both
found the dead lease could remove each other's new lock.
"""

import errno
import json
import os
import secrets
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType

from latflow.errors import CannotCreateError, StorageError
from latflow.store.atomic import make_directory, storage_error, temporary_beside, write_new

NAME = "run.lock"

_POLL = 0.2
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class Lease:
    """Who holds a lock.

    Attributes:
        pid: Process number.
        host: Where it runs, for the reader of the message.
        place: Host, boot and process namespace: the same only where `pid` can be looked up.
        started: Start time of the process as the system prints it; differs if another process reuses the number.
        token: Random; never used twice.
    """

    pid: int
    host: str
    place: str
    started: str
    token: str


class RunLock:
    """Context manager that holds a run directory.

    Args:
        directory: The run directory; created if absent.
        heartbeat: Seconds between touches of the lock file.
        expiry: Seconds without a touch after which a holder on another machine counts as dead.

    Raises:
        CannotCreateError: On entering: a living process holds it; the message names it.
        StorageError: On entering: the lock cannot be written.
    """

    def __init__(self, directory: Path, *, heartbeat: float = 10.0, expiry: float = 60.0) -> None:
        self.directory = Path(directory)
        self._path = self.directory / NAME
        self._heartbeat = heartbeat
        self._expiry = expiry
        self._lease = _own_lease()
        self._stop = threading.Event()

    def __enter__(self) -> "RunLock":
        make_directory(self.directory)
        self._lease = _own_lease()
        try:
            _acquire(self._path, self._lease, expiry=self._expiry)
        except OSError as error:
            raise storage_error(self._path, error, needed=len(_spell(self._lease))) from error
        _remove_litter(self._path)
        self._stop = threading.Event()
        threading.Thread(target=self._beat, args=(self._stop,), name="run lock", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the directory free; once is enough."""
        self._stop.set()
        # A forked child leaves this block too, and must not release its parent's lock.
        if self._lease.pid == os.getpid() and _token(self._path) == self._lease.token:
            with suppress(OSError):
                self._path.unlink()

    def check(self) -> None:
        """Check that this process still holds the lock; a machine that slept longer than `expiry` may have lost it.

        Raises:
            StorageError: It is not.
        """
        if _token(self._path) != self._lease.token:
            raise StorageError(f"{self._path}: the lock was lost", hint="another process has taken over this run")

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(self._heartbeat):
            with suppress(OSError):
                if _token(self._path) == self._lease.token:
                    os.utime(self._path)


def _acquire(path: Path, lease: Lease, *, expiry: float) -> None:
    """Create `path` with `lease`, removing dead holders' locks on the way."""
    while not _create(path, lease):
        holder, data = _read(path)
        if data is None:
            continue  # released in between
        if _alive(path, holder, data, expiry=expiry):
            raise _held(path, holder)
        _remove_dead(path, data, lease, expiry=expiry)


def _remove_dead(path: Path, dead: bytes, lease: Lease, *, expiry: float) -> None:
    """Remove the lock whose contents are `dead`. Its guard ensures that no other process removes it at the same time.

    The guard is a lock of the same kind, so that a process killed here leaves only another dead lock.
    """
    guard = path.with_name(f"{path.name}.{sha256(dead).hexdigest()[:16]}")
    _acquire(guard, lease, expiry=expiry)
    try:
        holder, data = _read(path)
        if data is not None and data == dead and not _alive(path, holder, data, expiry=expiry):
            path.unlink(missing_ok=True)
    finally:
        guard.unlink(missing_ok=True)


def _create(path: Path, lease: Lease) -> bool:
    """Create the file with its whole contents, or find that it exists."""
    data = _spell(lease)
    temporary = temporary_beside(path)
    try:
        write_new(temporary, data)
        os.link(temporary, path)
    except FileExistsError:
        return False
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        return False  # the process that holds the lock now has removed our temporary
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _create_in_place(path, data)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _create_in_place(path: Path, data: bytes) -> bool:
    """For file systems without hard links. Others may read an incomplete lease, and then wait for it to expire."""
    try:
        write_new(path, data)
    except FileExistsError:
        return False
    return True


def _read(path: Path) -> tuple[Lease | None, bytes | None]:
    """The lease, None if it cannot be read; its bytes, None if there is no lock."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, None
    try:
        lease = Lease(**json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return None, data
    return (lease if type(lease.pid) is int else None), data


def _spell(lease: Lease) -> bytes:
    return json.dumps(asdict(lease)).encode("ascii")


def _token(path: Path) -> str | None:
    """Token of whoever holds the lock; None if nobody does or it cannot be read."""
    try:
        lease, _ = _read(path)
    except OSError:
        return None
    return lease.token if lease else None


def _alive(path: Path, holder: Lease | None, data: bytes, *, expiry: float) -> bool:
    """Whether the holder runs: looked up in the same place, else judged by whether the file is touched."""
    if holder is not None and holder.place == _place():
        return _started(holder.pid) == holder.started
    touched, since = _touched(path), time.monotonic()
    while _age(path) < expiry and time.monotonic() - since < expiry:
        time.sleep(_POLL)
        if _touched(path) != touched or _read(path)[1] != data:
            return True  # touched, or taken by another holder, while we waited
    return False


def _touched(path: Path) -> int:
    """When the lock was last touched; -1 if it is gone."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return -1


def _age(path: Path) -> float:
    """Seconds since the lock was touched, by the clock of the file system, since clocks of machines may differ."""
    probe = temporary_beside(path)
    try:
        write_new(probe, b"")
        return (probe.stat().st_mtime_ns - _touched(path)) * 1e-9
    except FileNotFoundError:  # removed by the process that holds the lock now
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _held(path: Path, holder: Lease | None) -> CannotCreateError:
    who = f"process {holder.pid} on {holder.host}" if holder else "a process that is not known"
    return CannotCreateError(
        f"{path.parent}: another process is writing to this run",
        value=f"held by {who}",
        hint="wait until it ends, or stop it; the lock of a dead process is taken over by itself",
    )


def _remove_litter(path: Path) -> None:
    """Remove guards and unfinished leases of killed processes; only for the holder of the lock."""
    for stray in [*path.parent.glob(f"{path.name}.*"), *path.parent.glob(f".{path.name}.*.tmp")]:
        stray.unlink(missing_ok=True)


def _own_lease() -> Lease:
    pid = os.getpid()
    return Lease(pid, socket.gethostname(), _place(), _started(pid), secrets.token_hex(16))


def _place() -> str:
    """Host, boot and process namespace: where process numbers can be compared."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """Start time of a running process; empty if there is none of that number (a zombie is none)."""
    try:
        # The name, in brackets, may itself hold blanks and brackets; state is field 3, start time field 22.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        return "" if Path("/proc/self/stat").exists() else _started_by_ps(pid)


def _started_by_ps(pid: int) -> str:
    """As `_started`, where there is no /proc."""
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip()
