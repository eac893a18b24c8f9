"""How a batch is cut into equal parts, and the parts are spread over threads.

XLA shares one large program among cores and runs a small one on a single core. A batch is therefore cut into parts that
the cache of a core holds; every part is one call of the same compiled program, and threads share the calls. The size of
a part depends on shapes and on the kind of device, never on the number of cores: another size may change the last bit
of a number, another number of threads does not.

This is the only module that chooses sizes and starts threads. `threaded` is where several devices or hosts would enter:
every call it makes is independent of the others, and results come back in order.
"""

import concurrent.futures
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, Shaped

Result = TypeVar("Result")

EVALUATION_DRAWS = 512
"""Draws of a flow that an evaluation in training computes at once: a bound on memory."""

SURVEY_DRAWS = 4096
"""Draws of a block in a survey of values; the number of draws is rounded up to such blocks."""

DENSITY_FIELDS = 512
"""Given configurations whose densities under a flow are computed at once: a bound on memory."""

_ONE_GROUP_BYTES = 2**14
"""Chains whose fields take no more than 16 KB run as one group: threads would cost more than they gain."""

_GROUP_BYTES = 2**17
"""Fields of a group: 128 KB stay in the cache of a core; of a larger group XLA shares the work among threads that the
other groups need."""

_LARGEST_GROUP_BYTES = 2**19
"""Where the smallest group would exceed 512 KB, no group stays in a cache: all chains run as one group."""

_LEAST_GROUP = 8
"""Fewer chains do not fill a few vector registers, and chains are the fastest axis of a program."""

_PART_SITES = 2**12
"""Sites of a part of a training batch: what the cache of a core holds beside the records of the integration."""

_ACCELERATOR_PART_SITES = 2**21
"""The same on an accelerator, which is limited by its memory."""

_LEAST_PART, _MOST_PART = 8, 64
"""Draws of a part: no fewer than fill a few vector registers, no more than leave parts for several cores."""

_DRAW_SITES, _MOST_DRAWS = 2**13, 256
"""Sites of a part of draws, of which nothing is recorded but the end, and the most draws of a part."""

_PIECE_BYTES = 2**20
"""Configurations measured at once: 1 MB; programs on more of them were measured to be 2 to 4 times slower."""

_ACCELERATOR_PIECE_BYTES = 2**24
"""The same on an accelerator, which smaller pieces do not keep busy."""


def accelerated() -> bool:
    """Whether arrays are on an accelerator, which is fastest with a whole batch at once."""
    return jax.default_backend() != "cpu"


def cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return (os.cpu_count() or 1) if affinity is None else len(affinity(0))


