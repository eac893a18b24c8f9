r"""Laws of Markov kernels and of molecular dynamics.

A trajectory must be reversible, preserve volume and conserve energy to the order its table claims; then
$\langle e^{-\Delta H}\rangle=1$ holds exactly at any acceptance, and every kernel must reproduce exact expectation
values. Errors come from the scatter of independent chains, so no autocorrelation enters. Trajectories start from
configurations of the target: elsewhere the force may be too large for any step size in use.
"""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Int

from latflow._typing import Field, PRNGKey
from latflow.actions.base import AbstractAction
from latflow.samplers.base import AbstractKernel, Transition
from latflow.samplers.chains import advance, compiled_advance, compiled_warm_up
from latflow.samplers.chains import starts as over_dispersed
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import Nested, Scheme, integrate
from latflow.testing.compiling import plain_jit
from latflow.testing.result import LawResult, judge, judge_mean

VOLUME = 1e-10
REVERSIBILITY_PER_ROOT_SITE = 1e-12
CREUTZ_SIGMAS = 5.5

Fields = Inexact[Array, "n *shape"]
Observable = Callable[[Field], Float[Array, ""]]


def _keys(key: PRNGKey, n: int) -> Array:
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))


@plain_jit
def _irreversibility(key: PRNGKey, kernel: HMC, fields: Fields) -> Float[Array, ""]:
    return jnp.max(jax.vmap(kernel.reversibility)(_keys(key, len(fields)), fields))


def trajectory_is_reversible(key: PRNGKey, kernel: HMC, fields: Fields) -> LawResult:
    r"""A trajectory forth and back returns the energy: |ΔΔH| ≤ $10^{-12}\sqrt N$ for N sites."""
    n = fields[0].size
    limit = REVERSIBILITY_PER_ROOT_SITE * math.sqrt(n)
    worst = _irreversibility(key, kernel, fields)
    return judge("molecular dynamics is reversible", worst, limit=limit, detail=f"{n} sites")


@plain_jit
def _log_volume(key: PRNGKey, kernel: HMC, x: Field) -> Float[Array, ""]:
    """Log |det ∂(x', p')/∂(x, p)| in tangent coordinates."""
    space = kernel.action.space
    p = space.momentum(key)

    def flow(x: Array, p: Array) -> tuple[Array, Array]:
        y, q, _ = integrate(kernel.action, kernel.scheme, x, p, step_size=kernel.step_size, n_steps=kernel.n_steps)
        return y, q

    y, _ = flow(x, p)

    def endpoint(z: Float[Array, " two_dof"]) -> Float[Array, " two_dof"]:
        dx, dp = jnp.split(z, 2)
        end, q = flow(space.move(x, dx.reshape(space.tangent_shape)), p + dp.reshape(p.shape))
        return jnp.concatenate([space.coordinates(y, end).reshape(-1), q.reshape(-1)])

    return jnp.linalg.slogdet(jax.jacfwd(endpoint)(jnp.zeros(2 * p.size)))[1]


def trajectory_preserves_volume(key: PRNGKey, kernel: HMC, fields: Fields) -> LawResult:
    """The map (x, p) → (x', p') has Jacobian determinant 1; meant for at most 256 degrees of freedom."""
    defect = jnp.abs(_log_volume(key, kernel, fields[0]))
    return judge(
        "molecular dynamics preserves volume",
        defect,
        limit=VOLUME,
        detail=f"{2 * math.prod(kernel.action.space.tangent_shape)} dimensions",
    )


def equilibrium(
    key: PRNGKey, kernel: HMC, *, chains: int, n_steps: int, target_acceptance: float
) -> tuple[HMC, Fields]:
    """A kernel tuned to an acceptance and configurations of its target, by programs that compile fast.

    Args:
        key: Randomness of starts and of the warm-up.
        kernel: The kernel.
        chains: How many configurations.
        n_steps: Steps of the warm-up.
        target_acceptance: Between 0 and 1.
    """
    scale, fields = _warmed_up(key, kernel, jnp.asarray(target_acceptance), chains=chains, n_steps=n_steps)
    return kernel.with_scale(scale), fields


@plain_jit
def _warmed_up(
    key: PRNGKey, kernel: HMC, target: Float[Array, ""], *, chains: int, n_steps: int
) -> tuple[Float[Array, ""], Fields]:
    fields = over_dispersed(jax.random.fold_in(key, 2), kernel.action.space, chains)
    return compiled_warm_up(kernel, jax.random.fold_in(key, 3), fields, target, n_steps=n_steps)[:2]


HMC_LAWS = (trajectory_is_reversible, trajectory_preserves_volume)
"""Laws of molecular dynamics, called as ``law(key, kernel, fields)``."""


_UNIT = 2


