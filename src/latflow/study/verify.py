"""The verify verb: whether an artefact on disk is unchanged, and reproduces the numbers stored with it.

Hashes are compared, and then physics: actions and log-densities are recomputed, the accept/reject chain is replayed,
every parent is looked up. Each line holds a number, its limit and a verdict.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from latflow.errors import LatflowError, MissingInputError
from latflow.flows.architectures import cast
from latflow.flows.continuous import PROMISED_LOG_PROB_ERROR
from latflow.given import path_of
from latflow.randomness import split
from latflow.samplers.draws import log_uniforms
from latflow.samplers.independence import accept_sequence
from latflow.store.atomic import sha256_file
from latflow.store.blocks import decode_block
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.store.records import JSON, ChecksumError
from latflow.study.absent import absent
from latflow.study.build import build_action, stream, study_flow
from latflow.study.card import CARD, read_card
from latflow.study.checks import INSTALLED, OUT_OF_DATE, UNFINISHED, UNINFORMATIVE, Check
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.methods import FLOW, SCRAMBLINGS, method_of
from latflow.study.context import RunContext, Silent
from latflow.study.models import load_whole
from latflow.study.stages import evidence
from latflow.study.stages.analysis import PROGRAM, file_inputs, inputs_of
from latflow.study.stages.chains import load_start, one_block
from latflow.study.stages.files import changed_files
from latflow.study.stages.integration import as_drawn, log_prob_limit
from latflow.study.stages.provenance import elsewhere, is_other_program, origin
from latflow.study.stages.redraw import FieldSource, origin_of
from latflow.study.stages.scramblings import Layout
from latflow.study.stages.sources import draw_keys, drawing, source
from latflow.study.stages.training import load_flow, production_flow
from latflow.study.unfinished import unfinished
from latflow.study.verify_reduced import missing_averages, verify_reduced
from latflow.study.wording import read_results
from latflow.training.model_file import require_whole

RECOMPUTED = 256
"""Configurations per ensemble whose action and log-density are recomputed."""

ROUNDING = 1e-8
"""Largest relative difference of a first record that other threads, devices or versions explain by rounding."""

TOLERANCE = 1e-10
"""Largest deviation per square root of the number of sites."""


def verify(path: str | Path) -> list[Check]:
    """Verify a run directory, an ensemble or measurement directory, or a model directory.

    Of a run that was made with packages which are not here the files alone are verified, and one check fails.

    Raises:
        MissingInputError: If `path` is none of these.
    """
    path = path_of("path", path, "a run, an ensemble or a model").resolve()
    root = next((place for place in (path, *path.parents) if (place / "study.toml").exists()), None)
    missing = None if root is None else absent(root)
    if missing is not None and missing.parts:
        return [*_verify_files(path), Check(INSTALLED, str(missing), "all", passed=False)]
    if root == path:
        return _verify_run(path)
    if (path / "manifest.json").exists():
        return _verify_ensemble(path, root)
    if (path / "model.json").exists():
        # Only the model of a run is compared with its study; another directory inside a run is not.
        return _verify_model(path, root if root is not None and path == root / "model" else None)
    raise MissingInputError(str(path), value="no run, ensemble or model", hint="name a directory that `run` wrote")


def _verify_run(path: Path) -> list[Check]:
    checks: list[Check] = []
    if (path / "model" / "model.json").exists():
        checks += _verify_model(path / "model", path)
    for kind in ("ensembles", "measurements"):
        for directory in sorted((path / kind).glob("*/manifest.json")):
            checks += _verify_ensemble(directory.parent, path)
    if (path / "ensembles" / "evidence.h5").exists():
        checks.append(_verify_evidence(_context(path)))
    checks += verify_reduced(path)
    if (path / "results.json").exists():
        checks += _verify_inputs(path, _context(path))
    if told := unfinished(path):
        # alone it is no pass: nothing was looked at
        checks.append(Check("model: training", told, "any", passed=bool(checks), state=UNFINISHED))
    return checks


def _verify_files(path: Path) -> list[Check]:
    """What holds whatever the files mean: every hash, and that results are those of these files."""
    if (path / "manifest.json").exists():
        return _verify_ensemble(path, None)
    if (path / "model.json").exists():
        return [_whole("model: hash", lambda: require_whole(path))]
    checks = (
        [_whole("model: hash", lambda: require_whole(path / "model"))] if (path / "model/model.json").exists() else []
    )
    for manifest in sorted(path.glob("*/*/manifest.json")):
        checks += _verify_ensemble(manifest.parent, None)
    checks += [
        _whole(f"{file.parent.name}/{file.name}: file", lambda file=file: decode_block(file))
        for file in sorted((path / "ensembles").glob("*.h5"))
    ]
    checks += verify_reduced(path)
    return [*checks, *(_verify_inputs(path, None) if (path / "results.json").exists() else [])]


def _whole(name: str, read: Callable[[], object]) -> Check:
    try:
        read()
    except LatflowError as error:
        return Check(name, str(error), "not damaged", passed=False)
    return Check(name, "match", "match", passed=True)


def _verify_model(path: Path, root: Path | None) -> list[Check]:
    """The header is whole, the weights are those it names, the log is readable, and log q is the same both ways."""
    name = "model: hash and shapes"
    allowed = "as in model.json" if root is None else "as in model.json and study.toml"
    try:
        if (path / CARD).exists():
            _require_card(path)
        if root is None:
            model, config, header = load_whole(path)
            flow = production_flow(study_flow(cast(model, "float64"), config), header)
        else:
            config = load_study(root / "study.toml")
            flow, header = load_flow(_context(root))
    except LatflowError as error:
        return [Check(name, str(error), allowed, passed=False)]
    keys = split(stream(config, "check"), RECOMPUTED)
    x, log_prob = jax.jit(jax.vmap(flow.sample_and_log_prob))(keys)
    back = jax.jit(jax.vmap(flow.log_prob))(x)
    return [
        Check(name, "match", allowed, passed=True),
        _deviation("model: log q of draws = log_prob", log_prob, back, limit=_density_limit(config, header)),
    ]


def _require_card(path: Path) -> None:
    """A model with a card beside it is the one that the card describes."""
    card, found = read_card(path), sha256_file(path / "model.json")
    if found != card.content["model"]:
        raise ChecksumError(f"{path}: not the model of its card", value=found[:16], allowed=card.content["model"][:16])


def _verify_ensemble(path: Path, root: Path | None) -> list[Check]:
    name = f"{path.parent.name}/{path.name}"
    try:
        ensemble = Ensemble.open(path, writable=False)
        problems = ensemble.verify()
    except LatflowError as error:
        return [Check(f"{name}: files", str(error), "none damaged", passed=False)]
    checks = [
        Check(f"{name}: {ensemble.n_blocks} blocks, hashes and ledger", p, "none damaged", passed=False)
        for p in problems
    ]
    if not problems and not ensemble.n_blocks:
        return [Check(f"{name}: blocks", "none yet", "none damaged", passed=True, state=UNINFORMATIVE)]
    if problems or root is None:
        return checks or [
            Check(f"{name}: {ensemble.n_blocks} blocks, hashes and ledger", "intact", "none damaged", passed=True)
        ]
    checks = [Check(f"{name}: {ensemble.n_blocks} blocks, hashes and ledger", "intact", "none damaged", passed=True)]
    if ensemble.manifest["kind"] == "measurement":
        return [*checks, _sources(name, ensemble, Ensemble.open(root / "ensembles" / path.name, writable=False))]
    context = _context(root)
    try:
        method = method_of(ensemble.manifest["sampler"])
    except LatflowError as error:
        return [*checks, Check(f"{name}: sampler", str(error), "an installed one", passed=False)]
    if method.stage in ("draws", "scramblings"):
        return checks + _verify_draws(name, ensemble, context)
    if method.stage == "files":
        return [*checks, _files(name, ensemble, context)]
    last = ensemble.read(ensemble.n_blocks - 1, ("fields",)).arrays["fields"][-1]
    return [*checks, _inside(name, last, context), _replay_chains(name, ensemble, context)]


def _verify_draws(name: str, ensemble: Ensemble, context: RunContext) -> list[Check]:
    """Look at the last block again: its fields, what follows from them, and every decision."""
    last, identity = ensemble.n_blocks - 1, ensemble.manifest["identity"]
    fields_of = FieldSource(context, ensemble)
    again = f"{name}: last block drawn again"
    try:
        fields, level = fields_of.read(last)
    except LatflowError as error:
        return [Check(again, str(error), "exact, or close on another platform", passed=False)]
    block = ensemble.read(last).arrays
    flow, header = load_flow(context) if "model" in identity else (None, {})
    checks = [] if flow is None else [_parent(name, identity["model"], header["sha256"])]
    checks += [] if fields_of.stored else [Check(again, level, "exact or close", passed=True)]
    x = jnp.asarray(fields[:RECOMPUTED])
    if "action" in block:
        action, stored = jax.jit(jax.vmap(build_action(context.config)))(x), block["action"][:RECOMPUTED]
        checks.append(_deviation(f"{name}: stored action = S(x)", stored, action, limit=_rounding(context.config)))
    sampler = ensemble.manifest["sampler"]
    if sampler in (FLOW, *SCRAMBLINGS) and flow is not None:
        stored, found = block["log_prob"], jax.jit(jax.vmap(as_drawn(ensemble.manifest, flow).log_prob))(x)
        limit = log_prob_limit(ensemble.manifest, _density_limit(context.config, header))
        checks.append(_deviation(f"{name}: stored log q = log_prob(x)", stored[:RECOMPUTED], found, limit=limit))
    else:
        checks += [_inside(name, fields, context), *([_redrawn(name, ensemble, context)] if fields_of.stored else [])]
    if sampler in SCRAMBLINGS:
        again = [_redrawn(name, ensemble, context)] if fields_of.stored else []
        return [*checks, *again, _places(name, ensemble)]
    return [*checks, _replay(name, ensemble, context.config)]


def _places(name: str, ensemble: Ensemble) -> Check:
    """Every block holds the points of the scrambling whose turn it was."""
    layout = Layout.of(ensemble)
    told = [ensemble.read(block, ()).attributes for block in range(ensemble.n_blocks)]
    found = [(of["scrambling"], of["first"]) for of in told]
    wrong = sum(found[block] != layout.place(block) for block in range(ensemble.n_blocks))
    return Check(f"{name}: blocks go round {layout.scramblings} scramblings", wrong, 0, passed=wrong == 0)


def _parent(name: str, named: str, found: str) -> Check:
    return Check(f"{name}: parent model", named[:16], found[:16], passed=named == found)


def _redrawn(name: str, ensemble: Ensemble, context: RunContext) -> Check:
    """Make the last block again and compare its columns."""
    sampler, block = ensemble.manifest["sampler"], ensemble.read(ensemble.n_blocks - 1)
    n = ensemble.manifest["identity"]["block_size"]
    drawn = drawing(context.config, sampler, source(context, sampler).sampler)(block.attributes, n)
    made = {"fields": drawn.x, "log_weight": drawn.log_weight, **drawn.columns}
    pairs = [(np.asarray(made[column]), block.arrays[column]) for column in made]
    return _made_again(f"{name}: last block made again", pairs, pairs, kept=origin_of(ensemble, block))


def _replay(name: str, ensemble: Ensemble, config: StudyConfig) -> Check:
    """Repeat every accept/reject decision from the stored weights."""
    log_weights, index = ensemble.column("log_weight"), ensemble.column("index")
    key = draw_keys(config, ensemble.manifest["sampler"])[1]
    uniforms = log_uniforms(key, jnp.arange(log_weights.size))
    replayed, _ = accept_sequence(jnp.asarray(log_weights), uniforms, log_weight=-math.inf, index=-1, first=0)
    different = int(np.sum(np.asarray(replayed) != index))
    return Check(f"{name}: accept/reject replayed, {index.size} decisions", different, 0, passed=different == 0)


def _inside(name: str, fields: np.ndarray, context: RunContext) -> Check:
    """The last configurations lie in their space: finite numbers, links in the group."""
    defect = jax.jit(jax.vmap(build_action(context.config).space.defect))(jnp.asarray(fields))
    value = float(jnp.max(defect))
    return Check(f"{name}: last configurations lie in their space", value, TOLERANCE, passed=value <= TOLERANCE)


def _replay_chains(name: str, ensemble: Ensemble, context: RunContext) -> Check:
    """Make the first block again from the stored start and compare configurations."""
    sampler = str(ensemble.manifest["sampler"])
    kernel, start = load_start(context, sampler)
    n = ensemble.manifest["identity"]["records_per_block"]
    _, columns, _ = one_block(context, sampler, kernel, start, first=0, n=n)
    block = ensemble.read(0, ("fields",))
    made, stored = columns["fields"], block.arrays["fields"]
    first = [(made[0], stored[0])]
    return _made_again(f"{name}: first block made again", [(made, stored)], first, kept=origin_of(ensemble, block))


Pairs: TypeAlias = Sequence[tuple[np.ndarray, np.ndarray]]


def _made_again(name: str, pairs: Pairs, first: Pairs, *, kept: JSON) -> Check:
    """Equal bits are promised by equal origins only; elsewhere roundings differ, and chains amplify what differs.

    Args:
        name: Of the check.
        pairs: Arrays made here and those stored.
        first: The same for what nothing has amplified: the first record of chains.
        kept: Origin of what is stored.
    """
    deviation, why = _largest(pairs), elsewhere(kept, here := origin())
    if deviation == 0.0 or not why:
        return Check(name, deviation, 0.0, passed=deviation == 0.0)
    if _largest(first) <= ROUNDING:
        told = f"made elsewhere: differs by rounding, {deviation:.1e}"
        return Check(name, told, f"{ROUNDING:.0e} at first; {why}", passed=True)
    # another version of this program may draw and move otherwise
    other = is_other_program(kept, here)
    return Check(name, deviation, f"not asked; {why}" if other else f"{ROUNDING:.0e} at first; {why}", passed=other)


def _largest(pairs: Pairs) -> float:
    """Largest difference, in units of the largest entry where that exceeds one."""
    differ = [(a[a != b], b[a != b], max(1.0, float(np.max(np.abs(b))))) for a, b in pairs]
    return float(np.max([0.0, *(np.max(np.abs(a - b)) / size for a, b, size in differ if a.size)]))


def _files(name: str, ensemble: Ensemble, context: RunContext) -> Check:
    """The files of another code are those that were entered."""
    what = f"{name}: {ensemble.n_records} files unchanged"
    try:
        changed = changed_files(context, ensemble)
    except LatflowError as error:
        return Check(what, str(error), "all", passed=False)
    return Check(what, ", ".join(changed[:3]) or "all", "all", passed=not changed)


def _sources(name: str, measurement: Ensemble, ensemble: Ensemble) -> Check:
    """Every measurement block names the ensemble block it was measured on."""
    hashes = [entry.sha256 for entry in ensemble.entries]
    wrong = sum(measurement.read(i, ()).attributes["source"] != hashes[i] for i in range(measurement.n_blocks))
    return Check(f"{name}: blocks measured on this ensemble", wrong, 0, passed=wrong == 0)


def _verify_evidence(context: RunContext) -> Check:
    """The evidence is the one that the model and the chains of the run give, as they are now."""
    try:
        if not evidence.is_current(context):
            return _out_of_date("evidence: of the draws that were there")
        value = evidence.deviation(context, first=RECOMPUTED)
    except LatflowError as error:
        return Check("evidence: files", str(error), "none damaged", passed=False)
    limit = _rounding(context.config)
    return Check("evidence: stored log q = log_prob at target draws", value, limit, passed=value <= limit)


def _verify_inputs(path: Path, context: RunContext | None) -> list[Check]:
    """The results are as they were written, and so is all that they were computed from.

    Without a study that can be read, files alone are compared.
    """
    name = "results.json: checksum"
    try:
        provenance = read_results(path / "results.json").provenance
        inputs = {} if provenance is None else provenance.inputs
        now = _files_now(path, inputs) if context is None else inputs_of(context, writable=False)
    except LatflowError as error:
        return [Check(name, str(error), "match; `latflow measure` writes it anew", passed=False)]
    compared = {*now} if context is None else {*inputs, *now} - {PROGRAM}
    stale = sorted(key for key in compared - missing_averages(inputs, now) if inputs.get(key) != now.get(key))
    # results of another version are no damage: the next analysis makes them anew
    current = context is None or inputs.get(PROGRAM) == now[PROGRAM]
    age = [] if current else [_out_of_date("results.json: estimates")]
    found = [Check(name, "match", "match", passed=True), *age]
    if stale and context is not None and _has_grown(context, inputs, stale):
        return [*found, _out_of_date("results.json: inputs", ", ".join(key for key in stale if key not in _FOLLOW))]
    unchanged = Check("results.json: inputs unchanged", ", ".join(stale) or "all", "all", passed=not stale)
    return [*found, unchanged]


def _out_of_date(name: str, what: str = "") -> Check:
    """What the next analysis makes anew; nothing is damaged."""
    value = f"out of date{f', more of {what}' if what else ''}; analyse again"
    return Check(name, value, "any", passed=True, state=OUT_OF_DATE)


_GROWING = ("ensembles/", "measurements/")
_FOLLOW = ("config", "evidence")
"""Inputs that change with an extension: the number of configurations in the study, and densities of the new draws."""


def _has_grown(context: RunContext, inputs: Mapping[str, str | None], stale: list[str]) -> bool:
    """Whether all that changed since results were made is that ensembles were extended or added."""
    grown = [key for key in stale if key.startswith(_GROWING) and _was_shorter(context, key, inputs.get(key))]
    return bool(grown) and set(stale) <= {*grown, *_FOLLOW}


def _was_shorter(context: RunContext, key: str, digest: str | None) -> bool:
    return digest is None or Ensemble.open(context.path(*key.split("/")), writable=False).was(digest)


def _files_now(path: Path, inputs: Mapping[str, Any]) -> dict[str, str | None]:
    samplers = [key.partition("/")[2] for key in inputs if key.startswith("measurements/")]
    return file_inputs(path, samplers, writable=False)


def _rounding(config: StudyConfig) -> float:
    return TOLERANCE * math.sqrt(math.prod(config.lattice.shape))


def _density_limit(config: StudyConfig, header: dict[str, Any]) -> float:
    """A continuous flow finds log q of a given field by integrating backwards, with an error of its own."""
    return PROMISED_LOG_PROB_ERROR if "integration" in header else _rounding(config)


def _deviation(name: str, a: object, b: object, *, limit: float) -> Check:
    value = float(np.max(np.abs(np.asarray(a) - np.asarray(b))))
    return Check(name, value, limit, passed=value <= limit)


def _context(root: Path) -> RunContext:
    return RunContext(
        config=load_study(root / "study.toml"), directory=root, progress=Silent(), interrupts=Interrupts()
    )
