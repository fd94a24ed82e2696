"""Whatever the packet: both ways give the same octets, each packet is counted once, sizes hold."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from gslb.core.policy import Failover
from gslb.core.setting import Cookies, RateLimit, Settings
from gslb.core.world import World
from gslb.serve.cookie import Jar
from gslb.serve.engine import Transport
from gslb.serve.python import PythonEngine
from gslb.wire.message import parse_query
from gslb.wire.name import from_text, parse, skip

from loaded import branches, loaded_world
from sample import APEX, make_world

NOW = 1e9
SECRETS = (bytes(range(16)), bytes(16))
COOKIES = Cookies("/nowhere/cookies", SECRETS)
UNLIMITED = (
    Settings(),
    Settings(cookies=COOKIES, nsid=b"node-one"),
    Settings(cookies=COOKIES, nsid=b"node-one", udp_size=512, ecs_from=("150.0.0.0/8",)),
)
LIMITED = (
    Settings(cookies=COOKIES, nsid=b"n", rate_limit=RateLimit(2, exempt=("203.0.113.0/24",))),
    Settings(cookies=COOKIES, nsid=b"n", rate_limit=RateLimit(2, slip=1)),
    Settings(rate_limit=RateLimit(2, log_only=True)),
)
PEERS = ("150.7.7.7", "203.0.113.9", "50.1.1.1", "::ffff:150.1.1.1", "2001:db8::1", "fe80::1")
NAMES = ("www", "txt", "nope", "a.b.img", "x.sub", "sub", "alias2", "towww", "big", "q.wild",
         "*.wild", "api", "list", "split", "v4only", "")  # fmt: skip
TYPES = (1, 1, 1, 28, 16, 15, 5, 2, 6, 255, 43, 65, 0, 41, 250, 251, 252, 65280, 65535)
SIZES = (0, 1, 255, 511, 512, 513, 700, 1231, 1232, 1233, 4096, 65535)
LONGEST = (b"\x3f" + b"x" * 63) * 3 + b"\x3d" + b"y" * 61 + b"\0"
UNREADABLE = (b"\xc0\x0c", b"\x40abc\0", b"\3ww", b"\1y" + LONGEST, b"\3www\xc0\x0c")


class Sender:
    """Makes packets that are well-formed, nearly well-formed, or neither."""

    def __init__(self, chance: Random, peer: str) -> None:
        self.chance, self.peer = chance, peer

    def often(self, share: float) -> bool:
        return self.chance.random() < share

    def packet(self) -> bytes:
        pick = self.chance.choice
        flags = pick((0, 0x100, 0x100, 0x710, 0xF, 0x70, self.chance.getrandbits(16)))
        question = self.name() + struct.pack("!HH", pick(TYPES), pick((1,) * 12 + (0, 3, 255)))
        count = pick((1,) * 20 + (0, 2))
        records = [[], [], []]
        for share in (0.75, 0.05):
            if self.often(share):
                records[2].append(self.opt())
        if self.often(0.1):
            other = b"\xc0\x0c" + struct.pack("!HHIH", pick((1, 41)), 1, 0, 4) + b"abcd"
            records[pick((0, 1, 2))].insert(0, other)
        if self.often(0.05):
            records[2].append(tsig())
        lie = self.often(0.02)
        counts = (count, *map(len, records[:2]), len(records[2]) + lie)
        head = self.chance.randbytes(2) + struct.pack("!5H", flags, *counts)
        return self.spoil(head + question * count + b"".join(b"".join(part) for part in records))

    def name(self) -> bytes:
        chance = self.chance
        known = from_text(f"{chance.choice(NAMES)}.{APEX}".lstrip("."))
        match chance.randrange(12):
            case 0:
                return bytes(c ^ 32 if c > 96 and self.often(0.5) else c for c in known)
            case 1:
                return from_text(chance.choice(("example.org.", ".", "com.")))
            case 2:
                label = chance.choice((b"\0", b"a\0b", b"\xff.\x80", b"A\0\0\1\0\1"))
                return bytes((len(label),)) + label + known
            case 3:
                return b"\1x" * ((255 - len(known)) // 2) + known
            case 4:
                return chance.choice((*UNREADABLE, LONGEST))
            case _:
                return known

    def opt(self) -> bytes:
        pick = self.chance.choice
        options = b""
        for _ in range(pick((0, 1, 1, 1, 1, 2, 3, 5))):
            code = pick((3, 8, 8, 8, 10, 10, 10, 11, 12, 15, 100))
            data = {8: self.subnet, 10: self.cookie}.get(code, lambda: pick((b"", b"xy")))()
            options += struct.pack("!HH", code, len(data) + self.often(0.02)) + data
        version, flags = pick((0,) * 9 + (1,)), pick((0, 0x8000, 0xFFFF))
        fixed = struct.pack("!HHBBHH", 41, pick(SIZES), 0, version, flags, len(options))
        return pick((b"\0",) * 15 + (b"\1x\0",)) + fixed + options

    def subnet(self) -> bytes:
        chance = self.chance
        family = chance.choice((1, 1, 1, 2, 0, 3))
        width = {1: 32, 2: 128}.get(family, 0)
        source = chance.choice((0, width, min(24, width), chance.randint(0, width)))
        bits = chance.getrandbits(width) if width else 0
        if self.often(0.8):
            bits = bits >> (width - source) << (width - source)
        octets = bits.to_bytes(width // 8, "big")[: (source + 7) // 8]
        spoilt = chance.choice((octets,) * 15 + (octets[:-1], octets + b"\0"))
        return struct.pack("!HBB", family, source, chance.choice((0,) * 9 + (3,))) + spoilt

    def cookie(self) -> bytes:
        chance = self.chance
        age_s = chance.choice((0, -300, -301, 1800, 1801, 3600, 3601))
        good = Jar((chance.choice(SECRETS),), lambda: NOW - age_s).check(b"clientco", self.peer)[1]
        wrong = bytes(chance.choice((0, 7, 9, 15, 16, 40, 41)))
        return chance.choice((good, good, good[:8], good[:8] + b"\2" + good[9:], wrong))

    def spoil(self, packet: bytes) -> bytes:
        chance = self.chance
        match chance.randrange(20):
            case 0:
                return packet[: chance.randint(0, len(packet))]
            case 1:
                return packet + chance.randbytes(chance.randint(1, 9))
            case 2:
                place = chance.randrange(len(packet))
                return packet[:place] + chance.randbytes(1) + packet[place + 1 :]
            case _:
                return packet


def tsig() -> bytes:
    rdata = b"\x0bhmac-sha256\0" + bytes(6) + struct.pack("!HH", 300, 32) + bytes(32 + 6)
    return b"\3key\0" + struct.pack("!HHIH", 250, 255, 0, len(rdata)) + rdata


@cache
def engine(chosen: Settings) -> PythonEngine:
    """One for all packets under these settings; time stands still, the dice never roll."""
    made = PythonEngine(make_world(settings=chosen), Random(1), lambda *_: None, lambda: NOW)
    made._dice.random = lambda: 0.3
    return made


def counted(made: PythonEngine, ask) -> tuple[bytes | None, Counter]:
    before = Counter(made.stats())
    reply = ask()
    return reply, Counter(made.stats()) - before


def size_of_opt(reply: bytes) -> int | None:
    """The size in OPT, None without one; fails if the reply is not just what its header says."""
    questions, *counts = struct.unpack_from("!4H", reply, 4)
    at, found = 12, None
    assert questions <= 1
    if questions:
        at = parse(reply, at) + 4
    for _ in range(sum(counts)):
        start, at = at, skip(reply, at)
        rrtype, size, _, length = struct.unpack_from("!HHIH", reply, at)
        at += 10 + length
        if rrtype == 41:
            assert found is None
            assert reply[start] == 0
            found = size
    assert at == len(reply)
    return found


def sent(count: int) -> Iterator[tuple[bytes, str]]:
    """(packet, peer) of so many senders; a failure tells the packet."""
    for seed in range(count):
        chance = Random(seed)
        peer = chance.choice(PEERS)
        yield Sender(chance, peer).packet(), peer


@pytest.mark.parametrize("chosen", UNLIMITED)
def test_the_quick_way_gives_what_the_careful_way_gives_and_counts_the_same(
    chosen: Settings,
) -> None:
    agree(engine(chosen), 6000)


@pytest.mark.parametrize("shares", [{0: 20}, {0: 50, 1: 20}, {0: 20, 1: 20}])
def test_it_does_so_while_pools_shed_load(shares: dict[int, int]) -> None:
    world = loaded_world(Failover(200, branches("web-fra", "web-iad")), shares)
    config = replace(world.plan.config, settings=UNLIMITED[1])
    world = World(replace(world.plan, config=config), world.health, 1)
    made = PythonEngine(world, Random(1), lambda *_: None, lambda: NOW)
    made._dice.random = lambda: 0.3
    agree(made, 2000)


def agree(made: PythonEngine, count: int) -> None:
    taken = 0
    for packet, peer in sent(count):
        made.answer(packet, peer, "udp")  # learns
        quick, quickly = counted(made, lambda: made._quick(packet, peer, "udp"))  # noqa: B023
        if quick is not None:
            careful = counted(made, lambda: made._careful(packet, peer, "udp"))  # noqa: B023
            assert (quick, quickly) == careful, packet.hex()
            taken += 1
    assert taken > count // 20  # else this says nothing


@pytest.mark.parametrize("chosen", UNLIMITED + LIMITED)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_every_packet_is_one_query_and_one_reply_or_one_loss(chosen: Settings, transport) -> None:
    made = engine(chosen)
    for packet, peer in sent(2000):
        reply, changes = counted(made, lambda: made.answer(packet, peer, transport))  # noqa: B023
        by_metric: Counter[str] = Counter()
        for (metric, *_), count in changes.items():
            by_metric[metric] += count
        assert (by_metric["errors"], by_metric["queries"]) == (0, 1), packet.hex()
        assert (by_metric["responses"], by_metric["dropped"]) == ((1, 0) if reply else (0, 1))
        if reply is not None:
            check_reply(packet, reply, chosen, transport)


def check_reply(packet: bytes, reply: bytes, chosen: Settings, transport: str) -> None:
    query = parse_query(packet)
    assert query is not None
    assert reply[:2] == packet[:2]
    assert (reply[2] & 0xF9, reply[3] & 0xF0) == (0x80 | packet[2] & 0x79, 0)
    assert size_of_opt(reply) == (None if query.edns is None else chosen.udp_size)
    if transport == "udp":
        limit = 512 if query.edns is None else min(query.edns.size, chosen.udp_size)
        assert len(reply) <= limit, packet.hex()


@pytest.mark.parametrize("options", [(), (10,), (8,), (3, 8, 10), (10, 3), (100,)])
@pytest.mark.parametrize("udp_size", [1232, 4096])
def test_a_reply_is_whole_exactly_where_the_size_allows_it(options, udp_size: int) -> None:
    data = {3: b"", 8: b"\0\1\x18\0\x32\1\2", 10: b"clientco", 100: b"x"}
    packed = b"".join(struct.pack("!HH", code, len(data[code])) + data[code] for code in options)
    # Of the sample's names the large one; 1232 allows a part of it at most.
    question = from_text(f"big.{APEX}") + struct.pack("!HH", 16, 1)
    made = engine(Settings(cookies=COOKIES, nsid=b"node-one", udp_size=udp_size))

    def ask(size: int, transport: Transport) -> bytes:
        opt = b"\0" + struct.pack("!HHIH", 41, size, 0, len(packed)) + packed
        reply = made.answer(b"id\0\0\0\1\0\0\0\0\0\1" + question + opt, PEERS[0], transport)
        assert reply is not None
        return reply

    whole = ask(65535, "tcp")
    assert 1232 < len(whole) < 4096
    for size in (511, 512, 513, 1231, 1232, 1233, *range(len(whole) - 30, len(whole) + 3), 65535):
        reply = ask(size, "udp")
        if min(size, udp_size) >= len(whole):
            assert reply == whole
        else:
            assert reply[2] & 2
            assert len(reply) <= 512
            assert size_of_opt(reply) == udp_size
