"""`make bench-probe`: ten thousand targets, one server on one core, and what answering feels of it.

    python -m bench.probe [--type http|tcp|icmp|dns] [--targets 10000] [--seconds 60] [--quick]

Knows: a configuration with that many targets, the server's own figures before and after a while,
the limits of performance.md. Refuses to know: how the server probes. Invariant: server on one
core, targets and questions on another; targets that are probed less than they should be, or
that fail, make the figure invalid. Exit status as of `python -m bench`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address
from math import inf
from pathlib import Path

import numpy as np

from bench import dnsperf, machine
from bench.alone import MIB, wait_for_ready
from bench.fact import Fact
from bench.overload import good_queries
from bench.peer import PeerError, Server, free_port, wait_for_answer
from bench.peer_gslb import ROOT, serve
from bench.question import write
from bench.report import compose_facts, write_json
from bench.world import DATACENTERS, compose_zone

FIRST_TARGET = IPv4Address("127.64.0.0")
MOST_TARGETS = 1 << 20
POOL = 10  # endpoints of a pool
LEAST_ASKED = 0.98  # of what should be asked a second
OUTSTANDING = 5000  # more than come in while the longest turn lasts
WARM_S = 2.0  # of questions that are not counted
QPS = 20_000
MOST_LATE_S = 0.25
MOST_WAIT_MS = 5.0
LEAST_PROBED = 0.95  # of the probes that the schedule asks for
LATENESS = "gslb_probe_lateness_seconds"

# What `checks.all` says beyond its rhythm; {port} is where the targets listen.
CHECKS = {
    "http": "type: http, port: {port}, path: /",
    "tcp": "type: tcp, port: {port}",
    "icmp": "type: icmp",
    "dns": "type: dns, port: {port}, query: health.example A",
}
CONFIG = """\
server:
  listen: ["127.0.0.1:{dns}"]
  state: state
  rate_limit: {{ log_only: true }}
control: {{ listen: "127.0.0.1:{control}" }}
zones: zones/
geo: {{ city: {city} }}
probe: {{ allow: [127.0.0.0/8] }}
checks:
  all: {{ {check}, interval: {interval_s:g}s, timeout: {timeout_ms:.0f}ms, enabled: {enabled} }}
datacenters:
{datacenters}
pools:
{pools}
policies:
  web: {{ nearest: [{names}] }}
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the server. Nothing is probed if `probes` is False."""

    kind: str
    targets: int
    interval_s: float
    seconds: float
    qps: int
    probes: bool = True

    @property
    def rate(self) -> float:
        """Probes a second that the schedule asks for: jitter moves starts, not their number."""
        return self.targets / self.interval_s


@dataclass(frozen=True, slots=True)
class Figures:
    """The server's own counts: probes by ending, and how many began how late at most (s)."""

    probes: Mapping[str, int]
    late: Mapping[float, int]

    def __sub__(self, earlier: Figures) -> Figures:
        return Figures(
            {key: count - earlier.probes.get(key, 0) for key, count in self.probes.items()},
            {bound: count - earlier.late.get(bound, 0) for bound, count in self.late.items()},
        )


def compose_config(load: Load, dns: int, control: int, targets: int) -> str:
    """gslb.yaml with `load.targets` addresses in pools of a few; `targets` is their port."""
    pools = []
    for number, at in enumerate(range(0, load.targets, POOL)):
        name, _, _ = DATACENTERS[number % len(DATACENTERS)]
        addresses = ", ".join(
            str(FIRST_TARGET + one) for one in range(at, min(at + POOL, load.targets))
        )
        pools.append(
            f"  pool-{number}: {{ datacenter: {name}, check: all, endpoints: [{addresses}] }}"
        )
    return CONFIG.format(
        dns=dns,
        control=control,
        city=ROOT / "geodata" / "lab.mmdb",
        check=CHECKS[load.kind].format(port=targets),
        interval_s=load.interval_s,
        timeout_ms=1000 * min(2.0, load.interval_s / 2),
        enabled=str(load.probes).lower(),
        datacenters="\n".join(f"  {name}: {{ at: [{a}, {b}] }}" for name, (a, b), _ in DATACENTERS),
        pools="\n".join(pools),
        names=", ".join(f"pool-{number}" for number in range(min(len(DATACENTERS), len(pools)))),
    )


