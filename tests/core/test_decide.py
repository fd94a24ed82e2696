"""The policy tree: backtracking, fences, passes, last resorts, TTL (steering.md)."""

from __future__ import annotations

import pytest
from gslb.core.decide import Choice, Offer, Outcome, answer_ttl, evaluate
from gslb.core.health import AddressHealth, Health, Slot, State, all_unknown, with_addresses
from gslb.core.policy import (
    Child,
    Failover,
    Nearest,
    Node,
    Policy,
    Route,
    Routes,
    Weighted,
    walk,
)

from sample import BY_NAME, GATE, LEAVES, LIST, NEAR, POOLS, SPLIT, children, pools_of

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


# ---- fences, standby and `take` -------------------------------------------------------

FENCED = Routes(210, (Route("office", Child("web-fra", LEAVES["web-fra"]), fence=True),))
BEHIND = {210: (0,)}  # the client of FENCED


def test_a_standby_branch_is_not_looked_at_while_others_are_available() -> None:
    tree = Weighted(200, children("web-fra", "web-iad", "web-nrt"), (1, 0, 0))
    outcome = decide(tree)
    assert (pools_of(outcome.branch), outcome.read) == (("web-fra",), (0,))


def test_the_health_of_a_standby_branch_does_not_shorten_the_ttl() -> None:
    tree = Weighted(200, children("web-fra", "web-iad"), (1, 0))
    assert decide(tree, health=flipping("web-iad", 5.0)).flip_s is None


def test_a_fence_below_a_standby_branch_ends_nothing_while_others_are_available() -> None:
    gate = Child("gate", FENCED)
    tree = Weighted(200, (*children("web-iad"), gate), (1, 0))
    outcome = decide(tree, BEHIND, down("web-fra"))
    assert (pools_of(outcome.branch), outcome.rule) == (("web-iad",), "")
    outcome = decide(tree, BEHIND, down("web-fra", "web-iad"), last_resort="nodata")
    assert outcome.rule == "nodata"


def test_a_fence_among_drawn_branches_ends_the_decision() -> None:
    tree = Weighted(200, (*children("web-iad"), Child("gate", FENCED)), (1, 1))
    outcome = decide(tree, BEHIND, down("web-fra"))
    assert (pools_of(outcome.branch), outcome.rule) == (("web-fra",), "ignore_probes")


def test_a_fence_met_for_a_second_child_does_not_take_the_first_one_away() -> None:
    tree = Failover(200, (*children("web-iad"), Child("gate", FENCED), *children("web-nrt")))
    for take in (1, 2, 3):
        outcome = decide(tree, BEHIND, down("web-fra"), take=take)
        assert (pools_of(outcome.branch), outcome.rule) == (("web-iad",), "")


def test_the_innermost_fence_holds_the_last_resort() -> None:
    inner = Routes(
        220,
        (
            Route("office", Child("web-iad", LEAVES["web-iad"]), fence=True),
            Route(None, Child("web-nrt", LEAVES["web-nrt"])),
        ),
    )
    outer = Routes(
        221,
        (
            Route("office", Child("inner", inner), fence=True),
            Route(None, Child("web-fra", LEAVES["web-fra"])),
        ),
    )
    treatment = {220: (0, 1), 221: (0, 1)}
    outcome = decide(outer, treatment, down("web-iad"))
    assert (pools_of(outcome.branch), outcome.rule) == (("web-iad",), "ignore_probes")
    taken = down("web-iad", how=AddressHealth(State.UP, "drain"))
    outcome = decide(outer, treatment, taken)
    assert (pools_of(outcome.branch), outcome.rule) == (("web-iad",), "ignore_all")


def test_take_is_for_the_first_choosing_node_below_nested_routes() -> None:
    inner = Routes(220, (Route(None, Child("list", LIST)),))
    outer = Routes(221, (Route(None, Child("inner", inner)),))
    branch = decide(outer, {220: (0,), 221: (0,)}, take=2).branch
    assert isinstance(branch, Choice)
    assert (branch.names, branch.take) == (("web-fra", "web-iad"), 2)


def test_take_does_not_reach_below_the_first_choosing_node() -> None:
    tree = Failover(200, (Child("list", LIST),))
    assert pools_of(decide(tree, take=2).branch) == ("web-fra",)


def test_a_node_met_with_and_without_take_keeps_both_answers_apart() -> None:
    """The same list is the first choosing node of one route and lies deeper in another."""
    deeper = Failover(230, (Child("list", LIST), *children("web-nrt")))
    tree = Routes(231, (Route("office", Child("deeper", deeper)), Route(None, Child("list", LIST))))
    both = decide(tree, {231: (0, 1)}, take=2).branch
    assert isinstance(both, Choice)
    assert both.names == ("list", "web-nrt")
    alone = decide(tree, {231: (1,)}, take=2).branch
    assert isinstance(alone, Choice)
    assert alone.names == ("web-fra", "web-iad")


