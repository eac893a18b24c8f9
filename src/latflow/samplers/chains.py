"""Many chains at once: production, warm-up, starts and the watch over a molecular-dynamics run.

Step i of chain c uses ``fold_in(fold_in(key, c), i)``, and `advance` recomputes the state from the configurations it is
given, so a run cut into the same blocks has the same bits however often it was stopped in between.
Inside the compiled program the chain axis is the fastest one: neighbours are then whole vectors of chains, which is
what the processor wants; outside it is axis 0 like every batch.
"""

import concurrent.futures
import functools
import os
from typing import Any, Literal, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Integer, Key

from latflow._typing import PRNGKey, Scalar
from latflow.batching import accelerated
from latflow.errors import ConfigError, UnavailableError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.randomness import fold_in
from latflow.samplers.base import AbstractKernel, AbstractTunableKernel, Transition

_SMALL_BYTES = 2**14
_GROUP_BYTES = 2**17
_MOST_GROUP_BYTES = 2**19
_LEAST_GROUP = 8
LEAST_WARMUP = 3

PRNGKeys: TypeAlias = Key[Array, " chains"]


class Records(NamedTuple):
    """What a block of a run leaves behind.

    Attributes:
        x: Configurations after every `thin` steps, (n_records, chains, *shape).
        transition: One entry per step, (n_records * thin, chains).
    """

    x: Inexact[Array, "records chains *shape"]
    transition: Transition


def advance(
    kernel: AbstractKernel,
    key: PRNGKey,
    x: Inexact[Array, "chains *shape"],
    *,
    first: int,
    n_records: int,
    thin: int,
) -> tuple[Inexact[Array, "chains *shape"], Records]:
    """Run every chain for ``n_records * thin`` steps.

    Args:
        kernel: What to apply.
        key: Root of the stream; the same for every block of a run.
        x: Where the chains stand.
        first: Number of the first record of this block within the run, so that its first step is ``first * thin``.
        n_records: Records to make.
        thin: Steps per record.

    Returns:
        Where the chains stand now, and the records.

    Raises:
        UnavailableError: If float64 is switched off.
    """
    _require_float64()
    start = jnp.asarray(first * thin, dtype=jnp.uint32)

    def run(chains: Integer[np.ndarray, " group"], group: Inexact[Array, "group *shape"]) -> tuple[Array, Records]:
        result = _advance(kernel, key, chains, group, start, n_records=n_records, thin=thin)
        return jax.block_until_ready(result)

    groups = _split(x, size=_group_size(x))
    if len(groups) == 1:
        return run(np.arange(len(x)), x)
    # Threads, because one program on few chains is too small for XLA to share among cores. They change no number.
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return _join(list(pool.map(run, np.split(np.arange(len(x)), len(groups)), groups)))


