"""What the keys of a study must fulfil together.

Each rule is a small function that looks values up by key and returns complaints. A value that is missing or already
known to be wrong reads as ``None`` and silences the rules that need it, so all independent complaints about a file
appear at once.
"""

import math
from typing import Any

from latflow.flows.tables import flow_tables
from latflow.study.config.doubling import doubling
from latflow.study.config.methods import CHAINS, FLOW, GIVEN, METHODS, QUASI, REDRAWN, TARGETS, TRAINED
from latflow.study.config.shapes import own_shape
from latflow.study.config.stages import WITH_TARGETS
from latflow.study.config.stripes import multiscale_links, stripes
from latflow.tables import Complaint, Lookup, Rule
from latflow.theories.catalogue import all_rules, kinds, table_of, theory_of
from latflow.theories.further import further

MAX_VOLUME = 2**24
"""Sites of the largest lattice accepted; beyond it one configuration alone exceeds 128 MB."""

LEAST_RECORDS = 3
"""Records of a gradient flow, beside that of time zero, that a curve is drawn through."""

_ROUNDING = 1e-9

LEAST = 8
"""Records of a chain below which its errors cannot be estimated: `latflow.stats.propagation.MINIMUM_RECORDS`."""


def broken_rules(value: Lookup) -> list[Complaint]:
    """The complaints of all rules about the study whose keys `value` looks up."""
    return [complaint for rule in _RULES for complaint in rule(value)]


def _volume(value: Lookup) -> list[Complaint]:
    shape = value("lattice.shape")
    if shape is None or math.prod(shape) <= MAX_VOLUME:
        return []
    return [Complaint("lattice.shape", str(list(shape)), f"at most {MAX_VOLUME} sites")]


def _even_extents(value: Lookup) -> list[Complaint]:
    shape, samplers = value("lattice.shape"), value("sampling.samplers")
    if shape is None or samplers is None or all(extent % 2 == 0 for extent in shape):
        return []
    coupled = TRAINED if _of_flow(value, "extent_multiple") == 2 else ()
    checkered = [word for word, method in METHODS.items() if method.even_extents]
    needing = [word for word in (*coupled, *checkered) if word in samplers]
    hint = f"the checkerboards of {' and '.join(needing)} need them; hmc and continuous flows do not"
    return [Complaint("lattice.shape", str(list(shape)), "even extents", hint)] if needing else []


def _of_flow(value: Lookup, fact: str) -> Any:
    """A class attribute of the table of the study's flow; None where the flow is not known."""
    return getattr(flow_tables().get(value("flow.kind")), fact, None)


def samplers_of(kind: str) -> tuple[str, ...]:
    """The methods that can sample an action of this kind: those in its table, and plug-ins that serve it."""
    table = table_of(kind)
    more = (method.name for method in METHODS.values() if method.samples(kind, table.fields))
    return tuple(dict.fromkeys((*table.samplers, *more)))


def _samplers_of_action(value: Lookup) -> list[Complaint]:
    kind, samplers = value("action.kind"), value("sampling.samplers")
    if kind is None or samplers is None:
        return []
    known = samplers_of(kind)
    foreign = [word for word in samplers if word not in known]
    allowed = f"{', '.join(known)} with action.kind {kind}"
    return [Complaint("sampling.samplers", ", ".join(map(repr, foreign)), allowed)] if foreign else []


def _flow_of_action(value: Lookup) -> list[Complaint]:
    kind, flow, samplers = value("action.kind"), value("flow.kind"), value("sampling.samplers")
    if kind is None or flow is None or samplers is None or not set(TRAINED) & set(samplers) & set(samplers_of(kind)):
        return []  # of theories without trained flows the samplers are complained about
    tables = flow_tables()
    known = [f'"{word}"' for word, table in tables.items() if table.serves(kind, table_of(kind).fields)]
    if flow not in tables or f'"{flow}"' in known:
        return []
    return [Complaint("flow.kind", repr(flow), f"{' or '.join(known)} with action.kind {kind}")]


def _flow_lattice(value: Lookup) -> list[Complaint]:
    """Extents for the patterns of couplings; even ones are asked for together with samplers that need them."""
    shape, samplers, multiple = value("lattice.shape"), value("sampling.samplers"), _of_flow(value, "extent_multiple")
    if shape is None or samplers is None or multiple is None or multiple <= 2 or not set(TRAINED) & set(samplers):
        return []
    if _flow_of_action(value):
        return []
    if all(extent % multiple == 0 for extent in shape):
        return []
    hint = f"the couplings of a {value('flow.kind')} flow need them"
    return [Complaint("lattice.shape", str(list(shape)), f"multiples of {multiple}", hint)]


