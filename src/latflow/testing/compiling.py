"""How the dearest programs of laws are compiled: they run for a moment, and took longer to optimise than to run.

XLA is asked for plain code. The mathematics stays, the rounding does not. Only a CPU takes such options.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

_PLAIN: dict[str, bool | int | str] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}


def plain_jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled to plain code.

    Args:
        function: Of arrays and modules, as for `equinox.filter_jit`.
    """

    @functools.cache
    def compiled(platform: str) -> Callable[..., Any]:
        options: dict[str, Any] = {"compiler_options": _PLAIN} if platform == "cpu" else {}
        return eqx.filter_jit(function, **options)

    @functools.wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        return compiled(jax.default_backend())(*args, **named)

    return called
