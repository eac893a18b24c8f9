r"""Differences of free energy between two runs on the same lattice, in every way that their ensembles allow.

With F = −ln Z, $F_B-F_A$ comes from draws of A reweighted to B, $-\ln\langle e^{-(S_B-S_A)}\rangle_A$, from draws of B
reweighted to A, and from two log Z, which a flow gives in either direction. The first two need overlap, which the tail
k̂ of the ratios measures. Where two ways disagree, one of the ensembles misses part of its theory. Z is that of the
field of each study: where the two are different multiples of the house field, F_B − F_A holds V ln of their ratio.
"""

import dataclasses
import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow.actions.base import AbstractAction
from latflow.errors import MissingInputError, UsageError
from latflow.results import Normalisation, Results
from latflow.stats.estimates import NOT_JUDGED, RELIABLE, UNDERESTIMATED, Estimate, State
from latflow.stats.free_energy import chain_log_z_difference, weighted_log_z_difference
from latflow.stats.reliability import TAIL_LIMIT
from latflow.stats.weights import pareto_k
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.study.build import build_action
from latflow.study.config import load_study
from latflow.study.config.methods import FLOW, METHODS
from latflow.study.context import RunContext, Silent
from latflow.study.stages.measuring import require_of_study
from latflow.study.stages.redraw import FieldSource
from latflow.study.theories import known_values, normalisation
from latflow.study.wording import read_results

