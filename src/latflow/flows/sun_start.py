r"""The start of splits of SU(N), N ≥ 3: networks fitted to the exact densities of blocks, before any training.

Wilson blocks of another coupling miss the density of a block of two and more plaquettes, which the character expansion
knows. Halves a, b of two independent blocks and P = ab are examples of what a split should make, at which its log q has
to be $E(a)+E(b)-E(P)$ up to a constant. Networks are fitted to that by least squares: Gauss-Newton steps for the
hidden layer and the output. Values have no noise, so a few thousand examples determine thousands of weights.
"""

import dataclasses
import functools
import itertools
import math
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from latflow.actions.exact_gauge import su3_block_log_density, sun_block_log_density, sun_plaquette
from latflow.bijections.splits.network import SiteNetwork
from latflow.bijections.splits.profile import nodes, shares
from latflow.bijections.splits.su3 import Condition, SU3Split, series
from latflow.bijections.splits.sun import SUNSplit

_LEAST = 0.02
"""Average of a block below which its density is that of Wilson blocks to all digits that count."""
_PER_WEIGHT = 7
_FEWEST = 4096
_STEPS = 10
_DAMPINGS = tuple(10.0**k for k in range(-4, 3))
_ENOUGH = 6e-5
"""Variance of log q − log p of one plaquette at which no further step is made; splines alone have about as much."""
_ANGLES = 256
_ROWS = 2048
_WALKS = 12

Elements = Complex[np.ndarray, "n _ _"]
Split = TypeVar("Split", SU3Split, SUNSplit)


def fitted(splits: Split, beta: float) -> Split:
    """The stacked splits of all levels with networks of the exact densities of blocks.

    Args:
        splits: The heat bath of blocks at this coupling, with silent networks. While their shapes are traced, nothing
            is fitted.
        beta: Coupling of the plaquettes.
    """
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(splits)):
        return splits
    group, n_levels = _size(splits), len(splits.kappa)
    for i in reversed(range(n_levels)):
        n = 2 ** (n_levels - 1 - i)
        if beta == 0 or sun_plaquette(group, beta) ** n < _LEAST:
            break
        level = jax.tree.map(lambda leaf, i=i: leaf[i] if eqx.is_array(leaf) else leaf, splits)
        found = _networks(level, beta, n)
        splits = eqx.tree_at(
            lambda s: s.networks,
            splits,
            jax.tree.map(lambda all_, one, i=i: all_.at[i].set(one.astype(all_.dtype)), splits.networks, found),
        )
    return splits


def _size(split: SU3Split | SUNSplit) -> int:
    return split.n if isinstance(split, SUNSplit) else 3


# Examples -------------------------------------------------------------------------------------------------------------


class _Examples(NamedTuple):
    """Halves and plaquettes of pairs of blocks, and the log-density of a given P."""

    half: Elements
    plaquette: Elements
    log_density: Float[np.ndarray, " n"]


def _examples(group: int, beta: float, n_plaquettes: int, n: int) -> _Examples:
    random = np.random.default_rng(n_plaquettes)
    one, other = (_block(random, group, beta, n_plaquettes, n) for _ in range(2))
    whole = one @ other
    energies = [_log_density(x, beta, n_plaquettes) for x in (one, other)]
    return _Examples(one, whole, energies[0] + energies[1] - _log_density(whole, beta, 2 * n_plaquettes))


def _log_density(x: Elements, beta: float, n_plaquettes: int) -> Float[np.ndarray, " n"]:
    traces, n = np.einsum("nii->n", x), x.shape[-1]
    if n_plaquettes == 1:
        return beta * traces.real / n
    if n == 3:
        return su3_block_log_density(traces, beta, n_plaquettes=n_plaquettes)
    return sun_block_log_density(np.linalg.eigvals(x), beta, n_plaquettes=n_plaquettes)


