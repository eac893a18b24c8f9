r"""Draws of one link given the staples around it, from a fixed number of uniform numbers.

Rejection sampling with a bounded number of trials: where all of them fail the kernel leaves the link unchanged. Whether
that happens depends on the staples and the uniform numbers only, not on the link. The update is therefore a mixture of
the heat bath and the identity, which leaves the target exactly invariant for any number of trials.

References:
    Best & Fisher, Appl. Statist. 28 (1979) 152; Creutz, Phys. Rev. D 21 (1980) 2308; Kennedy & Pendleton, Phys. Lett. B
    156 (1985) 393.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact

UNIFORMS_PER_TRIAL = {"von_mises": 3, "su2": 4}
"""Number of uniform numbers that one trial uses."""

Trials: TypeAlias = Float[Array, "trials three *sites"]
"""The part of a trial that does not depend on the link, computed outside of the compiled loop over links."""

# Above this κ the trials of Kennedy and Pendleton are accepted more often than those of Creutz.
_STRONG = 2.0
_TINY = 2.0**-60
_WEAK = 1e-8


def von_mises_trials(u: Float[Array, "trials three *sites"]) -> Trials:
    """Cosine of a proposal, logarithm of a uniform number for its acceptance, and a random sign.

    Args:
        u: Uniform in [0, 1).
    """
    decision = jnp.log(jnp.maximum(u[:, 1], _TINY))
    return jnp.stack([jnp.cos(jnp.pi * u[:, 0]), decision, jnp.where(u[:, 2] < 0.5, -1.0, 1.0)], axis=1)


def von_mises(kappa: Float[Array, "*sites"], trials: Trials) -> tuple[Complex[Array, "*sites"], Bool[Array, "*sites"]]:
    r"""Phases $e^{i\theta}$ of angles with density ∝ $e^{\kappa\cos\theta}$, and whether a trial succeeded.

    Args:
        kappa: Not negative.
        trials: From `von_mises_trials`.
    """
    z, decision, sign = trials[:, 0], trials[:, 1], trials[:, 2]
    kappa = kappa[None]
    safe = jnp.maximum(kappa, _WEAK)
    tau = 1 + jnp.sqrt(1 + 4 * safe**2)
    rho = (tau - jnp.sqrt(2 * tau)) / (2 * safe)
    r = (1 + rho**2) / (2 * rho)
    weak = kappa < _WEAK
    f = jnp.where(weak, z, jnp.clip((1 + r * z) / (r + z), -1.0, 1.0))
    # log instead of the ratio: c = 0 with probability zero would only be a rejected trial
    c = safe * (r - f)
    accepted = jnp.log(jnp.maximum(c, _TINY)) - decision + 1 - c >= 0
    phase = jax.lax.complex(f, sign * jnp.sqrt((1 - f) * (1 + f)))
    return _first(phase, accepted | weak)


def su2_trials(u: Float[Array, "trials four *sites"]) -> Trials:
    r"""A gap $-\ln u_0-\cos^2(2\pi u_1)\ln u_2$, a uniform number, and the square of another.

    Args:
        u: Uniform in [0, 1).
    """
    positive = 1 - u
    cosine = jnp.cos(2 * jnp.pi * u[:, 1])
    gap = -(jnp.log(positive[:, 0]) + cosine**2 * jnp.log(positive[:, 2]))
    return jnp.stack([gap, u[:, 0], u[:, 3] ** 2], axis=1)


def su2_boltzmann(
    kappa: Float[Array, "*sites"], trials: Trials
) -> tuple[Float[Array, "*sites"], Bool[Array, "*sites"]]:
    r"""Numbers $a_0$ in [−1, 1] with density ∝ $\sqrt{1-a_0^2}\,e^{\kappa a_0}$, and whether a trial succeeded.

    Trials of Kennedy and Pendleton where κ ≥ 2, of Creutz below: at least six of ten succeed at every κ.

    Args:
        kappa: Not negative.
        trials: From `su2_trials`.
    """
    gap, u, squared = trials[:, 0], trials[:, 1], trials[:, 2]
    kappa = kappa[None]
    half_gap = gap / (2 * jnp.maximum(kappa, _STRONG))
    pendleton = squared <= 1 - half_gap
    weak = jnp.clip(kappa, _WEAK, _STRONG)
    # the inverse of the distribution function of e^{κx} on [−1, 1]
    x = 1 + jnp.log(1 - u + u * jnp.exp(-2 * weak)) / weak
    creutz = squared <= 1 - x**2
    large = kappa >= _STRONG
    return _first(jnp.where(large, 1 - 2 * half_gap, x), jnp.where(large, pendleton, creutz))


def _first(
    values: Inexact[Array, "trials *sites"], accepted: Bool[Array, "trials *sites"]
) -> tuple[Inexact[Array, "*sites"], Bool[Array, "*sites"]]:
    """The first accepted trial of every site, and whether there is one."""
    value, found = values[-1], accepted[-1]
    for trial in range(len(values) - 2, -1, -1):
        value = jnp.where(accepted[trial], values[trial], value)
        found = found | accepted[trial]
    return value, found
