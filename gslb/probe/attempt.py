"""One probe, from its start to a result.

Knows: which probe belongs to which check type, and the timeout around all of it. Refuses to
know: schedules, trails. Invariant: whatever an endpoint does within the timeout becomes a
Result; an OSError that leaves here is our own machine's.
"""

from __future__ import annotations

import asyncio
from typing import assert_never

from gslb.core.check import Check, Target
from gslb.core.trail import Result
from gslb.probe import http, tcp
from gslb.probe.connection import Means
from gslb.probe.reason import ProbeError


async def attempt(check: Check, target: Target, means: Means) -> Result:
    """Probe once. Raises OSError if this machine could not (no descriptors, no port left)."""
    try:
        async with asyncio.timeout(check.timeout_s):
            latency_s = await _probe(check, target, means)
    except ProbeError as error:
        return Result(False, str(error), None, means.clock())
    except TimeoutError:
        return Result(False, f"timeout after {float(check.timeout_s)} s", None, means.clock())
    return Result(True, "", latency_s, means.clock())


async def _probe(check: Check, target: Target, means: Means) -> float:
    match check.type:
        case "tcp":
            return await tcp.probe(target, means)
        case "http" | "https":
            return await http.probe(check, target, means)
        case _:
            assert_never(check.type)
