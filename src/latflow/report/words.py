"""The form in which an observable is put into words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ObservableWords:
    """How one observable is written.

    Attributes:
        title: Words.
        symbol: Short symbol for tables; ``_{…}`` and ``^{…}`` are set low and high.
        math: The same in TeX, for figures.
        definition: What is measured, in the notation of the conventions.
        abscissa: Of an array, what its entries are numbered by.
        first: Number of the first entry.
    """

    title: str
    symbol: str
    math: str
    definition: str
    abscissa: str = "t"
    first: int = 0
