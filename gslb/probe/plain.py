"""A connection without TLS, as a protocol of asyncio wants it.

Knows: a connected socket and the loop's readers. Refuses to know: what is spoken. Invariant: one
read a turn, into the protocol's own buffer; after `abort` the socket is closed at once and the
protocol hears nothing more but that.

asyncio's own transport does the same in four turns of the loop, and they are a sixth of a probe.
"""

from __future__ import annotations

import asyncio
import socket


class Plain(asyncio.Transport):
    """Begins with `connection_made`, before it returns; owns the socket from then on."""

    def __init__(self, connection: socket.socket, protocol: asyncio.BufferedProtocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._number = connection.fileno()  # the loop would print a socket to look for it
        self._protocol = protocol
        self._unsent = b""
        self._waits = False  # for the kernel to take the rest
        self._is_open = True
        self._loop.add_reader(self._number, self._read)
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send now what the kernel takes, and the rest as it takes it."""
        self._unsent += bytes(data)
        self._send()

    def abort(self) -> None:
        """Close at once."""
        self._end(None)

    def _send(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._end(error)
            return
        waited, self._unsent = self._waits, self._unsent[sent:]
        self._waits = bool(self._unsent)
        if self._waits and not waited:
            self._loop.add_writer(self._number, self._send)
        elif waited and not self._waits:
            self._loop.remove_writer(self._number)

    def _read(self) -> None:
        try:
            read = self._connection.recv_into(self._protocol.get_buffer(-1))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if read:
            self._protocol.buffer_updated(read)
            return
        self._loop.remove_reader(self._number)
        self._protocol.eof_received()
        self._end(None)

    def _end(self, error: OSError | None) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._number)
        if self._waits:
            self._loop.remove_writer(self._number)
        self._connection.close()
        self._protocol.connection_lost(error)
