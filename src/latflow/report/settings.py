"""Settings of the samplers as plain data: settings down, samplers across."""

from dataclasses import dataclass

from latflow.report.names import SAMPLERS, SamplerStyle, order_of, sampler_style
from latflow.report.numbers import ABSENT, count, is_number, plain
from latflow.results import Results

SETTINGS = {
    "folder": "folder of files",
    "configurations": "configurations",
    "replicas": "replicas",
    "numbers": "numbers of the configurations",
    "step": "step between numbers",
    "gaps": "numbers left out",
    "forced": "configurations read in spite of failed checks",
    "chains": "chains",
    "start": "starts",
    "warmup": "warm-up, updates discarded per chain",
    "thin": "updates per configuration kept",
    "acceptance": "acceptance, mean of all blocks",
    "target_acceptance": "acceptance tuned to",
    "integrator": "integrator",
    "n_steps": "steps per trajectory",
    "step_size": "step size, tuned",
    "trajectory_length": "trajectory length, steps × step size",
    "jitter": "random shortening of trajectories",
    "inner_steps": "inner steps",
    "overrelaxation": "sweeps of overrelaxation per update",
    "width": "width of proposals, tuned",
    "sweeps": "local sweeps per update",
    "clusters": "clusters per update",
    "points": "sequence of points",
    "scramblings": "scramblings",
    "points_per_scrambling": "points of each scrambling",
    "reweighting_ess": "reweighting ESS per draw",
}
"""Words by key of the settings, in the order of the rows."""


@dataclass(frozen=True)
class SettingsTable:
    """One column per sampler; each row its words and one cell per sampler, a dash where it has no such setting."""

    samplers: list[SamplerStyle]
    rows: list[tuple[str, list[str]]]


def settings_table(results: Results) -> SettingsTable | None:
    """The settings of every sampler; None if the results hold none."""
    found = results.samplers
    names = sorted(found, key=lambda name: order_of(name, SAMPLERS))
    rows = [
        (words, [_cell(found[name].get(key)) for name in names])
        for key, words in SETTINGS.items()
        if any(found[name].get(key) is not None for name in names)
    ]
    return SettingsTable([sampler_style(name) for name in names], rows) if rows else None


def _cell(value: object) -> str:
    if isinstance(value, int):
        return count(value)
    return plain(value) if is_number(value) else str(value or ABSENT)
