"""Every answer beside Knot's: the reference zone, and small zones drawn at random.

What two right servers may do differently is told by `agree`; any other difference fails.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.zone
import pytest
from gslb.app.load import load
from gslb.core.health import all_unknown
from gslb.core.world import World
from gslb.serve.python import PythonEngine

KNOTD = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(KNOTD is None, reason="knotd is not installed"),
]

Question = tuple[dns.name.Name, dns.rdatatype.RdataType]

REFERENCE = Path(__file__).with_name("example.test.zone")
DRAWN = [f"z{number}.test." for number in range(40)]
TYPES = [
    dns.rdatatype.from_text(text)
    for text in "A AAAA NS CNAME SOA TXT MX DS SRV SVCB HTTPS CAA TYPE65280".split()  # noqa: SIM905
]
LABELS = ["a", "b", "*"]
HEAD = bytes.fromhex("0000 0001 0000 0000 0001")
OPT = bytes.fromhex("00 0029 04d0 00 00 0000 0000")
BATCH = 50
PATIENCE_S = 10.0

KNOT = """
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
    storage: "{folder}/zones"
    semantic-checks: off
    journal-content: none
zone:
"""


def draw_zone(apex: str, dice: Random) -> str:
    """A master file with two to seven names of up to three labels out of "a", "b" and "*"."""
    names = [".".join(parts) for size in (1, 2, 3) for parts in product(LABELS, repeat=size)]
    targets = [*names, "c", "c.c", "a.c", "@", "out.example.net."]
    entries: dict[str, list[str]] = {}
    for name in dice.sample(names, dice.randint(2, 7)):
        host, kind = f"192.0.2.{dice.randrange(256)}", dice.random()
        if name.startswith("*") and kind > 0.7:  # a wildcard cut has no meaning (RFC 4592 4.2)
            kind = 0.6
        if kind < 0.3:
            entries[name] = [f"A {host}"]
        elif kind < 0.45:
            entries[name] = [f"A {host}", 'TXT "x"', f"MX 10 {dice.choice(targets)}"]
        elif kind < 0.7:
            entries[name] = [f"CNAME {dice.choice(targets)}"]
        else:
            servers = {dice.choice(targets) for _ in range(dice.randint(1, 2))}
            entries[name] = [f"NS {server}" for server in sorted(servers)]
            entries[name] += [f"DS 1 13 2 {'11' * 32}"] if kind < 0.85 else []
            entries.setdefault(f"a.{name}", [f"A {host}"])
    lines = [f"$ORIGIN {apex}", "$TTL 300", "@ SOA ns.example.net. h 1 7200 900 1209600 60"]
    lines += ["@ NS ns1.example.net.", "@ NS ns2.example.net."]
    lines += [f"{name} {entry}" for name, found in entries.items() for entry in found]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both servers' zones, and our configuration."""
    folder = tmp_path_factory.mktemp("knot")
    zones = folder / "zones"
    zones.mkdir()
    shutil.copy(REFERENCE, zones)
    dice = Random(1)
    for apex in DRAWN:
        (zones / f"{apex}zone").write_text(draw_zone(apex, dice))
    (folder / "gslb.yaml").write_text("zones: zones/\n")
    return folder


@pytest.fixture(scope="module")
def ours(folder: Path) -> PythonEngine:
    plan = load(str(folder / "gslb.yaml")).plan
    return PythonEngine(World(plan, all_unknown(plan.config.pools), 1))


