"""The numbers of a report, read from a run that may be unfinished: what is absent is `None` or empty."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from latflow.archive.arrays import along_the_chain
from latflow.archive.directory import Run as Run
from latflow.archive.directory import load as load
from latflow.results import Results
from latflow.results.records import Reals
from latflow.stats.estimates import Estimate
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import CHAINS, GIVEN, SCRAMBLINGS
from latflow.study.foreign import replicas_of


def has_flow(run: Run) -> bool:
    """Whether the study samples a flow or the results hold figures of one; true if the study does not name samplers."""
    named = run.study.get("sampling", {}).get("samplers")
    return named is None or "flow" in named or run.results.flow is not None


@dataclass(frozen=True)
class Shown:
    """Configurations picked for showing.

    Attributes:
        planes: One two-dimensional array per configuration; a plane of it where the lattice has more dimensions.
        label: Which draws or chain records they are.
    """

    planes: list[np.ndarray]
    label: str


def configurations(
    run: Run, sampler: str, number: int, *, picture: Callable[[np.ndarray], np.ndarray] | None = None
) -> Shown | None:
    """The last configurations of an ensemble, `number` of them: distinct accepted draws, or distinct chains.

    Only the newest block is read, so memory does not grow with the run. None where only the ledger was kept, and of
    quasi-random draws, of which no chain is made.

    Args:
        run: The run.
        sampler: Whose.
        number: How many.
        picture: From one configuration to the array that is shown of it; by default a plane of a scalar field, in the
            normalisation of the study.
    """
    plane = picture or (lambda field: run.rescaling * _plane(field))
    ensemble = run.ensembles.get(sampler)
    if ensemble is None or ensemble.n_blocks == 0 or "fields" in ensemble.manifest["identity"]:
        return None
    if sampler in SCRAMBLINGS:
        return None
    last = ensemble.n_blocks - 1
    if not _is_chains(sampler, ensemble):
        arrays = ensemble.read(last, names=["fields", "accepted"]).arrays
        positions = np.flatnonzero(arrays["accepted"])
        chosen = positions[_spread(len(positions), number)]
        first = ensemble.n_records - len(arrays["accepted"])
        return Shown([plane(arrays["fields"][i]) for i in chosen], f"draws {_listed(first + chosen)}")
    fields = ensemble.read(last, names=["fields"]).arrays["fields"]
    records, chains = fields.shape[:2]
    # the ledger counts configurations of all chains
    first = (ensemble.n_records - ensemble.entries[last].n) // chains
    if chains >= number:
        columns = _spread(chains, number)
        label = f"record {first + records - 1} of chains {_listed(columns)}"
        return Shown([plane(fields[-1, c]) for c in columns], label)
    rows = _spread(records, number)
    return Shown([plane(fields[i, 0]) for i in rows], f"records {_listed(first + rows)} of chain 0")


def one_field(run: Run) -> np.ndarray | None:
    """A configuration of the run, whichever sampler made it; None where none is stored."""
    for sampler, ensemble in run.ensembles.items():
        if ensemble.n_blocks and "fields" not in ensemble.manifest["identity"]:
            fields = ensemble.read(0, names=["fields"]).arrays["fields"]
            return fields[(0,) * (2 if _is_chains(sampler, ensemble) else 1)]
    return None


def accepted(run: Run, sampler: str) -> np.ndarray | None:
    """Accept decisions of every step, thinned away or not, shape (chains, n)."""
    flags = _column(run.ensembles.get(sampler), "accepted")
    return None if flags is None else _chains_first(flags)


def log_weights(run: Run) -> np.ndarray | None:
    """Log w of every flow draw, accepted or not, shape (n,)."""
    return _column(run.ensembles.get("flow"), "log_weight")


def series(run: Run, sampler: str, observable: str) -> np.ndarray | None:
    """History of a measured primitive along the Markov chains, shape (chains, n).

    For the flow the chain repeats its standing draw at every rejection, as its errors require. Configurations of
    another code stand replica after replica, by their numbers: `borders`. Quasi-random draws have none.
    """
    if sampler in SCRAMBLINGS:
        return None
    values, ensemble = _measured(run, sampler, observable), run.ensembles.get(sampler)
    if values is None:
        return None
    if sampler in GIVEN:
        order = np.arange(len(values)) if ensemble is None else replicas_of(ensemble)[1]
        return _chains_first(values[order[order < len(values)]])
    if _is_chains(sampler, ensemble):
        return _chains_first(values)
    index = _column(ensemble, "index")
    return None if index is None else along_the_chain(values, index)


def borders(run: Run, sampler: str) -> tuple[int, ...]:
    """Places in the history of configurations of another code at which another replica begins; else empty."""
    ensemble = run.ensembles.get(sampler)
    if sampler not in GIVEN or ensemble is None or ensemble.n_blocks == 0:
        return ()
    lengths = [len(numbers) for numbers in replicas_of(ensemble)[0].numbers]
    return tuple(map(int, np.cumsum(lengths)[:-1]))


def draws(run: Run, observable: str) -> tuple[np.ndarray, np.ndarray] | None:
    """A measured primitive of every flow draw and its log w, each of shape (n,)."""
    values, weights = _measured(run, "flow", observable), log_weights(run)
    if values is None or weights is None:
        return None
    n = min(len(values), len(weights))
    return values[:n], weights[:n]


def flow_times(results: Results) -> np.ndarray:
    """Times of the gradient flow that was measured, from 0 on; empty without one."""
    return np.array(() if results.gradient_flow is None else results.gradient_flow.times, dtype=float)


def vector(values: Reals) -> np.ndarray:
    """A field of an estimate as an array of floats, NaN where it is null; empty if there is none."""
    return np.array([] if values is None else values, dtype=float).reshape(-1)


def curve(run: Run, observable: str, sampler: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions on its axis, values and errors of an array-valued estimate where both are finite; else empty."""
    entry, axis = run.results.estimate(observable, sampler), run.results.words(observable).axis
    value, error = (vector(None), vector(None)) if entry is None else (vector(entry.value), vector(entry.error))
    if error.size != value.size:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    kept = np.isfinite(value) & np.isfinite(error)
    positions = np.arange(value.size) if axis is None or axis.values is None else np.array(axis.values)
    return positions[kept], value[kept], error[kept]


