"""Who may hold a connection to the control address, and for how long (control.md, Who may).

Knows: how many connections are open and from where, and whether a client reads what it asked for.
Refuses to know: HTTP; the octets go on to the protocol behind, unread. Invariant: what is counted
in is counted out, once; a source at its limit costs the others nothing, and strangers never take
the places kept for loopback.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter

from gslb.core.setting import is_loopback

MAX_CONNECTIONS = 64
PER_SOURCE = 8
KEPT_FOR_LOOPBACK = 8
SLOW_S = 10.0


class Gate:
    """The open connections, counted by source: an IPv4 address or an IPv6 /64.

    `refused` counts those that found no place.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._sources: Counter[str] = Counter()
        self._strangers = 0

    def enter(self, address: str) -> bool:
        """Counts a connection in; False when there is no place for it."""
        source, stranger = _source(address), not is_loopback(address)
        if (
            self._sources[source] >= PER_SOURCE
            or self._sources.total() >= MAX_CONNECTIONS
            or (stranger and self._strangers >= MAX_CONNECTIONS - KEPT_FOR_LOOPBACK)
        ):
            self.refused += 1
            return False
        self._sources[source] += 1
        self._strangers += stranger
        return True

    def leave(self, address: str) -> None:
        """Counts out a connection that was let in."""
        source = _source(address)
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]  # what strangers do never grows a dictionary
        self._strangers -= not is_loopback(address)


def _source(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    ip = (ip.version == 6 and ip.ipv4_mapped) or ip
    if ip.version == 4:
        return str(ip)
    return str(ipaddress.ip_network((int(ip), 64), strict=False))


class GuardedConnection(asyncio.Protocol):
    """One connection: counted, and dropped when its client does not read for `SLOW_S`.

    A client that is slow to *send* is dropped by the protocol behind (its keep-alive timer runs
    from the start of the connection). Without a place the client gets `refusal` and the end.
    """

    def __init__(self, gate: Gate, behind: asyncio.Protocol, refusal: bytes) -> None:
        self._gate = gate
        self._behind = behind
        self._refusal = refusal
        self._address: str | None = None  # set while counted
        self._transport: asyncio.Transport | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._gate.enter(address):
            transport.write(self._refusal)
            transport.close()
            return
        self._address, self._transport = address, transport
        self._behind.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._address is not None:
            self._behind.data_received(data)

    def eof_received(self) -> bool | None:
        return self._behind.eof_received() if self._address is not None else None

    def pause_writing(self) -> None:
        if self._address is None or self._transport is None:
            return
        loop = asyncio.get_running_loop()
        self._stalled = loop.call_later(SLOW_S, self._transport.abort)
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        self._clear_timer()
        if self._address is not None:
            self._behind.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_timer()
        if self._address is not None:
            self._gate.leave(self._address)
            self._address = None
            self._behind.connection_lost(exc)

    def _clear_timer(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
