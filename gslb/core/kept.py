"""What of the prober outlives the process (health.md, Persistence).

Refuses to know: where it is kept. Invariant: plain values with wall-clock times.
"""

from __future__ import annotations

from dataclasses import dataclass

from gslb.core.check import Target
from gslb.core.health import State
from gslb.core.override import Override
from gslb.core.trail import Trail, Transition


@dataclass(frozen=True, slots=True)
class Kept:
    """The last known state of a target: since when it is so, and when that was last known; Unix
    seconds. `held`: down by flap damping. `silent_s`: how long no report had come by `seen_at`;
    None for what is probed, or was never reported. `before` and `reasons` are of the change that
    led here, `turns` the times of the latest ones, in Unix seconds; empty if they are not known."""

    target: Target
    state: State
    since: float
    seen_at: float
    held: bool = False
    silent_s: float | None = None
    before: State = State.UNKNOWN
    reasons: tuple[str, ...] = ()
    turns: tuple[float, ...] = ()


def keep(
    target: Target, trail: Trail, now: float, wall: float, silent_s: float | None = None
) -> Kept:
    """What is kept of a trail at `now`, by its own clock, which is `wall` in Unix seconds."""
    change = trail.transition
    return Kept(
        target,
        trail.state,
        wall - (now - trail.since),
        wall,
        trail.held,
        silent_s,
        State.UNKNOWN if change is None else change.before,
        () if change is None else change.reasons,
        tuple(wall - (now - turn) for turn in trail.turns),
    )


def recall(kept: Kept, now: float, wall: float) -> Trail:
    """The trail that goes on from what was kept; nothing in it is of the time to come."""
    since = now - max(0.0, wall - kept.since)
    turns = tuple(now - max(0.0, wall - turn) for turn in kept.turns)
    change = Transition(since, kept.before, kept.state, kept.reasons) if turns else None
    return Trail(
        since, kept.state, evidence=kept.reasons, transition=change, held=kept.held, turns=turns
    )


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
