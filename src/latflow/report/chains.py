"""Whether chains from different starts agree, as plain data: by R̂, where they are long enough for it."""

from dataclasses import dataclass

from latflow.report.names import SAMPLERS, SamplerStyle, order_of, sampler_style
from latflow.report.numbers import count, plain
from latflow.report.starts import apart, of_one_configuration
from latflow.results import Results
from latflow.stats.evidence import too_short


@dataclass(frozen=True)
class ChainTable:
    """Whether the chains of one sampler agree: columns with their R̂ and whether it is below the limit.

    Attributes:
        sampler: Its name.
        chains: How many.
        records: Of each.
        rows: Column, R̂, and whether it is below the limit.
        agree: None where chains are too short to say so, or nothing tells.
        least: Records that it takes.
        limit: Of R̂.
        defect: Largest distance of a link from its group; empty where there is none.
        apart: What chains that do not agree have failed to do.
        one_start: Whether all began in one configuration.
    """

    sampler: SamplerStyle
    chains: str
    records: str
    rows: list[tuple[str, str, bool]]
    agree: bool | None
    least: str
    limit: str
    defect: str
    apart: str = "its chains have not come together"
    one_start: bool = False

    @property
    def tone(self) -> str:
        """`good`, `bad` or `open`."""
        return "open" if self.agree and self.one_start else {True: "good", False: "bad", None: "open"}[self.agree]

    @property
    def words(self) -> str:
        """The outcome in words."""
        if not self.rows:
            return "are uninformative: no column in which they must agree varies"
        if self.agree is None:
            return f"are {too_short(self.records, self.least)}"
        agree = "agree, but all began in or near one configuration" if self.one_start else "agree"
        return agree if self.agree else "do not agree"


def chain_tables(results: Results) -> list[ChainTable]:
    """Every sampler of several chains: whether chains of all starts agree, column by column."""
    tables = []
    for sampler, entry in sorted(results.chains.items(), key=lambda item: order_of(item[0], SAMPLERS)):
        rows = [
            (
                name.replace("_", " "),
                "∞" if value is None else plain(value, 4),
                value is not None and value <= entry.limit,
            )
            for name, value in entry.r_hat.items()
        ]
        tables.append(
            ChainTable(
                sampler=sampler_style(sampler),
                chains=count(entry.chains),
                records=count(entry.records),
                rows=rows,
                agree=entry.agree,
                least=count(entry.least_records),
                limit=plain(entry.limit),
                defect="" if entry.defect is None else plain(entry.defect, 2),
                apart=apart(results, sampler),
                one_start=of_one_configuration(results, sampler),
            )
        )
    return tables