@pytest.fixture(scope="module")
def knot(folder: Path) -> Iterator[socket.socket]:
    """A socket connected to a Knot that answers."""
    assert KNOTD is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    zones = [f"  - domain: {path.stem}\n" for path in (folder / "zones").iterdir()]
    config = folder / "knot.conf"
    config.write_text(KNOT.format(folder=folder, port=port) + "".join(zones))
    with (
        subprocess.Popen([KNOTD, "-c", str(config)], stderr=subprocess.PIPE) as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.connect(("127.0.0.1", port))
        try:
            wait_for(sock, process)
            yield sock
        finally:
            process.terminate()


def wait_for(sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """Until the last zone is there."""
    last = query((dns.name.from_text(DRAWN[-1]), dns.rdatatype.SOA), 0)
    sock.settimeout(0.1)
    for _ in range(int(PATIENCE_S / 0.1)):
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        try:
            sock.send(last)
            if dns.message.from_wire(sock.recv(65535)).answer:
                sock.settimeout(PATIENCE_S)
                return
        except ConnectionRefusedError:
            select_nothing(sock)
        except TimeoutError:
            continue
    pytest.fail("knotd does not answer")


def select_nothing(sock: socket.socket) -> None:
    """A short wait on a socket to which nobody writes."""
    try:
        sock.recv(1)
    except (TimeoutError, ConnectionRefusedError):
        return


def query(question: Question, number: int) -> bytes:
    name, rrtype = question
    head = number.to_bytes(2, "big") + HEAD
    return head + name.to_wire() + rrtype.to_bytes(2, "big") + b"\0\1" + OPT


def compare(questions: list[Question], engine: PythonEngine, knot: socket.socket) -> None:
    different: list[str] = []
    for start in range(0, len(questions), BATCH):
        batch = dict(enumerate(questions[start : start + BATCH]))
        packets = {number: query(question, number) for number, question in batch.items()}
        for packet in packets.values():
            knot.send(packet)
        for _ in batch:
            theirs = knot.recv(65535)
            number = int.from_bytes(theirs[:2], "big")
            reply = engine.answer(packets[number], "192.0.2.1", "udp")
            if reply != theirs and not agree(parse(reply), parse(theirs)):
                name, rrtype = batch[number]
                asked = f"{name} {dns.rdatatype.to_text(rrtype)}"
                different.append(f"{asked}\n{parse(reply)}\n--- Knot:\n{parse(theirs)}")
    assert not different, f"{len(different)} differ, such as\n" + "\n\n".join(different[:3])


def parse(reply: bytes | None) -> dns.message.Message:
    assert reply is not None
    return dns.message.from_wire(reply)


def agree(ours: dns.message.Message, theirs: dns.message.Message) -> bool:
    """Whether two replies say the same to a resolver.

    Ours may end a loop of aliases earlier, leaves out the NS records where an alias leads
    into a delegation, and additional records that nobody needs.
    """
    if ours.flags != theirs.flags or ours.rcode() != theirs.rcode():
        return False
    chain, longer = records(ours, "answer"), records(theirs, "answer")
    if chain and is_loop(theirs):
        return not ours.authority and chain == longer[: len(chain)]
    if chain != longer:
        return False
    if theirs.answer and all(rrset.rdtype == dns.rdatatype.NS for rrset in theirs.authority):
        return not ours.authority
    return records(ours, "authority") == records(theirs, "authority") and glue(ours) == glue(theirs)


def records(message: dns.message.Message, section: str) -> list[tuple[object, ...]]:
    """Owner, TTL and data of a section, in its order."""
    return [
        (rrset.name, rrset.ttl, rrset.rdtype, frozenset(rrset))
        for rrset in getattr(message, section)
    ]


def is_loop(message: dns.message.Message) -> bool:
    """Whether the answer is nothing but aliases that come to one of them again."""
    if not message.answer or message.answer[-1].rdtype != dns.rdatatype.CNAME:
        return False
    owners = {rrset.name for rrset in message.answer}
    return message.answer[-1][0].target in owners


def glue(message: dns.message.Message) -> set[tuple[object, ...]]:
    """The addresses without which a referral leads nowhere (RFC 9471 section 3.1)."""
    cuts = [rrset.name for rrset in message.authority if rrset.rdtype == dns.rdatatype.NS]
    return {
        record
        for record in records(message, "additional")
        if any(record[0].is_subdomain(cut) for cut in cuts)
    }


def test_the_reference_zone_is_answered_as_knot_does(ours, knot) -> None:
    apex = dns.name.from_text("example.test.")
    zone = dns.zone.from_file(str(REFERENCE), apex, relativize=False)
    names = {name for owner in zone.nodes for name in up_to(owner, apex)}
    below = {dns.name.Name((label, *name.labels)) for name in names for label in (b"nope", b"*")}
    foreign = [dns.name.from_text(text) for text in (".", "test.", "notexample.test.", "a.b.")]
    everything = sorted(names | below) + foreign
    compare([(name, rrtype) for name in everything for rrtype in TYPES], ours, knot)


def up_to(name: dns.name.Name, apex: dns.name.Name) -> Iterator[dns.name.Name]:
    while name != apex:
        yield name
        name = name.parent()
    yield apex


def test_small_zones_are_answered_as_knot_does(ours, knot) -> None:
    labels = [*LABELS, "c"]
    below = [".".join(parts) for size in (1, 2, 3) for parts in product(labels, repeat=size)]
    names = [dns.name.from_text(f"{name}.{apex}") for apex in DRAWN for name in below]
    types = [dns.rdatatype.from_text(text) for text in ("A", "NS", "CNAME", "TXT", "MX", "DS")]
    questions = [(name, rrtype) for name in names for rrtype in types]
    Random(2).shuffle(questions)  # what is remembered must not depend on who came first
    compare(questions, ours, knot)
