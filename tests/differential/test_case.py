"""A difference that no rule knows is left over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gslb.serve.python import PythonEngine

from differential.case import Case
from differential.reply import AA, TC, Reply, read
from sample import make_world, sample_zone

_HEAD = bytes.fromhex("0007 0000 0001 0000 0000 0000")
ZONE = sample_zone()


def ask(name: bytes, rrtype: int) -> Reply:
    packet = _HEAD + name + ZONE.apex + rrtype.to_bytes(2, "big") + b"\0\1"
    reply = PythonEngine(make_world([ZONE])).answer(packet, "192.0.2.1", "udp")
    assert reply is not None
    return read(reply)


def case(ours: Reply, theirs: Reply, name: bytes = b"\3txt", rrtype: int = 16) -> Case:
    return Case(name + ZONE.apex, rrtype, "NSD", ZONE, ours, theirs, ours)


FOUND = ask(b"\3txt", 16)
ABSENT = ask(b"\4nope", 16)
REFERRAL = ask(b"\1x\3sub", 16)
HOSTED = ask(b"\2mx", 15)


def test_the_same_is_the_same() -> None:
    for reply in (FOUND, ABSENT, REFERRAL, HOSTED):
        assert not case(reply, reply).differences


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (replace(FOUND, flags=FOUND.flags ^ AA), FOUND),
        (replace(FOUND, rcode=3), FOUND),
        (ABSENT, FOUND),
        (FOUND, ABSENT),
        (replace(ABSENT, authority={}), ABSENT),
        (replace(REFERRAL, additional={}), REFERRAL),
        (replace(HOSTED, additional={}), HOSTED),
        (FOUND, replace(FOUND, flags=FOUND.flags | TC)),
        (replace(FOUND, flags=FOUND.flags | TC), FOUND),
    ],
    ids=["aa", "rcode", "nxdomain", "found", "soa", "glue", "host", "their tc", "our tc"],
)
def test_what_no_rule_knows_is_left_over(ours: Reply, theirs: Reply) -> None:
    found = case(ours, theirs)
    assert found.differences
    assert not found.reasons
