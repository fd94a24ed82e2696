"""Any octets as zone files: a zone that is served well, or problems with places.

A line of `;;;` begins the next file: the zone, then what it may `$INCLUDE` as `1.inc` and `2.inc`.
"""

from __future__ import annotations

from itertools import islice, product
from random import Random

from gslb.config.zonefolder import ZoneFolder, read_zones
from gslb.core.setting import Limits
from gslb.core.zone import Zone
from gslb.serve.python import PythonEngine
from gslb.wire.name import MAX_NAME
from gslb.wire.rrtype import AAAA, ANY, STEER, A

from fuzz.place import folder
from fuzz.promise import answer, judge
from sample import make_world

LONGEST = 4096
CUT = b"\n;;;\n"
FILES = ("gslb.example.com.zone", "1.inc", "2.inc")
MOST_NAMES = 20
_HEAD = bytes.fromhex("4711 0000 0001 0000 0000 0001")
_IN_AND_OPT = bytes.fromhex("0001 00 0029 04d0 0000 0000 0000")
_ABSENT = b"\x04nope"


def check(data: bytes) -> None:
    """Raises if reading breaks a promise, or a zone that was read cannot be served."""
    place = folder("zone")
    texts = data.split(CUT, len(FILES) - 1)
    for name, text in zip(FILES, texts + [b""] * (len(FILES) - len(texts)), strict=True):
        (place / name).write_bytes(text)
    found = read_zones(str(place), Limits(), "zones")
    _judge(found)
    for zone in found.zones:
        _serve(zone)


def _judge(found: ZoneFolder) -> None:
    failed = any(problem.severity == "error" for problem in found.problems)
    assert failed != bool(found.zones), "neither a zone nor an error"
    for problem in found.problems:
        assert problem.what
        assert str(problem).isprintable(), "a message that a terminal obeys"
        assert len(str(problem)) < 2000, "a message longer than a screen"
        assert problem.where.file.startswith("zones/")


def _serve(zone: Zone) -> None:
    """Ask for names of the zone and for some below them, by every type that needs no policy."""
    engine = PythonEngine(make_world([zone]), Random(0))
    types = zone.types | {A, ANY} if STEER not in zone.types else zone.types - {A, AAAA}
    for place in islice(filter(None, zone.index), MOST_NAMES):
        name = zone.node(place - 1).name
        for asked, rrtype in product((name, _ABSENT + name), types):
            if len(asked) <= MAX_NAME:
                packet = _HEAD + asked + rrtype.to_bytes(2, "big") + _IN_AND_OPT
                judge(packet, answer(engine, packet, "192.0.2.1", "udp"), "udp")
                judge(packet, answer(engine, packet, "192.0.2.1", "tcp"), "tcp")