def test_take_is_filled_up_from_standby_only_as_far_as_needed() -> None:
    names = ("web-fra", "web-iad", "web-nrt", "sorry")
    tree = Weighted(200, children(*names), (2, 1, 0, 0))
    for take, wanted in ((1, names[:2]), (2, names[:2]), (3, names[:3]), (9, names)):
        branch = decide(tree, take=take).branch
        assert isinstance(branch, Choice)
        assert branch.names == wanted
    branch = decide(tree, health=down("web-fra"), take=2).branch
    assert isinstance(branch, Choice)
    assert (branch.names, branch.weights) == (("web-iad", "web-nrt"), (1, 0))


# ---- the last resort ------------------------------------------------------------------


def test_a_named_pool_gives_what_is_up_before_what_is_not() -> None:
    """Drained endpoints stay out as long as anything else is left (health.md, Overrides)."""
    fra = BY_NAME["web-fra"]
    drain = AddressHealth(State.UP, "drain")
    for states, wanted in (
        ((DOWN, AddressHealth(State.UP)), [1]),
        ((DOWN, drain), [0]),
        ((drain, drain), [0, 1]),
        ((DOWN, DOWN), [0, 1]),
    ):
        health = with_addresses(
            down("web-iad"), {Slot(fra.index, n, 4): state for n, state in enumerate(states)}
        )
        outcome = decide(LEAVES["web-iad"], health=health, last_resort="pool", last_pool=fra)
        assert isinstance(outcome.branch, Offer)
        assert ([index for index, _ in outcome.branch.offered], outcome.rule) == (wanted, "pool")


def test_a_client_out_of_everybodys_reach_gets_a_pool_that_is_up() -> None:
    outcome = decide(NEAR, {100: ()}, down("web-fra"))
    assert (pools_of(outcome.branch), outcome.rule) == (("web-iad",), "any")


def test_the_pool_of_the_last_resort_gives_a_policy_no_family() -> None:
    policy = Policy("p", LEAVES["old"], last_resort="pool", last_pool=BY_NAME["sorry"])
    assert (policy.has(4), policy.has(6)) == (True, False)


def test_a_named_pool_without_the_family_leaves_the_other_passes() -> None:
    outcome = decide(
        LEAVES["web-iad"],
        health=down("web-iad"),
        family=6,
        last_resort="pool",
        last_pool=BY_NAME["old"],
    )
    assert (pools_of(outcome.branch), outcome.rule) == (("web-iad",), "ignore_probes")


def test_the_options_of_an_inner_policy_are_not_read() -> None:
    """A policy used inside another is just its node."""
    inner = Policy("inner", LIST, answers=1, take=2, last_resort="nodata", ttl_min_s=1)
    outer = Policy("outer", inner.node)
    nothing = down("web-fra", "web-iad")
    assert evaluate(outer, {}, 4, nothing).rule == "ignore_probes"
    assert not isinstance(evaluate(outer, {}, 4, FRESH).branch, Choice)


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


def test_nodata_has_the_records_ttl_because_the_soa_is_cut_to_that() -> None:
    outcome = decide(LIST, health=down("web-fra", "web-iad"), last_resort="nodata")
    assert answer_ttl(Policy("p", LIST), 60, outcome)[0] == 60


def test_only_the_family_asked_for_shortens_the_ttl() -> None:
    assert decide(LIST, health=flipping("web-fra", 5.0), family=6).flip_s is None


def test_under_nearest_only_what_is_nearer_than_the_answer_shortens_the_ttl() -> None:
    nearer = {100: (1, 0, 2)}
    health = flipping("web-iad", 5.0, State.DOWN)
    assert decide(NEAR, nearer, health).flip_s == 5.0
    assert decide(NEAR, nearer, flipping("web-fra", 5.0)).flip_s is None


def test_every_branch_that_may_be_drawn_shortens_the_ttl() -> None:
    assert decide(SPLIT, health=flipping("web-nrt", 5.0)).flip_s == 5.0
    assert decide(SPLIT, health=flipping("web-nrt", 5.0, State.DOWN)).flip_s == 5.0


def test_walk_visits_each_node_once() -> None:
    ids = [node.id for node in walk(GATE)]
    assert len(ids) == len(set(ids))


def test_a_family_that_no_pool_has_is_nodata() -> None:
    outcome = decide(Failover(200, children("old")), family=6)
    assert (outcome.branch, outcome.rule) == (None, "nodata")
