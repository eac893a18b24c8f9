"""How tests compile: most of their programs run for a moment and took longer to optimise than to run.

In the folders of `PLAIN_FOLDERS` XLA is asked for plain code, by options that it takes with every program. The
mathematics stays, the rounding does not, and long runs are slower: a module there that compares bits with another
process, or that computes for long, is marked ``optimised`` and compiles as users do. ``--optimised`` compiles all tests
so, and the nightly tests are. Other processes that tests start are never touched.
"""

import functools
from typing import Any

from jax._src import compiler

import memory

PLAIN = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}


PLAIN_FOLDERS = ("flows", "laws", "testing", "training")
"""Folders of tests that compile plain code."""


class Compiler:
    """The compiler of this process: plain, or as users have it."""

    def __init__(self) -> None:
        self.optimised = True

    def install(self) -> None:
        """Stand between JAX and XLA; options that a program asks for go first."""
        asked = compiler.get_compile_options

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
