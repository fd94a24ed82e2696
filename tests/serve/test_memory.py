"""What the engine remembers: never more than it must, and never another question's answer."""

from __future__ import annotations

from random import Random

import dns.message
import pytest
from gslb.core.image import build
from gslb.core.zone import RRset
from gslb.serve import entry as entry_module
from gslb.serve.python import PythonEngine
from gslb.wire import rrtype as rr
from gslb.wire.name import from_text

from sample import APEX, make_world, names, soa

PEER = "150.7.7.7"
PLAIN = bytes.fromhex("000100000001000000000000")
WITH_OPT = bytes.fromhex("000100000001000000000001")
OPT = bytes.fromhex("00002904d000000000") + bytes(2)

PRIVATE = 65280  # a type of private use
RECORD = 12  # octets of a record beside its data, its owner being a pointer


def question(name: str, rrtype: int) -> bytes:
    return from_text(name) + rrtype.to_bytes(2, "big") + b"\0\1"


def answer(engine: PythonEngine, packet: bytes, transport="udp") -> dns.message.Message:
    reply = engine.answer(packet, PEER, transport)
    assert reply is not None
    return dns.message.from_wire(reply, one_rr_per_rrset=True)


def test_what_strangers_send_grows_nothing() -> None:
    engine = PythonEngine(make_world(), Random(1))
    for number in range(3000):
        for name in (f"r{number:05}", f"r{number:05}.img"):
            engine.answer(PLAIN + question(f"{name}.{APEX}", rr.A), PEER, "udp")
    assert len(engine._memory.ready) == 0
    assert len(engine._memory._below) == 2


def test_remembered_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_module, "MOST_NAMES", 2)
    engine = PythonEngine(make_world(), Random(1))
    for name in ("www", "txt", "ns1", "api", "list"):
        assert answer(engine, PLAIN + question(f"{name}.{APEX}", rr.A)).rcode() == rr.NOERROR
    assert len(engine._memory.ready) == 2


@pytest.mark.parametrize("name", ["txt", "a.deep.ent", "alias", "x.wild", "y.img", "www", "sub"])
def test_types_that_nobody_has_share_one_entry(name: str) -> None:
    engine = PythonEngine(make_world(), Random(1))
    for rrtype in range(20_000, 21_000):
        engine.answer(PLAIN + question(f"{name}.{APEX}", rrtype), PEER, "udp")
    assert len(engine._memory.ready) + len(engine._memory._below) <= 2


def test_absent_names_anywhere_share_one_entry_per_length() -> None:
    engine = PythonEngine(make_world(), Random(1))
    for parent in ("", "txt.", "ent.", "ns1.", "exact.wild."):
        for number in range(50):
            label = "x" * (20 - len(parent)) + f"{number:02}"
            reply = answer(engine, PLAIN + question(f"{label}.{parent}{APEX}", rr.A))
            assert reply.rcode() == rr.NXDOMAIN
            assert reply.authority[0].name.to_text() == APEX
    assert len(engine._memory._below) <= 2  # the apex itself has one label less


@pytest.mark.parametrize("order", [("aa", "zz"), ("zz", "aa")])
def test_a_wildcard_alias_to_a_name_of_its_own_is_remembered_for_all(order) -> None:
    zone = build(
        from_text(APEX),
        {
            from_text(APEX): [soa(f"ns1.{APEX}", f"h.{APEX}"), names(rr.NS, f"ns1.{APEX}")],
            from_text(f"*.{APEX}"): [names(rr.CNAME, f"aa.{APEX}")],
        },
    )
    engine = PythonEngine(make_world([zone]), Random(1))
    for label in order:
        reply = answer(engine, PLAIN + question(f"{label}.{APEX}", rr.A))
        assert [rrset.to_text() for rrset in reply.answer] == [
            f"{label}.{APEX} 300 IN CNAME aa.{APEX}"
        ]


def test_no_tcp_reply_is_longer_than_its_length_can_say() -> None:
    # It fits by itself and not with OPT: the first comes the careful way, the next the quick.
    asked = question(f"huge.{APEX}", PRIVATE)
    count, left = divmod(65535 - len(PLAIN) - len(asked), RECORD + 1000)
    records = [bytes((n,)) * 1000 for n in range(count)] + [bytes(left - RECORD)]
    zone = build(
        from_text(APEX),
        {
            from_text(APEX): [soa(f"ns1.{APEX}", f"h.{APEX}"), names(rr.NS, f"ns1.{APEX}")],
            from_text(f"huge.{APEX}"): [RRset(PRIVATE, 300, tuple(records))],
        },
    )
    engine = PythonEngine(make_world([zone]), Random(1))
    for _ in range(2):
        reply = engine.answer(PLAIN + asked, PEER, "tcp")
        assert reply is not None
        assert len(reply) == 65535
        assert answer(engine, WITH_OPT + asked + OPT, "tcp").flags & dns.flags.TC


def test_a_bad_option_is_a_format_error_with_opt() -> None:
    # RFC 6891 section 6.1.1: who was asked with OPT answers with OPT.
    engine = PythonEngine(make_world(), Random(1))
    bad = OPT[:-2] + b"\0\x05\0\x08\0\x01\0"
    for _ in range(2):
        reply = answer(engine, WITH_OPT + question(f"txt.{APEX}", rr.TXT) + bad)
        assert (reply.rcode(), reply.edns, reply.options) == (rr.FORMERR, 0, ())
