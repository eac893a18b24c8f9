"""How tests compile: most of their programs run for a moment and took longer to optimise than to run.

XLA is asked for plain code, by options that it takes with every program. The mathematics stays, the rounding does not;
what computes for long takes twice as long. Half of the samplers' tests took 96 CPU seconds in the place of 171, those
of a study of links 77 in the place of 135.
``--optimised`` compiles all tests as users do, and modules of `OPTIMISED_MODULES` always do. Of other processes that
tests start, those that ask for it by `FLAGS` compile plain code, and no others.

Compiled programs are kept in a folder for as long as the tests run (`share`), so that no program is compiled twice: not
by the other worker, not after the programs of a process were forgotten, not by a process that a test starts.
"""

import functools
import inspect
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jax
from jax._src import compiler

import memory

HERE = Path(__file__).parent

PLAIN = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
FLAGS = " ".join(f"--{name}={value}".replace("True", "true").replace("False", "false") for name, value in PLAIN.items())
"""The same for another process, as ``XLA_FLAGS``."""


KEPT = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
"""All programs, also those that compile in a moment: there are thousands of them."""

OPTIMISED_MODULES = ("study/test_compiling.py", "test_compilation.py")
"""Beginnings of the paths, in this folder, of the modules whose programs compile as those of users do. Documents that
compute for long are named in ``test_docs.py``."""


def plain(path: Path) -> bool:
    """Whether a module compiles plain code."""
    return not (path.is_relative_to(HERE) and path.relative_to(HERE).as_posix().startswith(OPTIMISED_MODULES))


def share() -> Path:
    """Keep compiled programs of this process, and of those that it starts, in a new folder.

    JAX writes an entry in place: another process that reads it then, or finds what a killed one left, is warned and
    compiles.
    """
    folder = tempfile.mkdtemp(prefix="programs-")
    for name, value in {**KEPT, "jax_compilation_cache_dir": folder}.items():
        os.environ[name.upper()] = str(value)
        jax.config.update(name, value)
    return Path(folder)


def unshare(folder: Path) -> None:
    """Remove what `share` kept."""
    shutil.rmtree(folder, ignore_errors=True)


class Compiler:
    """The compiler of this process: plain, or as users have it."""

    def __init__(self) -> None:
        self.optimised = True

    def install(self) -> None:
        """Stand between JAX and XLA; options that a program asks for go first."""
        asked = getattr(compiler, "get_compile_options", None)
        if asked is None or "env_options_overrides" not in inspect.signature(asked).parameters:
            return  # another version of JAX: all tests compile as users do

        @functools.wraps(asked)
        def options(*args: Any, env_options_overrides: dict[str, Any] | None = None, **rest: Any) -> Any:
            plain = {} if self.optimised else PLAIN
            return asked(*args, env_options_overrides={**plain, **(env_options_overrides or {})}, **rest)

        compiler.get_compile_options = options

    def set(self, *, optimised: bool) -> None:
        """Compile so from now on; what was compiled otherwise is forgotten."""
        if optimised != self.optimised:
            self.optimised = optimised
            memory.forget()
