"""A door that can be shut: what is behind it is out of reach, and nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from gslb.lab.gate import Gate
from gslb.lab.world import LabError


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(1024):
        writer.write(octets)
    writer.close()


@pytest.fixture
async def behind() -> AsyncIterator[tuple[str, int]]:
    """A server that says everything again until it is told no more."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[:2]
    server.close()


async def test_an_open_gate_hands_on_both_ways_and_the_end_too(behind: tuple[str, int]) -> None:
    port = free_port()
    gate = Gate((("127.0.0.1", port),), behind)
    await gate.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b"octets" * 50_000
    writer.write(said)
    writer.write_eof()
    assert await reader.read(-1) == said
    writer.close()
    await gate.shut()


async def test_a_shut_gate_refuses_and_ends_what_was_there_while_other_ways_stay_open(
    behind: tuple[str, int],
) -> None:
    port = free_port()
    gate = Gate((("127.0.0.1", port),), behind)
    await gate.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    await gate.shut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    reader, writer = await asyncio.open_connection(*behind)
    writer.close()

    await gate.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"two")
    assert await reader.readexactly(3) == b"two"
    writer.close()
    await gate.shut()
    await gate.shut()


async def test_a_witness_accepts_and_hangs_up() -> None:
    port = free_port()
    witness = Gate((("127.0.0.1", port),))
    await witness.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read(-1) == b""
    writer.close()
    await witness.shut()


async def test_a_gate_to_nobody_hangs_up_too() -> None:
    port = free_port()
    gate = Gate((("127.0.0.1", port),), ("127.0.0.1", free_port()))
    await gate.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read(-1) == b""
    writer.close()
    await gate.shut()


async def test_a_gate_whose_place_is_taken_says_so() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(LabError, match=f"cannot listen on 127.0.0.1:{port}: address already"):
            await Gate((("127.0.0.1", port),)).open()
