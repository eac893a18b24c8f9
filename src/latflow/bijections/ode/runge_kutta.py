"""Explicit Runge–Kutta schemes with fixed steps, as tables of coefficients."""

import dataclasses
import math

import jax.numpy as jnp
from jaxtyping import Array, Float
from scipy.integrate import DOP853 as _DOP853

_ROOT = math.sqrt(21.0)


@dataclasses.dataclass(frozen=True)
class RungeKutta:
    r"""An explicit scheme: $k_i=f(t+c_ih,\;x+h\sum_{j<i}a_{ij}k_j)$, $x\leftarrow x+h\sum_ib_ik_i$.

    Args:
        name: Its name in study files.
        order: The error over a fixed time is proportional to h**order.
        matrix: Rows $a_{ij}$, the first of them empty.
        weights: $b_i$.
    """

    name: str
    order: int
    matrix: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    @property
    def nodes(self) -> tuple[float, ...]:
        """Times $c_i$ of the stages in units of the step."""
        return tuple(math.fsum(row) for row in self.matrix)

    def arrays(self) -> tuple[Float[Array, "n n"], Float[Array, " n"], Float[Array, " n"]]:
        """Coefficients $a_{ij}$ with the zeros, nodes and weights, for loops over stages."""
        square = [(*row, *(0.0,) * (len(self.weights) - len(row))) for row in self.matrix]
        return jnp.asarray(square), jnp.asarray(self.nodes), jnp.asarray(self.weights)


RK4 = RungeKutta("rk4", order=4, matrix=((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), weights=(1 / 6, 1 / 3, 1 / 3, 1 / 6))
"""The classical scheme: four evaluations per step."""

RK8 = RungeKutta(
    "rk8",
    order=8,
    matrix=(
        (),
        (1 / 2,),
        (1 / 4, 1 / 4),
        (1 / 7, (-7 - 3 * _ROOT) / 98, (21 + 5 * _ROOT) / 49),
        ((11 + _ROOT) / 84, 0, (18 + 4 * _ROOT) / 63, (21 - _ROOT) / 252),
        ((5 + _ROOT) / 48, 0, (9 + _ROOT) / 36, (-231 + 14 * _ROOT) / 360, (63 - 7 * _ROOT) / 80),
        (
            (10 - _ROOT) / 42,
            0,
            (-432 + 92 * _ROOT) / 315,
            (633 - 145 * _ROOT) / 90,
            (-504 + 115 * _ROOT) / 70,
            (63 - 13 * _ROOT) / 35,
        ),
        (1 / 14, 0, 0, 0, (14 - 3 * _ROOT) / 126, (13 - 3 * _ROOT) / 63, 1 / 9),
        (1 / 32, 0, 0, 0, (91 - 21 * _ROOT) / 576, 11 / 72, (-385 - 75 * _ROOT) / 1152, (63 + 13 * _ROOT) / 128),
        (
            1 / 14,
            0,
            0,
            0,
            1 / 9,
            (-733 - 147 * _ROOT) / 2205,
            (515 + 111 * _ROOT) / 504,
            (-51 - 11 * _ROOT) / 56,
            (132 + 28 * _ROOT) / 245,
        ),
        (
            0,
            0,
            0,
            0,
            (-42 + 7 * _ROOT) / 18,
            (-18 + 28 * _ROOT) / 45,
            (-273 - 53 * _ROOT) / 72,
            (301 + 53 * _ROOT) / 72,
            (28 - 28 * _ROOT) / 45,
            (49 - 7 * _ROOT) / 18,
        ),
    ),
    weights=(1 / 20, 0, 0, 0, 0, 0, 0, 49 / 180, 16 / 45, 49 / 180, 1 / 20),
)
"""Cooper and Verner's scheme of order eight: eleven evaluations per step (SIAM J. Numer. Anal. 9 (1972) 389)."""

DOP853 = RungeKutta(
    "dop853",
    order=8,
    matrix=tuple(tuple(map(float, row[:i])) for i, row in enumerate(_DOP853.A)),
    weights=tuple(map(float, _DOP853.B)),
)
"""Dormand and Prince's scheme of order eight, with the coefficients of scipy: twelve evaluations per step, whose error
is small for long steps (Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I)."""

SCHEMES: dict[str, RungeKutta] = {scheme.name: scheme for scheme in (RK4, RK8, DOP853)}
"""Every scheme by name."""
