"""The policy tree: backtracking, fences, passes, last resorts, TTL (steering.md)."""

from __future__ import annotations

import pytest
from gslb.core.decide import Choice, Offer, Outcome, Trace, answer_ttl, evaluate
from gslb.core.health import AddressHealth, Health, Slot, State, all_unknown, with_addresses
from gslb.core.policy import (
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
    walk,
)
from hypothesis import given
from hypothesis import strategies as st

from sample import BY_NAME, FRA, GATE, LEAVES, LIST, NEAR, POOLS, SPLIT, children, endpoint, pool

FRESH = all_unknown(POOLS)
DOWN = AddressHealth(State.DOWN)
EUROPE = {100: (0, 1, 2), 103: (1, 2)}
OFFICE = {100: (0, 1, 2), 103: (0, 2)}


def down(*names: str, how: AddressHealth = DOWN, health: Health = FRESH) -> Health:
    return with_addresses(
        health,
        {
            Slot(BY_NAME[name].index, index, family): how
            for name in names
            for index in range(len(BY_NAME[name].endpoints))
            for family in (4, 6)
        },
    )


def pools_of(branch) -> tuple[str, ...]:
    if branch is None:
        return ()
    if isinstance(branch, Offer):
        return (branch.pool.name,)
    return tuple(name for child in branch.branches for name in pools_of(child))


def decide(node: Node, treatment=EUROPE, health: Health = FRESH, family=4, **options) -> Outcome:
    return evaluate(Policy("p", node, **options), treatment, family, health)


def test_failover_takes_the_first_available_child() -> None:
    assert pools_of(decide(LIST).branch) == ("web-fra",)
    assert pools_of(decide(LIST, health=down("web-fra")).branch) == ("web-iad",)


def test_nearest_follows_the_treatment() -> None:
    assert pools_of(decide(NEAR, {100: (2, 0, 1)}).branch) == ("web-nrt",)
    assert pools_of(decide(NEAR, {100: (2, 0, 1)}, down("web-nrt")).branch) == ("web-fra",)


def test_an_exhausted_branch_returns_to_its_parent() -> None:
    tree = Failover(
        200, (Child("inner", LIST), Child("near", Nearest(201, children("web-nrt"), (0,))))
    )
    health = down("web-fra", "web-iad")
    assert pools_of(decide(tree, {201: (0,)}, health).branch) == ("web-nrt",)


def test_weighted_keeps_available_children_and_collapses_to_the_last_one() -> None:
    branch = decide(SPLIT).branch
    assert isinstance(branch, Choice)
    assert (branch.kind, branch.weights) == ("weighted", (90, 10))
    assert pools_of(decide(SPLIT, health=down("web-iad")).branch) == ("web-nrt",)


def test_weight_zero_is_standby() -> None:
    tree = Weighted(200, children("web-fra", "web-iad", "sorry"), (1, 1, 0))
    assert pools_of(decide(tree).branch) == ("web-fra", "web-iad")
    assert pools_of(decide(tree, health=down("web-fra", "web-iad")).branch) == ("sorry",)


def test_routes_fall_through_to_the_next_less_specific_match() -> None:
    assert pools_of(decide(GATE).branch) == ("web-fra",)
    assert pools_of(
        decide(GATE, {100: (2, 1, 0), 103: (1, 2)}, down("web-fra", "web-iad")).branch
    ) == ("web-nrt",)


def test_a_fence_ends_the_whole_decision() -> None:
    outcome = decide(GATE, OFFICE, down("web-fra"), last_resort="nodata")
    assert (outcome.branch, outcome.rule) == (None, "nodata")


def test_a_fence_in_an_inner_policy_ends_it_for_its_ancestors_too() -> None:
    tree = Failover(200, (Child("gate", GATE), Child("sorry", LEAVES["sorry"])))
    outcome = decide(tree, OFFICE, down("web-fra"), last_resort="servfail")
    assert (outcome.branch, outcome.rule) == (None, "servfail")


