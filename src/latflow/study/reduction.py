"""Averages of chains with smaller errors: Stein fields trained on some chains correct what was measured on the others.

Nothing of a correction is fitted to the records that it corrects: the velocities are trained on chains that are left
out of the corrected average, and the coefficients of every chain come from other chains. Errors are those of the
Γ method along the corrected columns. A corrected value is given only where the null tests of
`latflow.stats.null_tests` hold for the columns that it is made of.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from latflow._typing import PRNGKey
from latflow.stats.cross_fitting import FEWEST_GROUPS, CrossFit, cross_fit
from latflow.stats.estimates import FEWEST_INDEPENDENT, Estimate, TooShortError
from latflow.stats.null_tests import NullTests, null_tests
from latflow.stats.quantities import all_estimates
from latflow.study.free_memory import require_room
from latflow.theories.physics import Physics
from latflow.variates.base import AbstractSteinFields
from latflow.variates.training import SteinTraining, evaluate, is_trainable, train

TRAINED_ON = 4
"""Every so many chains one is for training, the others are corrected."""

PER_COEFFICIENT = 2
"""Independent records needed for every coefficient that is fitted: with one, errors are much too small."""

_PROBED = 2048
_PROBED_GAIN = 1.05
_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Reduced:
    """Averages of chains before and after their correction by Stein fields.

    Attributes:
        estimates: The best average of every quantity: the corrected one where its variance was reduced and its null
            tests held, component by component; the plain one of those in `withheld`.
        plain: Averages of all chains without any correction, of every quantity.
        variance_ratio: Square of the error in `plain` over that in `estimates`, both of the Γ method, by component; 1
            where the plain one stands.
        withheld: Why there is no corrected average, by quantity.
        columns: Held-out naive variance before over after the correction, by column and component.
        null_tests: What was found of the variates.
        bias_seen: How large a bias of a column the null tests would refuse in 95 of 100 cases, in plain errors, by
            component; infinite with fewer than four independent groups, zero where nothing is corrected.
        fields: The velocities, trained: to be used again or saved.
        trained_on: Chains that they were trained on, not part of `estimates`; 0 if they were given.
        corrected: Chains that `estimates` are made of.
        configurations: In these.
        training_seconds: Wall clock of training; 0 if there was none.
        evaluation_seconds: Wall clock of evaluating the velocities and fitting their coefficients.
    """

    estimates: dict[str, list[Estimate]]
    plain: dict[str, list[Estimate]]
    variance_ratio: dict[str, list[float]]
    withheld: dict[str, str]
    columns: dict[str, list[float]]
    null_tests: NullTests
    bias_seen: dict[str, list[float]]
    fields: AbstractSteinFields
    trained_on: int
    corrected: int
    configurations: int
    training_seconds: float
    evaluation_seconds: float

    def __repr__(self) -> str:
        best = max((ratio for ratios in self.variance_ratio.values() for ratio in ratios if ratio > 1), default=1.0)
        return f"Reduced({len(self.corrections)} of {len(self.plain)} averages, variances divided by up to {best:.3g})"

    @property
    def corrections(self) -> dict[str, list[Estimate]]:
        """Those of `estimates` that are corrected."""
        return {name: found for name, found in self.estimates.items() if name not in self.withheld}

    def facts(self) -> dict[str, Any]:
        """All but averages and velocities, as plain data."""
        names = ("trained_on", "corrected", "configurations", "training_seconds", "evaluation_seconds")
        tests = self.null_tests
        return {
            "stein_fields": self.fields.kind,
            "settings": dict(self.fields.settings),
            **{name: getattr(self, name) for name in names},
            "columns": self.columns,
            "withheld": self.withheld,
            "bias_seen": self.bias_seen,
            "null_tests": {
                "means": tests.means,
                "corrections": float(tests.corrections.min(initial=1.0)),
                "folds": float(tests.folds.min(initial=1.0)),
            },
        }


def reduce_chains(
    key: PRNGKey,
    physics: Physics,
    fields: AbstractSteinFields,
    x: Inexact[np.ndarray, "chains records *shape"],
    columns: Mapping[str, Float[np.ndarray, "chains records ..."]],
    *,
    training: SteinTraining | None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> Reduced:
    """Correct the measured columns of chains.

    Args:
        key: Of the training.
        physics: Of the theory.
        fields: Velocities, trained or not.
        x: Configurations.
        columns: What was measured of them, by name.
        training: How the velocities are trained on some of the chains; None to use them as they are on all.
        on_step: Called after every step of the training.

    Raises:
        TooShortError: If there are too few chains to train on some and cross-fit the others, or too few records.
        DataError: If a column cannot be analysed.
    """
    learns = training is not None and is_trainable(fields)
    learned = np.arange(len(x)) % TRAINED_ON == TRAINED_ON - 1 if learns else np.zeros(len(x), dtype=bool)
    if learns and not learned.any():
        learned[-1] = True
    _require_chains(len(x), int(learned.sum()))
    table = _Table.of(columns)
    begin = time.perf_counter()
    if training is not None and learns:
        shown = (_flat(x[learned]), _flat(table.values[learned]))
        weights = _weights(fields, physics, *shown, sizes=table.sizes())
        fields = train(
            key, fields, physics.action, *shown, weights=weights, training=training, on_step=on_step
        )  # fmt: skip
    middle = time.perf_counter()
    kept = x[~learned]
    require_room("fields", kept.shape[0] * kept.shape[1], 3 * _BYTES * fields.n_fields)
    f = evaluate(fields, physics.action, _flat(kept)).reshape(*kept.shape[:2], -1)
    fit = cross_fit(table.values[~learned], f)
    tests = null_tests(fit, f)
    found = _averages(physics, columns, table, fit, tests, ~learned)
    return Reduced(
        **found,
        columns=table.named(fit.variance_ratio),
        null_tests=tests,
        bias_seen=table.named(tests.seen / np.where(tests.plain_errors > 0, tests.plain_errors, 1.0)),
        fields=fields,
        trained_on=int(learned.sum()),
        corrected=len(kept),
        configurations=kept.shape[0] * kept.shape[1],
        training_seconds=middle - begin if learns else 0.0,
        evaluation_seconds=time.perf_counter() - middle,
    )


@dataclasses.dataclass(frozen=True)
class _Table:
    """Columns of any shapes as one matrix, and the way back."""

    values: Float[np.ndarray, "chains records numbers"]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, columns: Mapping[str, np.ndarray]) -> "_Table":
        parts = [np.asarray(c, dtype=float).reshape(*c.shape[:2], -1) for c in columns.values()]
        return cls(np.concatenate(parts, axis=2), {name: column.shape[2:] for name, column in columns.items()})

    def sizes(self) -> list[int]:
        """Numbers of every column."""
        return [math.prod(shape) for shape in self.shapes.values()]

    def split(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """The last axis by column, of the shape that it had."""
        parts = np.split(values, np.cumsum(self.sizes())[:-1], axis=-1)
        shapes = self.shapes.items()
        return {name: p.reshape((*p.shape[:-1], *shape)) for (name, shape), p in zip(shapes, parts, strict=True)}

    def named(self, values: np.ndarray) -> dict[str, list[float]]:
        """One number for every entry, by column."""
        return {name: [float(v) for v in part.ravel()] for name, part in self.split(values).items()}


def _require_chains(chains: int, trained: int) -> None:
    if chains - trained < FEWEST_GROUPS:
        beside = f": {FEWEST_GROUPS} beside those of the training" if trained else ""
        hint = "coefficients must come from other chains than those they correct"
        least = FEWEST_GROUPS + trained
        raise TooShortError("chains", value=str(chains), allowed=f"at least {least}{beside}", hint=hint)


def _weights(
    fields: AbstractSteinFields, physics: Physics, x: np.ndarray, y: np.ndarray, *, sizes: list[int]
) -> Float[np.ndarray, " numbers"]:
    """Weight of every number in the loss: every column counts once, those that no velocity touches not at all."""
    step = max(1, len(x) // _PROBED)
    few = (len(x[::step]) // 2) * 2
    f = evaluate(fields, physics.action, x[::step][:few]).reshape(2, few // 2, -1)
    touched = cross_fit(y[::step][:few].reshape(2, few // 2, -1), f).variance_ratio > _PROBED_GAIN
    return touched / np.repeat(sizes, sizes)


def _averages(
    physics: Physics,
    columns: Mapping[str, np.ndarray],
    table: _Table,
    fit: CrossFit,
    tests: NullTests,
    kept: np.ndarray,
) -> dict[str, Any]:
    """Plain and corrected averages, their ratios, and why others are withheld."""
    plain = all_estimates(physics.all_estimators, columns, physics.along(columns))
    same = {name: column[kept] for name, column in columns.items()}
    made = all_estimates(physics.all_estimators, table.split(fit.chosen), physics.along(same))
    helped, passed = table.split(fit.helps), table.split(tests.passed | ~fit.helps)
    estimates, ratios, withheld = dict(plain), {name: [1.0] * len(found) for name, found in plain.items()}, {}
    for name, found in made.items():
        used, pairs = _columns_of(physics, name), list(zip(plain[name], found, strict=True))
        ratio = [(before.error / after.error) ** 2 for before, after in pairs]
        if not all(np.all(passed[column]) for column in used):
            withheld[name] = "a null test of the variates failed"
        elif few := too_few(pairs, coefficients=fit.coefficients.shape[1]):
            withheld[name] = few
        elif not any(np.any(helped[column]) for column in used) or not any(r > 1 for r in ratio):
            withheld[name] = "the variates do not make its error smaller"
        else:
            estimates[name] = [after if r > 1 else before for (before, after), r in zip(pairs, ratio, strict=True)]
            ratios[name] = [r if r > 1 else 1.0 for r in ratio]
    return {"estimates": estimates, "plain": plain, "variance_ratio": ratios, "withheld": withheld}


def too_few(pairs: Sequence[tuple[Estimate, Estimate]], *, coefficients: int) -> str:
    """Why there are too few independent records for a correction; empty if there are enough.

    Args:
        pairs: Plain and corrected average of every component; the larger τ_int of the two counts.
        coefficients: How many are fitted.
    """
    taus = [each.tau_int for pair in pairs for each in pair if each.tau_int is not None and math.isfinite(each.tau_int)]
    independent = min(after.n for _, after in pairs) / max([1.0, *(2 * tau for tau in taus)])
    if independent < FEWEST_INDEPENDENT:
        return f"fewer than {FEWEST_INDEPENDENT} independent records"
    if independent < PER_COEFFICIENT * coefficients:
        return f"fewer than {PER_COEFFICIENT} independent records for each of {coefficients} coefficients"
    return ""


def _columns_of(physics: Physics, name: str) -> frozenset[str]:
    return frozenset(column for each in physics.all_estimators for column in each.columns([name]))


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, *x.shape[2:])
