"""What endpoints of the prober's tests say, on real sockets of this machine."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ALLOWED = ("127.0.0.0/8", "::1/128")


def page(status: int, body: bytes = b"", headers: bytes = b"") -> bytes:
    """A reply with its length."""
    head = b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n" % (status, len(body))
    return head + headers + b"\r\n" + body


def saying(*replies: bytes, seen: list[bytes] | None = None) -> Handler:
    """Gives these replies to whatever it is asked, in turn, the last for ever; notes questions."""
    left = list(replies)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(question)
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return handle


def endless(opening: bytes, piece: bytes) -> Handler:
    """Says the opening and then the same piece for ever, as fast as it is read."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(opening)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return handle


def breaking_off(opening: bytes) -> Handler:
    """Says the opening and resets the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(opening)
        writer.transport.abort()

    return handle


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts, listens and never says a word: half-open."""
    await reader.read()


class Endpoints:
    """Opens endpoints and closes them all at the end, whatever they are doing."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._conversations: set[asyncio.Task[None]] = set()

    async def open(
        self, handler: Handler, host: str = "127.0.0.1", secure: ssl.SSLContext | None = None
    ) -> int:
        """The port it listens on."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._conversations.add(task)
            try:
                await handler(reader, writer)
                writer.close()
                await writer.wait_closed()
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                writer.transport.abort()  # the prober has gone, or the test is over
            finally:
                self._conversations.discard(task)

        server = await asyncio.start_server(talk, host, 0, ssl=secure)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        conversations = list(self._conversations)
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes aborted transports in its next turn
        for server in self._servers:
            await server.wait_closed()
