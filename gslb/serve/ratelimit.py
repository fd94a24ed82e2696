"""Response rate limiting: what one network may be sent of one kind in a second.

Knows: networks (/24 and /56), how fast each may take replies. Refuses to know: what is in a
reply; its kind is a number. Invariant: the table has one size for ever. What shares a slot
shares a limit; the hash is keyed, so nobody can choose whom to share with.

Each slot is a "theoretical arrival time" (the generic cell rate algorithm, ITU-T I.371 annex
A): one double holds what a token bucket has, and nothing runs when nobody asks.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from random import random
from secrets import token_hex
from socket import AF_INET6, inet_pton
from typing import Final

from gslb.core.setting import RateLimit
from gslb.serve.ready import Ledger

SLOTS: Final = 1 << 19  # 4 MiB
BURST_S: Final = 1.0  # a second's replies may go out at once


class Table:
    """What networks were sent; it outlives every reload."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random,
        slots: int = SLOTS,
    ) -> None:
        """`now` gives monotonic seconds, `draw` a number below 1; `slots` is a power of two."""
        self.draw: Final = draw
        self.now: Final = now
        self.due: Final = array("d", bytes(8 * slots))
        self.mask: Final = slots - 1
        # Python's hash of text is keyed too, but not with PYTHONHASHSEED=0.
        self.salt: Final = token_hex(16)


class RateLimiter:
    """One setting of `server.rate_limit` over the table."""

    def __init__(self, table: Table, limit: RateLimit, ledger: Ledger) -> None:
        self._table: Final = table
        self._now: Final = table.now
        self._step_s: Final = 1.0 / limit.per_second
        # Half a step of tolerance, because sums of floats are not exact.
        self._room_s: Final = BURST_S - self._step_s / 2
        self._slip: Final = limit.slip
        self._log_only: Final = limit.log_only
        self._exempt: Final = [ip_network(text) for text in limit.exempt]
        self._logged, self._pardoned = ledger.cell("rrl", "logged"), ledger.cell("rrl", "exempt")

    def over(self, peer: str, kind: int) -> bool:
        """Counts a reply; True if it is one too many, and then it does not count."""
        table = self._table
        if ":" in peer:
            slot = hash(table.salt + inet_pton(AF_INET6, peer)[:7].hex()) ^ kind
        else:
            slot = hash(table.salt + peer[: peer.rindex(".")]) ^ kind
        slot &= table.mask
        now = self._now()
        due = table.due[slot]
        if due < now:
            due = now
        elif due - now > self._room_s:
            return not self._lenient(peer)
        table.due[slot] = due + self._step_s
        return False

    def slips(self) -> bool:
        """True for one in `slip` of the replies over the limit. Drawn: nobody can count on it."""
        return self._slip > 0 and self._table.draw() * self._slip < 1

    def _lenient(self, peer: str) -> bool:
        """True if a reply over the limit goes out all the same."""
        if self._log_only:
            self._logged[0] += 1
            return True
        if not self._exempt:
            return False
        address = ip_address(peer)
        if not any(address in network for network in self._exempt):
            return False
        self._pardoned[0] += 1
        return True
