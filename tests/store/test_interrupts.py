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
import hashlib, sys, time
from latflow.errors import LatflowError
from latflow.store.interrupts import Interrupts
def busy():
    # One long call that never comes back to Python's signal handlers, like a compiled scan.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
try:
    with Interrupts() as interrupts:
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

    def start(work: str) -> subprocess.Popen:
        command = [sys.executable, "-c", CHILD.format(work=work)]
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
