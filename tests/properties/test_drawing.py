"""What holds for every draw: replies, weights, hashes, and what the engine remembers of them."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from math import sqrt
from random import Random

import dns.edns
import dns.message
from gslb.core.answer import Steered, lookup
from gslb.core.decide import evaluate
from gslb.core.draw import Picks, draw, support
from gslb.core.health import AddressHealth, Slot, State, all_unknown, with_addresses
from gslb.core.policy import FAMILIES, Child, Failover, Nearest, Policy, Sticky, Weighted
from gslb.core.ruling import rule
from gslb.core.subject import parse_subject
from gslb.core.world import World
from gslb.serve.python import PythonEngine
from gslb.serve.ready import EngineDice
from gslb.wire.name import from_text
from hypothesis import given, settings
from hypothesis import strategies as st

from forest import LEAVES, SIX, healths, offers, trees
from sample import APEX, POOLS, make_world

DOWN = AddressHealth(State.DOWN)


def addresses(picks: Picks, family=4) -> list[bytes | None]:
    return [SIX[number].endpoints[index].address(family) for number, index in picks]


# ---- draws ------------------------------------------------------------------------------


@given(trees(), healths(), st.integers(1, 3), st.integers(0, 5), st.integers(0, 99))
def test_a_reply_is_distinct_limited_and_possible(tree, health, take, answers, seed) -> None:
    node, treatment = tree
    branch = evaluate(Policy("p", node, take=take), treatment, 4, health).branch
    assert branch is not None
    dice = EngineDice(Random(seed))
    dice.prefix = bytes((10, seed, 1))
    possible = set(addresses(tuple(support(branch, 4, answers, take, dice.prefix))))
    for _ in range(3):
        picks = draw(branch, 4, answers, take, dice)
        got = addresses(picks)
        assert got
        assert len(set(got)) == len(got) <= (answers or 99)
        assert set(got) <= possible
        children = [number for number, _ in picks]
        runs = [one for n, one in enumerate(children) if n == 0 or children[n - 1] != one]
        if take == 1:
            assert len(runs) == 1  # one pool


@given(trees(), healths(), st.integers(1, 3))
def test_taking_more_children_does_not_change_the_better_ones(tree, health, take) -> None:
    node, treatment = tree
    if not isinstance(node, Failover | Nearest):
        return
    fewer, more = (
        evaluate(Policy("p", node, take=count), treatment, 4, health) for count in (take, take + 1)
    )
    assert fewer.rule == more.rule
    before, after = offers(fewer.branch), offers(more.branch)
    assert after[: len(before)] == before


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(any),
    st.sets(st.integers(0, 5)),
    st.integers(0, 1 << 30),
)
def test_weights_converge_over_what_is_available(weights, dead, seed) -> None:
    node = Weighted(
        1, tuple(Child(f"c{n}", LEAVES[n]) for n in range(len(weights))), tuple(weights)
    )
    slots = {Slot(number, index, 4): DOWN for number in dead for index in range(2)}
    health = with_addresses(all_unknown(SIX), slots)
    branch = evaluate(Policy("p", node), {}, 4, health).branch
    assert branch is not None
    rounds, dice = 3000, EngineDice(Random(seed))
    counts = Counter(draw(branch, 4, 1, 1, dice)[0][0] for _ in range(rounds))
    left = {n: w for n, w in enumerate(weights) if n not in dead}
    if not any(left.values()):  # only standby ones, or all of them dead: then all count again
        left = dict.fromkeys(left, 1) if left else dict(enumerate(weights))
    for number, weight in left.items():
        share = weight / sum(left.values())
        spread = 5 * sqrt(share * (1 - share) / rounds)
        assert abs(counts[number] / rounds - share) <= spread


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=6),
    st.sets(st.integers(0, 5), max_size=3),
    st.integers(0, 5),
)
def test_sticky_moves_only_the_clients_of_the_child_that_went(weights, dead, gone) -> None:
    size = len(weights)
    node = Sticky(1, tuple(Child(f"c{n}", LEAVES[n]) for n in range(size)), tuple(weights), "shop")
    policy = Policy("shop", node, last_resort="nodata")

    def homes(down: set[int]) -> list[int | None]:
        slots = {Slot(number, index, 4): DOWN for number in down for index in range(2)}
        branch = evaluate(policy, {}, 4, with_addresses(all_unknown(SIX), slots)).branch
        found: list[int | None] = []
        for n in range(64):
            dice = EngineDice(Random(0))
            dice.prefix = bytes((10, 0, n))
            found.append(None if branch is None else draw(branch, 4, 1, 1, dice)[0][0])
        return found

    for before, after in zip(homes(dead), homes(dead | {gone}), strict=True):
        assert after == before or before == gone


# ---- the engine -------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    st.lists(
        st.dictionaries(
            st.tuples(st.integers(0, 3), st.integers(0, 1), st.sampled_from(FAMILIES)),
            st.builds(
                AddressHealth,
                st.sampled_from(State),
                st.sampled_from(["", "", "drain"]),
                st.none() | st.floats(1, 40),
            ),
            max_size=4,
        ),
        min_size=1,
        max_size=6,
    )
)
def test_nothing_remembered_outlives_the_health_it_was_decided_by(verdicts) -> None:
    """However many verdicts come between two questions, the engine says what explain says."""
    world = make_world()
    engine = PythonEngine(world, Random(1))
    for step, changes in enumerate(verdicts):
        slots = {
            Slot(number, index, family): state
            for (number, index, family), state in changes.items()
            if index < len(POOLS[number].endpoints)
        }
        world = World(world.plan, with_addresses(world.health, slots), step + 2)
        engine.publish(world)
        if step % 2:  # some verdicts pass unseen
            continue
        for name in ("www", "api", "list", "split"):
            for network in ("50.1.2.0/24", "150.1.2.0/24"):
                for family, rrtype in ((4, "A"), (6, "AAAA")):
                    _compare(world, engine, name, network, family, rrtype)


def _compare(world: World, engine: PythonEngine, name, network, family, rrtype) -> None:
    key = from_text(f"{name}.{APEX}")
    steered = lookup(world.plan.zones, key, 1 if family == 4 else 28)
    assert isinstance(steered, Steered)
    ruling = rule(world, steered, family, parse_subject(network))
    assert ruling is not None
    ecs = dns.edns.ECSOption.from_text(network)
    query = dns.message.make_query(f"{name}.{APEX}", rrtype, options=[ecs])
    wire = engine.answer(query.to_wire(), "192.0.2.1", "udp")
    assert wire is not None
    reply = dns.message.from_wire(wire)
    (rrset,) = reply.answer
    assert {ip_address(str(rdata)).packed for rdata in rrset} <= ruling.possible
    assert (rrset.ttl, reply.options[0].scopelen) == (ruling.ttl, ruling.scope)
