"""Settings of samplers in one table."""

from latflow.report.numbers import ABSENT
from latflow.report.settings import settings_table
from latflow.results import Results

HMC = {"chains": 16, "n_steps": 8, "step_size": 0.42979967, "trajectory_length": 3.43839738, "jitter": 0.0}
HEATBATH = {"chains": 4, "overrelaxation": 0, "start": "hot"}


def test_settings_stand_below_their_samplers_with_zeros_shown_and_others_dashed() -> None:
    table = settings_table(Results(study="s", samplers={"heatbath": HEATBATH, "hmc": HMC}))
    assert table is not None
    assert [sampler.label for sampler in table.samplers] == ["HMC", "heat bath"]
    rows = dict(table.rows)
    assert rows["chains"] == ["16", "4"]
    assert rows["step size, tuned"] == ["0.4298", ABSENT]
    assert rows["trajectory length, steps × step size"] == ["3.438", ABSENT]
    assert rows["random shortening of trajectories"] == ["0", ABSENT]
    assert rows["sweeps of overrelaxation per update"] == [ABSENT, "0"]
    assert rows["starts"] == [ABSENT, "hot"]
    assert "width of proposals, tuned" not in rows


def test_without_settings_there_is_no_table() -> None:
    assert settings_table(Results(study="s")) is None
