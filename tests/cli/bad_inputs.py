"""The table of wrong inputs: for each, the arguments, the files, the exit code and what the message must say.

Run as a program it plays every case in one process without jax and reports what happened; `test_bad_inputs.py` judges.
"""
# ruff: noqa: E501  (one case, one line)

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

BASE = {
    "name": '"demo"',
    "seed": "1",
    "lattice.shape": "[6, 6]",
    "action.kind": '"phi4"',
    "action.mass_squared": "-4.0",
    "action.coupling": "6.975",
    "flow.kind": '"real_nvp"',
    "flow.layers": "10",
    "training.batch_size": "512",
    "training.stop.steps": "1000",
    "sampling.configurations": "1000",
    "hmc.integrator": '"omf2"',
    "local.chains": "64",
}
"""A study that is right, as TOML literals."""


CONTINUOUS = {"flow.kind": '"continuous"', "flow.layers": None}
"""What turns it into a study of the continuous flow."""


GAUGE: dict[str, str | None] = {
    "action.kind": '"wilson"',
    "action.group": '"SU(3)"',
    "action.beta": "6.0",
    "action.mass_squared": None,
    "action.coupling": None,
    "flow.kind": None,
    "flow.layers": None,
    "sampling.samplers": '["hmc", "heatbath"]',
}
"""What turns it into a study of links."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One wrong input."""

    name: str
    exit_code: int
    says: tuple[str, ...]
    argv: tuple[str, ...] = ("run", "x.toml")
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    lines: int = 1


def study(**changes: str | None) -> str:
    """The right study with keys replaced, added or, by None, left out; ``__`` stands for the dot."""
    literals = {**BASE, **{key.replace("__", "."): value for key, value in changes.items()}}
    return "\n".join(f"{key} = {value}" for key, value in literals.items() if value is not None) + "\n"


def key(path: str, literal: str | None, *says: str, lines: int = 1, **more: str | None) -> Case:
    """A study in which one key has this TOML literal; the message names file and key."""
    text = study(**{path: literal}, **more)
    name = " ".join(f"{k}={v}" for k, v in {path: literal, **more}.items())[:90]
    return Case(name, 78, ("x.toml: ", path, *says), files={"x.toml": text}, lines=lines)


def links(path: str, literal: str | None, *says: str, lines: int = 1, **more: str | None) -> Case:
    """A study of links in which one key has this TOML literal."""
    changes = {path: literal, **more}
    name = "links " + " ".join(f"{k}={v}" for k, v in changes.items())[:90]
    text = study(**{**GAUGE, **changes})
    return Case(name, 78, ("x.toml: ", path, *says), files={"x.toml": text}, lines=lines)


