"""Planting faults at the level of the operating system's calls, and two jobs to plant them in.

A *job* brings a directory to its final state from whatever it finds there, and calls `done(k)` after its k-th durable
step. `sweep` forks one child per mutating call of the job, kills it right before that call, runs the job again, and
compares every byte with an uninterrupted run. Run as a program, this file is the child process of the fault tests: a
fork needs a process without threads, and one import serves a thousand forks.
"""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

MUTATING = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "link", "truncate", "utime")

Job = Callable[[Path, Callable[[int], None]], None]

# Kills and refusals do not care for the disk, and fsync on a busy one would take most of the time.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

_NEVER = 10**6
_real_write = os.write


@contextmanager
def watched(before: Callable[[int, str, tuple], None]) -> Iterator[list[str]]:
    """Call `before(number, name, arguments)` ahead of every mutating call of `os`; yields the names seen."""
    seen: list[str] = []
    real = {name: getattr(os, name) for name in MUTATING}

    def wrap(name: str) -> Callable:
        def call(*arguments, **keywords):
            if name != "open" or arguments[1] & (os.O_WRONLY | os.O_RDWR):
                seen.append(name)
                before(len(seen), name, arguments)
            return real[name](*arguments, **keywords)

        return call

    try:
        for name in MUTATING:
            setattr(os, name, wrap(name))
        yield seen
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def operations(job: Job, directory: Path) -> list[str]:
    """The mutating calls of an uninterrupted run."""
    with watched(lambda number, name, arguments: None) as seen:
        job(directory, lambda step: None)
    return seen


def killed(job: Job, directory: Path, *, before: int, torn: bool = False) -> tuple[bool, int]:
    """Run `job` in a fork, killed before its call number `before`.

    Args:
        job: The job.
        directory: Where it works.
        before: Number of the call.
        torn: If that call is a write, half of the bytes reach the file first.

    Returns:
        Whether it came that far, and how many steps it had reported done.
    """
    reading, writing = os.pipe()

    def strike(number: int, name: str, arguments: tuple) -> None:
        if number == before:
            if torn and name == "write":
                _real_write(arguments[0], arguments[1][: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        with watched(strike):
            job(directory, lambda step: _real_write(writing, b".") and None)
        os._exit(0)
    os.close(writing)
    status = os.waitpid(child, 0)[1]
    steps = len(os.read(reading, 4096))
    os.close(reading)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"the job failed before call {before}"
    return os.WIFSIGNALED(status), steps


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below, by relative path."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def sweep(job: Job, check: Callable[[Path, int], None], *, torn: bool, twice: bool) -> dict[str, int]:
    """Kill `job` before each of its calls and see it recover.

    Args:
        job: The job.
        check: Looks at the directory after a kill, given the steps reported done; raises AssertionError if one is lost.
        torn: As in `killed`.
        twice: Kill the recovery before each of its calls, too.
    """
    kills = 0
    with tempfile.TemporaryDirectory(dir=MEMORY) as root:
        job(Path(root) / "warm", lambda step: None)  # the imports write their own files
        reference = Path(root) / "reference"
        calls = operations(job, reference)
        want = contents(reference)
        for first in range(1, len(calls) + 1):
            for second in range(1, _NEVER) if twice else (_NEVER,):
                directory = Path(root) / f"{first}-{second}"
                struck, steps = killed(job, directory, before=first, torn=torn)
                assert struck, f"call {first} was never made"
                check(directory, steps)
                again, _ = killed(job, directory, before=second, torn=torn)
                if again:
                    check(directory, steps)
                    job(directory, lambda step: None)
                kills += 1 + again
                assert contents(directory) == want, f"killed before call {first}, then before call {second}"
                if not again:
                    break
    return {"calls": len(calls), "kills": kills}


MANIFEST = {"kind": "ensemble", "identity": {"seed": 1, "action": {"coupling": 6.975}}}
N_BLOCKS = 3
STEPS = (100, 200, 300, 400)


def block(index: int) -> dict[str, np.ndarray]:
    """A small block, a function of its index."""
    return {"x": np.random.default_rng(index).normal(size=(4, 2, 2)), "accepted": np.arange(4) % 2 == index % 2}


def ensemble_job(directory: Path, done: Callable[[int], None]) -> None:
    """An ensemble of three blocks."""
    from latflow.store.ensemble import Ensemble

    ensemble = Ensemble.open_or_create(directory, MANIFEST)
    while ensemble.n_blocks < N_BLOCKS:
        index = ensemble.n_blocks
        ensemble.append(block(index), n=4, attributes={"first": 4 * index})
        done(index + 1)


def check_ensemble(directory: Path, steps: int) -> None:
    """No block that was reported done is lost, and all are whole."""
    from latflow.store.ensemble import MANIFEST as NAME
    from latflow.store.ensemble import Ensemble

    if not (directory / NAME).exists():
        assert steps == 0
        return
    ensemble = Ensemble.open(directory, writable=False)
    assert ensemble.n_blocks >= steps
    assert all(np.array_equal(ensemble.read(i).arrays["x"], block(i)["x"]) for i in range(ensemble.n_blocks))


def state(step: int) -> dict[str, object]:
    """A small training state, a function of its step."""
    rng = np.random.default_rng(step)
    return {"weights": rng.normal(size=(3, 2)).astype(np.float32), "moments": [rng.normal(size=2)], "step": step}


def checkpoint_job(directory: Path, done: Callable[[int], None]) -> None:
    """Training to step 400 with a checkpoint every 100 steps, three of them kept."""
    from latflow.training.model_file import load_checkpoint, save_checkpoint

    checkpoint = load_checkpoint(directory, state(0))
    assert checkpoint is None or not checkpoint.skipped
    for index, step in enumerate(STEPS):
        # A killed pruning is made up for by the next save; the last step has none, so it is saved again.
        if checkpoint is None or step >= min(checkpoint.step + 100, STEPS[-1]):
            save_checkpoint(directory, state(step), step=step, header={"history": [step]})
            done(index + 1)


def check_checkpoint(directory: Path, steps: int) -> None:
    """The newest checkpoint that was reported done, or a later one, is there and whole."""
    from latflow.training.model_file import load_checkpoint

    checkpoint = load_checkpoint(directory, state(0))
    assert (checkpoint is None) <= (steps == 0)
    if checkpoint is not None:
        assert not checkpoint.skipped
        assert checkpoint.step >= (STEPS[steps - 1] if steps else 0)
        assert np.array_equal(checkpoint.state["weights"], state(checkpoint.step)["weights"])


JOBS = {"ensemble": (ensemble_job, check_ensemble), "checkpoint": (checkpoint_job, check_checkpoint)}


def main() -> None:
    """``faults.py sweep JOB plain|torn once|twice`` prints the counts; ``faults.py job JOB DIRECTORY`` does it once."""
    verb, name, *rest = sys.argv[1:]
    job, check = JOBS[name]
    if verb == "sweep":
        counts = sweep(job, check, torn=rest[0] == "torn", twice=rest[1] == "twice")
        sys.stdout.write(json.dumps(counts))
    else:
        job(Path(rest[0]), lambda step: None)


if __name__ == "__main__":
    main()
