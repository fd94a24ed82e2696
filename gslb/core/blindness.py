"""Whether the prober sees at all, or only believes that everything is down (health.md, Blindness).

Knows: when every witness fails, when silence is blindness, and that a verdict of down needs a
proof of sight that is younger than the failure behind it. Refuses to know: clocks, sockets, who
is asked and when (gslb/probe). Invariant: pure; one success anywhere, whatever else fails, is
an outage and not blindness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gslb.core.check import PROBED, Check
from gslb.core.setting import Witness

FEWEST_DATACENTERS = 2  # that were up, for silence to be blindness
SPARED = 0.5  # of an interval that a probe out of turn may stand for (probe/schedule.py)


@dataclass(frozen=True, slots=True)
class Sight:
    """What shows that we see; monotonic seconds.

    `proved_at`: when the youngest probe that succeeded began, so that the way out was open
    then or later. None before the first. `heard_at`: when the latest success, or else
    the prober's own life, ended or began.
    """

    proved_at: float | None
    heard_at: float

    def succeeded(self, began_at: float, ended_at: float) -> Sight:
        """After one more success."""
        proved_at = began_at if self.proved_at is None else max(self.proved_at, began_at)
        return Sight(proved_at, max(self.heard_at, ended_at))

    def proves(self, failed_at: float) -> bool:
        """True if a failure that ended at `failed_at` is the endpoint's: a probe that began
        later succeeded. One that began earlier may have slipped through before a cut."""
        return self.proved_at is not None and self.proved_at >= failed_at


def silent_after_s(checks: Iterable[Check]) -> float:
    """For how long no probe has to succeed: one interval, the longest of these checks.

    A probe is late by up to its jitter, by half an interval after one that was out of turn, and
    takes up to its timeout to fail. 0 if none of them can show that we see: reports are no probes,
    and an inverted one succeeds when nothing answers.
    """
    return max(
        (
            check.interval_s * (1 + SPARED + check.jitter) + check.timeout_s
            for check in checks
            if check.type in PROBED and check.enabled and not check.invert
        ),
        default=0.0,
    )


def every_witness_fails(latest: Mapping[Witness, str | None]) -> str:
    """Why we are blind, "" if we are not, by each witness's latest probe.

    A value is the reason why it failed, "" if it succeeded, None if there was none yet.
    """
    if not latest or not all(latest.values()):
        return ""
    told = ", ".join(f"{witness.text} ({reason})" for witness, reason in latest.items())
    return f"every witness fails: {told}"


def nothing_answers(sight: Sight, now: float, silent_s: float, datacenters: int) -> str:
    """Why we are blind where there is no witness, "" if we are not.

    `datacenters` were up; after a start that nothing answered that is none.
    """
    if now - sight.heard_at < silent_s:
        return ""
    return nothing_left(sight, now, datacenters)


def nothing_left(sight: Sight, now: float, datacenters: int) -> str:
    """As `nothing_answers`, when all that could answer was asked and nothing did."""
    if datacenters < FEWEST_DATACENTERS:
        return ""
    silent_s = now - sight.heard_at
    return f"no probe has succeeded for {silent_s:.1f} s; {datacenters} data centers were up"
