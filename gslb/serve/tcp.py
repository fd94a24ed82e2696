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
from collections.abc import Sequence
from typing import Final

from gslb.core.setting import TcpLimits
from gslb.serve.connection import Connection
from gslb.serve.engine import Engine

ACCEPTS_A_TURN: Final = 64
# Out of descriptors, the listening socket stays readable: asking again at once would spin.
ACCEPT_PAUSE_S: Final = 0.1
SWEEPS_A_DEADLINE: Final = 4
# How long clients may take to fetch their last answers at a stop.
STOP_GRACE_S: Final = 1.0

_log: Final = logging.getLogger(__name__)


class TcpServer:
    """The listening sockets and their connections. `dropped` counts by reason.

    New `limits` hold for connections made after they were set.
    """

    def __init__(self, sockets: Sequence[socket.socket], engine: Engine, limits: TcpLimits) -> None:
        self.limits = limits
        self.dropped: Counter[str] = Counter()
        self._engine: Final = engine
        self._loop: Final = asyncio.get_running_loop()
        # Both from the most idle to the most recent, so that the one to go is the first.
        self._connections: Final[OrderedDict[Connection, None]] = OrderedDict()
        self._sources: Final[dict[bytes, OrderedDict[Connection, None]]] = {}
        self._emptied: Final = asyncio.Event()
        self._sweeper: asyncio.TimerHandle | None = None
        self._listening = tuple(sockets)
        for sock in self._listening:
            self._loop.add_reader(sock, self._accept, sock)

    def __len__(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    async def stop(self) -> None:
        """Take in who has knocked, answer what was received, close everything."""
        listening, self._listening = self._listening, ()
        for sock in listening:
            self._accept(sock)
            self._loop.remove_reader(sock)
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

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, peer = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # EMFILE, ENFILE, ENOBUFS, ENOMEM
                self._accept_later(listening, error)
                return
            self._admit(sock, peer[0])

    def _accept_later(self, listening: socket.socket, error: OSError) -> None:
        _log.warning("cannot accept a TCP connection: %s", error.strerror)
        self.dropped["tcp_accept"] += 1
        if self._connections:
            next(iter(self._connections)).close()
        self._loop.remove_reader(listening)
        self._loop.call_later(ACCEPT_PAUSE_S, self._accept_again, listening)

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._listening:
            self._loop.add_reader(listening, self._accept, listening)

    def _admit(self, sock: socket.socket, peer: str) -> None:
        connection = Connection(
            sock, peer, self._engine, self.limits, heard=self._heard, closed=self._closed
        )
        neighbours = self._sources.setdefault(connection.source, OrderedDict())
        self._connections[connection] = None
        neighbours[connection] = None
        if len(neighbours) > self.limits.per_source:
            self._drop(next(iter(neighbours)), "tcp_per_source")
        elif len(self._connections) > self.limits.connections:
            self._drop(next(iter(self._connections)), "tcp_connections")
        if self._sweeper is None:
            self._sweep_later()

    def _heard(self, connection: Connection) -> None:
        self._connections.move_to_end(connection)
        self._sources[connection.source].move_to_end(connection)

    def _closed(self, connection: Connection) -> None:
        del self._connections[connection]
        neighbours = self._sources[connection.source]
        del neighbours[connection]
        if not neighbours:
            del self._sources[connection.source]
        if not self._connections:
            self._emptied.set()

    def _drop(self, connection: Connection, reason: str) -> None:
        self.dropped[reason] += 1
        connection.close()

    def _sweep_later(self) -> None:
        shortest_s = min(self.limits.idle_s, self.limits.message_s)
        self._sweeper = self._loop.call_later(shortest_s / SWEEPS_A_DEADLINE, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in tuple(self._connections):
            match connection.lapse(now):
                case None:
                    pass
                case "idle":  # the ordinary end of a connection, no loss
                    connection.close()
                case "message" | "stalled" as why:
                    self._drop(connection, f"tcp_{why}")
        self._sweeper = None
        if self._connections:
            self._sweep_later()
