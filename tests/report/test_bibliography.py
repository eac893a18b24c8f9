"""A report cites what its study used."""

import pytest

from latflow.report.bibliography import works_of


def cited(**study: object) -> str:
    return "\n".join(work.text for work in works_of(study, has_flow=False))


@pytest.mark.parametrize(
    ("integrator", "samplers", "expected"),
    [
        ("omf2", ["hmc"], True),
        ("omf4", ["hmc"], True),
        ("force-gradient", ["hmc"], True),
        ("leapfrog", ["hmc"], False),
        ("omf2", ["heatbath"], False),
    ],
)
def test_omelyan_is_cited_for_the_integrators_of_trajectories_that_ran(
    integrator: str, samplers: list[str], expected: bool
) -> None:
    text = cited(hmc={"integrator": integrator}, sampling={"samplers": samplers})
    assert ("151 (2003) 272" in text) is expected


@pytest.mark.parametrize(
    ("sweeps", "samplers", "expected"), [(1, ["heatbath"], True), (0, ["heatbath"], False), (4, ["hmc"], False)]
)
def test_overrelaxation_is_cited_where_there_is_some(sweeps: int, samplers: list[str], expected: bool) -> None:
    text = cited(heatbath={"overrelaxation": sweeps}, sampling={"samplers": samplers})
    assert ("36 (1987) 515" in text) is expected


def test_nothing_on_flows_is_cited_without_one() -> None:
    assert "Flow-based" in "\n".join(work.text for work in works_of({}, has_flow=True))
    assert "Flow-based" not in cited()
