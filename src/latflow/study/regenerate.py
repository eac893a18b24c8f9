"""The regenerate verb: configurations of a flow's ensemble, made again from model, key and ledger."""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from latflow.errors import DataError, MissingInputError, UsageError
from latflow.store.atomic import write_bytes
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.study.config import load_study
from latflow.study.context import RunContext, Silent
from latflow.study.stages.redraw import FieldSource, Level


@dataclasses.dataclass(frozen=True)
class Regenerated:
    """One configuration of the Markov chain over a flow's draws.

    Attributes:
        index: Its number in the chain.
        draw: The draw that stands there; the same draw stands at several places after rejections.
        action: S.
        log_prob: log q.
        log_weight: −S − log q.
        level: How it was verified, see `latflow.study.stages.redraw`.
        field: The configuration.
    """

    index: int
    draw: int
    action: float
    log_prob: float
    log_weight: float
    level: Level
    field: Float[np.ndarray, "*shape"]


def regenerated(path: Path, indices: Sequence[int]) -> list[Regenerated]:
    """Configurations of an ensemble by their numbers, in the order asked for.

    Args:
        path: A run directory, or its ``ensembles/flow``.
        indices: Numbers in the Markov chain, from 0.

    Raises:
        MissingInputError: If there is no flow ensemble, or no such configuration.
        DataError: If what is drawn is not what the ledger says.
    """
    path = path.resolve()
    folder = path / "ensembles" / "flow" if (path / "ensembles").is_dir() else path
    root = folder.parent.parent
    if folder.name != "flow" or not (folder / "manifest.json").is_file() or not (root / "study.toml").is_file():
        hint = "name a run or its ensembles/flow; ensembles of chains hold their configurations"
        raise MissingInputError(str(path), value="no ensemble of a flow in a run", hint=hint)
    ensemble = Ensemble.open(folder, writable=False)
    context = RunContext(load_study(root / "study.toml"), root, Silent(), Interrupts())
    draws = _draws(ensemble, indices)
    source = FieldSource(context, ensemble)
    size = ensemble.manifest["identity"]["block_size"]
    made: dict[int, Regenerated] = {}
    for block in sorted({draw // size for draw in draws}):
        fields, level = source.read(block)
        rows = ensemble.read(block, ("action", "log_prob", "log_weight")).arrays
        for index, draw in zip(indices, draws, strict=True):
            if draw // size == block:
                row = draw % size
                made[index] = Regenerated(
                    index=index,
                    draw=draw,
                    action=float(rows["action"][row]),
                    log_prob=float(rows["log_prob"][row]),
                    log_weight=float(rows["log_weight"][row]),
                    level=level,
                    field=fields[row],
                )
    return [made[index] for index in indices]


def save(path: Path, configurations: Sequence[Regenerated]) -> None:
    """Write the fields as one array, (n, *shape), in NumPy's own format."""
    buffer = io.BytesIO()
    np.save(buffer, np.stack([made.field for made in configurations]), allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def _draws(ensemble: Ensemble, indices: Sequence[int]) -> list[int]:
    """The draw that stands at each place of the chain."""
    n = ensemble.n_records
    wrong = [index for index in indices if not 0 <= index < n]
    if wrong or n == 0:
        allowed = f"0 to {n - 1}" if n else "none: the ensemble is empty"
        raise UsageError("--index", value=", ".join(map(str, wrong)), allowed=allowed)
    standing = ensemble.column("index")
    draws = [int(standing[index]) for index in indices]
    if min(draws) < 0:
        raise DataError("--index", value="before the first accepted draw", allowed=f"from {np.argmax(standing >= 0)}")
    return draws
