"""Fields of a flow's ensemble: read from its blocks, or drawn again where only the ledger was kept.

Draw i depends on the model, the root key and i alone, so the fields of a block are those of the same block drawn again.
Every block keeps the SHA-256 of the fields it was made with. On the same platform the bits are the same, *exact*; on
another one roundings differ, and the fields are *close* if their action and log q are those of the ledger.
"""

import hashlib
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Inexact

from latflow.errors import DataError
from latflow.flows.continuous import PROMISED_LOG_PROB_ERROR
from latflow.flows.weighted import FlowSampler, draw_block
from latflow.store.blocks import Block
from latflow.store.ensemble import Ensemble
from latflow.store.records import ChecksumError
from latflow.study.build import build_action, stream
from latflow.study.context import RunContext
from latflow.study.stages.provenance import origin
from latflow.study.stages.training import load_flow

Level: TypeAlias = Literal["stored", "exact", "close"]
"""How far fields are known to be those that were drawn: read and verified, equal in every bit, equal in S and log q."""

DIGEST = "fields_sha256"
"""Attribute of a block without fields."""


class FieldSource:
    """The fields of an ensemble, block by block.

    Args:
        context: The run it belongs to.
        ensemble: Of any sampler; those of chains always hold their fields.
    """

    def __init__(self, context: RunContext, ensemble: Ensemble) -> None:
        self._context = context
        self._ensemble = ensemble
        self._sampler: FlowSampler | None = None

    @property
    def stored(self) -> bool:
        """Whether the blocks hold fields."""
        return "fields" not in self._ensemble.manifest["identity"]

    def read(self, index: int) -> tuple[Inexact[np.ndarray, "*leading_and_shape"], Level]:
        """The fields of one block, and how they were verified.

        Raises:
            DataError: If what is drawn is not what the ledger says, or the model is another one.
        """
        if self.stored:
            return self._ensemble.read(index, ("fields",)).arrays["fields"], "stored"
        block = self._ensemble.read(index, ("log_prob", "action"))
        size = self._ensemble.manifest["identity"]["block_size"]
        key = stream(self._context.config, "draw")
        drawn = draw_block(self._load(), key, first=block.attributes["first"], n=size)
        fields, log_prob, action = (np.asarray(column) for column in drawn)
        return fields, self._level(index, block, fields, log_prob, action)

    def _load(self) -> FlowSampler:
        if self._sampler is None:
            flow, header = load_flow(self._context)
            if header["sha256"] != self._ensemble.manifest["identity"]["model"]:
                value = f"model {header['sha256'][:12]}"
                allowed = f"model {self._ensemble.manifest['identity']['model'][:12]}"
                raise DataError(f"{self._ensemble.path}: drawn from another model", value=value, allowed=allowed)
            self._sampler = FlowSampler(flow, build_action(self._context.config))
        return self._sampler

    def _level(self, index: int, block: Block, fields: np.ndarray, log_prob: np.ndarray, action: np.ndarray) -> Level:
        if fields_digest(fields) == block.attributes[DIGEST]:
            return "exact"
        name = f"{self._ensemble.path}: block {index} drawn again"
        if self._ensemble.manifest["origin"] == origin():
            hint = "the model, the ledger or the program was changed"
            raise ChecksumError(name, value="differs from what was drawn", hint=hint)
        deviation = max(
            float(np.max(np.abs(log_prob - block.arrays["log_prob"]))),
            float(np.max(np.abs(action - block.arrays["action"]))),
        )
        if not deviation <= PROMISED_LOG_PROB_ERROR:
            value, allowed = (
                f"S or log q differ by {deviation:.1e}",
                f"{PROMISED_LOG_PROB_ERROR:.0e} on another platform",
            )
            raise DataError(name, value=value, allowed=allowed)
        return "close"


def fields_digest(fields: Float[np.ndarray, "n *shape"]) -> str:
    """SHA-256 of the fields of a block: little-endian float64 in row-major order."""
    return hashlib.sha256(np.ascontiguousarray(fields, dtype="<f8").tobytes()).hexdigest()
