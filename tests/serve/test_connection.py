"""The deadlines of one TCP connection, by a clock that the test reads out."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from gslb.core.setting import TcpLimits
from gslb.serve.connection import Connection
from gslb.wire.stream import frame

QUERY = frame(bytes(12))
LIMITS = TcpLimits(idle_s=10, message_s=2)


@pytest.fixture
async def pair(engine) -> Iterator[tuple[Connection, socket.socket]]:
    """A connection without a server around it, and the client's socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        accepted, peer = listening.accept()
    client.setblocking(False)
    gone: list[Connection] = []
    connection = Connection(accepted, peer[0], engine, LIMITS, lambda _: None, gone.append)
    yield connection, client
    client.close()
    connection.close()
    assert gone == [connection]


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_silent_client_lapses_after_the_idle_time(pair):
    connection, _ = pair
    assert connection.lapse(now() + 9) is None
    assert connection.lapse(now() + 11) == "idle"


async def test_a_message_has_to_be_complete_in_its_time_however_it_trickles(pair, settled):
    connection, client = pair
    client.send(QUERY[:1])
    await settled(lambda: connection.lapse(now() + 3))
    begun = now()
    client.send(QUERY[1:2])
    await settled(lambda: None)
    assert connection.lapse(begun + 1) is None
    assert connection.lapse(begun + 3) == "message"
    client.send(QUERY[2:])
    await settled(lambda: None)
    assert connection.lapse(begun + 3) is None


async def test_a_client_that_does_not_read_its_answers_lapses_as_stalled(pair, settled, engine):
    connection, client = pair
    engine.padding = bytes(60_000)
    client.send(QUERY * 300 + QUERY[:1])
    await settled(lambda: len(engine.asked))
    assert len(engine.asked) < 300
    # Reading has paused, so the message that has begun is not what it is late with.
    assert connection.lapse(now() + 9) is None
    assert connection.lapse(now() + 11) == "stalled"


async def test_closing_twice_is_closing_once(pair):
    connection, _ = pair
    connection.close()
    connection.close()
