r"""Random numbers in double precision, fast on a CPU.

`jax.random.normal` inverts the error function on generic random bits; momenta drawn in this way are half of the cost of
a molecular-dynamics trajectory. Here the generator of JAX (Threefry-2x32 with 20 rounds, keyed by the two words of a
`jax.random.key`) is unrolled and fused with a Box–Muller transformation whose logarithm and cosine are polynomials:
three times faster, and quicker to compile. Numbers differ from those of `jax.random`; keys by `fold_in` are the same.

Every draw of latflow is made here or with a key that went through `pinned`: it is a function of the key alone, and not
of JAX's settings, such as `jax_threefry_partitionable` or `jax_default_prng_impl`.

References:
    Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
"""

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import core
from jax.extend.core import Primitive
from jax.extend.random import define_prng_impl, threefry_prng_impl
from jax.interpreters import batching, mlir
from jaxtyping import Array, Float, Integer, Key, UInt32

from latflow._typing import PRNGKey
from latflow.errors import ConfigError, UnavailableError

GENERATOR = "threefry2x32"
"""The one generator; JAX's default."""

_HORNER = 6
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)
_EXPONENT_OF_ONE = np.int64(0x3FF0000000000000)
_MANTISSA = np.int64(0x000FFFFFFFFFFFFF)
# Bits of 1/sqrt 2: mantissas are scaled to [1/sqrt 2, sqrt 2), where the series of the logarithm is shortest.
_LOWEST_MANTISSA = np.int64(0x3FE6A09E667F3BCD)
# From the constant term on: ln(1+f)/f for 1/sqrt 2 <= 1+f < sqrt 2 by Chebyshev interpolation (the error falls like
# 5.8^-n), and the Taylor series of sin(πa)/a for |a| <= 1/2, cut where the next term is below 3e-16.
_LOG1P = tuple(
    np.polynomial.Chebyshev.interpolate(
        lambda f: np.where(f == 0, 1.0, np.log1p(f) / np.where(f == 0, 1.0, f)), 20, domain=[0.5**0.5 - 1, 2**0.5 - 1]
    )
    .convert(kind=np.polynomial.Polynomial)
    .coef
)
_SINE = tuple((-1) ** k * math.pi ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(10))


def require_float64() -> None:
    """Refuse to go on where JAX computes in single precision.

    Raises:
        UnavailableError: If float64 is switched off.
    """
    if jnp.result_type(float) != jnp.float64:
        raise UnavailableError(
            "float64 arithmetic",
            allowed='jax.config.update("jax_enable_x64", True) before the first array is made',
            hint="energies and accept/reject decisions are only exact in double precision",
        )


def require_key(key: object, *, name: str = "key") -> None:
    """Refuse what is no key of the one generator, before anything is computed.

    Args:
        key: The argument.
        name: Its name, for the message.

    Raises:
        TypeError: If it is no key.
        ConfigError: If it is a key of another generator.
    """
    allowed = f'jax.random.key(seed), with impl="{GENERATOR}" where JAX has another default'
    if not isinstance(key, jax.Array):
        raise TypeError(f"{name}: {type(key).__name__}; allowed: {allowed}")
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.dtype != jnp.uint32 or key.shape != (2,):
            raise TypeError(f"{name}: an array of {key.dtype}, shape {key.shape}; allowed: {allowed}")
        return
    if (found := jax.random.key_impl(key)) not in (GENERATOR, _PINNED):
        raise ConfigError([f"{name}: of the generator {found}; allowed: {allowed}"])
    if key.shape:
        raise TypeError(f"{name}: {key.shape[0]} keys; allowed: one, {allowed}")


def root_key(seed: int) -> PRNGKey:
    """The key of a seed: `jax.random.key(seed)`, whatever generator and offset of seeds are JAX's defaults.

    Args:
        seed: From 0 to 2⁶⁴ − 1.
    """
    words = np.asarray([seed >> 32, seed & 0xFFFFFFFF], np.uint32)
    return jax.random.wrap_key_data(jnp.asarray(words), impl=GENERATOR)


def pinned(key: PRNGKey) -> PRNGKey:
    """The same key for functions of `jax.random`, whose draws then do not depend on how JAX is set.

    Raises:
        ConfigError: If it is a key of another generator.
    """
    return jax.random.wrap_key_data(_words(key), impl=_PINNED)


