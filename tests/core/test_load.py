"""Decisions while pools shed load or are about to be drained (health.md; steering.md, TTL)."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations

import pytest
from gslb.core.decide import Outcome, Trace, answer_ttl, evaluate
from gslb.core.health import AddressHealth, Slot, State, all_unknown, with_addresses, with_shares
from gslb.core.policy import Child, Failover, Nearest, Policy, Route, Routes, Sticky, Weighted
from gslb.core.shed import is_shed, shed_for

from loaded import FRA, IAD, LEAF, branches
from sample import POOLS, pools_of

FRESH = all_unknown(POOLS)
DOWN = AddressHealth(State.DOWN)
LIST = Failover(200, branches("web-fra", "web-iad", "web-nrt"))


def decide(node, *shed: int, health=FRESH, treatment=None, **options) -> Outcome:
    policy = Policy("p", node, **options)
    return evaluate(policy, treatment or {}, 4, health, None, frozenset(shed))


def test_what_is_shed_goes_where_the_policy_sends_it() -> None:
    assert pools_of(decide(LIST).branch) == ("web-fra",)
    assert pools_of(decide(LIST, 0).branch) == ("web-iad",)
    assert pools_of(decide(LIST, 0, 1).branch) == ("web-nrt",)
    assert pools_of(decide(LIST, 1).branch) == ("web-fra",)
    near = Nearest(201, branches("web-fra", "web-iad", "web-nrt"), (0, 0, 0))
    assert pools_of(decide(near, 0, treatment={201: (0, 2, 1)}).branch) == ("web-nrt",)


def test_if_nothing_remains_it_is_decided_again_without_shedding() -> None:
    every = decide(LIST, 0, 1, 2)
    assert (pools_of(every.branch), every.rule, every.again) == (("web-fra",), "", True)
    assert every.read == (0, 1, 2)
    left = with_addresses(FRESH, {Slot(1, 0, 4): DOWN, Slot(2, 0, 4): DOWN})
    assert pools_of(decide(LIST, 0, health=left).branch) == ("web-fra",)


def test_the_last_resort_is_not_made_worse_or_better_by_load() -> None:
    slots = [Slot(0, 0, 4), Slot(0, 1, 4), Slot(1, 0, 4), Slot(2, 0, 4)]
    dead = with_addresses(FRESH, dict.fromkeys(slots, DOWN))
    for resort in ("serve_all", "nodata", "servfail", "pool"):
        options = {"last_resort": resort, "last_pool": POOLS[3], "health": dead}
        plain, loaded = decide(LIST, **options), decide(LIST, 0, 2, 3, **options)
        assert loaded == plain
        assert plain.rule != ""


def test_a_standby_child_takes_what_the_others_shed() -> None:
    tree = Weighted(202, branches("web-fra", "web-iad", "web-nrt"), (3, 1, 0))
    assert pools_of(decide(tree, 0).branch) == ("web-iad",)
    assert pools_of(decide(tree, 0, 1).branch) == ("web-nrt",)


def test_with_take_the_next_child_fills_the_place() -> None:
    assert pools_of(decide(LIST, 1, take=2).branch) == ("web-fra", "web-nrt")
    assert pools_of(decide(LIST, 0, 1, take=2).branch) == ("web-nrt",)


@pytest.mark.parametrize("when_shed", [(0,), (0, 1), (0, 1, 2)])
def test_a_fenced_target_is_not_shed(when_shed) -> None:
    gate = Routes(
        203,
        (
            Route("office", Child("web-fra", LEAF["web-fra"]), fence=True),
            Route(None, Child("", LIST)),
        ),
    )
    found = decide(gate, *when_shed, treatment={203: (0, 1)}, last_resort="nodata")
    assert (pools_of(found.branch), found.rule, found.again) == (("web-fra",), "", True)
    assert pools_of(decide(gate, 0, treatment={203: (1,)}).branch) == ("web-iad",)


def test_within_a_fence_load_may_choose() -> None:
    gate = Routes(203, (Route("office", Child("", LIST), fence=True), Route(None, Child("", LIST))))
    assert pools_of(decide(gate, 0, treatment={203: (0, 1)}).branch) == ("web-iad",)


def test_shedding_is_told() -> None:
    trace = Trace()
    evaluate(Policy("p", LIST), {}, 4, FRESH, trace, frozenset((0,)))
    assert [visit.text for visit in trace.visits] == [
        "",
        "not for this answer, because of its load, 2 of 2 up",
        "available, 1 of 1 up",
    ]
    trace = Trace()
    evaluate(Policy("p", LEAF["web-fra"]), {}, 4, FRESH, trace, frozenset((0,)))
    assert [visit.text for visit in trace.visits] == [
        "not for this answer, because of its load, 2 of 2 up",
        "nothing remains: again, as if no pool shed",
        "available, 2 of 2 up",
    ]


def test_under_sticky_the_pools_of_a_client_are_those_that_its_hash_says() -> None:
    sticky = Policy("p", Sticky(204, branches("web-fra", "web-iad"), (1, 1), "p"))
    health = with_shares(FRESH, {0: 40, 1: 70, 2: 10})
    prefixes = [bytes((10, 0, n)) for n in range(256)]
    seen = {shed_for(sticky, health, prefix) for prefix in prefixes}
    subsets = chain.from_iterable(combinations((0, 1), size) for size in range(3))
    assert seen == {frozenset(each) for each in subsets}
    for prefix in prefixes:
        expected = {p.index for p, s in ((FRA, 40), (IAD, 70)) if is_shed(p.name, s, prefix)}
        assert shed_for(sticky, health, prefix) == expected


def test_what_is_not_sticky_has_a_draw_of_its_own() -> None:
    health = with_shares(FRESH, {0: 0, 1: 0, 2: 0})
    assert shed_for(Policy("p", LIST), health, b"\x0a\0\1") == frozenset()


# ---- a drain with a lead ------------------------------------------------------------------

LEAVING = AddressHealth(State.UP, leaving=True)


def ttl_of(outcome: Outcome, record=300, **options) -> tuple[int, str]:
    return answer_ttl(Policy("p", LIST, **options), record, outcome)


def test_answers_are_short_lived_before_a_drain_takes_effect() -> None:
    health = with_addresses(FRESH, {Slot(0, 1, 4): LEAVING})
    assert ttl_of(decide(LIST, health=health)) == (75, "ttl_min, because a drain begins")
    assert ttl_of(decide(LIST, health=health), ttl_min_s=20)[0] == 20
    assert ttl_of(decide(LIST, health=health), record=4)[0] == 4


def test_a_drain_that_begins_behind_the_chosen_pool_does_not_matter() -> None:
    assert ttl_of(decide(LIST, health=with_addresses(FRESH, {Slot(1, 0, 4): LEAVING})))[0] == 300
    assert ttl_of(decide(LIST, health=with_addresses(FRESH, {Slot(0, 0, 6): LEAVING})))[0] == 300


def test_a_drain_that_begins_in_a_preferred_pool_does() -> None:
    states = {Slot(0, 0, 4): replace(LEAVING, state=State.DOWN), Slot(0, 1, 4): DOWN}
    health = with_addresses(FRESH, states)
    assert ttl_of(decide(LIST, health=health))[0] == 75


def test_a_flip_sooner_than_ttl_min_cannot_make_it_shorter() -> None:
    states = {Slot(0, 1, 4): LEAVING, Slot(0, 0, 4): AddressHealth(State.UP, flip_s=200.0)}
    assert ttl_of(decide(LIST, health=with_addresses(FRESH, states)))[0] == 75
