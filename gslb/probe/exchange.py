"""One HTTP/1.1 request and what of its reply a check asks for (RFC 9112).

Knows: h11, which parses; how much of a reply is read. Refuses to know: checks, sockets,
redirects. Invariant: a turn of the loop reads at most 4 KiB and the body is kept up to its
limit, so that no endpoint, however hostile, holds up answers or fills memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import h11

from gslb.probe.reason import ProbeError, UnfitError, failure

_READ_SIZE = 4096  # h11 needs some 10 us an event, and 4 KiB may hold 700 one-octet chunks
_MAX_INTERIM = 8
_MAX_PIECES = 8192  # of a body: 80 ms of work; more where more octets are wanted
_LEAST_PIECE = 16  # octets of one, on the average
_END = h11.EndOfMessage()


@dataclass(frozen=True, slots=True)
class Ask:
    """A request without a body; `path` may carry a query."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """`location` is the header's text or None, `body` empty unless it was wanted.

    `header` is the text of the header that was wanted, None if it is not there.
    """

    status: int
    location: str | None
    body: bytes
    first_byte_at: float
    header: str | None = None


@lru_cache(maxsize=16384)  # a tenth of a probe; one for each address where no `host` is set
def _request(ask: Ask) -> h11.Request:
    return h11.Request(method=ask.method, target=ask.path, headers=list(ask.headers))


class Exchange(asyncio.BufferedProtocol):
    """Sends the request as soon as it is connected; `reply` is done when enough was read.

    `body_limit(status)` says how many octets of body are wanted, 0 for none; `header` names one
    more header that is. Raises UnfitError if the request cannot be written.
    """

    def __init__(
        self,
        ask: Ask,
        body_limit: Callable[[int], int],
        clock: Callable[[], float],
        header: str | None = None,
    ) -> None:
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._http = h11.Connection(h11.CLIENT)
        try:
            self._octets = self._http.send(_request(ask)) + self._http.send(_END)
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise UnfitError("the request is not valid HTTP") from error
        self._body_limit = body_limit
        self._clock = clock
        self._buffer = bytearray(_READ_SIZE)
        self._first_byte_at: float | None = None
        self._interim = self._pieces = 0
        self._status = 0
        self._location: str | None = None
        self._header_name = None if header is None else header.lower().encode()
        self._header: str | None = None
        self._wanted = 0
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._octets)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by the loop. A view: under TLS asyncio reads on into a slice of it, and that of a
        bytearray would be a copy."""
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the loop."""
        if self._first_byte_at is None:
            self._first_byte_at = self._clock()
        self._receive(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> None:
        """Called by the loop."""
        self._receive(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop; also after `abort`, when there is nothing left to say."""
        if self.reply.done():
            return
        try:
            self._fail(failure(exc) if isinstance(exc, OSError) else self._cut())
        except OSError as error:
            self._fail(error)

    def _receive(self, octets: bytes) -> None:
        """Octets of the reply; none means that the peer ended it."""
        if self.reply.done():
            return
        try:
            self._http.receive_data(octets)
            self._advance()
        except h11.RemoteProtocolError:
            self._fail(ProbeError("not an HTTP reply") if octets else self._cut())

    def _advance(self) -> None:
        while not self.reply.done():
            event = self._http.next_event()
            match event:
                case h11.InformationalResponse():
                    self._interim += 1
                    if self._interim > _MAX_INTERIM:
                        raise h11.RemoteProtocolError("too many interim replies")
                case h11.Response():
                    self._begin(event)
                case h11.Data():
                    self._body += event.data
                    self._pieces += 1
                    if self._pieces > max(_MAX_PIECES, self._wanted // _LEAST_PIECE):
                        self._fail(ProbeError("the body comes in too many pieces"))
                    elif len(self._body) >= self._wanted:
                        self._finish()
                case h11.EndOfMessage():
                    self._finish()
                case _:
                    # NEED_DATA; PAUSED and ConnectionClosed cannot come before the end.
                    return

    def _begin(self, response: h11.Response) -> None:
        self._status = response.status_code
        for name, value in reversed(response.headers):  # the first of a name counts
            if name == b"location":
                self._location = value.decode("latin-1")
            if name == self._header_name:
                self._header = value.decode("latin-1")
        self._wanted = self._body_limit(self._status)
        if not self._wanted:
            self._finish()

    def _finish(self) -> None:
        assert self._first_byte_at is not None
        body = bytes(self._body[: self._wanted])
        self.reply.set_result(
            Reply(self._status, self._location, body, self._first_byte_at, self._header)
        )

    def _fail(self, error: Exception) -> None:
        self.reply.set_exception(error)
        self.reply.exception()  # seen: whoever waited for it may have been cancelled

    def _cut(self) -> ProbeError:
        if self._first_byte_at is None:
            return ProbeError("closed without a reply")
        return ProbeError("reply cut short")
