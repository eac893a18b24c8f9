"""`results.json` as one type, for its writer and every reader.

`Results` is the schema, version 2; `read` also converts files of version 1. Nothing here imports JAX.
"""

from latflow.results.error_costs import error_costs
from latflow.results.files import SCHEMA_FILE, read, schema_text, write
from latflow.results.records import (
    Axis,
    ChainAgreement,
    ErrorCost,
    EstimateRecord,
    FlowFigures,
    GradientFlowRecord,
    Normalisation,
    Observable,
    Provenance,
    ReliabilityRecord,
    Results,
    SamplerCost,
    StartFigures,
    Theory,
)
from latflow.results.rescaling import rescaled
from latflow.results.vocabulary import Vocabulary, described

__all__ = [
    "SCHEMA_FILE",
    "Axis",
    "ChainAgreement",
    "ErrorCost",
    "EstimateRecord",
    "FlowFigures",
    "GradientFlowRecord",
    "Normalisation",
    "Observable",
    "Provenance",
    "ReliabilityRecord",
    "Results",
    "SamplerCost",
    "StartFigures",
    "Theory",
    "Vocabulary",
    "described",
    "error_costs",
    "read",
    "rescaled",
    "schema_text",
    "write",
]
