"""Sampling at quasi-random points: blocks of scrambled sequences, weighted draws without an accept/reject chain.

Blocks go round the scramblings: block b holds the next points of scrambling b mod R. So all sequences are equally far
whenever a run is stopped, and a run that asks for more points goes on where it was. Every block names its scrambling,
its first point and the words from which numpy makes the scrambling.
"""

import dataclasses
from typing import Any

import numpy as np

from latflow.errors import DataError, PhysicsStop
from latflow.samplers.quasi import scrambling_words, sequence_probe
from latflow.stats.scramblings import Scrambled
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import QUASI, method_of
from latflow.study.context import RunContext, identity
from latflow.study.stages import labels
from latflow.study.stages.integration import require_accuracy
from latflow.study.stages.provenance import moved, origin, require_generator
from latflow.study.stages.redraw import DIGEST, fields_digest
from latflow.study.stages.sources import Source, draw_key, drawing, require_uniforms, source
from latflow.study.stages.training import is_up_to_date, train, warn_outside_range
from latflow.study.theories import normalisation

SEQUENCE = "sequence"
"""Fact of a manifest: a probe of the points that the sequences of this platform have."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the points of every scrambling lie in the blocks of an ensemble.

    Args:
        scramblings: How many there are.
        size: Points of one block.
        n_blocks: Blocks that are there.
    """

    scramblings: int
    size: int
    n_blocks: int

    @classmethod
    def of(cls, ensemble: Ensemble) -> "Layout":
        """That of an ensemble."""
        found = ensemble.manifest["identity"]
        return cls(found[QUASI]["scramblings"], found["block_size"], ensemble.n_blocks)

    def place(self, block: int) -> tuple[int, int]:
        """Scrambling and first point of a block."""
        return block % self.scramblings, block // self.scramblings * self.size

    @property
    def rounds(self) -> int:
        """Blocks of every scrambling that count: a power of two, at which points are most even; 0 without a round."""
        whole = self.n_blocks // self.scramblings
        return 0 if whole == 0 else 1 << (whole.bit_length() - 1)

    def ordered(self, column: np.ndarray) -> np.ndarray:
        """A column of all blocks as that of the points that count, scrambling after scrambling."""
        n, r = self.rounds, self.scramblings
        blocks = column[: n * r * self.size].reshape(n, r, self.size, *column.shape[1:])
        return np.swapaxes(blocks, 0, 1).reshape(n * r * self.size, *column.shape[1:])


def scrambled_weights(context: RunContext, ensemble: Ensemble) -> Scrambled:
    """Log-weights of the points that count, of the field of the study.

    Raises:
        DataError: If not all scramblings have a block yet.
    """
    layout = Layout.of(ensemble)
    if layout.rounds == 0:
        value = f"{ensemble.n_blocks} of {layout.scramblings} scramblings"
        raise DataError(str(ensemble.path), value=value, allowed="all of them", hint="run `latflow sample` again")
    log_weights = layout.ordered(ensemble.column("log_weight")) + normalisation(context.config).log_z_shift
    return Scrambled(log_weights, layout.scramblings)


def sample_scramblings(context: RunContext, name: str) -> None:
    """Bring the ensemble of quasi-random draws to the points the study asks for; trains first if it needs a model."""
    config = context.config
    if method_of(name).trained and not is_up_to_date(context):
        train(context)
    found = source(context, name)
    require_accuracy(context, name, found.facts)
    require_uniforms(found.sampler, name)
    warn_outside_range(context)
    context.interrupts.check()
    ensemble = _opened(context, name, found)
    table = getattr(config, name)
    layout, total = Layout.of(ensemble), table.scramblings * table.points_per_scrambling
    n_blocks = max(total // layout.size, layout.scramblings)
    if ensemble.n_blocks >= n_blocks:
        context.progress.line(f"sample   {name}: up to date, {ensemble.n_records} draws")
        return
    what = f"{layout.scramblings} scramblings of {n_blocks * layout.size // layout.scramblings} points"
    context.progress.stage("sample", f"{name}, {what} in blocks of {layout.size}")
    begun = ensemble.manifest["origin"]
    require_generator(begun, what=str(ensemble.path))
    _require_sequence(ensemble)
    make = drawing(config, name, found.sampler)
    elsewhere, key = moved(begun), draw_key(config, name)
    for block in range(ensemble.n_blocks, n_blocks):
        scrambling, first = layout.place(block)
        attributes: dict[str, Any] = {
            "scrambling": scrambling,
            "first": first,
            "seed": list(scrambling_words(key, scrambling)),
            **elsewhere,
        }
        with context.timed(stage="sample", sampler=name, block=block, n=layout.size) as watch:
            columns = _columns(context, make(attributes, layout.size), attributes)
            told = labels.of_ensemble(columns, chains=False, n_dim=len(config.lattice.shape))
            with watch.storing():
                ensemble.append(columns, n=layout.size, attributes=attributes, labels=told)
        context.progress.update(f"sample {name}", block + 1, n_blocks, {})
        context.interrupts.check()


def _columns(context: RunContext, drawn: Any, attributes: dict[str, Any]) -> dict[str, np.ndarray]:
    """What is stored of a block of draws; of a ledger alone the digest of the fields, among its attributes."""
    columns = {"fields": drawn.x, **drawn.columns, "log_weight": drawn.log_weight}
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    if bool(np.any(np.isposinf(arrays["log_weight"]))):
        hint = f"the density of the flow vanished in scrambling {attributes['scrambling']}"
        raise PhysicsStop("log weight", value="+inf", hint=hint)
    if context.config.sampling.ledger_only:
        attributes[DIGEST] = fields_digest(arrays.pop("fields"))
    return arrays


def _opened(context: RunContext, name: str, found: Source) -> Ensemble:
    """The ensemble; one that is there keeps the size of its blocks."""
    path, sampling, table = context.path("ensembles", name), context.config.sampling, getattr(context.config, name)
    size = 1 << (min(sampling.block_size, table.points_per_scrambling).bit_length() - 1)
    if (path / "manifest.json").exists():
        size = min(size, Ensemble.open(path).manifest["identity"]["block_size"])
    manifest = {
        "kind": "ensemble",
        "labelled": True,
        "sampler": name,
        "identity": {
            **identity(context.config, "lattice", "action"),
            "block_size": size,
            **found.identity,
            **({"fields": "drawn again"} if sampling.ledger_only else {}),
        },
        **found.facts,
        SEQUENCE: sequence_probe(),
        "origin": origin(),
    }
    return Ensemble.open_or_create(path, manifest)


def _require_sequence(ensemble: Ensemble) -> None:
    """Refuse to go on with other points than those a sequence was begun with."""
    begun, here = ensemble.manifest[SEQUENCE], sequence_probe()
    if begun != here:
        hint = "go on with the version of scipy it was begun with, or begin a new run"
        raise DataError(f"{ensemble.path}: begun with other Sobol points", value=here, allowed=begun, hint=hint)
