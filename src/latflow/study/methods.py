"""From the table of methods to kernels and samplers: the code of a method is imported when it samples."""

import functools
import importlib
from typing import Any

import jax
import jax.numpy as jnp

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction, AbstractLocalAction
from latflow.actions.gauge import WilsonAction
from latflow.actions.spins import SpinModel
from latflow.errors import ConfigError, LatflowError
from latflow.flows.mixture import TrainableFlow
from latflow.flows.robot_arm import arm_flow
from latflow.flows.weighted import FlowSampler
from latflow.plugins import brought_by
from latflow.randomness import root_key
from latflow.samplers.base import AbstractKernel, AbstractTunableKernel, AbstractWeightedSampler
from latflow.samplers.heatbath import HeatBath
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import SCHEMES, Level, Nested, Scheme
from latflow.samplers.link_metropolis import LinkMetropolis
from latflow.samplers.local import LocalMetropolis
from latflow.samplers.spins import SpinClusters, SpinHeatBath
from latflow.samplers.wolff import WolffMetropolis
from latflow.study.config import StudyConfig
from latflow.study.config.methods import BUILT_IN, GROUP, Method, method_of
from latflow.study.theories import build_action, build_arm, build_link_action, build_local_action

_FIRST_WIDTH = 0.5
"""Width of proposals before the warm-up tunes it."""


def build_kernel(config: StudyConfig, name: str) -> AbstractKernel:
    """The kernel of a method of chains before tuning.

    Raises:
        ConfigError: If the method is unknown, is none of chains, fails, does not build a kernel, or builds one that is
            tuned where the table has no `target_acceptance`.
    """
    method = method_of(name)
    kernel = _built(method, config) if method.stage == "chains" else None
    if not isinstance(kernel, AbstractKernel):
        raise ConfigError([f"{name}: builds {type(kernel).__name__}; allowed: an AbstractKernel"])
    if isinstance(kernel, AbstractTunableKernel) and not _has_target(method):
        missing = f"builds {type(kernel).__name__}, which is tuned, and its table has no target_acceptance"
        raise ConfigError(
            [f"{name}: {missing}; allowed: a table with it, or a kernel that is no AbstractTunableKernel"]
        )
    return kernel


def build_sampler(config: StudyConfig, name: str, flow: TrainableFlow | None = None) -> AbstractWeightedSampler:
    """The weighted sampler of a method of draws, random or quasi-random.

    Args:
        config: The study.
        name: The method.
        flow: The trained flow, for methods that need one.

    Raises:
        ConfigError: If the method is unknown, is none of draws, fails, or does not build a weighted sampler.
    """
    method = method_of(name)
    given = (config, flow) if method.trained else (config,)
    sampler = _built(method, *given) if method.stage in ("draws", "scramblings") else None
    if not isinstance(sampler, AbstractWeightedSampler):
        raise ConfigError([f"{name}: builds {type(sampler).__name__}; allowed: an AbstractWeightedSampler"])
    return sampler


def method_key(config: StudyConfig, method: Method, part: int = 0) -> PRNGKey:
    """Root key of a random stream of a method, see `Method.stream`."""
    return jax.random.fold_in(root_key(config.seed), method.stream(part))


def update_seconds(config: StudyConfig, name: str) -> float | None:
    """Expected seconds of one update of a chain or one draw; None where the method does not say."""
    cost = method_of(name).cost
    return float(_hook(cost)(config)) if cost else None


def flow(config: StudyConfig, trained: TrainableFlow) -> FlowSampler:
    """Draws of the trained flow."""
    return FlowSampler(trained, build_action(config))


def messages(config: StudyConfig) -> FlowSampler:
    """Draws of the posterior of a robot arm by its backward messages; nothing is trained."""
    action = build_arm(config)
    return FlowSampler(arm_flow(action), action)


