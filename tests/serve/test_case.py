"""Every dialogue of tests/cases/, three times each: the careful way and the quick way agree."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from random import Random

import pytest
from gslb.config.entry import split
from gslb.config.zonefile import ZoneReader
from gslb.core.image import build
from gslb.core.setting import Cookies, Settings
from gslb.core.world import World
from gslb.core.zone import RRset, Zone
from gslb.serve.python import PythonEngine
from gslb.wire.name import from_text

from dialogue import Exchange, compare, compose, read_case
from sample import make_world

CASES = sorted(Path(__file__).parent.parent.joinpath("cases").glob("*.case"))
EXCHANGES = [
    pytest.param(path, exchange, id=exchange.title)
    for path in CASES
    for exchange in read_case(path)
]

# Secret and time of the first example in RFC 9018, appendix A.
SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
NOW_S = 1559731985.0
SETTINGS = {"option": Settings(cookies=Cookies("/nowhere", (SECRET,)), nsid=b"node-1")}


def read_zone(path: Path) -> Zone:
    """The zone of a master file named after its origin."""
    found: dict[bytes, dict[int, tuple[int, list[bytes]]]] = defaultdict(dict)

    def keep(owner: bytes, rrtype: int, ttl: int, rdata: bytes) -> None:
        found[owner].setdefault(rrtype, (ttl, []))[1].append(rdata)

    reader = ZoneReader(path.stem, keep)
    for entry in split(path.read_text()):
        assert reader.read(entry) is None
    return build(
        from_text(path.stem),
        {
            owner: [RRset(rrtype, ttl, tuple(rdatas)) for rrtype, (ttl, rdatas) in types.items()]
            for owner, types in found.items()
        },
    )


def world_of(case: Path) -> World:
    """The sample; a case whose folder has the same name as it brings zones of its own."""
    zones = [read_zone(path) for path in sorted(case.with_suffix("").glob("*.zone"))]
    return make_world(zones or None, settings=SETTINGS.get(case.stem))


@pytest.mark.parametrize(("case", "exchange"), EXCHANGES)
def test_the_reply_is_what_the_dialogue_says(case: Path, exchange: Exchange) -> None:
    engine = PythonEngine(world_of(case), Random(1), wall=lambda: NOW_S)
    for _ in range(3):
        query = compose(exchange)
        reply = engine.answer(query.to_wire(), exchange.peer, exchange.transport)
        assert reply is not None
        compare(exchange, query, reply)
        limit = exchange.size if exchange.edns else 512
        assert exchange.transport == "tcp" or len(reply) <= limit
