"""What only gslb is asked for: start time, idle memory, answers during the swap of a full-size map.

Knows: how each is measured, and its limit (performance.md, architecture.md). Refuses to know: how
gslb does it; it is watched from outside. Invariant: the map that is swapped in differs from the
old one in an answer that is watched, so that a swap that did not happen is seen.
"""

from __future__ import annotations

import os
import shutil
import statistics
import struct
import time
from collections.abc import Callable
from pathlib import Path

import maxminddb

from bench import dnsperf, machine
from bench.fact import Fact
from bench.peer import (
    START_TIMEOUT_S,
    PeerError,
    Server,
    free_port,
    started,
    wait_for_answer,
    wait_until,
)
from bench.peer_gslb import ROOT, Gslb, serve
from bench.question import ask, query
from bench.world import DATACENTERS, STEERED

MIB = 1024 * 1024
SETTLE_S = 3.0

SWAP_QPS = 1000
SWAP_TIMEOUT_S = 60.0
WATCHED = bytes([81, 2, 69])  # 81.2.69.0/24, in London
TOKYO_LONGITUDE = 139.69


def measure_start(folder: Path) -> list[Fact]:
    """Seconds from the command to the `ready` line, full-size map: without its cache, then with."""
    peer, (core, _) = Gslb(), machine.cores()
    port = free_port()
    folder.mkdir(parents=True)
    command = peer.command(folder, port)
    facts = []
    for name, limit in (("start, cold", 15.0), ("start, with the cache", 3.0)):
        log = folder / "log"
        begun = time.monotonic()
        process = machine.start(command, log, core)
        server = Server(peer.name, peer.skips, process, port, log)
        try:
            wait_for_ready(server)
            facts.append(Fact(name, time.monotonic() - begun, "s", limit))
            wait_for_answer(server)
        finally:
            machine.stop(process)
    return facts


def wait_for_ready(server: Server) -> None:
    """Returns when the server has printed its `ready` line."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        server.require_alive()
        lines = server.log.read_text(encoding="utf-8", errors="replace").splitlines()
        if any(line.startswith("ready") for line in lines):
            return
        time.sleep(0.01)
    raise PeerError(f"{server.name} printed no `ready` line:\n{server.last_words()}")


def measure_memory(folder: Path) -> list[Fact]:
    """RSS and PSS of the idle server with the repository's example, its ports replaced."""
    folder.mkdir(parents=True)
    for name in ("zones", "geodata"):
        shutil.copytree(ROOT / name, folder / name)
    port = free_port()
    text = (ROOT / "gslb.yaml").read_text(encoding="utf-8")
    for old, new in (("5300", port), ("8053", free_port())):
        text = text.replace(f":{old}", f":{new}")
    config = folder / "gslb.yaml"
    config.write_text(text, encoding="utf-8")
    log = folder / "log"
    process = machine.start(serve(config), log, machine.cores()[0])
    try:
        wait_for_ready(Server("gslb", frozenset(), process, port, log))
        time.sleep(SETTLE_S)
        used = machine.memory(process.pid)
    finally:
        machine.stop(process)
    return [
        Fact("idle memory with the example, RSS", used.rss / MIB, "MiB", 120.0),
        Fact("idle memory with the example, PSS", used.pss / MIB, "MiB"),
    ]


def measure_swap(folder: Path) -> list[Fact]:
    """Milliseconds of the slowest percent of answers while a new full-size map is taken in."""
    core, other = machine.cores()
    with started(Gslb(), folder, core) as server:
        queries = folder / "steady.txt"
        queries.write_text(f"{STEERED} A\n", encoding="ascii")
        command = (
            f"dnsperf -s 127.0.0.1 -p {server.port} -d {queries} -v -l {SWAP_TIMEOUT_S:g}"
            f" -Q {SWAP_QPS} -c 4 -T 1 -t {dnsperf.ANSWER_TIMEOUT_S}"
        ).split()
        move_london(folder / "city.mmdb", folder / "next.mmdb")
        moved_before = near_tokyo(server.port)
        load = dnsperf.Load(command, other)
        time.sleep(1.0)
        begun = time.monotonic()
        os.replace(folder / "next.mmdb", folder / "city.mmdb")
        moved = wait_until(lambda: near_tokyo(server.port), SWAP_TIMEOUT_S - 5)
        swapped_s = time.monotonic() - begun
        time.sleep(1.0)
        text = load.stop()
    latencies = dnsperf.parse_latencies(text)
    fault = dnsperf.parse(text).fault("NOERROR")
    if moved_before or not moved:
        fault = "the new map's answer was there before" if moved_before else "it never came"
    slowest_ms = statistics.quantiles(latencies or [0.0, 0.0], n=100)[98] * 1000
    return [
        Fact("swap of a full-size map: 99th percentile", slowest_ms, "ms", 20.0, fault=fault),
        Fact("swap of a full-size map: slowest", max(latencies, default=0.0) * 1000, "ms"),
        Fact("swap of a full-size map: from rename to answer", swapped_s, "s"),
    ]


def move_london(database: Path, copy: Path) -> None:
    """A copy of the map in which the watched network lies at Tokyo's longitude.

    A double is 0x68 (type 3, eight octets) and its value (MaxMind DB 2.0, data section). The build
    epoch is raised as well, because a map of the same epoch and size counts as the same.
    """
    octets = bytearray(database.read_bytes())
    with maxminddb.open_database(database) as reader:
        record = reader.get(".".join(map(str, [*WATCHED, 0])))
        epoch = reader.metadata().build_epoch
    match record:
        case {"location": {"longitude": float(longitude)}}:
            here = struct.pack("!Bd", 0x68, longitude)
        case _:
            raise PeerError("the City database does not know 81.2.69.0")
    octets = octets.replace(here, struct.pack("!Bd", 0x68, TOKYO_LONGITUDE))
    key = b"\x4bbuild_epoch"
    at = octets.rindex(epoch.to_bytes(4, "big"), octets.rindex(key))
    octets[at : at + 4] = (epoch + 1).to_bytes(4, "big")
    copy.write_bytes(octets)


def near_tokyo(port: int) -> bool:
    """The watched network is answered with the data center near Tokyo."""
    reply = ask(port, query(STEERED, WATCHED), timeout_s=1.0)
    return reply is not None and reply.addresses == (DATACENTERS[2][2],)


ALONE: dict[str, Callable[[Path], list[Fact]]] = {
    "start": measure_start,
    "memory": measure_memory,
    "swap": measure_swap,
}
