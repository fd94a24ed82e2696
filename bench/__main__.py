"""`python -m bench`: measures what was asked for and prints it. Installs nothing.

Exit status: 0 when every figure is valid and reaches its target, 1 when one is not, 2 for usage
and for a machine on which nothing can be measured.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import dnsperf, machine
from bench.alone import ALONE
from bench.compare import Figure, compare
from bench.dnsperf import DnsperfError
from bench.fact import Fact, relate_pairs
from bench.overload import measure_overload
from bench.peer import Peer, PeerError, started
from bench.peer_gdnsd import Gdnsd
from bench.peer_gslb import GUARDED, EarlierGslb, Gslb
from bench.peer_knot import Knot
from bench.peer_powerdns import PowerDns, PowerDnsLua
from bench.report import compose_facts, compose_figures, write_json
from bench.workload import WORKLOADS, Workload

# The first is the one that the others' answers are compared with.
PEERS: tuple[Peer, ...] = (
    Gdnsd(),
    Knot(),
    PowerDns(),
    PowerDnsLua(),
    Gslb(),
    Gslb("gslb-guarded", GUARDED),
)
OVERLOAD = "overload"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [*(workload.name for workload in WORKLOADS), *ALONE, OVERLOAD]
    peers = [peer.name for peer in PEERS]
    parser.add_argument("--peers", type=chosen_from(peers), default=peers, help=",".join(peers))
    parser.add_argument("--workloads", type=chosen_from(names), default=names, help=",".join(names))
    parser.add_argument("--against", metavar="COMMIT", help="compare with that gslb as well")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round (4)")
    parser.add_argument("--rounds", type=int, default=3, help="of each peer and workload (3)")
    parser.add_argument("--quick", action="store_true", help="one round of one second each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.rounds = 1.0, 1
    if not (0 < options.seconds <= 60 and 0 < options.rounds <= 20):
        parser.error("at most 60 seconds a round and 20 rounds")
    return options


def chosen_from(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Splits at commas and accepts only what is known."""

    def choose(text: str) -> list[str]:
        chosen = text.split(",")
        for word in chosen:
            if word not in known:
                raise argparse.ArgumentTypeError(f'"{word}" is none of {", ".join(known)}')
        return chosen

    return choose


def say(text: str) -> None:
    """Progress, for a person who waits."""
    print(text, file=sys.stderr, flush=True)


def find_peers(names: Sequence[str], commit: str | None) -> list[Peer]:
    """Those that can be started; says what the others lack."""
    found: list[Peer] = []
    wanted = [peer for peer in PEERS if peer.name in names]
    for peer in [*wanted, *([EarlierGslb(commit)] if commit else [])]:
        if lack := peer.missing():
            say(f"without {peer.name}: {lack} is missing")
        else:
            found.append(peer)
    return found


def measure_side_by_side(
    peers: Sequence[Peer], workloads: Sequence[Workload], folder: Path, options: argparse.Namespace
) -> list[Figure]:
    """Starts all peers on one core, then gives them every workload in turn."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        servers = []
        for peer in peers:
            say(f"starting {peer.name}")
            servers.append(
                stack.enter_context(started(peer, folder / peer.name, machine.cores()[0]))
            )
        for workload in workloads:
            asked = [server for server in servers if workload.name not in server.skips]
            if not asked:
                continue
            figures += compare(
                asked,
                workload,
                folder,
                seconds=options.seconds,
                rounds=options.rounds,
                say=say,
            )
    return figures


def measure(
    peers: Sequence[Peer], options: argparse.Namespace
) -> tuple[list[Figure], dict[str, list[Fact]]]:
    """Everything that was asked for, in a folder of its own that is removed afterwards.

    The facts come by the name of their section in the report.
    """
    workloads = [workload for workload in WORKLOADS if workload.name in options.workloads]
    figures: list[Figure] = []
    alone: list[Fact] = []
    overload: list[Fact] = []
    ours = any(peer.name == "gslb" for peer in peers)
    with tempfile.TemporaryDirectory(prefix="gslb-bench-") as name:
        folder = Path(name)
        if workloads:
            figures = measure_side_by_side(peers, workloads, folder, options)
        for task, measure_alone in ALONE.items():
            if task in options.workloads and ours:
                say(f"gslb alone: {task}")
                alone += measure_alone(folder / task)
        if OVERLOAD in options.workloads and ours:
            say("gslb alone: overload")
            overload = measure_overload(folder / OVERLOAD)
    pairs = relate_pairs(figures, options.against)
    return figures, {"pairs": pairs, "alone": alone, OVERLOAD: overload}


def main() -> int:
    """Runs the bench; the exit status."""
    options = parse()
    if lack := dnsperf.missing():
        say(f"nothing can be measured: {lack} is missing")
        return 2
    peers = find_peers(options.peers, options.against)
    if not peers:
        return 2
    try:
        figures, sections = measure(peers, options)
    except (PeerError, DnsperfError, OSError) as error:
        say(str(error))
        return 1
    about = {
        "machine": machine.describe(),
        "versions": ", ".join([dnsperf.version(), *(peer.version() for peer in peers)]),
        "command": shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
    }
    print("\n".join(about.values()))
    if figures:
        print(f"\n{compose_figures(figures)}")
    for section, facts in sections.items():
        if facts:
            print(f"\n{section}\n{compose_facts(facts)}")
    if options.json:
        write_json(options.json, about, figures, sections)
    failed = any(fact.failed for facts in sections.values() for fact in facts)
    return int(failed or any(figure.failed for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
