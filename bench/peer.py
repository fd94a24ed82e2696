"""What it takes to be measured: a name, a way to start, an address to ask.

Knows: the interface, and how to wait until a server answers. Refuses to know: any server; each
has a file `peer_NAME.py`. Invariant: a server that was started is stopped, whatever happened.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Protocol

from bench import dnsperf, machine
from bench.question import Reply, ask, query
from bench.world import STEERED

START_TIMEOUT_S = 120.0
EPHEMERAL = 32_768  # the first port that Linux picks itself (ip(7), ip_local_port_range)


class PeerError(Exception):
    """A server did not start, or stopped by itself; the text ends with its last words."""


class Peer(Protocol):
    """A server to compare with. `name` is what tables and `--peers` call it.

    `skips`: the workloads that it is not given, for a reason that stands beside them.
    `outstanding`: how many queries at a time it keeps up with.
    """

    name: str
    skips: frozenset[str]
    outstanding: int

    def missing(self) -> str:
        """What has to be installed first, or nothing."""
        ...

    def version(self) -> str:
        """The server's name and version as it says them."""
        ...

    def command(self, folder: Path, port: int) -> list[str]:
        """Writes the bench world's files into `folder`; the command that serves them there.

        One process and one thread answer UDP on 127.0.0.1, `port`; health checks are off.
        """
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """A started peer."""

    name: str
    skips: frozenset[str]
    process: Popen[bytes]
    port: int
    log: Path
    outstanding: int = dnsperf.OUTSTANDING

    @property
    def pid(self) -> int:
        return self.process.pid

    def last_words(self) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])

    def require_alive(self) -> None:
        """Raises PeerError if it has ended."""
        if self.process.poll() is not None:
            status = self.process.returncode
            raise PeerError(f"{self.name} ended with status {status}:\n{self.last_words()}")


def free_port() -> int:
    """A port of 127.0.0.1 that is free for UDP and TCP.

    A server that starts slowly binds it seconds later, so it is none that Linux gives to others.
    """
    for port in random.sample(range(20_000, EPHEMERAL), 100):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PeerError("no port of 127.0.0.1 is free")


@contextmanager
def started(peer: Peer, folder: Path, core: int) -> Iterator[Server]:
    """The peer, started on `core` and answering; stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log = folder / "log"
    process = machine.start(peer.command(folder, port), log, core)
    server = Server(peer.name, peer.skips, process, port, log, peer.outstanding)
    try:
        wait_for_answer(server)
        yield server
        server.require_alive()
    finally:
        machine.stop(process)


def wait_for_answer(server: Server, name: str = STEERED) -> Reply:
    """The first reply with an address in it."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        server.require_alive()
        reply = ask(server.port, query(name), timeout_s=0.1)
        if reply is not None and reply.addresses:
            return reply
        time.sleep(0.02)
    raise PeerError(f"{server.name} did not answer in time:\n{server.last_words()}")


def wait_until(happened: Callable[[], bool], timeout_s: float) -> bool:
    """Looks ten times a second; False if it did not happen in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.1)
    return False
