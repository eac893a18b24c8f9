"""Origin of a configuration as stated in its file, and how much of that another format can hold.

NERSC headers have keys for most of it. ILDG has a record for the logical file name and, like SciDAC, free text in the
user record, where the rest is written as NERSC's lines ``KEY = value``. MILC has a date; openQCD has nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

UNKNOWN = "unknown"
"""Written where a format requires a value that is not known; read as empty."""

KEYS = {
    "ensemble_id": "ENSEMBLE_ID",
    "ensemble_label": "ENSEMBLE_LABEL",
    "sequence_number": "SEQUENCE_NUMBER",
    "creator": "CREATOR",
    "hardware": "CREATOR_HARDWARE",
    "created": "CREATION_DATE",
}
"""NERSC's name of each field."""

_LINES = {**KEYS, "lfn": "LFN"}
_HELD = {"nersc": tuple(KEYS), "nersc-two-row": tuple(KEYS), "milc": ("created",), "openqcd": ()}
_LONGEST = 1000  # of NERSC's values
_STAMP = 63  # characters of MILC's date, before a NUL
_LARGEST_TEXT = 1 << 18  # stays below the largest XML record that is read even if every character is escaped
_BLANK = " \t\r\n\0"
_UNWRITABLE = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML has no room for them
# cfg.8, conf_0100, openQCD's A1r001n40, but not beta6.25
_TRAJECTORY = re.compile(r"(?:^|[_-]|(?<![0-9])\.|(?:(?<=[0-9])|(?<![a-zA-Z]))n)([0-9]{1,9})$")


@dataclass(frozen=True)
class Provenance:
    """Origin of a configuration as stated in its file; fields that it does not state are empty.

    Attributes:
        lfn: Logical file name of the grid.
        ensemble_id: Name of the ensemble.
        ensemble_label: What it is, in a few words.
        sequence_number: Number of the trajectory.
        creator: Person or program that made it.
        hardware: Machine it was made on.
        created: Date as written in the file.
        information: Free text, such as the parameters of the run.
    """

    lfn: str = ""
    ensemble_id: str = ""
    ensemble_label: str = ""
    sequence_number: str = ""
    creator: str = ""
    hardware: str = ""
    created: str = ""
    information: str = ""

    def facts(self) -> dict[str, str]:
        """The fields that are not empty, by name."""
        return {name: text for name, text in asdict(self).items() if text}


NOTHING_KNOWN = Provenance()


def known(**found: str) -> Provenance:
    """Provenance from texts that were read: stripped, and without placeholders."""
    plain = {name: _UNWRITABLE.sub("?", "\n".join(text.splitlines()).strip(_BLANK)) for name, text in found.items()}
    return Provenance(**{name: "" if text == UNKNOWN else text for name, text in plain.items()})


def from_keys(header: Mapping[str, str]) -> Provenance:
    """From a NERSC header, overlong values cut. Number 0 without an ensemble means that the number is not known."""
    found = {name: header.get(key, "")[:_LONGEST] for name, key in KEYS.items()}
    if found["ensemble_id"] == UNKNOWN and found["sequence_number"] == "0":
        found["sequence_number"] = ""
    return known(**found)


def from_facts(found: object) -> Provenance:
    """From plain data such as `Provenance.facts`; unknown keys and values that are not text are left out."""
    names = {field.name for field in fields(Provenance)}
    pairs = found.items() if type(found) is dict else ()
    return Provenance(**{name: text for name, text in pairs if name in names and type(text) is str})


def from_text(text: str, **more: str) -> Provenance:
    """From free text whose last lines may be ``KEY = value``; these take precedence over `more`."""
    names = {key: name for name, key in _LINES.items()}
    lines, found = text.splitlines(), {}
    while lines:
        key, equals, value = lines[-1].partition(" = ")
        if not equals or key not in names or names[key] in found:
            break
        found[names[key]] = value
        lines.pop()
    return known(**{**more, **found, "information": "\n".join(lines)})


def as_text(provenance: Provenance, *, lfn: bool) -> str:
    """Free text that `from_text` reads, with the logical file name if `lfn` is true.

    An unknown date is written as such, so that the date of the record in the file is not taken for it.
    """
    names = [name for name in _LINES if name != "lfn" or lfn]
    facts = {"created": UNKNOWN, **provenance.facts()}
    return "\n".join(
        [*filter(None, [provenance.information]), *(f"{_LINES[n]} = {facts[n]}" for n in names if n in facts)]
    )


def held(provenance: Provenance, format: str) -> Provenance:
    """The part of the provenance that a format can hold."""
    if format in ("ildg", "scidac"):
        short = {name: _line(text) for name, text in provenance.facts().items() if name != "information"}
        text = provenance.information
        return Provenance(**short, information=text if len(text) <= _LARGEST_TEXT else "")
    kept = {name: text for name, text in provenance.facts().items() if name in _HELD[format]}
    if format == "milc":
        return Provenance(**{name: text for name, text in kept.items() if text.isascii() and len(text) <= _STAMP})
    number = kept.get("sequence_number", "")
    plain = {name: _ascii(_line(text))[:_LONGEST] for name, text in kept.items()}
    return replace(Provenance(**plain), sequence_number=number if number.isdecimal() and number.isascii() else "")


def left_out(provenance: Provenance, format: str) -> list[str]:
    """Names of the fields that a format cannot hold, or not as they are."""
    has, keeps = provenance.facts(), held(provenance, format).facts()
    return [name for name in has if keeps.get(name) != has[name]]


def number_in(name: str) -> str:
    """The trajectory number at the end of a file name without its ending; empty if there is none."""
    found = _TRAJECTORY.search(name)
    return found[1] if found else ""


def numbered(provenance: Provenance, name: str) -> Provenance:
    """The provenance with the trajectory number of the file name, if the file itself has none."""
    return provenance if provenance.sequence_number else replace(provenance, sequence_number=number_in(name))


def words(name: str) -> str:
    """The name of a field with blanks."""
    return name.replace("_", " ")


def _line(text: str) -> str:
    return " ".join(text.splitlines())


def _ascii(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
