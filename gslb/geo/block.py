"""Database ranges cut at `geo.max_scope`: a block in which the database is of several minds.

Knows: which blocks are mixed, their pieces, and that the greater part decides, or of equal
parts the one that begins lowest (compile.md). Refuses to know: what is decided: that is asked
per policy, so that the greater part is one of treatments, not of city records. Invariant: the
pieces of a block are in the order of their addresses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gslb.geo.span import Addresses, Numbers, Span


@dataclass(frozen=True, slots=True)
class Blocks:
    """Pieces of all mixed blocks in a row: block i has those from `firsts[i]` to the next.

    `rows` says what a piece is, `sizes` how many addresses it has.
    """

    firsts: Numbers
    rows: Numbers
    sizes: Addresses

    def __len__(self) -> int:
        return len(self.firsts)

    @property
    def counts(self) -> Numbers:
        """How many pieces each block has."""
        return np.diff(np.append(self.firsts, len(self.rows)))

    def joined(self, other: Blocks) -> Blocks:
        """These blocks, then the other's."""
        return Blocks(
            np.concatenate((self.firsts, other.firsts + len(self.rows))),
            np.concatenate((self.rows, other.rows)),
            np.concatenate((self.sizes, other.sizes)),
        )

    def taken(self, which: Numbers) -> Blocks:
        """Copies of some of the blocks, in the order given."""
        counts = self.counts[which]
        firsts = np.cumsum(counts) - counts
        pieces = np.arange(int(counts.sum())) + np.repeat(self.firsts[which] - firsts, counts)
        return Blocks(firsts, self.rows[pieces], self.sizes[pieces])

    def majority(self, numbers: Numbers) -> Numbers:
        """For each block the number (by row) that most of its addresses have."""
        if not len(self):
            return np.zeros(0, np.int64)
        found = numbers[self.rows]
        chosen: Numbers = np.minimum.reduceat(found, self.firsts)
        mixed = np.flatnonzero(chosen != np.maximum.reduceat(found, self.firsts))
        if len(mixed):
            chosen[mixed] = self.taken(mixed)._decide(numbers)
        return chosen

    def _decide(self, numbers: Numbers) -> Numbers:
        found = numbers[self.rows]
        block = np.repeat(np.arange(len(self)), self.counts)
        # A stable sort keeps the pieces of one (block, number) in the order of addresses.
        order = np.lexsort((found, block))
        begins = np.flatnonzero(
            np.diff(block[order], prepend=-1) | np.diff(found[order], prepend=-1)
        )
        sums = np.add.reduceat(self.sizes[order], begins)
        lowest = order[begins]
        best = np.lexsort((lowest, np.iinfo(np.uint64).max - sums, block[lowest]))
        _, winners = np.unique(block[lowest[best]], return_index=True)
        return found[lowest[best[winners]]]


def no_blocks() -> Blocks:
    """Nothing is mixed."""
    none = np.zeros(0, np.int64)
    return Blocks(none, none, np.zeros(0, np.uint64))


def coarsen(span: Span, scope: int, number: int) -> tuple[Span, Blocks]:
    """The span with no range narrower than `scope`: a mixed block is one range, whose value
    is `number` plus its place in the blocks returned."""
    shift, mask = np.uint64(span.bits - scope), np.uint64((1 << (span.bits - scope)) - 1)
    ids = np.unique(span.starts[(span.starts & mask) != 0] >> shift)
    if not len(ids):
        return span, no_blocks()
    ends = (ids + np.uint64(1))[ids + np.uint64(1) < np.uint64(1 << scope)] << shift
    cut = span.cut(np.union1d(ids << shift, ends))
    which = np.minimum(np.searchsorted(ids, cut.starts >> shift), len(ids) - 1)
    mixed = ids[which] == cut.starts >> shift
    head = mixed & (cut.starts & mask == 0)
    pieces = Blocks(
        np.flatnonzero(head[mixed]).astype(np.int64), cut.values[mixed], cut.sizes()[mixed]
    )
    keep = ~mixed | head
    values = np.where(head, number + which, cut.values)
    return Span(span.bits, cut.starts[keep], values[keep]), pieces
