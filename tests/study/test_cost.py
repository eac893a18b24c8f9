"""What a configuration costs: compilation is left out where it can be, and the slowest observable is paid for."""

from typing import Any

import pytest

from latflow.results import EstimateRecord
from latflow.study.stages.cost import costs
from latflow.study.stages.seconds import measuring_seconds

ROWS = [
    EstimateRecord(observable="plaquette", sampler="hmc", value=0.7, tau_int=0.8),
    EstimateRecord(observable="charge", sampler="hmc", value=1.2, tau_int=2.5),
    EstimateRecord(observable="loop", sampler="hmc", value=None, tau_int=9.0),
    EstimateRecord(
        observable="potential",
        sampler="hmc",
        value=(1.0, 2.0),
        error=(0.1, 0.1),
        tau_int=(7.0, 7.0),
        tau_int_error=(0.1, 0.1),
    ),
    EstimateRecord(observable="plaquette", sampler="heatbath", value=0.7, tau_int=4.0),
    EstimateRecord(observable="log_z", sampler="flow", value=7.0),
]


def sampled(sampler: str, *seconds: float) -> list[dict[str, Any]]:
    return [{"stage": "sample", "sampler": sampler, "block": b, "n": 10, "seconds": s} for b, s in enumerate(seconds)]


def test_the_first_block_compiles_and_does_not_count() -> None:
    (found,) = costs([{"stage": "analyse", "seconds": 1.0}, *sampled("hmc", 40.0, 2.0)], ROWS).values()
    assert found.seconds_per_configuration == 0.2
    assert found.compilation_included is False
    assert (found.seconds, found.configurations) == (42.0, 20)


def test_the_median_of_the_other_blocks_counts() -> None:
    assert costs(sampled("hmc", 40.0, 2.0, 90.0, 3.0), ROWS)["hmc"].seconds_per_configuration == 0.3


def test_of_one_block_compilation_is_included_and_that_is_said() -> None:
    found = costs(sampled("hmc", 40.0), ROWS)["hmc"]
    assert (found.seconds_per_configuration, found.compilation_included) == (4.0, True)


def test_the_largest_tau_of_a_scalar_that_exists_is_paid_for_and_named() -> None:
    found = costs([*sampled("hmc", 40.0, 2.0), *sampled("heatbath", 5.0, 1.0)], ROWS)
    assert (found["hmc"].tau_int, found["hmc"].tau_int_of) == (2.5, "charge")
    assert found["hmc"].seconds_per_independent == 0.2 * 2 * 2.5
    assert found["heatbath"].tau_int_of == "plaquette"


def test_without_any_tau_nothing_is_said_of_independent_configurations() -> None:
    found = costs(sampled("flow", 4.0, 2.0), ROWS)["flow"]
    assert found.tau_int is found.tau_int_of is found.seconds_per_independent is None


def test_draws_of_an_earlier_model_cost_nothing_here() -> None:
    """A training that goes on begins the draws of its flow anew; chains go on."""
    metrics = [*sampled("flow", 9.0, 9.0, 9.0), *sampled("hmc", 2.0)]
    metrics += [{"stage": "superseded", "step": 60, "samplers": ["flow"]}, *sampled("flow", 1.0)]
    found = costs(metrics, ROWS)
    assert (found["flow"].seconds, found["flow"].configurations) == (1.0, 10)
    assert found["hmc"].seconds == 2.0


def measured(*seconds: float, kept: bool = False) -> list[dict[str, Any]]:
    return [
        {"stage": "measure", "sampler": "hmc", "block": b, "kept": kept, "seconds": s} for b, s in enumerate(seconds)
    ]


def test_seconds_of_measuring_are_those_of_what_was_measured_last_and_of_what_it_kept() -> None:
    sampling = sampled("hmc", 40.0, 2.0, 2.0)
    once = measuring_seconds([*sampling, *measured(9.0, 1.0, 3.0)], "hmc")
    assert once == {"measuring_seconds": 13.0, "measuring_seconds_per_configuration": 0.2}
    anew = [*sampling, *measured(9.0, 1.0, 3.0), *measured(4.0, 1.0, 1.0)]
    assert measuring_seconds(anew, "hmc")["measuring_seconds"] == 6.0
    more = [*sampling, *measured(9.0, 1.0, 3.0), *measured(4.0, 1.0, 1.0, kept=True)]
    assert measuring_seconds(more, "hmc")["measuring_seconds_per_configuration"] == pytest.approx(0.3)


def test_seconds_of_measuring_are_unknown_where_a_block_has_none() -> None:
    assert measuring_seconds([*sampled("hmc", 40.0, 2.0), *measured(9.0)], "hmc") == {}
    earlier = [*sampled("hmc", 1.0), *measured(9.0), {"stage": "superseded", "samplers": ["hmc"]}]
    assert measuring_seconds([*earlier, *sampled("hmc", 1.0)], "hmc") == {}
