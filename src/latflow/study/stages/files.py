"""The configurations of another code as an ensemble of a run: a ledger of names, hashes and checks, without fields.

A block is measured by reading its files again; one that has changed since is refused. New files in the folder make
further blocks, so that an ensemble which grows is measured further, too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Complex

from latflow.errors import CannotCreateError
from latflow.stats.propagation import MINIMUM_RECORDS
from latflow.stats.replicas import Replicas
from latflow.store.blocks import Block
from latflow.store.ensemble import Ensemble
from latflow.store.gauge_files.configuration import Configuration
from latflow.store.records import ChecksumError, FormatError
from latflow.study.config import StudyConfig
from latflow.study.config.methods import GIVEN
from latflow.study.context import RunContext, identity
from latflow.study.foreign import AbstractCollection, collection_of, projected, replicas_of, require_usable
from latflow.study.stages import labels
from latflow.study.stages.provenance import origin
from latflow.study.streams import cut_into_parts


def gather(context: RunContext, sampler: str) -> None:
    """Enter every configuration that is not in the ledger yet, after all its checks.

    Raises:
        DataError: A configuration that fails a check, or of another lattice or group; or too few of them for errors,
            or two of one number, before any is read.
        CannotCreateError: A configuration of the ledger is no longer there.
    """
    found = collection_of(context.config)
    require_usable(found)
    ensemble = Ensemble.open_or_create(context.path("ensembles", sampler), _manifest(context, sampler))
    known = [name for block in ensemble.blocks(()) for name in block.attributes["files"]]
    gone = sorted(set(known) - set(found.names))
    if gone:
        hint = "put it back, or measure in another --run-dir"
        raise CannotCreateError(f"{_folder(context)}: {gone[0]} was measured and is gone", hint=hint)
    new = [name for name in found.names if name not in set(known)]
    if not new:
        context.progress.line(f"sample   {sampler}: up to date, {len(known)} configurations")
        _require_different(context, ensemble)
        return
    size = context.config.sampling.block_size
    context.progress.stage("sample", f"{sampler}, {len(new)} configurations of another code, checked")
    for start in range(0, len(new), size):
        chosen = new[start : start + size]
        read = [_checked(found, name, context.config) for name in chosen]
        columns = {"plaquette": np.array([each.plaquette for each in read])}
        ensemble.append(
            columns,
            n=len(chosen),
            attributes={"first": len(known) + start, "files": chosen, **_facts(found, chosen, read)},
            labels=labels.of_ensemble(columns, chains=True, n_dim=len(context.config.lattice.shape)),
        )
        context.progress.update(f"sample {sampler}", start + len(chosen), len(new), {})
        context.interrupts.check()
    _require_different(context, ensemble)


def _require_different(context: RunContext, ensemble: Ensemble) -> None:
    """Name files of one content; refuse a folder that holds a single configuration many times."""
    blocks = [block.attributes for block in ensemble.blocks(())]
    names = [name for block in blocks for name in block["files"]]
    hashes = [sha for block in blocks for sha in block["sha256"]]
    # the fields of an ensemble share files, and differ
    contents: dict[tuple[str, float], list[str]] = {}
    for name, sha, value in zip(names, hashes, ensemble.column("plaquette"), strict=True):
        contents.setdefault((sha, float(value)), []).append(name)
    copies = max(contents.values(), key=len)
    if len(copies) == 1:
        return
    what = f"{', '.join(copies[:3])}{', …' if len(copies) > 3 else ''} are the same file, byte by byte"
    if len(contents) == 1:
        hint = "one configuration has no errors; name a folder of different ones"
        raise FormatError(f"{_folder(context)}: all {len(names)} configurations are one: {what}", hint=hint)
    fewer = f"{len(names)} files hold {len(contents)} configurations, errors are too small"
    context.progress.line(f"warning  {what}: {fewer}")


def read_fields(
    context: RunContext, block: Block, found: AbstractCollection
) -> Complex[np.ndarray, "n one mu row column *sites"]:
    """The links of one block, in the group to double precision.

    Raises:
        ChecksumError: If a file is not the one that was entered.
    """
    fields = []
    for name, kept in zip(block.attributes["files"], block.attributes["sha256"], strict=True):
        if found.digest(name) != kept:
            hint = "measure in another --run-dir"
            raise ChecksumError(f"{name}: not the file that was entered before", value=kept[:12], hint=hint)
        fields.append(projected(found.read(name), name, context.config))
    return np.stack(fields)[:, None]


def by_replicas(
    context: RunContext, sampler: str, columns: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], Replicas | None]:
    """Columns of configurations of another code, in the order of their numbers; all others as they are.

    Replicas of one length without gaps are chains like any others. Where there are gaps, or lengths differ, columns
    keep axes (records, 1), and the numbers of the records come beside them.
    """
    if sampler not in GIVEN:
        return columns, None
    replicas, order = replicas_of(Ensemble.open(context.path("ensembles", sampler)))
    ordered = {name: column[order[order < len(column)]] for name, column in columns.items()}
    if not replicas.is_regular:
        return ordered, replicas
    n = len(replicas.names)
    return {name: np.swapaxes(column.reshape(n, -1, *column.shape[2:]), 0, 1) for name, column in ordered.items()}, None


def parts_of_files(
    context: RunContext, ensemble: Ensemble, columns: Mapping[str, np.ndarray]
) -> tuple[Complex[np.ndarray, "parts records ..."], dict[str, np.ndarray]]:
    """Links and columns of consecutive parts of every replica, which take the place of chains.

    Args:
        context: The run.
        ensemble: The ledger of the files, which are read again.
        columns: What was measured, with axes (1, record, …).

    Raises:
        ChecksumError: If a file is not the one that was entered.
        TooShortError: If there are too few configurations for two parts.
    """
    replicas, order = replicas_of(ensemble)
    parts = np.array(cut_into_parts([each.tolist() for each in replicas.split(order)], what=str(ensemble.path)))
    found = collection_of(context.config)
    x = np.concatenate([read_fields(context, block, found)[:, 0] for block in ensemble.blocks(())])
    return x[parts], {name: column[0][parts] for name, column in columns.items()}


def of_equal_length(columns: Mapping[str, np.ndarray], replicas: Replicas) -> dict[str, np.ndarray]:
    """Columns (records, replicas, …) of the first records of every replica that has enough for R̂."""
    lengths = [len(numbers) for numbers in replicas.numbers]
    enough = [n >= MINIMUM_RECORDS for n in lengths]
    kept = enough if any(enough) else [n == max(lengths) for n in lengths]
    length = min(n for n, keep in zip(lengths, kept, strict=True) if keep)
    pieces = {name: replicas.split(column[:, 0]) for name, column in columns.items()}
    return {
        name: np.stack([piece[:length] for piece, keep in zip(found, kept, strict=True) if keep], axis=1)
        for name, found in pieces.items()
    }


def changed_files(context: RunContext, ensemble: Ensemble) -> list[str]:
    """Names of the configurations that are no longer what was entered."""
    found = collection_of(context.config)
    there = set(found.names)
    attributes = [block.attributes for block in ensemble.blocks(())]
    pairs = [pair for each in attributes for pair in zip(each["files"], each["sha256"], strict=True)]
    return [name for name, kept in pairs if name not in there or found.digest(name) != kept]


def settings_of(context: RunContext, ensemble: Ensemble) -> dict[str, Any]:
    """What the results say of the ensemble: where it is, how many replicas and configurations, which gaps."""
    replicas, _ = replicas_of(ensemble)
    forced = sum(bool(checks) for block in ensemble.blocks(()) for checks in block.attributes["failed_checks"])
    return {
        "folder": _folder(context),
        "replicas": len(replicas.names),
        "configurations": replicas.size,
        "numbers": "; ".join(_stretch(name, n) for name, n in zip(replicas.names, replicas.numbers, strict=True)),
        "step": replicas.step,
        "gaps": replicas.gaps,
        **({"forced": forced} if forced else {}),
    }


def _folder(context: RunContext) -> str:
    settings: Any = getattr(context.config, "files")  # noqa: B009  (a section of the table of methods)
    return settings.folder


def _stretch(name: str, numbers: tuple[int, ...]) -> str:
    return f"{name} {numbers[0]} to {numbers[-1]}".strip()


def _checked(found: AbstractCollection, name: str, config: StudyConfig) -> Configuration:
    read = found.read(name)
    projected(read, name, config)
    return read


def _facts(found: AbstractCollection, names: list[str], read: list[Configuration]) -> dict[str, Any]:
    return {
        "sha256": [found.digest(name) for name in names],
        "numbers": [each.provenance.sequence_number for each in read],
        "failed_checks": [[check.name for check in each.failed] for each in read],
        "notes": [[f"{c.name}: {c.value}" for c in each.notes] for each in read],
        "formats": [each.format for each in read],
        "provenance": [each.provenance.facts() for each in read],
    }


def _manifest(context: RunContext, sampler: str) -> Mapping[str, Any]:
    config = context.config
    return {
        "kind": "ensemble",
        "labelled": True,
        "sampler": sampler,
        "identity": {
            **identity(config, "lattice", "action", sampler),
            "fields": "in the files of another code",
        },
        "origin": origin(),
    }