def group_size(chains: int, bytes_per_chain: int) -> int:
    """How many Markov chains run together in one program: a divisor of their number.

    The fields of a group stay in the cache of one core and fill vector registers, and there are at least two groups
    where there is work for more than one core. An accelerator runs all chains at once.

    Args:
        chains: Number of chains.
        bytes_per_chain: Size of one configuration.
    """
    if accelerated() or chains * bytes_per_chain <= _ONE_GROUP_BYTES:
        return chains
    if _LEAST_GROUP * bytes_per_chain > _LARGEST_GROUP_BYTES:
        return chains
    limit = min(chains // 2, max(_LEAST_GROUP, _GROUP_BYTES // bytes_per_chain))
    return max((n for n in range(_LEAST_GROUP, limit + 1) if chains % n == 0), default=chains)


def part_size(batch_size: int, volume: int) -> int:
    """Draws of one part of a training batch: a divisor of the batch that the cache, or an accelerator's memory, holds.

    Args:
        batch_size: Draws of a step.
        volume: Sites of the lattice.
    """
    if accelerated():
        wanted = max(1, _ACCELERATOR_PART_SITES // volume)
    else:
        wanted = min(_MOST_PART, max(_LEAST_PART, _PART_SITES // volume))
    return max(n for n in range(1, wanted + 1) if batch_size % n == 0)


def draws_at_once(volume: int) -> int:
    """Draws that one call of a program made for draws computes.

    Args:
        volume: Sites of the lattice.
    """
    if accelerated():
        return max(1, _ACCELERATOR_PART_SITES // volume)
    return min(_MOST_DRAWS, max(_LEAST_PART, 1 << (_DRAW_SITES // volume).bit_length()))


def piece_size(n: int, bytes_each: int) -> int:
    """How many of `n` configurations are measured at once; at least one.

    Args:
        n: Number of configurations.
        bytes_each: Size of one of them.
    """
    return min(n, max(1, (_ACCELERATOR_PIECE_BYTES if accelerated() else _PIECE_BYTES) // bytes_each))


def split(x: PyTree[Shaped[Array, "n ..."]], *, size: int) -> list[PyTree[Shaped[Array, "size ..."]]]:
    """Consecutive parts along axis 0.

    Args:
        x: A batch: an array, or several in any pytree, all of one length.
        size: Length of every part; divides that of the batch.
    """
    leaves, structure = jax.tree.flatten(x)
    cut = [jnp.split(leaf, len(leaf) // size) for leaf in leaves]
    return [jax.tree.unflatten(structure, parts) for parts in zip(*cut, strict=True)]


def threaded(function: Callable[..., Result], *sequences: Sequence[Any]) -> list[Result]:
    """Call a function with the first items of all sequences, with the second items, and so on, on all cores.

    Calls must not depend on each other. Threads suit compiled programs, which release Python's global lock while they
    run.

    Args:
        function: What to call.
        *sequences: One for each argument, all of one length.

    Returns:
        The results in the order of the sequences, whatever the order in which calls end.
    """
    calls = list(zip(*sequences, strict=True))
    workers = min(cores(), len(calls))
    if workers <= 1:
        return [function(*arguments) for arguments in calls]
    # JAX keeps what was set for a while in the thread that set it.
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]

    def call(arguments: tuple[Any, ...]) -> Result:
        with jax.default_matmul_precision(precision):
            return function(*arguments)

    with concurrent.futures.ThreadPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(call, calls))


def in_parts(program: Callable[[Shaped[Array, "size *shape"]], Any], x: Shaped[Array, "n *shape"], *, size: int) -> Any:
    """Run a program on parts of one size on all cores and join the results.

    The last part is filled up with copies of the first entry, whose results are left out.

    Args:
        program: From a part to arrays, in any pytree, with one entry per entry of the part along axis 0; an entry must
            not depend on the others.
        x: What is cut along axis 0.
        size: Entries per part.
    """
    missing = -len(x) % size
    filled = jnp.concatenate([x, jnp.broadcast_to(x[:1], (missing, *x.shape[1:]))]) if missing else x
    found = threaded(program, split(filled, size=size))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts)[: len(x)], *found)


def equal_pieces(fields: Shaped[np.ndarray, "n *shape"], *, size: int) -> Iterator[Shaped[np.ndarray, "size *shape"]]:
    """Consecutive pieces of one size, so that one compiled program serves all of them.

    The last piece is filled up with copies of the first configuration.

    Args:
        fields: Configurations along axis 0, at least one.
        size: Configurations per piece; may exceed their number.
    """
    for start in range(0, len(fields), size):
        piece = fields[start : start + size]
        yield np.concatenate([piece, np.repeat(fields[:1], size - len(piece), axis=0)])


def map_pieces(
    program: Callable[[Shaped[np.ndarray, "size *shape"]], Any],
    fields: Shaped[np.ndarray, "n *shape"],
    *,
    size: int,
    axis: int = 0,
) -> Any:
    """Run a program on equal pieces of many configurations and join the results, so that memory stays bounded.

    Args:
        program: From a piece to arrays, in any pytree, with one entry per configuration of the piece along `axis`; the
            entry of a configuration must not depend on the others.
        fields: Configurations along axis 0, at least one.
        size: Configurations per piece.
        axis: Where results have the axis of configurations.

    Returns:
        What `program` returns, as numpy arrays with `n` entries along `axis`.
    """
    found = [jax.tree.map(np.asarray, program(piece)) for piece in equal_pieces(fields, size=size)]

    def joined(*parts: np.ndarray) -> np.ndarray:
        return np.split(np.concatenate(parts, axis=axis), [len(fields)], axis=axis)[0]

    return jax.tree.map(joined, *found)
