"""What holds for every tree, every health and every client (steering.md)."""

from __future__ import annotations

from dataclasses import replace

from gslb.core.decide import Trace, answer_ttl, evaluate
from gslb.core.health import AddressHealth, Health, Slot, State, standing, with_addresses
from gslb.core.policy import FAMILIES, Child, Policy, Route, Routes, pools_below
from hypothesis import given
from hypothesis import strategies as st

from forest import LEAVES, RESORTS, SHED, SIX, healths, offers, trees

UP = AddressHealth(State.UP)

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
