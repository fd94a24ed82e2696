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
    seconds. `held`: down by flap damping. `silent_s`: how long no report had come by `seen_at`;
    None for what is probed, or was never reported."""

    target: Target
    state: State
    since: float
    seen_at: float
    held: bool = False
    silent_s: float | None = None


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
