"""Many Markov chains at once: starts, warm-up and production.

Step i of chain c uses ``fold_in(fold_in(key, c), i)``, and `advance` recomputes the state of the kernel from the
configurations it is given. A run cut into the same blocks therefore has the same bits however often it was stopped.
Inside the compiled program chains are the last axis, the fastest in memory, so that an operation on a site is one on a
vector of chains; outside they are axis 0, like every batch.
"""

from typing import Any, Literal, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Integer, Key, PyTree

from latflow._typing import PRNGKey, Scalar
from latflow.errors import ConfigError
from latflow.execution import group_size, split, threaded
from latflow.fields.spaces import AbstractFieldSpace
from latflow.randomness import fold_in, require_float64
from latflow.samplers.base import AbstractKernel, AbstractTunableKernel, Transition

LEAST_WARMUP = 3

PRNGKeys: TypeAlias = Key[Array, " chains"]

Fields: TypeAlias = PyTree[Inexact[Array, "chains ..."]]
"""One configuration per chain: an array (chains, *shape), or several by name on a product of spaces."""


class Records(NamedTuple):
    """Configurations and transitions of a block of a run.

    Attributes:
        x: Configurations after every `thin` steps, (n_records, chains, *shape); several such arrays by name on a
            product of spaces.
        transition: One entry per step, (n_records * thin, chains).
    """

    x: PyTree[Inexact[Array, "records chains ..."]]
    transition: Transition


