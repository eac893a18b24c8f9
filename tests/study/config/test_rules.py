"""Rules between keys: each is silent on a good study and where a value is unknown."""

from typing import Any

import pytest

from latflow.stats.propagation import MINIMUM_RECORDS
from latflow.study.config.rules import LEAST, Complaint, broken_rules, records

GOOD: dict[str, Any] = {
    "lattice.shape": (6, 6),
    "action.kind": "phi4",
    "action.mass_squared": -4.0,
    "action.coupling": 6.975,
    "flow.kind": "real_nvp",
    "flow.network": "convolutional",
    "flow.kernel_size": 3,
    "training.warmup_steps": 10,
    "training.stop.steps": 100,
    "sampling.configurations": 100,
    "sampling.samplers": ("flow", "hmc", "local"),
    "hmc.target_acceptance": "flow",
    "hmc.chains": 8,
    "local.chains": 8,
    "cluster.chains": 8,
}


def course(extents: tuple[int, ...], couplings: tuple[float, ...], steps: tuple[int, ...]) -> dict[str, Any]:
    """The three lists of a curriculum by key."""
    lists = {"extents": extents, "couplings": couplings, "steps": steps}
    return {f"training.curriculum.{name}": entries for name, entries in lists.items()}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, []),
        ({"lattice.shape": (5, 6)}, ["lattice.shape"]),
        ({"lattice.shape": (5, 6), "sampling.samplers": ("hmc",), "hmc.target_acceptance": 0.8}, []),
        ({"hmc.start": "hot"}, ["hmc.start"]),
        ({"hmc.start": "hot", "sampling.samplers": ("hmc",), "hmc.target_acceptance": 0.8}, []),
        ({"hmc.start": "mixed"}, []),
        ({"hmc.inner_steps": 3}, []),
        ({"hmc.inner_steps": 1, "action.kind": "free"}, []),
        ({"hmc.inner_steps": 3, "action.kind": "free"}, ["hmc.inner_steps"]),
        ({"action.coupling": 0.0}, ["action.mass_squared"]),
        ({"action.coupling": 0.0, "action.mass_squared": 0.1}, []),
        ({"action.kind": "phi4_hopping", "action.kappa": 0.25, "action.coupling": 0.0}, ["action.kappa"]),
        ({"action.kind": "phi4_hopping", "action.kappa": 0.24, "action.coupling": 0.0}, []),
        ({"action.kind": "phi4_hopping", "action.kappa": 0.25, "action.coupling": 0.1}, []),
        ({"flow.coupling_range": (5.0, 7.0), "training.batch_size": 256, "training.loss": "path_gradient"}, []),
        ({"flow.coupling_range": (7.0, 5.0)}, ["flow.coupling_range"]),
        ({"flow.coupling_range": (5.0, 5.0)}, ["flow.coupling_range"]),
        ({"flow.coupling_range": (5.0, 7.0), "action.kind": "free"}, ["flow.coupling_range"]),
        ({"flow.coupling_range": (5.0, 7.0), "training.batch_size": 100}, ["training.batch_size"]),
        ({"flow.coupling_range": (5.0, 7.0), "training.loss": "mixture"}, ["training.loss"]),
        ({"flow.kernel_size": 2}, ["flow.kernel_size"]),
        ({"flow.kernel_size": 7}, []),
        ({"flow.kernel_size": 9}, ["flow.kernel_size"]),
        ({"flow.kernel_size": 7, "flow.network": "dense"}, []),
        ({"flow.kind": "multiscale", "flow.network": None, "flow.kernel_size": 4}, ["flow.kernel_size"]),
        ({"flow.kind": "multiscale", "flow.network": None, "flow.kernel_size": 1}, ["flow.kernel_size"]),
        ({"flow.kind": "multiscale", "flow.network": None, "flow.kernel_size": 9}, []),
        ({"flow.splines": 3, "flow.layers": 2}, ["flow.splines"]),
        ({"flow.splines": 2, "flow.layers": 2}, []),
        ({"training.warmup_steps": 100}, ["training.warmup_steps"]),
        ({"sampling.samplers": ("flow", "flow", "hmc")}, ["sampling.samplers"]),
        ({"sampling.samplers": ("hmc",)}, ["hmc.target_acceptance"]),
        ({"sampling.configurations": 7}, ["hmc.chains", "local.chains"]),
        ({"sampling.configurations": 7, "sampling.samplers": ("flow",)}, []),
        (
            {"sampling.configurations": 7, "sampling.samplers": ("cluster",), "hmc.target_acceptance": 0.8},
            ["cluster.chains"],
        ),
        ({"sampling.block_size": 50, "hmc.chains": 20, "local.chains": 12}, ["hmc.chains"]),
        ({"sampling.block_size": 4096, "hmc.chains": 50}, []),
        (
            {"sampling.configurations": 4, "sampling.block_size": 4, "hmc.chains": 1, "local.chains": 1},
            ["sampling.configurations"],
        ),
        ({"lattice.shape": (5, 6), "sampling.samplers": ("cluster",)}, ["lattice.shape"]),
        ({"lattice.shape": (5, 6), "sampling.samplers": ("flow", "hmc"), "flow.kind": "continuous"}, []),
        ({"flow.kind": "continuous", **course((4,), (7.0,), (10,))}, []),
        (
            {"flow.kind": "continuous", **course((4, 6), (7.0,), ())},
            ["training.curriculum.couplings", "training.curriculum.steps"],
        ),
        (
            {
                "flow.kind": "continuous",
                **course((4,), (7.0,), (10,)),
                "training.curriculum.learning_rates": (0.1, 0.2),
            },
            ["training.curriculum.learning_rates"],
        ),
        (
            {"flow.kind": "continuous", **course((), (), ()), "training.curriculum.learning_rates": (0.1,)},
            ["training.curriculum.learning_rates"],
        ),
        (course((4,), (7.0,), (10,)), ["training.curriculum"]),
        ({"flow.kind": "continuous", "action.kind": "free", **course((4,), (7.0,), (10,))}, ["training.curriculum"]),
        ({"gradient_flow.kind": "wilson"}, ["gradient_flow.kind"]),
        ({"gradient_flow.kind": "none", "gradient_flow.spacing": 100.0, "gradient_flow.records": 3}, []),
        ({"smearing.kind": "ape"}, ["smearing.kind"]),
    ],
)
def test_rule(changes: dict[str, Any], wrong: list[str]) -> None:
    assert [complaint.key for complaint in broken_rules({**GOOD, **changes}.get)] == wrong