def build_scheme(config: StudyConfig) -> Scheme | Nested:
    """The integrator of HMC, with the last term of the action on a level of its own where it has inner steps."""
    scheme, n = SCHEMES[config.hmc.integrator], config.hmc.inner_steps
    return scheme if n == 1 else Nested((Level(scheme, terms=(0,)), Level(scheme, n, terms=(1,))))


def hmc(config: StudyConfig) -> HMC:
    """Hybrid Monte Carlo of any theory."""
    table = config.hmc
    return HMC(
        build_action(config),
        build_scheme(config),
        step_size=jnp.asarray(table.trajectory_length / table.n_steps),
        n_steps=table.n_steps,
        jitter=table.jitter,
    )


def local(config: StudyConfig) -> LocalMetropolis:
    """Sweeps over a scalar field."""
    return LocalMetropolis(build_local_action(config), width=jnp.asarray(_FIRST_WIDTH))


def cluster(config: StudyConfig) -> AbstractKernel:
    """Sweeps over a scalar field and clusters of its signs, or over spins and clusters of reflected ones."""
    return _clusters(build_action(config), sweeps=config.cluster.sweeps, clusters=config.cluster.clusters)


@functools.singledispatch
def _clusters(action: AbstractAction, *, sweeps: int, clusters: int) -> AbstractKernel:
    del sweeps, clusters
    raise ConfigError([f"cluster: {type(action).__name__}; allowed: sites with neighbours, or spins"])


@_clusters.register
def _of_signs(action: AbstractLocalAction, *, sweeps: int, clusters: int) -> WolffMetropolis:
    return WolffMetropolis(action, width=jnp.asarray(_FIRST_WIDTH), n_sweeps=sweeps, n_clusters=clusters)


@_clusters.register
def _of_spins(action: SpinModel, *, sweeps: int, clusters: int) -> SpinClusters:
    return SpinClusters(action, n_sweeps=sweeps, n_clusters=clusters)


def heatbath(config: StudyConfig) -> AbstractKernel:
    """Heat bath and overrelaxation of links under Wilson's action, or of spins."""
    return _heat_bath(build_action(config), overrelaxation=config.heatbath.overrelaxation)


@functools.singledispatch
def _heat_bath(action: AbstractAction, *, overrelaxation: int) -> AbstractKernel:
    del overrelaxation
    raise ConfigError([f"heatbath: {type(action).__name__}; allowed: Wilson's action, or spins"])


@_heat_bath.register
def _heat_bath_of_links(action: WilsonAction, *, overrelaxation: int) -> HeatBath:
    return HeatBath(action, n_overrelaxation=overrelaxation)


@_heat_bath.register
def _heat_bath_of_spins(action: SpinModel, *, overrelaxation: int) -> SpinHeatBath:
    return SpinHeatBath(action, n_overrelaxation=overrelaxation)


def metropolis(config: StudyConfig) -> LinkMetropolis:
    """Sweeps over the links of any gauge action."""
    return LinkMetropolis(build_link_action(config), width=jnp.asarray(_FIRST_WIDTH))


def _has_target(method: Method) -> bool:
    return method.table is not None and "target_acceptance" in method.table.model_fields


def _built(method: Method, *given: Any) -> Any:
    """What the function of a method makes of a study.

    Raises:
        ConfigError: If that of a plug-in cannot be imported or fails.
    """
    build = _hook(method.build)
    if method in BUILT_IN:
        return build(*given)
    try:
        return build(*given)
    except LatflowError:
        raise
    except Exception as error:  # whatever a foreign function does
        reason = f"{method.build} fails, {type(error).__name__}: {error}"
        raise ConfigError([f"{method.name}: {brought_by(GROUP, method.name)}{reason}"]) from error


def _hook(name: str) -> Any:
    """What ``package.module:function`` names.

    Raises:
        ConfigError: If it cannot be imported.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:  # whatever a foreign module does when it is imported
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError([f"{name}: {reason}; allowed: a function of an installed package"]) from error