@contextmanager
def running(load: Load, folder: Path, targets: int) -> Iterator[tuple[Server, int, float]]:
    """A server that is ready, its control port, and how many seconds that took."""
    (folder / "zones").mkdir(parents=True)
    dns, control = free_port(), free_port()
    (folder / "zones" / "bench.zone").write_text(compose_zone("STEER web"), encoding="ascii")
    config = folder / "gslb.yaml"
    config.write_text(compose_config(load, dns, control, targets), encoding="ascii")
    log = folder / "log"
    begun = time.monotonic()
    process = machine.start(serve(config), log, machine.cores()[0])
    server = Server("gslb", frozenset(), process, dns, log)
    try:
        wait_for_ready(server)
        took_s = time.monotonic() - begun
        wait_for_answer(server)
        yield server, control, took_s
        server.require_alive()
    finally:
        machine.stop(process)


@contextmanager
def target_server(folder: Path) -> Iterator[int]:
    """The port at which every address of loopback is well."""
    port, log = free_port(), folder / "targets"
    command = [sys.executable, "-m", "bench.probe_target", str(port)]
    process = machine.start(command, log, machine.cores()[1])
    try:
        wait_for_page(port, log)
        yield port
        if process.poll() is not None:
            raise PeerError(f"the targets ended:\n{log.read_text(errors='replace')}")
    finally:
        machine.stop(process)


