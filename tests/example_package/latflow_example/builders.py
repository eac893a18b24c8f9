"""From studies to the samplers; imported when they sample."""

import jax.numpy as jnp

import latflow as lf
from latflow.distributions import Normal
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import SCHEMES
from latflow.samplers.local import LocalMetropolis
from latflow.study.config import StudyConfig
from latflow.study.theories import build_action, build_local_action
from latflow_example.samplers import Annealed, Mixed, Normals


def annealed(config: StudyConfig) -> Annealed:
    """Annealed importance sampling of a scalar field."""
    action, table = build_local_action(config), config.annealed
    return Annealed(action, Normal(action.space.shape), table.width, table.steps)


def normals(config):
    """Importance sampling of a scalar field; `config.normals` is the table of the method."""
    action = build_action(config)
    return Normals(action, lf.Normal(action.space.shape), config.normals.width)


def mixed(config: StudyConfig) -> Mixed:
    """Trajectories and sweeps of a scalar field."""
    action = build_local_action(config)
    hmc = HMC(action, SCHEMES["leapfrog"], step_size=jnp.asarray(0.2), n_steps=3)
    return Mixed(hmc, LocalMetropolis(action, width=jnp.asarray(0.5)), config.mixed.sweeps)