def split(key: PRNGKey, n: int = 2) -> Key[Array, " n"]:
    """`n` child keys; the same as `jax.random.split`.

    Args:
        key: Used up by this.
        n: How many.
    """
    return jax.random.wrap_key_data(jax.random.key_data(jax.random.split(pinned(key), n)), impl=GENERATOR)


def fold_in(key: PRNGKey, data: int | Integer[Array, ""]) -> PRNGKey:
    """The child key number `data`; the same as `jax.random.fold_in`.

    Args:
        key: Not used up: further children have other numbers.
        data: From 0 to 2³² − 1.
    """
    child = _threefry(_words(key), jnp.uint32(0), jnp.asarray(data).astype(jnp.uint32))
    return jax.random.wrap_key_data(jnp.stack(child), impl=GENERATOR)


def uniform(key: PRNGKey, shape: tuple[int, ...] = ()) -> Float[Array, "*shape"]:
    """Independent numbers uniform in [0, 1), multiples of 2^-52.

    Args:
        key: Used once.
        shape: Shape of the result. Under `vmap` the batch becomes its last axis in memory.

    Raises:
        UnavailableError: If float64 is switched off; so in `log_uniform` and `standard_normal`.
    """
    require_float64()
    return _uniform.bind(_words(key), shape=shape)


def log_uniform(key: PRNGKey, shape: tuple[int, ...] = ()) -> Float[Array, "*shape"]:
    r"""$\ln u$ for u uniform in [0, 1); $-\infty$ is possible.

    Args:
        key: Used once.
        shape: Shape of the result. Under `vmap` the batch becomes its last axis in memory.
    """
    require_float64()
    return _log_uniform.bind(_words(key), shape=shape)


def standard_normal(key: PRNGKey, shape: tuple[int, ...] = ()) -> Float[Array, "*shape"]:
    """Independent numbers from N(0, 1); radius and angle of a pair have 52 random bits each.

    Args:
        key: Used once.
        shape: Shape of the result. Under `vmap` the batch becomes its last axis in memory.
    """
    require_float64()
    return _standard_normal.bind(_words(key), shape=shape)


@functools.cache
def probe() -> str:
    """Sixteen hexadecimal digits that are others where the generator gives other bits.

    They are a hash of child keys and of integers, which no rounding changes.
    """
    digest = hashlib.sha256()
    for words in _probed(root_key(5)):
        digest.update(np.asarray(words).astype("<f8").tobytes())
    return digest.hexdigest()[:16]


@jax.jit
def _probed(key: PRNGKey) -> list[Array]:
    first, second = split(key)
    return [jax.random.key_data(first), jax.random.bits(pinned(second), (3,), jnp.uint32), uniform(second, (2,))]


def _words(key: PRNGKey) -> UInt32[Array, "2"]:
    """The two words of a key."""
    require_key(key)
    return jax.random.key_data(key)


def _random_bits(words: UInt32[Array, "2"], width: int, shape: tuple[int, ...]) -> Array:
    with jax.threefry_partitionable(True):  # noqa: FBT003
        return threefry_prng_impl.random_bits(words, width, shape)


def _children(words: UInt32[Array, "2"], shape: tuple[int, ...]) -> Array:
    with jax.threefry_partitionable(True):  # noqa: FBT003
        return threefry_prng_impl.split(words, shape)


# Threefry as JAX has it by default. JAX asks for its setting where a draw is compiled, so the setting is given there.
_PINNED = define_prng_impl(
    key_shape=(2,),
    seed=threefry_prng_impl.seed,
    split=_children,
    random_bits=_random_bits,
    fold_in=threefry_prng_impl.fold_in,
    name="threefry2x32 of latflow",
    tag="latflow",
)


def _uniform_of(words: UInt32[Array, "2 *batch"], *, shape: tuple[int, ...]) -> Float[Array, "*shape_and_batch"]:
    bits = _threefry(words, jnp.uint32(0), _counters(math.prod(shape), words))
    return (_unit(*bits) - 1.0).reshape(*shape, *words.shape[1:])


def _log_uniform_of(words: UInt32[Array, "2 *batch"], *, shape: tuple[int, ...]) -> Float[Array, "*shape_and_batch"]:
    u = _uniform_of(words, shape=shape)
    return jnp.where(u > 0, _log(u), -jnp.inf)


