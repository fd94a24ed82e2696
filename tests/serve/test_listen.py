"""Opening the sockets: all or nothing, and one line that says why not."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gslb.errors import ListenError
from gslb.serve import holder
from gslb.serve.holder import count_others, find_holder
from gslb.serve.listen import Listeners, explain_failure

HOLD = """
import socket, sys
sock = socket.socket(socket.AF_INET, getattr(socket, sys.argv[1]))
sock.bind((sys.argv[2], 0))
if sys.argv[1] == "SOCK_STREAM":
    sock.listen()
print(sock.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(request) -> Iterator[tuple[int, int]]:
    """(pid, port) of another process that holds a port; parameters: socket type, address."""
    command = [sys.executable, "-c", HOLD, *request.param]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


async def test_any_port_is_the_same_for_udp_and_tcp():
    listeners = Listeners([("127.0.0.1", 0), ("::1", 0)])
    try:
        assert [host for host, _ in listeners.addresses] == ["127.0.0.1", "::1"]
        for address in listeners.addresses:
            with socket.create_connection(address):
                pass
    finally:
        await listeners.stop()


def refusal(listen: list[tuple[str, int]]) -> str:
    with pytest.raises(ListenError) as caught:
        Listeners(listen)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("other_process", "transport"),
    [
        (("SOCK_DGRAM", "127.0.0.1"), "UDP"),
        (("SOCK_STREAM", "127.0.0.1"), "TCP"),
        (("SOCK_DGRAM", "0.0.0.0"), "UDP"),
    ],
    indirect=["other_process"],
)
def test_a_port_in_use_names_the_process_that_has_it(other_process, transport):
    pid, port = other_process
    text = refusal([("127.0.0.1", port)])
    start = f"cannot listen on 127.0.0.1:{port} ({transport}): the port is in use by "
    assert text.startswith(start)
    assert f" (pid {pid}); " in text.removeprefix(start)


async def test_an_address_named_twice_is_called_our_own_doing():
    listeners = Listeners([("127.0.0.1", 0)])
    text = refusal(list(listeners.addresses))
    await listeners.stop()
    assert text.endswith("gslb itself has it already; name each address and port once")


async def test_one_address_that_fails_leaves_none_open():
    listeners = Listeners([("127.0.0.1", 0)])
    first = listeners.addresses[0]
    await listeners.stop()
    refusal([first, ("192.0.2.1", 0)])
    await Listeners([first]).stop()


def test_an_address_of_another_machine_is_refused_with_what_to_do():
    assert refusal([("192.0.2.1", 5300)]) == (
        "cannot listen on 192.0.2.1:5300 (UDP): this machine has no such address;"
        " take it out of server.listen"
    )


@pytest.mark.parametrize(
    ("port", "code", "text"),
    [
        (53, errno.EACCES, "permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE"),
        (5300, errno.EACCES, "[::1]:5300 (UDP): Permission denied"),
        (53, errno.EAFNOSUPPORT, "this machine has no IPv6"),
        (53, errno.EINVAL, "write IPv4 as such, and [::] for link-local ones"),
    ],
)
def test_a_refusal_says_why_in_words(port, code, text):
    error = OSError(code, os.strerror(code))
    assert text in explain_failure("udp", "::1", port, error)


def test_a_host_name_is_not_looked_up():
    assert refusal([("localhost", 0)]).startswith("cannot listen on localhost:0 (UDP): ")


async def test_both_wildcards_share_a_port():
    ipv4 = Listeners([("0.0.0.0", 0)])
    both = None
    try:
        both = Listeners([("::", ipv4.addresses[0][1])])
    finally:
        await ipv4.stop()
        if both is not None:
            await both.stop()


async def test_stats_are_there_before_the_start_and_after_the_stop(engine):
    listeners = Listeners([("127.0.0.1", 0)])
    assert listeners.stats() == {("tcp_connections",): 0}
    await listeners.stop()
    await listeners.stop()
    assert listeners.stats() == {("tcp_connections",): 0}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_the_holder_of_a_port_is_found_in_every_family(host):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((host, 0))
        port = s.getsockname()[1]
        assert find_holder("udp", host, port).endswith(f"(pid {os.getpid()})")
        assert find_holder("tcp", host, port) == ""


def test_a_socket_that_the_kernel_lists_twice_is_one(tmp_path, monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        heading, *lines = Path("/proc/net/udp").read_text().splitlines(keepends=True)
        (tmp_path / "net").mkdir()
        (tmp_path / "net" / "udp").write_text("".join([heading, *lines, *lines]))
        monkeypatch.setattr(holder, "_PROC", tmp_path)
        assert count_others("udp", "127.0.0.1", port) == 1


def test_another_address_of_the_same_port_is_not_the_holder():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert find_holder("udp", "127.0.0.2", port) == ""
        assert find_holder("udp", "::1", port) == ""
        assert find_holder("udp", "0.0.0.0", port) != ""
