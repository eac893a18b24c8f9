"""A run directory of the real format with invented contents: free fields, correlated chains, log-normal weights.

The weights are independent of the fields, so every sampler has the same true expectation values and the pulls of the
report are standard normal.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latflow.report import write_report
from latflow.results import (
    EstimateRecord,
    FlowFigures,
    Provenance,
    Results,
    SamplerCost,
    described,
    write,
)
from latflow.stats.estimates import Estimate
from latflow.stats.evidence import Check, Verdict
from latflow.stats.weights import independence_acceptance, kl, log_z, reweighting_ess
from latflow.store.ensemble import Ensemble
from latflow.study.wording import vocabulary
from latflow.theories.scalar.estimates import scalar_estimator

MASS = 0.66
SIGMA = 0.55
LOG_Z = 6.98

STUDY = """
name = "{name}"
seed = 1
[lattice]
shape = [{extent}, {extent}]
[action]
kind = "phi4"
mass_squared = -4.0
coupling = 6.975
[flow]
kind = "real_nvp"
layers = 8
network = "dense"
hidden = [128, 128]
[sampling]
configurations = {draws}
samplers = ["flow", "hmc", "local"]
"""


def free_fields(rng: np.random.Generator, n: int, extent: int) -> np.ndarray:
    """n free fields of mass `MASS`, weight exp(−Σ(∂φ)² − m²φ²)."""
    k = 4 * np.sin(np.pi * np.arange(extent) / extent) ** 2
    spectrum = 1 / (2 * (k[:, None] + k[None, :] + MASS**2))
    noise = np.fft.fft2(rng.normal(size=(n, extent, extent)))
    return np.fft.ifft2(np.sqrt(spectrum) * noise).real


def chain(rng: np.random.Generator, records: int, chains: int, extent: int, memory: float) -> np.ndarray:
    """Stationary Gaussian chains, (records, chains, extent, extent), correlation memory^t."""
    fields = free_fields(rng, records * chains, extent).reshape(records, chains, extent, extent)
    for i in range(1, records):
        fields[i] = memory * fields[i - 1] + math.sqrt(1 - memory**2) * fields[i]
    return fields


def measured(fields: np.ndarray) -> dict[str, np.ndarray]:
    """The primitive columns of fields (..., L, L)."""
    extent = fields.shape[-1]
    mean = fields.mean((-1, -2))
    half = range(extent // 2 + 1)

    def along(r: int) -> np.ndarray:
        return sum((fields * np.roll(fields, r, axis)).mean((-1, -2)) for axis in (-1, -2)) / 2

    def slices(t: int) -> np.ndarray:
        lines = [fields.sum(axis) for axis in (-1, -2)]
        return sum((line * np.roll(line, t, -1)).sum(-1) for line in lines) / (2 * extent**2)

    return {
        "magnetization": mean,
        "abs_magnetization": np.abs(mean),
        "magnetization_squared": mean**2,
        "magnetization_fourth": mean**4,
        "phi_squared": (fields**2).mean((-1, -2)),
        "neighbour_product": along(1),
        "action_density": (MASS**2 + 4) * (fields**2).mean((-1, -2)) - 4 * along(1),
        "two_point": np.stack([along(r) for r in half], -1),
        "correlator": np.stack([slices(t) for t in half], -1),
    }


def metropolis(rng: np.random.Generator, log_weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Independence Metropolis over proposals in order."""
    accepted, index, standing = np.zeros(len(log_weight), bool), np.zeros(len(log_weight), np.int64), 0
    uniform = np.log(rng.random(len(log_weight)))
    for i, proposed in enumerate(log_weight):
        accepted[i] = i == 0 or uniform[i] < proposed - log_weight[standing]
        standing = i if accepted[i] else standing
        index[i] = standing
    return accepted, index


def store(path: Path, sampler: str, blocks: list[tuple[int, dict[str, np.ndarray]]], kind: str) -> Ensemble:
    ensemble = Ensemble.create(path / sampler, {"kind": kind, "identity": {"sampler": sampler}})
    for n, arrays in blocks:
        ensemble.append(arrays, n=n, attributes={})
    return ensemble