def _standard_normal_of(
    words: UInt32[Array, "2 *batch"], *, shape: tuple[int, ...]
) -> Float[Array, "*shape_and_batch"]:
    count = math.prod(shape)
    pairs = _counters((count + 1) // 2, words)
    radius = jnp.sqrt(-2.0 * _log(2.0 - _unit(*_threefry(words, jnp.uint32(0), pairs))))
    # XLA stores the result of a square root, but computes bit operations again for every use: without the root, the
    # random bits would be made once for the sine and once for the cosine.
    root = jnp.sqrt(_unit(*_threefry(words, jnp.uint32(1), pairs)) - 1.0)[None]
    # Cosine and sine of the angle are 1 − 2 sin²(πa) at two values of a, a quarter apart, up to a sign: the angle is
    # uniform, so the sign is irrelevant.
    a = root * root - jnp.asarray([0.5, 0.25]).reshape(2, *(1,) * pairs.ndim)
    a = jnp.where(a >= 0.5, a - 1.0, a)
    sine = a * _polynomial(a * a, _SINE)
    p = radius[None] * (1.0 - 2.0 * sine * sine)
    return p.reshape(-1, *words.shape[1:])[:count].reshape(*shape, *words.shape[1:])


def _counters(n: int, words: UInt32[Array, "2 *batch"]) -> UInt32[Array, "n *batch"]:
    """0, 1, … n − 1 along the first axis, broadcast over the axes of the batch."""
    column = jnp.arange(n, dtype=jnp.uint32).reshape(n, *(1,) * (words.ndim - 1))
    return jnp.broadcast_to(column, (n, *words.shape[1:]))


def _threefry(
    key: UInt32[Array, "2 *batch"], x: UInt32[Array, ""], y: UInt32[Array, "*n"]
) -> tuple[UInt32[Array, "*n"], UInt32[Array, "*n"]]:
    """Two random words for every counter (x, y)."""
    words = [jnp.broadcast_to(word, y.shape) for word in key]
    schedule = (*words, words[0] ^ words[1] ^ _PARITY)
    x, y = x + schedule[0], y + schedule[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = x ^ ((y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation)))
        x = x + schedule[(group + 1) % 3]
        y = y + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


def _unit(high: UInt32[Array, "*n"], low: UInt32[Array, "*n"]) -> Float[Array, "*n"]:
    """Uniform in [1, 2) from the upper 52 of 64 bits."""
    bits = (high.astype(jnp.int64) << 32) | low.astype(jnp.int64)
    mantissa = jax.lax.shift_right_logical(bits, jnp.int64(12))
    return jax.lax.bitcast_convert_type(mantissa | _EXPONENT_OF_ONE, jnp.float64)


def _log(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Natural logarithm of positive, normal numbers to 2e-16; XLA's own logarithm calls a scalar routine.

    There is no division: XLA would store the quotient and compute the random bits a second time for what follows.
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.int64) + (_EXPONENT_OF_ONE - _LOWEST_MANTISSA)
    exponent = (jax.lax.shift_right_arithmetic(bits, jnp.int64(52)) - 1023).astype(jnp.float64)
    f = jax.lax.bitcast_convert_type((bits & _MANTISSA) + _LOWEST_MANTISSA, jnp.float64) - 1.0
    return exponent * math.log(2) + f * _polynomial(f, _LOG1P)


def _polynomial(x: Float[Array, "*n"], coefficients: tuple[float, ...]) -> Float[Array, "*n"]:
    """Value of a polynomial, coefficients from the constant term on.

    Even and odd parts are evaluated separately, so that fewer operations wait for one another.
    """
    if len(coefficients) <= _HORNER:
        value = jnp.full_like(x, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = value * x + coefficient
        return value
    square = x * x
    return _polynomial(square, coefficients[::2]) + x * _polynomial(square, coefficients[1::2])


def _primitive(name: str, function: Callable[..., Array]) -> Primitive:
    """An operation on words (2, *batch) that returns (*shape, *batch): its batch rule appends the new axis."""
    primitive = Primitive(name)

    def batch(args: Sequence[Any], dims: Sequence[int], *, shape: tuple[int, ...]) -> tuple[Array, int]:
        out = primitive.bind(jnp.moveaxis(args[0], dims[0], -1), shape=shape)
        return out, out.ndim - 1

    primitive.def_impl(functools.partial(jax.jit, static_argnames="shape")(function))
    primitive.def_abstract_eval(
        lambda words, *, shape: core.ShapedArray((*shape, *words.shape[1:]), jnp.dtype(jnp.float64))
    )
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))
    batching.primitive_batchers[primitive] = batch
    return primitive


_uniform = _primitive("uniform", _uniform_of)
_log_uniform = _primitive("log_uniform", _log_uniform_of)
_standard_normal = _primitive("standard_normal", _standard_normal_of)
