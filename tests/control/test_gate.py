"""Places for connections: counted by source, some kept for loopback."""

from gslb.control.gate import (
    KEPT_FOR_LOOPBACK,
    MAX_CONNECTIONS,
    PER_SOURCE,
    Gate,
)
from hypothesis import given
from hypothesis import strategies as st


def entered(gate, addresses):
    return [address for address in addresses if gate.enter(address)]


def test_a_source_has_eight_places():
    assert len(entered(Gate(), ["192.0.2.1"] * 20)) == PER_SOURCE == 8


def test_a_source_at_its_limit_costs_another_nothing():
    gate = Gate()
    entered(gate, ["192.0.2.1"] * 20)
    assert gate.enter("192.0.2.2")


def test_an_ipv6_source_is_a_64():
    gate = Gate()
    assert len(entered(gate, [f"2001:db8::{n:x}" for n in range(20)])) == PER_SOURCE
    assert gate.enter("2001:db8:0:1::1")


def test_strangers_leave_places_for_loopback():
    gate = Gate()
    strangers = entered(gate, [f"192.0.2.{n}" for n in range(100)])
    assert len(strangers) == MAX_CONNECTIONS - KEPT_FOR_LOOPBACK
    assert len(entered(gate, ["127.0.0.1"] * 20)) == KEPT_FOR_LOOPBACK
    assert not gate.enter("127.0.0.2"), "64 are 64"


def test_who_finds_no_place_is_counted():
    gate = Gate()
    entered(gate, ["192.0.2.1"] * (PER_SOURCE + 2))
    assert gate.refused == 2
    entered(gate, [f"198.51.100.{n}" for n in range(MAX_CONNECTIONS)])
    assert gate.refused == 2 + PER_SOURCE + KEPT_FOR_LOOPBACK


def test_who_leaves_makes_room():
    gate = Gate()
    entered(gate, ["192.0.2.1"] * 8)
    assert not gate.enter("192.0.2.1")
    gate.leave("192.0.2.1")
    assert gate.enter("192.0.2.1")


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from(["127.0.0.1", "192.0.2.1", "2001:db8::1"])))
)
def test_after_everybody_left_the_gate_is_as_new(moves):
    gate, inside = Gate(), []
    for enter, address in moves:
        if enter and gate.enter(address):
            inside.append(address)
        elif not enter and inside:
            gate.leave(inside.pop())
        assert len(inside) <= MAX_CONNECTIONS
    for address in inside:
        gate.leave(address)
    gate.refused = 0
    assert vars(gate) == vars(Gate())
