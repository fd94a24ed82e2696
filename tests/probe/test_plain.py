"""A connection without TLS: what its protocol hears, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from gslb.probe.plain import Plain


class Ear(asyncio.BufferedProtocol):
    """Notes what it hears; says `first` as soon as it is connected."""

    def __init__(self, first: bytes = b"") -> None:
        self.heard: list[object] = []
        self.ended = asyncio.get_running_loop().create_future()
        self.read = asyncio.Event()
        self._first = first
        self._buffer = bytearray(8)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._first:
            transport.write(self._first)

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.heard.append(bytes(self._buffer[:nbytes]))
        self.read.set()

    def eof_received(self) -> None:
        self.heard.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append(type(exc))
        self.ended.set_result(None)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


async def test_it_hears_what_comes_piece_by_piece_and_the_end(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    ear = Ear()
    Plain(ours, ear)
    theirs.send(b"more than eight")
    theirs.shutdown(socket.SHUT_WR)
    await ear.ended
    assert ear.heard == [b"more tha", b"n eight", "eof", type(None)]
    assert ours.fileno() == -1


async def test_what_the_kernel_does_not_take_at_once_is_sent_as_it_takes_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sent = bytes(range(256)) * 4_000
    ear = Ear(sent)
    plain = Plain(ours, ear)
    plain.write(b"the rest")
    loop = asyncio.get_running_loop()
    came = bytearray()
    while len(came) < len(sent) + 8:
        came += await loop.sock_recv(theirs, 1 << 20)
    assert came == sent + b"the rest"
    theirs.send(b"thanks")
    await ear.read.wait()
    assert ear.heard == [b"thanks"]
    plain.abort()


async def test_after_an_abort_it_hears_only_that(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ear = Ear(bytes(1_000_000))  # some of it waits
    plain = Plain(ours, ear)
    theirs.send(b"too late")
    plain.abort()
    plain.abort()
    await asyncio.sleep(0)
    assert ear.heard == [type(None)]
    assert ours.fileno() == -1


async def test_a_reset_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ear = Ear()
    plain = Plain(ours, ear)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    await ear.ended
    assert ear.heard == [ConnectionResetError]
    plain.abort()
    assert ear.heard == [ConnectionResetError]


async def test_who_cannot_send_any_more_is_told(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = pair
    ours.shutdown(socket.SHUT_WR)
    ear = Ear(b"nobody reads this")
    Plain(ours, ear)
    await ear.ended
    assert ear.heard == [BrokenPipeError]