def write_flow(
    path: Path, rng: np.random.Generator, *, extent: int, draws: int, n_blocks: int = 3
) -> dict[str, object]:
    fields = free_fields(rng, draws, extent)
    # a little heavier on the left than a Gaussian, as trained flows are
    log_weight = LOG_Z - SIGMA**2 / 2 + SIGMA * rng.normal(size=draws) - 0.05 * rng.exponential(size=draws) ** 2
    accepted, index = metropolis(rng, log_weight)
    columns = measured(fields)
    action = columns["action_density"] * extent**2
    arrays = {
        "fields": fields,
        "log_prob": -action - log_weight,
        "action": action,
        "log_weight": log_weight,
        "accepted": accepted,
        "index": index,
    }
    cuts = np.array_split(np.arange(draws), n_blocks)
    store(path / "ensembles", "flow", [(len(c), {k: v[c] for k, v in arrays.items()}) for c in cuts], "ensemble")
    store(path / "measurements", "flow", [(len(c), {k: v[c] for k, v in columns.items()}) for c in cuts], "measurement")
    return {"columns": columns, "log_weight": log_weight, "index": index, "accepted": accepted}


def write_chains(
    path: Path, sampler: str, rng: np.random.Generator, *, extent: int, records: int, chains: int, acceptance: float
) -> dict[str, np.ndarray]:
    memory, thin = {"hmc": (0.5, 2), "local": (0.8, 1)}[sampler]
    fields = chain(rng, records, chains, extent, memory)
    columns = measured(fields)
    taken = rng.random((records * thin, chains)) < acceptance if sampler == "hmc" else np.ones((records, chains), bool)
    transitions = {
        "accepted": taken,
        "acceptance": np.full(taken.shape, acceptance),
        "log_ratio": np.zeros(taken.shape),
    }
    ensembles, measurements = [], []
    for c in np.array_split(np.arange(records), 2):
        steps = slice(c[0] * thin, (c[-1] + 1) * thin)
        ensembles.append((len(c) * chains, {"fields": fields[c], **{k: v[steps] for k, v in transitions.items()}}))
        measurements.append((len(c) * chains, {k: v[c] for k, v in columns.items()}))
    store(path / "ensembles", sampler, ensembles, "ensemble")
    store(path / "measurements", sampler, measurements, "measurement")
    return {k: np.moveaxis(v, 0, 1) for k, v in columns.items()}


def records(sampler: str, estimates: dict[str, list[Estimate]], known: dict[str, tuple[float, float]]) -> list:
    vectors = {"two_point", "correlator", "effective_mass"}

    def field(found: list[Estimate], name: str, key: str) -> object:
        values = tuple(getattr(e, key) for e in found)
        return values if name in vectors else values[0]

    return [
        EstimateRecord(
            observable=name,
            sampler=sampler,
            **{key: field(found, name, key) for key in ("value", "error", "tau_int", "tau_int_error")},
            n=found[0].n,
            reference=known.get(name, (None, None))[0],
            reference_error=known.get(name, (None, None))[1],
            reference_source="invented" if name in known else None,
        )
        for name, found in estimates.items()
    ]


def write_training(path: Path, rng: np.random.Generator, n: int = 60) -> None:
    lines = []
    for i in range(n):
        step = 100 * (i + 1)
        divergence = 9 * math.exp(-step / 700) + SIGMA**2 / 2 * (1 + 3 * math.exp(-step / 2000))
        divergence *= 1 + 0.05 * rng.normal()
        sigma = math.sqrt(2 * divergence)
        record = {
            "step": step,
            "seconds": 2.0 + 0.021 * step,
            "loss": divergence - LOG_Z,
            "kl": divergence,
            "reweighting_ess": math.exp(-(sigma**2)),
            "acceptance": math.erfc(sigma / 2),
            "gradient_norm": 20 * math.exp(-step / 900) + 1 + 0.3 * rng.random(),
            "learning_rate": 1e-3 * (0.5 + 0.5 * math.cos(math.pi * i / n)),
            "steps_per_second": 47.0,
        }
        lines.append(json.dumps(record))
    (path / "model").mkdir(parents=True)
    (path / "model" / "train.jsonl").write_text("\n".join(lines) + "\n")
    (path / "model" / "model.json").write_text(json.dumps({"schema": 1, "sha256": "ab" * 32}))