def _links() -> list[Case]:
    """Studies of gauge theories that cannot be."""
    only_heat_bath = {"sampling.samplers": '["heatbath"]'}
    only_metropolis = {"sampling.samplers": '["metropolis"]'}
    improved = {"action.kind": '"improved"'}
    flow = {"sampling.samplers": '["flow", "hmc"]'}
    doubling = {**flow, "flow.kind": '"doubling"'}
    ranged = {**doubling, "lattice.shape": "[8, 8]", "action.group": '"U(1)"', "action.beta": "3.0"}
    ranged |= {"flow.coupling_range": "[1.0, 7.0]"}
    return [
        links("action.group", '"SU(1)"', "'SU(1)'", '"SU(2)"', "did you mean"),
        links("action.group", '"SU(9)"', '"SU(8)"'),
        links("action.group", '"su3"', '"SU(3)"'),
        links("action.group", '"U(2)"', '"U(1)"'),
        links("action.group", "3", '"U(1)"'),
        links("action.group", None, "missing"),
        links("action.beta", None, "missing", "number > 0"),
        *(
            links("action.beta", literal, "number > 0")
            for literal in ("-0.1", "0.0", "nan", "inf", '"6"', "true", "1e7")
        ),
        links("action.improvement", '"iwasaki"', "unknown key", 'it belongs to action.kind "improved"'),
        links("action.improvement", '"symanzik"', '"luscher-weisz"', **improved, **{"sampling.samplers": '["hmc"]'}),
        links("action.coupling", "1.0", "unknown key", "allowed: kind, group, beta"),
        links("action.boundaries", '"open"', "unknown key", "every direction is periodic"),
        links("lattice.boundary", '"antiperiodic"', "unknown key", "every direction is periodic"),
        links("hmc.step_size", "0.0", "unknown key", "the step is hmc.trajectory_length / hmc.n_steps"),
        links("hmc.n_steps", "0", "integer ≥ 1"),
        links("lattice.shape", "[]", ": []; allowed: list of 1 to 6 entries"),
        links("lattice.shape", "[8]", "two or more directions"),
        links(
            "lattice.shape", "[8, 1]", "two or more directions of 2 or more sites", **{"sampling.samplers": '["hmc"]'}
        ),
        links("lattice.shape", "[7, 8]", "even extents", "heatbath"),
        links("lattice.shape", "[4, 4, 4, 5]", "even extents", **only_heat_bath),
        links("lattice.shape", "[7, 8]", "even extents", "metropolis", **only_metropolis),
        links("lattice.shape", "[6, 8]", "multiples of 4 with metropolis", **only_metropolis, **improved),
        links("lattice.shape", "[7, 8]", "even extents", **only_metropolis, **improved),
        links(
            "flow.kind",
            '"continuous"',
            "'continuous'",
            '"plaquettes" or "doubling" or "loops" or "villain" or "link-coupling" or "stout" or "link-multiscale" or "identity" with action.kind wilson',
            **flow,
        ),
        links("flow.kind", '"plaquettes"', "U(1) in two dimensions", **flow, **{"lattice.shape": "[8, 8]"}),
        links(
            "lattice.shape",
            "[6, 6]",
            "multiples of 4",
            "plaquettes",
            **flow,
            **{"flow.kind": '"plaquettes"', "action.group": '"U(1)"'},
        ),
        links("action.group", '"SU(5)"', "'SU(5)'", "with a doubling flow", **doubling, **{"lattice.shape": "[8, 8]"}),
        *(
            links(path, literal, *says, **{"action.group": '"U(1)"', **doubling, "lattice.shape": "[8, 8]"})
            for path, literal, *says in (
                ("action.beta", "30.5", "at most 30; with a doubling flow of 32 bins"),
                ("flow.terms", "65", "integer ≥ 1 and ≤ 64"),
                ("flow.levels", "7", "at most 6, the halvings of [8, 8]"),
                ("flow.bins", "1", "integer ≥ 2"),
                ("flow.terms", "0", "integer ≥ 1"),
                ("flow.layers", "4", "unknown key"),
            )
        ),
        *(
            links("lattice.shape", literal, says, **{"action.group": '"U(1)"', **doubling})
            for literal, says in (("[8, 8, 8]", "two directions"), ("[5, 7]", "an even extent"))
        ),
        links(
            "action.beta",
            "6.5",
            "at most 6.4; with a doubling flow of 8 bins",
            **{**doubling, "lattice.shape": "[8, 8]", "flow.bins": "8"},
        ),
        *(
            links(path, literal, *says, **{key: text for key, text in ranged.items() if key != path})
            for path, literal, *says in (
                ("flow.coupling_range", "[]", "list of 2 entries"),
                ("flow.coupling_range", "[7.0, 1.0]", "two increasing numbers"),
                ("flow.coupling_range", "[3.0, 3.0]", "two increasing numbers"),
                ("flow.coupling_range", "[0.0, 3.0]", "flow.coupling_range[0]", "> 0"),
                ("flow.coupling_range", "[1.0, 31.0]", "an upper end of at most 30"),
                ("action.beta", "9.0", "from 1 to 7", "flow.coupling_range is [1, 7]"),
                ("action.group", '"SU(3)"', "'U(1)' or 'SU(2)'", "with flow.coupling_range"),
                ("flow.coupling_order", "17", "integer ≥ 1 and ≤ 16"),
                ("training.batch_size", "100", "a multiple of 8 with flow.coupling_range"),
            )
        ),
        links("lattice.shape", "[1, 4]", "two or more directions of 2 or more sites", **doubling),
        links(
            "flow.kind",
            '"doubling"',
            '"plaquettes" or "loops" or "link-coupling" or "stout" or "identity" with action.kind improved',
            **{**flow, **improved, "action.group": '"U(1)"', "lattice.shape": "[8, 8]"},
        ),
        links(
            "training.loss",
            '"least_squares"',
            "with a doubling flow; allowed: flow.kind loops or villain",
            **{**doubling, "lattice.shape": "[8, 8]", "action.group": '"U(1)"'},
        ),
        links(
            "flow.kind",
            '"villain"',
            "U(1) in two dimensions",
            **flow,
            **{"action.group": '"U(1)"', "lattice.shape": "[4, 4, 4]"},
        ),
        links(
            "flow.harmonics",
            "0",
            "integer ≥ 1",
            **flow,
            **{"flow.kind": '"villain"', "lattice.shape": "[8, 8]", "action.group": '"U(1)"'},
        ),
        links(
            "lattice.shape",
            "[4, 6, 8]",
            "multiples of 4",
            "a link-multiscale flow",
            **{**flow, "flow.kind": '"link-multiscale"'},
        ),
        *(
            links(path, literal, *says, **{**flow, "flow.kind": '"link-multiscale"', "lattice.shape": "[4, 8, 8]"})
            for path, literal, says in (
                ("flow.doublings", "2", ("at most 1, by which [4, 8, 8] is halved to even extents",)),
                ("flow.reach", "2", ("integer ≥ 0 and ≤ 1",)),
                ("action.group", '"SU(4)"', ("'U(1)' or 'SU(2)' or 'SU(3)'", "with a multiscale flow of links")),
                ("action.beta", "31.0", ("at most 30", "with a multiscale flow of links")),
            )
        ),
        links("flow.order", "5", "integer ≥ 1 and ≤ 4", **flow, **{"flow.kind": '"loops"'}),
        links("flow.start_beta", "-1.0", "number ≥ 0 and ≤ 1000", **flow, **{"flow.kind": '"loops"'}),
        links("flow.hidden", "8", "unknown key", "allowed: kind, start_beta", **flow, **{"flow.kind": '"loops"'}),
        *(
            links(path, literal, *says, **{**flow, "flow.kind": kind, "lattice.shape": "[4, 6, 6, 6]", **more})
            for kind, path, literal, says, more in (
                ('"link-coupling"', "flow.period", "4", ("a period that divides every extent of [4, 6, 6, 6]",), {}),
                ('"stout"', "flow.period", "3", ("a period that divides every extent",), {}),
                ('"stout"', "flow.period", "1", ("integer ≥ 2",), {}),
                ('"link-coupling"', "flow.reach", "3", ("at most 2, half an extent",), {}),
                ('"link-coupling"', "flow.bins", "1", ("integer ≥ 2",), {}),
                ('"link-coupling"', "flow.transform", '"projections"', ("'spline'; with SU(3)",), {}),
                ('"stout"', "flow.slope_bound", "1.0", ("number > 0 and < 1",), {}),
                ('"link-coupling"', "action.group", '"SU(4)"', ("'SU(4)'", "with couplings of links"), {}),
            )
        ),
        key("flow.kind", '"plaquettes"', '"continuous" or "real_nvp"', "with action.kind phi4"),
        links(
            "sampling.samplers",
            '["local", "cluster"]',
            "'local', 'cluster'",
            "allowed: flow, quasi, hmc, heatbath, metropolis",
        ),
        links(
            "sampling.samplers",
            '["heatbath"]',
            "'heatbath'",
            "allowed: flow, quasi, hmc, metropolis, files with action.kind improved",
            **improved,
        ),
        links("sampling.samplers", None, "'local'", "allowed: flow, quasi, hmc, heatbath, metropolis", lines=2),
        links("hmc.integrator", '"omf5"', '"leapfrog"'),
        links("hmc.inner_steps", "2", "1 with action.kind wilson", "sine_gordon, improved have"),
        links("hmc.trajectory_length", "0.0", "number > 0"),
        links("hmc.target_acceptance", '"flow"', "when no flow is sampled"),
        links("hmc.start", '"warm"', '"mixed"'),
        links("hmc.start", "1", '"mixed"'),
        links("sampling.start_from", '""', "sampling.start_from"),
        links("sampling.start_from", "3", "text"),
        links("sampling.start_from", '"cfg"', "with a gauge theory of SU(N)", **{"action.group": '"U(1)"'}),
        links("heatbath.overrelaxation", "-1", "integer ≥ 0"),
        links("heatbath.overrelaxation", "1.5", "integer ≥ 0"),
        links("heatbath.sweeps", "2", "unknown key"),
        links("heatbath.start", '"warm"', '"mixed"'),
        links(
            "heatbath.start",
            '"cold"',
            "'mixed' when a flow is sampled",
            **{"sampling.samplers": '["flow", "heatbath"]', "flow.kind": '"identity"'},
        ),
        links("heatbath.warmup", "0", "integer ≥ 3"),
        links("heatbath.thin", "0", "integer ≥ 1"),
        links("heatbath.chains", "0", "integer ≥ 1"),
        links("heatbath.chains", "2000", "at most sampling.configurations, 1000"),
        links("heatbath.chains", "500", "at most 125", "errors need 8 records", **{"sampling.block_size": "500"}),
        links("metropolis.width", "0.5", "unknown key"),
        links("metropolis.target_acceptance", "1.0", "number > 0 and < 1"),
        links("metropolis.target_acceptance", '"flow"', "number > 0 and < 1"),
        links("metropolis.start", '"warm"', '"mixed"'),
        links("metropolis.warmup", "2", "integer ≥ 3"),
        links("metropolis.thin", "0", "integer ≥ 1"),
        links("metropolis.chains", "0", "integer ≥ 1"),
        links("metropolis.chains", "2000", "at most sampling.configurations, 1000", **only_metropolis),
        key(
            "action.group",
            '"SU(3)"',
            "unknown key",
            'it belongs to action.kind "given_links" or "improved" or "wilson"',
        ),
    ]


