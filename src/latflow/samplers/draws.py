"""Blocks of independent weighted draws, and the exact accept/reject chain through them.

Draw i depends on the root key and i alone, so blocks can be made in any order and made again.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Int, UInt32

from latflow._typing import PRNGKey, Scalar
from latflow.errors import ConfigError, PhysicsStop
from latflow.execution import in_parts
from latflow.randomness import pinned
from latflow.samplers.base import AbstractWeightedSampler
from latflow.samplers.independence import accept_sequence

_OWN = {"fields", "log_weight", "accepted", "index"}


class Drawn(NamedTuple):
    """Draws of a weighted sampler.

    Attributes:
        x: Configurations.
        log_weight: Logarithms of their weights.
        columns: Further numbers of every draw, by name.
    """

    x: Inexact[Array, "n *shape"]
    log_weight: Float[Array, " n"]
    columns: dict[str, Float[Array, " n"]]


def draw_block(sampler: AbstractWeightedSampler, key: PRNGKey, *, first: int, n: int) -> Drawn:
    """Draws `first` to `first + n - 1`.

    Networks in float32 give other bits for other `n`: the block size belongs to an ensemble's identity.

    Args:
        sampler: Makes the draws.
        key: Root of the stream; draw i uses ``fold_in(key, i)``.
        first: Index of the first draw.
        n: Number of draws. Blocks of equal size share one compiled program.
    """
    indices = jnp.arange(first, first + n, dtype=jnp.uint32)
    size = sampler.draws_at_once
    if size is None:
        x, columns, log_weight = _draw_range(sampler, key, indices)
    else:
        x, columns, log_weight = in_parts(lambda part: _draw_range(sampler, key, part), indices, size=size)
    return Drawn(x, jnp.asarray(sampler.combined(columns) if log_weight is None else log_weight), columns)


@eqx.filter_jit
def _draw_range(
    sampler: AbstractWeightedSampler, key: PRNGKey, indices: UInt32[Array, " n"]
) -> tuple[Inexact[Array, "n *shape"], dict[str, Float[Array, " n"]], Float[Array, " n"] | None]:
    def draw(index: Array) -> tuple[Array, dict[str, Scalar], Scalar | None]:
        drawn = sampler.draw(jax.random.fold_in(key, index))
        # A weight that follows from the columns is taken from them outside: here the compiler would fuse the two
        # computations, and the last bits of both could depend on it.
        follows = sampler.combined(drawn.columns) is not None
        return drawn.x, drawn.columns, None if follows else drawn.log_weight

    return jax.vmap(draw)(indices)


@jax.jit
def log_uniforms(key: PRNGKey, indices: Int[Array, " n"]) -> Float[Array, " n"]:
    """Logarithms of the accept/reject uniforms; that of draw i is a function of (key, i) only."""
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(indices)
    # 1 − u is in (0, 1]: the logarithm is never −inf, so a proposal of weight zero is never taken.
    return jax.vmap(lambda k: jnp.log1p(-jax.random.uniform(pinned(k))))(keys)


def weighted_block(
    sampler: AbstractWeightedSampler,
    draw_key: PRNGKey,
    accept_key: PRNGKey,
    *,
    first: int,
    n: int,
    log_weight: float,
    index: int,
) -> dict[str, np.ndarray]:
    """One block of proposals, and the decisions of the accept/reject chain through them.

    Args:
        sampler: Makes the proposals.
        draw_key: Root of the draws.
        accept_key: Root of the accept/reject uniforms.
        first: Index of the first draw.
        n: Number of draws; part of the ensemble's identity.
        log_weight: log w of the configuration the chain stands at; −inf before the first draw.
        index: Its draw index; −1 before the first draw.

    Returns:
        Columns `fields`, those of the sampler, `log_weight`, `accepted`, `index` with `n` rows.

    Raises:
        ConfigError: If the sampler names a column like one of a block.
        PhysicsStop: If a weight is infinite: the sampler drew where its density vanishes.
    """
    drawn = draw_block(sampler, draw_key, first=first, n=n)
    if taken := set(drawn.columns) & _OWN:
        raise ConfigError([f"columns of {type(sampler).__name__}: {', '.join(sorted(taken))}; allowed: other names"])
    uniforms = log_uniforms(accept_key, jnp.arange(first, first + n))
    indices, accepted = accept_sequence(drawn.log_weight, uniforms, log_weight=log_weight, index=index, first=first)
    if bool(np.any(np.isposinf(np.asarray(drawn.log_weight)))):
        hint = f"the density of the sampler vanished in draws {first}…{first + n}"
        raise PhysicsStop("log weight", value="+inf", hint=hint)
    columns = {
        "fields": drawn.x,
        **drawn.columns,
        "log_weight": drawn.log_weight,
        "accepted": accepted,
        "index": indices,
    }
    return {name: np.asarray(column) for name, column in columns.items()}
