r"""Scalar actions: the free field and φ⁴, and the potential of φ⁴ alone.

House normalisation (arXiv:1904.12072): $S=\sum_x[\sum_\mu(\phi_{x+\hat\mu}-\phi_x)^2+m^2\phi_x^2+\lambda\phi_x^4]$,
without factors ½. Three other normalisations circulate; `PhiFour` has a named constructor for each, with the field
rescaling it implies.
"""

import functools
import operator
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.actions.base import AbstractLocalAction
from latflow.arguments import finite, positive, require_type
from latflow.batching import shift
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace, ScalarSpace
from latflow.lattice import Lattice

HOUSE_BOND = 2.0
"""β of the bonds −β φ_x φ_{x+μ̂}: the cross term of (φ_{x+μ̂} − φ_x)², without a factor ½."""


def neighbour_sum(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""$\sum_\mu(\phi_{x+\hat\mu}+\phi_{x-\hat\mu})$ with periodic boundaries."""
    return functools.reduce(operator.add, (shift(x, axis=mu, steps=s) for mu in range(x.ndim) for s in (-1, 1)))


def forward_sum(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""$\sum_\mu\phi_{x+\hat\mu}$ with periodic boundaries."""
    return functools.reduce(operator.add, (shift(x, axis=mu) for mu in range(x.ndim)))


def _space(lattice: Lattice) -> ScalarSpace:
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    return ScalarSpace(lattice.shape)


def _require_ground_state(mass_squared: float | Scalar, coupling: float | Scalar) -> None:
    """The weight can be normalised: λ > 0, or λ = 0 with a positive mass."""
    known = [isinstance(value, int | float | np.number) for value in (mass_squared, coupling)]
    if known[1] and coupling < 0:
        raise ConfigError([f"action.coupling: {coupling}; allowed: at least 0; below, there is no ground state"])
    if all(known) and coupling == 0 and mass_squared <= 0:
        allowed = "positive where the coupling is 0; else there is no ground state"
        raise ConfigError([f"action.mass_squared: {mass_squared}; allowed: {allowed}"])


class FreeField(AbstractLocalAction):
    r"""$S=\sum_x[\sum_\mu(\phi_{x+\hat\mu}-\phi_x)^2+m^2\phi_x^2]$, solved exactly in `latflow.actions.exact`.

    Args:
        lattice: Periodic lattice in any dimension.
        mass_squared: $m^2>0$ in lattice units; at zero or below the weight cannot be normalised.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the mass is not positive (not checked while traced).
    """

    space: AbstractFieldSpace
    mass_squared: Scalar

    def __init__(self, lattice: Lattice, *, mass_squared: float | Scalar) -> None:
        self.space = _space(lattice)
        self.mass_squared = positive("action.mass_squared", mass_squared)

    @override
    def require_values(self, values: Mapping[str, float | Scalar]) -> None:
        positive("action.mass_squared", values["mass_squared"])

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Scalar:
        self.space.require(x)
        return jnp.sum(x * ((2 * x.ndim + self.mass_squared) * x - 2 * forward_sum(x)))

    @override
    def force(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        self.space.require(x)
        return 2 * (2 * x.ndim + self.mass_squared) * x - 2 * neighbour_sum(x)

    @override
    def value_and_force(self, x: Float[Array, "*shape"]) -> tuple[Scalar, Float[Array, "*shape"]]:
        # S is quadratic, so that Euler's theorem gives it from the force.
        force = self.force(x)
        return 0.5 * jnp.sum(x * force), force

    @property
    @override
    def bond(self) -> float:
        return HOUSE_BOND

    @override
    def site_difference(self, x: Float[Array, "*shape"], proposal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        diagonal = (2 * x.ndim + self.mass_squared) * (proposal + x)
        return (proposal - x) * (diagonal - 2 * neighbour_sum(x))


class SitePotential(AbstractLocalAction):
    r"""$S=\sum_x[m^2\phi_x^2+\lambda\phi_x^4]$: the potential without hopping terms, which allows cheap small steps.

    Args:
        lattice: In any dimension.
        mass_squared: $m^2$ in lattice units, of either sign.
        coupling: $\lambda\ge0$.
    """

    space: AbstractFieldSpace
    mass_squared: Scalar
    coupling: Scalar

    def __init__(self, lattice: Lattice, *, mass_squared: float | Scalar, coupling: float | Scalar) -> None:
        self.space = _space(lattice)
        self.mass_squared = finite("action.mass_squared", mass_squared)
        self.coupling = finite("action.coupling", coupling)

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Scalar:
        self.space.require(x)
        return jnp.sum(self._density(x))

    @override
    def force(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        self.space.require(x)
        return x * (2 * self.mass_squared + 4 * self.coupling * x * x)

    @override
    def site_difference(self, x: Float[Array, "*shape"], proposal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return self._density(proposal) - self._density(x)

    def _density(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return x * x * (self.mass_squared + self.coupling * x * x)


class PhiFour(AbstractLocalAction):
    r"""$S=\sum_x[\sum_\mu(\phi_{x+\hat\mu}-\phi_x)^2+m^2\phi_x^2+\lambda\phi_x^4]$.

    Args:
        lattice: Periodic lattice in any dimension.
        mass_squared: $m^2$ in lattice units; may be negative when `coupling` > 0.
        coupling: $\lambda\ge0$.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the theory has no ground state (not checked while traced).

    References:
        arXiv:1904.12072; maps of the other conventions: docs/conventions.md.
    """

    space: AbstractFieldSpace
    mass_squared: Scalar
    coupling: Scalar

    def __init__(self, lattice: Lattice, *, mass_squared: float | Scalar, coupling: float | Scalar) -> None:
        self.space = _space(lattice)
        self.mass_squared = finite("action.mass_squared", mass_squared)
        self.coupling = finite("action.coupling", coupling)
        self.require_values({"mass_squared": mass_squared, "coupling": coupling})

    @override
    def require_values(self, values: Mapping[str, float | Scalar]) -> None:
        _require_ground_state(values["mass_squared"], values["coupling"])

    @classmethod
    def half(cls, lattice: Lattice, *, mu_squared: float, g: float) -> "PhiFour":
        r"""From $\tfrac12(\partial\varphi)^2+\tfrac12\mu^2\varphi^2+\tfrac14 g\varphi^4$; $\varphi=\sqrt2\,\phi$."""
        return cls(lattice, mass_squared=mu_squared, coupling=g)

    @classmethod
    def factorial(cls, lattice: Lattice, *, mass_squared: float, coupling: float) -> "PhiFour":
        r"""From $\tfrac12(\partial\varphi)^2+\tfrac12m^2\varphi^2+\tfrac{\lambda}{4!}\varphi^4$;
        $\varphi=\sqrt2\,\phi$.
        """  # noqa: D205
        finite("action.coupling", coupling)
        return cls(lattice, mass_squared=mass_squared, coupling=coupling / 6)

    @classmethod
    def hopping(cls, lattice: Lattice, *, kappa: float, coupling: float) -> "PhiFour":
        r"""From $-2\kappa\sum\varphi_x\varphi_{x+\hat\mu}+(1-2\lambda_h)\varphi^2+\lambda_h\varphi^4$;
        $\phi=\sqrt\kappa\,\varphi$.
        """  # noqa: D205
        require_type("lattice", lattice, Lattice, "Lattice(shape)")
        positive("action.kappa", kappa)
        finite("action.coupling", coupling)
        return cls(
            lattice,
            mass_squared=(1 - 2 * coupling) / kappa - 2 * lattice.ndim,
            coupling=coupling / kappa**2,
        )

    @override
    def __call__(self, x: Float[Array, "*shape"]) -> Scalar:
        self.space.require(x)
        quadratic = (2 * x.ndim + self.mass_squared) * x**2
        return jnp.sum(quadratic + self.coupling * x**4 - 2 * x * forward_sum(x))

    @override
    def force(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        self.space.require(x)
        diagonal = 2 * (2 * x.ndim + self.mass_squared)
        return x * (diagonal + 4 * self.coupling * x * x) - 2 * neighbour_sum(x)

    @override
    def value_and_force(self, x: Float[Array, "*shape"]) -> tuple[Scalar, Float[Array, "*shape"]]:
        # x·F counts the quadratic part of S twice and the quartic part four times.
        force = self.force(x)
        return 0.5 * jnp.sum(x * force) - self.coupling * jnp.sum((x * x) ** 2), force

    @property
    @override
    def terms(self) -> tuple[AbstractLocalAction, ...]:
        lattice = Lattice(self.space.shape)
        potential = SitePotential(lattice, mass_squared=self.mass_squared, coupling=self.coupling)
        # the bonds alone; an array, for as a number a mass of zero is refused
        return FreeField(lattice, mass_squared=jnp.zeros(())), potential

    @property
    @override
    def bond(self) -> float:
        return HOUSE_BOND

    @override
    def site_difference(self, x: Float[Array, "*shape"], proposal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        def local(y: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
            return (2 * y.ndim + self.mass_squared) * y**2 + self.coupling * y**4

        return local(proposal) - local(x) - 2 * (proposal - x) * neighbour_sum(x)
