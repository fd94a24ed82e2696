"""What the probes of one target add up to: a pure state machine.

Knows: the rules of health.md (The state machine) for fall, rise and the first verdict, the
latency's moving average, and the evidence behind each transition. Refuses to know: clocks,
sockets, who probes and when. Invariant: a trail is never changed, a result makes a new one;
`failures` and `successes` count the current run, so that at most one of them is not 0.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, replace

from gslb.core.check import Check
from gslb.core.health import State

ALPHA = 0.3  # weight of the newest latency in the moving average
KEPT_LATENCIES = 100
KEPT_REASONS = 10
_OCTETS = 4  # of one kept latency


@dataclass(frozen=True, slots=True)
class Result:
    """One probe: `reason` says in people's words why it failed (empty if it did not).

    `latency_s` is None for a failure; `at` is in seconds of a monotonic clock.
    """

    ok: bool
    reason: str
    latency_s: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state; `reasons` are of the failing results behind it, oldest first.

    Of a recovery they tell what it recovered from; they are empty if nothing had failed.
    """

    at: float
    before: State
    after: State
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Of the last (at most 100) successful probes, in seconds."""

    minimum_s: float
    mean_s: float
    p95_s: float


@dataclass(frozen=True, slots=True)
class Trail:
    """All that is remembered of a target.

    `since` is when the state began, `latency_s` the moving average (alpha 0.3), `evidence`
    the reasons of the latest run of failures (its last 10), kept after it has ended, and
    `transition` the latest one.
    """

    since: float
    state: State = State.UNKNOWN
    failures: int = 0
    successes: int = 0
    latency_s: float | None = None
    evidence: tuple[str, ...] = ()
    transition: Transition | None = None
    # Single floats side by side: 400 octets a target, where a tuple would take 3 200.
    recent: bytes = b""

    def summary(self) -> LatencySummary | None:
        """Minimum, mean and 95th percentile (nearest rank) of recent latencies, None without."""
        latencies = array("f", self.recent)
        if not latencies:
            return None
        ranked = sorted(latencies)
        p95 = ranked[-(-95 * len(ranked) // 100) - 1]
        return LatencySummary(ranked[0], sum(ranked) / len(ranked), p95)


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """What answers need of a target.

    `flip_s`: seconds of probing until its state could change, None if it is neither failing
    nor recovering (steering.md, TTL).
    """

    state: State
    flip_s: float | None
    latency_s: float | None


def observe(trail: Trail, result: Result, fall: int, rise: int) -> Trail:
    """The trail after one more result.

    Unknown turns up at the first success; unknown and up turn down after `fall` failures in
    a row; down turns up after `rise` successes in a row.
    """
    trail = _succeed(trail, result) if result.ok else _fail(trail, result)
    after = _state_after(trail, fall, rise)
    if after is trail.state:
        return trail
    transition = Transition(result.at, trail.state, after, trail.evidence)
    return replace(trail, state=after, since=result.at, transition=transition)


def probes_left(trail: Trail, fall: int, rise: int) -> int | None:
    """Probes until the state could flip: until down if failing, until up if recovering.

    None for a target that is doing neither.
    """
    if trail.state is State.DOWN:
        return max(1, rise - trail.successes) if trail.successes else None
    return max(1, fall - trail.failures) if trail.failures else None


def health_of(trail: Trail, check: Check) -> TargetHealth:
    """What answers need of a trail, by its check's thresholds and interval."""
    left = probes_left(trail, check.fall, check.rise)
    flip_s = None if left is None else left * check.interval_s
    return TargetHealth(trail.state, flip_s, trail.latency_s)


def _succeed(trail: Trail, result: Result) -> Trail:
    latency_s, recent = trail.latency_s, trail.recent
    if result.latency_s is not None:
        if latency_s is None:
            latency_s = result.latency_s
        else:
            latency_s = ALPHA * result.latency_s + (1 - ALPHA) * latency_s
        kept = recent[-(KEPT_LATENCIES - 1) * _OCTETS :]
        recent = kept + struct.pack("f", result.latency_s)
    return replace(
        trail, failures=0, successes=trail.successes + 1, latency_s=latency_s, recent=recent
    )


def _fail(trail: Trail, result: Result) -> Trail:
    earlier = trail.evidence[-(KEPT_REASONS - 1) :] if trail.failures else ()
    return replace(
        trail, failures=trail.failures + 1, successes=0, evidence=(*earlier, result.reason)
    )


def _state_after(trail: Trail, fall: int, rise: int) -> State:
    match trail.state:
        case State.UNKNOWN if trail.successes:
            return State.UP
        case State.UNKNOWN | State.UP if trail.failures >= fall:
            return State.DOWN
        case State.DOWN if trail.successes >= rise:
            return State.UP
        case _:
            return trail.state
