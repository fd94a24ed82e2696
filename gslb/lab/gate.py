"""A door on a TCP address that can be shut: what is behind it is then out of reach that way.

Knows: listening, handing octets on both ways. Refuses to know: what they mean, who shuts it.
Invariant: shut, a connection to it is refused, and those that were there are gone; nothing else
is cut off.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gslb.lab.failure import explain_error
from gslb.lab.world import LabError

CHUNK: Final = 65_536


class Gate:
    """Listens on every (host, port) of `places` and hands on to `behind`; to nobody if None.

    One that hands on to nobody is a witness: it accepts a connection, and closes it.
    """

    def __init__(
        self, places: tuple[tuple[str, int], ...], behind: tuple[str, int] | None = None
    ) -> None:
        self._places: Final = places
        self._behind: Final = behind
        self._servers: Final[list[asyncio.Server]] = []
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    async def open(self) -> None:
        """Lets connections through from now on. Raises LabError if it cannot listen."""
        for host, port in self._places:
            try:
                server = await asyncio.start_server(self._enter, host, port)
            except OSError as error:
                raise LabError(f"cannot listen on {host}:{port}: {explain_error(error)}") from None
            self._servers.append(server)

    async def shut(self) -> None:
        """Refuses connections from now on, and ends those there are. Twice is as well as once."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio runs this in a task of its own
        self._tasks.add(task)
        try:
            if self._behind is not None:
                await _hand_on(reader, writer, self._behind)
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()  # shut; asyncio's own callback would complain of it
        finally:
            self._tasks.discard(task)


async def _hand_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behind: tuple[str, int]
) -> None:
    """Both ways, until both have ended or one is broken: whoever knocked sees the end, no more."""
    try:
        inner_reader, inner_writer = await asyncio.open_connection(*behind)
    except OSError:
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, inner_writer))
            both.create_task(_copy(inner_reader, writer))
    except* OSError:
        pass
    finally:
        inner_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end, which is handed on too."""
    while octets := await reader.read(CHUNK):
        writer.write(octets)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
        await writer.drain()