LINKS: dict[str, Any] = {
    "lattice.shape": (8, 8, 8, 8),
    "action.kind": "wilson",
    "sampling.samplers": ("hmc",),
    "hmc.target_acceptance": 0.8,
    "gradient_flow.kind": "symanzik",
    "gradient_flow.spacing": 0.1,
    "gradient_flow.records": 20,
    "smearing.kind": "ape",
}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        # √(8t) = L/2 at the end, and beyond it by one record
        ({}, None),
        (
            {"gradient_flow.records": 21},
            "gradient_flow.records: 21; allowed: at most 20 with spacing 0.1; beyond t = 2 ",
        ),
        (
            {"lattice.shape": (8, 8, 8, 4)},
            "gradient_flow.records: 20; allowed: at most 5 with spacing 0.1; beyond t = 0.5 ",
        ),
        ({"gradient_flow.spacing": 1.0}, "gradient_flow.spacing: 1.0; allowed: at most 0.666667; "),
        (
            {"lattice.shape": (8, 8, 8)},
            "gradient_flow.kind: 'symanzik'; allowed: \"none\" outside gauge theories in four ",
        ),
        ({"lattice.shape": (8, 8, 8), "gradient_flow.kind": "none"}, None),
        ({"lattice.shape": (8, 8), "gradient_flow.kind": "none"}, "smearing.kind: 'ape'; allowed: \"none\" outside "),
        ({"lattice.shape": (8, 8, 8, 2), "gradient_flow.kind": "none"}, "smearing.kind: 'ape'; "),
    ],
)
def test_what_is_measured_beside_must_make_sense(changes: dict[str, Any], wrong: str | None) -> None:
    lines = [complaint.text() for complaint in broken_rules({**LINKS, **changes}.get)]
    assert len(lines) == (wrong is not None), lines
    assert wrong is None or lines[0].startswith(wrong)


def test_unknown_values_silence_the_rules_that_need_them() -> None:
    bad = {
        **GOOD,
        "lattice.shape": (5, 5),
        "action.coupling": 0.0,
        "flow.kernel_size": 4,
        "training.warmup_steps": 1000,
        "sampling.samplers": ("flow", "flow", "hmc"),
        "hmc.chains": 1000,
    }
    broken = {complaint.key for complaint in broken_rules(bad.get)}
    assert len(broken) == 6
    for key in bad:
        assert {complaint.key for complaint in broken_rules({**bad, key: None}.get)} <= broken - {key}
    assert broken_rules({}.get) == []


def test_records_are_counted_in_whole_blocks() -> None:
    assert LEAST == MINIMUM_RECORDS
    assert records(100, 4096, 64) == 64
    assert records(100, 50, 20) == 6
    assert records(100, 4, 20) == 5


def test_complaint_is_one_line() -> None:
    assert Complaint("a.b", "-1", "≥ 0", "because").text() == "a.b: -1; allowed: ≥ 0; because"
    assert Complaint("a.b", "unknown key").text() == "a.b: unknown key"
