"""Configurations of another code as groups that take the place of chains: every stream is cut into consecutive parts.

A code writes one long Markov chain, or a few replicas. Coefficients of control variates must come from other records
than those they correct. Parts of a stream that are long against its autocorrelation time are as good as chains.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Complex

from latflow.stats.estimates import TooShortError
from latflow.stats.propagation import MINIMUM_RECORDS
from latflow.store.ensemble import Ensemble
from latflow.store.gauge_files.files import stem
from latflow.store.gauge_files.folders import Reading
from latflow.store.gauge_files.replicas import are_numbered, places
from latflow.study.foreign import AbstractCollection, collection

_T = TypeVar("_T")

PARTS = 8
"""Parts of all streams together, at least, where there are records enough."""


def parts_of_streams(path: Path, *, shape: tuple[int, ...], colours: int) -> Complex[np.ndarray, "records parts ..."]:
    """The configurations of a folder, or of an ensemble gathered from one, with axes (record, part, *links).

    Every replica is cut into parts of equal length, in the order of the numbers of its configurations; what is left
    over is dropped from its beginning.

    Args:
        path: The folder, or the directory of the ensemble.
        shape: Extents of the lattice, time last, for files that do not state them.
        colours: N of SU(N), likewise.

    Raises:
        DataError: If a file is damaged or fails a check, or there are too few configurations for two parts.
        MissingInputError: If there are none.
    """
    found = collection(path, Reading(shape, "the action", force=False, colours=colours))
    streams = _streams(found)
    cut = cut_into_parts(streams, what=str(path))
    return np.stack([np.stack([found.read(name).links for name in names]) for names in cut], axis=1)


def cut_into_parts(streams: Sequence[Sequence[_T]], *, what: str) -> list[Sequence[_T]]:
    """Consecutive parts of equal length, at least `PARTS` of them where there are records enough.

    Args:
        streams: Records of every replica in their order; what is left over is dropped from the beginning.
        what: Whose, for the message.

    Raises:
        TooShortError: If there are too few for two parts.
    """
    n = sum(map(len, streams))
    length = max(MINIMUM_RECORDS, n // PARTS)
    cut = [each[i : i + length] for each in streams for i in range(len(each) % length, len(each), length)]
    if len(cut) < 2:
        allowed = f"at least {2 * MINIMUM_RECORDS} configurations of one replica"
        hint = "coefficients must come from other configurations than those they correct"
        raise TooShortError(what, value=str(n), allowed=allowed, hint=hint)
    return cut


def is_of_another_code(path: Path) -> bool:
    """Whether a directory holds files of configurations, or what was gathered from such files; no chains of a run."""
    if not (path / "manifest.json").exists():
        return True
    ensemble = Ensemble.open(path, writable=False)
    return ensemble.n_blocks > 0 and type(ensemble.read(0, ()).attributes.get("files")) is list


def _streams(found: AbstractCollection) -> list[list[str]]:
    """Names of the configurations of every replica, in the order of their numbers."""
    stems = [stem(name) for name in found.names]
    stated = [""] * len(found) if are_numbered(stems) else [each.provenance.sequence_number for each in found]
    where = places(found.names, stems, stated)
    order = sorted(range(len(found)), key=lambda i: (where[i].replica, where[i].number))
    replicas = dict.fromkeys(where[i].replica for i in order)
    return [[found.names[i] for i in order if where[i].replica == replica] for replica in replicas]
