"""The `tcp` check: an endpoint works if it accepts a connection and, if asked, says the word.

Knows: TLS, `send` and `expect`. Refuses to know: what is spoken. Invariant: a turn of the loop
reads at most 4 KiB and a reply is looked at up to 64 KiB, so that no endpoint holds up answers or
fills memory; nothing is sent but `send`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gslb.core.check import Check, Target
from gslb.probe.certificate import converse_with, host_in, peer_of
from gslb.probe.connection import Means, connect
from gslb.probe.finding import Finding
from gslb.probe.reason import ProbeError, failure

MOST_READ: Final = 64 * 1024
_READ_SIZE: Final = 4096


async def probe(check: Check, target: Target, means: Means, finding: Finding) -> None:
    """Connect, say `send`, wait for `expect`. Raises ProbeError.

    The latency is the connect time, without TLS. `latency: first_byte` is the time until the
    first octet of what was waited for, and without an `expect` the connect time too.
    """
    name = host_in(check.host) if check.host else target.address
    where = (target.address, target.port)
    peer = await peer_of(check, name, where, means) if check.tls else None
    started = means.clock()
    connection = await connect(*where, means)
    connected = means.clock()
    if peer is None and not check.send and check.expect is None:
        connection.close()
        finding.latency_s = connected - started
        return
    dialogue = Dialogue(check.send, check.expect, means.clock)
    transport = await converse_with(peer, connection, dialogue, means, finding)
    try:
        first_byte_at = await dialogue.found
    finally:
        transport.abort()
    ended = connected
    if check.latency == "first_byte" and first_byte_at is not None:
        ended = first_byte_at
    finding.latency_s = ended - started


class Dialogue(asyncio.BufferedProtocol):
    """Sends as soon as it is connected; `found` is done when `expect` came.

    Its result is when the first octet came, None if nothing was waited for.
    """

    def __init__(self, send: bytes, expect: bytes | None, clock: Callable[[], float]) -> None:
        self.found: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        self._send = send
        self._expect = expect
        self._clock = clock
        self._buffer = bytearray(_READ_SIZE)
        self._first_byte_at: float | None = None
        self._tail = b""  # of what was read, as much as may begin the text
        self._read = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.WriteTransport)
        if self._send:
            transport.write(self._send)
        if self._expect is None:
            self.found.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by the loop. A view: under TLS asyncio reads on into a slice of it, and that of a
        bytearray would be a copy."""
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the loop."""
        if self.found.done() or self._expect is None:
            return
        if self._first_byte_at is None:
            self._first_byte_at = self._clock()
        left = MOST_READ - self._read
        self._read += nbytes
        seen = self._tail + self._buffer[: min(nbytes, left)]
        if self._expect in seen:
            self.found.set_result(self._first_byte_at)
        elif nbytes >= left:
            self._fail(ProbeError(f"{MOST_READ // 1024} KiB without the expected reply"))
        self._tail = bytes(seen[max(0, len(seen) - len(self._expect) + 1) :])

    def eof_received(self) -> None:
        """Called by the loop."""
        self._fail(ProbeError("closed without the expected reply"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop; also after `abort`, when there is nothing left to say."""
        if self.found.done():
            return
        try:
            lost = failure(exc) if isinstance(exc, OSError) else None
            self._fail(lost or ProbeError("closed without the expected reply"))
        except OSError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self.found.done():
            self.found.set_exception(error)
            self.found.exception()  # seen: whoever waited for it may have been cancelled
