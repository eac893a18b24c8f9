"""The one table of methods of sampling: built-in ones, and those of installed plug-ins.

A package adds a method by an entry point of the group ``latflow.methods`` whose value is ``package.module:METHOD``,
a `latflow.study.config.method.Method`. The table of every method becomes a section of studies. An entry point that
fails, or whose name is taken, is left out, and `plugin_methods` says why; latflow itself goes on.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from latflow.errors import ConfigError
from latflow.plugins import Plugin, plugins
from latflow.study.config.method import Method as Method
from latflow.study.config.method import SamplerStyle as SamplerStyle
from latflow.study.config.sampler_tables import (
    ClusterConfig,
    FilesConfig,
    HeatbathConfig,
    HMCConfig,
    LocalConfig,
    MetropolisConfig,
    QuasiConfig,
)
from latflow.tables import AbstractSection
from latflow.words import Work

GROUP = "latflow.methods"
"""Group of entry points."""

RESERVED = (
    *("name", "seed", "lattice", "action", "flow", "training", "sampling"),
    *("gradient_flow", "smearing", "measure", "reduce"),
)
"""Keys of a study that no method may take as its name."""

_OF_MANIFESTS = ("model", "block_size", "records_per_block", "start", "fields", "ensemble", "observables")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_HOOK = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_OF_CHAINS = ("chains", "warmup", "thin")


def _trajectory(settings: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """The tuned scale of HMC is its step size, and the length of its trajectories follows."""
    return {"step_size": scale, "trajectory_length": settings["n_steps"] * scale}


BUILT_IN: tuple[Method, ...] = (
    Method(
        "flow",
        "draws",
        "latflow.study.methods:flow",
        style=SamplerStyle("flow", "#0072B2", "o", "flow draws made exact by independence Metropolis–Hastings"),
        serves=(),
        streams=(2, 3),
        trained=True,
        reweighted_as="reweighted",
    ),
    Method(
        "quasi",
        "scramblings",
        "latflow.study.methods:flow",
        QuasiConfig,
        SamplerStyle("quasi", "#661100", "H", "the flow at scrambled Sobol points, as weighted averages"),
        serves=(),
        streams=(15,),
        trained=True,
        works=(
            Work(
                "A. B. Owen, Scrambled net variance for integrals of smooth functions, Ann. Statist. 25 (1997) 1541",
                "",
                "averages over scrambled quasi-random points",
                key="sampling.samplers",
                values=("quasi",),
            ),
            Work(
                "S. Joe and F. Y. Kuo, Constructing Sobol sequences with better two-dimensional projections, SIAM J. "
                "Sci. Comput. 30 (2008) 2635",
                "",
                "the sequence of points",
                key="sampling.samplers",
                values=("quasi",),
            ),
        ),
        cost="latflow.study.plan:draw_seconds",
    ),
    Method(
        "messages",
        "draws",
        "latflow.study.methods:messages",
        style=SamplerStyle("messages", "#44AA99", "X", "draws by exact backward messages on a grid, made exact"),
        serves=(),
        streams=(16, 17),
    ),
    Method(
        "hmc",
        "chains",
        "latflow.study.methods:hmc",
        HMCConfig,
        SamplerStyle("HMC", "#D55E00", "s", "hybrid Monte Carlo"),
        serves=(),
        streams=(4,),
        target_rank=0,
        trajectories=True,
        baseline=True,
        works=(
            Work(
                "I. P. Omelyan, I. M. Mryglod and R. Folk, Symplectic analytically integrable decomposition "
                "algorithms, Comput. Phys. Commun. 151 (2003) 272",
                "",
                "the integrator of the trajectories",
                key="hmc.integrator",
                values=("omf2", "omf4", "force-gradient"),
                sampler="hmc",
            ),
        ),
        tuned=_trajectory,
        cost="latflow.study.plan:trajectory_seconds",
    ),
    Method(
        "local",
        "chains",
        "latflow.study.methods:local",
        LocalConfig,
        SamplerStyle("local", "#009E73", "^", "local checkerboard Metropolis"),
        serves=(),
        streams=(5,),
        even_extents=True,
        target_rank=2,
        cost="latflow.study.plan:sweep_seconds",
    ),
    Method(
        "cluster",
        "chains",
        "latflow.study.methods:cluster",
        ClusterConfig,
        SamplerStyle("cluster", "#56B4E9", "P", "Wolff clusters between local sweeps"),
        serves=(),
        streams=(7,),
        even_extents=True,
        target_rank=1,
        cost="latflow.study.plan:cluster_seconds",
    ),
    Method(
        "heatbath",
        "chains",
        "latflow.study.methods:heatbath",
        HeatbathConfig,
        SamplerStyle("heat bath", "#E69F00", "v", "local heat bath"),
        serves=(),
        streams=(13,),
        even_extents=True,
        target_rank=3,
        works=(
            Work(
                "N. Cabibbo and E. Marinari, A new method for updating SU(N) matrices in computer simulations of gauge "
                "theories, Phys. Lett. B 119 (1982) 387",
                "",
                "the heat bath of SU(N) by its SU(2) subgroups",
                key="sampling.samplers",
                values=("heatbath",),
            ),
            Work(
                "A. D. Kennedy and B. J. Pendleton, Improved heatbath method for Monte Carlo calculations in lattice "
                "gauge theories, Phys. Lett. B 156 (1985) 393",
                "",
                "draws of SU(2) matrices at large β",
                key="sampling.samplers",
                values=("heatbath",),
            ),
            Work(
                "M. Creutz, Overrelaxation and Monte Carlo simulation, Phys. Rev. D 36 (1987) 515",
                "",
                "sweeps of overrelaxation",
                key="heatbath.overrelaxation",
                sampler="heatbath",
            ),
        ),
        cost="latflow.study.plan:heatbath_seconds",
    ),
    Method(
        "metropolis",
        "chains",
        "latflow.study.methods:metropolis",
        MetropolisConfig,
        SamplerStyle("Metropolis", "#882255", "p", "Metropolis of one link after another"),
        serves=(),
        streams=(14,),
        even_extents=True,
        target_rank=4,
        works=(
            Work(
                "N. Metropolis, A. W. Rosenbluth, M. N. Rosenbluth, A. H. Teller and E. Teller, Equation of state "
                "calculations by fast computing machines, J. Chem. Phys. 21 (1953) 1087",
                "",
                "updates of links one by one",
                key="sampling.samplers",
                values=("metropolis",),
            ),
        ),
        cost="latflow.study.plan:link_sweep_seconds",
    ),
    Method(
        "files",
        "files",
        "",
        FilesConfig,
        SamplerStyle("files", "#332288", "h", "configurations of another code, read from files"),
        serves=(),
    ),
)
"""In the order of sampling: the flow is first, since HMC may have to match its acceptance."""

FLOW = BUILT_IN[0].name
"""The method that draws from the trained flow; the verdict is about these draws."""

QUASI = BUILT_IN[1].name
"""The method that draws from the trained flow at quasi-random points."""

HMC = next(method.name for method in BUILT_IN if method.trajectories)
"""The method of molecular dynamics: figures show its decisions and its trajectories."""

BASELINE = next(method.name for method in BUILT_IN if method.baseline)
"""The method whose plain averages costs of errors are compared with."""

USUAL = (FLOW, HMC, "local")
"""Methods of a study that names none."""

REVERSE = "reverse"
"""What results call log Z from draws of the target with the density of the flow."""

_ANALYSES = {
    "reweighted": SamplerStyle("reweighted", "#CC79A7", "D", "the same flow draws as weighted averages, none rejected"),
    REVERSE: SamplerStyle(REVERSE, "#999933", "*", "draws of the target with the flow's density, 1/w averaged"),
}


class _RefusedError(Exception):
    """A plug-in offers no valid method; this module raises and catches it."""


def collected(
    offered: Iterable[Plugin], built_in: tuple[Method, ...] = BUILT_IN
) -> tuple[tuple[Method, ...], tuple[Plugin, ...]]:
    """The methods that plug-ins offer, by name, and the plug-ins, with the reason where one is left out."""
    found: dict[str, Method] = {}
    checked: list[Plugin] = []
    taken = {*RESERVED, *_OF_MANIFESTS, *_ANALYSES, *(method.name for method in built_in)}
    for plugin in offered:
        problem = plugin.problem
        try:
            method = None if problem else _accepted(plugin.load(), {*taken, *found})
        except _RefusedError as error:
            method, problem = None, str(error)
        except (Exception, SystemExit) as error:  # whatever a foreign module does when it is imported
            method, problem = None, " ".join(f"{type(error).__name__}: {error}".split())
        found |= {} if method is None else {method.name: method}
        checked.append(dataclasses.replace(plugin, problem=problem))
    return tuple(found[name] for name in sorted(found)), tuple(checked)


def _accepted(offered: object, taken: Iterable[str]) -> Method:
    if not isinstance(offered, Method):
        raise _RefusedError(f"{type(offered).__name__}; allowed: a latflow.study.config.method.Method")
    if not _NAME.fullmatch(offered.name):
        raise _RefusedError(f"name {offered.name!r}; allowed: up to 40 lower-case letters, digits and _")
    if offered.streams:
        raise _RefusedError(f"streams {offered.streams}; allowed: none, those of a plug-in follow from its name")
    clash = {offered.name, offered.reweighted} & set(taken)
    if clash:
        raise _RefusedError(f"the name {', '.join(sorted(clash))} is taken")
    if offered.stage not in ("chains", "draws"):
        raise _RefusedError(f"stage {offered.stage!r}; allowed: chains or draws")
    if offered.trained and offered.stage == "chains":
        raise _RefusedError("chains that need a trained model; allowed: draws")
    for hook in filter(None, (offered.build, offered.cost)):
        if not _HOOK.fullmatch(hook):
            raise _RefusedError(f"{hook!r}; allowed: package.module:function")
    _require_table(offered)
    return offered


def _require_table(method: Method) -> None:
    if method.table is None:
        if method.stage == "chains":
            raise _RefusedError(f"no table; allowed: one with {', '.join(_OF_CHAINS)}")
        return
    if not issubclass(method.table, AbstractSection):
        raise _RefusedError(f"table {method.table.__name__}; allowed: an AbstractSection")
    method.table()  # every key has a default
    method.table.model_json_schema()
    missing = [key for key in _OF_CHAINS if key not in method.table.model_fields]
    if method.stage == "chains" and missing:
        raise _RefusedError(f"table without {', '.join(missing)}")


PLUG_INS, _CHECKED = collected(plugins(GROUP))


def plugin_methods() -> tuple[Plugin, ...]:
    """What installed packages offer, each with the reason why it cannot be used, if there is one."""
    return _CHECKED


METHODS: dict[str, Method] = {method.name: method for method in (*BUILT_IN, *PLUG_INS)}
"""Every method by name, in the order of sampling; plug-ins come last, by name."""

CHAINS: tuple[str, ...] = tuple(name for name, method in METHODS.items() if method.stage == "chains")
"""Methods of many chains: blocks with axes (records, chains)."""

GIVEN: tuple[str, ...] = tuple(name for name, method in METHODS.items() if method.stage == "files")
"""Methods that sample nothing: configurations are read from files. Measured columns have axes (records, 1)."""

DRAWS: tuple[str, ...] = tuple(name for name, method in METHODS.items() if method.stage == "draws")
"""Methods of independent weighted draws."""

SCRAMBLINGS: tuple[str, ...] = tuple(name for name, method in METHODS.items() if method.stage == "scramblings")
"""Methods of quasi-random weighted draws: no chain can be made of them."""

REDRAWN: tuple[str, ...] = (*DRAWS, *SCRAMBLINGS)
"""Methods whose draws are functions of their numbers, so that they can be made again."""

TRAINED: tuple[str, ...] = tuple(name for name, method in METHODS.items() if method.trained)
"""Methods that draw from the trained flow of the study."""

TARGETS: tuple[str, ...] = tuple(
    sorted((n for n in CHAINS if METHODS[n].target_rank is not None), key=lambda n: METHODS[n].target_rank or 0)
)
"""Chains whose configurations may stand for the target, the preferred ones first."""


def method_of(name: str) -> Method:
    """The entry of a method.

    Raises:
        ConfigError: If it is none, or that of a plug-in which is not installed.
    """
    if name not in METHODS:
        hint = "a method of a plug-in needs the package that brings it"
        raise ConfigError([f"sampler: {name!r}; allowed: {', '.join(METHODS)}; {hint}"])
    return METHODS[name]


def _styles() -> dict[str, SamplerStyle]:
    """Of samplers and of analyses of their draws, in the order in which tables and legends list them."""
    found: dict[str, SamplerStyle] = {}
    for method in METHODS.values():
        found[method.name] = look = method.look
        if method.stage == "draws":
            weighted = SamplerStyle(
                f"{look.label}, reweighted", look.colour, "D", "the same draws as weighted averages"
            )
            found[method.reweighted] = _ANALYSES.get(method.reweighted, weighted)
        if method.name == FLOW:
            found[REVERSE] = _ANALYSES[REVERSE]
    return found


STYLES: dict[str, SamplerStyle] = _styles()
"""How every sampler and every analysis of its draws appears, in the order of tables and legends."""