@plain_jit
def _energy_violation(
    key: PRNGKey,
    action: AbstractAction,
    scheme: Scheme | Nested,
    fields: Fields,
    *,
    step_size: Float[Array, ""],
    n_units: Int[Array, ""],
) -> Float[Array, ""]:
    """Root mean square ΔH over trajectories from `fields`, made of units of two steps: one program for all lengths."""

    def one(k: PRNGKey, x: Field) -> Float[Array, ""]:
        def unit(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            return integrate(action, scheme, *state, step_size=step_size, n_steps=_UNIT)[:2]

        p = action.space.momentum(k)
        y, q = jax.lax.fori_loop(0, n_units, unit, (x, p))
        return action(y) - action(x) + 0.5 * jnp.sum(q**2) - 0.5 * jnp.sum(p**2)

    return jnp.sqrt(jnp.mean(jax.vmap(one)(_keys(key, len(fields)), fields) ** 2))


def energy_error_has_order(
    key: PRNGKey,
    action: AbstractAction,
    scheme: Scheme | Nested,
    fields: Fields,
    *,
    step_counts: tuple[int, ...] = (16, 22, 32, 44, 64),
    length: float = 1.0,
) -> LawResult:
    r"""ΔH of a trajectory of fixed length falls as step_size**order, from at least five step sizes.

    The order is the slope $k$ of a fit $\ln\Delta H=c+k\ln\epsilon+b\,\epsilon^2$. Without $b$ a scheme tuned to a
    small leading error, such as OMF2 on a free field, shows its next order.

    Args:
        key: Randomness of the momenta.
        action: Drives the trajectory.
        scheme: The table, or nested tables, whose order is tested.
        fields: Starting points.
        step_counts: Even numbers of steps.
        length: Trajectory length.
    """
    errors = []
    for n in step_counts:
        step_size, n_units = jnp.asarray(length / n), jnp.asarray(n // _UNIT)
        errors.append(float(_energy_violation(key, action, scheme, fields, step_size=step_size, n_units=n_units)))
    steps = length / np.asarray(step_counts)
    columns = np.stack([np.log(steps), steps**2, np.ones(len(steps))], axis=1)
    slope = float(np.linalg.lstsq(columns, np.log(errors))[0][0])
    limit = {2: 0.05, 4: 0.1}[scheme.order]
    detail = f"slope {slope:.4f}, rms dH from {errors[0]:.1e} to {errors[-1]:.1e}"
    return judge(f"{scheme.name} has order {scheme.order}", abs(slope - scheme.order), limit=limit, detail=detail)


@plain_jit
def _transitions(key: PRNGKey, kernel: HMC, fields: Fields, *, n: int) -> Transition:
    """Of n steps of every chain."""
    first = jnp.zeros((), jnp.uint32)
    return compiled_advance(kernel, key, jnp.arange(len(fields)), fields, first, n_records=1, thin=n)[1].transition


def energy_average_is_one(key: PRNGKey, kernel: HMC, starts: Fields, *, n_steps: int, warmup: int) -> LawResult:
    """Creutz' identity ⟨exp(−ΔH)⟩ = 1 in equilibrium, |z| ≤ 5.5.

    Args:
        key: Randomness of the chains.
        kernel: The kernel.
        starts: Where the chains start; their number sets the quality of the error.
        n_steps: Steps averaged over.
        warmup: Steps discarded.
    """
    transition = _transitions(key, kernel, starts, n=warmup + n_steps)
    log_ratio = np.asarray(transition.log_ratio)[warmup:]
    acceptance = float(np.mean(np.asarray(transition.accepted)[warmup:]))
    name = f"<exp(-dH)> = 1 at acceptance {acceptance:.2f}"
    return judge_mean(name, np.mean(np.exp(log_ratio), axis=0), expected=1.0, max_error=1.0, sigmas=CREUTZ_SIGMAS)


def reproduces_exactly(
    key: PRNGKey,
    kernel: AbstractKernel,
    starts: Fields,
    observables: Mapping[str, tuple[Observable, float]],
    *,
    n_records: int,
    warmup: int,
    thin: int = 1,
) -> list[LawResult]:
    """Chain averages equal exact expectation values within 5σ.

    Args:
        key: Randomness of the chains.
        kernel: The kernel.
        starts: Where the chains start; their number sets the quality of the error.
        observables: Name → (function of one configuration, exact expectation value).
        n_records: Measurements per chain.
        warmup: Measurements discarded.
        thin: Steps between measurements.
    """
    _, records = advance(kernel, key, starts, first=0, n_records=warmup + n_records, thin=thin)
    results = []
    for name, (observable, exact) in observables.items():
        values = jax.vmap(jax.vmap(observable))(records.x[warmup:])
        results.append(judge_mean(f"<{name}>", np.asarray(jnp.mean(values, axis=0)), expected=exact))
    return results
