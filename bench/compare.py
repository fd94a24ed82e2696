"""Peers side by side: every workload, several rounds in turn, the median of each figure.

Knows: the order of runs, and what a figure is. Refuses to know: dnsperf's output, any server.
Invariant: between two rounds of one peer every other peer had its round, so that a slow minute of
the machine hits all of them; one invalid round makes the figure invalid.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median

from bench import dnsperf, machine
from bench.peer import Server
from bench.question import Reply, ask, learn_cookie, write
from bench.workload import Workload

WARM_UP_S = 2.0
SAMPLE = 500
REFERENCE = "gdnsd"
JUDGED = "gslb"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians over the rounds of one peer under one workload; times are microseconds a query.

    `agreement`: the share of sampled questions that got the same rcode and addresses as from the
    first peer. `fault` says why the figure is invalid, if it is. `target`: the least `ratio`.
    `rounds_qps`: each round's, in their order, so that two peers' can be compared in pairs.
    """

    workload: str
    peer: str
    qps: float
    user_us: float
    system_us: float
    lost: float
    agreement: float
    rounds_qps: tuple[float, ...]
    fault: str = ""
    ratio: float | None = None
    target: float | None = None

    @property
    def failed(self) -> bool:
        """Invalid, or below its target."""
        missed = self.ratio is not None and self.target is not None and self.ratio < self.target
        return bool(self.fault) or missed


@dataclass(frozen=True, slots=True)
class Round:
    """One run against one server."""

    run: dnsperf.Run
    used: machine.Cpu

    def per_query_us(self, seconds: float) -> float:
        """Seconds of the whole run as microseconds a query."""
        return seconds * 1e6 / max(self.run.answered, 1)


def compare(
    servers: Sequence[Server],
    workload: Workload,
    folder: Path,
    *,
    seconds: float,
    rounds: int,
    say: Say,
) -> list[Figure]:
    """The workload's figures, in the order of the servers."""
    _, core = machine.cores()
    files: dict[str, Path] = {}
    replies: dict[str, list[Reply | None]] = {}
    for server in servers:
        cookie = learn_cookie(server.port) if workload.learns else b""
        queries = folder / f"{workload.name}{cookie.hex()}.queries"
        if not queries.exists():
            write(workload.queries(cookie), queries)
        files[server.name] = queries
        replies[server.name] = list(replies_of(server, islice(workload.queries(cookie), SAMPLE)))
        say(f"{workload.name}: warming up {server.name}")
        run_once(server, queries, min(WARM_UP_S, seconds), core)
    done: dict[str, list[Round]] = {server.name: [] for server in servers}
    for number in range(1, rounds + 1):
        for server in servers:
            say(f"{workload.name}: round {number} of {rounds}, {server.name}")
            done[server.name].append(run_round(server, files[server.name], seconds, core))
    first = replies[servers[0].name]
    return relate(
        workload,
        [summarise(workload, name, done[name], share_equal(first, replies[name])) for name in done],
    )


def run_once(server: Server, queries: Path, seconds: float, core: int) -> dnsperf.Run:
    """dnsperf against one server."""
    return dnsperf.measure(server.port, queries, seconds, core, server.outstanding)


def run_round(server: Server, queries: Path, seconds: float, core: int) -> Round:
    """One measured run, after a moment in which the machine has settled."""
    time.sleep(0.2)
    before = machine.cpu(server.pid)
    run = run_once(server, queries, seconds, core)
    server.require_alive()
    return Round(run, machine.cpu(server.pid) - before)


def summarise(workload: Workload, peer: str, rounds: Sequence[Round], agreement: float) -> Figure:
    """The medians; the first fault of any round."""
    faults = [fault for each in rounds if (fault := each.run.fault(workload.rcode))]
    return Figure(
        workload=workload.name,
        peer=peer,
        qps=median(each.run.qps for each in rounds),
        user_us=median(each.per_query_us(each.used.user_s) for each in rounds),
        system_us=median(each.per_query_us(each.used.system_s) for each in rounds),
        lost=max(each.run.lost for each in rounds),
        agreement=agreement,
        rounds_qps=tuple(each.run.qps for each in rounds),
        fault=faults[0] if faults else "",
    )


def relate(workload: Workload, figures: Sequence[Figure]) -> list[Figure]:
    """Adds the ratio to the reference peer, if that was measured, and our target."""
    reference = next((figure.qps for figure in figures if figure.peer == REFERENCE), 0.0)
    if not reference:
        return list(figures)
    return [
        replace(
            figure,
            ratio=figure.qps / reference,
            target=workload.target if figure.peer == JUDGED else None,
        )
        for figure in figures
    ]


def replies_of(server: Server, sample: Iterable[bytes]) -> Iterator[Reply | None]:
    """What the server answers to each."""
    return (ask(server.port, message, timeout_s=1.0) for message in sample)


def share_equal(one: Sequence[Reply | None], other: Sequence[Reply | None]) -> float:
    """The share of questions that both answered alike; no answer is like nothing."""
    alike = sum(a is not None and a == b for a, b in zip(one, other, strict=True))
    return alike / len(one)