def wait_for_page(port: int, log: Path) -> None:
    """Returns when a target answers. Raises PeerError."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if fetch(port, str(FIRST_TARGET)) == "ok\n":
                return
        except (OSError, HTTPException):
            time.sleep(0.05)
    raise PeerError(f"no target answers:\n{log.read_text(errors='replace')}")


def fetch(port: int, host: str = "127.0.0.1", path: str = "/") -> str:
    """A page of this machine."""
    connection = HTTPConnection(host, port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def read_figures(text: str) -> Figures:
    """The counts of /metrics; its buckets include each other, these do not."""
    probes: dict[str, int] = {}
    buckets: dict[float, int] = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("gslb_probes_total{"):
            ending = name.partition('result="')[2].partition('"')[0]
            probes[ending] = probes.get(ending, 0) + int(float(value))
        elif name.startswith(f"{LATENESS}_bucket{{"):
            buckets[float(name.partition('le="')[2].partition('"')[0])] = int(float(value))
    below, late = 0, {}
    for bound, count in sorted(buckets.items()):
        late[bound], below = count - below, count
    return Figures(probes, late)


def quantile(late: Mapping[float, int], share: float) -> float:
    """The bound (s) under which that share of the starts were late; none is guessed between."""
    wanted = share * sum(late.values())
    seen = 0
    for bound, count in sorted(late.items()):
        seen += count
        if count and seen >= wanted:
            return bound
    return inf


def judge_probes(load: Load, seen: Figures, seconds: float) -> str:
    """Why the figures mean nothing, or an empty text."""
    count = sum(seen.probes.values())
    if count < LEAST_PROBED * load.rate * seconds:
        return f"{count / seconds:.0f} probes a second of {load.rate:.0f}"
    bad = {ending: number for ending, number in seen.probes.items() if ending != "ok" and number}
    return ", ".join(f"{number} probes {ending}" for ending, number in bad.items())


def tell_probes(
    when: str, load: Load, seen: Figures, seconds: float, cpu: machine.Cpu
) -> list[Fact]:
    """What probing came to in a while, and the CPU that the server took for everything."""
    fault = judge_probes(load, seen, seconds)
    count = sum(seen.probes.values())
    used_s = cpu.user_s + cpu.system_s
    facts = [Fact(f"{when}: probes a second", count / seconds, f"of {load.rate:.0f}", fault=fault)]
    for name, share, most_s in (("p50", 0.5, None), ("p99", 0.99, MOST_LATE_S), ("max", 1.0, None)):
        most_ms = None if most_s is None else most_s * 1000
        value_ms = quantile(seen.late, share) * 1000
        facts.append(
            Fact(f"{when}: lateness {name}, at most", value_ms, "ms", most_ms, fault=fault)
        )
    facts.append(Fact(f"{when}: CPU of the server", 100 * used_s / seconds, "% of a core"))
    return facts


def measure_alone(load: Load, server: Server, control: int) -> list[Fact]:
    """Probing and nothing else."""
    before, used, begun = read_figures(fetch(control, path="/metrics")), *_now(server)
    time.sleep(load.seconds)
    used_after, ended = _now(server)
    after = read_figures(fetch(control, path="/metrics"))
    facts = tell_probes("probing", load, after - before, ended - begun, used_after - used)
    return [*facts, Fact("probing: RSS", machine.memory(server.pid).rss / MIB, "MiB")]


def measure_answers(load: Load, folder: Path, server: Server, control: int) -> list[Fact]:
    """Questions at a steady rate, with or without probing."""
    queries = folder / "queries"
    write(good_queries(), queries)
    ask(server, queries, load.qps, WARM_S)
    before = read_figures(fetch(control, path="/metrics"))
    used, begun = _now(server)
    run, latencies_s = ask(server, queries, load.qps, load.seconds)
    used_after, ended = _now(server)
    after = read_figures(fetch(control, path="/metrics"))
    when = "probing and answering" if load.probes else "answering"
    waits_ms = np.array(latencies_s) * 1000
    asked_qps = run.sent / load.seconds
    fault = "" if asked_qps >= LEAST_ASKED * load.qps else f"{asked_qps:.0f} of {load.qps} asked"
    most_ms = MOST_WAIT_MS if load.probes else None
    facts = [Fact(f"{when}: asked", asked_qps, "qps", fault=fault)]
    for name, share, most in (("p50", 50, None), ("p99", 99, most_ms), ("max", 100, None)):
        value_ms = float(np.percentile(waits_ms, share)) if waits_ms.size else inf
        facts.append(Fact(f"{when}: an answer takes, {name}", value_ms, "ms", most, fault=fault))
    facts.append(Fact(f"{when}: lost of {run.sent:,}", run.sent - run.answered, "queries"))
    if load.probes:
        return facts + tell_probes(when, load, after - before, ended - begun, used_after - used)
    used_s = (used_after - used).user_s + (used_after - used).system_s
    return [
        *facts,
        Fact(f"{when}: CPU of the server", 100 * used_s / (ended - begun), "% of a core"),
    ]


def ask(server: Server, queries: Path, qps: int, seconds: float) -> tuple[dnsperf.Run, list[float]]:
    """So many a second for so long; what came of it, and the seconds each answer took.

    By dnsperf, which needs a sixth of its core for that: the targets have the rest of it.
    """
    command = dnsperf.command(server.port, queries, seconds, OUTSTANDING)
    text = dnsperf.run([*command, "-Q", str(qps), "-v"], machine.cores()[1], seconds + 30)
    return dnsperf.parse(text), dnsperf.parse_latencies(text)


def _now(server: Server) -> tuple[machine.Cpu, float]:
    return machine.cpu(server.pid), time.monotonic()


def measure_probe(load: Load, folder: Path) -> list[Fact]:
    """The server without probing, then another with it: alone, and with questions."""
    with target_server(folder) as targets, machine.staying_on(machine.cores()[1]):
        idle = Load(load.kind, load.targets, load.interval_s, load.seconds, load.qps, probes=False)
        with running(idle, folder / "idle", targets) as (server, control, _):
            facts = measure_answers(idle, folder, server, control)
        with running(load, folder / "probing", targets) as (server, control, took_s):
            facts.append(Fact(f"ready, {load.targets:,} targets probed", took_s, "s"))
            time.sleep(load.interval_s)  # what began at once finds its place in the interval
            facts += measure_alone(load, server, control)
            facts += measure_answers(load, folder, server, control)
    return facts


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.probe", description=__doc__)
    parser.add_argument("--type", choices=CHECKS, default="http", help="of the check (http)")
    parser.add_argument("--targets", type=int, default=10_000, help="addresses (10000)")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds (10)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement (60)")
    parser.add_argument("--qps", type=int, default=QPS, help="questions a second (20000)")
    parser.add_argument("--quick", action="store_true", help="1000 targets in 2 s, 5 s each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    options = parser.parse_args(arguments)
    if options.quick:
        options.targets, options.interval, options.seconds = 1000, 2.0, 5.0
    if not (0 < options.targets <= MOST_TARGETS and 1 <= options.interval <= 3600):
        parser.error(f"1 to {MOST_TARGETS} targets, an interval of 1 to 3600 s")
    if not (0 < options.seconds <= 600 and 0 < options.qps <= 200_000):
        parser.error("at most 600 seconds and 200000 questions a second")
    return options


def main() -> int:
    """Measures and prints; the exit status."""
    options = parse()
    load = Load(options.type, options.targets, options.interval, options.seconds, options.qps)
    if lack := dnsperf.missing():
        print(f"nothing can be measured: {lack} is missing", file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="gslb-bench-") as name:
            facts = measure_probe(load, Path(name))
    except (PeerError, dnsperf.DnsperfError, HTTPException, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    about = {
        "machine": machine.describe(),
        "load": f"{load.targets:,} targets of type {load.kind} every {load.interval_s:g} s,"
        f" {load.seconds:g} s each, one core for the server and one for all others",
        "command": shlex.join(["python", "-m", "bench.probe", *sys.argv[1:]]),
    }
    print("\n".join(about.values()))
    print(f"\n{compose_facts(facts)}")
    if options.json:
        write_json(options.json, about, [], {"probe": facts})
    return int(any(fact.failed for fact in facts))


if __name__ == "__main__":
    sys.exit(main())
