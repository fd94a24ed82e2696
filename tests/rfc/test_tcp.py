"""TCP (RFC 7766, RFC 9210): pipelines, pieces, and clients that are slow, odd or many."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from conversation import Server, framed, judge, opt, option, query, receive
from running import Running
from strict import FORMERR, NOERROR, NOTIMP, NXDOMAIN

KEEPALIVE = 11
IDLE_S = 2
SOON_S = 3.0  # dns.md, TCP-10
MANY = 90  # connections of one source; the server lets it have 100


@pytest.fixture(scope="module")
def strict_one(tmp_path_factory: pytest.TempPathFactory, another) -> Iterator[Server]:
    """A server with short deadlines, by a reload."""
    with another(tmp_path_factory.mktemp("tcp")) as running:
        text = running.config.read_text()
        limits = f"server:\n  tcp: {{ idle: {IDLE_S}s, message: 500ms }}\n"
        running.config.write_text(text.replace("server:\n", limits, 1))
        running.signal(signal.SIGHUP)
        running.wait_events("reload", 1)
        yield Server(running.dns)


def answered(sock: socket.socket, packet: bytes) -> int:
    """Sends a query over a connection; the rcode of its reply."""
    sock.sendall(framed(packet))
    return judge(packet, receive(sock), "tcp").rcode


def is_alive(server: Server) -> bool:
    """A new client gets its answer soon, by TCP and UDP."""
    began = time.monotonic()
    by_tcp = server.tcp(query("www", "A"), "127.0.0.9").rcode
    by_udp = server.says(query("www", "A"), "127.0.0.9").rcode
    return by_tcp == by_udp == NOERROR and time.monotonic() - began < SOON_S


def reset(sock: socket.socket) -> None:
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait_closed(sock: socket.socket) -> None:
    """Until the server has closed the connection; the socket's deadline is the limit."""
    with contextlib.suppress(ConnectionResetError):
        assert sock.recv(1) == b""


def test_tcp_01_a_query_is_answered(server: Server) -> None:
    reply = server.tcp(query("www", "A"))
    assert [record.data for record in reply.answer] == [bytes((192, 0, 2, 80))]


def test_tcp_02_a_connection_serves_several_queries(server: Server) -> None:
    with server.connect() as sock:
        for name, rcode in (("www", NOERROR), ("no-such-name", NXDOMAIN), ("geo", NOERROR)) * 5:
            assert answered(sock, query(name, "A")) == rcode


def test_tcp_03_thirty_queries_in_one_write_are_all_answered(server: Server) -> None:
    names = ("www", "multi", "geo", "no-such-name", "h.sub")
    packets = [query(names[number % 5], "A", number=number) for number in range(30)]
    assert len(server.all_tcp(packets)) == 30


def test_tcp_04_a_query_may_come_octet_by_octet(server: Server) -> None:
    packet = query("www", "A", opt())
    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in framed(packet):
            sock.send(bytes((octet,)))
        assert judge(packet, receive(sock), "tcp").rcode == NOERROR


def test_tcp_05_frames_may_be_cut_anywhere(server: Server) -> None:
    packets = [query("www", "A", number=number) for number in range(8)]
    stream, dice = b"".join(map(framed, packets)), Random(5)
    for _ in range(20):
        cuts = sorted(dice.sample(range(1, len(stream)), 6))
        with server.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                sock.send(stream[start:end])
            for packet in packets:
                judge(packet, receive(sock), "tcp")


@pytest.mark.parametrize("size", [0, 1, 11])
def test_tcp_06_a_message_shorter_than_a_header_does_no_harm(server: Server, size: int) -> None:
    packet = query("www", "A")
    with server.connect() as sock:
        sock.sendall(framed(bytes(size)) + framed(packet))
        with contextlib.suppress(EOFError, ConnectionResetError):
            judge(packet, receive(sock), "tcp")  # an answer or an end, and nothing else
    assert is_alive(server)


JUNK = {
    "http": b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(range(189)),
    "zeros": bytes(4000),
    "longest": b"\xff\xff" + Random(7).randbytes(65535),
    "responses": framed(b"\x12\x34\x80\x00" + bytes(8)) * 100,
}


@pytest.mark.parametrize("junk", JUNK)
def test_tcp_07_whatever_a_client_sends_others_are_served(server: Server, junk: str) -> None:
    with server.connect() as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(JUNK[junk])
        assert is_alive(server)


def test_tcp_08_a_half_closed_client_still_gets_its_answers(server: Server) -> None:
    packets = [query("www", "A", number=number) for number in range(5)]
    with server.connect() as sock:
        sock.sendall(b"".join(map(framed, packets)))
        sock.shutdown(socket.SHUT_WR)
        for packet in packets:
            judge(packet, receive(sock), "tcp")
        wait_closed(sock)


