"""From version 1 of ``results.json`` to version 2, which adds the theory, the words of observables and their axes.

Early files of version 1 lack the tables that were added later, and hold one reason of the verdict.
"""

from collections.abc import Mapping
from typing import Any

from latflow.results.records import SCHEMA
from latflow.results.vocabulary import Vocabulary, described

_CHECK = {"error": None, "limit": "", "passed": False}
_VERDICT = {"lost_weight": None, "lost_weight_error": None}


def upgraded(record: Mapping[str, Any], vocabulary: Vocabulary, study: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same results as version 2, as plain data.

    Args:
        record: The content of the file, without its checksum.
        vocabulary: Words and theories.
        study: The study as plain data; None if it is not known.
    """
    theory = None if study is None else vocabulary.theory(study)
    times = tuple((record.get("gradient_flow") or {}).get("times") or ())
    lengths = {row["observable"]: _length(row["value"]) for row in record["estimates"]}
    lattice = () if theory is None else theory.lattice
    observables = described(lengths, vocabulary, shape=lattice, flow_times=times)
    return {
        **record,
        "schema": SCHEMA,
        "date": None,
        "theory": None if theory is None else theory.model_dump(mode="json"),
        "observables": {name: found.model_dump(mode="json") for name, found in observables.items()},
        "verdict": _verdict(record["verdict"]),
        **{name: record.get(name) or {} for name in ("chains", "samplers", "cost")},
    }


def _length(value: object) -> int | None:
    return len(value) if isinstance(value, list) else None


def _verdict(found: Mapping[str, Any]) -> dict[str, Any]:
    reasons = found["reasons"] if "reasons" in found else [found["reason"]]
    evidence = [{**_CHECK, **check} for check in found.get("evidence") or ()]
    kept = {name: value for name, value in found.items() if name != "reason"}
    return {**_VERDICT, **kept, "reasons": reasons, "evidence": evidence}