def _block(random: np.random.Generator, group: int, beta: float, n_plaquettes: int, n: int) -> Elements:
    """Products of plaquettes; examples need no exact distribution."""
    found = np.broadcast_to(np.eye(group), (n, group, group))
    for _ in range(n_plaquettes):
        angles = _on_grid(random, beta, n) if group == 3 else _walked(random, group, beta, n)
        z = random.standard_normal((2, n, group, group))
        frame, triangle = np.linalg.qr(z[0] + 1j * z[1])
        diagonal = np.einsum("nii->ni", triangle)
        frame = frame * (diagonal / abs(diagonal))[:, None]
        found = found @ (frame * np.exp(1j * angles)[:, None]) @ np.conj(np.swapaxes(frame, 1, 2))
    return found


def _on_grid(random: np.random.Generator, beta: float, n: int) -> Float[np.ndarray, "n 3"]:
    """Angles of plaquettes of SU(3) from a grid, jittered."""
    grid = 2 * np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES
    first, second = np.meshgrid(grid, grid, indexing="ij")
    angles = [first, second, -first - second]
    values = [np.exp(1j * angle) for angle in angles]
    measure = math.prod(abs(values[i] - values[j]) ** 2 for i, j in ((0, 1), (1, 2), (2, 0)))
    weights = np.ravel(measure * np.exp(beta * (sum(np.cos(angle) for angle in angles) / 3 - 1)))
    drawn = np.stack(np.divmod(random.choice(weights.size, size=n, p=weights / weights.sum()), _ANGLES))
    two = grid[drawn] + (random.random(drawn.shape) - 0.5) * 2 * np.pi / _ANGLES
    return np.concatenate([two, -two.sum(axis=0)[None]]).T


def _walked(random: np.random.Generator, group: int, beta: float, n: int) -> Float[np.ndarray, "n _"]:
    """Angles of plaquettes of SU(N) after random walks in Weyl's measure: two angles turn against each other."""
    angles = random.uniform(-np.pi, np.pi, (n, group))
    angles[:, -1] -= angles.sum(axis=1)
    log_weights = _log_weyl(angles, beta)
    pairs = list(itertools.combinations(range(group), 2))
    for _ in range(_WALKS):
        for i, j in pairs:
            step = random.uniform(-1, 1, n) * np.pi * random.random(n)
            moved = angles.copy()
            moved[:, i] += step
            moved[:, j] -= step
            proposed = _log_weyl(moved, beta)
            accepted = np.log(random.random(n)) < proposed - log_weights
            angles = np.where(accepted[:, None], moved, angles)
            log_weights = np.where(accepted, proposed, log_weights)
    return angles


def _log_weyl(angles: Float[np.ndarray, "n _"], beta: float) -> Float[np.ndarray, " n"]:
    gaps = np.sin((angles[:, :, None] - angles[:, None]) / 2) ** 2
    upper = gaps[:, *np.triu_indices(angles.shape[1], 1)]
    return beta / angles.shape[1] * np.cos(angles).sum(axis=1) + np.log(upper + 1e-300).sum(axis=1)


# The fit --------------------------------------------------------------------------------------------------------------


class _Layer(NamedTuple):
    """The last hidden layer and the output of one network, with biases as last columns."""

    hidden: Float[np.ndarray, "units inputs"]
    output: Float[np.ndarray, "terms units"]


class _Given(NamedTuple):
    """One coordinate of all examples: what the last hidden layer reads, the series there, and on nodes."""

    inputs: Float[np.ndarray, "n inputs"]
    terms: Float[np.ndarray, "n terms"]
    on_nodes: Float[np.ndarray, "n_nodes terms"]
    shares: Float[np.ndarray, "n n_nodes"]


@dataclasses.dataclass(frozen=True)
class _Problem:
    """What the fit of a level depends on: random units are the same for every flow.

    Args:
        beta: Coupling of the plaquettes.
        n_plaquettes: Of a block.
        n_bins: Of the splines.
        sizes: Shapes of the networks.
        inner: Bits of κ and of the layers that are not fitted.
        group: N.
        level: The split itself.
    """

    beta: float
    n_plaquettes: int
    n_bins: int
    sizes: tuple[tuple[int, ...], ...]
    inner: bytes
    group: int
    level: SU3Split | SUNSplit = dataclasses.field(compare=False)


