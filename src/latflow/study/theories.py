"""Actions by the kind that a study names, and what is measured of their fields.

`Physics` collects what the stages need to know of a theory: its observables, how estimates are made from their columns,
and which columns tell how well chains move. It is looked up by the space of the fields, so a new theory on a known
space needs nothing here but its action.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Inexact

from latflow.actions.base import AbstractAction, AbstractLocalAction
from latflow.actions.gauge import DBW2, IWASAKI, LUESCHER_WEISZ, AbstractLinkAction, ImprovedAction, WilsonAction
from latflow.actions.scalar import FreeField, PhiFour
from latflow.errors import ConfigError
from latflow.fields.field_strength import has_charge
from latflow.fields.gradient_flow import GradientFlow
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace, ScalarSpace
from latflow.groups.names import named
from latflow.lattice import Lattice
from latflow.observables.base import AbstractObservable
from latflow.observables.flowed import AlongTheFlow
from latflow.observables.gauge import gauge_observables, largest_loops
from latflow.observables.scalar import scalar_observables
from latflow.observables.smeared import SmearedWilsonLoops
from latflow.stats.correlators import scalar_chain_estimates
from latflow.stats.estimates import Estimate
from latflow.stats.flowed import CLOVER_CHARGE, charge_column
from latflow.stats.gauge import gauge_chain_estimates
from latflow.study.config import StudyConfig
from latflow.study.config.stages import MEASUREMENT_SECTIONS
from latflow.study.config.theory import GAUGE_KINDS, FreeFieldConfig, GaugeConfig, ScalarConfig

COEFFICIENTS = {"luscher-weisz": LUESCHER_WEISZ, "iwasaki": IWASAKI, "dbw2": DBW2}
"""c₁ of the improved actions by their words."""


Estimates = dict[str, list[Estimate]]


def build_action(config: StudyConfig) -> AbstractAction:
    """The action of the study, in the house normalisation whichever one the file used."""
    return build_link_action(config) if config.action.kind in GAUGE_KINDS else build_scalar_action(config)


def build_link_action(config: StudyConfig) -> AbstractLinkAction:
    """The action of a study of links.

    Raises:
        ConfigError: If its fields are scalar.
    """
    lattice, table = Lattice(tuple(config.lattice.shape)), gauge_table(config)
    if table.kind == "wilson":
        return WilsonAction(lattice, named(table.group), beta=table.beta)
    return ImprovedAction(lattice, named(table.group), beta=table.beta, c1=COEFFICIENTS[table.improvement])


def build_wilson_action(config: StudyConfig) -> WilsonAction:
    """Wilson's action, for what works on no other.

    Raises:
        ConfigError: If the study has another action.
    """
    lattice, table = Lattice(tuple(config.lattice.shape)), config.action
    if table.kind != "wilson":
        raise ConfigError([f"action.kind: {table.kind}; allowed: wilson"])
    return WilsonAction(lattice, named(table.group), beta=table.beta)


def build_scalar_action(config: StudyConfig) -> AbstractLocalAction:
    """The action of a study of scalar fields.

    Raises:
        ConfigError: If its fields are links.
    """
    return _scalar_action(Lattice(tuple(config.lattice.shape)), scalar_table(config))


def scalar_table(config: StudyConfig) -> ScalarConfig:
    """The table of the action, where it is one of scalar fields.

    Raises:
        ConfigError: If its fields are links.
    """
    table = config.action
    if table.kind == "wilson" or table.kind == "improved":
        raise ConfigError([f"action.kind: {table.kind}; allowed: phi4, phi4_hopping, free"])
    return table


def gauge_table(config: StudyConfig) -> GaugeConfig:
    """The table of the action, where its fields are links.

    Raises:
        ConfigError: If they are not.
    """
    table = config.action
    if table.kind != "wilson" and table.kind != "improved":
        raise ConfigError([f"action.kind: {table.kind}; allowed: wilson, improved"])
    return table


def _scalar_action(lattice: Lattice, table: ScalarConfig) -> AbstractLocalAction:
    if isinstance(table, FreeFieldConfig):
        return FreeField(lattice, mass_squared=table.mass_squared)
    mass_squared, coupling = table.house(lattice.ndim)
    return PhiFour(lattice, mass_squared=mass_squared, coupling=coupling)


class Physics(NamedTuple):
    """What is known of a theory beside its action.

    Attributes:
        observables: What is measured.
        chain_estimates: Estimates from columns (chains, n, …).
        starts: Columns in which chains of all starts must agree; one that no chain changes is passed over.
        back: Carries configurations, one per chain, back into their space where rounding leads out of it; else None.
        further: Columns of one number per record that stand inside a measured one, by name.
    """

    observables: tuple[AbstractObservable, ...]
    chain_estimates: Callable[[Mapping[str, np.ndarray]], Estimates]
    starts: tuple[str, ...]
    back: Callable[[Array], Array] | None = None
    further: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]] = lambda columns: {}


class Beside(NamedTuple):
    """What a study may ask for beside the observables of its theory.

    Attributes:
        flowed: Energies and charge along the gradient flow.
        smeared: Loops whose sides in space are smeared.
    """

    flowed: AlongTheFlow | None = None
    smeared: SmearedWilsonLoops | None = None


_NOTHING = Beside()


def study_physics(config: StudyConfig) -> Physics:
    """What a study measures: the observables of its theory, and what its tables ask for beside them."""
    action = build_action(config)
    asked = any(getattr(config, section).kind != "none" for section in MEASUREMENT_SECTIONS)
    return physics(action, beside=_beside(config, build_link_action(config).space) if asked else _NOTHING)


def physics(action: AbstractAction, *, beside: Beside = _NOTHING) -> Physics:
    """What is measured of an action's fields."""
    return _physics(action.space, action, beside)


