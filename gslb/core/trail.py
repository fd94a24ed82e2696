"""What the probes of one target add up to: a pure state machine.

Knows: the rules of health.md (The state machine) for fall, rise, the first verdict and flap
damping, the latency's moving average, and the evidence behind each transition. Refuses to know:
clocks, sockets, who probes and when, whether we see at all (core/blindness.py). Invariant: a
trail is never changed, a result makes a new one; `failures` and `successes` count the current
run, so that at most one of them is not 0; nothing in it grows without bound.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, replace
from math import ceil

from gslb.core.check import Check
from gslb.core.health import State

ALPHA = 0.3  # weight of the newest latency in the moving average
KEPT_LATENCIES = 100
KEPT_REASONS = 10
MOST_TURNS = 6  # transitions in `FLAP_S` that are no flapping yet
FLAP_S = 600.0
HOLD = 4  # interval x rise x this: how long a damped target has to be good
RAPID_S = 1.0  # after so long a failure is confirmed where `rapid` asks for it
_OCTETS = 4  # of one kept latency


@dataclass(frozen=True, slots=True)
class Result:
    """One probe: `reason` says in people's words why it failed (empty if it did not).

    `latency_s` is None for a failure; `at` is in seconds of a monotonic clock. `load` is what the
    reply reported (1.0 is full), `expires_at` when the certificate does (Unix seconds).
    """

    ok: bool
    reason: str
    latency_s: float | None
    at: float
    load: float | None = None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state; `reasons` are of the failing results behind it, oldest first.

    Of a recovery they tell what it recovered from; they are empty if nothing had failed. The last
    one says so if the target is held down. Where a recovery was refused for that, both states
    are down.
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
    `transition` the latest one. `held`: down by flap damping. `turns` are the times of the last
    transitions (at most 7). `good_s` is how long the current run of successes has lasted,
    from `good_since`, when its first one was.
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
    held: bool = False
    turns: tuple[float, ...] = ()
    good_since: float = 0.0
    good_s: float = 0.0

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


def observe(trail: Trail, result: Result, check: Check) -> Trail:
    """The trail after one more result.

    Unknown turns up at the first success; unknown and up turn down after `fall` failures in
    a row; down turns up after `rise` successes in a row. A report (`push`) is believed at once.
    More than 6 transitions in 10 min hold the target down until it was good, without a failure,
    for interval x rise x 4: it goes down and is held, or it does not come up.
    """
    if result.ok:
        trail = _succeed(trail, result)
        if trail.state is State.UP:
            return trail
    else:
        trail = _fail(trail, result)
        if trail.state is State.DOWN:
            return trail
    if probes_to_flip(trail, check) > 0:
        return trail
    return _turn(trail, State.UP if result.ok else State.DOWN, result.at, check)


def would_fall(trail: Trail, check: Check) -> bool:
    """True if one more failure makes the target down."""
    return trail.state is not State.DOWN and trail.failures + 1 >= _fall(check)


def in_motion(trail: Trail) -> bool:
    """True if it is failing but not yet down, or recovering but not yet up."""
    return (trail.successes if trail.state is State.DOWN else trail.failures) > 0


def at_rest(trail: Trail) -> Trail:
    """The trail without its current run: what the next results begin from after blindness."""
    return replace(trail, failures=0, successes=0, good_s=0.0)


def hold_s(check: Check) -> float:
    """How long a damped target has to be good, in seconds."""
    return check.interval_s * _rise(check) * HOLD


def probes_left(trail: Trail, check: Check) -> int | None:
    """Probes until the state could flip: until down if failing, until up if recovering.

    None for a target that is doing neither. At least 1, also after a reload has lowered the
    thresholds.
    """
    return max(1, probes_to_flip(trail, check)) if in_motion(trail) else None


def probes_to_flip(trail: Trail, check: Check) -> int:
    """As `probes_left`, of a target in motion, 0 or less when it is there."""
    if trail.state is State.UNKNOWN and trail.successes:
        return 0
    if trail.state is not State.DOWN:
        return _fall(check) - trail.failures
    left = _rise(check) - trail.successes
    if trail.held:
        # Rounded: 40.0 s of probes 0.1 s apart are not 39.999999.
        left = max(left, ceil((hold_s(check) - trail.good_s) / check.interval_s - 1e-6))
    return left


def health_of(trail: Trail, check: Check) -> TargetHealth:
    """What answers need of a trail, by its check's thresholds and rhythm."""
    left = probes_left(trail, check)
    if left is None:
        return TargetHealth(trail.state, None, trail.latency_s)
    is_rapid = check.rapid and trail.state is not State.DOWN
    step_s = min(RAPID_S, check.interval_s) if is_rapid else check.interval_s
    return TargetHealth(trail.state, left * step_s, trail.latency_s)


def _fall(check: Check) -> int:
    return 1 if check.type == "push" else check.fall


def _rise(check: Check) -> int:
    return 1 if check.type == "push" else check.rise


def _succeed(trail: Trail, result: Result) -> Trail:
    latency_s, recent, at = trail.latency_s, trail.recent, result.at
    if result.latency_s is not None:
        if latency_s is None:
            latency_s = result.latency_s
        else:
            latency_s = ALPHA * result.latency_s + (1 - ALPHA) * latency_s
        kept = recent[-(KEPT_LATENCIES - 1) * _OCTETS :]
        recent = kept + struct.pack("f", result.latency_s)
    good_since = trail.good_since if trail.successes else at
    # Written out: this is the common path, and `replace` takes twice as long.
    return Trail(
        trail.since,
        trail.state,
        0,
        trail.successes + 1,
        latency_s,
        trail.evidence,
        trail.transition,
        recent,
        trail.held,
        trail.turns,
        good_since,
        at - good_since,
    )


def _fail(trail: Trail, result: Result) -> Trail:
    earlier = trail.evidence[-(KEPT_REASONS - 1) :] if trail.failures else ()
    evidence = (*earlier, result.reason)
    return replace(trail, failures=trail.failures + 1, successes=0, evidence=evidence, good_s=0.0)


def _turn(trail: Trail, after: State, at: float, check: Check) -> Trail:
    """The trail with a new state, or held where that would be one transition too many."""
    turns = (*(turn for turn in trail.turns if at - turn < FLAP_S), at)[-MOST_TURNS - 1 :]
    reasons = trail.evidence
    is_flapping = not trail.held and len(turns) > MOST_TURNS
    if is_flapping:
        reasons = (
            *reasons,
            f"more than {MOST_TURNS} transitions in {FLAP_S / 60:.0f} min: "
            f"held down until it was good for {hold_s(check):g} s",
        )
        if after is State.UP:
            refused = Transition(at, trail.state, trail.state, reasons)
            return replace(trail, held=True, transition=refused)
    transition = Transition(at, trail.state, after, reasons)
    return replace(
        trail, state=after, since=at, transition=transition, held=is_flapping, turns=turns
    )
