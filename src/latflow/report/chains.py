"""Whether chains from different starts agree, as plain data: by R̂ where they are long enough for it to say so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latflow.report.names import SAMPLERS, SamplerStyle, order_of, sampler_style
from latflow.report.numbers import count, is_number, plain


@dataclass(frozen=True)
class ChainTable:
    """Whether the chains of one sampler agree: columns with their R̂ and whether it is below the limit.

    Attributes:
        sampler: Whose.
        chains: How many.
        records: Of each.
        rows: Column, R̂, and whether it is below the limit.
        agree: None where chains are too short to say so.
        least: Records that it takes.
        limit: Of R̂.
        defect: Largest distance of a link from its group; empty where there is none.
    """

    sampler: SamplerStyle
    chains: str
    records: str
    rows: list[tuple[str, str, bool]]
    agree: bool | None
    least: str
    limit: str
    defect: str

    @property
    def tone(self) -> str:
        """`good`, `bad` or `open`."""
        return {True: "good", False: "bad", None: "open"}[self.agree]

    @property
    def words(self) -> str:
        """What the chains do."""
        if self.agree is None:
            return f"are too short to say whether they agree: {self.records} records each, at least {self.least} wanted"
        return "agree" if self.agree else "do not agree"


def chain_tables(results: Mapping[str, Any]) -> list[ChainTable]:
    """Every sampler of several chains: whether chains of all starts agree, column by column."""
    tables = []
    for sampler, entry in sorted((results.get("chains") or {}).items(), key=lambda item: order_of(item[0], SAMPLERS)):
        limit = entry.get("limit")
        rows: list[tuple[str, str, bool]] = [
            (
                name.replace("_", " "),
                plain(value, 4) if is_number(value) else "∞",
                bool(is_number(value) and value <= limit),
            )
            for name, value in (entry.get("r_hat") or {}).items()
        ]
        tables.append(
            ChainTable(
                sampler=sampler_style(sampler),
                chains=count(entry.get("chains")),
                records=count(entry.get("records")),
                rows=rows,
                agree=entry.get("agree"),
                least=count(entry.get("least_records")),
                limit=plain(limit),
                defect="" if entry.get("defect") is None else plain(entry["defect"], 2),
            )
        )
    return tables
