"""The laws on a user's own study: its lattice, its action, its flow, its molecular dynamics.

A fresh flow is the identity and keeps every law trivially, so its weights are scrambled first; a trained flow can be
given instead. Laws are checked on a small lattice of the study's dimension: what breaks them breaks them there, and the
Jacobian laws cost the cube of the volume. A trained flow keeps its own lattice, without those laws above 256 sites.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction, AbstractLocalAction
from latflow.bijections.doubling import Doubling
from latflow.bijections.levels import halvings
from latflow.bijections.ode.runge_kutta import RK8
from latflow.fields.gauge_symmetry import link_generators
from latflow.fields.symmetry import generators, random_words
from latflow.flows.conditional import FlowModel
from latflow.flows.continuous import is_continuous, of_draws, with_integrator
from latflow.flows.flow import Flow
from latflow.flows.mixture import TrainableFlow
from latflow.flows.weighted import FlowSampler
from latflow.lattice import Lattice
from latflow.randomness import root_key
from latflow.samplers.hmc import HMC
from latflow.study.build import build_action, build_flow, build_lattice, flow_to_fill, study_flow
from latflow.study.config import StudyConfig
from latflow.study.methods import build_scheme
from latflow.study.theories import build_link_action, build_local_action, known_values
from latflow.testing import actions, bijections, distributions, kernels, link_flows, spaces
from latflow.testing.bijections import LARGEST_JACOBIAN
from latflow.testing.result import LawResult


class _Effort(NamedTuple):
    """Chains that the laws of molecular dynamics see, their warm-up, and of how many the energy errors are fitted."""

    chains: int
    warmup: int
    fitted: int


_ON_SITES = _Effort(chains=64, warmup=200, fitted=64)
_ON_LINKS = _Effort(chains=32, warmup=100, fitted=8)
"""Links cost more than sites, so there are fewer; the error of ⟨exp(−ΔH)⟩ is told beside it."""

_LINK_STEPS = 6
"""Steps of the accurate scheme for flows of links, whose velocities are smooth in time."""

_LINK_SCALE = 0.05
"""Scramble of their weights, after which weights of draws still tell a density from a wrong one."""

_DRAWN = {"flow", "quasi"}
"""Samplers that draw from the flow of the study."""

_FINE = (32, 64, 128, 256)
"""Steps of the accurate scheme, the fewest that keep the laws of a bijection; the first are enough for most flows."""

# Twice as wide as the prior. Ten couplings of 256 units take fields ten times as wide to 10⁴, where log-dets are still
# good to 1e-12 but the rounding of the autodiff Jacobian they are compared with has grown to 1e-8.
_WIDEST = 2.0


def selfcheck(config: StudyConfig, *, flow: TrainableFlow | None = None) -> list[LawResult]:
    """Run every law that applies to a study.

    Args:
        config: The study.
        flow: A trained flow; by default the study's own architecture with scrambled float64 weights, where a flow is
            among its samplers: other studies may stand on lattices that have no flow.

    Returns:
        One result per law, in the order of the floors: space, action, molecular dynamics, flow.
    """
    return list(selfchecks(config, flow=flow))


def selfchecks(config: StudyConfig, *, flow: TrainableFlow | None = None) -> Iterator[LawResult]:
    """The results of `selfcheck` one by one, as they are found."""
    key = root_key(config.seed)
    if config.action.fields == "links":
        config = config if flow is not None else _on_few_links(config)
        yield from _gauge_laws(config, key)
        if flow is not None or _DRAWN & set(config.sampling.samplers):
            yield from _link_flow_laws(config, flow, key)
        return
    if config.action.fields != "scalar":
        yield from _compact_laws(config, flow, key)
        return
    config = config if flow is not None else _on_few_sites(config)
    lattice, action = build_lattice(config), build_local_action(config)
    flow = _scrambled_flow(config, key) if flow is None and _DRAWN & set(config.sampling.samplers) else flow
    yield from (law(key, action.space) for law in spaces.SPACE_LAWS)
    yield from _action_laws(action, lattice, key)
    yield from _dynamics_laws(_hmc(config), key, _ON_SITES)
    if flow is not None:
        yield from _flow_laws(_finely_integrated(flow, action, key), action, key)


def _compact_laws(config: StudyConfig, flow: TrainableFlow | None, key: PRNGKey) -> Iterator[LawResult]:
    """The laws of spins, angles and unit vectors, of their action, of molecular dynamics and of their flow."""
    config = config if flow is not None or not config.action.lattice else _on_few_sites(config)
    action = build_action(config)
    yield from (law(key, action.space) for law in spaces.SPACE_LAWS)
    yield from (law(key, action) for law in actions.ACTION_LAWS)
    yield from _dynamics_laws(_hmc(config), key, _ON_SITES)
    flow = _scrambled_flow(config, key) if flow is None and _DRAWN & set(config.sampling.samplers) else flow
    if flow is not None:
        yield from _flow_laws(flow, action, key)


def _hmc(config: StudyConfig) -> HMC:
    hmc = config.hmc
    step_size = hmc.trajectory_length / hmc.n_steps
    return HMC(build_action(config), build_scheme(config), step_size=step_size, n_steps=hmc.n_steps)


def _on_few_sites(config: StudyConfig) -> StudyConfig:
    """The study on a lattice of its dimension, no larger than its own, whose extents are even where its own are.

    Six sites a side in two dimensions and four in more tell all directions apart, and neighbours from their images.
    """
    shape = config.lattice.shape
    edge = max(6 if len(shape) <= 2 else 4, getattr(config.flow, "kernel_size", 0))
    step = math.lcm(2, config.flow.extent_multiple) if _DRAWN & set(config.sampling.samplers) else 2
    smaller = (n - step * math.ceil(max(0, n - edge) / step) for n in shape)
    lattice = config.lattice.model_copy(update={"shape": tuple(n or step for n in smaller)})
    return config.model_copy(update={"lattice": lattice})


def _on_few_links(config: StudyConfig) -> StudyConfig:
    """The study on a hypercube of the same dimension, no larger than its own lattice and small enough for Jacobians."""
    shape, group = config.lattice.shape, build_link_action(config).space.group
    on_stripes = getattr(config.flow, "period", None) is not None
    multiple = config.flow.extent_multiple if _DRAWN & set(config.sampling.samplers) else 1
    edges = [n for n in ((4, 2) if on_stripes else (4, 3, 2)) if n % multiple == 0] or [multiple]
    small = (n for n in edges if len(shape) * group.n_generators * n ** len(shape) <= LARGEST_JACOBIAN)
    edge = next(small, edges[-1])
    longest = [min(shape)] * len(shape) if on_stripes else shape
    return _on_lattice(config, tuple(min(extent, edge) for extent in longest))


def _on_lattice(config: StudyConfig, shape: tuple[int, ...]) -> StudyConfig:
    """The study on another lattice, with a flow of no more levels or doublings, longer period or reach than fits."""
    small = config.model_copy(update={"lattice": config.lattice.model_copy(update={"shape": shape})})
    most = {
        "levels": lambda levels: min(levels, len(halvings(build_lattice(small)))),
        "period": lambda period: max(n for n in range(2, period + 1) if math.gcd(*shape) % n == 0),
        "reach": lambda reach: min(reach, min(shape) // 2),
        "doublings": lambda doublings: min(doublings, (math.gcd(*shape) & -math.gcd(*shape)).bit_length() - 2),
    }
    own = {name: getattr(config.flow, name, None) for name in most}
    fitting = {name: most[name](value) for name, value in own.items() if value is not None}
    return small.model_copy(update={"flow": config.flow.model_copy(update=fitting)})


def _with_jacobian(config: StudyConfig) -> StudyConfig:
    """The study in so few dimensions, two or more, that the flow of its links has a Jacobian that can be formed."""
    while len(config.lattice.shape) > 2 and build_link_action(config).space.dof > LARGEST_JACOBIAN:
        config = _on_lattice(config, config.lattice.shape[:-1])
    return config


def _link_flow_laws(config: StudyConfig, flow: TrainableFlow | None, key: PRNGKey) -> Iterator[LawResult]:
    """The laws of the flow of a study of links."""
    config = config if flow is not None else _with_jacobian(config)
    action, space = build_action(config), build_link_action(config).space
    checked = _scrambled_flow(config, key, scale=_LINK_SCALE) if flow is None else flow
    if not isinstance(checked, Flow):
        raise TypeError(f"flow: {checked}; allowed: a flow of links")
    if is_continuous(checked):
        checked = of_draws(checked, RK8, _LINK_STEPS)
    known = known_values(config).get("log_z")
    log_z = None if known is None or known.error else known.value
    yield from link_flows.link_flow_laws(jax.random.fold_in(key, 6), checked, action, space, log_z=log_z)


def _gauge_laws(config: StudyConfig, key: PRNGKey) -> Iterator[LawResult]:
    """The laws of links, of their action and of molecular dynamics on them."""
    action = build_action(config)
    space = build_link_action(config).space
    yield from (law(key, space) for law in spaces.SPACE_LAWS)
    yield from (law(key, action) for law in actions.ACTION_LAWS)
    elements = random_words(link_generators(jax.random.fold_in(key, 5), space), seed=0, n_words=4)
    yield actions.invariant_under(key, action, elements)
    yield from _dynamics_laws(_hmc(config), key, _ON_LINKS)


def _scrambled_flow(config: StudyConfig, key: PRNGKey, *, scale: float = 0.1) -> TrainableFlow:
    """The study's architecture away from the identity, but not so far that its Jacobian is ill conditioned."""
    return study_flow(bijections.scrambled(jax.random.fold_in(key, 0), _fresh_flow(config), scale=scale), config)


