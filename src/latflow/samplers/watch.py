r"""Checks of a molecular-dynamics run, block by block: reversibility and Creutz's identity.

Both hold exactly for a correct program at any step size: a trajectory run backwards returns to its start, and
$\langle e^{-\Delta H}\rangle=1$ in equilibrium. A run that violates either must stop.

References:
    Creutz, Phys. Rev. D 38 (1988) 1228.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Key
from scipy import special

from latflow._typing import PRNGKey
from latflow.errors import PhysicsStop
from latflow.randomness import split
from latflow.samplers.base import AbstractKernel, AbstractReversibleKernel
from latflow.samplers.chains import Records
from latflow.samplers.metropolis import refuse_infinite_ratio

REVERSIBILITY_LIMIT = 1e-2
"""Largest rms |ΔΔH|; above it a run is stopped."""

CREUTZ_LIMIT = 5.0
"""Largest distance of ⟨e^{−ΔH}⟩ from 1, in standard errors; above it a run is stopped."""


class Creutz(NamedTuple):
    """Mean of e^{−ΔH}, its standard error, and the distance from 1 in errors."""

    value: float
    error: float
    z: float


class Watch(NamedTuple):
    """Results of the checks on one block.

    Attributes:
        reversibility: Root mean square |ΔΔH| of trajectories run forth and back.
        n_reversed: Number of these trajectories.
        creutz: The identity over all trajectories of the block.
        n_not_finite: Proposals rejected because ΔH was NaN or +inf.
    """

    reversibility: float
    n_reversed: int
    creutz: Creutz
    n_not_finite: int

    def check(self) -> None:
        """Stop the run if a limit is exceeded.

        Raises:
            PhysicsStop: If rms |ΔΔH| or the distance from Creutz's identity is over its limit.
        """
        # Written so that NaN counts as a failure.
        if not self.reversibility <= REVERSIBILITY_LIMIT:
            raise PhysicsStop(
                "reversibility of the trajectories, rms |ΔΔH|",
                value=f"{self.reversibility:.2e}",
                allowed=f"at most {REVERSIBILITY_LIMIT:g}",
                hint="the integrator is unstable: take smaller steps",
            )
        if not abs(self.creutz.z) <= CREUTZ_LIMIT:
            raise PhysicsStop(
                "Creutz identity ⟨e^{−ΔH}⟩ = 1",
                value=f"{self.creutz.value:.4f} ± {self.creutz.error:.4f}",
                allowed=f"within {CREUTZ_LIMIT:g} errors of 1",
                hint="not in equilibrium (lengthen the warm-up), or trajectories that do not preserve volume",
            )


def creutz(log_ratio: Float[np.ndarray, "*shape"]) -> Creutz:
    """Mean of e^{−ΔH} over trajectories, any shape; proposals with a NaN count as e^{−ΔH} = 0.

    The sample variance alone is far too small when acceptance is low, since rare large terms carry the mean. Where it
    is larger, the variance e^{σ²} − 1 is taken that a Gaussian ΔH of the same acceptance erfc(σ/√8) would give. Needs
    at least two trajectories.
    """
    flat = np.nan_to_num(np.ravel(log_ratio), nan=-np.inf, neginf=-np.inf, posinf=np.inf)
    terms = np.exp(flat)
    sigma = np.sqrt(8.0) * special.erfcinv(max(np.mean(np.minimum(terms, 1.0)), 1e-12))
    variance = max(np.var(terms), np.expm1(sigma**2))
    value, error = float(np.mean(terms)), float(np.sqrt(variance / (terms.size - 1)))
    # Without any scatter (a trajectory of length zero) the identity holds exactly.
    z = (value - 1) / error if error > 0 else (0.0 if value == 1 else np.inf)
    return Creutz(value, error, float(z))


def watch(
    kernel: AbstractReversibleKernel,
    key: PRNGKey,
    records: Records,
    *,
    first: int,
    thin: int,
    every: int = 10,
    chains: int = 2,
) -> Watch:
    """Examine a block that `latflow.samplers.chains.advance` made.

    From every `every`-th trajectory's configuration (every record, where records are rarer) a few chains, another few
    each time, run a fresh trajectory forth and back.

    Args:
        kernel: The kernel of the block.
        key: Root of the watch's stream; not the one of production.
        records: The block.
        first: Number of the block's first record within the run.
        thin: Steps per record.
        every: Trajectories between two examinations.
        chains: Chains examined each time.

    Returns:
        The results; `Watch.check` raises if they exceed a limit.

    Raises:
        PhysicsStop: If a Metropolis ratio is infinite.
    """
    log_ratio = np.asarray(records.transition.log_ratio)
    refuse_infinite_ratio(log_ratio, what="trajectories")
    n_records, n_chains = records.x.shape[:2]
    times = np.arange(0, n_records, max(1, every // thin))
    which = (times[:, None] * chains + np.arange(min(chains, n_chains))) % n_chains
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(first + times))
    keys = jax.vmap(lambda k: split(k, which.shape[1]))(keys)
    x = records.x[times[:, None], which]
    errors = np.asarray(_reversibility(kernel, keys.reshape(-1), x.reshape(-1, *x.shape[2:])))
    return Watch(
        reversibility=float(np.sqrt(np.mean(errors**2))),
        n_reversed=errors.size,
        creutz=creutz(log_ratio),
        n_not_finite=int(np.sum(~np.isfinite(log_ratio))),
    )


def watched(kernel: AbstractKernel, key: PRNGKey, records: Records, *, first: int, thin: int) -> dict[str, float]:
    """What is seen in a block of molecular dynamics, ready to be stored beside it; empty for other kernels.

    Args:
        kernel: The kernel of the block.
        key: Root of the watch's stream.
        records: The block.
        first: Number of the block's first record within the run.
        thin: Steps per record.

    Raises:
        PhysicsStop: If the numbers of the block cannot be right.
    """
    if not isinstance(kernel, AbstractReversibleKernel):
        return {}
    seen = watch(kernel, key, records, first=first, thin=thin)
    seen.check()
    return {
        "reversibility_rms": seen.reversibility,
        "creutz": seen.creutz.value,
        "creutz_error": seen.creutz.error,
        "not_finite": seen.n_not_finite,
    }


@eqx.filter_jit
def _reversibility(
    kernel: AbstractReversibleKernel, keys: Key[Array, " n"], x: Inexact[Array, "n *shape"]
) -> Float[Array, " n"]:
    return jax.vmap(kernel.reversibility)(keys, x)
