"""The dry run: what a study would do and cost, without doing it."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.groups.base import AbstractGroup
from latflow.randomness import root_key
from latflow.samplers.integrators import n_forces
from latflow.study.build import build_action, build_flow
from latflow.study.config import StudyConfig
from latflow.study.config.methods import CHAINS, FLOW, GIVEN, METHODS, SCRAMBLINGS
from latflow.study.free_memory import free_bytes, needed_bytes, require_memory
from latflow.study.methods import build_scheme, update_seconds
from latflow.study.preflight import Order
from latflow.study.theories import study_physics

NOMINAL_FLOPS = 2e10
"""Sustained floating-point operations per second assumed per process: two cores of a laptop, in float32."""

_RECORD_BYTES = 40
"""What a block keeps of a configuration beside the field."""

SECONDS_PER_FORCE, SECONDS_PER_SWEEP = 1e-8, 8e-8
"""Per site of a scalar field, as seen with 64 chains on 6 × 6 to 14 × 14 sites and two cores of a laptop: 5 to 20 ns
and 50 to 150 ns."""

_COMPILING, _COMPILING_LINKS = 2.0, 6.0
"""Seconds before the first update of a chain, scalar or of links."""

_CORES = 2

_RECTANGLES = 2.5
"""Work of an action of plaquettes and rectangles against one of plaquettes, between 1.3 (2D) and 4.7 (4D)."""

_FORCES_PER_STEP = 3.5
"""A step of the gradient flow with what is measured after it, or of APE smearing, against a force."""

_POTENTIAL = 0.3
"""Work of the potential of φ⁴ against that of the whole action."""

BASE_BYTES = 700 * 2**20
"""Resident memory of the program with JAX and its compiled code, before any array."""


def plan(config: StudyConfig) -> dict[str, Any]:
    """Parameter count, memory and time of a study, without allocating a weight.

    Returns:
        Plain data: ``parameters``, ``memory_bytes`` per part, ``memory_needed_bytes`` at once and
        ``memory_free_bytes``, null where the system does not tell, ``seconds`` per stage and ``disk_bytes``. Seconds
        are estimates from operation counts at a nominal speed and are bounded by ``training.stop.minutes``.
    """
    study_physics(config)  # refuses what the run would refuse
    has_flow = any(METHODS[name].trained for name in config.sampling.samplers)
    parameters = _parameters(config) if has_flow else 0
    configuration = _configuration_bytes(config)
    training = config.training
    products, _ = config.flow.work(parameters, _sites(config))
    step = 6.0 * products * training.batch_size / NOMINAL_FLOPS
    n_steps = training.stop.steps
    bound = math.inf if training.stop.minutes is None else 60 * training.stop.minutes
    train = min(bound, math.inf if n_steps is None else n_steps * step)
    kept = sum(configurations_of(config, name) for name in config.sampling.samplers if name not in GIVEN)
    memory = _memory(config, parameters, trained=has_flow, samplers=config.sampling.samplers)
    return {
        "parameters": parameters,
        "memory_bytes": memory,
        "memory_needed_bytes": needed_bytes(memory),
        "memory_free_bytes": free_bytes(),
        "seconds": {
            "train": _finite(train) if has_flow else 0.0,
            "sample_flow": draw_seconds(config) * config.sampling.configurations
            if FLOW in config.sampling.samplers
            else 0.0,
            **{f"sample_{name}": _sampling_seconds(config, name) for name in config.sampling.samplers if name != FLOW},
            **({"measure": measuring} if (measuring := _measuring_seconds(config)) else {}),
        },
        "disk_bytes": kept * (configuration + _RECORD_BYTES),
    }


def require_room_for(order: Order) -> None:
    """Refuse stages that need more memory than the machine has; a dry run and the run ask the same.

    A training that is done already counts no more, and stages that only read what was measured need nothing.

    Args:
        order: What is to be done.

    Raises:
        UnavailableError: As `latflow.study.free_memory.require_memory`.
    """
    config = order.config
    if not {"train", "sample", "measure"} & set(order.stages):
        return
    parameters = _parameters(config) if order.needs_model else 0
    samplers = order.samplers if {"sample", "measure"} & set(order.stages) else ()
    require_memory(_memory(config, parameters, trained=order.needs_model, samplers=samplers))


def _memory(config: StudyConfig, parameters: int, *, trained: bool, samplers: Sequence[str]) -> dict[str, int]:
    """Bytes of the program, of a training with its optimiser and gradients, and of the largest block of a sampler."""
    volume, batch = _sites(config), config.training.batch_size
    itemsize = np.dtype(config.training.precision).itemsize
    _, units = config.flow.work(parameters, volume)
    activations = batch * (units + 4 * volume) * itemsize
    # a block holds one record of every chain at least
    chains = (getattr(config, name).chains for name in samplers if name in CHAINS)
    rows = max((config.sampling.block_size, *chains)) if samplers else 0
    return {
        "program": BASE_BYTES,
        "training": int(4 * parameters * itemsize + 3 * activations) if trained else 0,
        "block": rows * (_configuration_bytes(config) + _RECORD_BYTES),
    }


def _configuration_bytes(config: StudyConfig) -> int:
    field = jax.eval_shape(build_action(config).space.random, root_key(0))
    return math.prod(field.shape) * field.dtype.itemsize


def configurations_of(config: StudyConfig, sampler: str) -> int:
    """How many configurations a study asks of one sampler, before blocks are filled up."""
    if sampler not in SCRAMBLINGS:
        return config.sampling.configurations
    table = getattr(config, sampler)
    return table.scramblings * table.points_per_scrambling


def draw_seconds(config: StudyConfig) -> float:
    """One draw of the flow."""
    products, _ = config.flow.work(_parameters(config), math.prod(config.lattice.shape))
    return config.flow.drawing * 2.0 * products / NOMINAL_FLOPS


def _sampling_seconds(config: StudyConfig, sampler: str) -> float | None:
    """Warm-up and sampling of a method beside the flow; None if it does not say what an update costs."""
    each = update_seconds(config, sampler)
    if each is None:
        return None
    compiling = _COMPILING_LINKS if config.action.fields == "links" else _COMPILING
    wanted = configurations_of(config, sampler)
    if sampler not in CHAINS:
        return compiling + wanted * each
    settings = getattr(config, sampler)
    return compiling + (settings.chains * settings.warmup + wanted * settings.thin) * each


def trajectory_seconds(config: StudyConfig) -> float:
    """One trajectory of HMC."""
    if config.action.fields == "links":
        return _links(config) * _forces(config) * _force(config) * 1e-9 * _rectangles(config) / _CORES
    return SECONDS_PER_FORCE * _forces(config) * _sites(config)


def sweep_seconds(config: StudyConfig) -> float:
    """One local sweep over a scalar field."""
    return SECONDS_PER_SWEEP * _sites(config)


def cluster_seconds(config: StudyConfig) -> float:
    """Sweeps and clusters; to find clusters costs about as much as a sweep."""
    return SECONDS_PER_SWEEP * (config.cluster.sweeps + config.cluster.clusters) * _sites(config)


def heatbath_seconds(config: StudyConfig) -> float:
    """One sweep of the heat bath with its overrelaxation.

    Powers of N and d, here and for the other updates of links, were fitted to U(1) to SU(6) on 16², 8² and 8⁴ and are
    good to a factor of two.
    """
    if config.action.fields == "spins":
        return SECONDS_PER_SWEEP * (1 + config.heatbath.overrelaxation) * _sites(config)
    n = _group(config).n
    each = (100 + 15 * n**3) * config.heatbath.overrelaxation + max(500, 1400 * n * (n - 1) // 2)
    return _links(config) * each * 1e-9 / _CORES


def link_sweep_seconds(config: StudyConfig) -> float:
    """One Metropolis sweep over the links."""
    each = 200 + 22 * _group(config).n ** 3
    return _links(config) * each * 1e-9 * _rectangles(config) / _CORES


def _sites(config: StudyConfig) -> int:
    return math.prod(config.lattice.shape)


def _links(config: StudyConfig) -> int:
    return len(config.lattice.shape) * _sites(config)


def _rectangles(config: StudyConfig) -> float:
    return _RECTANGLES if config.action.terms else 1.0


def _forces(config: StudyConfig) -> float:
    """Forces of a trajectory in units of that of the whole action, which with levels is shared out among its terms."""
    counts = n_forces(build_scheme(config), config.hmc.n_steps)
    if len(counts) == 1:
        return counts[0]
    inner = 1 / _RECTANGLES if "rectangles" in config.action.terms else _POTENTIAL
    return counts[0] * (1 - inner) + counts[1] * inner


def _measuring_seconds(config: StudyConfig) -> float:
    """Gradient flow and smearing, one configuration after another; a record and a step cost the same."""
    if config.action.fields != "links":
        return 0.0
    flow, smearing = config.gradient_flow, config.smearing
    steps = {"none": 0.0, "wilson": flow.records, "symanzik": flow.records * _RECTANGLES}[flow.kind]
    steps += 0 if smearing.kind == "none" else smearing.steps
    each = config.sampling.configurations * _links(config)
    return len(config.sampling.samplers) * each * steps * 1e-9 * _FORCES_PER_STEP * _force(config)


def _force(config: StudyConfig) -> float:
    """Nanoseconds per link of one force of Wilson's action."""
    d, product = len(config.lattice.shape), _group(config).n ** 3
    return 20 + 10 * (d - 1) + (5 + 3 * (d - 1)) * product


def _group(config: StudyConfig) -> AbstractGroup:
    space = build_action(config).space
    if not isinstance(space, GaugeSpace):
        raise ConfigError([f"action.kind: {config.action.kind}; allowed: links"])
    return space.group


def _parameters(config: StudyConfig) -> int:
    shapes = eqx.filter_eval_shape(lambda: build_flow(config))
    leaves = [leaf for leaf in jax.tree.leaves(shapes) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
    return sum(math.prod(leaf.shape) for leaf in leaves)


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None
