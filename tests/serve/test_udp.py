"""UDP sockets: the right source address, fairness, and nothing that stops the reading."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from gslb.core.setting import TcpLimits
from gslb.serve.pulse import Pulse
from gslb.serve.udp import (
    BATCH,
    BUFFER,
    IP_MTU_DISCOVER,
    IPV6_MTU_DISCOVER,
    PMTUDISC_OMIT,
    SO_RCVBUFFORCE,
    UdpSocket,
    tune,
)

QUERY = b"\x12\x34" + b"\x00" * 10
IP_RECVERR = 11  # <linux/in.h>: hand ICMP errors to the socket
REPLY = b"\x12\x34\x84" + b"\x00" * 9


@contextmanager
def client(host: str, port: int) -> Iterator[socket.socket]:
    """A connected socket: the kernel hands it only what comes from the address it asked."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        s.connect((host, port))
        yield s


async def receive(sock: socket.socket) -> bytes:
    async with asyncio.timeout(10):
        return await asyncio.get_running_loop().sock_recv(sock, 65535)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.3", "::1"])
async def test_a_query_is_answered_and_the_engine_sees_who_asked(serve, engine, host):
    listeners = serve(host)
    with client(*listeners.addresses[0]) as sock:
        sock.send(QUERY)
        assert await receive(sock) == REPLY
        assert engine.asked == [(QUERY, sock.getsockname()[0], "udp")]


@pytest.mark.parametrize(
    ("bound", "asked"),
    [("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.0.0.2"), ("::", "::1")],
)
async def test_a_wildcard_socket_answers_from_the_address_asked(serve, engine, bound, asked):
    port = serve(bound).addresses[0][1]
    with client(asked, port) as sock:
        sock.send(QUERY)
        assert await receive(sock) == REPLY
        assert engine.asked == [(QUERY, sock.getsockname()[0], "udp")]


async def test_several_addresses_are_served_at_once(serve):
    listeners = serve("127.0.0.1", "127.0.0.2", "::1")
    assert [host for host, _ in listeners.addresses] == ["127.0.0.1", "127.0.0.2", "::1"]
    for host, port in listeners.addresses:
        with client(host, port) as sock:
            sock.send(QUERY)
            assert await receive(sock) == REPLY


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
async def test_silence_of_the_engine_is_silence_on_the_wire(serve, bound):
    port = serve(bound).addresses[0][1]
    with client("127.0.0.1", port) as sock:
        for packet in (b"", b"short", QUERY):
            sock.send(packet)
        assert await receive(sock) == REPLY
        with pytest.raises(BlockingIOError):
            sock.recv(1)


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
async def test_a_reply_that_cannot_be_sent_is_counted_and_reading_goes_on(
    serve, engine, settled, bound
):
    listeners = serve(bound)
    with client("127.0.0.1", listeners.addresses[0][1]) as sock:
        engine.padding = bytes(70_000)  # longer than any datagram: EMSGSIZE
        sock.send(QUERY)
        await settled(lambda: len(engine.asked))
        engine.padding = b""
        sock.send(QUERY)
        assert await receive(sock) == REPLY
    assert listeners.stats()["dropped", "send_error"] == 1


@pytest.mark.parametrize("wildcard", [False, True])
async def test_an_icmp_error_for_a_reply_does_not_stop_the_reading(engine, settled, wildcard):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    pulse = Pulse()
    server = UdpSocket(sock, engine, pulse, BATCH, wildcard=wildcard)
    with client(*sock.getsockname()) as gone:
        gone.send(QUERY)
    await settled(lambda: len(engine.asked))
    assert server.dropped == {"receive_error": 1}
    with client(*sock.getsockname()) as here:
        here.send(QUERY)
        assert await receive(here) == REPLY
    server.stop()
    pulse.stop()


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
async def test_a_packet_from_port_zero_is_dropped_and_counted(serve, engine, bound):
    listeners = serve(bound)
    port = listeners.addresses[0][1]
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError:
        pytest.skip("a raw socket needs root")
    with raw, client("127.0.0.1", port) as sock:
        raw.sendto(struct.pack("!HHHH", 0, port, 8 + len(QUERY), 0) + QUERY, ("127.0.0.1", 0))
        sock.send(QUERY)
        assert await receive(sock) == REPLY
    assert listeners.stats()["dropped", "port_zero"] == 1
    assert len(engine.asked) == 1


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
async def test_a_flood_leaves_turns_for_other_work(serve, engine, bound):
    port = serve(bound).addresses[0][1]
    with client("127.0.0.1", port) as sock:
        for _ in range(3 * BATCH):
            sock.send(QUERY)
        answered = [0]
        while answered[-1] < 3 * BATCH:
            await asyncio.sleep(0)
            answered.append(len(engine.asked))
    shares = [after - before for before, after in pairwise(answered)]
    assert max(shares) == BATCH


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
async def test_the_share_of_a_turn_can_be_set_and_changed_and_is_counted(serve, engine, bound):
    listeners = serve(bound, udp_batch=8)
    with client("127.0.0.1", listeners.addresses[0][1]) as sock:
        for batch, full in ((8, 2), (4, 2 + 4)):
            listeners.limit(TcpLimits(), batch)
            start = len(engine.asked)
            for _ in range(2 * 8 + 1):
                sock.send(QUERY)
            answered = [start]
            while answered[-1] < start + 2 * 8 + 1:
                await asyncio.sleep(0)
                answered.append(len(engine.asked))
            assert max(after - before for before, after in pairwise(answered)) == batch
            assert listeners.stats()["cap", "udp_batch"] == full


async def test_what_has_arrived_is_answered_before_a_stop(serve):
    listeners = serve()
    with client(*listeners.addresses[0]) as sock:
        for _ in range(200):
            sock.send(QUERY)
        await listeners.stop()
        assert [sock.recv(512) for _ in range(200)] == [REPLY] * 200


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "::1", "::"])
async def test_a_reply_that_the_kernel_finds_too_large_is_sent_truncated(serve, engine, bound):
    listeners = serve(bound)
    rdata = b"x" * 200
    record = b"\0\0\x10\0\1" + bytes(4) + struct.pack("!H", len(rdata)) + rdata
    # More than a datagram can hold, so this is refused on any network.
    engine.reply_to = lambda packet: (
        packet[:2] + b"\x84\0" + struct.pack("!4H", 0, 320, 0, 0) + record * 320
    )
    with client("::1" if ":" in bound else "127.0.0.1", listeners.addresses[0][1]) as sock:
        sock.send(QUERY)
        assert await receive(sock) == QUERY[:2] + b"\x86" + bytes(9)
    assert listeners.stats() == {("truncated",): 1, ("tcp_connections",): 0}


def test_a_larger_buffer_that_a_socket_came_with_is_not_taken_away():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 2 * BUFFER)
        except PermissionError:
            pytest.skip("only root may give a socket more than net.core.rmem_max")
        given = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        tune(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == given


def test_a_forged_path_mtu_is_never_believed_and_no_fragment_sent_over_ipv6():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        tune(sock)
        assert sock.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER) == PMTUDISC_OMIT
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        tune(sock)
        assert sock.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) == PMTUDISC_OMIT
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_DONTFRAG) == 1
