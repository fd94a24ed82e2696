"""What of the prober outlives the process (health.md, Persistence).

Refuses to know: where it is kept. Invariant: plain values with wall-clock times.
"""

from __future__ import annotations

from dataclasses import dataclass

from gslb.core.check import Target
from gslb.core.health import State
from gslb.core.override import Override


@dataclass(frozen=True, slots=True)
class Kept:
    """The last known state of a target: since when it is so, and when that was last known; Unix
    seconds."""

    target: Target
    state: State
    since: float
    seen_at: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What a server remembers at its start."""

    overrides: tuple[Override, ...] = ()
    health: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as it is kept (control.md, Events). `at` in Unix seconds, `id` rising, 0 if new.

    `before` and `after` are the event's `from` and `to`.
    """

    at: float
    kind: str
    object: str
    before: str = ""
    after: str = ""
    why: str = ""
    who: str = ""
    id: int = 0
