"""The theory of a study: its action, what is measured of its fields, values to compare with.

Everything is found in the catalogue by `action.kind`; no kind of theory is named here.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from latflow.actions.base import AbstractAction, AbstractLocalAction
from latflow.actions.gauge import AbstractLinkAction
from latflow.actions.robot_arm import RobotArm
from latflow.errors import ConfigError
from latflow.lattice import Lattice
from latflow.observables.base import AbstractObservable
from latflow.results import Normalisation
from latflow.stats.estimates import Estimate
from latflow.study.config import StudyConfig
from latflow.study.wording import normalisation_of
from latflow.theories.base import AbstractActionTable, Settings
from latflow.theories.catalogue import Theory, stored_table, theory_of
from latflow.theories.further import build, further
from latflow.theories.known_value import Known
from latflow.theories.physics import Physics

_A = TypeVar("_A", bound=AbstractAction)


def build_action(config: StudyConfig) -> AbstractAction:
    """The action of the study, in the normalisation of its class whichever one the file used."""
    return _theory(config.action).physics.action(config.action, _lattice(config))


def action_of_plain(identity: Mapping[str, Any], *, what: str) -> AbstractAction:
    """The action that the identity of an ensemble tells, in the normalisation of its class.

    Args:
        identity: Plain data with the tables `lattice` and `action`.
        what: Of whom, for the message.

    Raises:
        ConfigError: If it names none that is known here.
    """
    action, lattice = identity.get("action") or {}, identity.get("lattice") or {}
    table = stored_table(action)
    if table is None or not lattice.get("shape"):
        raise ConfigError([f"{what}: action {action.get('kind', 'missing')}; allowed: an ensemble of a known theory"])
    return theory_of(table.kind).physics.action(table, Lattice(tuple(lattice["shape"])))


def study_physics(config: StudyConfig) -> Physics:
    """The physics of the study: its action, what is measured, what may be lost.

    Raises:
        ConfigError: If the study names an observable that does not exist.
    """
    found = _theory(config.action).physics.physics(config.action, _lattice(config), _settings(config))
    own, asked = found.words(), config.measure.observables
    known = dict.fromkeys((*own, *FROM_WEIGHTS, *further()))
    unknown = [name for name in asked if name not in known]
    if unknown:
        allowed = ", ".join(known)
        raise ConfigError([f"measure.observables: {name!r}; allowed: {allowed}" for name in unknown])
    taken = {observable.name for observable in found.observables}
    more = tuple(_asked_for(name, found.action, taken) for name in asked if name not in (*own, *FROM_WEIGHTS))
    return found._replace(observables=(*found.observables, *more))


def _asked_for(name: str, action: AbstractAction, taken: set[str]) -> AbstractObservable:
    """An observable beside those of the theory.

    Raises:
        ConfigError: If what is built is none, or has another name, no words, or the name of a column of the theory.
    """
    built = build(name, action)
    problem = ""
    if not isinstance(built, AbstractObservable):
        problem = f"is a {type(built).__name__}; allowed: an AbstractObservable"
    elif name in taken:
        problem = "is the name of a column of the theory; allowed: another name"
    elif built.name != name:
        problem = f"measures {built.name!r}; allowed: an observable of the name of its entry point"
    elif built.words is None:
        problem = "has no words; allowed: an observable with `words`"
    if problem:
        raise ConfigError([f"measure.observables: {name!r} {problem}"])
    return built


def measured_observables(config: StudyConfig, physics: Physics) -> tuple[AbstractObservable, ...]:
    """The columns that the estimates of a study need, and those by which samplers are judged; by default all."""
    asked = config.measure.observables
    if not asked:
        return physics.observables
    needed = {name for each in physics.all_estimators for name in each.columns((*asked, *physics.all_compared))}
    needed |= {*physics.starts, *physics.sectors.columns}
    return tuple(observable for observable in physics.observables if observable.name in needed)


def is_wanted(config: StudyConfig, estimate: str) -> bool:
    """Whether a study wants an estimate; log Z and what follows from it are always estimated."""
    asked = config.measure.observables
    return not asked or estimate in (*asked, *FROM_WEIGHTS)


FROM_WEIGHTS = ("log_z", "free_energy_density")
"""Estimates that are made of weights alone."""


def normalisation(config: StudyConfig) -> Normalisation:
    """The field that results are of, and the measure of log Z."""
    return normalisation_of(config.action, tuple(config.lattice.shape))


def in_study_field(config: StudyConfig, found: Mapping[str, list[Estimate]]) -> dict[str, list[Estimate]]:
    """Estimates of the house field as those of the field of the study; log Z is none of them."""
    factors = _factors(config)
    return {name: [_times(each, factors.get(name, 1.0)) for each in parts] for name, parts in found.items()}


def known_values(config: StudyConfig) -> dict[str, Known]:
    """Reference values of a study's estimates, by name, for the field of the study; empty where nothing is known."""
    factors, known = _factors(config), _house_values(config)
    found = {name: value if name == "log_z" else _known(value, factors.get(name, 1.0)) for name, value in known.items()}
    if "log_z" in found:
        shift = normalisation(config).log_z_shift
        found["log_z"] = dataclasses.replace(found["log_z"], value=found["log_z"].value + shift)
    return _with_free_energy(found, math.prod(config.lattice.shape))


