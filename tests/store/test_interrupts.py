"""F8 in pieces: real signals to a child that works under `Interrupts`; no jax in the child."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from latflow.errors import Interrupted
from latflow.store.interrupts import SIGNALS, Interrupts

CHILD = """
import hashlib, os, pathlib, sys, time
from latflow.errors import LatflowError
from latflow.store import atomic, interrupts
from latflow.store.interrupts import Interrupts
interrupts.GRACE_SECONDS, interrupts._WRITE_SECONDS = 0.5, 300.0
def slow_disk():
    # A file that is being written when the time is over, in a directory given as the first argument.
    real = os.fsync
    os.fsync = lambda handle: time.sleep(1.5) or real(handle)
    atomic.write_bytes(pathlib.Path(sys.argv[1]) / "block", b"whole")
    busy()
def busy():
    # One long call that never comes back to Python's signal handlers, like a compiled scan.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
try:
    with Interrupts({options}) as interrupts:
        print("ready", flush=True)
        while True:
            {work}
            interrupts.check()
except LatflowError as error:
    print("saved", error, flush=True)
    sys.exit(error.exit_code)
"""


@pytest.fixture
def child():
    """Starts such a process, and leaves none behind."""
    processes = []

    def start(work: str, options: str = "", *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-c", CHILD.format(work=work, options=options), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_request(number, child):
    process = child("time.sleep(0.01)")
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 75
    assert out == f"saved stopped by {signal.Signals(number).name}; the same command continues from what was saved\n"
    assert err == ""


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGUSR1, signal.SIGINT)])
def test_the_second_signal_ends_the_process_at_once(first, second, child):
    """Even inside one long call outside Python, where its own signal handlers do not run."""
    process = child("busy()")
    time.sleep(0.5)
    process.send_signal(first)
    time.sleep(0.5)
    process.send_signal(second)
    out, err = process.communicate(timeout=300)
    # Nothing printed: it did not come back from the call to `check`, which would have raised and said so.
    assert (process.returncode, out, err) == (75, "", "")


def test_an_echo_is_not_a_second_signal(child):
    """`timeout` signals the process and then its group."""
    process = child("time.sleep(0.5)")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 75
    assert out.startswith("saved stopped by SIG")


OVERDUE = "overdue=lambda message: print(message, flush=True)"


def test_work_that_does_not_end_is_given_up(child):
    """One long call, such as a compilation, never looks at the flag: the process ends without its result."""
    process = child("busy()", OVERDUE)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (75, "")
    assert out.startswith("stopped by SIGTERM: the current step had not ended")
    assert out.endswith("what was saved before it stays; the same command continues from there\n")


def test_a_file_that_is_being_written_is_finished(child, tmp_path):
    process = child("slow_disk()", OVERDUE, str(tmp_path))
    while not list(tmp_path.iterdir()):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 75
    assert "is lost" in out
    assert [path.name for path in tmp_path.iterdir()] == ["block"]
    assert (tmp_path / "block").read_bytes() == b"whole"


def test_a_message_that_nobody_reads_holds_nothing_up(child):
    process = child("busy()", "overdue=lambda message: time.sleep(1e6)")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=300) == 75


def test_handlers_are_put_back_and_nothing_leaks():
    before = [signal.getsignal(number) for number in SIGNALS]
    handles = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with Interrupts() as interrupts:
            assert not interrupts.requested
            interrupts.check()
            os.kill(os.getpid(), signal.SIGUSR1)
            assert interrupts.requested
            with pytest.raises(Interrupted, match="stopped by SIGUSR1") as caught:
                interrupts.check()
            assert caught.value.exit_code == 75
        assert [signal.getsignal(number) for number in SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1
    deadline = time.monotonic() + 10
    while len(os.listdir("/proc/self/fd")) > handles and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= handles


def test_other_threads_are_left_alone():
    seen = []

    def work() -> None:
        with Interrupts() as interrupts:
            interrupts.check()
            seen.append(interrupts.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