def advance(
    kernel: AbstractKernel,
    key: PRNGKey,
    x: Fields,
    *,
    first: int,
    n_records: int,
    thin: int,
) -> tuple[Fields, Records]:
    """Run every chain for ``n_records * thin`` steps.

    Args:
        kernel: The Markov kernel.
        key: Root of the stream; the same for every block of a run.
        x: Current configurations of the chains.
        first: Number of the first record of this block within the run; its first step is ``first * thin``.
        n_records: Records to make.
        thin: Steps per record.

    Returns:
        The configurations after the last step, and the records.

    Raises:
        UnavailableError: If float64 is switched off.
    """
    require_float64()
    start = jnp.asarray(first * thin, dtype=jnp.uint32)

    def run(chains: Integer[np.ndarray, " group"], group: Fields) -> tuple[Fields, Records]:
        result = compiled_advance(kernel, key, chains, group, start, n_records=n_records, thin=thin)
        return jax.block_until_ready(result)

    n = _chains(x)
    groups = _split(x, size=group_size(n, sum(a.nbytes for a in jax.tree.leaves(x)) // n))
    if len(groups) == 1:
        return run(np.arange(n), x)
    return _join(threaded(run, np.split(np.arange(n), len(groups)), groups))


_split = jax.jit(split, static_argnames="size")


def _chains(x: Fields) -> int:
    return len(jax.tree.leaves(x)[0])


def _chains_first(x: PyTree[Inexact[Array, "... chains"]]) -> Fields:
    """Configurations with the axis of chains in front, where it is the last one inside a program."""
    return jax.tree.map(lambda a: jnp.moveaxis(a, -1, 0), x)


@jax.jit
def _join(parts: list[tuple[Any, Records]]) -> tuple[Fields, Records]:
    ends, records = zip(*parts, strict=True)
    ends = jax.tree.map(lambda *a: jnp.concatenate(a), *ends)
    return ends, jax.tree.map(lambda *a: jnp.concatenate(a, axis=1), *records)


@eqx.filter_jit
def compiled_advance(
    kernel: AbstractKernel,
    key: PRNGKey,
    chains: Integer[Array | np.ndarray, " group"],
    x: Fields,
    first: Integer[Array, ""],
    *,
    n_records: int,
    thin: int,
) -> tuple[Fields, Records]:
    """The program of `advance` for one group of chains, by their numbers; `first` is that of the first step."""
    streams = _streams(key, chains)

    def record(state: Any, steps: Integer[Array, " thin"]) -> tuple[Any, tuple[Fields, Transition]]:
        state, transition = jax.lax.scan(lambda s, i: _step(kernel, streams, s, i), state, steps)
        return state, (_chains_first(state.x), transition)

    numbers = first + jnp.arange(n_records * thin, dtype=jnp.uint32).reshape(n_records, thin)
    state, (configurations, transition) = jax.lax.scan(record, _init(kernel, x), numbers)
    flat = jax.tree.map(lambda a: a.reshape(n_records * thin, _chains(x)), transition)
    return _chains_first(state.x), Records(configurations, flat)


def warm_up(
    kernel: AbstractTunableKernel,
    key: PRNGKey,
    x: Fields,
    *,
    n_steps: int,
    target_acceptance: float,
) -> tuple[AbstractTunableKernel, Fields, float]:
    r"""Thermalise and tune the kernel's scale to a mean acceptance; the scale is frozen afterwards.

    Robbins–Monro on the logarithm of the scale with gains falling like $i^{-1/2}$. During the first third every chain
    has its own scale, so that one started far out, where only small steps are accepted, can thermalise; then all
    continue from the median with the acceptance averaged over chains, and the frozen value is the mean of the
    logarithm over the last third. For HMC the number of integrator steps is kept and the trajectory length follows the
    step size.

    Args:
        kernel: With a first guess of its scale.
        key: Root of the warm-up stream; not the one of production.
        x: Starting configurations.
        n_steps: Steps of every chain, at least 3.
        target_acceptance: Between 0 and 1.

    Returns:
        The tuned kernel, the configurations, and the mean acceptance over the last third.

    Raises:
        ConfigError: If there are fewer steps.
        UnavailableError: If float64 is switched off.
    """
    require_float64()
    if n_steps < LEAST_WARMUP:
        raise ConfigError([f"warm-up steps: {n_steps}; allowed: at least {LEAST_WARMUP}"])
    scale, x, acceptance = compiled_warm_up(kernel, key, x, jnp.asarray(target_acceptance), n_steps=n_steps)
    return kernel.with_scale(scale), x, float(acceptance)


@eqx.filter_jit
def compiled_warm_up(
    kernel: AbstractTunableKernel,
    key: PRNGKey,
    x: Fields,
    target: Scalar,
    *,
    n_steps: int,
) -> tuple[Scalar, Fields, Scalar]:
    """The program of `warm_up`: the scale, the configurations and the mean acceptance."""
    streams = _streams(key, jnp.arange(_chains(x)))

    common = n_steps // 3

    def step(carry: tuple[Array, Any], i: Integer[Array, ""]) -> tuple[tuple[Array, Any], tuple[Array, Array]]:
        log_scales, state = carry
        state, transition = _tuned_step(kernel, jnp.exp(log_scales), streams, state, i)
        mean = jnp.mean(transition.acceptance)
        acceptance = jnp.where(i < common, transition.acceptance, mean)
        moved = log_scales + 2.0 / jnp.sqrt(1.0 + i) * (acceptance - target)
        return (jnp.where(i == common - 1, jnp.median(moved), moved), state), (log_scales[0], mean)

    start = (jnp.full(_chains(x), jnp.log(kernel.scale)), _init(kernel, x))
    (_, state), (log_scales, acceptances) = jax.lax.scan(step, start, jnp.arange(n_steps, dtype=jnp.uint32))
    late = slice(2 * n_steps // 3, None)
    return jnp.exp(jnp.mean(log_scales[late])), _chains_first(state.x), jnp.mean(acceptances[late])


def _tuned_step(
    kernel: AbstractTunableKernel, scales: Float[Array, " chains"], streams: PRNGKeys, state: Any, i: Integer[Array, ""]
) -> tuple[Any, Transition]:
    """Step i of every chain, each with its own scale."""
    keys = jax.vmap(fold_in, (0, None))(streams, i)
    step = jax.vmap(lambda scale, key, s: kernel.with_scale(scale).step(key, s), in_axes=(0, 0, -1), out_axes=-1)
    return step(scales, keys, state)


Start: TypeAlias = Literal["mixed", "hot", "cold"]


def starts(key: PRNGKey, space: AbstractFieldSpace, chains: int, *, kind: Start = "mixed") -> Fields:
    """Over-dispersed starting points by the `start` of the space: hot, cold and others in turn.

    Among eight chains there are at least two of each kind.

    Args:
        key: Chain c uses ``fold_in(key, c)``.
        space: Space of the fields.
        chains: How many.
        kind: "hot" or "cold": all chains start in this way.
    """
    first, stride = {"mixed": (0, 1), "hot": (0, 0), "cold": (1, 0)}[kind]
    return jax.vmap(lambda c: space.start(fold_in(key, c), first + stride * c))(jnp.arange(chains))


def thermalise(kernel: AbstractKernel, key: PRNGKey, x: Fields, *, n_steps: int) -> tuple[Fields, float]:
    """Warm up a kernel without a scale to tune.

    Args:
        kernel: The Markov kernel.
        key: Root of the warm-up stream; not the one of production.
        x: Starting configurations.
        n_steps: Steps of every chain.

    Returns:
        The configurations, and the mean acceptance over the last third.
    """
    x, records = advance(kernel, key, x, first=0, n_records=1, thin=n_steps)
    return x, float(jnp.mean(records.transition.acceptance[2 * n_steps // 3 :]))


def _streams(key: PRNGKey, chains: Integer[Array | np.ndarray, " chains"]) -> PRNGKeys:
    return jax.vmap(fold_in, (None, 0))(key, jnp.asarray(chains))


def _init(kernel: AbstractKernel, x: Fields) -> Any:
    return jax.vmap(kernel.init, out_axes=-1)(x)


def _step(kernel: AbstractKernel, streams: PRNGKeys, state: Any, i: Integer[Array, ""]) -> tuple[Any, Transition]:
    """Step i of every chain."""
    keys = jax.vmap(fold_in, (0, None))(streams, i)
    return jax.vmap(kernel.step, in_axes=(0, -1), out_axes=-1)(keys, state)
