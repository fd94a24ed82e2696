"""What is remembered: the oldest goes, and the closest encloser is found by halving."""

from __future__ import annotations

from random import Random

import dns.message
import pytest
from gslb.core.answer import enclose
from gslb.serve import entry as entry_module
from gslb.serve.entry import Memory
from gslb.serve.python import PythonEngine
from gslb.serve.ready import Ledger
from gslb.wire import rrtype as rr
from gslb.wire.name import from_text, parent
from hypothesis import given
from hypothesis import strategies as st

from sample import APEX, make_world

WORLD = make_world()
ZONE = WORLD.plan.zones[from_text(APEX)]


def wire(name: str, rrtype: str | int) -> bytes:
    return dns.message.make_query(f"{name}.{APEX}", rrtype, use_edns=0, id=4711).to_wire()


def memory() -> Memory:
    return Memory(WORLD.plan, Ledger(lambda *_: None))


@pytest.mark.parametrize(("bound", "where"), [("MOST_NAMES", "ready"), ("MOST_BELOW", "_below")])
def test_the_oldest_goes_and_comes_back(
    bound: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_module, bound, 3)
    names = ["www", "txt", "ns1", "api", "list", "x", "xx", "xxx", "xxxx", "xxxxx"]
    keys = [from_text(f"{name}.{APEX}") for name in names]
    remembered = memory()
    generator = Random(1)
    for _ in range(200):
        key = generator.choice(keys)
        entry = remembered.entry(key, rr.A)
        assert remembered.entry(key, rr.A) is entry
        assert len(getattr(remembered, where)) <= 3
    assert len(getattr(remembered, where)) == 3


@given(
    st.sampled_from(["", "www.", "below.txt.", "img.", "wild.", "sub."]),
    st.lists(st.sampled_from(["a", "b", "www", "*"]), min_size=1, max_size=110),
)
def test_the_closest_encloser_is_the_one_that_climbing_finds(above: str, labels: list[str]) -> None:
    key = from_text(f"{'.'.join(labels)}.{above}{APEX}")
    if ZONE.place(key) < 0:
        name = parent(key)
        while ZONE.place(name) < 0:
            name = parent(name)
        assert enclose(ZONE, key) == (name, ZONE.place(name))


def test_a_coming_plan_knows_what_was_asked_before_it_is_published() -> None:
    engine = PythonEngine(make_world(), Random(7))
    packets = [wire(name, rrtype) for name, rrtype in (("www", "A"), ("txt", "TXT"), ("nope", "A"))]
    before = [engine.answer(packet, "150.7.7.7", "udp") for packet in packets]
    known = set(engine._ready)
    coming = make_world()
    for _ in engine.prepare(coming.plan):
        assert set(engine._ready) == known
    engine.publish(coming)
    assert set(engine._ready) == known
    assert [engine.answer(packet, "150.7.7.7", "udp") for packet in packets] == before


def test_what_is_prepared_comes_in_steps_and_without_names_that_have_gone() -> None:
    engine = PythonEngine(make_world(), Random(7))
    for rrtype in range(1, 60):
        engine.answer(wire("txt", rrtype), "150.7.7.7", "udp")
        engine.answer(wire("www", rrtype), "150.7.7.7", "udp")
    asked = len(engine._ready)
    coming = make_world(zones=())
    assert sum(1 for _ in engine.prepare(coming.plan)) == asked // entry_module.NAMES_A_STEP
    engine.publish(coming)
    assert not engine._ready


def test_what_was_prepared_for_another_plan_is_not_used() -> None:
    engine = PythonEngine(make_world(), Random(7))
    engine.answer(wire("txt", "TXT"), "150.7.7.7", "udp")
    for _ in engine.prepare(make_world().plan):
        pass
    engine.publish(make_world())
    assert not engine._ready