def known_values(chains: dict[str, list[Estimate]]) -> dict[str, tuple[float, float]]:
    """Invented references: near the truth, one of them exact."""
    chi, phi, mass = (chains[name][0] for name in ("susceptibility", "phi_squared", "pole_mass_times_length"))
    return {
        "susceptibility": (chi.value + 0.8 * chi.error, 0.5 * chi.error),
        "phi_squared": (phi.value - 1.3 * phi.error, 0.0),
        "pole_mass_times_length": (mass.value, 0.03),
    }


def build_run(
    path: Path,
    *,
    name: str = "synthetic",
    extent: int = 6,
    draws: int = 6000,
    records: int = 400,
    chains: int = 16,
    samplers: tuple[str, ...] = ("flow", "hmc", "local"),
    references: bool = True,
    analysed: bool = True,
) -> Path:
    """Write a run directory as `latflow run` would leave it, whole or in part."""
    rng = np.random.default_rng(7)
    path.mkdir(parents=True, exist_ok=True)
    (path / "study.toml").write_text(STUDY.format(name=name, extent=extent, draws=draws))
    estimator, found, flow = scalar_estimator((extent, extent)), [], None
    if "flow" in samplers:
        write_training(path, rng)
        drawn = write_flow(path, rng, extent=extent, draws=draws)
        columns, weights, index = drawn["columns"], drawn["log_weight"], drawn["index"]
        found.append(("flow", estimator.estimates({k: v[index][None] for k, v in columns.items()}, None)))
        found.append(("reweighted", estimator.estimates(columns, weights)))
        flow = flow_figures(weights)
    for sampler in ("hmc", "local"):
        if sampler in samplers:
            acceptance = 0.69 if sampler == "hmc" else 0.5
            columns = write_chains(
                path, sampler, rng, extent=extent, records=records, chains=chains, acceptance=acceptance
            )
            found.append((sampler, estimator.estimates(columns, None)))
    if analysed:
        known = known_values(found[-1][1]) if references else {}
        write(results_of(name, found, known, flow, extent), path / "results.json")
    return path


def flow_figures(weights: np.ndarray) -> FlowFigures:
    z = log_z(weights)
    return FlowFigures(
        acceptance=independence_acceptance(weights),
        reweighting_ess=reweighting_ess(weights),
        n=len(weights),
        log_z=z.value,
        log_z_error=z.error,
        kl=kl(weights).value,
        kl_error=kl(weights).error,
        expected_acceptance=0.6543,
        pareto_k=0.123,
        training_seconds=128.4,
        training_steps=6000,
        stopped_by="acceptance",
    )


def results_of(name: str, found: list, known: dict, flow: FlowFigures | None, extent: int) -> Results:
    estimates = [row for sampler, estimate in found for row in records(sampler, estimate, known)]
    if flow is not None:
        z = {"observable": "log_z", "sampler": "flow", "value": flow.log_z, "error": flow.log_z_error, "n": flow.n}
        estimates.append(EstimateRecord(**z, reference=LOG_Z, reference_error=0.0019))
    lengths = {row.observable: len(row.value) if row.is_array else None for row in estimates}
    cost = SamplerCost(seconds=3.2, configurations=6000, seconds_per_independent=0.0011)
    return Results(
        study=name,
        observables=described(lengths, vocabulary(), shape=(extent, extent), flow_times=()),
        estimates=tuple(estimates),
        flow=flow,
        cost={sampler: cost for sampler, _ in found},
        verdict=Verdict(
            "exact",
            ("log Z from flow and target draws agree", "every sector is visited with its symmetric weight"),
            evidence=(
                Check("log Z forward − reverse", 0.002, 0.004, "within 5σ of 0", passed=True),
                Check("Pareto k̂", 0.12, None, "≤ 0.7", passed=True),
                Check("R̂ across starts", 1.0008, None, "≤ 1.01", passed=True),
            ),
        ),
        provenance=Provenance(
            inputs={"config": "c0ffee" * 10 + "abcd", "model": "ab" * 32, "evidence": None},
            seed=1,
            versions={"latflow": "0.1.0", "jax": "0.10.2", "numpy": "2.3.4"},
            device="cpu",
            precision="float64",
        ),
    )


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """`build_run`, for tests that need a run of their own."""
    return build_run


@pytest.fixture(scope="session")
def full_report(full_run: Path) -> Path:
    """The report of the finished run, written once."""
    return write_report(full_run)


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; read only."""
    return build_run(tmp_path_factory.mktemp("runs") / "full")
