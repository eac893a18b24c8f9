r"""Exact results for spin models: rings of every O(N), and narrow strips of the XY model.

On a ring the transfer operator $e^{\beta n\cdot n'}$ is diagonal in spherical harmonics of degree l, with eigenvalues

$$\lambda_l=\Gamma(\tfrac N2)\,(2/\beta)^{N/2-1}I_{N/2-1+l}(\beta),\qquad
d_l=\tbinom{l+N-1}{N-1}-\tbinom{l+N-3}{N-1}$$

of them each: Bessel functions $I_l$ of the XY model, $\sqrt{\pi/2\beta}\,I_{l+1/2}$ of O(3). The 2×2 lattice is a ring
of four sites whose bonds count twice. A strip of the XY model is solved in the charges $k_x$ of the links along its
length, $e^{\beta\cos\theta}=\sum_kI_k(\beta)e^{ik\theta}$, whose sum is conserved; charges beyond ±K are left out,
where $I_K/I_0$ is negligible. The measure of every spin is uniform and normalised.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ive

from latflow.arguments import count, number
from latflow.errors import ConfigError, UsageError

_NEGLIGIBLE = 1e-18
"""Degrees and charges end where their weight is below this part of the largest."""

_SMALL_CHARGE = 1e-12
"""Part of the largest weight below which a charge of a strip is left out."""

_DEGREES = 4000

_LARGEST = 500
"""Largest number of states of one total charge."""


class TooWideError(UsageError):
    """A strip with more states than can be diagonalised."""


@dataclasses.dataclass(frozen=True)
class SpinMoments:
    r"""Exact values of a periodic lattice.

    Attributes:
        log_z: $\log Z$ with the normalised measure.
        spin_product: $\langle n_x\cdot n_{x+\hat\mu}\rangle$, average over all bonds.
        susceptibility: $\sum_x\langle n_0\cdot n_x\rangle$.
        structure: $\sum_x\cos(2\pi t/T)\langle n_0\cdot n_x\rangle$ along the last direction.
        helicity: Helicity modulus along the last direction, see `latflow.observables.spins`; NaN but for the XY model.
    """

    log_z: float
    spin_product: float
    susceptibility: float
    structure: float
    helicity: float = math.nan


def ring(sites: int, *, components: int, beta: float) -> SpinMoments:
    """A chain of spins that closes.

    Args:
        sites: At least 2; two sites have two bonds.
        components: N, at least 2.
        beta: β, positive.

    >>> round(ring(3, components=3, beta=1.0).spin_product, 8)
    0.3891398

    Raises:
        ConfigError: If a number is out of range.
    """
    count("sites", sites, least=2)
    count("components", components, least=2)
    _require_positive(beta)
    relative, slope, degeneracy = _spectrum(components, beta)
    z = float(np.sum(degeneracy * relative**sites))
    log_z = sites * log_integral(components, beta) + math.log(z)
    # <n_0 n_r>: the spin takes degree l to l ± 1, with sums of squared matrix elements c_l
    alpha, degree = components / 2 - 1, np.arange(len(relative) - 1)
    elements = (degree + 1) / (2 * (degree + 1 + alpha)) * degeneracy[1:]
    r = np.arange(sites)[:, None]
    lower, upper = relative[None, :-1], relative[None, 1:]
    paths = lower ** (sites - r) * upper**r + upper ** (sites - r) * lower**r
    correlation = paths @ elements / z
    return SpinMoments(
        log_z=log_z,
        spin_product=float(np.sum(degeneracy * relative ** (sites - 1) * slope)) / z,
        susceptibility=float(np.sum(correlation)),
        structure=float(np.sum(np.cos(2 * np.pi * r[:, 0] / sites) * correlation)),
        helicity=_ring_helicity(relative, sites, beta) if components == 2 else math.nan,
    )


def two_by_two(*, components: int, beta: float) -> SpinMoments:
    """The 2×2 lattice: a ring of four sites at 2β, numbered around the plaquette."""
    found = ring(4, components=components, beta=2 * beta)
    # along a direction the four sites are two and two: 1 + G(1) - G(1) - G(2) = 2 + 2G(1) - χ, χ = 1 + 2G(1) + G(2)
    structure = 2 + 2 * found.spin_product - found.susceptibility
    return dataclasses.replace(found, structure=structure, helicity=math.nan)


def strong_coupling_product(*, components: int, beta: float, dimensions: int) -> float:
    r"""$\langle n_x\cdot n_{x+\hat\mu}\rangle=u+2(d-1)u^3+O(\beta^5)$ on a large lattice, $u=\lambda_1/\lambda_0$.

    The bond itself, and the three other bonds of each plaquette it belongs to.

    Args:
        components: N, at least 2.
        beta: β, positive and small.
        dimensions: d.
    """
    u = float(_spectrum(count("components", components, least=2), beta)[0][1])
    return u + 2 * (count("dimensions", dimensions) - 1) * u**3


def _ring_helicity(relative: Float[np.ndarray, " degrees"], sites: int, beta: float) -> float:
    weights = relative**sites
    q = np.arange(len(relative))
    return sites / beta * float(2 * np.sum(q**2 * weights)) / float(weights[0] + 2 * np.sum(weights[1:]))


def _require_positive(beta: float) -> None:
    number("beta", beta)
    if not beta > 0:
        raise ConfigError([f"beta: {beta}; allowed: a positive number"])


def log_integral(components: int, beta: float) -> float:
    """Log of λ₀, of the integral of exp(β n·n′) over the uniform, normalised measure of one spin n."""
    order = components / 2 - 1
    return math.lgamma(components / 2) + order * math.log(2 / beta) + math.log(ive(order, beta)) + beta


def _spectrum(
    components: int, beta: float
) -> tuple[Float[np.ndarray, " degrees"], Float[np.ndarray, " degrees"], Float[np.ndarray, " degrees"]]:
    """λ_l / λ₀ up to a negligible one, dλ_l/dβ / λ₀, and how many there are of each."""
    order = components / 2 - 1
    bessel = ive(order + np.arange(_DEGREES), beta)
    ratio = bessel / bessel[0]
    n = int(np.argmax(ratio < _NEGLIGIBLE)) + 1
    # λ ∝ β^{-order} I_{order+l}, and I_ν' = I_{ν+1} + (ν/β) I_ν
    slope = ratio[1 : n + 1] + np.arange(n) / beta * ratio[:n]
    degeneracy = [math.comb(k + components - 1, components - 1) - _below(k, components) for k in range(n)]
    return ratio[:n], slope, np.asarray(degeneracy, dtype=float)


def _below(degree: int, components: int) -> int:
    """How many harmonics of degree l − 2 times the square of the radius there are."""
    return math.comb(degree + components - 3, components - 1) if degree >= 2 else 0


def xy_strip(width: int, length: int, *, beta: float, charges: int | None = None) -> SpinMoments:
    """A periodic XY lattice of `width` × `length` sites by its transfer matrix.

    Args:
        width: 2 or 3; two sites beside each other have two bonds. Wider ones at small β only.
        length: Sites along the strip, at least 2.
        beta: β, positive.
        charges: K; by default where the weight of a charge is negligible.

    >>> round(xy_strip(2, 4, beta=0.8).spin_product, 8)
    0.63047479

    Raises:
        ConfigError: If a number is out of range.
        TooWideError: If there are too many states.
    """
    for name, extent in (("width", width), ("length", length)):
        count(name, extent, least=2)
    _require_positive(beta)
    strip = _Strip(width, beta, _largest_charge(beta) if charges is None else count("charges", charges))
    if strip.most_states > _LARGEST:
        value = f"{width} sites with charges up to {strip.largest}"
        raise TooWideError("strip: width", value=value, allowed=f"at most {_LARGEST} states of one total charge")
    return _strip_moments(strip, length)


def strip_is_narrow(width: int, beta: float) -> bool:
    """Whether `xy_strip` solves strips of this width."""
    return width >= 2 and _Strip(width, beta, _largest_charge(beta)).most_states <= _LARGEST


def _largest_charge(beta: float) -> int:
    k = np.arange(_DEGREES)
    return int(np.argmax(ive(k, beta) / ive(0, beta) < _SMALL_CHARGE))


class _Level(NamedTuple):
    """The transfer matrix of one total charge: its states, eigenvalues and eigenvectors, and sums along them."""

    states: Int[np.ndarray, "states width"]
    values: Float[np.ndarray, " states"]
    vectors: Float[np.ndarray, "states states"]
    across: Float[np.ndarray, " states"]
    along: Float[np.ndarray, " states"]


@dataclasses.dataclass(frozen=True)
class _Strip:
    """T = √S D √S on the charges of a cut: D the bonds along the strip, S those across it, which commute with spins."""

    width: int
    beta: float
    largest: int

    @property
    def most_states(self) -> int:
        counts = np.ones(1)
        for _ in range(self.width):
            counts = np.convolve(counts, np.ones(2 * self.largest + 1))
        return int(counts.max())

    def states(self, total: int) -> Int[np.ndarray, "states width"]:
        """Charges of the links of a cut with this sum."""
        axis = np.arange(-self.largest, self.largest + 1)
        first = np.stack(np.meshgrid(*[axis] * (self.width - 1), indexing="ij"), axis=-1).reshape(-1, self.width - 1)
        last = total - first.sum(axis=1)
        inside = np.abs(last) <= self.largest
        return np.concatenate([first[inside], last[inside, None]], axis=1)

    def level(self, total: int) -> _Level:
        """Solved at one total charge; eigenvalues in units of e^{2βW}."""
        states = self.states(total)
        root = self._root(states)
        bessel = ive(np.arange(self.largest + 2), self.beta)
        each = bessel[np.abs(states)]
        slope = 0.5 * (bessel[np.abs(states - 1)] + bessel[np.abs(states + 1)])
        weights = np.prod(each, axis=1)
        values, vectors = np.linalg.eigh(root * weights[None] @ root)
        change = root * (weights * np.sum(slope / each, axis=1))[None] @ root
        return _Level(
            states,
            values,
            vectors,
            np.einsum("ia,ij,ja->a", vectors, self._cosines(states), vectors),
            np.einsum("ia,ia->a", vectors, change @ vectors),
        )

    def _root(self, states: Int[np.ndarray, "states width"]) -> Float[np.ndarray, "states states"]:
        r"""Fourier coefficients of $\prod_xe^{\frac\beta2\cos(\theta_x-\theta_{x+1})}$, a sum over one charge."""
        # One of the bonds carries m itself, so that its Bessel function ends the sum.
        most, far = _largest_charge(self.beta / 2), 2 * self.largest * self.width
        bessel = ive(np.abs(np.arange(-far - most, far + most + 1)), self.beta / 2)
        partial = np.cumsum(states[:, None] - states[None], axis=2) + far + most
        return sum(
            (np.prod(bessel[partial + m], axis=2) for m in range(-most, most + 1)),
            np.zeros((len(states), len(states))),
        )

    def _cosines(self, states: Int[np.ndarray, "states width"]) -> Float[np.ndarray, "states states"]:
        r"""$\sum_x\cos(\theta_x-\theta_{x+1})$."""
        numbers = {tuple(row): i for i, row in enumerate(states.tolist())}
        found = np.zeros((len(states), len(states)))
        for row, i in numbers.items():
            for x in range(self.width):
                moved = list(row)
                moved[x] += 1
                moved[(x + 1) % self.width] -= 1
                j = numbers.get(tuple(moved))
                if j is not None:
                    found[i, j] += 0.5
                    found[j, i] += 0.5
        return found


def _strip_moments(strip: _Strip, length: int) -> SpinMoments:
    """Sums over all total charges, in units of the largest eigenvalue; those of opposite sign are alike."""
    below = strip.level(0)
    top = float(below.values[-1])
    z = across = along = square = 0.0
    functions, r = np.zeros(length), np.arange(length)
    for total in range(strip.width * strip.largest + 1):
        above = strip.level(total + 1) if total < strip.width * strip.largest else None
        values = np.maximum(below.values / top, 0.0)
        weights, twice = values**length, 2.0 if total else 1.0
        z += twice * float(np.sum(weights))
        across += twice * length * float(np.sum(weights * below.across))
        along += twice * length * float(np.sum(values ** (length - 1) * below.along)) / top
        square += twice * total**2 * float(np.sum(weights))
        if above is None or float(np.max(above.values)) / top < _SMALL_CHARGE:
            break
        # From this charge to the next, and as much from minus the next to minus this one.
        jumps = (above.vectors.T @ _raised(below.states, above.states) @ below.vectors) ** 2
        higher = np.maximum(above.values / top, 0.0)
        there = np.asarray([higher**k @ jumps @ values ** (length - k) for k in range(length + 1)])
        functions += there[:-1] + there[:0:-1]
        below = above
    correlation = functions / (strip.width * z)
    return SpinMoments(
        log_z=length * (math.log(top) + 2 * strip.beta * strip.width) + math.log(z),
        spin_product=(across + along) / (2 * strip.width * length * z),
        susceptibility=float(np.sum(correlation)),
        structure=float(np.sum(np.cos(2 * np.pi * r / length) * correlation)),
        helicity=length / (strip.width * strip.beta) * square / z,
    )


def _raised(
    lower: Int[np.ndarray, "states width"], upper: Int[np.ndarray, "more width"]
) -> Float[np.ndarray, "more states"]:
    r"""$\sum_xe^{i\theta_x}$, from one total charge to the next."""
    numbers = {tuple(row): i for i, row in enumerate(upper.tolist())}
    found = np.zeros((len(upper), len(lower)))
    for i, row in enumerate(lower.tolist()):
        for x in range(len(row)):
            j = numbers.get((*row[:x], row[x] + 1, *row[x + 1 :]))
            if j is not None:
                found[j, i] = 1.0
    return found
