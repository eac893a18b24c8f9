"""Smaller errors from configurations in memory or of a finished run: `reduce`.

The action is all that it needs beside the configurations, whatever sampler made them.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Inexact

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.archive.arrays import StoredEnsemble
from latflow.archive.directory import open_ensemble
from latflow.arguments import require_numbers, require_shape, require_type
from latflow.errors import ConfigError, UsageError
from latflow.fields.inside import require_inside
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace
from latflow.observables.base import measure
from latflow.randomness import fold_in, require_float64, require_key, root_key
from latflow.stats.estimates import TooShortError
from latflow.stats.propagation import MINIMUM_RECORDS
from latflow.store.records import FormatError
from latflow.study.reduction import Reduced, reduce_chains
from latflow.study.stein_files import load_fields
from latflow.study.streams import cut_into_parts, is_of_another_code, parts_of_streams
from latflow.study.theories import action_of_plain
from latflow.theories.any_action import physics_of, second_moments_of, stein_fields_of, stein_settings_of
from latflow.variates.base import AbstractSteinFields
from latflow.variates.catalogue import family
from latflow.variates.training import SteinTraining, is_trainable


def reduce(
    action: AbstractAction | None,
    fields: Inexact[np.ndarray, "n chains *shape"] | StoredEnsemble,
    *,
    key: PRNGKey | None = None,
    velocities: AbstractSteinFields | str | Path | None = None,
    training: SteinTraining | None = None,
) -> Reduced:
    """Averages of Markov chains with smaller errors, by Stein fields: control variates whose mean is known to be zero.

    Every fourth chain is for training and left out of the corrected averages; with velocities that are trained
    already, all chains are corrected.

    Args:
        action: S of the chains, p ∝ exp(−S); None for a stored ensemble of a study, which names its own.
        fields: Configurations with axes (record, chain, *shape of one field), or ``run.ensemble("hmc")``.
        key: Of the training; by default of seed 1.
        velocities: Trained ones: those of an earlier `Reduced`, or where they were saved. They may come from another
            lattice or coupling of the same theory.
        training: Settings of the training; with `velocities` it goes on from them, and without it they are used as
            they are. None for links, whose velocities have nothing to train, and for those of a flow.

    Returns:
        The best average of every quantity: corrected where it helps and the null tests hold, else plain.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the action is missing or of other fields, or velocities without weights are to be trained.
        UsageError: If the ensemble holds weighted draws, which are no chains.
        DataError: If there are too few chains or records, or the velocities are damaged or of other fields.
        UnavailableError: If float64 is switched off.
    """
    require_float64()
    key = root_key(1) if key is None else key
    require_key(key)
    require_type("training", training, SteinTraining | None, "SteinTraining(...)")
    action = _action(action, fields)
    configurations = _configurations(action, fields)
    known = physics_of(action)
    known = known._replace(observables=(*known.observables, *second_moments_of(action)))
    series = _columns(known.observables, configurations)
    start = _velocities(key, action, velocities)
    if training is not None and not is_trainable(start):
        raise ConfigError([f"training: given; allowed: None, velocities of {start.kind} have nothing to train"])
    asked = SteinTraining() if training is None and velocities is None else training
    return reduce_chains(key, known, start, np.swapaxes(configurations, 0, 1), series, training=asked)


def stored_configurations(
    path: Path, action: AbstractAction | None
) -> tuple[AbstractAction, Inexact[np.ndarray, "n chains ..."]]:
    """Configurations of chains on disk, and the action that they belong to.

    Args:
        path: An ensemble of a study, which names its action, a NumPy file, or a folder of gauge configurations of
            another code. A single chain, and the streams of a folder, are cut into parts.
        action: Given for files, and in place of what an ensemble says.

    Raises:
        ConfigError: If the action of a file is not given.
        DataError: If the file holds no array, or a single chain is too short for two parts.
        UsageError: If the ensemble holds weighted draws.
    """
    if path.is_dir() and not is_of_another_code(path):
        found = open_ensemble(path)
        return _action(action, found), _in_parts(_records(found), path)
    if action is None:
        raise ConfigError(
            [f"action: missing for {path}; allowed: --action STUDY.toml, whose lattice and action it has"]
        )
    if path.is_dir():
        return action, _parts_of_streams(path, action.space)
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("an archive of several arrays")
    except (ValueError, OSError, EOFError) as error:
        raise FormatError(str(path), value=str(error), allowed="an array in a NumPy file, .npy") from error
    return action, _in_parts(found, path)


def _in_parts(fields: Inexact[np.ndarray, "n chains ..."], path: Path) -> Inexact[np.ndarray, "length parts ..."]:
    """A single chain as consecutive parts, as streams of files; several chains as they are."""
    if fields.ndim < 2 or fields.shape[1] != 1:
        return fields
    parts = cut_into_parts([range(len(fields))], what=str(path))
    return np.stack([fields[part, 0] for part in parts], axis=1)


def _parts_of_streams(path: Path, space: AbstractFieldSpace) -> Inexact[np.ndarray, "n parts ..."]:
    if not isinstance(space, GaugeSpace):
        raise ConfigError([f"action: of {space.summary}; allowed: of a gauge field, which files of {path} hold"])
    return parts_of_streams(path, shape=space.lattice.shape, colours=space.group.n)


def _records(fields: StoredEnsemble) -> Inexact[np.ndarray, "n chains ..."]:
    if fields.is_weighted:
        raise UsageError("reduce", value=f"weighted draws of {fields.sampler}", allowed="Markov chains")
    return fields.fields()


def _action(action: AbstractAction | None, fields: np.ndarray | StoredEnsemble) -> AbstractAction:
    if action is None:
        if not isinstance(fields, StoredEnsemble):
            raise ConfigError(["action: missing; allowed: the action of the configurations, which arrays do not tell"])
        return action_of_plain(fields.ensemble.manifest["identity"], what=str(fields.ensemble.path))
    require_type("action", action, AbstractAction, "an action")
    return action


def _configurations(action: AbstractAction, fields: np.ndarray | StoredEnsemble) -> Inexact[np.ndarray, "n chains ..."]:
    """The configurations, checked."""
    fields = _records(fields) if isinstance(fields, StoredEnsemble) else fields
    require_shape("fields", fields, action.space.shape, leading=("record", "chain"))
    require_numbers("fields", fields)
    if len(fields) < MINIMUM_RECORDS:
        raise TooShortError("fields", value=f"{len(fields)} records", allowed=f"at least {MINIMUM_RECORDS}")
    require_inside("fields", action.space, fields.reshape(-1, *fields.shape[2:]))
    return fields


def _columns(observables: tuple, fields: np.ndarray) -> dict[str, np.ndarray]:
    """What is measured of every theory, with axes (chain, record, …)."""
    lead = fields.shape[:2]
    columns = measure(observables, fields.reshape(-1, *fields.shape[2:]))
    return {name: np.swapaxes(c.reshape(*lead, *c.shape[1:]), 0, 1) for name, c in columns.items()}


def _velocities(
    key: PRNGKey, action: AbstractAction, given: AbstractSteinFields | str | Path | None
) -> AbstractSteinFields:
    require_type("velocities", given, AbstractSteinFields | str | Path | None, "Stein fields, or where they were saved")
    if isinstance(given, str | Path):
        return load_fields(Path(given), action.space)
    if given is None:
        return family(stein_fields_of(action)).create(fold_in(key, 0), action.space, stein_settings_of(action))
    return given.on(action.space)
