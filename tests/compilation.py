"""How tests compile: most of their programs run for a moment and took longer to optimise than to run.

In the modules of `PLAIN_MODULES` XLA is asked for plain code, by options that it takes with every program. The
mathematics stays, the rounding does not, and what computes for long takes twice as long: only modules are listed there
that were measured to gain. ``--optimised`` compiles all tests as users do. Other processes that tests start are never
touched.
"""

import functools
import inspect
from pathlib import Path
from typing import Any

from jax._src import compiler

import memory

HERE = Path(__file__).parent

PLAIN = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}


PLAIN_MODULES = (
    "bijections/ode/test_discrete.py",
    "bijections/ode/test_of_draws.py",
    "bijections/test_class_maps.py",
    "bijections/test_splits.py",
    "bijections/test_sun_splits.py",
    "cli/test_reduce.py",
    "fields/test_compact.py",
    "fields/test_gradient_flow.py",
    "fields/test_plaquette_angles.py",
    "fields/test_product.py",
    "flows/test_architectures.py",
    "flows/test_autoregressive.py",
    "flows/test_conditional.py",
    "flows/test_continuous.py",
    "flows/test_doubling.py",
    "flows/test_doubling_range.py",
    "flows/test_fitted.py",
    "flows/test_gauge.py",
    "flows/test_link_layers.py",
    "flows/test_links.py",
    "flows/test_matched.py",
    "flows/test_multiscale_links.py",
    "flows/test_robot_arm.py",
    "flows/test_villain.py",
    "groups/",
    "laws/test_action_laws.py",
    "laws/test_bijection_laws.py",
    "laws/test_density_laws.py",
    "laws/test_flow_symmetries.py",
    "laws/test_gauge_kernel_laws.py",
    "laws/test_one_step_invariance.py",
    "laws/test_space_laws.py",
    "laws/test_stein_laws.py",
    "samplers/test_heatbath.py",
    "samplers/test_open_boundaries.py",
    "study/test_conditional.py",
    "study/test_evidence.py",
    "study/test_foreign.py",
    "study/test_gauge_flow.py",
    "study/test_gradient_flow.py",
    "study/test_integration.py",
    "study/test_limits.py",
    "study/test_load_model.py",
    "study/test_models.py",
    "study/test_normalisation.py",
    "study/test_quasi.py",
    "study/test_streams.py",
    "study/test_targets.py",
    "test_reduction.py",
    "testing/",
    "theories/test_directional.py",
    "theories/test_sine_gordon.py",
    "training/",
    "variates/",
)
"""Beginnings of the paths, in this folder, of the modules that compile plain code."""


def plain(path: Path) -> bool:
    """Whether a module compiles plain code."""
    return path.is_relative_to(HERE) and path.relative_to(HERE).as_posix().startswith(PLAIN_MODULES)


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
