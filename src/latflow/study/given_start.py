"""A configuration in which all chains of a study begin, read from a file of this or another code.

Read without jax: a file that is missing, damaged or of another lattice is refused before anything slow begins.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Complex

from latflow.store.gauge_files.files import read_configuration
from latflow.study.config import StudyConfig


def given_links(config: StudyConfig) -> Complex[np.ndarray, "mu row column *sites"] | None:
    """The links that the study names, in the group to double precision; None if it names none.

    Raises:
        MissingInputError: If there is no such file.
        DataError: If it is damaged, or holds another lattice or group.
    """
    path, group = config.sampling.start_from, getattr(config.action, "group", "")
    if path is None:
        return None
    # a file without a shape is read with that of the study; the shape of any other must agree
    found = read_configuration(
        Path(path), shape=config.lattice.shape, colours=int(group[3:-1]), origin="the study that starts from it"
    )
    return found.reunitarised().links.astype(np.complex128)


def require_given(config: StudyConfig, directory: Path) -> None:
    """Refuse a file that cannot be used, where a sampler has not begun yet.

    Raises:
        MissingInputError, DataError: As `given_links` does.
    """
    begun = (directory / "ensembles" / f"{sampler}-start.h5" for sampler in config.sampling.samplers)
    if not all(path.exists() for path in begun):
        given_links(config)
