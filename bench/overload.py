"""gslb under more than it can answer: too many queries, garbage among them, reloads meanwhile.

Knows: what is offered, as shares of a capacity that is measured first, and what must come of it.
Refuses to know: how the server defends itself; it is watched from outside. Invariant: the server
has one core and the senders the other, as in every other measurement; nothing is slowed down
to look overloaded, and a load that the sender could not offer makes the figure invalid.
"""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np

from bench import dnsperf, machine
from bench.fact import Fact
from bench.flood import RING, Stream, offer
from bench.peer import Server, started, wait_until
from bench.peer_gslb import GUARDED, Gslb, zone_file
from bench.question import ask_serial, client_subnets, garbage, query, write
from bench.workload import static_names
from bench.world import STEERED, compose_zone

CAPACITY_S = 3.0
FLOOD = 2.0  # times the capacity
FLOOD_S = 10.0
LEAST_OFFERED = 0.95  # of what was wished for, or the figure is invalid
LEAST_ANSWERED = 0.8  # of the capacity
MOST_MEMORY = 1.05  # times what it was
PROBE_QPS = 1000
PROBE_S = 3.0
PATIENCE_S = 0.05  # a probe that waits longer has not been answered as it should
MOST_RECOVERY_S = 1.0
HALF = 0.5
GARBAGE_S = 8.0
CALM_S = 3.0
MOST_LOST = 0.1  # per cent
RELOAD_EVERY_S = 2.0
RELOADS = 5
SERIAL_TIMEOUT_S = 30.0


