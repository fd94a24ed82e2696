"""One probe, from its start to a result.

Knows: which probe belongs to which check type, the timeout around all of it, and `invert`.
Refuses to know: schedules, trails. Invariant: whatever an endpoint does within the timeout becomes
a Result; an OSError that leaves here is our own machine's.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import Awaitable, Callable
from typing import assert_never

from gslb.core.check import Check, Target
from gslb.core.trail import Result
from gslb.probe import exec as program
from gslb.probe import http, icmp, tcp
from gslb.probe.connection import Means
from gslb.probe.finding import Finding
from gslb.probe.reason import ProbeError, UnfitError

_DNS = "gslb.probe.dns"
_Probe = Callable[[Check, Target, Means, Finding], Awaitable[None]]


async def attempt(check: Check, target: Target, means: Means) -> Result:
    """Probe once. Raises OSError if this machine could not (no descriptors, no port left)."""
    finding = Finding()
    reason, is_fit = "", True
    try:
        async with asyncio.timeout(check.timeout_s):
            await _probe(check, target, means, finding)
    except ProbeError as error:
        reason, is_fit = str(error), not isinstance(error, UnfitError)
    except TimeoutError as error:
        if finding.is_told:
            raise OSError(errno.EBUSY, "too many searches for body_regex take too long") from error
        reason = f"timeout after {float(check.timeout_s)} s"
    if check.invert and is_fit:
        # The latency of what should not answer, and of what did not, is no endpoint's latency.
        reason, finding.latency_s = "" if reason else "answers, and invert is set", None
    return Result(
        not reason,
        reason,
        None if reason else finding.latency_s,
        means.clock(),
        finding.load,
        finding.expires_at,
    )


async def _probe(check: Check, target: Target, means: Means, finding: Finding) -> None:
    match check.type:
        case "tcp":
            await tcp.probe(check, target, means, finding)
        case "http" | "https":
            await http.probe(check, target, means, finding)
        case "dns":
            if _DNS not in sys.modules:
                await asyncio.to_thread(_dns)
            await _dns()(check, target, means, finding)
        case "icmp":
            await icmp.probe(target, means, finding)
        case "exec":
            await program.probe(check, target, means, finding)
        case "calculated" | "push":
            raise AssertionError(f"a check of type {check.type} is not probed")
        case _:
            assert_never(check.type)


def _dns() -> _Probe:
    """Imported by the first who asks, and off the loop: dnslib takes 20 ms, few need it."""
    from gslb.probe import dns

    return dns.probe
