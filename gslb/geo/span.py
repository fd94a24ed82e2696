"""The address space of one family as numpy arrays: sorted starts, and a value for each range.

Knows: how ranges are cut, laid over one another and merged. Refuses to know: what the values
mean. Invariant: `starts` is sorted without repetition and begins with 0; IPv6 is the upper
64 bits. This is the numpy side of `core/table.py`'s `RangeTable`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gslb.core.table import HEAD_BITS, RangeTable

Addresses = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LARGE = 4096  # ranges from which a table gets its `heads`


@dataclass(frozen=True, slots=True)
class Span:
    """`starts[i]` to `starts[i + 1] - 1` has `values[i]`; addresses are `bits` wide."""

    bits: int
    starts: Addresses
    values: Numbers

    def at(self, addresses: Addresses) -> Numbers:
        """The values of addresses."""
        return self.values[np.searchsorted(self.starts, addresses, side="right") - 1]

    def cut(self, points: Addresses) -> Span:
        """The same values, with a range beginning at each of the points (sorted, inside)."""
        where = np.searchsorted(self.starts, points)
        there = where < len(self.starts)
        there[there] = self.starts[where[there]] == points[there]
        points, where = points[~there], where[~there]
        starts = np.insert(self.starts, where, points)
        return Span(self.bits, starts, np.insert(self.values, where, self.values[where - 1]))

    def mapped(self, numbers: Numbers) -> Span:
        """Each value replaced by `numbers[value]`."""
        return Span(self.bits, self.starts, numbers[self.values])

    def merged(self) -> Span:
        """Neighbours with the same value as one range."""
        keep = np.empty(len(self.values), np.bool_)
        keep[0] = True
        np.not_equal(self.values[1:], self.values[:-1], out=keep[1:])
        return Span(self.bits, self.starts[keep], self.values[keep])

    def sizes(self) -> Addresses:
        """How many addresses each range has; a single range over 64 bits has 2**64 - 1."""
        past = np.append(self.starts[1:], np.uint64(0))
        sizes: Addresses = past - self.starts  # uint64 wraps, so the last is right at 64 bits
        last = (1 << self.bits) - int(self.starts[-1])
        sizes[-1] = min(last, (1 << 64) - 1)
        return sizes

    def shares(self, count: int) -> Shares:
        """The share of the address space, 0..1, of each value below `count`."""
        sizes = self.sizes().astype(np.float64)
        return np.bincount(self.values, sizes, count) / 2.0**self.bits

    def table(self) -> RangeTable:
        """As arrays of the standard library, in the smallest item that holds them."""
        code = "I" if self.bits == 32 else "Q"
        heads: Sequence[int] = ()
        if len(self.starts) >= LARGE:
            first = np.arange(1 << HEAD_BITS, dtype=np.uint64) << np.uint64(self.bits - HEAD_BITS)
            heads = pack("I", np.append(np.searchsorted(self.starts, first), len(self.starts)))
        return RangeTable(self.bits, pack(code, self.starts), pack_values(self.values), heads)


def uniform(bits: int) -> Span:
    """One range with the value 0."""
    return Span(bits, np.zeros(1, np.uint64), np.zeros(1, np.int64))


def pack(code: str, numbers: Addresses | Numbers) -> array[int]:
    """Numbers as an `array` of the type code."""
    packed: array[int] = array(code)
    packed.frombytes(numbers.astype(np.dtype(code)).tobytes())
    return packed


def pack_values(numbers: Numbers) -> array[int]:
    """Numbers as an `array` of the narrowest unsigned item."""
    top = int(numbers.max())
    return pack("B" if top < 1 << 8 else "H" if top < 1 << 16 else "I", numbers)


def octets(sequence: Sequence[int]) -> int:
    """The memory an `array` takes; none for a small tuple."""
    return len(sequence) * sequence.itemsize if isinstance(sequence, array) else 0