ARM: dict[str, str | None] = {
    "lattice.shape": None,
    "action.kind": '"robot-arm"',
    "action.width": "0.1",
    "action.mass_squared": None,
    "action.coupling": None,
    "flow.kind": None,
    "flow.layers": None,
    "sampling.samplers": '["messages", "hmc"]',
}
"""What turns it into a study of a robot arm, without a lattice."""


def _compact() -> list[Case]:
    """Densities on tori and spheres, and arms, that cannot be."""

    def arm(path: str, literal: str | None, *says: str, lines: int = 1, **more: str | None) -> Case:
        changes = {**more, path: literal}
        name = f"arm {path}={literal} " + " ".join(f"{k}={v}" for k, v in more.items())[:60]
        return Case(name, 78, ("x.toml: ", *says), files={"x.toml": study(**{**ARM, **changes})}, lines=lines)

    sphere = {
        "action.kind": '"sphere-modes"',
        "action.width": None,
        "action.concentration": "1.0",
        "sampling.samplers": '["hmc"]',
    }
    particles = {"action.kind": '"lj13"', "action.width": None, "sampling.samplers": '["hmc"]'}
    return [
        arm("action.width", "0.0", "number > 0"),
        arm("action.width", None, "missing"),
        arm("action.concentration", "-1.0", "number ≥ 0"),
        arm("action.lengths", "[]", "1 to 64 entries"),
        arm("action.lengths", "[0.2, -0.1]", "action.lengths[1]", "number > 0"),
        arm("action.goals", "[]", "list of entries"),
        arm("action.goals", "[[1.0, 0.9]]", "(1, 0.9) at a distance of 1.35", "at most 1.2, the reach"),
        arm("action.goals", "[[0.1, 0.0]]", "from 0.7 to 0.9, the reach", **{"action.lengths": "[0.8, 0.1]"}),
        arm("lattice.shape", "[4, 4]", "[6] with this [action]", "leave the table lattice out"),
        arm("sampling.samplers", '["flow"]', "messages, hmc with action.kind robot-arm"),
        arm("action.directions", "[[0.0, 0.0]]", "a zero vector", **sphere),
        arm("action.directions", "[[1.0, 0.0], [1.0]]", "rows of 1 and 2 numbers", **sphere),
        arm("action.concentration", "0.0", "number > 0", **{k: v for k, v in sphere.items() if "conc" not in k}),
        key("sampling.samplers", '["messages"]', "'messages'", "with action.kind phi4"),
        arm("action.particles", "1", "integer ≥ 2", **particles),
        arm("action.temperature", "0.0", "number > 0", **particles),
        arm("action.epsilon", "-1.0", "number > 0", **particles),
        arm("lattice.shape", "[13]", "[13, 3] with this [action]", **particles),
        arm("sampling.samplers", '["quasi"]', "flow, hmc with action.kind lj13", **particles),
    ]


def option(argv: str, exit_code: int, *says: str, lines: int = 1) -> Case:
    """A right study with wrong options."""
    return Case(
        f"x.toml {argv}"[:60],
        exit_code,
        says,
        argv=("run", "x.toml", *argv.split(" ")),
        files={"x.toml": study()},
        lines=lines,
    )


def usage(argv: str, *says: str, exit_code: int = 64) -> Case:
    """A wrong command line."""
    return Case(f"latflow {argv}", exit_code, says, argv=tuple(argv.split()), files={"x.toml": study()})


def toml(name: str, text: str, *says: str, exit_code: int = 78, lines: int = 1) -> Case:
    """A file that is no study."""
    return Case(name, exit_code, ("x.toml", *says), files={"x.toml": text}, lines=lines)


def _numbers() -> list[Case]:
    """Every numeric key below its range, above it, not finite and not a number."""
    ranges = {
        "seed": ("-1", "4294967296", "integer"),
        "flow.layers": ("1", "257", "integer ≥ 2"),
        "flow.kernel_size": ("0", "65", "integer ≥ 1"),
        "flow.log_scale_bound": ("0", "51.0", "number > 0"),
        "training.batch_size": ("0", "10000000", "integer ≥ 1"),
        "training.learning_rate": ("0.0", "1.5", "number > 0 and ≤ 1"),
        "training.warmup_steps": ("-1", "1_000_000_000_000", "integer ≥ 0"),
        "training.final_learning_rate_fraction": ("0", "1.01", "number > 0"),
        "training.gradient_clip": ("-1.0", "1e300", "number > 0"),
        "training.evaluate_every": ("0", "1_000_000_000_000", "integer ≥ 1"),
        "training.evaluation_draws": ("1", "1_000_000_000_000", "integer ≥ 16"),
        "training.checkpoint_minutes": ("0", "1e9", "number > 0"),
        "training.stop.acceptance": ("0", "1.0", "number > 0 and < 1"),
        "training.stop.ess": ("-0.1", "1", "number > 0 and < 1"),
        "training.stop.steps": ("0", "1_000_000_000_000", "integer ≥ 1"),
        "training.stop.minutes": ("0.0", "1e9", "number > 0"),
        "training.stop.plateau": ("0", "1_000_000_000_000", "integer ≥ 1"),
        "sampling.configurations": ("0", "1_000_000_000_000", "integer ≥ 1"),
        "sampling.block_size": ("-5", "1_000_000_000_000", "integer ≥ 1"),
        "hmc.trajectory_length": ("0", "1e9", "number > 0"),
        "hmc.n_steps": ("0", "1_000_000_000_000", "integer ≥ 1"),
        "hmc.jitter": ("-0.1", "1.0", "number ≥ 0 and < 1"),
        "hmc.target_acceptance": ("0", "1", "number > 0 and < 1"),
        "hmc.chains": ("0", "1_000_000_000_000", "integer ≥ 1"),
        "hmc.warmup": ("2", "1_000_000_000_000", "integer ≥ 3"),
        "hmc.thin": ("0", "1_000_000_000_000", "integer ≥ 1"),
        "local.target_acceptance": ("0.0", "1.0", "number > 0 and < 1"),
        "local.chains": ("0", "1_000_000_000_000", "integer ≥ 1"),
        "local.warmup": ("2", "1_000_000_000_000", "integer ≥ 3"),
        "cluster.warmup": ("2", "1_000_000_000_000", "integer ≥ 3"),
        "local.thin": ("0", "1_000_000_000_000", "integer ≥ 1"),
        "action.mass_squared": ("-1e7", "1e7", "number ≥ -1e6"),
        "action.coupling": ("-0.5", "1e7", "number ≥ 0"),
    }
    wrong = ("nan", "inf", '"3"', "true", "[3]")
    return [
        key(path, literal, f"allowed: {allowed}")
        for path, (low, high, allowed) in ranges.items()
        for literal in (low, high, *wrong)
    ]