def _fresh_flow(config: StudyConfig) -> FlowModel:
    """The flow as its training begins; a doubling flow without the fit of its networks, which no law needs."""
    flow = flow_to_fill(config, precision="float64")
    if isinstance(flow, Flow) and isinstance(flow.bijection, Doubling):
        beta = config.action.in_house(len(config.lattice.shape))["beta"]
        splits = flow.bijection.splits.heat_bath(beta)
        return eqx.tree_at(lambda doubling: doubling.bijection.splits, flow, splits)
    return flow if config.flow.starter is None else build_flow(config, precision="float64")


def _finely_integrated(flow: TrainableFlow, action: AbstractLocalAction, key: PRNGKey) -> TrainableFlow:
    """A continuous flow keeps the laws up to its integration error, so that is made as small as their limits.

    Every number of steps is a program of its own, and the laws of `_flow_laws` are those of the last one.
    """
    if not is_continuous(flow):
        return flow
    for n_steps in _FINE:
        flow = with_integrator(flow, RK8, n_steps)
        if all(result.passed for result in _bijection_laws(flow, action, key, eager=False)):
            break
    return flow


def _bijection_laws(flow: TrainableFlow, action: AbstractAction, key: PRNGKey, *, eager: bool) -> list[LawResult]:
    stream = jax.random.fold_in(key, 1)
    return bijections.bijection_laws(stream, flow.bijection, action.space, widest=_WIDEST, eager=eager)


