"""Other name servers over the same zones: Knot and NSD, as Debian ships them."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import Final

from gslb.wire.stream import frame

from running import free_ports

PATIENCE_S: Final = 10.0
TRIES: Final = 100
BATCH: Final = 50  # more at once, and a socket's buffer may lose some
_HEAD: Final = bytes.fromhex("0000 0000 0001 0000 0000 0000")

KNOT: Final = """
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
database:
    storage: "{folder}"
log:
  - target: stderr
    any: error
template:
  - id: default
    storage: "{zones}"
    semantic-checks: off
    journal-content: none
zone:
"""
NSD: Final = """
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{zones}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    minimal-responses: no
    rrl-ratelimit: 0
    tcp-query-count: 0
remote-control:
    control-enable: no
"""


def find(program: str) -> str | None:
    """Where a server is; root's folders are not in everybody's path."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that answers at a port of 127.0.0.1."""

    name: str
    port: int

    def ask(self, packets: Sequence[bytes], transport: str) -> Mapping[bytes, bytes]:
        """The replies by id, which every packet has for itself."""
        replies: dict[bytes, bytes] = {}
        for start in range(0, len(packets), BATCH):
            batch = packets[start : start + BATCH]
            found = self._ask_tcp(batch) if transport == "tcp" else self._ask_udp(batch)
            replies |= {reply[:2]: reply for reply in found}
        return replies

    def _ask_udp(self, packets: Sequence[bytes]) -> Iterator[bytes]:
        left = {packet[:2]: packet for packet in packets}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", self.port))
            sock.settimeout(PATIENCE_S / TRIES)
            for _ in range(TRIES):
                for packet in left.values():
                    sock.send(packet)
                try:
                    while left:
                        reply = sock.recv(65535)
                        if left.pop(reply[:2], None) is not None:
                            yield reply
                    return
                except TimeoutError:
                    continue  # on a busy machine some are lost: ask again
        raise AssertionError(f"{self.name} does not answer {len(left)} queries")

    def _ask_tcp(self, packets: Sequence[bytes]) -> Iterator[bytes]:
        with (
            socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as sock,
            sock.makefile("rb") as stream,
        ):
            sock.sendall(b"".join(map(frame, packets)))
            for _ in packets:
                yield stream.read(int.from_bytes(stream.read(2), "big"))


@contextmanager
def running(program: str, folder: Path, zones: Sequence[str]) -> Iterator[Peer]:
    """A peer that serves `folder`/zones until the end of the block."""
    found = find(program)
    assert found is not None
    (port,) = free_ports(1)
    config = folder / f"{program}.conf"
    values = {"folder": folder, "zones": folder / "zones", "port": port}
    if program == "knotd":
        listed = "".join(f'  - domain: "{zone}"\n' for zone in zones)
        config.write_text(KNOT.format(**values) + listed)
        command = [found, "-c", str(config)]
    else:
        listed = "".join(
            f'zone:\n    name: "{zone}"\n    zonefile: "{zone}zone"\n' for zone in zones
        )
        config.write_text(NSD.format(**values) + listed)
        command = [found, "-d", "-c", str(config)]
    peer = Peer("Knot" if program == "knotd" else "NSD", port)
    log = folder / f"{program}.log"
    with (
        open(log, "wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as process,
    ):
        try:
            _wait_for(peer, process, zones, log)
            yield peer
        finally:
            process.terminate()


def _wait_for(
    peer: Peer, process: subprocess.Popen[bytes], zones: Sequence[str], log: Path
) -> None:
    """Until every zone is there; one that the peer refuses makes a comparison worthless."""
    left = list(zones)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", peer.port))
        sock.settimeout(PATIENCE_S / TRIES)
        for _ in range(TRIES):
            assert process.poll() is None, log.read_text()
            while left and _has_zone(sock, left[-1]):
                left.pop()
            if not left:
                return
    raise AssertionError(f"{peer.name} does not serve {left[-1]}\n{log.read_text()[-2000:]}")


def _has_zone(sock: socket.socket, zone: str) -> bool:
    labels = zone.rstrip(".").split(".")
    name = b"".join(pack("B", len(label)) + label.encode() for label in labels) + b"\0"
    try:
        sock.send(_HEAD + name + b"\0\6\0\1")
        return bool(sock.recv(65535)[7])
    except (ConnectionRefusedError, TimeoutError):
        _rest(sock)
        return False


def _rest(sock: socket.socket) -> None:
    """A short wait on a socket to which nobody writes."""
    try:
        sock.recv(1)
    except (TimeoutError, ConnectionRefusedError):
        return
