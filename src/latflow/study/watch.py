r"""The watch over a running HMC: reversibility and the Creutz identity, which stop a run that cannot be right.

$\langle e^{-\Delta H}\rangle=1$ holds exactly for any step size once the chain is in equilibrium; an error in the
force, the action or the integrator breaks it. Irreversibility breaks detailed balance silently.
"""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.errors import PhysicsStop
from latflow.samplers.hmc import HMC
from latflow.store.ensemble import Ensemble

EVERY = 10
"""Trajectories between reversibility checks."""

CHAINS = 2
"""Chains whose reversibility is checked; more would cost without seeing more."""

REVERSIBILITY_LIMIT = 1e-2
"""Largest root-mean-square |ΔΔH| a run may show."""

CREUTZ_LIMIT = 5.0
"""Largest |z| of ⟨exp(−ΔH)⟩ = 1."""


@dataclasses.dataclass
class Watch:
    """Running figures of one HMC ensemble.

    Attributes:
        weights: Per chain, the sum of exp(−ΔH) over the trajectories so far; chains are independent, so their spread
            is the error.
        n: Trajectories summed.
    """

    weights: Float[np.ndarray, " chains"] | None = None
    n: int = 0

    @classmethod
    def resume(cls, ensemble: Ensemble) -> "Watch":
        """The watch after the blocks that are on disk."""
        watch = cls()
        for block in ensemble.blocks(("log_ratio",)):
            watch._add(block.arrays["log_ratio"])
        return watch

    def check(self, kernel: HMC, key: PRNGKey, columns: dict[str, np.ndarray], *, thin: int) -> float:
        """Look at one block before it is stored.

        Returns:
            Root-mean-square reversibility violation |ΔΔH| of the block.

        Raises:
            PhysicsStop: If a limit is passed, or a Metropolis ratio is +inf.
        """
        if np.any(np.isposinf(columns["log_ratio"])):
            raise PhysicsStop("HMC energy", value="dH = -inf", hint="the action is unbounded or not a number")
        self._add(columns["log_ratio"])
        z = self.creutz()[2]
        if abs(z) > CREUTZ_LIMIT:
            raise PhysicsStop(
                "HMC: mean of exp(-dH)",
                value=f"{self.creutz()[0]:.4f}, {z:+.1f} sigma from 1",
                allowed=f"within {CREUTZ_LIMIT} sigma",
                hint="the force does not belong to the action, or warm-up was too short",
            )
        stride = math.ceil(EVERY / thin)
        x = columns["fields"][::stride, :CHAINS]
        rms = float(_reversibility(kernel, key, jnp.asarray(x.reshape(-1, *x.shape[2:]))))
        if not rms <= REVERSIBILITY_LIMIT:
            raise PhysicsStop(
                "HMC reversibility", value=f"rms {rms:.1e}", allowed=f"≤ {REVERSIBILITY_LIMIT}", hint="shorten the step"
            )
        return rms

    def creutz(self) -> tuple[float, float, float]:
        """Mean of exp(−ΔH), its error from the spread of the chains, and its distance from 1 in errors."""
        if self.weights is None or self.weights.size < 2:
            return math.nan, math.inf, 0.0
        means = self.weights / self.n
        error = float(means.std(ddof=1) / math.sqrt(means.size))
        mean = float(means.mean())
        return mean, error, (mean - 1) / error if error > 0 else 0.0

    def _add(self, log_ratio: Float[np.ndarray, "records chains"]) -> None:
        sums = np.exp(np.nan_to_num(log_ratio, nan=-np.inf)).sum(axis=0)
        self.weights = sums if self.weights is None else self.weights + sums
        self.n += log_ratio.shape[0]


@eqx.filter_jit
def _reversibility(kernel: HMC, key: PRNGKey, x: Float[Array, "n *shape"]) -> Float[Array, ""]:
    keys = jax.random.split(key, x.shape[0])
    violations = jax.vmap(kernel.reversibility)(keys, x)
    return jnp.sqrt(jnp.mean(violations**2))
