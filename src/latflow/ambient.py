"""What JAX and its compiler read from the surroundings of the process and what can change a number.

The program fixes all of it before its first computation: the settings of JAX, and the number of threads of the
compiler's pool, by which XLA on a CPU cuts large operations and thereby rounds them. What cannot be fixed, such as the
flags of the compiler, is recorded with every result. A user of the Python API keeps the settings of JAX and its pool:
draws, and the products of a training, do not depend on them, but other numbers of threads round differently. For the
bits of the program set `NPROC=4` before JAX starts.
"""

import os
from pathlib import Path
from typing import Any

from latflow.execution import accelerated, cores

THREADS = 4
"""Threads of the compiler's pool: a constant, so that bits follow the study and not the machine, see
docs/decisions/0013-threads.md."""

MATMUL_PRECISION = "highest"
"""By default accelerators round the factors of float32 products to ten bits, also in the networks of flows."""

SETTINGS: dict[str, Any] = {
    "jax_enable_x64": True,
    "jax_default_matmul_precision": MATMUL_PRECISION,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_default_dtype_bits": "64",
    "jax_numpy_dtype_promotion": "standard",
    "jax_disable_jit": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_use_direct_linearize": True,
    "jax_softmax_custom_jvp": True,
    "jax_optimization_level": "UNKNOWN",
    "jax_memory_fitting_level": "O2",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
}
"""Settings of JAX that change numbers or refuse computations; those that this JAX does not have are passed over."""

_RECORDED = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")
_HARMLESS = (
    *("JAX_PLATFORM", "JAX_LOG", "JAX_TRACEBACK", "JAX_EXPLAIN", "JAX_DUMP", "JAX_NUMPY_RANK_PROMOTION"),
    # where compiled programs are kept: the same ones are found there
    *("JAX_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE"),
)
_POOL = "tf_XLAEigen"
"""The name that the threads of the compiler's pool have on Linux."""


def fix_threads() -> None:
    """Give the compiler's pool its size; nothing happens once JAX has started, or if the user has chosen a size."""
    os.environ.setdefault("NPROC", str(THREADS))


def fix_settings() -> None:
    """Set JAX as every result of the program needs it, whatever the environment says."""
    import jax

    for name, value in SETTINGS.items():
        if name in jax.config.values:
            jax.config.update(name, value)


def threads() -> int:
    """Threads of the compiler's pool in this process; as asked for where the system does not show them.

    On an accelerator they decide nothing, and there may be other pools.
    """
    found = 0 if accelerated() else _named_threads()
    if found:
        return found
    asked = os.environ.get("NPROC", "")
    return int(asked) if asked.isdigit() and int(asked) else cores()


def _named_threads() -> int:
    try:
        names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    except OSError:  # not Linux, or a thread has ended meanwhile
        return 0
    return sum(name.startswith(_POOL) for name in names)


def chosen() -> dict[str, str]:
    """Variables of the environment that may change a number and that the program does not fix, as they were set."""
    fixed = {name.upper() for name in SETTINGS}
    names = (name for name in os.environ if name.startswith("JAX_") and not name.startswith(_HARMLESS))
    return {name: os.environ[name] for name in sorted({*_RECORDED, *names} - fixed) if os.environ.get(name)}
