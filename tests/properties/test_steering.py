"""What holds for every tree, every health and every client (steering.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address
from math import sqrt
from random import Random

import dns.edns
import dns.message
from gslb.core.answer import Steered, lookup
from gslb.core.decide import Branch, Offer, Trace, answer_ttl, evaluate
from gslb.core.draw import Picks, draw, support
from gslb.core.health import (
    AddressHealth,
    Health,
    Slot,
    State,
    all_unknown,
    standing,
    with_addresses,
)
from gslb.core.policy import (
    FAMILIES,
    Child,
    Failover,
    Nearest,
    Node,
    Policy,
    PoolNode,
    RoundRobin,
    Route,
    Routes,
    Sticky,
    Weighted,
    pools_below,
)
from gslb.core.ruling import rule
from gslb.core.subject import parse_subject
from gslb.core.world import World
from gslb.serve.python import PythonEngine
from gslb.serve.ready import EngineDice
from gslb.wire.name import from_text
from hypothesis import given, settings
from hypothesis import strategies as st

from sample import APEX, FRA, POOLS, endpoint, make_world, pool

# One address of each pool is shared with the pool after it.
SIX = tuple(
    pool(
        n,
        f"p{n}",
        endpoint(f"192.0.2.{n + 1}", f"2001:db8::{n + 1}"),
        endpoint(f"192.0.2.{n + 2}"),
        datacenter=FRA,
    )
    for n in range(6)
)
LEAVES = tuple(PoolNode(n, one) for n, one in enumerate(SIX))
DOWN, UP = AddressHealth(State.DOWN), AddressHealth(State.UP)

Tree = tuple[Node, dict[int, tuple[int, ...]]]


@st.composite
def trees(draw: st.DrawFn, fences: bool = True) -> Tree:
    """A tree over six pools, and a treatment that fits it."""
    counter = iter(range(1000, 9999))
    treatment: dict[int, tuple[int, ...]] = {}

    def node(depth: int) -> Node:
        if depth == 0 or draw(st.integers(0, 3)) == 0:
            return draw(st.sampled_from(LEAVES))
        number = next(counter)
        size = draw(st.integers(1, 3))
        below = tuple(Child(f"c{n}", node(depth - 1)) for n in range(size))
        weights = tuple(draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)))
        match draw(st.integers(0, 5)):
            case 0:
                return Failover(number, below)
            case 1:
                return RoundRobin(number, below)
            case 2:
                return Weighted(number, below, weights)
            case 3:
                return Sticky(number, below, weights, "p")
            case 4:
                treatment[number] = tuple(draw(st.permutations(range(size))))
                return Nearest(number, below, (0,) * size)
            case _:
                group = [Route("g", child, fences and draw(st.booleans())) for child in below[:-1]]
                treatment[number] = (*draw(st.permutations(range(size - 1))), size - 1)
                return Routes(number, (*group, Route(None, below[-1])))

    return node(3), treatment


@st.composite
def healths(draw: st.DrawFn) -> Health:
    """Any state of any address, forced or not, leaving or not, back since long or not."""
    changes = {
        Slot(number, index, family): AddressHealth(
            draw(st.sampled_from(State)),
            draw(st.sampled_from(["", "", "", "up", "down", "drain"])),
            leaving=draw(st.sampled_from([False] * 9 + [True])),
            ramp=draw(st.sampled_from([100, 100, 10, 55])),
        )
        for number in range(6)
        for index in range(2)
        for family in FAMILIES
    }
    return with_addresses(all_unknown(SIX), changes)


SHED = st.frozensets(st.integers(0, 5))
RESORTS = st.sampled_from(["serve_all", "nodata", "servfail", "pool"])


def offers(branch: Branch | None) -> list[Offer]:
    """Every pool that a draw could end at."""
    if branch is None:
        return []
    if isinstance(branch, Offer):
        return [branch]
    return [offer for child in branch.branches for offer in offers(child)]


def addresses(picks: Picks, family=4) -> list[bytes | None]:
    return [SIX[number].endpoints[index].address(family) for number, index in picks]


# ---- decisions --------------------------------------------------------------------------


@given(trees(), healths(), st.integers(1, 3), RESORTS, st.sampled_from(FAMILIES), SHED)
def test_serving_and_explaining_are_the_same_decision(
    tree, health, take, resort, family, shed
) -> None:
    node, treatment = tree
    policy = Policy("p", node, take=take, last_resort=resort, last_pool=SIX[0])
    trace = Trace()
    silent = evaluate(policy, treatment, family, health, None, shed)
    assert silent == evaluate(policy, treatment, family, health, trace, shed)
    assert trace.visits


@given(trees(), healths(), st.integers(1, 3), st.sampled_from(FAMILIES))
def test_an_answer_is_always_better_than_none(tree, health, take, family) -> None:
    node, treatment = tree
    assert evaluate(Policy("p", node, take=take), treatment, family, health).branch is not None


@given(trees(), healths(), st.integers(1, 3))
def test_an_ordinary_answer_holds_nothing_that_is_down(tree, health, take) -> None:
    node, treatment = tree
    outcome = evaluate(Policy("p", node, take=take, last_resort="nodata"), treatment, 4, health)
    for offer in offers(outcome.branch):
        for index, weight in offer.offered:
            assert weight > 0
            assert health.pools[offer.pool.index].ipv4[index].usable(1)


@given(trees(), healths(), st.integers(1, 3))
def test_what_an_operator_took_out_comes_back_last_of_all(tree, health, take) -> None:
    node, treatment = tree
    outcome = evaluate(Policy("p", node, take=take), treatment, 4, health)
    if outcome.rule in ("", "ignore_probes"):
        for offer in offers(outcome.branch):
            states = health.pools[offer.pool.index].ipv4
            assert not any(states[index].taken_out for index, _ in offer.offered)


@given(trees(), healths(), healths(), SHED)
def test_health_that_was_not_read_does_not_matter(tree, health, other, shed) -> None:
    node, treatment = tree
    policy = Policy("p", node)
    outcome = evaluate(policy, treatment, 4, health, None, shed)
    mixed = Health(
        tuple(
            health.pools[index] if index in outcome.read else other.pools[index]
            for index in range(6)
        )
    )
    assert evaluate(policy, treatment, 4, mixed, None, shed) == outcome


@given(trees(), healths(), healths())
def test_the_other_familys_health_does_not_matter(tree, health, other) -> None:
    node, treatment = tree
    policy = Policy("p", node)
    mixed = Health(
        tuple(
            replace(mine, ipv6=theirs.ipv6)
            for mine, theirs in zip(health.pools, other.pools, strict=True)
        )
    )
    before = evaluate(policy, treatment, 4, health)
    assert evaluate(policy, treatment, 4, mixed) == before


@given(trees(), healths())
def test_a_recovery_never_leads_to_a_last_resort(tree, health) -> None:
    node, treatment = tree
    policy = Policy("p", node, last_resort="nodata")
    if evaluate(policy, treatment, 4, health).rule:
        return
    for slot in (Slot(number, index, 4) for number in range(6) for index in range(2)):
        better = with_addresses(health, {slot: UP})
        assert evaluate(policy, treatment, 4, better).rule == ""


@given(trees(), healths(), st.integers(1, 3))
def test_nothing_gets_over_a_fence(tree, health, take) -> None:
    """All that a client behind a fence gets lies behind it, or is what `when_all_down` names."""
    node, treatment = tree
    gate = Routes(
        1, (Route("office", Child("in", node), fence=True), Route(None, Child("out", LEAVES[5])))
    )
    inside = {one.index for one in pools_below(node)}
    for resort in ("serve_all", "nodata", "servfail", "pool"):
        policy = Policy("p", gate, take=take, last_resort=resort, last_pool=SIX[4])
        outcome = evaluate(policy, {**treatment, 1: (0, 1)}, 4, health)
        allowed = inside | ({4} if outcome.rule == "pool" else set())
        assert {offer.pool.index for offer in offers(outcome.branch)} <= allowed


@given(trees(fences=False), healths())
def test_a_tree_without_fences_answers_while_any_pool_in_it_is_available(tree, health) -> None:
    node, treatment = tree
    reached = pools_below(node)
    available = [one for one in reached if standing(one, health.pools[one.index], 4, 1).available]
    outcome = evaluate(Policy("p", node), treatment, 4, health)
    assert (outcome.rule == "") is bool(available)


# ---- load -------------------------------------------------------------------------------


@given(trees(), healths(), st.integers(1, 3), SHED, RESORTS)
def test_load_never_leads_to_a_last_resort_nor_out_of_one(tree, health, take, shed, resort) -> None:
    node, treatment = tree
    policy = Policy("p", node, take=take, last_resort=resort, last_pool=SIX[0])
    calm = evaluate(policy, treatment, 4, health)
    loaded = evaluate(policy, treatment, 4, health, None, shed)
    assert loaded.rule == calm.rule
    if calm.rule or loaded.again:
        assert loaded.branch == calm.branch
    else:
        assert not {offer.pool.index for offer in offers(loaded.branch)} & shed


@given(trees(), healths(), st.integers(1, 3), SHED)
def test_pools_that_were_not_looked_at_may_shed_as_they_like(tree, health, take, shed) -> None:
    node, treatment = tree
    policy = Policy("p", node, take=take)
    calm = evaluate(policy, treatment, 4, health)
    assert evaluate(policy, treatment, 4, health, None, shed - set(calm.read)) == calm


@given(trees(fences=False), healths(), SHED)
def test_without_fences_nothing_is_decided_again_while_a_pool_has_room(tree, health, shed) -> None:
    node, treatment = tree
    roomy = [one for one in pools_below(node) if one.index not in shed]
    available = any(standing(one, health.pools[one.index], 4, 1).available for one in roomy)
    policy = Policy("p", node)
    answered = not evaluate(policy, treatment, 4, health).rule
    again = evaluate(policy, treatment, 4, health, None, shed).again
    assert again is (answered and not available)


# ---- TTL --------------------------------------------------------------------------------


@given(
    trees(),
    healths(),
    st.dictionaries(st.integers(0, 5), st.floats(0.5, 400), max_size=6),
    st.integers(1, 300),
    st.none() | st.integers(1, 400),
    RESORTS,
)
def test_a_ttl_is_the_records_at_most_and_ttl_min_at_least(
    tree, health, flips, record, least, resort
) -> None:
    node, treatment = tree
    health = with_addresses(
        health,
        {
            Slot(number, 0, 4): replace(health.pools[number].ipv4[0], flip_s=flip_s)
            for number, flip_s in flips.items()
        },
    )
    policy = Policy("p", node, ttl_min_s=least, last_resort=resort, last_pool=SIX[0])
    outcome = evaluate(policy, treatment, 4, health)
    ttl, _ = answer_ttl(policy, record, outcome)
    floor = min(record, least if least is not None else max(5, record // 4))
    soonest = [
        int(flip_s)
        for number, flip_s in flips.items()
        if number in outcome.read and not health.pools[number].ipv4[0].forced
    ]
    if outcome.rule == "nodata":
        assert ttl == record
    elif outcome.rule:
        assert ttl == floor
    elif any(a.leaving for number in outcome.read for a in health.pools[number].ipv4):
        assert (ttl, outcome.leaving) == (floor, True)
    else:
        assert ttl == min([record, *(max(floor, soon) for soon in soonest)])


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
