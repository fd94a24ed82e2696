"""Sockets from the service manager: taken as they are, or refused in one line."""

import asyncio
import os
import socket
import subprocess
import sys

import pytest
from gslb.core.setting import TcpLimits
from gslb.errors import ListenError
from gslb.serve.activation import activated_sockets
from gslb.serve.listen import Listeners
from gslb.wire.stream import frame

QUERY = b"\x12\x34" + b"\x00" * 10
REPLY = b"\x12\x34\x84" + b"\x00" * 9

# As systemd does it: the sockets are descriptors 3 and up, and the environment names the process.
EXEC = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = sys.argv[1]
os.environ["LISTEN_FDNAMES"] = ":".join(f"dns{n}" for n in range(int(sys.argv[1])))
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2]])
"""
SHOW = """
import os, subprocess, sys
from gslb.errors import ListenError
from gslb.serve.activation import VARIABLES, activated_sockets
try:
    found = activated_sockets()
except ListenError as error:
    print(error)
    sys.exit()
print([(sock.type.name, sock.getsockname()[1], sock.get_inheritable()) for sock in found])
print([name for name in VARIABLES if name in os.environ], activated_sockets())
"""


def bound(
    kind: socket.SocketKind, host: str = "127.0.0.1", port: int = 0, both: bool = False
) -> socket.socket:
    """A socket as the service manager makes it."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    if ":" in host:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(64)
    except OSError:
        sock.close()
        raise
    return sock


def bound_pair(host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    """UDP and TCP on one port."""
    for _ in range(16):
        datagram = bound(socket.SOCK_DGRAM, host)
        try:
            return datagram, bound(socket.SOCK_STREAM, host, datagram.getsockname()[1])
        except OSError:
            datagram.close()
    raise AssertionError("no port is free for both")


def refusal(listen: list[tuple[str, int]], adopted: list[socket.socket]) -> str:
    with pytest.raises(ListenError) as caught:
        Listeners(listen, adopted)
    assert "\n" not in str(caught.value)
    assert all(sock.fileno() < 0 for sock in adopted)
    return str(caught.value)


def show(*descriptors: int) -> str:
    """What a process says that was started with these descriptors."""
    at = 3
    moves = ""
    for descriptor in descriptors:
        moves += f"os.dup2({descriptor}, {at}, inheritable=True);"
        at += 1
    # High numbers first, so that no move overwrites a source.
    command = [sys.executable, "-c", f"import os;{moves}{EXEC}", str(len(descriptors)), SHOW]
    return subprocess.run(
        command, pass_fds=descriptors, capture_output=True, text=True, check=True
    ).stdout


def test_the_descriptors_become_sockets_that_no_child_inherits_and_are_named_once():
    datagram, stream = bound_pair()
    with datagram, stream:
        port = datagram.getsockname()[1]
        high = [os.dup(datagram.fileno()) + 100, os.dup(stream.fileno()) + 100]
        for sock, number in zip((datagram, stream), high, strict=True):
            os.dup2(sock.fileno(), number)
        assert show(*high).splitlines() == [
            f"[('SOCK_DGRAM', {port}, False), ('SOCK_STREAM', {port}, False)]",
            "[] ()",
        ]
        for number in high:
            os.close(number)
            os.close(number - 100)


def test_a_descriptor_that_is_no_socket_is_named():
    reading, writing = os.pipe()
    high = reading + 100
    os.dup2(reading, high)
    try:
        assert show(high) == (
            "socket activation: descriptor 3 (dns0) is no socket (Socket operation on"
            " non-socket); use ListenDatagram= and ListenStream= only\n"
        )
    finally:
        for descriptor in (reading, writing, high):
            os.close(descriptor)


@pytest.mark.parametrize(
    ("pid", "count"),
    [("", "1"), ("1", "1"), (str(os.getpid()), "")],
    ids=["nobody", "another", "without a number"],  # the same in every process that collects
)
def test_what_is_meant_for_another_process_is_not_taken(monkeypatch, pid, count):
    monkeypatch.setenv("LISTEN_PID", pid)
    monkeypatch.setenv("LISTEN_FDS", count)
    assert activated_sockets() == ()
    assert "LISTEN_FDS" not in os.environ


def test_a_number_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "two")
    with pytest.raises(ListenError, match="LISTEN_FDS is 'two'; it must be a number"):
        activated_sockets()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
@pytest.mark.parametrize("count", [1, 2])
async def test_adopted_sockets_are_served_and_what_is_missing_is_bound(engine, host, count):
    datagram, stream = bound_pair(host)
    port = datagram.getsockname()[1]
    if count == 1:
        stream.close()
    listeners = Listeners([(host, port)], [datagram, stream][:count])
    listeners.start(engine, TcpLimits())
    asked = {"0.0.0.0": "127.0.0.2", "::": "::1"}.get(host, host)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        with socket.socket(datagram.family, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect((asked, port))
            client.send(QUERY)
            assert await loop.sock_recv(client, 512) == REPLY
        with socket.create_connection((asked, port)) as client:
            client.setblocking(False)
            client.send(frame(QUERY))
            assert await loop.sock_recv(client, 512) == frame(REPLY)
    await listeners.stop()
    assert datagram.fileno() == stream.fileno() == -1


async def test_what_nobody_has_read_at_a_stop_is_answered_by_the_successor(engine):
    manager = bound_pair()  # holds them for as long as it likes
    address = manager[0].getsockname()
    first = Listeners([address], [sock.dup() for sock in manager])
    first.start(engine, TcpLimits())
    with (
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.create_connection(address) as tcp,
    ):
        udp.connect(address)
        udp.send(QUERY)
        tcp.send(frame(QUERY))
        await first.stop()
        assert engine.asked == []
        second = Listeners([address], [sock.dup() for sock in manager])
        second.start(engine, TcpLimits())
        loop = asyncio.get_running_loop()
        udp.setblocking(False)
        tcp.setblocking(False)
        async with asyncio.timeout(20):
            assert await loop.sock_recv(udp, 512) == REPLY
            assert await loop.sock_recv(tcp, 512) == frame(REPLY)
        await second.stop()
    for sock in manager:
        sock.close()


def test_a_socket_that_server_listen_does_not_name_is_refused():
    sock = bound(socket.SOCK_DGRAM)
    port = sock.getsockname()[1]
    assert refusal([("127.0.0.2", 0)], [sock]) == (
        f"socket activation: 127.0.0.1:{port} (UDP) is not in server.listen;"
        " add it there, or take it out of the .socket unit"
    )


def test_a_socket_for_ipv4_and_ipv6_is_refused():
    sock = bound(socket.SOCK_DGRAM, "::", both=True)
    assert refusal([("::", sock.getsockname()[1])], [sock]).endswith(
        "(UDP) takes IPv4 too; say BindIPv6Only=ipv6-only in the .socket unit"
    )


def test_a_connection_is_refused():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    assert refusal([sock.getsockname()], [sock]).endswith(
        "(TCP) does not listen; say Accept=no in the .socket unit"
    )


def test_a_local_socket_is_refused():
    number = (sock := socket.socket(socket.AF_UNIX)).fileno()
    assert refusal([], [sock]).startswith(
        f"socket activation: descriptor {number} is not an internet socket; "
    )


def test_the_same_socket_twice_is_refused():
    sock = bound(socket.SOCK_DGRAM)
    both = [sock, sock.dup()]
    assert refusal([sock.getsockname()], both).endswith(" (UDP) is there twice; drop one")
