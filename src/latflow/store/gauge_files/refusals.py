"""Exceptions for gauge configurations in files."""

from latflow.errors import DataError
from latflow.store.records import FormatError


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
