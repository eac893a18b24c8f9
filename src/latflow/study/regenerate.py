"""The regenerate verb: configurations of an ensemble of draws, made again from model, key and ledger."""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from latflow.display import extents
from latflow.errors import ConfigError, DataError, MissingInputError, UsageError
from latflow.given import path_of, require_type, require_whole
from latflow.store.atomic import write_bytes
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.study.absent import absent
from latflow.study.config import load_study
from latflow.study.config.methods import REDRAWN, SCRAMBLINGS
from latflow.study.context import RunContext, Silent
from latflow.study.stages.redraw import FieldSource, Level

_OF_THE_CHAIN = ("fields", "accepted", "index")


@dataclasses.dataclass(frozen=True)
class Regenerated:
    """One configuration of the Markov chain over independent draws, or one quasi-random draw.

    Attributes:
        index: Its number in the chain; of quasi-random draws, which make no chain, their number in the blocks.
        draw: The draw that stands there; the same draw stands at several places after rejections.
        columns: What is kept of the draw: `log_weight`, and for a flow `action`, S, and `log_prob`, log q.
        level: How it was verified, see `latflow.study.stages.redraw`.
        field: The configuration.
    """

    index: int
    draw: int
    columns: dict[str, float]
    level: Level
    field: Float[np.ndarray, "*shape"]

    def __repr__(self) -> str:
        return f"Regenerated({self.index}: draw {self.draw} of {extents(self.field.shape)}, {self.level})"


def regenerated(path: str | Path, indices: Sequence[int]) -> list[Regenerated]:
    """Configurations of an ensemble by their numbers, in the order asked for.

    Args:
        path: A run directory, whose flow is meant or else its first ensemble of draws; or one of its ensembles.
        indices: Numbers in the Markov chain, from 0.

    Raises:
        MissingInputError: If there is no ensemble of draws, or no such configuration.
        ConfigError: If the run was made with packages that are not here.
        DataError: If the draws differ from those of the ledger.
    """
    path = path_of("path", path, "a run, or one of its ensembles").resolve()
    require_type("indices", indices, Sequence, "numbers of configurations, such as [0, 1]")
    for index in indices:
        require_whole("indices", index)
    missing = absent(run := path if (path / "study.toml").is_file() else path.parent.parent)
    if missing.parts:
        raise ConfigError([f"{run}: {missing}"])
    folders = [path / "ensembles" / name for name in REDRAWN] if (path / "ensembles").is_dir() else [path]
    folder = next((found for found in folders if (found / "manifest.json").is_file()), folders[0])
    root = folder.parent.parent
    if folder.name not in REDRAWN or not (folder / "manifest.json").is_file() or not (root / "study.toml").is_file():
        hint = "name a run or its ensembles/flow; ensembles of chains hold their configurations"
        raise MissingInputError(str(path), value="no ensemble of a flow in a run", hint=hint)
    ensemble = Ensemble.open(folder, writable=False)
    context = RunContext(load_study(root / "study.toml"), root, Silent(), Interrupts())
    draws = _draws(ensemble, indices)
    source = FieldSource(context, ensemble)
    size = ensemble.manifest["identity"]["block_size"]
    names = [name for name in ensemble.read(0).arrays if name not in _OF_THE_CHAIN]
    made: dict[int, Regenerated] = {}
    for block in sorted({draw // size for draw in draws}):
        fields, level = source.read(block)
        rows = ensemble.read(block, names).arrays
        for index, draw in zip(indices, draws, strict=True):
            if draw // size == block:
                row = draw % size
                made[index] = Regenerated(
                    index=index,
                    draw=draw,
                    columns={name: float(rows[name][row]) for name in names},
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
    if ensemble.manifest["sampler"] in SCRAMBLINGS:
        return list(indices)
    standing = ensemble.column("index")
    draws = [int(standing[index]) for index in indices]
    if min(draws) < 0:
        raise DataError("--index", value="before the first accepted draw", allowed=f"from {np.argmax(standing >= 0)}")
    return draws