def _action_laws(action: AbstractLocalAction, lattice: Lattice, key: PRNGKey) -> Iterator[LawResult]:
    laws = [*actions.ACTION_LAWS, actions.site_difference_is_exact]
    if all(extent % 2 == 0 for extent in lattice.shape):
        laws.append(actions.colours_are_independent)
    yield from (law(key, action) for law in laws)
    yield actions.invariant_under(key, action, random_words(generators(lattice), seed=0, n_words=4))


def _dynamics_laws(kernel: HMC, key: PRNGKey, effort: _Effort) -> Iterator[LawResult]:
    """The laws of molecular dynamics, at the acceptance 0.8 and from equilibrium."""
    kernel, fields = kernels.equilibrium(
        key, kernel, chains=effort.chains, n_steps=effort.warmup, target_acceptance=0.8
    )
    small = math.prod(kernel.action.space.tangent_shape) <= LARGEST_JACOBIAN
    yield from (
        law(key, kernel, fields) for law in (kernels.HMC_LAWS if small else (kernels.trajectory_is_reversible,))
    )
    yield kernels.energy_error_has_order(key, kernel.action, kernel.scheme, fields[: effort.fitted])
    yield kernels.energy_average_is_one(key, kernel, fields, n_steps=100, warmup=0)


def _flow_laws(flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> Iterator[LawResult]:
    yield from _bijection_laws(flow, action, key, eager=True)
    yield from distributions.flow_laws(key, FlowSampler(flow, action), flow, action)