def _kernel(value: Lookup) -> list[Complaint]:
    size, shape = value("flow.kernel_size"), value("lattice.shape")
    several = _of_flow(value, "several_extents")
    if size is None or not (several or value("flow.network") == "convolutional"):
        return []
    if size % 2 == 0:
        return [Complaint("flow.kernel_size", str(size), "an odd integer", "the kernel is centred on a site")]
    if several:
        # The window meets lattices of many extents and may cover the small ones; with a single site it reads nothing.
        return [] if size > 1 else [Complaint("flow.kernel_size", str(size), "3 or more")]
    # One more than an even extent is the odd window that holds the whole lattice.
    if shape is None or size <= max(shape) + 1:
        return []
    hint = f"{max(shape) // 2 * 2 + 1} covers the lattice"
    return [Complaint("flow.kernel_size", str(size), f"at most {max(shape) + 1}", hint)]


def _splines(value: Lookup) -> list[Complaint]:
    splines, layers = value("flow.splines"), value("flow.layers")
    if splines is None or layers is None or splines <= layers:
        return []
    return [Complaint("flow.splines", str(splines), f"at most flow.layers, {layers}")]


def _warmup(value: Lookup) -> list[Complaint]:
    warmup, steps = value("training.warmup_steps"), value("training.stop.steps")
    if warmup is None or steps is None or warmup < steps or value("training.loss") == "least_squares":
        return []
    return [Complaint("training.warmup_steps", str(warmup), f"less than training.stop.steps, {steps}")]


def _reduced(value: Lookup) -> list[Complaint]:
    """Averages are corrected along several chains of a theory whose velocities are known."""
    asked, samplers, kind = value("reduce.samplers"), value("sampling.samplers"), value("action.kind")
    if not asked or samplers is None or kind is None:
        return []
    if not table_of(kind).stein_fields:
        return [Complaint("reduce.samplers", str(list(asked)), f"none with action.kind {kind}", "no Stein fields")]
    chains = [word for word in samplers if word in (*CHAINS, *GIVEN)]
    foreign = [word for word in asked if word not in chains]
    if value("reduce.products") == "slices" and table_of(kind).stein_fields != "loops":
        return [Complaint("reduce.products", "'slices'", f"'total' with action.kind {kind}")]
    if foreign:
        allowed = f"chains among sampling.samplers: {', '.join(chains) or 'there are none'}"
        return [Complaint("reduce.samplers", ", ".join(map(repr, foreign)), allowed)]
    if value("reduce.fields") and value("reduce.flow"):
        return [Complaint("reduce.flow", repr(value("reduce.flow")), "not together with reduce.fields")]
    least = 2 if value("reduce.fields") or value("reduce.flow") else 3
    few = [word for word in asked if (value(f"{word}.chains") or least) < least]
    hint = "coefficients come from other chains than those they correct"
    return [Complaint(f"{word}.chains", str(value(f"{word}.chains")), f"{least} or more", hint) for word in few]


def _once(value: Lookup) -> list[Complaint]:
    samplers = value("sampling.samplers")
    if samplers is None or len(set(samplers)) == len(samplers):
        return []
    return [Complaint("sampling.samplers", str(list(samplers)), "each sampler once")]


def _matched_acceptance(value: Lookup) -> list[Complaint]:
    samplers = value("sampling.samplers")
    if samplers is None or FLOW in samplers:
        return []
    matched = [word for word in CHAINS if word in samplers and value(f"{word}.target_acceptance") == FLOW]
    hint = f'add "{FLOW}" to sampling.samplers or give a number'
    hint += "; quasi-random draws make no accept/reject chain" if QUASI in samplers else ""
    return [
        Complaint(f"{word}.target_acceptance", repr(FLOW), "a number when no flow is sampled", hint) for word in matched
    ]


def _inner_steps(value: Lookup) -> list[Complaint]:
    kind, steps = value("action.kind"), value("hmc.inner_steps")
    if kind is None or steps in (1, None) or table_of(kind).terms:
        return []
    hint = f"only {', '.join(word for word in kinds() if table_of(word).terms)} have a term for steps of their own"
    return [Complaint("hmc.inner_steps", str(steps), f"1 with action.kind {kind}", hint)]


def _mixed_starts(value: Lookup) -> list[Complaint]:
    """Starts of the chains that stand for the target in the verdict on a flow."""
    samplers = value("sampling.samplers") or ()
    judge = next((word for word in TARGETS if word in samplers), None)
    start = None if judge is None else value(f"{judge}.start")
    if FLOW not in samplers or start in ("mixed", None):
        return []
    hint = "the verdict on the flow asks for chains from many starts"
    return [Complaint(f"{judge}.start", repr(start), "'mixed' when a flow is sampled", hint)]