def test_tcp_09_idle_connections_do_not_keep_others_out(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(server.connect("127.0.0.8"))
        assert is_alive(server)


def test_tcp_09_a_source_at_its_limit_still_gets_in(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(server.connect("127.0.3.8"))
        assert server.tcp(query("www", "A"), "127.0.3.8").rcode == NOERROR
        assert is_alive(server)


def test_tcp_10_connections_stuck_in_a_message_do_not_keep_others_out(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(server.connect("127.0.4.8")).sendall(b"\0\x40half")
        for _ in range(5):
            assert is_alive(server)


def test_tcp_10_a_message_that_is_not_finished_ends_the_connection(strict_one: Server) -> None:
    with (
        strict_one.connect() as silent,
        strict_one.connect() as stuck,
        selectors.DefaultSelector() as selector,
    ):
        stuck.sendall(b"\0\x40half")
        for sock in (silent, stuck):
            selector.register(sock, selectors.EVENT_READ)
        ended = [key.fileobj for key, _ in selector.select(SOON_S)]
        assert ended == [stuck]  # long before who only says nothing


def test_tcp_11_length_and_message_come_in_one_segment(server: Server) -> None:
    packet = query("www", "A")
    with server.connect() as sock:
        sock.sendall(framed(packet))
        first = sock.recv(65535)
    assert len(first) == 2 + int.from_bytes(first[:2], "big")


def test_tcp_12_a_client_that_reads_late_gets_everything(whole: Running, server: Server) -> None:
    packets = [query("many", "TXT", number=number) for number in range(300)]
    before = memory(whole.pid)
    with server.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"".join(map(framed, packets)))
        assert is_alive(server)
        assert memory(whole.pid) - before < 8 << 20
        assert [receive(sock)[:2] for _ in packets] == [packet[:2] for packet in packets]


def memory(pid: int) -> int:
    """Resident octets of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_tcp_13_a_response_meets_silence(server: Server) -> None:
    packet = query("www", "A", number=1)
    responses = [query("www", "A", flags=0x8000 | rcode, number=2) for rcode in (0, 1, 3, 5)]
    with server.connect() as sock:
        sock.sendall(b"".join(map(framed, [*responses, packet])))
        assert receive(sock)[:2] == packet[:2]
        sock.shutdown(socket.SHUT_WR)
        wait_closed(sock)


@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\x40half", framed(query("www", "A"))])
@pytest.mark.parametrize("how", ["rst", "fin"])
def test_tcp_14_a_client_may_leave_at_any_time(server: Server, sent: bytes, how: str) -> None:
    for _ in range(10):
        sock = server.connect()
        sock.sendall(sent)
        (reset if how == "rst" else socket.socket.close)(sock)
    assert is_alive(server)


def test_tcp_15_the_idle_time_is_told_over_tcp(server: Server, strict_one: Server) -> None:
    packet = query("www", "A", opt(option(KEEPALIVE)))
    for one, tenths in ((server, 100), (strict_one, 10 * IDLE_S)):
        reply = one.tcp(packet)
        assert reply.opt is not None
        assert reply.opt.option(KEEPALIVE) == tenths.to_bytes(2, "big")


def test_tcp_15_who_does_not_send_the_option_gets_none(server: Server) -> None:
    reply = server.tcp(query("www", "A", opt()))
    assert reply.opt is not None
    assert reply.opt.options == ()


@pytest.mark.parametrize("bad", [query("www", "A", counts=(2, 0, 0, 0)), bytes(12), b"\xff" * 20])
def test_tcp_16_what_was_asked_before_a_bad_message_is_answered(server: Server, bad: bytes) -> None:
    packets = [query("www", "A", number=number) for number in range(1, 6)]
    with server.connect() as sock:
        sock.sendall(b"".join(map(framed, packets)) + framed(bad))
        for packet in packets:
            assert judge(packet, receive(sock), "tcp").rcode == NOERROR


def test_tcp_16_after_a_bad_message_the_connection_goes_on(server: Server) -> None:
    with server.connect() as sock:
        assert answered(sock, query("www", "A", counts=(2, 0, 0, 0))) == FORMERR
        assert answered(sock, query("www", "A")) == NOERROR


def test_tcp_17_stateful_operations_are_not_implemented(server: Server) -> None:
    keepalive = struct.pack("!HHII", 1, 8, 15000, 15000)  # RFC 8490 section 7.1
    packet = struct.pack("!6H", 7, 6 << 11, 0, 0, 0, 0) + keepalive
    with server.connect() as sock:
        sock.sendall(framed(packet))
        reply = receive(sock)
    assert reply[:2] == packet[:2]
    assert (reply[2], reply[3] & 15) == (0x80 | 6 << 3, NOTIMP)


def test_tcp_18_an_idle_connection_is_closed(strict_one: Server) -> None:
    with strict_one.connect() as silent, strict_one.connect() as heard:
        assert answered(heard, query("www", "A")) == NOERROR
        wait_closed(silent)
        wait_closed(heard)


def test_tcp_18_a_connection_in_use_stays_beyond_its_idle_time(strict_one: Server) -> None:
    with (
        strict_one.connect() as silent,
        strict_one.connect() as busy,
        selectors.DefaultSelector() as selector,
    ):
        selector.register(silent, selectors.EVENT_READ)
        while not selector.select(IDLE_S / 5):  # until the silent one is closed
            assert answered(busy, query("www", "A")) == NOERROR
        assert answered(busy, query("www", "A")) == NOERROR


def test_tcp_18_no_connection_leaves_a_descriptor_behind(whole: Running, server: Server) -> None:
    def open_now() -> int:
        return len(os.listdir(f"/proc/{whole.pid}/fd"))

    before = open_now()
    for _ in range(20):
        with server.connect("127.0.5.8") as sock:
            assert answered(sock, query("www", "A")) == NOERROR
            sock.shutdown(socket.SHUT_WR)
            wait_closed(sock)
    assert open_now() <= before
