"""The server lives: whatever it is sent, it answers afterwards and has not grown."""

from __future__ import annotations

import os
import re
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from conversation import Server, framed, opt, query, subnet
from running import Running, wait_for
from strict import NOERROR

GROWTH = 1 << 20  # an arena of the interpreter's allocator


@pytest.fixture
def unlimited(tmp_path: Path, another) -> Iterator[Running]:
    """A server of its own: what others did before is not measured."""
    with another(tmp_path) as running:
        yield running


def memory(pid: int) -> int:
    """Resident octets of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def names_that_are_not_there(dice: Random) -> Iterator[bytes]:
    while True:
        label = "".join(dice.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=dice.randint(8, 30)))
        yield query(dice.choice((f"{label}", f"{label}.www", f"{label}.b.ent")), "A", opt())


def clients_of_everywhere(dice: Random) -> Iterator[bytes]:
    while True:
        address = socket.inet_ntoa(dice.randbytes(3) + b"\0")
        yield query(dice.choice(("geo", "near")), "A", opt(subnet(f"{address}/24")))


def names_below_wildcards(dice: Random) -> Iterator[bytes]:
    while True:
        label = f"{dice.getrandbits(64):x}"
        yield query(f"{label}.{dice.choice(('wild', 'wc', 'geowild', 'sub'))}", "AAAA")


def odd_types(dice: Random) -> Iterator[bytes]:
    while True:
        yield query("www", dice.randrange(65536))


def octets_of_chance(dice: Random) -> Iterator[bytes]:
    packets = clients_of_everywhere(dice)
    while True:
        packet = bytearray(next(packets))
        for _ in range(dice.randint(1, 6)):
            packet[dice.randrange(2, len(packet))] = dice.randrange(256)
        yield bytes(packet[: dice.randint(0, len(packet))] if dice.random() < 0.3 else packet)


def abort(server: Server, count: int) -> None:
    """Connections that end with RST, some in the middle of a message, some with answers unread."""
    packet = framed(query("www", "A", opt()))
    for number in range(count):
        sock = server.connect("127.0.9.9")
        sock.sendall((b"", packet, packet[:7], packet * 20)[number % 4])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


def throw(server: Server, packets: Iterator[bytes], count: int) -> None:
    """Sends packets, each with an id of its own, and looks at every reply."""
    numbered = (struct.pack("!H", number) + next(packets)[2:] for number in range(count))
    server.all_udp(numbered)


@pytest.mark.parametrize(
    "kind",
    [names_that_are_not_there, clients_of_everywhere, names_below_wildcards, odd_types],
    ids=lambda kind: kind.__name__,
)
def test_live_01_after_a_flood_of_unique_questions_the_server_answers(
    server: Server, kind: Callable[[Random], Iterator[bytes]]
) -> None:
    throw(server, kind(Random(1)), 1000)
    assert server.ask("www").rcode == NOERROR
    assert server.tcp(query("www")).rcode == NOERROR


def test_live_02_after_any_octets_the_server_answers(whole: Running, server: Server) -> None:
    throw(server, octets_of_chance(Random(2)), 3000)
    for size in range(30):
        with server.connect() as sock:
            sock.sendall(Random(size).randbytes(size * 40))
    assert server.ask("www").rcode == NOERROR
    assert server.tcp(query("www")).rcode == NOERROR
    _, page = whole.get("/metrics")
    assert "# HELP gslb_errors_total" in page
    assert not re.search(r"^gslb_errors_total [^0]", page, re.M)


def test_live_03_neither_memory_nor_descriptors_grow(unlimited: Running) -> None:
    server, pid = Server(unlimited.dns), unlimited.pid
    kinds = (names_that_are_not_there, clients_of_everywhere, names_below_wildcards, odd_types)
    opened = descriptors(pid)
    for kind in kinds:  # what is remembered of every length and name is remembered now
        throw(server, kind(Random(3)), 500)
    before = memory(pid)
    for kind in kinds:
        throw(server, kind(Random(4)), 750)
    abort(server, 200)
    wait_for(lambda: descriptors(pid) <= opened, 30)
    assert memory(pid) - before <= GROWTH
    assert server.ask("www").rcode == NOERROR