BELIEVED = {"reweighted": ("exact",), "reverse": ("exact", "collapsed")}
"""Verdicts with which a log Z from draws of the flow, or from draws of the target, can be believed."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """F_B − F_A one way.

    Args:
        way: Which draws, or which two log Z.
        value: F_B − F_A.
        error: One standard deviation.
        per_site: F_B − F_A per site.
        per_site_error: Its error.
        n: Draws; None for closed forms.
        tail: Pareto k̂ of the ratios that were averaged; None where nothing was reweighted.
        doubt: Why it should not be believed; empty if nothing speaks against it.
    """

    way: str
    value: float
    error: float
    per_site: float
    per_site_error: float
    n: int | None
    tail: float | None
    doubt: str

    @property
    def state(self) -> State:
        """Of the value: its error is only a lower bound where something speaks against it."""
        return UNDERESTIMATED if self.doubt else RELIABLE


@dataclasses.dataclass(frozen=True)
class _Run:
    name: str
    context: RunContext
    action: AbstractAction
    results: Results | None


def free_energy_differences(first: Path, second: Path) -> list[Difference]:
    """Every estimate of F_B − F_A that two run directories allow; the exact value first where it is known.

    Errors of two log Z are added as of independent numbers.

    Raises:
        MissingInputError: If a directory is no run or holds nothing to compare.
        CannotCreateError: If the study of a run was changed after its ensembles were made.
        UsageError: If the lattices differ, or the fields on them.
    """
    a, b = _open(first, "A"), _open(second, "B")
    shapes = [tuple(run.context.config.lattice.shape) for run in (a, b)]
    if shapes[0] != shapes[1]:
        words = " and ".join(str(list(shape)) for shape in shapes)
        raise UsageError(str(second), value=f"lattices {words}", allowed="two runs on one lattice")
    fields = [run.context.config.action.space_words() for run in (a, b)]
    if fields[0] != fields[1]:
        raise UsageError(str(second), value=f"{fields[0]} and {fields[1]}", allowed="two runs with the same fields")
    volume = math.prod(shapes[0])
    found = [*_closed_form(a, b, volume), *_reweighted(a, b, volume), *_reweighted(b, a, volume)]
    found += [row for sampler in BELIEVED for row in _two_log_z(a, b, sampler, volume)]
    if not found:
        raise MissingInputError(str(first), value="no draws to compare", hint="run `latflow run` on both studies first")
    return found


def measures(first: Path, second: Path) -> tuple[Normalisation, Normalisation]:
    """The field and the measure that F_A and F_B refer to."""
    a, b = (normalisation(load_study(path / "study.toml")) for path in (first, second))
    return a, b


def _open(path: Path, name: str) -> _Run:
    if not (path / "study.toml").is_file():
        raise MissingInputError(str(path), value="no run", hint="name a directory that `run` wrote")
    config = load_study(path / "study.toml")
    stored = path / "results.json"
    results = read_results(stored) if stored.is_file() else None
    return _Run(name, RunContext(config, path, Silent(), Interrupts()), build_action(config), results)


def _closed_form(a: _Run, b: _Run, volume: int) -> list[Difference]:
    of_a, of_b = (known_values(run.context.config).get("log_z") for run in (a, b))
    if of_a is None or of_b is None:
        return []
    return [_row(f"reference, {of_a.source}", of_b.value - of_a.value, math.hypot(of_a.error, of_b.error), volume)]


def _reweighted(source: _Run, target: _Run, volume: int) -> list[Difference]:
    """From the draws of one run; the sign is that of F_B − F_A whichever run that is."""
    sign = 1 if source.name == "A" else -1
    shift = normalisation(target.context.config).log_z_shift - normalisation(source.context.config).log_z_shift
    rows = []
    for sampler, method in METHODS.items():
        path = source.context.path("ensembles", sampler)
        if method.stage in ("files", "scramblings") or not (path / "manifest.json").exists():
            continue
        require_of_study(source.context, sampler)
        ensemble = Ensemble.open(path, writable=False)
        delta = _action_differences(source, target, ensemble)
        if method.stage == "draws":
            log_weights = ensemble.column("log_weight")
            estimate, ratios = weighted_log_z_difference(delta, log_weights), log_weights - delta
            doubt = _verdict_doubt(source, method.reweighted) if sampler == FLOW else ""
        else:
            estimate, ratios = chain_log_z_difference(delta.T), -delta.reshape(-1)
            doubt = ""
        tail = pareto_k(ratios)
        doubt = doubt if tail <= TAIL_LIMIT else f"too little overlap: k̂ > {TAIL_LIMIT:g}"
        way = f"{source.name} → {target.name}, {sampler} draws of {source.name}"
        value = sign * (estimate.value + shift)
        rows.append(_row(way, value, estimate.error, volume, n=delta.size, tail=tail, doubt=doubt))
    return rows


def _two_log_z(a: _Run, b: _Run, sampler: str, volume: int) -> list[Difference]:
    of_a, of_b = _log_z(a, sampler), _log_z(b, sampler)
    if of_a is None or of_b is None:
        return []
    way = f"two log Z, {'of the flows' if sampler == 'reweighted' else 'from draws of the targets'}"
    value, error = of_b.value - of_a.value, math.hypot(of_a.error, of_b.error)
    unjudged = (f"log Z of {run.name}: {NOT_JUDGED}" for run, z in ((a, of_a), (b, of_b)) if z.state is None)
    doubts = filter(None, (*(_verdict_doubt(run, sampler) for run in (a, b)), *unjudged))
    return [_row(way, value, error, volume, n=of_a.n + of_b.n, doubt="; ".join(doubts))]


def _log_z(run: _Run, sampler: str) -> Estimate | None:
    row = None if run.results is None else run.results.estimate("log_z", sampler)
    if row is None or row.number is None or row.error is None:
        return None
    return Estimate(row.number.value, row.number.error, n=row.n or 0, state=row.number.state)


def _verdict_doubt(run: _Run, sampler: str) -> str:
    status = "no verdict" if run.results is None else run.results.verdict.status
    return "" if status in BELIEVED[sampler] else f"flow of {run.name}: {status}"


def _row(
    way: str,
    log_z_difference: float,
    error: float,
    volume: int,
    *,
    n: int | None = None,
    tail: float | None = None,
    doubt: str = "",
) -> Difference:
    value = 0.0 - log_z_difference  # so that nothing reads −0
    return Difference(way, value, error, value / volume, error / volume, n, tail, doubt)


def _action_differences(source: _Run, target: _Run, ensemble: Ensemble) -> Float[np.ndarray, "..."]:
    """S_target − S_source at every draw of the source: axes (draws,) or (records, chains)."""
    fields = FieldSource(source.context, ensemble)
    shape = source.action.space.shape
    parts = []
    for block in range(ensemble.n_blocks):
        x, _ = fields.read(block)
        values = _difference(target.action, source.action, jnp.asarray(x.reshape(-1, *shape)))
        parts.append(np.asarray(values).reshape(x.shape[: x.ndim - len(shape)]))
    return np.concatenate(parts)


@eqx.filter_jit
def _difference(to: AbstractAction, of: AbstractAction, fields: Float[Array, "n *shape"]) -> Float[Array, " n"]:
    return jax.vmap(to)(fields) - jax.vmap(of)(fields)
