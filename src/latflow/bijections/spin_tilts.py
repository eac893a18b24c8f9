r"""Uniform unit vectors carried to the density $q(x)=e^{h\cdot x}/C(\kappa)$ about a field h, κ = |h|.

It is the von Mises density of XY spins and that of Fisher of O(3) spins, the conditional density of a heat bath. The
map moves a vector z along the great circle through h: with θ the angle between them, the share of the sphere nearer to
h than the image has under q the weight that the share nearer than z has uniformly. For N = 3 that is a formula in
cos θ. For N = 2 and 4 shares are series in sin jθ, whose coefficients are ratios of Bessel functions $I_j(\kappa)$,
found by recurrence from the end; the angle is found by Halley's steps from a normal approximation, its derivatives by
the implicit function theorem. Where it is not found to `TOLERANCE` the log-det is NaN, and no density passes for one.
The map commutes with rotations and reflections of z and h together.

References:
    K. V. Mardia, P. E. Jupp, Directional Statistics, Wiley (2000), sections 3.5 and 9.3; the normal approximation is
    that of G. W. Hill, Biometrika 63 (1976) 673, with its ends put right.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

COMPONENTS = (2, 3, 4)
"""Numbers of components N there are maps for."""

LARGEST_FIELD = 20.0
"""Longer fields are shortened to this length."""

_ORDERS = 40
"""Terms of the series: $I_{40}(20)/I_0(20)$ is 4e-16."""

TOLERANCE = 1e-11
"""Largest error of the share of an angle that was found, times π."""

_STEPS = {2: 4, 4: 7}
_NO_FIELD = 1e-12
_WEAK = 1e-6

Spins = Float[Array, "n *sites"]
Numbers = Float[Array, "*sites"]
Each = Float[Array, "1 *sites"]


class Frame(NamedTuple):
    """Length and direction of a field, and a vector as its angle to the field and a direction across it."""

    kappa: Each
    along: Spins
    cosine: Each
    sine: Each
    across: Spins


def tilted(z: Spins, field: Spins) -> tuple[Spins, Numbers]:
    """Images of unit vectors of uniform density, and log-dets, for every site.

    Args:
        z: Unit vectors, components first.
        field: Of the same shape, any length; one that is longer than `LARGEST_FIELD` is shortened.
    """
    frame = framed(z, field)
    cosine, sine = _towards(frame, n=len(z))
    x = cosine * frame.along + sine * frame.across
    return x, (log_normaliser(frame.kappa, n=len(z)) - frame.kappa * cosine)[0]


def untilted(x: Spins, field: Spins) -> tuple[Spins, Numbers]:
    """Pre-images of unit vectors, and log-dets of the inverse.

    Args:
        x: Unit vectors, components first.
        field: As for `tilted`.
    """
    frame = framed(x, field)
    cosine, sine = _away(frame, n=len(x))
    z = cosine * frame.along + sine * frame.across
    return z, (frame.kappa * frame.cosine - log_normaliser(frame.kappa, n=len(x)))[0]


def turned(z: Spins, field: Spins) -> Spins:
    """Vectors turned by the rotation that takes the first unit vector along the field, in the plane of both.

    Args:
        z: Unit vectors, components first.
        field: Of the same shape.
    """
    _, along = _field(field)
    if len(z) == 2:
        return jnp.stack([along[0] * z[0] - along[1] * z[1], along[1] * z[0] + along[0] * z[1]])
    middle = along.at[0].add(1.0)
    opposite = middle[:1] < _NO_FIELD
    share = _products(middle, z) / jnp.where(opposite, 1.0, middle[:1])
    # the other way round: by half a turn in the plane of the first two axes
    back = z.at[:2].multiply(-1.0)
    return jnp.where(opposite, back, z - share * middle + 2 * z[:1] * along)


def framed(x: Spins, field: Spins) -> Frame:
    """The parts of vectors along and across a field; across is zero on the axis."""
    kappa, along = _field(field)
    cosine = jnp.clip(_products(x, along), -1.0, 1.0)
    rest = x - cosine * along
    rest = rest - _products(rest, along) * along  # twice: near the axis the first leaves a part along
    square = _products(rest, rest)
    off = square > _NO_FIELD**2
    sine = jnp.sqrt(jnp.where(off, square, 1.0))
    return Frame(kappa, along, cosine, jnp.where(off, sine, 0.0), jnp.where(off, rest / sine, 0.0))


def log_normaliser(kappa: Numbers, *, n: int) -> Numbers:
    """Ln of the average of $e^{h·x}$ over the sphere: of $I_0$, sinh κ/κ or $2I_1/κ$ for N = 2, 3, 4."""
    if n == 3:
        weak, safe = kappa < _WEAK, jnp.where(kappa < _WEAK, 1.0, kappa)
        return jnp.where(weak, kappa**2 / 6, safe + jnp.log(-jnp.expm1(-2 * safe) / (2 * safe)))
    whole = jnp.log(jax.scipy.special.i0e(kappa)) + kappa
    return whole if n == 2 else whole + jnp.log(1 - _ratios(kappa)[1])


def _products(x: Spins, y: Spins) -> Each:
    return jnp.sum(x * y, axis=0, keepdims=True)


def _field(field: Spins) -> tuple[Each, Spins]:
    """Length, at most `LARGEST_FIELD`, and direction; the first unit vector where there is no field."""
    square = _products(field, field)
    some = square > _NO_FIELD**2
    length = jnp.sqrt(jnp.where(some, square, 1.0))
    first = jnp.zeros_like(field).at[0].set(1.0)
    return jnp.where(some, jnp.minimum(length, LARGEST_FIELD), 0.0), jnp.where(some, field / length, first)


def _towards(frame: Frame, *, n: int) -> tuple[Each, Each]:
    """Cosine and sine of the angle to the field after the map."""
    if n == 3:
        weak = frame.kappa < _WEAK
        kappa = jnp.where(weak, 1.0, frame.kappa)
        moved = 1 + jnp.log1p(0.5 * (1 - frame.cosine) * jnp.expm1(-2 * kappa)) / kappa
        cosine = jnp.where(weak, frame.cosine + 0.5 * frame.kappa * frame.sine**2, moved)
        return cosine, _sine(cosine)
    angle = _angle_of(_uniform_share(jnp.arctan2(frame.sine, frame.cosine), n=n), frame.kappa, n=n)
    return jnp.cos(angle), jnp.sin(angle)


def _away(frame: Frame, *, n: int) -> tuple[Each, Each]:
    """Cosine and sine before the map."""
    if n == 3:
        weak = frame.kappa < _WEAK
        kappa = jnp.where(weak, 1.0, frame.kappa)
        moved = 1 - 2 * jnp.expm1(kappa * (frame.cosine - 1)) / jnp.expm1(-2 * kappa)
        cosine = jnp.where(weak, frame.cosine - 0.5 * frame.kappa * frame.sine**2, moved)
        return cosine, _sine(cosine)
    angle = jnp.arctan2(frame.sine, frame.cosine)
    share = _share(angle, _series(frame.kappa, n=n), frame.kappa, n=n)[0]
    angle = share if n == 2 else _angle_of(share, jnp.zeros_like(frame.kappa), n=n)
    return jnp.cos(angle), jnp.sin(angle)


def _sine(cosine: Numbers) -> Numbers:
    square = (1 - cosine) * (1 + cosine)
    some = square > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, square, 1.0)), 0.0)


def _uniform_share(angle: Numbers, *, n: int) -> Numbers:
    """Π times the share of the sphere that is nearer to the field than an angle in [0, π]."""
    return angle if n == 2 else angle - 0.5 * jnp.sin(2 * angle)


def _angle_of(share: Numbers, kappa: Numbers, *, n: int) -> Numbers:
    """The angle in [0, π] with a share; NaN where it is not found."""
    wanted, fixed = jax.lax.stop_gradient((share, kappa))
    series = _series(fixed, n=n)

    def step(_: int | Array, angle: Numbers) -> Numbers:
        found, slope = _share(angle, series, fixed, n=n)
        newton = (found - wanted) / jnp.maximum(slope, _NO_FIELD**2)
        bend = -fixed * jnp.sin(angle)
        bend = bend if n == 2 else bend + 2 / jnp.tan(jnp.maximum(angle, _NO_FIELD))
        return jnp.clip(angle - newton / (1 - 0.5 * newton * bend), 0.0, jnp.pi)

    angle = jax.lax.stop_gradient(jax.lax.fori_loop(0, _STEPS[n], step, _nearly(wanted, fixed, n=n)))
    # the share at the angle found, with the derivatives of κ: one more step carries those of the angle
    found, slope = _share(angle, _series(kappa, n=n), kappa, n=n)
    residual = found - share
    moved = angle - residual / jnp.maximum(jax.lax.stop_gradient(slope), _NO_FIELD**2)
    return jnp.where(jnp.abs(residual) < TOLERANCE, moved, jnp.nan)


def _nearly(share: Numbers, kappa: Numbers, *, n: int) -> Numbers:
    """Where the steps begin: sin θ/2 as a normal number for N = 2, the angle of N = 3 for N = 4."""
    if n == 4:
        weak = jnp.maximum(kappa, _WEAK)
        return jnp.arccos(jnp.clip(1 + jnp.log1p(jnp.expm1(-2 * weak) * share / jnp.pi) / weak, -1.0, 1.0))
    most = jnp.sqrt(2 / jnp.pi) * jnp.exp(kappa - log_normaliser(kappa, n=2))
    normal = jax.scipy.special.ndtri(0.5 + share / jnp.pi * (jax.scipy.special.ndtr(most) - 0.5))
    return 2 * jnp.arcsin(jnp.clip(normal / most, 0.0, 1.0))


def _share(angle: Numbers, series: Float[Array, "j *sites"], kappa: Numbers, *, n: int) -> tuple[Numbers, Numbers]:
    """Π times the weight under q of what is nearer to the field than an angle, and its slope."""

    def clenshaw(carry: tuple[Numbers, Numbers], a: Numbers) -> tuple[tuple[Numbers, Numbers], None]:
        first, second = carry
        return (a + 2 * cosine * first - second, first), None

    cosine, zero = jnp.cos(angle), jnp.zeros_like(angle + series[0])
    (total, _), _ = jax.lax.scan(clenshaw, (zero, zero), series[::-1])
    measure = 1.0 if n == 2 else 2 * jnp.sin(angle) ** 2
    return angle + total * jnp.sin(angle), measure * jnp.exp(kappa * cosine - log_normaliser(kappa, n=n))


def _series(kappa: Numbers, *, n: int) -> Float[Array, "j *sites"]:
    r"""Coefficients $2c_j/j$ of sin jθ, with $c_j$ the means of cos jθ under the density of θ."""
    ratios = jnp.concatenate([jnp.ones_like(kappa)[None], _ratios(kappa)])
    j = jnp.arange(1, _ORDERS - 1).reshape(-1, *(1,) * kappa.ndim)
    if n == 4:  # sin²θ = (1 − cos 2θ)/2
        below = jnp.concatenate([ratios[1:2], ratios[:-3]])
        ratios = jnp.concatenate(
            [ratios[:1], (ratios[1:-2] - 0.5 * (below[: _ORDERS - 2] + ratios[3:])) / (1 - ratios[2:3])]
        )
    return 2 * ratios[1 : _ORDERS - 1] / j


def _ratios(kappa: Numbers) -> Float[Array, "orders *sites"]:
    r"""$I_j(\kappa)/I_0(\kappa)$ for j = 1, 2, …, by the ratios of neighbours from the end."""

    def lower(above: Numbers, j: Array) -> tuple[Numbers, Numbers]:
        ratio = kappa / (2 * j + kappa * above)
        return ratio, ratio

    orders = jnp.arange(_ORDERS + 8, 0, -1)
    _, ratios = jax.lax.scan(lower, jnp.zeros_like(kappa), orders)
    return jnp.cumprod(ratios[::-1], axis=0)[:_ORDERS]
