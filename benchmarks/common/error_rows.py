"""What an error costs, as rows of a file: medians and ranges over seeds, break-even times, pulls of ways.

A row is one way at one model with one seed. Seconds are for a relative error of `GOAL`; they scale with the inverse
square of the error.
"""

import json
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

NAMES = {"susceptibility": "χ₂", "pole_mass": "m_p", "ising_energy": "E", "phi_squared": "⟨φ²⟩"}
GOAL = 1e-3
REFERENCE, MAIN = "HMC", "susceptibility"


class Row(NamedTuple):
    """One way, one seed.

    Attributes:
        model: Name in the zoo.
        extent: L.
        way: What it is called in tables.
        seed: Number of the seed.
        seconds: CPU seconds of the run.
        once: Seconds that come once, as training.
        found: Value and error by observable; a quantity that was not found is not there.
    """

    model: str
    extent: int
    way: str
    seed: int
    seconds: float
    once: float
    found: dict[str, tuple[float, float]]

    def cost(self, name: str) -> float:
        """CPU seconds for the goal; nan where there is no such average."""
        value, error = self.found.get(name, (math.nan, math.nan))
        return self.seconds * (error / value / GOAL) ** 2

    def line(self) -> str:
        """As JSON on one line."""
        return json.dumps(self._asdict())


def read(path: Path) -> list[Row]:
    """The rows of a file, one to a line."""
    return [Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


class Way(NamedTuple):
    """All seeds of one way at one model."""

    rows: Sequence[Row]

    def spread(self, name: str) -> tuple[float, float, float]:
        """Median, least and largest seconds for the goal; nan where a seed has no average."""
        costs = sorted(row.cost(name) for row in self.rows)
        return statistics.median(costs), costs[0], costs[-1]

    @property
    def once(self) -> float:
        """Seconds that come once."""
        return self.rows[0].once

    def value(self, name: str) -> tuple[float, float]:
        """Mean of the seeds and its error."""
        found = [row.found[name] for row in self.rows if name in row.found]
        if not found:
            return math.nan, math.nan
        return statistics.fmean(v for v, _ in found), math.sqrt(sum(e**2 for _, e in found)) / len(found)


def ways_of(rows: Iterable[Row]) -> dict[str, dict[str, Way]]:
    """Ways by model and name, in the order of the rows."""
    rows = list(rows)
    return {
        model: {
            way: Way([row for row in rows if (row.model, row.way) == (model, way)])
            for way in dict.fromkeys(row.way for row in rows if row.model == model)
        }
        for model in dict.fromkeys(row.model for row in rows)
    }


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Lines of the table of seconds for the goal: median (range) over seeds, ÷ how much less than HMC."""
    columns = " | ".join(f"{text}, s" for text in NAMES.values())
    yield f"| model | way | {columns} |"
    yield "|---|---|" + "---|" * len(NAMES)
    for model, ways in ways_of(rows).items():
        for label, way in ways.items():
            yield f"| {model} | {label} | {' | '.join(_cells(way, ways[REFERENCE]))} |"


def _cells(way: Way, reference: Way) -> Iterator[str]:
    for name in NAMES:
        middle, least, most = way.spread(name)
        gain = reference.spread(name)[0] / middle
        yield "–" if math.isnan(middle) else f"{middle:.3g} ({least:.3g}–{most:.3g}), ÷ {gain:.3g}"


def once_table(rows: Iterable[Row]) -> Iterator[str]:
    """Lines of a table of χ₂ to 10⁻⁴, without and with what comes once, and of when it has paid off.

    It has when the best chains without training, had they run as long, would have the same error: that time does not
    depend on the error. Chains that are ahead anyway are never caught up with.
    """
    yield "| model | way | run, s | χ₂ to 10⁻⁴, s | once, s | both, s | ahead of all chains after, s |"
    yield "|---|---|---|---|---|---|---|"
    for model, ways in ways_of(rows).items():
        best = min(way.spread(MAIN)[0] for way in ways.values() if not way.once)
        for label, way in ways.items():
            middle = way.spread(MAIN)[0]
            run = statistics.median(row.seconds for row in way.rows)
            after = "–" if not way.once else "never"
            after = f"{way.once / (1 - middle / best):.0f}" if way.once and middle < best else after
            once = f"{way.once:.0f}" if way.once else "–"
            cells = f"{run:.1f} | {100 * middle:.3g} | {once} | {100 * middle + way.once:.3g} | {after}"
            yield f"| {model} | {label} | {cells} |"


def pulls(rows: Iterable[Row]) -> Iterator[str]:
    """The most accurate averages of all seeds, how far others are from them in combined errors, and a summary."""
    every: list[float] = []
    yield "| model | observable | most accurate | others, in combined errors |"
    yield "|---|---|---|---|"
    for model, ways in ways_of(rows).items():
        for name, symbol in NAMES.items():
            means = {label: way.value(name) for label, way in ways.items()}
            means = {label: mean for label, mean in means.items() if not math.isnan(mean[1])}
            best = min(means, key=lambda label, known=means: known[label][1])
            value, error = means.pop(best)
            found = {label: (v - value) / math.hypot(e, error) for label, (v, e) in means.items()}
            every += found.values()
            told = "; ".join(f"{label} {pull:+.1f}" for label, pull in found.items())
            yield f"| {model} | {symbol} | {best}: {value:.6g} ± {error:.2g} | {told} |"
    rms, most = math.sqrt(statistics.fmean(pull**2 for pull in every)), max(map(abs, every))
    yield f"\n{len(every)} differences, of which many share an average: rms {rms:.2f}, the largest {most:.1f}"
