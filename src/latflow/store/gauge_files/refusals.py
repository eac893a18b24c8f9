"""Exceptions for gauge configurations in files, and one word for the state of each.

*Damaged*: the links, or the sizes of the file, are not what it states. *Unreadable*: a value that the file states
cannot be read, which says nothing about the links. *Unsupported*: a variant that is not read here.
"""

from latflow.errors import DataError
from latflow.store.records import ChecksumError, FormatError


class LengthError(FormatError):
    """A file is shorter or longer than the sizes it declares; found before anything is allocated."""


class ShapeUnknownError(DataError):
    """The file does not say its own shape, and the caller did not either."""


class UnsupportedError(DataError):
    """A format that cannot hold such a configuration, or a variant of it that is not read here."""


class MeasuredError(DataError):
    """The links do not have the plaquette or the link trace that the file declares."""


class UnitarityError(DataError):
    """The links are not in SU(N): damaged, of another byte order, or no gauge field."""


class UnreadableError(FormatError):
    """A value that the file states cannot be read."""


class FlagsError(FormatError):
    """The flags of the records are not those of whole messages; links and checksums do not depend on them."""


class DisagreementError(FormatError):
    """The file states another layout than its caller."""


_WORDS: dict[type[DataError], str] = {
    ChecksumError: "DAMAGED",
    LengthError: "DAMAGED",
    MeasuredError: "DAMAGED",
    UnitarityError: "DAMAGED",
    UnreadableError: "UNREADABLE",
    UnsupportedError: "UNSUPPORTED",
    FlagsError: "FLAGS",
}


def word_of(refusal: type[DataError]) -> str:
    """DAMAGED, UNREADABLE, UNSUPPORTED, FLAGS, or FAIL for a file that contradicts itself or its caller."""
    return _WORDS.get(refusal, "FAIL")
