"""Answers while pools shed load: the right shares, both ways alike, nothing remembered too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from ipaddress import ip_address
from itertools import product
from math import sqrt
from random import Random

import dns.edns
import dns.message
import pytest
from gslb.core.answer import Steered, lookup
from gslb.core.health import AddressHealth, Slot, State, with_addresses, with_shares
from gslb.core.policy import (
    FAMILIES,
    Child,
    Failover,
    Nearest,
    Node,
    PoolNode,
    RoundRobin,
    Route,
    Routes,
    Sticky,
    Weighted,
    is_sticky,
)
from gslb.core.ruling import rule
from gslb.core.subject import parse_subject
from gslb.core.table import uniform_table
from gslb.core.world import World
from gslb.serve.python import PythonEngine
from gslb.wire.name import from_text
from hypothesis import given, settings
from hypothesis import strategies as st

from loaded import LEAF, SHED, branches, loaded_world, steering_of
from sample import APEX, NEAR, POOLS, near_table, pool

PEER = "150.7.7.7"
HOMES = {"192.0.2": "web-fra", "198.51.": "web-iad", "203.0.1": "web-nrt"}
THREE = branches("web-fra", "web-iad", "web-nrt")
LIST = Failover(200, THREE)
NEAREST = Nearest(NEAR.id, THREE, (0, 0, 0))


def wire(network: str | None = None, rrtype: str = "A", name: str = "split") -> bytes:
    more = {"options": [dns.edns.ECSOption.from_text(network)]} if network else {}
    query = dns.message.make_query(f"{name}.{APEX}", rrtype, use_edns=0 if network else -1, **more)
    query.id = 7
    return query.to_wire()


def ask(engine: PythonEngine, network: str | None = None, rrtype="A") -> dns.message.Message:
    reply = engine.answer(wire(network, rrtype), PEER, "udp")
    assert reply is not None
    return dns.message.from_wire(reply)


def home(message: dns.message.Message) -> str:
    """The pool that the first address is of."""
    return HOMES[str(message.answer[0][0])[:7]]


def engine_of(world: World, seed: int = 1) -> PythonEngine:
    return PythonEngine(world, Random(seed), lambda *_: None)


def homes(node: Node, shares: Mapping[int, int], rounds: int = 6000, **options) -> Counter[str]:
    engine, packet = engine_of(loaded_world(node, shares, answers=1, **options)), wire()
    last = Counter(bytes(engine.answer(packet, PEER, "udp") or b"")[-4:] for _ in range(rounds))
    counts: Counter[str] = Counter()
    for address, count in last.items():
        counts[HOMES[str(ip_address(address))[:7]]] += count
    return counts


def expect(counts: Counter[str], shares: Mapping[str, float]) -> None:
    rounds = sum(counts.values())
    assert set(counts) == {name for name, share in shares.items() if share}
    for name, share in shares.items():
        spread = 5 * sqrt(share * (1 - share) / rounds)
        assert counts[name] / rounds == pytest.approx(share, abs=spread), name


# ---- shares -------------------------------------------------------------------------------


def test_a_pool_gets_its_share_and_the_next_one_the_rest() -> None:
    expect(homes(LIST, {0: 30}), {"web-fra": 0.3, "web-iad": 0.7})


def test_what_two_pools_shed_goes_on_to_the_third() -> None:
    shares = {"web-fra": 0.5, "web-iad": 0.1, "web-nrt": 0.4}
    expect(homes(LIST, {0: 50, 1: 20}), shares)


def test_if_all_of_them_shed_it_is_decided_without() -> None:
    left = 0.5 * 0.8 * 0.9  # nothing remained
    shares = {"web-fra": 0.5 + left, "web-iad": 0.5 * 0.2, "web-nrt": 0.4 * 0.1}
    expect(homes(LIST, {0: 50, 1: 20, 2: 10}), shares)
    assert homes(PoolNode(300, LEAF["web-fra"].pool), {0: 0}, 50) == {"web-fra": 50}


def test_a_weighted_choice_is_among_those_that_do_not_shed() -> None:
    node = Weighted(201, THREE, (1, 1, 2))
    shares = {0: 40, 1: 100, 2: 50}
    expected: Counter[str] = Counter()
    for fra, nrt in product((0.4, 0), (0.5, 0)):
        chance = (fra or 0.6) * (nrt or 0.5)
        weights = {"web-fra": bool(fra), "web-iad": 1, "web-nrt": 2 * bool(nrt)}
        for name, weight in weights.items():
            expected[name] += chance * weight / sum(weights.values())
    expect(homes(node, shares), expected)


def test_turns_are_among_those_that_do_not_shed() -> None:
    counts = homes(RoundRobin(202, THREE), {0: 0})
    assert abs(counts["web-iad"] - counts["web-nrt"]) <= 1
    assert counts["web-fra"] == 0


def test_a_fenced_target_sheds_nothing() -> None:
    gate = Routes(203, (Route("g", Child("", LEAF["web-fra"]), True), Route(None, Child("", LIST))))
    table = uniform_table({203: (0, 1)})
    assert homes(gate, {0: 10, 1: 10}, 200, table=table) == {"web-fra": 200}


def test_take_and_answers_are_filled_from_those_that_do_not_shed() -> None:
    engine = engine_of(loaded_world(LIST, {0: 0}, take=2, answers=2))
    got = {str(rdata) for rdata in ask(engine).answer[0]}
    assert got == {"198.51.100.10", "203.0.113.10"}


@pytest.mark.parametrize("pick", ["pool", "node"])
def test_under_sticky_a_client_is_shed_by_its_hash_and_stays_where_it_is(pick) -> None:
    node: Node = Sticky(204, THREE, (3, 1, 1), "split")
    if pick == "pool":
        sticky = pool(0, "web-fra", *POOLS[0].endpoints, pick="sticky", shed=SHED)
        node = Failover(205, (Child("web-fra", PoolNode(300, sticky)), *THREE[1:]))
    assert is_sticky(node)
    world = loaded_world(node, {0: 35, 1: 50}, uniform_table({}, (24, 56)))
    calm = loaded_world(node, {}, uniform_table({}, (24, 56)))
    engine, other = engine_of(world, 1), engine_of(world, 2)
    steered = world.plan.config.policies["split"]
    moved = 0
    for n in range(200):
        network = f"100.{n}.1.0/24"
        for rrtype, family in (("A", 4), ("AAAA", 6)):
            first = ask(engine, network, rrtype).answer
            assert (
                first == ask(engine, network, rrtype).answer == ask(other, network, rrtype).answer
            )
            ruling = rule(world, _steered(world), family, parse_subject(network))
            assert ruling is not None
            assert {rdata.to_wire() for rdata in first[0]} == _addresses(
                world, ruling.picks, family
            )
        before = rule(calm, _steered(calm), 4, parse_subject(network))
        after = rule(world, _steered(world), 4, parse_subject(network))
        assert before is not None
        assert after is not None
        moved += before.picks[0][0] != after.picks[0][0]
    assert steered.take == 1
    assert 60 < moved < 160


def _steered(world: World) -> Steered:
    found = lookup(world.plan.zones, from_text(f"split.{APEX}"), 1)
    assert isinstance(found, Steered)
    return found


def _addresses(world: World, picks, family) -> set[bytes]:
    pools = world.plan.config.pools
    return {pools[p].endpoints[n].address(family) for p, n in picks}


# ---- what does not depend on load ---------------------------------------------------------


def test_scope_and_treatment_do_not_change_with_load() -> None:
    calm = engine_of(loaded_world(NEAREST, {}, near_table()))
    busy = engine_of(loaded_world(NEAREST, {0: 50, 1: 50, 2: 0}, near_table()))
    for network in ("50.1.2.0/24", "150.0.0.0/8", "203.0.113.0/24", "2001:db8::/56"):
        (scope,) = {ask(calm, network).options[0].scopelen}
        assert {ask(busy, network).options[0].scopelen for _ in range(30)} == {scope}


def test_pools_that_a_client_would_not_get_may_shed_as_they_like() -> None:
    """Those far away are not drawn for: the answer is ready-made."""
    world = loaded_world(NEAREST, {1: 50, 2: 0}, near_table())
    steering = steering_of(world)
    assert steering.ready(0, world.health).fixed is None  # two endpoints, in any order
    assert steering.ready(0, world.health).shedding is None
    assert steering.ready(1, world.health).shedding is not None


def test_the_ttl_is_that_of_the_decision_an_answer_came_from() -> None:
    world = loaded_world(LIST, {0: 50})
    failing = {Slot(1, 0, 4): AddressHealth(State.UP, flip_s=12.0)}
    engine = engine_of(World(world.plan, with_addresses(world.health, failing), 2))
    replies = [ask(engine) for _ in range(60)]
    seen = {(home(reply), reply.answer[0].ttl) for reply in replies}
    assert seen == {("web-fra", 30), ("web-iad", 12)}


def test_shedding_is_no_fallback() -> None:
    told: list[str] = []
    world = loaded_world(LIST, {0: 0, 1: 0, 2: 0})
    engine = PythonEngine(world, Random(1), lambda *what: told.append(str(what)))
    for _ in range(20):
        ask(engine)
    down = {Slot(p, n, 4): AddressHealth(State.DOWN) for p, n in ((0, 0), (0, 1), (1, 0), (2, 0))}
    engine.publish(World(world.plan, with_addresses(world.health, down), 2))
    assert home(ask(engine)) == "web-fra"
    engine.publish(world)
    ask(engine)
    assert told == ["('split', 4, 'ignore_probes')", "('split', 4, '')"]
    assert engine.stats()["policy_fallback", "split", "ignore_probes"] == 1


def test_answers_are_counted_by_the_pool_that_they_came_from() -> None:
    engine = engine_of(loaded_world(LIST, {0: 40}))
    counts = Counter(home(ask(engine)) for _ in range(500))
    for name in ("web-fra", "web-iad"):
        assert engine.stats()["answers", "split", name] == counts[name] > 100


def test_a_policy_whose_pools_cannot_shed_pays_nothing() -> None:
    world = loaded_world(Failover(200, tuple(_plain(child) for child in THREE)), {0: 0})
    steering = steering_of(world)
    assert steering.ready(0, world.health).shedding is None


def _plain(child: Child) -> Child:
    node = child.node
    assert isinstance(node, PoolNode)
    return Child(child.name, PoolNode(node.id, POOLS[node.pool.index]))


# ---- both ways ----------------------------------------------------------------------------

NODES = (
    LIST,
    NEAREST,
    Weighted(201, THREE, (3, 1, 0)),
    RoundRobin(202, THREE),
    Sticky(204, THREE, (3, 1, 1), "split"),
)


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_both_ways_give_the_same_octets_in_the_same_order(node: Node) -> None:
    table = near_table() if node is NEAREST else uniform_table({}, (24, 56))
    world = loaded_world(node, {0: 60, 1: 30, 2: 80}, table)
    quick, careful = engine_of(world), engine_of(world)
    chance, seen = Random(3), set()
    for _ in range(400):
        packet = wire(chance.choice([None, f"{chance.randrange(11, 99)}.1.2.0/24"]))
        short = quick._quick(packet, PEER, "udp")
        assert short is not None
        assert short == careful._careful(packet, PEER, "udp")
        seen.add(short)
    assert len(seen) > 3


# ---- what is remembered -------------------------------------------------------------------


def test_a_verdict_about_a_pool_that_only_shed_answers_reach_counts_at_once() -> None:
    world = loaded_world(LIST, {0: 0})
    engine = engine_of(world)
    assert home(ask(engine)) == "web-iad"
    dead = with_addresses(world.health, {Slot(1, 0, 4): AddressHealth(State.DOWN)})
    engine.publish(World(world.plan, dead, 2))
    assert home(ask(engine)) == "web-nrt"
    engine.publish(World(world.plan, with_shares(dead, {0: 100}), 3))
    assert home(ask(engine)) == "web-fra"


STATES = st.builds(
    AddressHealth,
    st.sampled_from(State),
    st.sampled_from(["", "", "drain"]),
    st.none() | st.floats(1, 40),
    st.booleans(),
    st.sampled_from([10, 100]),
)


@settings(max_examples=40)
@given(
    st.sampled_from(NODES),
    st.lists(
        st.tuples(
            st.dictionaries(
                st.tuples(st.integers(0, 2), st.integers(0, 1), st.sampled_from(FAMILIES)),
                STATES,
                max_size=3,
            ),
            st.dictionaries(st.integers(0, 2), st.sampled_from([0, 30, 70, 100])),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([0.0, 0.31, 0.69, 0.99]),
)
def test_an_engine_with_a_past_answers_like_one_without(node, changes, chance) -> None:
    table = near_table() if node is NEAREST else uniform_table({}, (24, 56))
    world = loaded_world(node, {0: 30}, table, answers=1)
    living = engine_of(world)
    living._dice.random = lambda: chance
    for step, (states, shares) in enumerate(changes):
        slots = {
            Slot(number, index, family): state
            for (number, index, family), state in states.items()
            if index < len(POOLS[number].endpoints)
        }
        health = with_shares(with_addresses(world.health, slots), shares)
        world = World(world.plan, health, step + 2)
        living.publish(world)
        if step % 2:
            continue
        fresh = engine_of(world)
        fresh._dice.random = lambda: chance
        for network in ("50.1.2.0/24", "150.1.2.0/24"):
            for rrtype in ("A", "AAAA"):
                living._dice.forget()  # turns are a past that is meant
                fresh._dice.forget()
                packet = wire(network, rrtype)
                assert living.answer(packet, PEER, "udp") == fresh.answer(packet, PEER, "udp")
