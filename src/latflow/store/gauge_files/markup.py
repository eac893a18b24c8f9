"""The XML of gauge files, read without document types, entities or anything fetched.

Only element names and their text are wanted. Records may begin with a line break, end with a NUL that QIO counts as
part of them, pad their values, and use or leave out name spaces.
"""

import re
from xml.parsers import expat

from latflow.store.records import FormatError

LARGEST = 1 << 20
"""Bytes of an XML record; real ones have hundreds, action descriptions a few thousand."""

_DEEPEST = 100
_BLANK = b" \t\r\n\0"
_ELEMENT = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)>([^<>]{0,1000})</(?:[\w.-]+:)?\1>")


class MalformedError(FormatError):
    """XML that is not well-formed."""


def texts(data: bytes, *, what: str) -> dict[str, list[str]]:
    """Text of every element by its name without prefix, stripped, in the order of the closing tags.

    Raises:
        MalformedError: Not well-formed.
        FormatError: With a document type, or too deep.
    """
    collector = _Collector(what)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = collector.start, collector.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = collector.text, collector.doctype
    try:
        parser.Parse(data.strip(_BLANK), True)  # noqa: FBT003  (positional in every version)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise MalformedError(f"{what}: not XML", value=str(error), hint="the file is damaged") from error
    return collector.found


def loose_texts(data: bytes) -> dict[str, list[str]]:
    """Text of the innermost elements of XML that is not well-formed: what stands between a tag and its end."""
    found: dict[str, list[str]] = {}
    for tag, text in _ELEMENT.findall(data.decode("utf-8", "replace")):
        found.setdefault(tag, []).append(text.strip().strip("\0").strip())
    return found


def before_nul(data: bytes) -> tuple[bytes, int]:
    """The part before the first NUL, and how many bytes that are no blanks or NULs come after it."""
    head, _, tail = data.strip(_BLANK).partition(b"\0")
    return head, len(tail.strip(_BLANK))


class _Collector:
    """Keeps the text of elements as they close."""

    def __init__(self, what: str) -> None:
        self.found: dict[str, list[str]] = {}
        self._what = what
        self._open: list[tuple[str, list[str]]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        if len(self._open) == _DEEPEST:
            raise FormatError(f"{self._what}: XML", value=f"more than {_DEEPEST} elements inside each other")
        self._open.append((name.rpartition(":")[2], []))

    def text(self, piece: str) -> None:
        if self._open:
            self._open[-1][1].append(piece)

    def end(self, name: str) -> None:
        del name
        tag, pieces = self._open.pop()
        self.found.setdefault(tag, []).append("".join(pieces).strip().strip("\0").strip())

    def doctype(self, *parts: object) -> None:
        del parts
        raise FormatError(
            f"{self._what}: XML with a document type", allowed="plain elements", hint="refused for safety"
        )


def one(found: dict[str, list[str]], tag: str, *, what: str, default: str | None = None) -> str:
    """The text of an element that is there exactly once, or several times with the same text.

    Raises:
        FormatError: It is missing, or there are several that differ.
    """
    values = set(found.get(tag, [] if default is None else [default]))
    if len(values) != 1:
        raise FormatError(f"{what}: element <{tag}>", value=f"{len(values)} values", allowed="exactly one")
    return values.pop()


def whole(text: str, *, what: str, largest: int = 1 << 20) -> int:
    """A positive decimal number.

    Raises:
        FormatError: Anything else.
    """
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else 0
    if not 1 <= number <= largest:
        raise FormatError(what, value=repr(text[:40]), allowed=f"a whole number from 1 to {largest}")
    return number


def escape(text: str) -> str:
    """Escape text for the inside of an element; characters that XML cannot hold become question marks."""
    plain = "".join(c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c != "\uffff" else "?" for c in text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
