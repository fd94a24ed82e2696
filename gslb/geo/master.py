"""The master table, of which every policy's is a projection (compile.md, The treatment).

Knows: how columns over the same rows are combined into one number per row, fine enough for
all of them and no finer. Refuses to know: what the columns mean. Invariant: for every column
added there is a small array that takes a row's master number back to the column's value.
"""

from __future__ import annotations

import numpy as np

from gslb.geo.span import Numbers


class Master:
    """Add all columns first; then `numbers` and `projections` are final."""

    def __init__(self, rows: int) -> None:
        self.numbers: Numbers = np.zeros(rows, np.int64)
        self._steps: list[tuple[Numbers, Numbers]] = []

    def add(self, column: Numbers) -> None:
        """Tell apart what the column tells apart."""
        wide = int(column.max()) + 1
        codes, self.numbers = np.unique(self.numbers * wide + column, return_inverse=True)
        self._steps.append(np.divmod(codes, wide))

    def projections(self) -> list[Numbers]:
        """For each column added, its value by master number."""
        found = []
        number = np.arange(int(self.numbers.max()) + 1)
        # Each step knows the numbers of the step before it, so the way leads backwards.
        for before, value in reversed(self._steps):
            found.append(value[number])
            number = before[number]
        return found[::-1]
