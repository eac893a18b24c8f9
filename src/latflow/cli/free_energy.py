"""The free-energy command: one line per estimate of the difference of two free energies."""

import dataclasses
from pathlib import Path

from latflow.cli.device import prepare_jax
from latflow.cli.output import emit, emit_json, table_lines
from latflow.errors import MissingInputError


def compare(first: Path, second: Path, *, machine: bool) -> None:
    """Print F_B − F_A of two runs, and per site.

    Raises:
        MissingInputError: If one of them is no run directory.
    """
    for path in (first, second):
        if not (path / "study.toml").is_file():
            raise MissingInputError(str(path), value="no run", hint="name a directory that `latflow run` wrote")
    prepare_jax()
    from latflow.report.field import measured_by
    from latflow.report.numbers import ABSENT, plain, shown
    from latflow.study.free_energy import free_energy_differences, measures

    found, fields = free_energy_differences(first, second), measures(first, second)
    if machine:
        rows = [{**dataclasses.asdict(row), "state": row.state} for row in found]
        told = {f"normalisation_{name}": field.model_dump() for name, field in zip("ab", fields, strict=True)}
        emit_json({"a": str(first), "b": str(second), **told, "differences": rows})
        return
    cells = [
        [
            row.way,
            shown(row.value, row.error, row.state),
            shown(row.per_site, row.per_site_error, row.state),
            ABSENT if row.n is None else str(row.n),
            plain(row.tail, 2),
            row.doubt,
        ]
        for row in found
    ]
    emit(f"A: {first}\nB: {second}")
    for name, field in zip("AB", fields, strict=True):
        emit(f"F_{name} = −log Z_{name}, {measured_by(field)}")
    emit("\n".join(table_lines([["way", "F_B − F_A", "per site", "N", "k̂", "doubt"], *cells])))
    if any(row.doubt for row in found):
        emit("(≥…): something speaks against it, see doubt; its error is only a lower bound.")
