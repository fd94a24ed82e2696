"""The address space cut into ranges, each with a small number (compile.md).

Knows: how to find the range of an address by one bisection, and the shortest prefix
around it that stays in the range. Refuses to know: what the numbers mean, numpy.
Invariant: `starts` is sorted, begins with 0 and, in a policy's own table, no two
neighbours have the same value; so a leaf is the shortest prefix of equal treatment,
and two leaves with different values never overlap (RFC 7871 section 7.2.1).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from gslb.core.client import V4_BITS, V6_BITS
from gslb.core.policy import Family

HEAD_BITS = 16


@dataclass(frozen=True, slots=True)
class RangeTable:
    """`starts[i]` to `starts[i + 1] - 1` has `values[i]`; addresses are `bits` wide.

    IPv6 tables are over the upper 64 bits of the address. `heads`, which a small table does
    without, says for the upper 16 bits h how many starts are below h << (bits - 16), for
    h = 0 .. 65536: then a bisection touches a few neighbours and not the whole of memory.
    """

    bits: int
    starts: Sequence[int]
    values: Sequence[int]
    heads: Sequence[int] = ()

    def value(self, address: int) -> int:
        """The value of an address."""
        return self.values[bisect_right(self.starts, address) - 1]

    def leaf(self, address: int) -> tuple[int, int]:
        """(value, length of the shortest prefix around the address within its range)."""
        starts, heads = self.starts, self.heads
        if heads:
            head = address >> (self.bits - HEAD_BITS)
            after = bisect_right(starts, address, heads[head], heads[head + 1])
        else:
            after = bisect_right(starts, address)
        low = starts[after - 1]
        # The aligned block of 2**k around the address leaves out low - 1 if and only if
        # the two differ in bit k or above; the same for the first address after the range.
        free = (address ^ (low - 1)).bit_length() - 1 if low else self.bits
        if after < len(starts):
            above = (address ^ starts[after]).bit_length() - 1
            if above < free:
                free = above
        return self.values[after - 1], self.bits - free

    def mapped_leaf(self, address: int, mapping: Sequence[int]) -> tuple[int, int]:
        """The same through `mapping` (value to number), by walking the neighbours.

        For tables whose neighbours may map to the same number: grows the prefix one bit at
        a time as long as every range in the other half maps to the same number.
        """
        starts, values = self.starts, self.values
        number = mapping[self.value(address)]
        low, size = address, 1
        for length in range(self.bits, 0, -1):
            sibling = low ^ size
            first = bisect_right(starts, sibling) - 1
            last = bisect_right(starts, sibling + size - 1)
            if any(mapping[value] != number for value in values[first:last]):
                return number, length
            low &= ~size
            size <<= 1
        return number, 0


# What matters of a client for one policy: node id -> children (nearest) or routes (routes),
# by their number, in the order in which they are tried.
Treatment = dict[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """Where clients of one policy are told apart.

    `ipv4` and `ipv6` give treatment numbers, through `mapping` if there is one (then they
    are the master tables, shared). The number `special` marks addresses that no network,
    override or record covers although they are special-purpose (RFC 6890): the packet's
    source address decides for them. `unknown` is the treatment of a client of whom nothing
    is known. `least` cuts the leaf to at least that length (sticky): (IPv4, IPv6).
    `shares[family]` is the share of the address space, 0..1, per treatment.
    """

    treatments: tuple[Treatment, ...]
    unknown: int
    special: int
    ipv4: RangeTable
    ipv6: RangeTable
    mapping: Sequence[int] | None = None
    least: tuple[int, int] = (0, 0)
    shares: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    def leaf(self, family: Family, address: int) -> tuple[int, int]:
        """(treatment number or `special`, scope) of an address (32 bits, or the upper 64)."""
        table = self.ipv4 if family == 4 else self.ipv6
        if self.mapping is None:
            number, scope = table.leaf(address)
        else:
            number, scope = table.mapped_leaf(address, self.mapping)
        floor = self.least[0] if family == 4 else self.least[1]
        return number, (scope if scope > floor else floor)


def uniform_table(treatment: Treatment, least: tuple[int, int] = (0, 0)) -> PolicyTable:
    """The table of a policy for which all clients are alike."""
    return PolicyTable(
        treatments=(treatment,),
        unknown=0,
        special=1,
        ipv4=RangeTable(V4_BITS, (0,), (0,)),
        ipv6=RangeTable(V6_BITS, (0,), (0,)),
        least=least,
        shares=((1.0,), (1.0,)),
    )
