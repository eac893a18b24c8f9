"""The chain through draws of a flow, for files, which hold no weights."""

from collections.abc import Mapping

import numpy as np

from latflow.store.gauge_files.refusals import UnsupportedError

_WEIGHTS, _CHAIN, _ACCEPTED = "log_weight", "index", "accepted"
"""Columns of draws with weights: theirs, the number of the draw at which the chain is, and whether it was accepted."""


def of_chain(
    links: np.ndarray, arrays: Mapping[str, np.ndarray], first: int, last: np.ndarray | None, *, what: str
) -> np.ndarray:
    """The links of a block as a reader of files counts them, all alike: of draws of a flow its accept/reject chain.

    Args:
        links: Of the block.
        arrays: All its columns.
        first: Number of its first draw.
        last: The same of the block before, None for the first.
        what: The ensemble, for the message.

    Raises:
        UnsupportedError: If draws count with weights and there is no chain through them.
    """
    if _WEIGHTS not in arrays:
        return links
    if _CHAIN not in arrays or _ACCEPTED not in arrays:
        raise UnsupportedError(f"{what}: draws", value="weighted", allowed="a chain: files hold no weights")
    local = arrays[_CHAIN] - first
    chain = links[np.maximum(local, 0)]
    if last is not None:
        chain[local < 0] = last[-1]
    return chain