def house_log_z(config: StudyConfig) -> float | None:
    """Log Z with the measure of the house field, in which flows have their densities; None where it is not known."""
    known = _house_values(config).get("log_z")
    return None if known is None else known.value


def _house_values(config: StudyConfig) -> dict[str, Known]:
    return _theory(config.action).known_values(config.action, tuple(config.lattice.shape))


def _factors(config: StudyConfig) -> dict[str, float]:
    """What estimates of the house field are multiplied by, where that is not 1."""
    rescaling = config.action.rescaling()
    words = {} if rescaling == 1 else study_physics(config).words()
    return {name: rescaling**word.power for name, word in words.items() if word.power}


def _times(found: Estimate, factor: float) -> Estimate:
    return dataclasses.replace(found, value=factor * found.value, error=factor * found.error)


def _known(found: Known, factor: float) -> Known:
    array = None if found.array is None else tuple(factor * value for value in found.array)
    return dataclasses.replace(found, value=factor * found.value, error=factor * found.error, array=array)


def build_local_action(config: StudyConfig) -> AbstractLocalAction:
    """The action of the study, where its sites interact with nearest neighbours only."""
    return _of_class(config, AbstractLocalAction, "actions of sites that interact with nearest neighbours")


def build_link_action(config: StudyConfig) -> AbstractLinkAction:
    """The action of the study, where it is one of links."""
    return _of_class(config, AbstractLinkAction, "actions of links")


def build_arm(config: StudyConfig) -> RobotArm:
    """The action of the study, where it is that of a robot arm."""
    return _of_class(config, RobotArm, "a robot arm")


def _of_class(config: StudyConfig, wanted: type[_A], words: str) -> _A:
    """The action for what works on actions of one class only.

    Raises:
        ConfigError: If the study has another action.
    """
    action = build_action(config)
    if not isinstance(action, wanted):
        raise ConfigError([f"action.kind: {config.action.kind}; allowed: {words}"])
    return action


def _theory(table: AbstractActionTable) -> Theory:
    return theory_of(table.kind)


def _lattice(config: StudyConfig) -> Lattice:
    return Lattice(tuple(config.lattice.shape))


def _settings(config: StudyConfig) -> Settings:
    return {name: getattr(config, name) for name in config.action.sections}


def _with_free_energy(known: dict[str, Known], volume: int) -> dict[str, Known]:
    """Beside log Z also −ln Z / V."""
    if "log_z" not in known:
        return known
    log_z = known["log_z"]
    return {**known, "free_energy_density": Known(-log_z.value / volume, log_z.error / volume, log_z.source)}
