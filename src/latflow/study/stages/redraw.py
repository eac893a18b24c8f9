"""Fields of an ensemble: read from its blocks, or made again where only the ledger was kept.

Draw i depends on the sampler, the root key and i alone, so the fields of a block are those of the same block drawn
again. Every block keeps the SHA-256 of the fields it was made with. On the same platform the bits are the same,
*exact*; on another one roundings differ, and the fields are *close* if the numbers kept with them, action and log q of
a flow, are those of the ledger. The configurations of another code are read from their files.
"""

import hashlib
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Inexact

from latflow.errors import DataError
from latflow.flows.continuous import PROMISED_LOG_PROB_ERROR
from latflow.samplers.draws import Drawn
from latflow.store.blocks import Block
from latflow.store.ensemble import Ensemble
from latflow.store.records import JSON, ChecksumError
from latflow.study.config.methods import GIVEN
from latflow.study.context import RunContext
from latflow.study.foreign import AbstractCollection, collection_of
from latflow.study.stages.files import read_fields
from latflow.study.stages.integration import log_prob_limit
from latflow.study.stages.provenance import elsewhere, origin
from latflow.study.stages.sources import Drawing, Source, drawing, source

Level: TypeAlias = Literal["stored", "exact", "close"]
"""How far fields are known to be those that were drawn: read and verified, equal in every bit, or equal in the numbers
that were kept with them."""

DIGEST = "fields_sha256"
"""Attribute of a block without fields."""


_SYMBOLS = {"action": "S", "log_prob": "log q", "log_weight": "log w"}


class FieldSource:
    """The fields of an ensemble, block by block.

    Args:
        context: The run it belongs to.
        ensemble: Of any sampler; those of chains always hold their fields.
    """

    def __init__(self, context: RunContext, ensemble: Ensemble) -> None:
        self._context = context
        self._ensemble = ensemble
        self._source: Source | None = None
        self._drawing: Drawing | None = None
        self._files: AbstractCollection | None = None

    @property
    def stored(self) -> bool:
        """Whether the blocks hold fields."""
        return "fields" not in self._ensemble.manifest["identity"]

    def read(self, index: int) -> tuple[Inexact[np.ndarray, "*leading_and_shape"], Level]:
        """The fields of one block, and how they were verified.

        Raises:
            DataError: If the draws differ from those of the ledger, or the model is another one.
        """
        if self._given:
            return read_fields(self._context, self._ensemble.read(index), self._collection()), "exact"
        if self.stored:
            return self._ensemble.read(index, ("fields",)).arrays["fields"], "stored"
        block = self._ensemble.read(index)
        size = self._ensemble.manifest["identity"]["block_size"]
        if self._drawing is None:
            self._drawing = drawing(self._context.config, self._ensemble.manifest["sampler"], self._load().sampler)
        drawn = self._drawing(block.attributes, size)
        fields = np.asarray(drawn.x)
        return fields, self._level(index, block, fields, drawn)

    @property
    def _given(self) -> bool:
        return self._ensemble.manifest["sampler"] in GIVEN

    def _collection(self) -> AbstractCollection:
        if self._files is None:
            self._files = collection_of(self._context.config)
        return self._files

    def _load(self) -> Source:
        if self._source is None:
            found, kept = source(self._context, self._ensemble.manifest["sampler"]), self._ensemble.manifest["identity"]
            if found.identity.get("model") != kept.get("model"):
                value, allowed = (f"model {(of.get('model') or 'none')[:12]}" for of in (found.identity, kept))
                raise DataError(f"{self._ensemble.path}: drawn from another model", value=value, allowed=allowed)
            self._source = found
        return self._source

    def _level(self, index: int, block: Block, fields: np.ndarray, drawn: Drawn) -> Level:
        if fields_digest(fields) == block.attributes[DIGEST]:
            return "exact"
        name = f"{self._ensemble.path}: block {index} drawn again"
        if not elsewhere(origin_of(self._ensemble, block), origin()):
            hint = "the model, the ledger or the program was changed"
            raise ChecksumError(name, value="differs from what was drawn", hint=hint)
        kept = drawn.columns or {"log_weight": drawn.log_weight}
        deviation = max(float(np.max(np.abs(np.asarray(kept[name]) - block.arrays[name]))) for name in kept)
        limit = log_prob_limit(self._ensemble.manifest, PROMISED_LOG_PROB_ERROR)
        if not deviation <= limit:
            what = " or ".join(_SYMBOLS.get(column, column.replace("_", " ")) for column in sorted(kept))
            allowed = f"{limit:.0e} on another platform"
            raise DataError(name, value=f"{what} differ by {deviation:.1e}", allowed=allowed)
        return "close"


def origin_of(ensemble: Ensemble, block: Block) -> JSON:
    """Where a block was made: its own origin if it tells one, else that of its ensemble."""
    return block.attributes.get("origin", ensemble.manifest.get("origin"))


def fields_digest(fields: Inexact[np.ndarray, "n *shape"]) -> str:
    """SHA-256 of the fields of a block: little-endian float64, or pairs of them, in row-major order."""
    dtype = "<c16" if np.iscomplexobj(fields) else "<f8"
    return hashlib.sha256(np.ascontiguousarray(fields, dtype=dtype).tobytes()).hexdigest()