def _beside(config: StudyConfig, space: GaugeSpace) -> Beside:
    flow, smearing = config.gradient_flow, config.smearing
    flowed = smeared = None
    if flow.kind != "none":
        velocity = GradientFlow(space) if flow.kind == "wilson" else GradientFlow.symanzik(space)
        flowed = AlongTheFlow(velocity, flow.spacing, flow.records, flow.tolerance)
    if smearing.kind != "none":
        steps = largest_loops(space.lattice.shape)
        smeared = SmearedWilsonLoops(space, *steps, alpha=smearing.alpha, n_steps=smearing.steps)
    return Beside(flowed, smeared)


@functools.singledispatch
def _physics(space: AbstractFieldSpace, action: AbstractAction, beside: Beside) -> Physics:
    del action, beside
    raise TypeError(f"no observables are known for {type(space).__name__}; allowed: ScalarSpace, GaugeSpace")


@_physics.register
def _scalar(space: ScalarSpace, action: AbstractAction, beside: Beside) -> Physics:
    del beside  # the rules of studies allow nothing here
    return Physics(
        observables=scalar_observables(action),
        chain_estimates=functools.partial(scalar_chain_estimates, shape=space.shape),
        # even in φ: chains in different vacua agree on them
        starts=("abs_magnetization", "phi_squared", "action_density"),
    )


@_physics.register
def _gauge(space: GaugeSpace, action: AbstractAction, beside: Beside) -> Physics:
    flowed = beside.flowed
    return Physics(
        observables=gauge_observables(space, action) + tuple(asked for asked in beside if asked is not None),
        chain_estimates=functools.partial(
            gauge_chain_estimates,
            shape=space.lattice.shape,
            group=space.group.name,
            flow_times=None if flowed is None else np.asarray(flowed.times),
        ),
        starts=("plaquette", "rectangle", "polyakov_squared", "topological_charge", CLOVER_CHARGE),
        back=functools.partial(_reunitarised, space) if space.group.element_shape else None,
        further=charge_column if flowed is not None and has_charge(space) else lambda columns: {},
    )


@eqx.filter_jit
def _reunitarised(space: GaugeSpace, x: Inexact[Array, "chains *shape"]) -> Inexact[Array, "chains *shape"]:
    return jax.vmap(space.reunitarised)(x)