def test_serve_all_behind_a_fence_is_limited_to_the_fenced_target() -> None:
    outcome = decide(GATE, OFFICE, down("web-fra"))
    assert (pools_of(outcome.branch), outcome.rule) == (("web-fra",), "ignore_probes")


def test_a_named_pool_is_allowed_behind_a_fence() -> None:
    outcome = decide(GATE, OFFICE, down("web-fra"), last_resort="pool", last_pool=BY_NAME["sorry"])
    assert (pools_of(outcome.branch), outcome.rule) == (("sorry",), "pool")


def test_serve_all_ignores_probes_first_and_operators_last() -> None:
    everything = down("web-fra", "web-iad", how=AddressHealth(State.DOWN))
    assert decide(LIST, health=everything).rule == "ignore_probes"
    taken = down("web-fra", how=AddressHealth(State.UP, "drain"), health=everything)
    outcome = decide(LIST, health=taken)
    assert (pools_of(outcome.branch), outcome.rule) == (("web-iad",), "ignore_probes")
    both = down("web-fra", "web-iad", how=AddressHealth(State.UP, "down"))
    outcome = decide(LIST, health=both)
    assert (pools_of(outcome.branch), outcome.rule) == (("web-fra",), "ignore_all")


def test_a_named_pool_is_handed_out_whatever_its_health() -> None:
    health = down("web-fra", "web-iad", "sorry")
    outcome = decide(LIST, health=health, last_resort="pool", last_pool=BY_NAME["sorry"])
    assert pools_of(outcome.branch) == ("sorry",)


def test_a_type_does_not_come_and_go_with_the_client() -> None:
    outcome = decide(NEAR, {100: ()})
    assert (pools_of(outcome.branch), outcome.rule) == (("web-fra",), "any")


def test_a_pool_without_the_family_is_skipped() -> None:
    tree = Failover(200, children("old", "web-iad"))
    assert pools_of(decide(tree, family=6).branch) == ("web-iad",)


def test_take_gives_the_first_available_children_below_routes() -> None:
    tree = Routes(200, (Route(None, Child("near", NEAR)),))
    branch = decide(tree, {200: (0,), 100: (0, 1, 2)}, down("web-iad"), take=2).branch
    assert isinstance(branch, Choice)
    assert (branch.kind, branch.names, branch.take) == ("ordered", ("web-fra", "web-nrt"), 2)


def test_what_was_read_is_what_was_tried() -> None:
    assert decide(LIST).read == (0,)
    assert decide(LIST, health=down("web-fra")).read == (0, 1)
    assert decide(SPLIT).read == (1, 2)


def test_a_shared_inner_policy_is_walked_once() -> None:
    node: Node = LIST
    for number in range(40):  # 2**40 ways to the leaves
        node = Failover(300 + number, (Child("a", node), Child("b", node)))
    assert decide(node, health=down("web-fra", "web-iad"), last_resort="nodata").branch is None


# ---- TTL --------------------------------------------------------------------------------


def flipping(name: str, flip_s: float, state: State = State.UP, forced: str = "") -> Health:
    return with_addresses(
        FRESH, {Slot(BY_NAME[name].index, 0, 4): AddressHealth(state, forced, flip_s)}
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "flip_s", "least", "ttl"),
    [
        (60, None, None, 60),
        (60, 20.0, None, 20),
        (60, 2.0, None, 15),  # a quarter of the record's
        (12, 2.0, None, 5),  # at least 5
        (3, 2.0, None, 3),  # never above the record's
        (60, 7.9, 1, 7),
        (60, 300.0, None, 60),
        (60, 2.0, 90, 60),
    ],
)
def test_ttl_follows_the_earliest_flip(record, flip_s, least, ttl) -> None:
    outcome = Outcome(Offer(1, POOLS[0], ((0, 1),)), "", (0,), flip_s)
    assert answer_ttl(Policy("p", LIST, ttl_min_s=least), record, outcome)[0] == ttl


def test_a_failing_endpoint_of_the_chosen_pool_shortens_the_ttl() -> None:
    assert decide(LIST, health=flipping("web-fra", 10.0)).flip_s == 10.0


