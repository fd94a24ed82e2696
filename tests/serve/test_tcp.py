"""TCP: pipelining, odd segments, and limits under which a newcomer always gets in."""

import asyncio
import resource
import socket
import struct
from itertools import pairwise

import pytest
from gslb.core.setting import TcpLimits
from gslb.serve.tcp import TcpServer
from gslb.wire.stream import frame

from running import wait_for

PATIENCE_S = 20


def query(number: int, length: int = 12) -> bytes:
    return struct.pack("!H", number) + bytes(length - 2)


def reply(number: int, length: int = 12) -> bytes:
    return struct.pack("!H", number) + b"\x84" + bytes(length - 3)


class Client:
    """A TCP client that frames and unframes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            length = int.from_bytes(await self.reader.readexactly(2), "big")
            return await self.reader.readexactly(length)

    async def ask(self, number: int) -> None:
        await self.send(frame(query(number)))
        assert await self.receive() == reply(number)

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def is_closed(self) -> bool:
        try:
            return await self.rest() == b""
        except ConnectionResetError:
            return True


@pytest.fixture
async def connect():
    """Connects to a (host, port), from any `source`; everything is closed at the end."""
    clients: list[Client] = []

    async def open_one(address, source="127.0.0.1") -> Client:
        local = None if ":" in address[0] else (source, 0)
        client = Client(*await asyncio.open_connection(*address, local_addr=local))
        clients.append(client)
        return client

    yield open_one
    for client in clients:
        client.writer.transport.abort()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
async def test_a_query_is_answered_and_the_engine_sees_who_asked(serve, engine, connect, host):
    port = serve(host).addresses[0][1]
    loopback = "::1" if ":" in host else "127.0.0.1"
    client = await connect((loopback, port))
    await client.ask(1)
    await client.ask(2)
    assert engine.asked == [(query(n), loopback, "tcp") for n in (1, 2)]


async def test_three_hundred_pipelined_queries_are_answered_in_order(serve, connect):
    client = await connect(serve().addresses[0])
    await client.send(b"".join(frame(query(number)) for number in range(300)))
    assert [await client.receive() for _ in range(300)] == [reply(n) for n in range(300)]


async def test_a_query_in_single_octets_is_answered(serve, connect):
    client = await connect(serve().addresses[0])
    for octet in frame(query(7)):
        await client.send(bytes((octet,)))
        await asyncio.sleep(0)
    assert await client.receive() == reply(7)


async def test_length_and_message_come_in_one_segment(serve, connect):
    client = await connect(serve().addresses[0])
    await client.send(frame(query(7)))
    async with asyncio.timeout(PATIENCE_S):
        assert await client.reader.read(65535) == frame(reply(7))


async def test_empty_and_short_messages_get_silence_and_the_next_one_an_answer(serve, connect):
    client = await connect(serve().addresses[0])
    await client.send(frame(b"") + frame(b"x") + frame(b"eleven octe") + frame(query(7)))
    assert await client.receive() == reply(7)


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
        bytes.fromhex("16030100c8010000c40303") + bytes(192),  # a ClientHello
        b"\xff" * 65535,
        b"\x00\x00" * 20_000,
    ],
    ids=["http", "tls", "ones", "zeros"],
)
async def test_junk_gets_no_answer_and_hurts_nobody_else(serve, connect, junk):
    listeners = serve(limits=TcpLimits(message_s=0.05))
    other = await connect(listeners.addresses[0])
    await other.ask(1)
    client = await connect(listeners.addresses[0])
    await client.send(junk)
    await other.ask(2)
    client.writer.write_eof()
    assert await client.is_closed()
    await other.ask(3)


async def test_good_messages_before_an_incomplete_one_are_answered(serve, connect):
    client = await connect(serve(limits=TcpLimits(message_s=0.05)).addresses[0])
    await client.send(frame(query(1)) + frame(query(2)) + b"\xff\xff" + query(3))
    assert [await client.receive(), await client.receive()] == [reply(1), reply(2)]
    assert await client.is_closed()


async def test_thirty_queries_cut_anywhere_are_answered(serve, connect):
    client = await connect(serve().addresses[0])
    stream = b"".join(frame(query(number)) for number in range(30))
    for at in range(0, len(stream), 9):  # never where a message ends, for long
        await client.send(stream[at : at + 9])
        await asyncio.sleep(0)
    assert [await client.receive() for _ in range(30)] == [reply(n) for n in range(30)]


@pytest.mark.parametrize("stuck", [b"", b"\x00", b"\x02\x00abc"], ids=["idle", "length", "message"])
async def test_more_silent_clients_than_are_allowed_keep_no_newcomer_out(serve, connect, stuck):
    limits = TcpLimits(connections=60, per_source=40, idle_s=3600, message_s=3600)
    listeners = serve(limits=limits)
    for number in range(100):
        silent = await connect(listeners.addresses[0], source=f"127.0.{number % 3}.1")
        if stuck:
            await silent.send(stuck)
    await (await connect(listeners.addresses[0], source="127.0.9.1")).ask(1)
    await (await connect(listeners.addresses[0], source="127.0.1.9")).ask(2)
    assert listeners.stats()["tcp_connections",] == 60
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect(listeners.addresses[0])
        udp.send(query(3))
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.get_running_loop().sock_recv(udp, 512) == reply(3)


async def test_the_longest_message_is_taken_and_answered(serve, connect):
    client = await connect(serve().addresses[0])
    await client.send(frame(query(7, 65535)) + frame(query(8)))
    assert await client.receive() == reply(7, 65535)
    assert await client.receive() == reply(8)


async def test_a_half_closed_client_still_gets_its_answers(serve, connect):
    client = await connect(serve().addresses[0])
    client.writer.write(b"".join(frame(query(number)) for number in range(100)))
    client.writer.write_eof()
    assert await client.rest() == b"".join(frame(reply(number)) for number in range(100))


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_leaves_in_mid_message_leaves_nothing_behind(
    serve, connect, settled, reset
):
    listeners = serve()
    client = await connect(listeners.addresses[0])
    await client.ask(1)
    await client.send(frame(query(2))[:5])
    if reset:
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.close()
    await settled(listeners.stats)
    assert listeners.stats() == {("tcp_connections",): 0}
    await (await connect(listeners.addresses[0])).ask(3)


async def test_a_client_that_reads_late_gets_everything_and_is_not_buffered_for(
    serve, engine, connect, settled
):
    engine.padding = bytes(60_000)
    listeners = serve(limits=TcpLimits(pipeline=8))
    client = await connect(listeners.addresses[0])
    client.writer.transport.pause_reading()
    await client.send(b"".join(frame(query(number)) for number in range(300)))
    await settled(lambda: len(engine.asked))
    assert len(engine.asked) < 300
    assert listeners.stats()["cap", "tcp_pipeline"] == 1
    client.writer.transport.resume_reading()
    for number in range(300):
        assert await client.receive() == reply(number) + engine.padding
    client.writer.transport.abort()
    await settled(listeners.stats)
    assert listeners.stats() == {("tcp_connections",): 0, ("cap", "tcp_pipeline"): 1}


async def test_beyond_the_pipeline_limit_octets_stay_in_the_kernel(serve, engine, connect, settled):
    engine.padding = bytes(65_000)
    client = await connect(serve(limits=TcpLimits(pipeline=4)).addresses[0])
    client.writer.transport.pause_reading()
    # Far more than the kernel holds for both sides; the rest has to stay with the client.
    stream = b"".join(frame(query(number, 500)) for number in range(60_000))
    client.writer.write(stream)
    await settled(lambda: (len(engine.asked), client.writer.transport.get_write_buffer_size()))
    assert client.writer.transport.get_write_buffer_size() > len(stream) // 4


async def test_large_queries_are_not_held_for_a_client_that_fetches_no_answers(
    serve, engine, connect, settled
):
    engine.padding = bytes(30_000)
    listeners = serve()
    client = await connect(listeners.addresses[0])
    client.writer.transport.pause_reading()
    client.writer.write(b"".join(frame(query(number, 30_000)) for number in range(500)))
    await settled(lambda: (len(engine.asked), client.writer.transport.get_write_buffer_size()))
    assert len(engine.asked) < 500
    (connection,) = listeners._tcp._connections
    assert sum(map(len, connection._pending)) < 150_000
    client.writer.transport.resume_reading()
    for number in range(500):
        assert (await client.receive())[:2] == number.to_bytes(2, "big")


async def test_a_pipelining_client_leaves_turns_for_others(serve, engine, connect):
    client = await connect(serve().addresses[0])
    client.writer.write(b"".join(frame(query(number % 65536)) for number in range(3000)))
    answered = [0]
    while answered[-1] < 3000:
        await asyncio.sleep(0)
        answered.append(len(engine.asked))
    shares = [after - before for before, after in pairwise(answered)]
    # One share from the reading and one from the turn that was asked for.
    assert max(shares) <= 64


async def test_clients_stuck_in_mid_message_do_not_block_others_and_have_to_go(serve, connect):
    listeners = serve(limits=TcpLimits(message_s=0.05))
    stuck = [await connect(listeners.addresses[0]) for _ in range(50)]
    for client in stuck:
        await client.send(b"\x00")
    await (await connect(listeners.addresses[0])).ask(1)
    for client in stuck:
        assert await client.is_closed()
    assert listeners.stats()["dropped", "tcp_message"] == 50
    assert listeners.stats()["cap", "tcp_message"] == 50


async def test_an_idle_client_is_closed_without_counting_as_a_loss(serve, connect):
    listeners = serve(limits=TcpLimits(idle_s=0.05))
    client = await connect(listeners.addresses[0])
    assert await client.is_closed()
    assert listeners.stats() == {("tcp_connections",): 0, ("cap", "tcp_idle"): 1}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (TcpLimits(connections=2), "tcp_connections"),
        (TcpLimits(per_source=2), "tcp_per_source"),
    ],
)
async def test_a_newcomer_takes_the_place_of_the_most_idle(serve, connect, limits, reason):
    listeners = serve(limits=limits)
    first, second = [await connect(listeners.addresses[0]) for _ in range(2)]
    await first.ask(1)
    await second.ask(2)
    await first.ask(3)
    newcomer = await connect(listeners.addresses[0])
    await newcomer.ask(4)
    assert await second.is_closed()
    await first.ask(5)
    assert listeners.stats() == {
        ("tcp_connections",): 2,
        ("dropped", reason): 1,
        ("cap", reason): 1,
    }


async def test_a_greedy_source_takes_no_place_from_another(serve, connect):
    address = serve(limits=TcpLimits(per_source=2)).addresses[0]
    other = await connect(address, source="127.1.0.1")
    await other.ask(1)
    greedy = [await connect(address, source=f"127.0.0.{n}") for n in range(1, 6)]
    await greedy[-1].ask(2)
    assert await greedy[0].is_closed()
    await other.ask(3)


async def test_out_of_descriptors_udp_is_answered_and_the_tcp_client_let_in_afterwards(
    serve, connect, caplog
):
    listeners = serve()
    idle = await connect(listeners.addresses[0])
    await idle.ask(1)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as sock, socket.socket(type=socket.SOCK_DGRAM) as udp:
        sock.setblocking(False)
        udp.setblocking(False)
        udp.connect(listeners.addresses[0])
        tried = asyncio.get_running_loop().run_in_executor(
            None, wait_for, lambda: listeners.stats().get(("dropped", "tcp_accept"), 0) > 2
        )
        # Not even the descriptor of the connection that has to go is of use to us.
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            await asyncio.get_running_loop().sock_connect(sock, listeners.addresses[0])
            await tried
            udp.send(query(3))
            async with asyncio.timeout(PATIENCE_S):
                assert await asyncio.get_running_loop().sock_recv(udp, 512) == reply(3)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        sock.send(frame(query(2)))
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.get_running_loop().sock_recv(sock, 512) == frame(reply(2))
    assert await idle.is_closed()
    (line,) = caplog.messages
    assert line.startswith(
        "cannot accept a TCP connection: Too many open files; failed attempts: 1; "
    )


async def test_what_was_not_told_is_counted_in_the_next_line(engine, monkeypatch, caplog):
    loop = asyncio.get_running_loop()
    server = TcpServer((), engine, TcpLimits())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for at in (0, 10, 59, 60, 61):
            monkeypatch.setattr(loop, "time", lambda at=at: 1000.0 + at)
            server._accept_later(listening, OSError(24, "Too many open files"))
    assert [line.split("; ")[1] for line in caplog.messages] == [
        "failed attempts: 1",
        "failed attempts: 3",
    ]


async def test_all_who_have_knocked_are_answered_before_a_stop(serve):
    listeners = serve(limits=TcpLimits(per_source=1000))
    knocking = [socket.create_connection(listeners.addresses[0]) for _ in range(300)]
    for sock in knocking:
        sock.sendall(frame(query(1)))
    await listeners.stop()
    for sock in knocking:
        with sock:
            assert sock.recv(512) == frame(reply(1))


async def test_what_was_received_is_answered_before_a_stop(serve, connect):
    listeners = serve()
    known = await connect(listeners.addresses[0])
    await known.ask(1)
    knocking = socket.create_connection(listeners.addresses[0])
    with knocking:
        knocking.sendall(frame(query(2)))
        await known.send(b"".join(frame(query(number)) for number in range(100)))
        await listeners.stop()
        assert await known.rest() == b"".join(frame(reply(number)) for number in range(100))
        assert knocking.recv(512) == frame(reply(2))


async def test_a_stop_closes_idle_clients(serve, connect):
    listeners = serve()
    client = await connect(listeners.addresses[0])
    await client.ask(1)
    await listeners.stop()
    assert await client.is_closed()


async def test_a_client_that_does_not_read_its_answers_has_to_make_room(
    serve, engine, connect, settled
):
    engine.padding = bytes(60_000)
    listeners = serve(limits=TcpLimits(connections=1))
    busy = await connect(listeners.addresses[0])
    busy.writer.transport.pause_reading()
    await busy.send(b"".join(frame(query(number)) for number in range(300)))
    await settled(lambda: len(engine.asked))
    engine.padding = b""
    await (await connect(listeners.addresses[0])).ask(1)
    stats = listeners.stats()
    assert stats["tcp_connections",] == 1
    assert stats["cap", "tcp_connections"] == stats["dropped", "tcp_connections"] == 1


async def test_new_deadlines_hold_for_old_and_new_connections(serve, connect):
    listeners = serve(limits=TcpLimits(idle_s=3600, message_s=3600))
    old = await connect(listeners.addresses[0])
    await old.ask(1)
    listeners.limit(TcpLimits(idle_s=0.05))
    assert await old.is_closed()
    assert await (await connect(listeners.addresses[0])).is_closed()


async def test_fewer_connections_are_allowed_once_a_newcomer_comes(serve, connect):
    listeners = serve()
    old = [await connect(listeners.addresses[0]) for _ in range(5)]
    for client in old:
        await client.ask(1)
    listeners.limit(TcpLimits(connections=2))
    await old[0].ask(2)
    await (await connect(listeners.addresses[0])).ask(3)
    for client in old[1:]:
        assert await client.is_closed()
    await old[0].ask(4)


async def test_a_stop_does_not_wait_for_a_client_that_does_not_read(serve, engine, connect):
    engine.padding = bytes(60_000)
    listeners = serve()
    client = await connect(listeners.addresses[0])
    client.writer.transport.pause_reading()
    await client.send(b"".join(frame(query(number)) for number in range(300)))
    async with asyncio.timeout(PATIENCE_S):
        await listeners.stop()
    assert listeners.stats()["tcp_connections",] == 0
