"""F9: one writer per run, across processes, through deaths, reused process numbers and races."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from latflow.errors import CannotCreateError, StorageError
from latflow.store import lock
from latflow.store.lock import NAME, RunLock

HOLD = """
import sys, time
from latflow.store.lock import RunLock
with RunLock({path!r}):
    print("held", flush=True)
    sys.stdin.read()
assert "jax" not in sys.modules
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until its stdin closes."""
    code = HOLD.format(path=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_lock_is_there_while_held_and_gone_after(tmp_path):
    with RunLock(tmp_path / "run") as held:
        assert os.listdir(tmp_path / "run") == [NAME]
        held.check()
        lease = json.loads((tmp_path / "run" / NAME).read_text())
        assert lease["pid"] == os.getpid()
    assert os.listdir(tmp_path / "run") == []


def test_a_living_holder_is_named_and_kept(tmp_path, holder):
    with pytest.raises(CannotCreateError) as caught, RunLock(tmp_path):
        pass
    assert caught.value.exit_code == 73
    assert f"held by process {holder.pid} on {socket.gethostname()}" in str(caught.value)
    holder.communicate("")
    assert holder.returncode == 0
    with RunLock(tmp_path):
        pass


def test_the_same_process_does_not_get_it_twice(tmp_path):
    with RunLock(tmp_path), pytest.raises(CannotCreateError), RunLock(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_killed_holder_is_taken_over_at_once(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while _state(holder.pid) != "Z" and time.monotonic() < deadline:
        time.sleep(0.01)
    start = time.monotonic()
    with RunLock(tmp_path) as held:  # it is a zombie still: nobody has waited for it
        held.check()
        assert time.monotonic() - start < 5


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def leave(path: Path, **changes) -> None:
    """A lock file of this process, changed."""
    with RunLock(path):
        data = json.loads((path / NAME).read_text())
    (path / NAME).write_text(json.dumps({**data, **changes}))


def test_a_reused_process_number_is_not_the_holder(tmp_path):
    leave(tmp_path, started="1")
    with RunLock(tmp_path) as held:
        held.check()
    leave(tmp_path)
    with pytest.raises(CannotCreateError), RunLock(tmp_path):
        pass


def test_a_holder_elsewhere_that_touches_its_lock_is_alive(tmp_path):
    leave(tmp_path, place="another machine", host="node7", pid=1)
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.1):
            os.utime(tmp_path / NAME)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(CannotCreateError, match="process 1 on node7"), RunLock(tmp_path, expiry=20.0):
            pass
    finally:
        stop.set()
        thread.join()


def test_a_holder_elsewhere_that_is_silent_expires(tmp_path):
    leave(tmp_path, place="another machine")
    start = time.monotonic()
    with RunLock(tmp_path, expiry=1.0):
        assert 0.5 < time.monotonic() - start < 10
    leave(tmp_path, place="another machine")
    os.utime(tmp_path / NAME, (0, 0))  # long silent: no waiting
    start = time.monotonic()
    with RunLock(tmp_path, expiry=60.0):
        assert time.monotonic() - start < 5
    leave(tmp_path, place="another machine")
    os.utime(tmp_path / NAME, (2**33, 2**33))  # touched in the future by a wrong clock
    with RunLock(tmp_path, expiry=1.0):
        pass


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"text"', b'{"pid": "../../x"}', b"\xff" * 100, b"[" * 100_000])
def test_an_unreadable_lease_expires(data, tmp_path):
    (tmp_path / NAME).write_bytes(data)
    os.utime(tmp_path / NAME, (0, 0))
    with RunLock(tmp_path) as held:
        held.check()
    forged = {"pid": "../../x", "host": "h", "place": lock._place(), "started": "", "token": "t"}
    (tmp_path / NAME).write_text(json.dumps(forged))
    os.utime(tmp_path / NAME, (0, 0))
    with RunLock(tmp_path):
        pass


def test_the_lock_is_touched_while_held(tmp_path):
    with RunLock(tmp_path, heartbeat=0.05):
        os.utime(tmp_path / NAME, (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / NAME).stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / NAME).stat().st_mtime > 0


def test_a_lost_lock_is_noticed_and_not_removed(tmp_path):
    with RunLock(tmp_path, heartbeat=0.01) as held:
        other = json.dumps({**json.loads((tmp_path / NAME).read_text()), "token": "other"})
        (tmp_path / NAME).write_text(other)
        os.utime(tmp_path / NAME, (0, 0))
        with pytest.raises(StorageError, match="the lock was lost"):
            held.check()
        time.sleep(0.1)
        assert (tmp_path / NAME).stat().st_mtime == 0
    assert (tmp_path / NAME).read_text() == other


def test_without_hard_links(tmp_path, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with RunLock(tmp_path), pytest.raises(CannotCreateError), RunLock(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_litter_of_killed_contenders_is_removed(tmp_path):
    leave(tmp_path, started="1")
    for name in (f"{NAME}.0123456789abcdef", f".{NAME}.0123456789ab.tmp"):
        (tmp_path / name).write_bytes((tmp_path / NAME).read_bytes())
    (tmp_path / "study.toml").write_bytes(b"")
    with RunLock(tmp_path):
        assert sorted(os.listdir(tmp_path)) == [NAME, "study.toml"]


def test_a_lock_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError), RunLock(tmp_path / "file"):
        pass


RACE = """
import os, random, sys, time
from pathlib import Path
from latflow.errors import CannotCreateError
from latflow.store import lock
from latflow.store.lock import RunLock

# Between seeing a dead lease and acting on it lies the danger; every second round makes that moment long.
real = lock._alive

def slow(*arguments, **keywords):
    answer = real(*arguments, **keywords)
    time.sleep(random.random() * 0.05 * (number % 2))
    return answer

lock._alive = slow
root, rounds, contenders = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for number in range(rounds):
    run = root / str(number)
    # A dead holder: a child that dies inside the lock.
    if os.fork() == 0:
        RunLock(run).__enter__()
        os._exit(0)
    os.wait()
    ready, go = os.pipe()
    done, trying = os.pipe()
    for _ in range(contenders):
        if os.fork() == 0:
            os.close(go)
            random.seed(os.getpid())
            os.read(ready, 1)  # returns when the parent closes: all start at once
            try:
                RunLock(run).__enter__()
            except CannotCreateError:
                os._exit(73)
            os.close(trying)
            os.read(done, 1)  # returns when nobody tries any more
            os._exit(0)
    os.close(ready)
    os.close(trying)
    os.close(go)
    codes = sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(contenders))
    if codes != [0] + [73] * (contenders - 1):
        sys.exit(f"round {number}: exit codes {codes}")
    os.close(done)
"""


@pytest.mark.parametrize(("rounds", "contenders"), [(15, 6), pytest.param(300, 12, marks=pytest.mark.nightly)])
def test_racing_for_a_dead_holders_lock_has_one_winner(rounds, contenders, memory_path):
    command = [sys.executable, "-c", RACE, str(memory_path), str(rounds), str(contenders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000, check=False)
    assert (done.returncode, done.stderr) == (0, "")
