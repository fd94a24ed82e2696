"""Shedding: how many of its answers a loaded pool gets, and which (health.md, Load).

Knows: the line between `low` and `high`, how fast a share may change, who is shed under `sticky`.
Refuses to know: clocks, where loads are reported. Invariant: pure; a share is a whole percentage,
0 to 100; the same client, network and share give the same verdict on every server, and whoever a
share leaves out, every smaller one does too.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from gslb.core.draw import prefix_digit
from gslb.core.health import Health
from gslb.core.policy import Policy, Shed, is_sticky, pools_below
from gslb.core.ramp import FULL

MOST_POINTS: Final = 10  # percentage points an interval, either way
FORGET_S: Final = 300.0  # after the last report, then the share rises


def target_share(load: float, shed: Shed) -> int:
    """The percentage that a load asks for: 100 up to `low`, 0 from `high` on, a line between."""
    if not load > shed.low:  # nor does what is no number shed anything
        return FULL
    if load >= shed.high:
        return 0
    return round(FULL * (shed.high - load) / (shed.high - shed.low))


def next_share(share: int, load: float | None, shed: Shed) -> int:
    """The share one interval later. `load` None: there was no report for `FORGET_S`."""
    target = FULL if load is None else target_share(load, shed)
    return min(max(target, share - MOST_POINTS), share + MOST_POINTS)


def is_shed(pool: str, share: int, prefix: bytes) -> bool:
    """True if a pool of this name and share is not available to a client, under `sticky`.

    `prefix` is the client's /24 or /56: 3 or 7 octets. h = BLAKE2b-64 over (pool name, 0, family
    digit, prefix); shed if h * 100 / 2^64 >= share.
    """
    data = pool.encode() + b"\0" + prefix_digit(prefix) + prefix
    number = int.from_bytes(blake2b(data, digest_size=8).digest(), "big")
    return number * FULL >> 64 >= share


def shed_for(policy: Policy, health: Health, prefix: bytes) -> frozenset[int]:
    """The indexes of the pools that are not available to a client, where its hash decides.

    Empty for a policy that is not sticky: there every answer has a draw of its own.
    """
    if not is_sticky(policy.node):
        return frozenset()
    return frozenset(
        pool.index
        for pool in pools_below(policy.node)
        if pool.shed is not None and is_shed(pool.name, health.pools[pool.index].share, prefix)
    )
