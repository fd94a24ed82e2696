"""How often the state store does what.

Knows: what is a bearable wait for a disk, a log and a person. Refuses to know: the store.
Invariant: plain seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rhythm:
    """All in seconds.

    `write_s`: between writes that nobody waits for. `retry_s`, `longest_retry_s`: before another
    attempt, doubled each time. `tell_s`: between two complaints. `patience_s`: how long somebody
    who asked waits for a disk. `busy_s`: how long a call waits for another process.
    """

    write_s: float = 0.1
    retry_s: float = 0.5
    longest_retry_s: float = 10.0
    tell_s: float = 60.0
    patience_s: float = 5.0
    busy_s: float = 1.0
