"""The dry run: what a study would do and cost, computed without doing it."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from latflow.groups.base import AbstractGroup
from latflow.samplers.integrators import n_forces
from latflow.study.build import build_action, build_flow, build_scheme
from latflow.study.config import StudyConfig
from latflow.study.theories import build_link_action

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
        Plain data: ``parameters``, ``memory_bytes`` per part, ``seconds`` per stage and ``disk_bytes``; seconds are
        estimates from operation counts at a nominal speed and are bounded by ``training.stop.minutes``.
    """
    has_flow = "flow" in config.sampling.samplers
    parameters = _parameters(config) if has_flow else 0
    field = jax.eval_shape(build_action(config).space.random, jax.random.key(0))
    configuration = math.prod(field.shape) * field.dtype.itemsize
    itemsize = np.dtype(config.training.precision).itemsize
    volume = math.prod(config.lattice.shape)
    training = config.training
    products, units = config.flow.work(parameters, volume)
    step = 6.0 * products * training.batch_size / NOMINAL_FLOPS
    n_steps = training.stop.steps
    bound = math.inf if training.stop.minutes is None else 60 * training.stop.minutes
    train = min(bound, math.inf if n_steps is None else n_steps * step)
    draws = config.sampling.configurations
    activations = training.batch_size * (units + 4 * volume) * itemsize
    return {
        "parameters": parameters,
        "memory_bytes": {
            "program": BASE_BYTES,
            "training": int(4 * parameters * itemsize + 3 * activations) if has_flow else 0,
            "block": config.sampling.block_size * (configuration + _RECORD_BYTES),
        },
        "seconds": {
            "train": _finite(train) if has_flow else 0.0,
            "sample_flow": config.flow.drawing * 2.0 * products * draws / NOMINAL_FLOPS if has_flow else 0.0,
            **{f"sample_{name}": _chain_seconds(config, name) for name in config.sampling.samplers if name != "flow"},
            **({"measure": measuring} if (measuring := _measuring_seconds(config)) else {}),
        },
        "disk_bytes": len(config.sampling.samplers) * draws * (configuration + _RECORD_BYTES),
    }


def _chain_seconds(config: StudyConfig, sampler: str) -> float:
    """Warm-up and sampling of a classical sampler."""
    settings = getattr(config, sampler)
    updates = settings.chains * settings.warmup + config.sampling.configurations * settings.thin
    sites = math.prod(config.lattice.shape)
    if config.action.fields == "links":
        links = len(config.lattice.shape) * sites
        return _COMPILING_LINKS + updates * links * _seconds_per_link(config, sampler) / _CORES
    if sampler == "hmc":
        each = SECONDS_PER_FORCE * _forces(config)
    else:
        # To find clusters costs about as much as a sweep.
        sweeps = settings.sweeps + settings.clusters if sampler == "cluster" else 1
        each = SECONDS_PER_SWEEP * sweeps
    return _COMPILING + updates * each * sites


def _forces(config: StudyConfig) -> float:
    """Forces of a trajectory in units of that of the whole action, which with levels is shared out among its terms."""
    counts = n_forces(build_scheme(config), config.hmc.n_steps)
    if len(counts) == 1:
        return counts[0]
    inner = 1 / _RECTANGLES if "rectangles" in config.action.terms else _POTENTIAL
    return counts[0] * (1 - inner) + counts[1] * inner


def _seconds_per_link(config: StudyConfig, sampler: str) -> float:
    """One update, on one core of a laptop.

    Powers of N and d fitted to U(1) to SU(6) on 16², 8² and 8⁴, good to a factor of two.
    """
    n = _group(config).n
    product = n**3
    sweep = 100 + 15 * product
    each = {
        "hmc": _forces(config) * _force(config),
        "heatbath": sweep * config.heatbath.overrelaxation + max(500, 1400 * n * (n - 1) // 2),
        "metropolis": 200 + 22 * product,
    }[sampler]
    return 1e-9 * each * (_RECTANGLES if config.action.terms else 1.0)


def _measuring_seconds(config: StudyConfig) -> float:
    """Gradient flow and smearing, one configuration after another; a record or a step of either costs alike."""
    if config.action.fields != "links":
        return 0.0
    flow, smearing = config.gradient_flow, config.smearing
    steps = {"none": 0.0, "wilson": flow.records, "symanzik": flow.records * _RECTANGLES}[flow.kind]
    steps += 0 if smearing.kind == "none" else smearing.steps
    links = len(config.lattice.shape) * math.prod(config.lattice.shape)
    chains = sum(name != "flow" for name in config.sampling.samplers)
    return chains * config.sampling.configurations * links * steps * 1e-9 * _FORCES_PER_STEP * _force(config)


def _force(config: StudyConfig) -> float:
    """Nanoseconds per link of one force of Wilson's action."""
    d, product = len(config.lattice.shape), _group(config).n ** 3
    return 20 + 10 * (d - 1) + (5 + 3 * (d - 1)) * product


def _group(config: StudyConfig) -> AbstractGroup:
    return build_link_action(config).space.group


def _parameters(config: StudyConfig) -> int:
    shapes = eqx.filter_eval_shape(lambda: build_flow(config))
    leaves = [leaf for leaf in jax.tree.leaves(shapes) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
    return sum(math.prod(leaf.shape) for leaf in leaves)


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None