def _given_start(value: Lookup) -> list[Complaint]:
    start, group = value("sampling.start_from"), value("action.group")
    if start is None or value("action.kind") is None or (group is not None and group.startswith("SU(")):
        return []
    hint = "files of gauge configurations hold matrices"
    return [Complaint("sampling.start_from", repr(start), "with a gauge theory of SU(N)", hint)]


def _ledger_only(value: Lookup) -> list[Complaint]:
    samplers = value("sampling.samplers")
    if not value("sampling.ledger_only") or samplers is None or set(REDRAWN) & set(samplers):
        return []
    hint = "only draws of a flow can be made again one by one; chains keep their configurations"
    return [Complaint("sampling.ledger_only", "true", "false when no flow is sampled", hint)]


def _quasi(value: Lookup) -> list[Complaint]:
    points, samplers = value(f"{QUASI}.points_per_scrambling"), value("sampling.samplers")
    if points is None or samplers is None or QUASI not in samplers or points & (points - 1) == 0:
        return []
    near = 1 << (points.bit_length() - 1)
    hint = "where the points of a scrambling are most even"
    allowed = f"a power of two, such as {near} or {2 * near}"
    return [Complaint(f"{QUASI}.points_per_scrambling", str(points), allowed, hint)]


def _chains(value: Lookup) -> list[Complaint]:
    wanted, samplers = value("sampling.configurations"), value("sampling.samplers")
    if wanted is None or samplers is None:
        return []
    chains = {f"{word}.chains": value(f"{word}.chains") for word in CHAINS if word in samplers}
    allowed = f"at most sampling.configurations, {wanted}"
    return [Complaint(key, str(n), allowed) for key, n in chains.items() if n is not None and n > wanted]


def _records(value: Lookup) -> list[Complaint]:
    """Errors need a few records of every chain; more chains than configurations are refused already."""
    wanted, size, samplers = (value(f"sampling.{name}") for name in ("configurations", "block_size", "samplers"))
    if wanted is None or size is None or samplers is None:
        return []
    chains = {f"{word}.chains": value(f"{word}.chains") for word in CHAINS if word in samplers}
    short = {key: n for key, n in chains.items() if n is not None and n <= wanted and records(wanted, size, n) < LEAST}
    hint = f"errors need {LEAST} records of every chain"
    if short and wanted < LEAST:
        return [Complaint("sampling.configurations", str(wanted), f"at least {LEAST} for every chain", hint)]
    allowed = f"at most {wanted // LEAST}, with sampling.configurations {wanted} in blocks of {size}"
    return [Complaint(key, str(n), allowed, hint) for key, n in short.items()]