def gauge(name: str, data: str, *says: str, argv: str = "inspect u", exit_code: int = 65) -> Case:
    """A file `u` that is no gauge configuration, or not to be treated like that."""
    return Case(f"gauge-{name}", exit_code, says, argv=tuple(argv.split()), files={"u": f"latin1:{data}"})


def _gauge_files() -> list[Case]:
    """Damaged files of every format, wrong words and places; links of real size are for the tests of the readers."""
    lime = "\x45\x67\x89\xab\x00\x01\xc0\x00" + "\0" * 7 + "{length}" + "ildg-binary-data" + "\0" * 112
    milc = "\x87N\0\0" + "\4\0\0\0" * 4 + "\0" * 76
    openqcd = "\2\0\0\0" * 4 + "\0" * 7 + "\x40" + "\0" * (16 * 4 * 144)
    head = "BEGIN_HEADER\nDATATYPE = {kind}\n" + "".join(f"DIMENSION_{i} = 4\n" for i in (1, 2, 3, 4))
    nersc = head + "FLOATING_POINT = IEEE64BIG\nCHECKSUM = 0\nPLAQUETTE = 1.0000\nEND_HEADER\n"
    zeros = nersc.format(kind="4D_SU3_GAUGE_3x3") + "\0" * (256 * 576)
    return [
        Case(
            "gauge-start-missing",
            66,
            ("cfg.ildg",),
            files={"x.toml": study(**{**GAUGE, "sampling.start_from": '"cfg.ildg"'})},
        ),
        Case(
            "gauge-start-missing-dry-run",
            66,
            ("cfg.ildg",),
            argv=("run", "x.toml", "--dry-run"),
            files={"x.toml": study(**{**GAUGE, "sampling.start_from": '"cfg.ildg"'})},
        ),
        Case(
            "gauge-train",
            64,
            ("train: no flow among the samplers hmc, heatbath",),
            argv=("train", "x.toml"),
            files={"x.toml": study(**GAUGE)},
        ),
        Case(
            "gauge-start-foreign",
            65,
            ("u: not a gauge configuration",),
            files={"x.toml": study(**{**GAUGE, "sampling.start_from": '"u"'}), "u": "latin1:nothing"},
        ),
        gauge("empty", "", "u: not a gauge configuration: the file is empty"),
        gauge("hdf5", "\x89HDF\r\n\x1a\n", "begins with", "openQCD"),
        gauge("lime-cut", "\x45\x67\x89\xab", "u: has 4 bytes", "allowed: 144 bytes", "truncated"),
        gauge("lime-short", lime.format(length="\xff"), "u: has 144 bytes", "allowed: 400 bytes"),
        gauge("lime-shapeless", lime.format(length="\0"), "no record says the shape", "--shape X Y Z T"),
        gauge(
            "lime-empty",
            lime.format(length="\0"),
            "has 0 bytes",
            "lattice 2x2x2x1, 32 links",
            argv="inspect u --shape 2 2 2 1",
        ),
        gauge("lime-second", lime.format(length="\0") + "x" * 144, "no LIME record at byte 144"),
        gauge("lime-no-data", lime.format(length="\0").replace("ildg", "xxxx"), "no record ildg-binary-data"),
        gauge("milc-short", milc, "u: has 96 bytes", "allowed: 73824 bytes"),
        gauge("milc-order", milc[:-12] + "\7" + milc[-11:], "order of sites: 7"),
        gauge("milc-extent", milc.replace("\4", "\0"), "extent: '0'"),
        gauge("openqcd-plaquette", openqcd, "plaquette of the links: 0"),
        gauge("nersc-cut", nersc[:60].format(kind="4D_SU3_GAUGE"), "not a NERSC header"),
        gauge("nersc-kind", nersc.format(kind="4D_U1_GAUGE"), "DATATYPE: '4D_U1_GAUGE'", "allowed: 4D_SU3_GAUGE_3x3"),
        gauge("nersc-short", nersc.format(kind="4D_SU3_GAUGE_3x3"), "bytes; allowed:", "truncated"),
        gauge("nersc-plaquette", zeros, "plaquette of the links: 0; allowed: 1 ± 0.0001"),
        gauge(
            "nersc-checksum",
            zeros.replace("CHECKSUM = 0", "CHECKSUM = 1"),
            "checksum of the links: 00000000; allowed: 1",
        ),
        gauge(
            "nersc-defect",
            zeros.replace("PLAQUETTE = 1.0000\n", ""),
            "defect of the links: 1; allowed: 1e-05",
            "--force",
        ),
        gauge("verify", zeros, "checks failed: plaquette; defect", argv="verify u --json"),
        gauge("text-shapeless", "0.5\n0.5\n", "--shape X Y Z T"),
        gauge(
            "text-short", "0.5\n0.5\n", "u: has 8 bytes", "1024 numbers for 2x2x2x4", argv="inspect u --shape 2 2 2 4"
        ),
        gauge("text-no-number", "1\n" * 287 + "1e\n", "line 288: '1e'", argv="inspect u --shape 1 1 1 4"),
        gauge("shape-zero", "1\n", "--shape: 0 2; allowed: 1 to 6 extents", argv="inspect u --shape 0 2", exit_code=64),
        gauge("shape-word", "1\n", "--shape", argv="inspect u --shape four", exit_code=64),
        gauge("convert-damaged", zeros, "plaquette", argv="convert u v.ildg"),
        gauge("convert-exists", zeros, "u: exists already", argv="convert u u --format nersc --force", exit_code=73),
        gauge(
            "convert-no-format", zeros, "--format: missing; allowed: ildg", ".nersc", argv="convert u v", exit_code=64
        ),
        gauge(
            "convert-format", zeros, "--format: 'idlg'; allowed: ildg", argv="convert u v --format idlg", exit_code=64
        ),
        gauge(
            "convert-precision",
            zeros,
            "--precision: 'double'",
            argv="convert u v.ildg --precision double",
            exit_code=64,
        ),
        gauge("convert-rounds", zeros, "--precision float32 rounds", argv="convert u v.milc --force"),
        gauge("convert-openqcd-single", zeros, "float64 only", argv="convert u v.openqcd --precision float32 --force"),
        gauge("convert-two-row", zeros, "nersc-two-row: defect 1; use nersc", argv="convert u v.nersc-two-row --force"),
        gauge("convert-ensemble", zeros, "--format: ensemble", argv="convert u v --format ensemble", exit_code=64),
        gauge("convert-one-path", zeros, "TARGET", argv="convert u", exit_code=64),
        gauge("convert-missing", zeros, "w: no such file or folder", argv="convert w v.ildg", exit_code=66),
        gauge("convert-no-directory", zeros, "w: no such directory", argv="convert u w/v.ildg --force", exit_code=73),
        gauge("convert-into-file", zeros, "u: a file is in the way", argv="convert u u/v.ildg --force", exit_code=73),
        gauge("convert-onto-itself", zeros, ".: is the source", argv="convert . . --format ildg", exit_code=73),
        gauge("inspect-missing", zeros, "w: no such file", argv="inspect w", exit_code=66),
        gauge("inspect-folder", zeros, "not a regular file", argv="inspect ."),
        gauge("inspect-key", zeros, "takes no keys of a study", argv="inspect u --hmc.thin 3", exit_code=64),
    ]


