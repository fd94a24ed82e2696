"""The `tcp` check: an endpoint works if it accepts a connection.

Refuses to know: what is spoken over it. Invariant: nothing is sent.
"""

from __future__ import annotations

from gslb.core.check import Target
from gslb.probe.connection import Means, connect


async def probe(target: Target, means: Means) -> float:
    """Connect and close; returns the connect time in seconds. Raises ProbeError.

    `latency: first_byte` has no byte to wait for here and means the connect time too.
    """
    started = means.clock()
    connection = await connect(target.address, target.port, means)
    latency_s = means.clock() - started
    connection.close()
    return latency_s
