"""Every target as `/v1/health` tells of it.

Knows: how a trail, what probes found beside it, and the operator's hand become a body. Refuses to
know: HTTP, the order of targets. Invariant: reads only; monotonic times become Unix seconds by one
pair of clocks, so that all of one roster agree.
"""

from __future__ import annotations

from gslb.app.outlook import Outlook
from gslb.control.body import (
    EndpointBody,
    EvidenceBody,
    LatencyBody,
    StateWord,
    TargetBody,
)
from gslb.core.check import Target
from gslb.core.health import State
from gslb.core.override import ForcedState
from gslb.core.trail import Trail
from gslb.core.world import Plan

WORDS: dict[State, StateWord] = {
    State.UNKNOWN: "unknown",
    State.UP: "up",
    State.DOWN: "down",
}


class Roster:
    """The bodies of a plan's targets; `now` is monotonic, `wall` the same instant in Unix time."""

    def __init__(self, plan: Plan, outlook: Outlook, now: float, wall: float) -> None:
        self._plan = plan
        self._outlook = outlook
        self._health = outlook.health  # of this plan: a reload may come between two bodies
        self._offset = wall - now

    def body(self, target: Target) -> TargetBody | None:
        """A target's body; None if nobody watches it any more."""
        outlook = self._outlook
        trail = outlook.trail_of(target)
        check = self._plan.config.checks.get(target.check)
        if trail is None or check is None:
            return None
        load = outlook.monitor.loads.get(target)
        return TargetBody(
            check=target.check,
            type=check.type,
            address=target.address,
            port=target.port,
            state=WORDS[trail.state],
            since=trail.since + self._offset,
            held=trail.held,
            endpoints=self._endpoints(target),
            latency=_latency(trail),
            load=None if load is None else load[0],
            load_at=None if load is None else load[1] + self._offset,
            certificate_expires=outlook.monitor.certificates.get(target),
            evidence=self._evidence(trail),
            failing=self._failing(target, trail),
        )

    def _endpoints(self, target: Target) -> tuple[EndpointBody, ...]:
        pools, health = self._plan.config.pools, self._health
        found: list[EndpointBody] = []
        for slot in self._plan.targets.get(target, ()):
            pool = pools[slot.pool]
            forced: ForcedState | None = None
            if state := health.pools[slot.pool].of(slot.family)[slot.endpoint].forced:
                forced = state
            endpoint = pool.endpoints[slot.endpoint].name
            found.append(EndpointBody(pool=pool.name, endpoint=endpoint, forced=forced))
        return tuple(found)

    def _failing(self, target: Target, trail: Trail) -> tuple[str, ...]:
        # Our own fault is no verdict, so no trail has it: who reads "unknown" still wants to know.
        if fault := self._outlook.monitor.faults.get(target):
            return (f"this server cannot probe it: {fault}",)
        return trail.evidence if trail.failures else ()

    def _evidence(self, trail: Trail) -> EvidenceBody | None:
        change = trail.transition
        if change is None:
            return None
        return EvidenceBody(
            at=change.at + self._offset,
            before=WORDS[change.before],
            after=WORDS[change.after],
            reasons=change.reasons,
        )


def _latency(trail: Trail) -> LatencyBody | None:
    summary = trail.summary()
    if summary is None or trail.latency_s is None:
        return None
    return LatencyBody(
        ewma_s=trail.latency_s,
        min_s=summary.minimum_s,
        mean_s=summary.mean_s,
        p95_s=summary.p95_s,
    )