def _networks(level: SU3Split | SUNSplit, beta: float, n_plaquettes: int) -> tuple[SiteNetwork, ...]:
    """Networks of one level, or those it has if the fit to most of the examples does not help at the others."""
    sizes = tuple(leaf.shape for leaf in jax.tree.leaves(level.networks))
    kept = [level.kappa, *((network.weights[:-2], network.biases[:-2]) for network in level.networks)]
    inner = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(kept))
    best = _layers(_Problem(beta, n_plaquettes, level.n_bins, sizes, inner, _size(level), level))
    return tuple(_network(*pair) for pair in zip(level.networks, best, strict=True))


@functools.lru_cache(maxsize=64)
def _layers(problem: _Problem) -> tuple[_Layer, ...]:
    level, beta, n_plaquettes = problem.level, problem.beta, problem.n_plaquettes
    layers = [_started(network, i) for i, network in enumerate(level.networks)]
    n_weights = sum(layer.hidden.size + layer.output.size for layer in layers)
    examples = _examples(problem.group, beta, n_plaquettes, max(_FEWEST, _PER_WEIGHT * n_weights))
    columns = [jnp.asarray(np.moveaxis(part, 0, -1)) for part in examples[:2]]
    conditions, log_q = _laid_out(level, *columns)
    given = [_given(*pair, level.n_bins) for pair in zip(conditions, level.networks, strict=True)]
    rest = examples.log_density - np.asarray(log_q)
    silent = [layer._replace(output=np.zeros_like(layer.output)) for layer in layers]
    best, least = silent, _variance(silent, given, rest)
    damping = 1
    for _ in range(_STEPS):
        if least < _ENOUGH:
            break
        equations = _equations(best, given, rest)
        before = least
        while damping < len(_DAMPINGS) and least == before:
            layers = _improved(best, *equations, damping=_DAMPINGS[damping])
            variance = _variance(layers, given, rest)
            if variance < least:
                best, least, damping = layers, variance, max(damping - 2, -1)
            damping += 1
        if least > 0.97 * before:
            break
    return tuple(best)


@eqx.filter_jit
def _laid_out(level: SU3Split | SUNSplit, half: Array, plaquette: Array) -> tuple[tuple[Condition, ...], Array]:
    return level.examined(half, plaquette)


def _started(network: SiteNetwork, seed: int) -> _Layer:
    """Random units, which an output of zero leaves without effect."""
    rows, columns = network.weights[-2].shape
    hidden = np.random.default_rng(seed).standard_normal((rows, columns + 1)) / math.sqrt(columns)
    return _Layer(hidden, np.zeros((len(network.biases[-1]), rows + 1)))


def _given(condition: Condition, network: SiteNetwork, n_bins: int) -> _Given:
    x = np.asarray(condition.inputs, float)
    for weights, bias in zip(network.weights[:-2], network.biases[:-2], strict=True):
        x = np.tanh(np.asarray(weights, float) @ x + np.asarray(bias, float)[:, None])
    n_terms, power = len(network.biases[-1]), condition.power
    logs = np.asarray(condition.logs)[: 2 * n_bins]
    weights = np.exp(logs - logs.max(axis=0)) * shares(n_bins, power=power)[:, None]
    return _Given(
        np.concatenate([x, np.ones_like(x[:1])]).T,
        series(np.asarray(condition.value), power, n_terms=n_terms),
        series(nodes(n_bins)[: 2 * n_bins], power, n_terms=n_terms),
        (weights / weights.sum(axis=0)).T,
    )


def _units(layer: _Layer, given: _Given) -> Float[np.ndarray, "n units"]:
    found = np.tanh(given.inputs @ layer.hidden.T)
    return np.concatenate([found, np.ones_like(found[:, :1])], axis=1)