def good_queries() -> list[bytes]:
    """Static names and the steered name with client subnets, in turn."""
    names, subnets = static_names(), client_subnets()
    pairs = zip((names * (RING // len(names) + 1))[: RING // 2], subnets, strict=False)
    return [each for name, subnet in pairs for each in (query(name), query(STEERED, subnet))]


def measure_overload(folder: Path) -> list[Fact]:
    """All of it, on one server with its guards on; they count, but limit nobody."""
    core, other = machine.cores()
    peer = Gslb("gslb-guarded", GUARDED)
    good = good_queries()
    with started(peer, folder, core) as server, machine.staying_on(other):
        queries = folder / "good.queries"
        write(good, queries)
        dnsperf.measure(server.port, queries, 1.0, other)
        run = dnsperf.measure(server.port, queries, CAPACITY_S, other)
        fault = run.fault("NOERROR")
        facts = [Fact("capacity", run.qps, "qps", fault=fault)]
        facts += measure_flood(server, good, run.qps)
        calm, calm_s = measure_half(server, good, run.qps)
        facts += calm
        facts += measure_garbage(server, good, run.qps, calm_s)
        facts += measure_reloads(server, folder, good, run.qps)
    return facts


def measure_flood(server: Server, good: list[bytes], capacity: float) -> list[Fact]:
    """Twice the capacity, then at once a slow stream that notices when all is well again."""
    flood = Stream(server.port, good, FLOOD * capacity)
    probe = Stream(server.port, good, PROBE_QPS)
    before = machine.memory(server.pid).rss
    offer([flood], FLOOD_S, linger_s=0.0)
    offer([probe], PROBE_S)
    after = machine.memory(server.pid).rss
    for stream in (flood, probe):
        stream.close()
    name = f"{FLOOD:.0%} of it for {FLOOD_S:g} s"
    fault = offered_too_little(flood)
    answered = flood.answered_qps / capacity
    settled_s = probe.settled_after_s(PATIENCE_S)
    return [
        Fact(f"{name}: offered", flood.offered_qps / capacity, "× capacity", fault=fault),
        Fact(f"{name}: answered", answered, "× capacity", least=LEAST_ANSWERED, fault=fault),
        Fact(f"{name}: RSS after it", after / before, "× before", MOST_MEMORY, fault=fault),
        Fact(f"{name}: until {PROBE_QPS} qps lose nothing", settled_s, "s", MOST_RECOVERY_S),
    ]


def measure_half(server: Server, good: list[bytes], capacity: float) -> tuple[list[Fact], float]:
    """Good queries at half the capacity, undisturbed; and their 99th percentile in seconds.

    What is lost here is lost by the machine, and bounds what the next two can say.
    """
    stream = Stream(server.port, good, HALF * capacity)
    offer([stream], CALM_S)
    stream.close()
    fault = offered_too_little(stream)
    slow_s = slowest_percent_s(stream)
    name = f"{HALF:.0%} of it, undisturbed"
    facts = [
        Fact(f"{name}: lost of {stream.sent:,}", stream.lost, "queries", fault=fault),
        Fact(f"{name}: 99th percentile", slow_s * 1000, "ms", fault=fault),
    ]
    return facts, slow_s


def measure_garbage(
    server: Server, good: list[bytes], capacity: float, calm_s: float
) -> list[Fact]:
    """Half the capacity, of which half is garbage."""
    kept = Stream(server.port, good, HALF * HALF * capacity)
    noise = Stream(server.port, list(garbage()), HALF * HALF * capacity)
    offer([kept, noise], GARBAGE_S)
    for stream in (kept, noise):
        stream.close()
    fault = offered_too_little(kept, noise)
    slow_s = slowest_percent_s(kept)
    name = f"{HALF:.0%} of it, half of that garbage"
    lost = kept.lost / kept.sent * 100
    return [
        Fact(f"{name}: good lost", lost, "%", MOST_LOST, fault=fault),
        Fact(f"{name}: 99th percentile of the good", slow_s * 1000, "ms", fault=fault),
        Fact(f"{name}: the same", slow_s / calm_s, "× undisturbed", fault=fault),
    ]


def measure_reloads(server: Server, folder: Path, good: list[bytes], capacity: float) -> list[Fact]:
    """Half the capacity while the zone gets a new serial, and a signal, again and again.

    Reloads wanted while one is under way become one, so not every serial has to be seen.
    """
    serials = [2 + number for number in range(RELOADS)]
    texts = [compose_zone("STEER web", serial) for serial in serials]
    given = 0
    seen: set[int] = set()

    def reload(elapsed_s: float) -> None:
        nonlocal given
        if given < RELOADS and elapsed_s >= RELOAD_EVERY_S * (given + 1):
            seen.add(ask_serial(server.port))
            zone_file(folder).write_text(texts[given], encoding="ascii")
            server.process.send_signal(signal.SIGHUP)
            given += 1

    stream = Stream(server.port, good, HALF * capacity)
    offer([stream], RELOAD_EVERY_S * (RELOADS + 1), meanwhile=reload)
    stream.close()
    came = wait_until(lambda: ask_serial(server.port) == serials[-1], SERIAL_TIMEOUT_S)
    fault = offered_too_little(stream) if came else "the last serial never came"
    seen.add(ask_serial(server.port))
    name = f"{HALF:.0%} of it, a reload every {RELOAD_EVERY_S:g} s"
    return [
        Fact(f"{name}: lost of {stream.sent:,}", stream.lost, "queries", 0, fault=fault),
        Fact(f"{name}: 99th percentile", slowest_percent_s(stream) * 1000, "ms", fault=fault),
        Fact(f"{name}: plans taken over", len(seen & {*serials}), f"of {RELOADS}", fault=fault),
    ]


def slowest_percent_s(stream: Stream) -> float:
    """The 99th percentile of what its answers took."""
    waits_s = stream.waits_s()
    return float(np.percentile(waits_s, 99)) if waits_s.size else float("nan")


def offered_too_little(*streams: Stream) -> str:
    """Why the figure means nothing, if the sender was too slow."""
    for stream in streams:
        share = stream.offered_qps / stream.qps
        if share < LEAST_OFFERED:
            return f"only {share:.0%} of the load could be offered"
    return ""
