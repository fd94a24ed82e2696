"""Asks the engine and its peers the same, and counts what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import dns.message
import dns.name
import dns.rdatatype
from gslb.app.load import load
from gslb.core.answer import zone_of
from gslb.core.health import all_unknown
from gslb.core.world import World
from gslb.serve.engine import Transport
from gslb.serve.python import PythonEngine

from differential.case import Case
from differential.drawing import Drawing
from differential.peer import Peer, find, running
from differential.reply import read

Question = tuple[dns.name.Name, int]

PROGRAMS: Final = ("knotd", "nsd")
INSTALLED: Final = tuple(program for program in PROGRAMS if find(program))
TYPES: Final = tuple(
    dns.rdatatype.from_text(text)
    for text in (
        *("A", "AAAA", "NS", "CNAME", "SOA", "TXT", "MX", "DS", "SRV", "SVCB", "HTTPS", "CAA"),
        *("DNAME", "TYPE65280", "ANY"),
    )
)
MODES: Final[tuple[tuple[Transport, int], ...]] = (
    ("udp", 1232),
    ("udp", 512),
    ("udp", 0),  # without EDNS
    ("tcp", 1232),
)
MOST_SHOWN: Final = 3
QUESTIONS_A_ZONE: Final = 300
_HEAD: Final = bytes.fromhex("0000 0001 0000 0000")


@dataclass
class Tally:
    """How many replies were the same, how many differ for which reasons, and what is left."""

    asked: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        asked = ", ".join(f"{count} by {peer}" for peer, count in sorted(self.asked.items()))
        reasons = ", ".join(f"{name} {count}" for name, count in self.reasons.most_common())
        return f"answers compared: {asked}; explained: {reasons}; not: {len(self.unexplained)}"


@dataclass
class Comparison:
    """The engine and peers with the same zones."""

    engine: PythonEngine
    world: World
    peers: Sequence[Peer]
    tally: Tally = field(default_factory=Tally)

    def ask(self, questions: Sequence[Question], transport: Transport, size: int) -> None:
        """Ask everybody; `size` is the UDP size to offer, 0 without EDNS."""
        packets = [_packet(at, question, size) for at, question in enumerate(questions)]
        for peer in self.peers:
            replies = peer.ask(packets, transport)
            self.tally.asked[peer.name] += len(packets)
            for packet, question in zip(packets, questions, strict=True):
                ours = self.engine.answer(packet, "192.0.2.1", transport)
                theirs = replies[packet[:2]]
                assert ours is not None
                if ours != theirs:
                    limit = 65535 if transport == "tcp" else size or 512
                    self._judge(peer, question, packet, (ours, theirs), limit)

    def _judge(
        self,
        peer: Peer,
        question: Question,
        packet: bytes,
        replies: tuple[bytes, bytes],
        limit: int,
    ) -> None:
        name, rrtype = question
        key = name.to_wire().lower()
        whole = self.engine.answer(packet, "192.0.2.1", "tcp")
        assert whole is not None
        zone = zone_of(self.world.plan.zones, key, rrtype)
        ours, theirs = map(read, replies)
        case = Case(key, rrtype, peer.name, zone, ours, theirs, read(whole), limit)
        if not case.differences:
            return
        reasons = case.reasons
        self.tally.reasons.update(reasons)
        if not reasons:
            shown = ""
            if len(self.tally.unexplained) < MOST_SHOWN:
                shown = "\n--- ".join(map(_show, replies))
            differs = ", ".join(sorted(case.differences))
            text = f"{name} {dns.rdatatype.to_text(rrtype)} ({peer.name}): {differs}\n{shown}"
            self.tally.unexplained.append(text)


@contextmanager
def comparison(folder: Path, zones: Sequence[str], programs: Sequence[str]) -> Iterator[Comparison]:
    """With the zones of `folder`/zones, by their names with the last dot."""
    (folder / "gslb.yaml").write_text("server: { rate_limit: off }\nzones: zones/\n")
    plan = load(str(folder / "gslb.yaml")).plan
    world = World(plan, all_unknown(plan.config.pools), 1)
    with ExitStack() as stack:
        peers = [stack.enter_context(running(program, folder, zones)) for program in programs]
        yield Comparison(PythonEngine(world), world, peers)


def compare_drawn(folder: Path, seed: int, count: int, programs: Sequence[str]) -> Tally:
    """Draw so many zones, and ask a part of all there is to ask about each."""
    dice = Random(seed)
    drawings = [Drawing(f"z{number}.test.", dice) for number in range(count)]
    (folder / "zones").mkdir()
    for drawing in drawings:
        (folder / "zones" / f"{drawing.apex}zone").write_text(drawing.text)
    with comparison(folder, [drawing.apex for drawing in drawings], programs) as everybody:
        for drawing in drawings:
            names = [_name(name, drawing.apex) for name in drawing.asked]
            questions = [(name, rrtype) for name in names if name for rrtype in TYPES]
            # In any order: what is remembered must not depend on who came first.
            asked = dice.sample(questions, min(QUESTIONS_A_ZONE, len(questions)))
            everybody.ask(asked, *dice.choice(MODES))
        return everybody.tally


def _name(text: str, apex: str) -> dns.name.Name | None:
    """A name of a zone; None if that would be too long."""
    try:
        return dns.name.from_text(f"{text}.{apex}" if text else apex)
    except dns.name.NameTooLong:
        return None


def _packet(number: int, question: Question, size: int) -> bytes:
    name, rrtype = question
    opt = b"\0\0\x29" + size.to_bytes(2, "big") + bytes(6) if size else b""
    counts = b"\0\1" if size else b"\0\0"
    asked = name.to_wire() + rrtype.to_bytes(2, "big") + b"\0\1"
    return number.to_bytes(2, "big") + _HEAD + counts + asked + opt


def _show(reply: bytes) -> str:
    return str(dns.message.from_wire(reply))