def _change(layer: _Layer, given: _Given) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n terms"]]:
    """By how much log q of one coordinate changes, and its derivatives by the coefficients of the series."""
    coefficients = _units(layer, given) @ layer.output.T
    tilted = given.shares * np.exp(coefficients @ given.on_nodes.T)
    total = tilted.sum(axis=1)
    change = np.sum(coefficients * given.terms, axis=1) - np.log(total)
    return change, given.terms - tilted @ given.on_nodes / total[:, None]


def _missing(layers: list[_Layer], given: list[_Given], rest: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Log p − log q of every example."""
    return rest - sum(_change(*pair)[0] for pair in zip(layers, given, strict=True))


def _part(given: list[_Given], rows: slice) -> list[_Given]:
    return [g._replace(inputs=g.inputs[rows], terms=g.terms[rows], shares=g.shares[rows]) for g in given]


def _variance(layers: list[_Layer], given: list[_Given], rest: Float[np.ndarray, " n"]) -> float:
    """Of log p − log q at the fifth of examples that is not fitted."""
    rows = slice(_n_fitted(rest), None)
    return float(np.var(_missing(layers, _part(given, rows), rest[rows])))


def _n_fitted(rest: Float[np.ndarray, " n"]) -> int:
    return len(rest) * 4 // 5


def _equations(
    layers: list[_Layer], given: list[_Given], rest: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "w w"], Float[np.ndarray, " w"]]:
    """Normal equations of a Gauss-Newton step of all layers; the last unknown is the constant."""
    matrix, slope, n = 0.0, 0.0, _n_fitted(rest)
    for rows in (slice(first, min(first + _ROWS, n)) for first in range(0, n, _ROWS)):
        some = _part(given, rows)
        slopes = [_slopes(*pair) for pair in zip(layers, some, strict=True)]
        jacobian = np.concatenate([*slopes, np.ones_like(slopes[0][:, :1])], axis=1).astype(np.float32)
        matrix = matrix + (jacobian.T @ jacobian).astype(float) / n
        slope = slope + jacobian.T.astype(float) @ _missing(layers, some, rest[rows]) / n
    return np.asarray(matrix), np.asarray(slope)


def _improved(
    layers: list[_Layer], matrix: Float[np.ndarray, "w w"], slope: Float[np.ndarray, " w"], *, damping: float
) -> list[_Layer]:
    """The layers after a damped step."""
    step = np.linalg.solve(matrix + np.diag(damping * np.diag(matrix) + 1e-9), slope)
    found, first = [], 0
    for layer in layers:
        parts = []
        for old, moves in zip(layer, (np.any(layer.output), True), strict=True):
            n = old.size if moves else 0
            parts.append(old + step[first : first + n].reshape(old.shape) if moves else old)
            first += n
        found.append(_Layer(*parts))
    return found


def _slopes(layer: _Layer, given: _Given) -> Float[np.ndarray, "n weights"]:
    """Derivatives of log q by all weights of a layer; those of the hidden ones vanish, and are left out, at first."""
    units, terms = _units(layer, given), _change(layer, given)[1]
    if not np.any(layer.output):
        return (terms[:, :, None] * units[:, None]).reshape(len(units), -1)
    before = (terms @ layer.output[:, :-1]) * (1 - units[:, :-1] ** 2)
    parts = [before[:, :, None] * given.inputs[:, None], terms[:, :, None] * units[:, None]]
    return np.concatenate([part.reshape(len(units), -1) for part in parts], axis=1)


def _network(network: SiteNetwork, layer: _Layer) -> SiteNetwork:
    weights = (*network.weights[:-2], jnp.asarray(layer.hidden[:, :-1]), jnp.asarray(layer.output[:, :-1]))
    return SiteNetwork(
        weights, (*network.biases[:-2], jnp.asarray(layer.hidden[:, -1]), jnp.asarray(layer.output[:, -1]))
    )
