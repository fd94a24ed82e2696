"""DNS over TCP: who may be connected (RFC 7766 section 6.2, RFC 9210 section 4).

Knows: accepting, the limits of `server.tcp`, who has to go. Refuses to know: what a
connection does with its octets (connection.py). Invariant: a newcomer always gets in; where
a limit is reached, the connection that has asked nothing for longest makes room, so neither
idle nor stuck clients keep others out.

The accepting is our own: out of file descriptors, asyncio's tries again for every place in
the backlog and logs a traceback for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter, OrderedDict
from collections.abc import Collection, Sequence
from typing import Final

from gslb.core.setting import TcpLimits
from gslb.serve.connection import Connection
from gslb.serve.engine import Engine

BACKLOG: Final = 1024
ACCEPTS_A_TURN: Final = 64
MOST_KNOCKING: Final = 2 * BACKLOG  # at a stop, of whom some come while we accept
# Out of descriptors, the listening socket stays readable: asking again at once would spin.
ACCEPT_PAUSE_S: Final = 0.1
SWEEPS_A_DEADLINE: Final = 4
# How long clients may take to fetch their last answers at a stop.
STOP_GRACE_S: Final = 1.0
TELL_EVERY_S: Final = 60.0

_log: Final = logging.getLogger(__name__)


class TcpServer:
    """The listening sockets and their connections.

    `dropped` counts by reason, `caps` how often each limit was reached.
    """

    def __init__(self, sockets: Sequence[socket.socket], engine: Engine, limits: TcpLimits) -> None:
        self.dropped: Counter[str] = Counter()
        self._caps: Final[Counter[str]] = Counter()
        self._limits = limits
        self._engine: Final = engine
        self._loop: Final = asyncio.get_running_loop()
        # Both from the most idle to the most recent, so that the one to go is the first.
        self._connections: Final[OrderedDict[Connection, None]] = OrderedDict()
        self._sources: Final[dict[bytes, OrderedDict[Connection, None]]] = {}
        self._emptied: Final = asyncio.Event()
        self._sweeper: asyncio.TimerHandle | None = None
        self._refused = 0  # connections that were not accepted and not told of yet
        self._told_at = -TELL_EVERY_S
        self._listening = tuple(sockets)
        for sock in self._listening:
            self._loop.add_reader(sock, self._accept, sock)

    def __len__(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    def caps(self) -> Counter[str]:
        """How often each limit was reached."""
        caps = self._caps.copy()
        caps["tcp_pipeline"] += sum(connection.pauses for connection in self._connections)
        return caps

    def limit(self, limits: TcpLimits) -> None:
        """Other limits from now on; what is too much by these goes as newcomers come."""
        self._limits = limits
        for connection in self._connections:
            connection.limits = limits
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweep_later()

    async def stop(self, keep: Collection[socket.socket] = ()) -> None:
        """Take in who has knocked, answer what was received, close everything.

        Who knocks at those to `keep` is somebody else's: they are only closed.
        """
        listening, self._listening = self._listening, ()
        for sock in listening:
            self._loop.remove_reader(sock)
            if sock not in keep:
                self._accept(sock, MOST_KNOCKING)
            sock.close()
        for connection in tuple(self._connections):
            connection.finish()
        if self._connections:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_GRACE_S):
                    await self._emptied.wait()
        for connection in tuple(self._connections):
            connection.close()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _accept(self, listening: socket.socket, most: int = ACCEPTS_A_TURN) -> None:
        for _ in range(most):
            try:
                sock, peer = listening.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:  # EMFILE, ENFILE, ENOBUFS, ENOMEM
                self._accept_later(listening, error)
                return
            self._admit(sock, peer[0])

    def _accept_later(self, listening: socket.socket, error: OSError) -> None:
        self.dropped["tcp_accept"] += 1
        self._tell(error)
        if self._connections:
            next(iter(self._connections)).close()
        if listening in self._listening:
            self._loop.remove_reader(listening)
            self._loop.call_later(ACCEPT_PAUSE_S, self._accept_again, listening)

    def _tell(self, error: OSError) -> None:
        """When it begins, and then at most once a minute."""
        self._refused += 1
        now = self._loop.time()
        if now - self._told_at < TELL_EVERY_S:
            return
        _log.warning(
            "cannot accept a TCP connection: %s; failed attempts: %d; raise the limit of open"
            " files, or lower server.tcp.connections",
            error.strerror,
            self._refused,
        )
        self._refused, self._told_at = 0, now

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._listening:
            self._loop.add_reader(listening, self._accept, listening)

    def _admit(self, sock: socket.socket, peer: str) -> None:
        connection = Connection(
            sock, peer, self._engine, self._limits, heard=self._heard, closed=self._closed
        )
        neighbours = self._sources.setdefault(connection.source, OrderedDict())
        self._connections[connection] = None
        neighbours[connection] = None
        while len(neighbours) > self._limits.per_source:
            self._drop(next(iter(neighbours)), "tcp_per_source")
        while len(self._connections) > self._limits.connections:
            self._drop(next(iter(self._connections)), "tcp_connections")
        if self._sweeper is None:
            self._sweep_later()

    def _heard(self, connection: Connection) -> None:
        self._connections.move_to_end(connection)
        self._sources[connection.source].move_to_end(connection)

    def _closed(self, connection: Connection) -> None:
        del self._connections[connection]
        self._caps["tcp_pipeline"] += connection.pauses
        neighbours = self._sources[connection.source]
        del neighbours[connection]
        if not neighbours:
            del self._sources[connection.source]
        if not self._connections:
            self._emptied.set()

    def _drop(self, connection: Connection, cap: str, reason: str = "") -> None:
        self._caps[cap] += 1
        self.dropped[reason or cap] += 1
        connection.close()

    def _sweep_later(self) -> None:
        shortest_s = min(self._limits.idle_s, self._limits.message_s)
        self._sweeper = self._loop.call_later(shortest_s / SWEEPS_A_DEADLINE, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in tuple(self._connections):
            match connection.lapse(now):
                case None:
                    pass
                case "idle":  # the ordinary end of a connection, no loss
                    self._caps["tcp_idle"] += 1
                    connection.close()
                case "stalled":
                    self._drop(connection, "tcp_idle", "tcp_stalled")
                case "message":
                    self._drop(connection, "tcp_message")
        self._sweeper = None
        if self._connections:
            self._sweep_later()