@functools.partial(jax.jit, static_argnames="size")
def _split(x: Inexact[Array, "chains *shape"], *, size: int) -> list[Inexact[Array, "group *shape"]]:
    return jnp.split(x, len(x) // size)


@jax.jit
def _join(parts: list[tuple[Array, Records]]) -> tuple[Inexact[Array, "chains *shape"], Records]:
    ends, records = zip(*parts, strict=True)
    return jnp.concatenate(ends), jax.tree.map(lambda *a: jnp.concatenate(a, axis=1), *records)


@eqx.filter_jit
def _advance(
    kernel: AbstractKernel,
    key: PRNGKey,
    chains: Integer[Array | np.ndarray, " group"],
    x: Inexact[Array, "group *shape"],
    first: Integer[Array, ""],
    *,
    n_records: int,
    thin: int,
) -> tuple[Inexact[Array, "group *shape"], Records]:
    streams = _streams(key, chains)

    def record(state: Any, steps: Integer[Array, " thin"]) -> tuple[Any, tuple[Array, Transition]]:
        state, transition = jax.lax.scan(lambda s, i: _step(kernel, streams, s, i), state, steps)
        return state, (jnp.moveaxis(state.x, -1, 0), transition)

    numbers = first + jnp.arange(n_records * thin, dtype=jnp.uint32).reshape(n_records, thin)
    state, (configurations, transition) = jax.lax.scan(record, _init(kernel, x), numbers)
    flat = jax.tree.map(lambda a: a.reshape(n_records * thin, x.shape[0]), transition)
    return jnp.moveaxis(state.x, -1, 0), Records(configurations, flat)


def _group_size(x: Inexact[Array, "chains *shape"]) -> int:
    """How many chains run together in one program.

    The fields of a group should stay in the cache of one core and fill a few vector registers, and there should be
    more than one group where there is work for more than one core. Beyond 128 KB XLA shares a group among threads that
    the other groups need. The size depends on the shape alone, not on the machine: it can change the last bit of a
    number. An accelerator wants all chains at once.
    """
    chains, bytes_per_chain = x.shape[0], x[0].nbytes
    if accelerated() or chains * bytes_per_chain <= _SMALL_BYTES or _LEAST_GROUP * bytes_per_chain > _MOST_GROUP_BYTES:
        return chains
    limit = min(chains // 2, max(_LEAST_GROUP, _GROUP_BYTES // bytes_per_chain))
    return max((n for n in range(_LEAST_GROUP, limit + 1) if chains % n == 0), default=chains)


def warm_up(
    kernel: AbstractTunableKernel,
    key: PRNGKey,
    x: Inexact[Array, "chains *shape"],
    *,
    n_steps: int,
    target_acceptance: float,
) -> tuple[AbstractTunableKernel, Inexact[Array, "chains *shape"], float]:
    r"""Thermalise and tune the kernel's scale to a mean acceptance; the scale is frozen afterwards.

    Robbins–Monro on the logarithm of the scale with gains falling like $i^{-1/2}$. During the first third every chain
    has its own scale, so that one started far out, where only small steps are accepted, finds its way in; then all
    continue from the median with the acceptance averaged over chains, and the frozen value is the mean of the
    logarithm over the last third. For HMC the number of integrator steps stays and the trajectory length follows the
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
    _require_float64()
    if n_steps < LEAST_WARMUP:
        raise ConfigError([f"warm-up steps: {n_steps}; allowed: at least {LEAST_WARMUP}"])
    scale, x, acceptance = _warm_up(kernel, key, x, jnp.asarray(target_acceptance), n_steps=n_steps)
    return kernel.with_scale(scale), x, float(acceptance)


@eqx.filter_jit
def _warm_up(
    kernel: AbstractTunableKernel,
    key: PRNGKey,
    x: Inexact[Array, "chains *shape"],
    target: Scalar,
    *,
    n_steps: int,
) -> tuple[Scalar, Inexact[Array, "chains *shape"], Scalar]:
    streams = _streams(key, jnp.arange(x.shape[0]))

    common = n_steps // 3

    def step(carry: tuple[Array, Any], i: Integer[Array, ""]) -> tuple[tuple[Array, Any], tuple[Array, Array]]:
        log_scales, state = carry
        state, transition = _tuned_step(kernel, jnp.exp(log_scales), streams, state, i)
        mean = jnp.mean(transition.acceptance)
        acceptance = jnp.where(i < common, transition.acceptance, mean)
        moved = log_scales + 2.0 / jnp.sqrt(1.0 + i) * (acceptance - target)
        return (jnp.where(i == common - 1, jnp.median(moved), moved), state), (log_scales[0], mean)

    start = (jnp.full(x.shape[0], jnp.log(kernel.scale)), _init(kernel, x))
    (_, state), (log_scales, acceptances) = jax.lax.scan(step, start, jnp.arange(n_steps, dtype=jnp.uint32))
    late = slice(2 * n_steps // 3, None)
    return jnp.exp(jnp.mean(log_scales[late])), jnp.moveaxis(state.x, -1, 0), jnp.mean(acceptances[late])


def _tuned_step(
    kernel: AbstractTunableKernel, scales: Float[Array, " chains"], streams: PRNGKeys, state: Any, i: Integer[Array, ""]
) -> tuple[Any, Transition]:
    """Step i of every chain, each with its own scale."""
    keys = jax.vmap(fold_in, (0, None))(streams, i)
    step = jax.vmap(lambda scale, key, s: kernel.with_scale(scale).step(key, s), in_axes=(0, 0, -1), out_axes=-1)
    return step(scales, keys, state)


Start: TypeAlias = Literal["mixed", "hot", "cold"]


def starts(
    key: PRNGKey, space: AbstractFieldSpace, chains: int, *, kind: Start = "mixed"
) -> Inexact[Array, "chains *shape"]:
    """Over-dispersed starting points, as the space knows them: hot, cold and others by turns.

    Eight chains hold at least two of each.

    Args:
        key: Chain c uses ``fold_in(key, c)``.
        space: Space of the fields.
        chains: How many.
        kind: "hot" or "cold" for chains that all start alike.
    """
    first, stride = {"mixed": (0, 1), "hot": (0, 0), "cold": (1, 0)}[kind]
    return jax.vmap(lambda c: space.start(fold_in(key, c), first + stride * c))(jnp.arange(chains))


def thermalise(
    kernel: AbstractKernel, key: PRNGKey, x: Inexact[Array, "chains *shape"], *, n_steps: int
) -> tuple[Inexact[Array, "chains *shape"], float]:
    """The warm-up of a kernel that has nothing to tune.

    Args:
        kernel: What to apply.
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


def _init(kernel: AbstractKernel, x: Inexact[Array, "chains *shape"]) -> Any:
    return jax.vmap(kernel.init, out_axes=-1)(x)


def _step(kernel: AbstractKernel, streams: PRNGKeys, state: Any, i: Integer[Array, ""]) -> tuple[Any, Transition]:
    """Step i of every chain."""
    keys = jax.vmap(fold_in, (0, None))(streams, i)
    return jax.vmap(kernel.step, in_axes=(0, -1), out_axes=-1)(keys, state)


def _require_float64() -> None:
    if jnp.result_type(float) != jnp.float64:
        raise UnavailableError(
            "float64 arithmetic",
            allowed='jax.config.update("jax_enable_x64", True) before the first array is made',
            hint="energies and accept/reject decisions are only exact in double precision",
        )
