"""Slow start: how much of its weight an endpoint has some time after it came back (health.md).

Knows: the line from 10 % to 100 %, and that it is climbed in steps. Refuses to know: clocks, who
came back. Invariant: pure; the percentage never falls while time goes on, and changes at most
`STEPS` times, because each change replaces what answers are made of.
"""

from __future__ import annotations

from typing import Final

FULL: Final = 100  # percent
LEAST: Final = 10
STEPS: Final = 18
_A_STEP: Final = (FULL - LEAST) // STEPS
_ROUNDING: Final = 1e-9  # the time at which a step is due is in that step


def ramp_percent(since_s: float, ramp_s: float) -> int:
    """The percentage (10, 15 … 100) of the weight, `since_s` seconds after the recovery."""
    return LEAST + _A_STEP * _step(since_s, ramp_s)


def next_step_s(since_s: float, ramp_s: float) -> float | None:
    """Seconds after the recovery at which `ramp_percent` changes next, None if it is whole."""
    step = _step(since_s, ramp_s)
    return None if step == STEPS else ramp_s * (step + 1) / STEPS


def _step(since_s: float, ramp_s: float) -> int:
    if since_s >= ramp_s:
        return STEPS
    return min(STEPS, max(0, int(since_s / ramp_s * STEPS + _ROUNDING)))
