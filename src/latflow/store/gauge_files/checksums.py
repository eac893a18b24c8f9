"""Checksums of SciDAC, MILC and NERSC files, accumulated piece by piece as a file is read."""

import zlib

import numpy as np


class SciDACChecksum:
    """Exclusive or of the rotated CRC-32 of every site; the order of sites counts, modulo 29 · 31."""

    def __init__(self, site_bytes: int) -> None:
        self._site_bytes = site_bytes
        self._sites = 0
        self._sums = [0, 0]

    def add(self, data: bytes) -> None:
        """The next sites, whole ones, as stored."""
        view, size = memoryview(data), self._site_bytes
        found = [zlib.crc32(view[i : i + size]) for i in range(0, len(data), size)]
        crcs = np.array(found, dtype=np.uint32)
        ranks = np.arange(self._sites, self._sites + len(crcs))
        self._sums = [total ^ _folded(crcs, ranks % m) for total, m in zip(self._sums, (29, 31), strict=True)]
        self._sites += len(crcs)

    @property
    def values(self) -> tuple[str, str]:
        """``suma`` and ``sumb`` as eight hexadecimal digits."""
        return f"{self._sums[0]:08x}", f"{self._sums[1]:08x}"


class MILCChecksum:
    """Exclusive or of all rotated 32-bit words, in the byte order of the file."""

    def __init__(self, byte_order: str) -> None:
        self._word = np.dtype(f"{byte_order}u4")
        self._words = 0
        self._sums = [0, 0]

    def add(self, data: bytes) -> None:
        """The next words."""
        words = np.frombuffer(data, self._word).astype(np.uint32)
        ranks = np.arange(self._words, self._words + len(words))
        self._sums = [total ^ _folded(words, ranks % m) for total, m in zip(self._sums, (29, 31), strict=True)]
        self._words += len(words)

    @property
    def values(self) -> tuple[str, str]:
        """``sum29`` and ``sum31`` as eight hexadecimal digits."""
        return f"{self._sums[0]:08x}", f"{self._sums[1]:08x}"


class NERSCChecksum:
    """Sum of all 32-bit words modulo 2³², for both byte orders at once: files often do not say which they have."""

    def __init__(self) -> None:
        self._sums = {">": 0, "<": 0}

    def add(self, data: bytes) -> None:
        """The next words."""
        for order in self._sums:
            words = np.frombuffer(data, np.dtype(f"{order}u4"))
            self._sums[order] += int(words.sum(dtype=np.uint64))

    def value(self, byte_order: str) -> str:
        """Eight hexadecimal digits, if the words have byte order ``>`` or ``<``."""
        return f"{self._sums[byte_order] % 2**32:08x}"


def _folded(words: np.ndarray, turns: np.ndarray) -> int:
    """Exclusive or of the words, each rotated to the left by its number of turns (below 32)."""
    wide, left = words.astype(np.uint64), turns.astype(np.uint64)
    rotated = (wide << left) | (wide >> (np.uint64(32) - left))
    return int(np.bitwise_xor.reduce(rotated, initial=np.uint64(0)) & np.uint64(0xFFFFFFFF))