CASES: tuple[Case, ...] = (
    *_numbers(),
    *_links(),
    *_compact(),
    # Integers that are not, words that are none, and close misses.
    key("sampling.configurations", "1000.5", "integer"),
    key("flow.layers", "8.0", "integer"),
    key("seed", "1979-05-27", "integer"),
    key("name", '""', "''", "letters"),
    key("name", '"a/b"', "'a/b'"),
    key("name", '"../up"', "'../up'"),
    key("name", '".."', "'..'"),
    key("name", '".hidden"', "'.hidden'"),
    key("name", '"-x"', "'-x'"),
    key("name", '"a b"', "'a b'"),
    key("name", '"a\\u0000b"', "\\x00"),
    key("name", '"a\\nb"', "\\n"),
    key("name", f'"{"x" * 101}"', "up to 100"),
    key("name", "3", "letters"),
    key("name", None, "missing"),
    key("lattice.shape", "[]", "1 to 6 entries"),
    key("lattice.shape", "[0, 6]", "lattice.shape[0]", "0"),
    key("lattice.shape", "[6, -2]", "lattice.shape[1]", "-2"),
    key("lattice.shape", "[6.0, 6.0]", "lattice.shape[0]", lines=2),
    key("lattice.shape", '["6", 6]', "'6'"),
    key("lattice.shape", "[[6, 6]]", "lattice.shape[0]"),
    key("lattice.shape", "6", "list of"),
    key("lattice.shape", '"6x6"', "list of"),
    key("lattice.shape", "[2, 2, 2, 2, 2, 2, 2]", "1 to 6 entries"),
    key("lattice.shape", "[6, true]", "lattice.shape[1]: true; allowed: integer"),
    key("lattice.shape", "[4096, 8192]", "at most 16777216 sites"),
    key("lattice.shape", "[7, 6]", "even extents", "flow and local"),
    key("lattice.shape", "[7, 7]", "even extents", "of flow need", **{"sampling.samplers": '["flow", "hmc"]'}),
    key("lattice.shape", "[7, 7]", "even extents", "of local need", **{"sampling.samplers": '["local", "hmc"]'}),
    key("action.kind", '"phi5"', "'phi5'", '"phi4"', "did you mean"),
    key("action.kind", '"wilsn"', 'did you mean "wilson"'),
    key("action.kind", "4", "4"),
    key("action.kind", '["phi4"]', "['phi4']"),
    key("action.kind", None, "missing"),
    key("action.coupling", None, "missing", "number ≥ 0"),
    key("action.mass_squared", None, "missing"),
    key("action.mass_squared", "-1", "> 0 when coupling = 0", **{"action.coupling": "0"}),
    key("action.mass_squared", "0", "> 0 when coupling = 0", **{"action.coupling": "0.0"}),
    key("action.normalisation", '"hopping"', '"house"'),
    key("action.normalisation", '"Half"', 'did you mean "half"'),
    key("action.mass_squared", "-1.0", "number > 0", **{"action.kind": '"free"', "action.coupling": None}),
    key("action.mass_squared", "0", "number > 0", **{"action.kind": '"free"', "action.coupling": None}),
    key("action.coupling", "1.0", "unknown key", "allowed: kind, mass_squared", **{"action.kind": '"free"', "action.mass_squared": "1"}),
    key("action.kappa", "0", "number > 0", **{"action.kind": '"phi4_hopping"', "action.mass_squared": None}),
    key("action.kappa", "0.3", "< 0.25 when coupling = 0", **{"action.kind": '"phi4_hopping"', "action.mass_squared": None, "action.coupling": "0"}),
    key("action.kappa", "0.2", "unknown key", 'it belongs to action.kind "phi4_hopping"'),
    key("flow.kind", '"realnvp"', 'did you mean "real_nvp"'),
    key("flow.network", '"conv"', 'did you mean "convolutional"'),
    key("flow.hidden", "[]", "1 to 8 entries"),
    key("flow.hidden", "[256, 0]", "flow.hidden[1]"),
    key("flow.hidden", "256", "list of"),
    key("flow.hidden", "[100000]", "≤ 16384"),
    key("flow.coupling_range", "[5.0, 7.0]", "unknown key", 'it belongs to flow.kind "continuous" or "doubling"'),
    *(key("flow.coupling_range", ends, *says, **CONTINUOUS) for ends, *says in (
        ("[]", "list of 2 entries"),
        ("[5.0]", "list of 2 entries"),
        ("[5.0, 6.0, 7.0]", "list of 2 entries"),
        ("[7.0, 5.0]", "two increasing numbers"),
        ("[5.0, 5.0]", "two increasing numbers"),
        ("[0.0, 5.0]", "flow.coupling_range[0]", "> 0"),
        ("[-1.0, 5.0]", "flow.coupling_range[0]", "> 0"),
        ("[nan, 5.0]", "flow.coupling_range[0]", "> 0"),
        ('"5 to 7"', "list of"),
    )),
    key("flow.coupling_order", "0", "integer ≥ 1", **CONTINUOUS),
    key("flow.coupling_range", "[5.0, 7.0]", "with action.kind free", '"phi4"', **{**CONTINUOUS, "action.kind": '"free"', "action.mass_squared": "1.0", "action.coupling": None}),
    key("flow.coupling_range", "[5.0, 7.0]", "with action.kind phi4_hopping", '"phi4"', **{**CONTINUOUS, "action.kind": '"phi4_hopping"', "action.kappa": "0.2", "action.mass_squared": None}),
    key("training.batch_size", "100", "a multiple of 8 with flow.coupling_range", **{**CONTINUOUS, "flow.coupling_range": "[5.0, 7.0]"}),
    key("training.loss", '"mixture"', "path_gradient with flow.coupling_range", **{**CONTINUOUS, "flow.coupling_range": "[5.0, 7.0]"}),
    key("flow.kernel_size", "4", "odd", **{"flow.network": '"convolutional"'}),
    key("flow.kernel_size", "9", "at most 7", **{"flow.network": '"convolutional"'}),
    key("training.loss", '"forward"', '"reverse_kl"'),
    key("training.precision", '"float16"', '"float32" or "float64"'),
    key("training.precision", "64", '"float32" or "float64"'),
    key("training.schedule", '"cosin"', 'did you mean "cosine"'),
    key("training.warmup_steps", "1000", "less than training.stop.steps, 1000"),
    key("training.stop", "3", "a table", **{"training.stop.steps": None}),
    key("sampling.samplers", "[]", "1 to 9 entries"),
    key("sampling.samplers", '["flow", "flow"]', "each sampler once"),
    key("quasi.points_per_scrambling", "200", "a power of two", **{"sampling.samplers": '["quasi"]'}),
    key("quasi.points_per_scrambling", "64", "≥ 128"),
    key("quasi.scramblings", "8", "≥ 16"),
    key("quasi.points", '"halton"', '"sobol"'),
    key(
        "hmc.target_acceptance",
        '"flow"',
        "quasi-random draws make no accept/reject chain",
        **{"sampling.samplers": '["quasi", "hmc"]'},
    ),
    key("sampling.samplers", '["flow", "metropolis"]', "'metropolis'", "allowed: flow, quasi, hmc, local, cluster"),
    key("sampling.start_from", '"cfg.ildg"', "with a gauge theory of SU(N)"),
    key("hmc.start", '"hot"', "'mixed' when a flow is sampled", **{"sampling.samplers": '["flow", "hmc"]'}),
    key("measure.observables", '["magnetization"]', "'magnetization'", "allowed: susceptibility"),
    key("sampling.samplers", '["flow", "heatbath"]', "'heatbath'", "allowed: flow, quasi, hmc, local, cluster with action.kind phi4"),
    key("sampling.samplers", '["flow", "metropols"]', "sampling.samplers[1]", "'metropols'"),
    key("sampling.samplers", '"flow"', "list of"),
    key("sampling.samplers", '["hcm"]', 'did you mean "hmc"'),
    key("hmc.integrator", '"omf3"', '"leapfrog"', "did you mean"),
    key("hmc.integrator", '"force_gradient"', "did you mean", '"force-gradient"'),
    key("hmc.inner_steps", "0", "integer ≥ 1"),
    key("hmc.target_acceptance", '"hmc"', '"flow"'),
    key("hmc.target_acceptance", '"flow"', "when no flow is sampled", **{"sampling.samplers": '["hmc"]'}),
    key("sampling.ledger_only", "true", "false when no flow is sampled", **{"sampling.samplers": '["hmc"]'}),
    key("sampling.ledger_only", "1", "true or false"),
    key("hmc.warmup", "0", "allowed: integer ≥ 3"),
    key("local.warmup", "0", "allowed: integer ≥ 3"),
    key("hmc.chains", "2000", "at most sampling.configurations, 1000"),
    key("local.chains", "2000", "at most sampling.configurations, 1000"),
    key("hmc.chains", "200", "hmc.chains: 200; allowed: at most 125", "errors need 8 records of every chain", **{"sampling.block_size": "200"}),
    key("sampling.configurations", "4", "sampling.configurations: 4; allowed: at least 8", **{"sampling.block_size": "4", "local.chains": "4", "hmc.chains": "4"}),
    # Keys that do not exist.
    key("sede", "1", "unknown key", "did you mean seed"),
    key("batch_size", "1", "unknown key", "did you mean training.batch_size"),
    key("lattice.shap", "[4]", "unknown key", "did you mean lattice.shape"),
    key("action.couplng", "1", "unknown key", "did you mean action.coupling"),
    key("action.beta", "6", "unknown key", "it belongs to action.kind"),
    key("training.stop.minute", "6", "unknown key", "did you mean training.stop.minutes"),
    key("training.steps", "6", "unknown key", "did you mean training.stop.steps"),
    key("hmc.step_size", "0.1", "unknown key"),
    toml("unknown-table", study() + "[samplng]\nblock_size = 1\n", "samplng: unknown key", "did you mean sampling"),
    toml("unknown-key-with-line-break", '"a\\nb" = 1\n' + study(), "\\n"),
    # Tables that are not.
    toml("lattice-a-number", study(**{"lattice.shape": None}) + "lattice = 6\n", "lattice: 6", "a table of shape"),
    toml("action-a-word", 'action = "phi4"\nname = "x"\nlattice.shape = [4, 4]\n', "action", "phi4"),
    toml("array-of-tables", study(**{"lattice.shape": None}) + "[[lattice]]\nshape = [4, 4]\n", "lattice"),
    toml("a-thousand-wrong-keys", study() + "".join(f"k{i} = 1\n" for i in range(1000)), "970 further", lines=31),
    toml("long-dotted-key", "a." * 49_000 + "a = 1\n", "nested too deeply"),
    toml("long-table-name", "[" + "a." * 49_000 + "a]\n", "nested too deeply"),
    toml("deep-inline-tables", "x = " + "{a = " * 19_000 + "\n", "nested too deeply"),
    toml("long-key", study() + "k" * 90_000 + " = 1\n", "unknown key"),
    toml("long-value", study(name=f'"{"k" * 90_000}"'), "name: 'kkk"),
    toml("no-lattice", study(**{"lattice.shape": None}), "lattice: missing", "a table of shape"),
    toml("no-action", 'name = "x"\nlattice.shape = [4, 4]\n', "action: missing"),
    toml("three-at-once", 'nam = "x"\nlattice.shape = [0]\naction.kind = "fre"\n', "did you mean name", "name: missing", "lattice.shape[0]", "action.kind", lines=4),
    toml("field-and-rule", study(**{"lattice.shape": "[7, 6]", "hmc.thin": "0"}), "even extents", "hmc.thin", lines=2),
    # Files that are no TOML.
    toml("empty", "", "empty"),
    toml("only-comments", "# nothing\n", "empty"),
    toml("no-value", "name =\n", "x.toml:1:7", "not TOML"),
    toml("no-quotes", "seed = 1\nname = demo\n", "x.toml:2:8", "not TOML"),
    toml("unclosed", 'name = "demo\n', "x.toml:1:", "not TOML"),
    toml("unclosed-list", "x = [1, 2", "not TOML", "end of the file"),
    toml("twice", "seed = 1\nseed = 2\n", "x.toml:2:", "not TOML"),
    toml("table-twice", "[lattice]\n[lattice]\n", "x.toml:2:", "not TOML"),
    toml("yaml", "name: demo\n", "x.toml:1:5", "not TOML"),
    toml("json", '{"name": "demo"}', "x.toml:1:1", "not TOML"),
    toml("control-character", 'name = "a\x01b"\n', "x.toml:1:", "not TOML"),
    toml("nested", "x = " + "[" * 90_000 + "\n", "nested too deeply"),
    toml("long-integer", f"seed = {'9' * 5000}\n", "not TOML"),
    toml("bad-date", "seed = 2024-13-41\n", "not TOML"),
    Case("not-utf-8", 65, ("x.toml", "byte 8 is not UTF-8"), files={"x.toml": "latin1:name = \"\xe9\""}),
    Case("utf-16", 65, ("x.toml", "not UTF-8"), files={"x.toml": "utf16:name = 1"}),
    Case("binary", 65, ("x.toml", "not UTF-8"), files={"x.toml": "latin1:\x89HDF\r\n\x1a\n\x00\xff"}),
    Case("huge", 65, ("x.toml", "at most 100000 bytes"), files={"x.toml": "# " + "x" * 100_000}),
    # Files that are not there.
    Case("missing", 66, ("y.toml: no such file", "latflow new"), argv=("run", "y.toml")),
    Case("misspelt-file", 66, ("demo.tml: no such file", "did you mean demo.toml"), argv=("run", "demo.tml"), files={"demo.toml": study()}),
    Case("no-ending", 66, ("demo: no such file", "did you mean demo.toml"), argv=("run", "demo"), files={"demo.toml": study()}),
    Case("in-studies", 66, ("demo.toml: no such file", "did you mean studies/demo.toml"), argv=("run", "demo.toml"), files={"studies/demo.toml": study()}),
    Case("directory", 66, ("folder: not a file",), argv=("run", "folder"), files={"folder/x.txt": ""}),
    Case("below-a-file", 66, ("x.toml/y: no such file",), argv=("run", "x.toml/y"), files={"x.toml": study()}),
    Case("null-device", 66, ("/dev/null: not a file",), argv=("run", "/dev/null")),
    Case("long-name", 74, ("File name too long",), argv=("run", "y" * 300)),
    Case("verify-missing", 66, ("nowhere: no such file or directory",), argv=("verify", "nowhere")),
    Case("verify-file", 65, ("x.toml: not a gauge configuration", "ILDG"), argv=("verify", "x.toml"), files={"x.toml": study()}),
    *_gauge_files(),
    Case("selfcheck-missing", 66, ("y.toml: no such file",), argv=("selfcheck", "y.toml")),
    Case("selfcheck-config", 78, ("x.toml: hmc.thin",), argv=("selfcheck", "x.toml"), files={"x.toml": study(**{"hmc.thin": "0"})}),
    Case("train-config", 78, ("x.toml: hmc.thin",), argv=("train", "x.toml"), files={"x.toml": study(**{"hmc.thin": "0"})}),
    Case("sample-config", 78, ("x.toml: hmc.thin",), argv=("sample", "x.toml"), files={"x.toml": study(**{"hmc.thin": "0"})}),
    Case("measure-config", 78, ("x.toml: hmc.thin",), argv=("measure", "x.toml"), files={"x.toml": study(**{"hmc.thin": "0"})}),
    Case("report-config", 78, ("x.toml: hmc.thin",), argv=("report", "x.toml"), files={"x.toml": study(**{"hmc.thin": "0"})}),
    Case("dry-run-config", 78, ("x.toml: hmc.thin",), argv=("run", "x.toml", "--dry-run"), files={"x.toml": study(**{"hmc.thin": "0"})}),
    Case("damaged-run-directory", 78, ("done/study.toml: hmc.thin",), argv=("run", "done"), files={"done/study.toml": study(**{"hmc.thin": "0"})}),
    # Keys as options.
    option("--action.coupling -1", 78, "x.toml: --action.coupling: -1", "number ≥ 0"),
    option("--action.coupling=-1", 78, "x.toml: --action.coupling: -1", "number ≥ 0"),
    option("--action.coupling abc", 78, "--action.coupling: 'abc'", "number ≥ 0"),
    option("--action.coupling nan", 78, "--action.coupling: nan"),
    option("--action.coupling -inf", 78, "--action.coupling: -inf"),
    option("--action.coupling 1;2", 78, "--action.coupling: '1;2'"),
    option("--action.coupling [1", 78, "--action.coupling: '[1'"),
    option("--action.coupling", 64, "--action.coupling: no value"),
    option("--action.coupling --json", 64, "--action.coupling: no value", lines=1),
    option("--action.coupling 1 --action.coupling 2", 64, "--action.coupling: given twice"),
    option("--action.coupling 1 2", 64, "unexpected argument '2'"),
    option("--action.couplng 1", 78, "--action.couplng: unknown key", "did you mean action.coupling"),
    option("--actoin.coupling 1", 78, "--actoin.coupling: unknown key", "did you mean action.coupling"),
    option("--flow.hiden 3", 78, "--flow.hiden: unknown key", "did you mean flow.hidden"),
    option("--action..coupling 1", 78, "action..coupling: unknown key"),
    option("--.x 1", 78, "unknown key"),
    option("--action.kind free", 78, "action.coupling: unknown key", "action.mass_squared: -4.0", lines=2),
    option("--action.kind=phi5", 78, "--action.kind: 'phi5'"),
    option("--lattice.shape 7 8", 78, "--lattice.shape: [7, 8]", "even extents"),
    option("--lattice.shape 8 x", 78, "--lattice.shape[1]: 'x'"),
    option("--lattice.shape 8x8", 78, "--lattice.shape[0]: '8x8'"),
    option("--lattice.shape [8,", 78, "--lattice.shape"),
    option("--sampling.samplers flow flow", 78, "--sampling.samplers", "each sampler once"),
    option("--sampling.samplers hcm", 78, "--sampling.samplers[0]: 'hcm'", 'did you mean "hmc"'),
    option("--training.stop.steps 1.5", 78, "--training.stop.steps: 1.5", "integer"),
    option("--training.stop {steps=0}", 78, "--training.stop.steps: 0"),
    option("--training.stop 5", 78, "--training.stop: 5", "a table"),
    option("--seed -1", 78, "--seed: -1"),
    option("--seed abc", 78, "--seed: 'abc'"),
    option("--name ../up", 78, "--name: '../up'"),
    option("--name=", 78, "--name: ''"),
    # The command line.
    usage("ru x.toml", 'Unknown command "ru"', 'Did you mean "run"'),
    usage("x.toml", "unknown command 'x.toml'", "did you mean `latflow run x.toml`"),
    usage("run", "STUDY requires an argument"),
    usage("run x.toml y.toml", "unexpected argument 'y.toml'"),
    usage("run x.toml --jsn", "--jsn", "Did you mean --json"),
    usage("run x.toml -j", "-j"),
    usage("run x.toml --run-dir", "--run-dir requires an argument"),
    usage("run x.toml --run-dir a --run-dir b", "--run-dir specified multiple times"),
    usage("run x.toml --samplers", "--samplers requires at least 1"),
    usage("run x.toml --samplers flw", "--samplers: 'flw'", "flow, hmc, local", 'did you mean "flow"'),
    usage("run x.toml --no-json", "--no-json"),
    usage("run x.toml --set hmc.thin", "--set hmc.thin", "key=value"),
    usage("run x.toml --from nowhere", "nowhere: no trained model", exit_code=66),
    usage("train x.toml --training.start_from zoo:phi4-e9", "zoo:phi4-e9: no such model in the zoo", exit_code=66),
    usage("report x.toml", "runs/demo: nothing was measured", exit_code=66),
    Case("a run directory among other files", 73, ("elsewhere: holds other files: notes.txt",), argv=("run", "x.toml", "--run-dir", "elsewhere"), files={"x.toml": study(), "elsewhere/notes.txt": "mine"}),
    usage("sample", "nothing to sample", "--model MODEL"),
    usage("sample x.toml --model zoo:phi4-e1", "--model and a study"),
    usage("sample --model zoo:phi4-e1 --from zoo:phi4-e1", "--model and --from"),
    usage("sample --model zoo:phi4-e1 --samplers hmc", "--model and --samplers"),
    usage("sample x.toml --samplers hmc --ledger-only", "--ledger-only: without the flow"),
    usage("sample --model . -n 10", ".: no trained model", "zoo:NAME", exit_code=66),
    usage("train x.toml --from nowhere", "nowhere: no trained model", "zoo:NAME", exit_code=66),
    usage("run x.toml --from zoo:phi4-e11", "no such model in the zoo", "did you mean", exit_code=66),
    usage("run x.toml --training.start_from zoo:", "no such model in the zoo", exit_code=66),
    usage("train x.toml --from a --training.start_from b", "--training.start_from: given twice"),
    usage("sample --model zoo:phi4-e11", "zoo:phi4-e11: no such model in the zoo", "did you mean", exit_code=66),
    usage("sample --model zoo:../../study", "no such model in the zoo", exit_code=66),
    usage("sample --model nowhere", "nowhere: no trained model", "zoo:NAME", exit_code=66),
    usage("sample --model zoo:phi4-e1 -n many", "many"),
    usage("table . --figure a.jpeg", "--figure: 'a.jpeg'", "NAME.svg, NAME.pdf, NAME.png"),
    usage("table . --figure plot", "--figure: 'plot'", "NAME.svg"),
    usage("sample --model zoo:phi4-e1 -n inf", "inf is not a whole number"),
    usage("sample --model zoo:phi4-e1 -n 1.5e0", "1.5e0 is not a whole number"),
    usage("inspect x.toml --shape 1e1 1.5", "--shape: 1.5 is not a whole number"),
    option("--sampling.configurations 1.5e0", 78, "--sampling.configurations: 1.5", "integer"),
    option("--sampling.configurations 1e400", 78, "--sampling.configurations: inf", "integer"),
    toml("a-scaling-study", 'name = "x"\npoints.extents = [6, 8]\n', "a scaling study", "`latflow scaling x.toml`"),
    Case("no-scaling-study", 78, ("x.toml: a study of one lattice", "`latflow run x.toml`"), argv=("scaling", "x.toml"), files={"x.toml": study()}),
    usage("verify zoo:phi4", "zoo:phi4: no such model in the zoo", exit_code=66),
    usage("regenerate", "ENSEMBLE requires an argument"),
    usage("regenerate runs/x", "--index: not given"),
    usage("regenerate nowhere --index 1", "nowhere: no such directory", exit_code=66),
    usage("regenerate . --index 1 --out x.toml", "x.toml: exists already", "--out", exit_code=73),
    usage("compare", "0 run(s)", "two or more"),
    usage("compare nowhere elsewhere", "nowhere: no analysed run", "latflow run", exit_code=66),
    usage("trend", "0 run(s)", "two or more"),
    usage("trend runs/x", "1 run(s)", "two or more"),
    usage("trend nowhere elsewhere", "nowhere: no analysed run", "latflow run", exit_code=66),
    usage("free-energy", "requires an argument"),
    usage("free-energy runs/x", "requires an argument"),
    usage("free-energy nowhere nowhere", "nowhere: no run", "latflow run", exit_code=66),
    usage("regenerate . --index one", "--index: 'one'", "ranges like 10:20"),
    usage("regenerate . --index 1.5", "--index: '1.5'"),
    usage("regenerate . --index 20:10", "--index: '20:10'", "ranges that rise"),
    usage("regenerate . --index 3:3", "--index: '3:3'", "ranges that rise"),
    usage("regenerate . --index 1:2:3", "--index: '1:2:3'"),
    usage("regenerate . --index :5", "--index: ':5'"),
    usage("regenerate . --index 0 1:1000001", "--index: '1:1000001'", "at most 1,000,000"),
    usage("regenerate . --index 1 -3", "-3"),
    usage("new phi4-e9", "PRESET: 'phi4-e9'", "`latflow new` lists", 'did you mean "phi4-e5"?'),
    usage("new a b", "unexpected argument 'b'"),
    usage("verify", "PATH requires an argument"),
    usage("verify . --hmc.thin 3", "takes no keys of a study"),
    usage("selfcheck", "STUDY requires an argument"),
    usage("selfcheck x.toml --dry-run", "--dry-run"),
    usage("doctor x", "unexpected argument 'x'"),
    usage("--foo", "--foo"),
    # Places and environments.
    Case("run-dir-a-file", 73, ("x.toml is a file",), argv=("run", "x.toml", "--run-dir", "x.toml"), files={"x.toml": study()}),
    Case("run-dir-below-a-file", 73, ("x.toml is a file",), argv=("run", "x.toml", "--run-dir", "x.toml/a/b"), files={"x.toml": study()}),
    Case("runs-a-file", 73, ("runs is a file",), files={"x.toml": study(), "runs": ""}),
    Case("x64-off", 69, ("JAX_ENABLE_X64: 0", "unset or 1"), files={"x.toml": study()}, environment={"JAX_ENABLE_X64": "0"}),
    Case("x64-false", 69, ("JAX_ENABLE_X64: False",), files={"x.toml": study()}, environment={"JAX_ENABLE_X64": "False"}),
    Case("x64-nonsense", 69, ("JAX_ENABLE_X64: maybe",), files={"x.toml": study()}, environment={"JAX_ENABLE_X64": "maybe"}),
    Case("x64-off-dry-run", 69, ("JAX_ENABLE_X64",), argv=("run", "x.toml", "--dry-run"), files={"x.toml": study()}, environment={"JAX_ENABLE_X64": "0"}),
)  # fmt: skip


def play(case: Case) -> dict[str, object]:
    """Run one case in an empty directory and tell what happened."""
    from latflow.cli import main

    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ.update(case.environment)
        try:
            _write(case.files)
            before = _contents()
            out, err = io.StringIO(), io.StringIO()
            begin = time.perf_counter()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                exit_code = main(case.argv)
            seconds = time.perf_counter() - begin
            untouched = _contents() == before
        finally:
            os.chdir(home)
            for name in case.environment:
                del os.environ[name]
    return {
        "exit_code": exit_code,
        "out": out.getvalue(),
        "err": err.getvalue(),
        "seconds": seconds,
        "untouched": untouched,
        "slow_imports": sorted({"jax", "scipy", "matplotlib", "pandas", "pyerrors", "h5py"} & set(sys.modules)),
    }


def _write(files: dict[str, str]) -> None:
    codecs = {"latin1:": "latin-1", "utf16:": "utf-16"}
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        codec = next((prefix for prefix in codecs if text.startswith(prefix)), "")
        Path(name).write_bytes(text.removeprefix(codec).encode(codecs.get(codec, "utf-8")))


def _contents() -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        for path in sorted(Path().rglob("*"))
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps([play(case) for case in CASES]))
