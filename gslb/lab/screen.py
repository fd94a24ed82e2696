"""What the lab shows: a table redrawn in place on a terminal, one line per change elsewhere.

Knows: columns, a few ANSI sequences. Refuses to know: where the rows come from. Invariant:
every line is flushed, and nothing but text and line ends goes to what is not a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, TextIO

TITLES: Final = ("region", "state", "server says", "clients", "requests", "lost")
COLUMNS: Final = "{:<8}{:<16}{:<13}{:>8}{:>10}{:>7}"


@dataclass(frozen=True, slots=True)
class Row:
    """A region at one instant. `verdict`: what the server believes of it."""

    region: str
    state: str
    verdict: str
    clients: int
    requests: int
    lost: int

    def differs(self, other: Row | None) -> bool:
        """True if there is news; that requests go on is none."""
        if other is None:
            return True
        mine = (self.state, self.verdict, self.clients, self.lost)
        return mine != (other.state, other.verdict, other.clients, other.lost)

    def __str__(self) -> str:
        return (
            f"{self.region}: {self.state}, server says {self.verdict}, {self.clients} clients, "
            f"{self.requests} requests, {self.lost} lost"
        )


class Screen:
    """Prints to a stream. `as_json`: one JSON object a line instead of words and tables."""

    def __init__(self, stream: TextIO = sys.stdout, *, as_json: bool = False) -> None:
        self.as_json: Final = as_json
        self.terminal: Final = stream.isatty() and not as_json
        self._stream: Final = stream
        self._shown: dict[str, Row] = {}
        self._height = 0

    def say(self, line: str = "") -> None:
        """A line for people; above the table, and not for machines."""
        if self.as_json:
            return
        self._erase_table()
        self._write(line)

    def emit(self, value: object) -> None:
        """A JSON object, for machines only."""
        if self.as_json:
            self._write(json.dumps(value))

    def show(self, rows: Sequence[Row]) -> None:
        """The table, or what changed in it since it was shown last."""
        if self.terminal:
            self._erase_table()
            lines = [COLUMNS.format(*TITLES)]
            lines += [
                COLUMNS.format(r.region, r.state, r.verdict, r.clients, r.requests, r.lost)
                for r in rows
            ]
            self._write("\n".join(lines))
            self._height = len(lines)
            return
        for row in rows:
            if row.differs(self._shown.get(row.region)):
                self._shown[row.region] = row
                if self.as_json:
                    self.emit({"at": time.time(), **asdict(row)})
                else:
                    self._write(f"{time.strftime('%H:%M:%S')} {row}")

    def _erase_table(self) -> None:
        if self._height:
            self._stream.write(f"\x1b[{self._height}A\x1b[J")
            self._height = 0

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()