def reference(run: Run, observable: str) -> Estimate | None:
    """Known value of a scalar observable and its error (0 for exact ones)."""
    return next((row.known for row in run.results.of(observable) if row.known is not None), None)


def reference_source(run: Run, observable: str) -> str:
    """The source of the known value of an observable, as the results give it; empty if they do not."""
    return next((row.reference_source for row in run.results.of(observable) if row.reference_source), "")


def _is_chains(sampler: str, ensemble: Ensemble | None) -> bool:
    """Whether the blocks of a sampler are those of chains; its method may be that of a package which is not there."""
    return sampler in CHAINS or (ensemble is not None and "records_per_block" in ensemble.manifest["identity"])


def _spread(available: int, number: int) -> np.ndarray:
    """Up to `number` distinct positions spread evenly over ``range(available)``, the last one included."""
    return np.unique(np.linspace(0, available - 1, min(number, available)).round().astype(int))


def _listed(numbers: np.ndarray) -> str:
    return ", ".join(str(number) for number in numbers)


def _plane(field: np.ndarray) -> np.ndarray:
    """Two dimensions of a configuration: a single column for one, the plane through the origin for more than two."""
    return field.reshape(-1, 1) if field.ndim == 1 else field[(..., *(0,) * (field.ndim - 2))]


def _chains_first(values: np.ndarray) -> np.ndarray:
    """Axes (records, chains) or (n,) turned into (chains, n)."""
    return values[None] if values.ndim == 1 else values.T


def _column(ensemble: Ensemble | None, name: str) -> np.ndarray | None:
    """A column over all blocks; None for an ensemble that is absent or empty."""
    return None if ensemble is None or ensemble.n_blocks == 0 else ensemble.column(name)


def _measured(run: Run, sampler: str, observable: str) -> np.ndarray | None:
    """A measured column; None where it was not measured."""
    ensemble = run.measurements.get(sampler)
    if ensemble is None or ensemble.n_blocks == 0 or observable not in ensemble.read(0).arrays:
        return None
    return ensemble.column(observable)
