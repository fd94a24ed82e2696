"""What a client's visits came to: the last of them one by one, and all of them counted.

Knows: where the client is, how to say that this has changed. Refuses to know: sockets, and
the time of day. Invariant: entries are numbered from 1 without a gap, in the order in which
visits began and ended; no more than KEPT of them are held.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

KEPT: Final = 10_000
NOWHERE: Final = "(unknown)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One visit. `began_s`, `at_s`: CLOCK_MONOTONIC in seconds when it began and ended.

    `family`: 4 or 6. `address`: the one it went to, "" without an answer. `region`: whose page
    came; of a visit that failed, whose page came from its address last, "" if none ever did.
    `failure`: why no page came, "" if one came.
    """

    began_s: float
    at_s: float
    family: int
    region: str
    address: str
    failure: str = ""

    @property
    def place(self) -> str:
        """The region and address for people."""
        return f"{self.region or NOWHERE}, {self.address}" if self.address else "nowhere"


@dataclass(slots=True)
class Logbook:
    """A client's visits, kept and counted."""

    count: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    _entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))
    _now: dict[int, Entry] = field(default_factory=dict)
    _lost_in_a_row: Counter[int] = field(default_factory=Counter)

    def add(self, entry: Entry) -> str:
        """Notes a visit. Returns a line if the client has moved, loses requests, or no longer."""
        self.count += 1
        self._entries.append(entry)
        self.requests[entry.region] += 1
        before = self._now.get(entry.family)
        self._now[entry.family] = entry
        lost = self._lost_in_a_row[entry.family]
        if entry.failure:
            self.lost[entry.region] += 1
            self._lost_in_a_row[entry.family] += 1
            # Another reason for the same loss is no news.
            if before is None or not before.failure or before.address != entry.address:
                return f"IPv{entry.family} is lost ({entry.place}): {entry.failure}"
            return ""
        self._lost_in_a_row[entry.family] = 0
        if before is None or before.failure or before.address != entry.address:
            after = f" after {lost} lost" if lost else ""
            return f"IPv{entry.family} is at {entry.place}{after}"
        return ""

    def list_after(self, number: int) -> Iterator[tuple[int, Entry]]:
        """(number, entry) of what is still held and has a higher number, the oldest first."""
        dropped = self.count - len(self._entries)
        skipped = max(0, number - dropped)
        yield from enumerate(islice(self._entries, skipped, None), start=dropped + skipped + 1)

    def compose_census(self) -> str:
        """Where the client is and what was lost, as a table for people."""
        lines = [
            f"IPv{family}: {entry.place}" + (f": {entry.failure}" if entry.failure else "")
            for family, entry in sorted(self._now.items())
        ]
        lines.append(f"{'region':<12}{'requests':>10}{'lost':>8}")
        lines += [
            f"{region or NOWHERE:<12}{self.requests[region]:>10}{self.lost[region]:>8}"
            for region in sorted(self.requests)
        ]
        return "\n".join(lines) + "\n"
