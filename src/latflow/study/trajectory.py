"""The trajectory of HMC that makes independent configurations cheapest, found by trying.

For every number of integration steps the step size is tuned to the wanted acceptance, and τ_int of the slow observable
times the force evaluations is the price. A comparison in which HMC has an arbitrary trajectory would favour all other
samplers.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from latflow.samplers.chains import advance, starts, warm_up
from latflow.samplers.hmc import HMC
from latflow.stats.gamma import gamma_estimate
from latflow.study.build import build_action, stream
from latflow.study.config import StudyConfig
from latflow.study.config.methods import HMC as METHOD
from latflow.study.methods import build_scheme

CANDIDATES = (2, 3, 4, 6, 8, 12, 16)
"""Numbers of integration steps that are tried."""

DEFAULT_ACCEPTANCE = 0.8
"""What the step size is tuned to where the study says "flow": trajectories are chosen before there is one."""

_CHAINS, _WARM_UP, _RECORDS = 64, 200, 1500


@dataclasses.dataclass(frozen=True)
class Price:
    """What one choice costs.

    Args:
        n_steps: Integration steps of a trajectory.
        step_size: As tuned.
        tau_int: Of the squared mean field, in trajectories.
        cost: τ_int × n_steps, in units of one integration step.
    """

    n_steps: int
    step_size: float
    tau_int: float
    cost: float


def prices(config: StudyConfig, candidates: tuple[int, ...] = CANDIDATES) -> list[Price]:
    """The price of every candidate; τ_int is good to about three per cent where it is ten trajectories."""
    return [_price(config, n_steps) for n_steps in candidates]


def tuned(config: StudyConfig) -> StudyConfig:
    """The study with the cheapest trajectory."""
    best = min(prices(config), key=lambda price: price.cost)
    trajectory = {"n_steps": best.n_steps, "trajectory_length": round(best.n_steps * best.step_size, 6)}
    return config.model_copy(update={METHOD: config.hmc.model_copy(update=trajectory)})


def _price(config: StudyConfig, n_steps: int) -> Price:
    action, target = build_action(config), config.hmc.target_acceptance
    wanted = DEFAULT_ACCEPTANCE if target == "flow" else float(target)
    kernel = HMC(action, build_scheme(config), step_size=1.0 / n_steps, n_steps=n_steps)
    keys = [jax.random.fold_in(stream(config, "trajectory"), part) for part in range(3)]
    x = starts(keys[0], action.space, chains=_CHAINS)
    tuned_kernel, x, _ = warm_up(kernel, keys[1], x, n_steps=_WARM_UP, target_acceptance=wanted)
    _, records = advance(tuned_kernel, keys[2], x, first=0, n_records=_RECORDS, thin=1)
    slow = np.asarray(jnp.mean(records.x.reshape(_RECORDS, _CHAINS, -1), axis=-1) ** 2).T
    tau = gamma_estimate(slow).tau_int or float("inf")
    return Price(n_steps, float(tuned_kernel.scale), tau, tau * n_steps)
