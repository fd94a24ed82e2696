"""Mutated packets for a real server with everything on, and what holds of every reply.

One UDP socket of the server answers in the order in which it was asked. So after a batch a good
question is asked, and when its reply is there, so are all replies to the batch: whatever is missing
then, was not sent.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import dns.message

from fuzz.mutation import mutate
from fuzz.promise import is_silent, judge
from fuzz.target import inputs
from running import CONFIG, ZONE, Running, free_ports

BATCH: Final = 60
EVERY_TCP: Final = 20  # batches
PATIENCE_S: Final = 10.0
FREE: Final = "127.1.0.1"  # in the network without a rate limit
LIMITED: Final = tuple(f"127.2.{n}.1" for n in range(8))
WARM: Final = 0.2  # the share of the packets after which nothing may grow any more
MOST_GROWTH_KIB: Final = 8 * 1024

_SERVER: Final = """\
server:
  listen: ["127.0.0.1:{dns}", "[::1]:{dns}"]
  state: ./state
  cookies: {{ secret_file: cookie }}
  rate_limit: {{ per_second: 2, slip: 2, exempt: [127.1.0.0/16] }}
  nsid: flood
"""
_ZONE: Final = """\
*.img 60 STEER web
api   20 STEER web
alias    CNAME alias2
alias2   CNAME www
outside  CNAME www.example.net.
*.wild   A 192.0.2.88
*.wild   TXT wild
sub      NS ns.sub
sub      NS ns1
ns.sub   A 192.0.2.60
mx       MX 10 ns1
a.deep.ent A 192.0.2.77
$GENERATE 100-130 big TXT "$ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
"""


@dataclass
class Figures:
    """What one run has seen; times in seconds, memory in KiB."""

    seed: int
    packets: int = 0
    replies: int = 0
    streams: int = 0
    refused_rate: int = 0
    worst_amplification: float = 0.0
    worst_wait_s: float = 0.0
    seconds: float = 0.0
    memory_kib: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        warm, end = self.memory_kib
        return (
            f"{self.packets} packets in {self.seconds:.0f} s ({self.streams} TCP connections),"
            f" {self.replies} replies, {self.refused_rate} held back by the rate limit;"
            f" seed {self.seed};"
            f" worst amplification {self.worst_amplification:.1f},"
            f" longest wait {self.worst_wait_s * 1000:.0f} ms, memory {warm} to {end} KiB"
        )


@contextmanager
def server(folder: Path) -> Iterator[Running]:
    """A server with cookies, rate limiting, NSID, client subnets and steering."""
    running = Running(folder, *free_ports(3))
    running.write(_SERVER + CONFIG[CONFIG.index("control:") :], ZONE + _ZONE)
    try:
        running.start()
        yield running
        assert running.stop() == 0, running.log
    finally:
        running.stop()


class Flood:
    """The sockets of one run."""

    def __init__(self, running: Running, seed: int, stack: ExitStack) -> None:
        self.figures: Final = Figures(seed)
        self._running: Final = running
        self._dice: Final = Random(seed)
        self._seeds: Final = [path.read_bytes() for path in inputs("packet")]
        self._free: Final = self._open(FREE, stack)
        self._free.settimeout(PATIENCE_S)
        self._limited: Final = [self._open(address, stack) for address in LIMITED]
        self._good: Final = dns.message.make_query("txt.gslb.example.com.", "TXT", id=0xFFFF)

    def run(self, packets: int) -> Figures:
        """Send so many packets; raises if a promise is broken."""
        figures, started = self.figures, time.monotonic()
        warm = 0
        batches = -(-packets // BATCH)
        for number in range(batches):
            count = min(BATCH, packets - figures.packets)
            if number % EVERY_TCP == EVERY_TCP - 1:
                self._ask_tcp(count)
            else:
                self._ask_udp(count)
            if number >= WARM * batches and not warm:
                warm = self._memory_kib()
        figures.seconds = time.monotonic() - started
        figures.memory_kib = (warm, self._memory_kib())
        assert "answer failed" not in self._running.log, self._running.log
        growth = figures.memory_kib[1] - warm
        assert growth <= MOST_GROWTH_KIB, f"grows: {figures}"
        return figures

    def _ask_udp(self, count: int) -> None:
        limited = self._dice.random() < 0.3
        sock = self._dice.choice(self._limited) if limited else self._free
        packets = self._draw(count)
        for packet in packets:
            sock.send(packet)
        self._ask_good()
        self._judge(packets, list(_drain(sock)) if limited else [], limited)

    def _ask_good(self) -> None:
        """The server lives; its earlier replies have been sent."""
        started = time.monotonic()
        self._free.send(self._good.to_wire())
        sock = self._free
        self._early: list[bytes] = []
        while True:
            octets = sock.recv(65535)
            if octets[:2] == b"\xff\xff":
                break
            self._early.append(octets)
        reply = dns.message.from_wire(octets)
        assert self._good.is_response(reply)
        assert reply.answer, "the good question"
        self._waited(started)

    def _judge(self, packets: list[bytes], late: list[bytes], limited: bool) -> None:
        figures = self.figures
        found = [*self._early, *late]
        replies = {octets[:2]: octets for octets in found}
        assert len(replies) == len(found), "two replies to one packet"
        for packet in packets:
            reply = replies.pop(packet[:2], None) if len(packet) > 1 else None
            judge(packet, reply, "udp", limited)
            if reply is not None:
                amplification = len(reply) / len(packet)
                figures.worst_amplification = max(figures.worst_amplification, amplification)
            elif not is_silent(packet):
                figures.refused_rate += 1
        assert not replies, "a reply that nobody asked for"
        figures.packets += len(packets)
        figures.replies += len(found)

    def _ask_tcp(self, count: int) -> None:
        """Well framed messages in any pieces; every other time, junk besides."""
        packets = self._draw(count)
        stream = b"".join(len(one).to_bytes(2, "big") + one for one in packets)
        good = self._good.to_wire()
        stream += len(good).to_bytes(2, "big") + good
        started = time.monotonic()
        address = ("127.0.0.1", self._running.dns)
        found: list[bytes] = []
        with (
            socket.create_connection(address, PATIENCE_S, (FREE, 0)) as sock,
            sock.makefile("rb") as reader,
        ):
            cut = self._dice.randrange(len(stream))
            sock.sendall(stream[:cut])
            sock.sendall(stream[cut:])
            while not found or found[-1][:2] != b"\xff\xff":
                size = reader.read(2)
                assert len(size) == 2, "closed before all was answered"
                found.append(reader.read(int.from_bytes(size, "big")))
            if self._dice.random() < 0.5:
                sock.sendall(self._dice.randbytes(self._dice.randrange(1, 3000)))
        self._waited(started)
        wanted = [packet for packet in packets if not is_silent(packet)]
        assert len(wanted) == len(found) - 1, "replies over TCP"
        for packet, reply in zip(wanted, found, strict=False):
            judge(packet, reply, "tcp")
        self.figures.packets += len(packets)
        self.figures.replies += len(wanted)
        self.figures.streams += 1

    def _draw(self, count: int) -> list[bytes]:
        """Mutated packets; their ids are their numbers."""
        made = (mutate(self._seeds, self._dice) for _ in range(count))
        return [
            number.to_bytes(2, "big") + packet[2:] if len(packet) > 1 else packet
            for number, packet in enumerate(made)
        ]

    def _open(self, address: str, stack: ExitStack) -> socket.socket:
        sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.bind((address, 0))
        sock.connect(("127.0.0.1", self._running.dns))
        sock.setblocking(False)
        return sock

    def _waited(self, started: float) -> None:
        self.figures.worst_wait_s = max(self.figures.worst_wait_s, time.monotonic() - started)

    def _memory_kib(self) -> int:
        status = Path(f"/proc/{self._running.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


def _drain(sock: socket.socket) -> Iterator[bytes]:
    """What has arrived already."""
    while True:
        try:
            yield sock.recv(65535)
        except BlockingIOError:
            return


def flood(folder: Path, seed: int, packets: int) -> Figures:
    """Start a server in a folder, send it so many packets, and stop it."""
    with server(folder) as running, ExitStack() as stack:
        return Flood(running, seed, stack).run(packets)
