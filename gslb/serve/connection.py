"""One TCP connection: queries in, answers out, in order (RFC 7766 sections 6 and 7).

Knows: pipelining, half-close, partial writes, when this client has been too slow. Refuses
to know: other connections (tcp.py), what a message says. Invariant: what is held for a
client is bounded: one incomplete message, the queries of a few reads, `pipeline` of them and
one read more, `HIGH_WATER` octets of answers and one answer more. Beyond that its octets stay
in the kernel, and TCP itself makes the client wait; nothing is dropped.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from gslb.core.setting import TcpLimits
from gslb.serve.engine import Engine
from gslb.wire.stream import Framer, frame

# A read holds some 400 queries; they are answered in shares so that UDP gets its turn.
READ_SIZE: Final = 16 * 1024
ANSWERS_A_TURN: Final = 32
HIGH_WATER: Final = 32 * 1024

Lapse = Literal["idle", "message", "stalled"]


class Connection:
    """An accepted socket from now until `closed` is called with it.

    `heard` is called whenever whole messages have come. Other `limits` hold at once. `pauses`
    counts how often `pipeline` queries waited, so that reading had to.
    """

    __slots__ = (
        "_active_at",
        "_answer",
        "_begun_at",
        "_closed",
        "_ended",
        "_framer",
        "_heard",
        "_loop",
        "_peer",
        "_pending",
        "_reading",
        "_socket",
        "_turn",
        "_unsent",
        "_writing",
        "limits",
        "pauses",
        "source",
    )

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        engine: Engine,
        limits: TcpLimits,
        heard: Callable[[Connection], None],
        closed: Callable[[Connection], None],
    ) -> None:
        self.source: Final = _source(peer)
        self.limits = limits
        self.pauses = 0
        self._socket: Final = sock
        self._peer: Final = peer
        self._answer: Final = engine.answer
        self._heard: Final = heard
        self._closed: Final = closed
        self._loop: Final = asyncio.get_running_loop()
        self._framer: Final = Framer()
        self._pending: Final[deque[bytes]] = deque()
        self._unsent: Final = bytearray()
        self._active_at = self._loop.time()
        self._begun_at: float | None = None  # of the message that is incomplete
        self._turn: asyncio.Handle | None = None
        self._ended = False
        self._writing = False
        self._reading = True
        sock.setblocking(False)
        # Answers are joined before they are sent, so waiting for more gains nothing.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(sock, self._receive)

    def lapse(self, now: float) -> Lapse | None:
        """Which deadline has passed at `now` (the loop's time), if any.

        A client that keeps reading and asking has none; while it is us who do not read,
        an incomplete message is not its fault.
        """
        if self._begun_at is not None and self._reading:
            if now - self._begun_at > self.limits.message_s:
                return "message"
        elif now - self._active_at > self.limits.idle_s:
            return "stalled" if self._unsent else "idle"
        return None

    def finish(self) -> None:
        """Answer what has arrived, then close; nothing more is read."""
        self._receive()
        self._ended = True
        if self._open:
            self._wait()

    def close(self) -> None:
        """Close at once; what is not sent yet is lost."""
        if not self._open:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        if self._turn is not None:
            self._turn.cancel()
        self._socket.close()
        self._closed(self)

    @property
    def _open(self) -> bool:
        return self._socket.fileno() >= 0

    def _receive(self) -> None:
        try:
            octets = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if octets:
            self._take(octets)
        else:  # half-close: what was asked before is still answered
            self._ended = True
            self._begun_at = None
        self._work()

    def _take(self, octets: bytes) -> None:
        now = self._loop.time()
        messages = self._framer.feed(octets)
        if messages:
            self._pending.extend(messages)
            self._active_at = now
            self._heard(self)
        if not self._framer.mid_message:
            self._begun_at = None
        elif messages or self._begun_at is None:
            self._begun_at = now

    def _work(self) -> None:
        """Answer a share of what is pending and send it."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        pending, unsent = self._pending, self._unsent
        for _ in range(ANSWERS_A_TURN):
            if not pending or len(unsent) >= HIGH_WATER:
                break
            reply = self._answer(pending.popleft(), self._peer, "tcp")
            if reply is not None:
                unsent += frame(reply)
        if unsent:
            self._send()
        if self._open:
            self._wait()

    def _send(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        del self._unsent[:sent]
        self._active_at = self._loop.time()

    def _wait(self) -> None:
        """Ask the loop for what can happen next, and for nothing else."""
        if self._ended and not self._pending and not self._unsent:
            self.close()
            return
        crowded = len(self._pending) >= self.limits.pipeline
        if crowded and self._reading and not self._ended:
            self.pauses += 1
        # Who does not fetch its answers has nothing more to ask: queries may have 64 KiB each.
        full = self._pending and len(self._unsent) >= HIGH_WATER
        self._read_on(not (self._ended or crowded or full))
        writing = bool(self._unsent)
        if writing and not self._writing:
            self._loop.add_writer(self._socket, self._work)
        elif self._writing and not writing:
            self._loop.remove_writer(self._socket)
        self._writing = writing
        if self._pending and len(self._unsent) < HIGH_WATER and self._turn is None:
            self._turn = self._loop.call_soon(self._work)

    def _read_on(self, reading: bool) -> None:
        if reading and not self._reading:
            self._loop.add_reader(self._socket, self._receive)
            if self._begun_at is not None:
                self._begun_at = self._loop.time()
        elif self._reading and not reading:
            self._loop.remove_reader(self._socket)
        self._reading = reading


def _source(peer: str) -> bytes:
    """The network that counts as one client: /24 or /56, as for rate limiting."""
    if ":" in peer:
        return socket.inet_pton(socket.AF_INET6, peer)[:7]
    return socket.inet_pton(socket.AF_INET, peer)[:3]
