r"""Exact evidence, goal shares and moments of a planar robot arm, by its transfer operator; numpy in float64.

The evidence is a Fourier integral over wave vectors k of $\langle e^{ik\cdot\mathrm{tip}}\rangle$ under the prior. In
absolute angles the prior is a chain of von Mises kernels, which are diagonal in Fourier space, and a link is a phase
$e^{ikl\cos(\varphi-\alpha)}$ where α is the direction of k. Turning all angles turns k: the chain for one direction,
begun at the angle −α, is that for all of them.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Complex, Float
from scipy.special import ive

_TAIL = 8.5
"""Wave numbers end where the Gaussian of the evidence has fallen by e^−36."""
_SPARE = 64
"""Angles and wave numbers beyond the largest phases; their coefficients fall faster than exponentially there."""


@dataclasses.dataclass(frozen=True)
class ArmMoments:
    """What is known of the posterior of an arm.

    Attributes:
        log_z: Log of the expectation of the evidence under the prior.
        shares: Posterior weight of every goal.
        cosines: ⟨cos θ⟩ of every joint.
        sines: ⟨sin θ⟩ of every joint.
    """

    log_z: float
    shares: tuple[float, ...]
    cosines: tuple[float, ...]
    sines: tuple[float, ...]


@functools.lru_cache(maxsize=32)
def arm_moments(
    lengths: tuple[float, ...],
    goals: tuple[tuple[float, float], ...],
    *,
    width: float,
    concentration: float,
    refinement: float = 1.0,
) -> ArmMoments:
    """Of `latflow.actions.robot_arm.RobotArm` with these arguments.

    Args:
        lengths: Of the links.
        goals: Their positions.
        width: σ of the evidence.
        concentration: κ of the prior of every joint.
        refinement: Multiplies the numbers of angles and of wave numbers, for checks.
    """
    centres = np.asarray(goals, dtype=float)
    cut = _TAIL / width
    phase = cut * (sum(lengths) + float(np.max(np.linalg.norm(centres, axis=1))))
    n_angles = 2 ** int(np.ceil(np.log2(refinement * (2 * phase + _SPARE))))
    nodes, weights = np.polynomial.legendre.leggauss(int(refinement * (phase / 2 + _SPARE)))
    k, angles = cut * (nodes + 1) / 2, 2 * np.pi * np.arange(n_angles) / n_angles
    measure = (cut * weights / 2) * k * np.exp(-0.5 * (width * k) ** 2) / (2 * np.pi * n_angles)
    ahead = centres[:, :1] * np.cos(angles) - centres[:, 1:] * np.sin(angles)
    chain = _Chain(lengths, concentration, k, angles)

    def integrals(average: Complex[np.ndarray, "k angles"]) -> Float[np.ndarray, " goals"]:
        """Over all wave vectors, with e^{−ik·c} of every goal c."""
        return np.asarray(
            [np.einsum("k,ka,ka->", measure, np.exp(-1j * np.outer(k, row)), average).real for row in ahead]
        )

    each = integrals(chain.average())
    total = float(np.sum(each))
    joints = range(len(lengths))
    return ArmMoments(
        log_z=float(np.log(total / len(goals))),
        shares=tuple(float(share) for share in each / total),
        cosines=tuple(float(np.sum(integrals(chain.average(i, chain.cosine)))) / total for i in joints),
        sines=tuple(float(np.sum(integrals(chain.average(i, chain.sine)))) / total for i in joints),
    )


class _Chain:
    r"""$\langle f\,e^{ik\cdot\mathrm{tip}}\rangle$ over the prior, by the angle of the base."""

    def __init__(
        self,
        lengths: tuple[float, ...],
        concentration: float,
        k: Float[np.ndarray, " k"],
        angles: Float[np.ndarray, " angles"],
    ) -> None:
        orders = np.fft.fftfreq(angles.size, 1 / angles.size)
        before, at, after = (ive(np.abs(orders + step), concentration) for step in (-1, 0, 1))
        norm = ive(0, concentration)
        self._step = at / norm
        self.cosine = (after + before) / (2 * norm)
        self.sine = (after - before) / (2j * norm)
        self._phases = [np.exp(1j * length * np.outer(k, np.cos(angles))) for length in lengths]
        # the part of the chain after every joint
        rest = [np.ones_like(self._phases[0])]
        for phase in self._phases[:0:-1]:
            rest.append(_convolved(phase * rest[-1], self._step))
        self._rest = rest[::-1]

    def average(self, joint: int | None = None, kernel: np.ndarray | None = None) -> Complex[np.ndarray, "k angles"]:
        """With another kernel at one joint, or with none."""
        last = 0 if joint is None else joint
        found = _convolved(self._phases[last] * self._rest[last], self._step if kernel is None else kernel)
        for phase in self._phases[:last][::-1]:
            found = _convolved(phase * found, self._step)
        return found


def _convolved(
    values: Complex[np.ndarray, "k angles"], coefficients: Complex[np.ndarray, " angles"] | Float[np.ndarray, " angles"]
) -> Complex[np.ndarray, "k angles"]:
    """∫dθ K(θ) f(φ + θ), by the Fourier coefficients of the kernel."""
    return np.fft.ifft(np.fft.fft(values, axis=1) * coefficients, axis=1)
