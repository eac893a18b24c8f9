"""One environment for every test: float64, strict ranks, and array annotations executed."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxtyping import install_import_hook

install_import_hook("latflow", "annotations.checked")

import jax  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

import compilation  # noqa: E402
import memory  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# one set of examples, and no time limit for one: a busy machine is not a failure
settings.register_profile("latflow", deadline=None, derandomize=True)
settings.load_profile("latflow")


collect_ignore = ["typing"]  # read by pyright in `make lint`, never run

# tracing makes many small objects that live: looking for rings among them took a tenth of the time
gc.set_threshold(50_000, 10, 10)

BOUND = memory.Bound()
COMPILER = compilation.Compiler()
PEAKS = pytest.StashKey[dict[str, int]]()
PROGRAMS = pytest.StashKey[Path]()


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """Give memory back between tests when there is much of it."""
    yield
    BOUND.keep()


@pytest.fixture(autouse=True, scope="module")
def bounded_programs() -> Iterator[None]:
    """Forget compiled programs between modules when there are many."""
    yield
    if memory.many_maps():
        memory.forget()


@pytest.fixture(autouse=True, scope="module")
def compiler(request: pytest.FixtureRequest) -> compilation.Compiler:
    """Compile plain code in modules that may, else as users do."""
    everything = bool(request.config.getoption("optimised"))
    COMPILER.set(optimised=everything or not compilation.plain(request.path))
    return COMPILER


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--optimised", action="store_true", help="compile all programs as users do; slower")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PEAKS] = {}
    COMPILER.install()
    if not hasattr(config, "workerinput"):  # workers share the folder of the process that started them
        config.stash[PROGRAMS] = compilation.share()


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(PROGRAMS, None)
    if folder is not None:
        compilation.unshare(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker has ended: keep what it says."""
    del error
    output = getattr(node, "workeroutput", {})
    if "peak" in output:
        node.config.stash[PEAKS][node.gateway.id] = output["peak"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session fails if one of its processes has grown too large."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak"] = memory.peak()
        return
    peaks = session.config.stash[PEAKS]
    peaks |= {} if peaks else {"tests": memory.peak()}
    if not memory.verdict(peaks)[0] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """One line on the memory of all processes."""
    good, line = memory.verdict(config.stash[PEAKS])
    terminalreporter.write_line(line if good else f"FAILED {line}", red=not good)