def test_a_recovering_pool_that_is_preferred_shortens_the_ttl() -> None:
    health = with_addresses(down("web-fra"), {Slot(0, 0, 4): AddressHealth(State.DOWN, "", 5.0)})
    assert decide(LIST, health=health).flip_s == 5.0


def test_a_pool_that_is_not_preferred_does_not() -> None:
    assert decide(LIST, health=flipping("web-iad", 5.0)).flip_s is None


def test_what_an_operator_forced_does_not_count() -> None:
    assert decide(LIST, health=flipping("web-fra", 5.0, State.UP, "up")).flip_s is None


def test_the_last_resort_has_the_least_ttl() -> None:
    outcome = decide(LIST, health=down("web-fra", "web-iad"))
    assert answer_ttl(Policy("p", LIST), 60, outcome)[0] == 15


# ---- properties -------------------------------------------------------------------------

SIX = tuple(
    pool(n, f"p{n}", endpoint(f"192.0.2.{n + 1}"), endpoint(f"198.51.100.{n + 1}"), datacenter=FRA)
    for n in range(6)
)


@st.composite
def trees(draw: st.DrawFn) -> tuple[Node, dict[int, tuple[int, ...]]]:
    """A tree over six pools and a treatment that fits it."""
    counter = iter(range(1000, 9999))
    treatment: dict[int, tuple[int, ...]] = {}

    def node(depth: int) -> Node:
        if depth == 0 or draw(st.integers(0, 3)) == 0:
            chosen = draw(st.sampled_from(SIX))
            return PoolNode(chosen.index, chosen)
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
                fenced = [Route("g", child, draw(st.booleans())) for child in below[:-1]]
                routes = (*fenced, Route(None, below[-1]))
                treatment[number] = (*draw(st.permutations(range(size - 1))), size - 1)
                return Routes(number, routes)

    return node(3), treatment


@st.composite
def healths(draw: st.DrawFn) -> Health:
    changes = {
        Slot(pool_index, index, 4): AddressHealth(
            draw(st.sampled_from(State)), draw(st.sampled_from(["", "", "", "up", "down", "drain"]))
        )
        for pool_index in range(6)
        for index in range(2)
    }
    return with_addresses(all_unknown(SIX), changes)


@given(trees(), healths(), st.integers(1, 3))
def test_serving_and_explaining_are_the_same_decision(tree, health, take) -> None:
    node, treatment = tree
    policy = Policy("p", node, take=take)
    trace = Trace()
    assert evaluate(policy, treatment, 4, health) == evaluate(policy, treatment, 4, health, trace)
    assert trace.visits


@given(trees(), healths())
def test_an_answer_is_always_better_than_none(tree, health) -> None:
    node, treatment = tree
    assert evaluate(Policy("p", node), treatment, 4, health).branch is not None


@given(trees(), healths())
def test_an_ordinary_answer_holds_nothing_that_is_down(tree, health) -> None:
    node, treatment = tree
    outcome = evaluate(Policy("p", node, last_resort="nodata"), treatment, 4, health)

    def check(branch) -> None:
        if isinstance(branch, Offer):
            for index, weight in branch.offered:
                address = health.pools[branch.pool.index].ipv4[index]
                assert weight > 0
                assert address.usable(1)
        else:
            for child in branch.branches:
                check(child)

    if outcome.branch is not None:
        check(outcome.branch)


@given(trees(), healths(), healths())
def test_health_that_was_not_read_does_not_matter(tree, health, other) -> None:
    node, treatment = tree
    policy = Policy("p", node)
    outcome = evaluate(policy, treatment, 4, health)
    mixed = Health(
        tuple(
            health.pools[index] if index in outcome.read else other.pools[index]
            for index in range(6)
        )
    )
    assert evaluate(policy, treatment, 4, mixed) == outcome


def test_walk_visits_each_node_once() -> None:
    ids = [node.id for node in walk(GATE)]
    assert len(ids) == len(set(ids))