def records(configurations: int, block_size: int, chains: int) -> int:
    """Records of every chain: blocks are whole, and hold at least one of each."""
    per_block = max(1, block_size // chains)
    return per_block * -(-configurations // (per_block * chains))


def _least_squares(value: Lookup) -> list[Complaint]:
    if value("training.loss") != "least_squares":
        return []
    if _of_flow(value, "linear"):
        few = value("training.batch_size") == 1
        return [Complaint("training.batch_size", "1", "at least 2", "with training.loss least_squares")] if few else []
    linear = " or ".join(kind for kind, table in flow_tables().items() if table.linear)
    hint = "weights that are the solution of linear equations"
    return [
        Complaint("training.loss", f"'least_squares' with a {value('flow.kind')} flow", f"flow.kind {linear}", hint)
    ]


def _curriculum(value: Lookup) -> list[Complaint]:
    lists = {name: value(f"training.curriculum.{name}") for name in ("extents", "couplings", "steps")}
    rates = value("training.curriculum.learning_rates")
    if any(entries is None for entries in lists.values()) or not (any(lists.values()) or rates):
        return []
    lists |= {"learning_rates": rates} if rates else {}
    n = len(lists["extents"])
    found = [
        Complaint(f"training.curriculum.{name}", f"{len(entries)} entries", f"as many as extents, {n}")
        for name, entries in lists.items()
        if len(entries) != n
    ]
    if not _of_flow(value, "transfers"):
        hint = "weights of other flows belong to their lattice"
        found.append(Complaint("training.curriculum", f"with a {value('flow.kind')} flow", "continuous flows", hint))
    kind = value("action.kind")
    if kind is not None and COUPLING not in table_of(kind).free_parameters:
        found.append(Complaint("training.curriculum", f"with action.kind {kind}", _with_parameter(COUPLING)))
    return found


COUPLING = "coupling"
"""The parameter that a curriculum changes, and a range by default."""


def _with_parameter(name: str) -> str:
    """The kinds of theories with a parameter that can be changed alone."""
    return " or ".join(f'"{kind}"' for kind in kinds() if name in table_of(kind).free_parameters)


COUPLINGS_PER_STEP = 8
"""Couplings of the range in one training step of a conditional flow."""


def _coupling_range(value: Lookup) -> list[Complaint]:
    ends, kind = value("flow.coupling_range"), value("action.kind")
    name = value("flow.parameter") or COUPLING
    batch, loss = value("training.batch_size"), value("training.loss")
    if ends is None:
        return []
    found = []
    own = " or ".join(f'"{word}"' for word in table_of(kind).free_parameters) if kind is not None else ""
    if kind is not None and name != COUPLING and own and name not in table_of(kind).free_parameters:
        return [Complaint("flow.parameter", repr(name), f"{own} with action.kind {kind}")]
    if not ends[0] < ends[1]:
        found.append(Complaint("flow.coupling_range", str(list(ends)), "two increasing numbers > 0"))
    if kind is not None and name not in table_of(kind).free_parameters:
        hint = f"elsewhere {name} is not the only number that changes, or there is none"
        hint += f"; flow.parameter may be {own} here" if own else ""
        found.append(Complaint("flow.coupling_range", f"with action.kind {kind}", _with_parameter(name), hint))
    if batch is not None and batch % COUPLINGS_PER_STEP:
        hint = "every step divides its draws among so many couplings"
        allowed = f"a multiple of {COUPLINGS_PER_STEP} with flow.coupling_range"
        found.append(Complaint("training.batch_size", str(batch), allowed, hint))
    if loss in WITH_TARGETS:
        hint = "a forward KL reads draws of one theory"
        found.append(
            Complaint("training.loss", repr(loss), "reverse_kl or path_gradient with flow.coupling_range", hint)
        )
    return found


def _gradient_flow(value: Lookup) -> list[Complaint]:
    kind, shape, action = value("gradient_flow.kind"), value("lattice.shape"), value("action.kind")
    if kind in (None, "none") or shape is None or action is None:
        return []
    if "gradient_flow" not in table_of(action).sections or len(shape) != 4:
        hint = "t² E(t) is a pure number only there"
        allowed = '"none" outside gauge theories in four dimensions'
        return [Complaint("gradient_flow.kind", repr(kind), allowed, hint)]
    spacing, records, end = value("gradient_flow.spacing"), value("gradient_flow.records"), min(shape) ** 2 / 32
    if spacing is None or records is None or spacing * records <= end * (1 + _ROUNDING):
        return []
    hint = f"beyond t = {end:g} the smoothing radius √(8t) exceeds half of the shortest extent, {min(shape)}"
    most = math.floor(end / spacing * (1 + _ROUNDING))
    if most < LEAST_RECORDS:
        allowed = f"at most {end / LEAST_RECORDS:g}"
        return [Complaint("gradient_flow.spacing", repr(spacing), allowed, hint)]
    return [Complaint("gradient_flow.records", str(records), f"at most {most} with spacing {spacing:g}", hint)]


def _observables(value: Lookup) -> list[Complaint]:
    asked, kind = value("measure.observables"), value("action.kind")
    if not asked or kind is None:
        return []
    known = (*(name for name, words in theory_of(kind).observables.items() if words.estimated), *further())
    if len(set(asked)) < len(asked):
        return [Complaint("measure.observables", str(list(asked)), "each observable once")]
    return [
        Complaint("measure.observables", repr(name), ", ".join(dict.fromkeys(known)))
        for name in asked
        if name not in known
    ]


def _smearing(value: Lookup) -> list[Complaint]:
    kind, shape, action = value("smearing.kind"), value("lattice.shape"), value("action.kind")
    if kind in (None, "none") or shape is None or action is None:
        return []
    if "smearing" in table_of(action).sections and len(shape) > 2 and min(shape[:-1]) > 1 and shape[-1] > 2:
        return []
    allowed = '"none" outside gauge theories with two directions of space and 3 or more sites in time'
    return [Complaint("smearing.kind", repr(kind), allowed, "a potential needs loops of two lengths in time")]


_RULES: tuple[Rule, ...] = (
    _volume,
    own_shape,
    _samplers_of_action,
    *all_rules(),
    _even_extents,
    _flow_of_action,
    _flow_lattice,
    doubling,
    stripes,
    multiscale_links,
    _kernel,
    _splines,
    _warmup,
    _least_squares,
    _curriculum,
    _coupling_range,
    _once,
    _reduced,
    _matched_acceptance,
    _inner_steps,
    _mixed_starts,
    _given_start,
    _ledger_only,
    _quasi,
    _chains,
    _records,
    _gradient_flow,
    _smearing,
    _observables,
)
