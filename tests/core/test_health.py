"""Availability of a pool, as steering.md defines it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gslb.core.health import (
    AddressHealth,
    Health,
    PoolHealth,
    Slot,
    State,
    all_unknown,
    standing,
    with_addresses,
    with_ramps,
    with_shares,
)
from gslb.core.policy import FAMILIES, Amount
from hypothesis import given
from hypothesis import strategies as st

from sample import POOLS, endpoint, pool

UP, DOWN = AddressHealth(State.UP), AddressHealth(State.DOWN)
DRAINED = AddressHealth(State.UP, "drain")
FORCED_UP, FORCED_DOWN = AddressHealth(State.DOWN, "up"), AddressHealth(State.UP, "down")

THREE = pool(0, "three", *(endpoint(f"192.0.2.{n}") for n in (1, 2, 3)))


def health(*states: AddressHealth) -> PoolHealth:
    return PoolHealth(0, states, states)


def offered(states: PoolHealth, which: int = 1, of=THREE) -> tuple[int, ...]:
    return tuple(index for index, _ in standing(of, states, 4, which).offered)


def test_unknown_counts_as_up() -> None:
    assert offered(health(AddressHealth(), DOWN, UP)) == (0, 2)


def test_a_pool_without_the_family_is_unavailable() -> None:
    assert not standing(THREE, health(UP, UP, UP), 6, 1).available


def test_forced_up_is_in_and_forced_down_or_drained_is_out() -> None:
    assert offered(health(FORCED_UP, FORCED_DOWN, DRAINED)) == (0,)


def test_pass_two_ignores_probes_but_not_operators() -> None:
    assert offered(health(DOWN, FORCED_DOWN, DRAINED), 2) == (0,)


def test_pass_three_ignores_operators_too() -> None:
    assert offered(health(DOWN, FORCED_DOWN, DRAINED), 3) == (0, 1, 2)


def test_min_healthy_takes_the_pool_out_but_not_from_the_last_resort() -> None:
    picky = replace(THREE, min_healthy=Amount(2))
    assert not standing(picky, health(UP, DOWN, DOWN), 4, 1).available
    assert offered(health(UP, DOWN, DOWN), 2, picky) == (0, 1, 2)
    # What is drained stays out as long as anything else is left, be it too few.
    assert offered(health(DOWN, DRAINED, DRAINED), 2, picky) == (0,)


@pytest.mark.parametrize(
    ("percent", "up", "available"), [(34, 1, False), (34, 2, True), (1, 1, True)]
)
def test_a_percentage_rounds_up(percent: int, up: int, available: bool) -> None:
    picky = replace(THREE, min_healthy=Amount(percent, percent=True))
    states = health(*([UP] * up + [DOWN] * (3 - up)))
    assert standing(picky, states, 4, 1).available is available


def test_a_percentage_is_of_the_undrained() -> None:
    picky = replace(THREE, min_healthy=Amount(100, percent=True))
    assert standing(picky, health(UP, UP, DRAINED), 4, 1).available


def test_what_is_forced_down_counts_as_down_and_not_as_drained() -> None:
    picky = replace(THREE, min_healthy=Amount(50, percent=True))
    assert not standing(picky, health(UP, FORCED_DOWN, DOWN), 4, 1).available
    assert standing(picky, health(UP, DRAINED, DOWN), 4, 1).available


def test_min_healthy_counts_the_standby_ones_when_they_are_all_that_is_left() -> None:
    mixed = pool(
        0,
        "mixed",
        *(endpoint(f"192.0.2.{n}", weight=int(n < 3)) for n in (1, 2, 3, 4)),
        min_healthy=Amount(2),
    )
    assert standing(mixed, health(DOWN, DOWN, UP, UP), 4, 1).offered == ((2, 1), (3, 1))
    assert not standing(mixed, health(DOWN, DOWN, UP, DOWN), 4, 1).available
    assert not standing(mixed, health(UP, DOWN, UP, UP), 4, 1).available


def test_a_percentage_of_the_standby_ones_is_of_those_that_are_not_drained() -> None:
    mixed = pool(
        0,
        "mixed",
        *(endpoint(f"192.0.2.{n}", weight=int(n < 2)) for n in (1, 2, 3, 4)),
        min_healthy=Amount(60, percent=True),
    )
    assert standing(mixed, health(DOWN, UP, UP, DOWN), 4, 1).offered == ((1, 1), (2, 1))
    assert not standing(mixed, health(DOWN, UP, DOWN, DOWN), 4, 1).available
    assert not standing(mixed, health(DOWN, UP, DOWN, DRAINED), 4, 1).available
    assert standing(mixed, health(DOWN, UP, DRAINED, DRAINED), 4, 1).available


def test_families_are_counted_apart() -> None:
    pair = pool(
        0,
        "pair",
        endpoint("192.0.2.1", "2001:db8::1"),
        endpoint("192.0.2.2"),
        min_healthy=Amount(2),
    )
    both = PoolHealth(0, (UP, UP), (UP, UP))
    assert [standing(pair, both, family, 1).available for family in (4, 6)] == [True, True]
    half = PoolHealth(0, (UP, DOWN), (UP, UP))
    assert [standing(pair, half, family, 1).available for family in (4, 6)] == [False, True]


def test_a_number_is_capped_at_what_is_configured() -> None:
    picky = replace(THREE, min_healthy=Amount(9))
    assert standing(picky, health(UP, UP, UP), 4, 1).available
    assert not standing(picky, health(UP, UP, DRAINED), 4, 1).available


def test_standby_is_offered_only_when_no_other_is_up() -> None:
    spare = pool(0, "spare", endpoint("192.0.2.1"), endpoint("192.0.2.2", weight=0))
    assert standing(spare, health(UP, UP), 4, 1).offered == ((0, 1),)
    assert standing(spare, health(DOWN, UP), 4, 1).offered == ((1, 1),)


def test_a_drained_active_endpoint_does_not_count_against_the_standby_ones() -> None:
    spare = pool(0, "spare", endpoint("192.0.2.1"), endpoint("192.0.2.2", weight=0))
    assert standing(spare, health(DRAINED, UP), 4, 1).offered == ((1, 1),)


def test_a_pool_with_no_undrained_endpoint_is_unavailable_until_pass_three() -> None:
    drained = health(DRAINED, DRAINED, DRAINED)
    assert [standing(THREE, drained, 4, which).available for which in (1, 2, 3)] == [
        False,
        False,
        True,
    ]


def test_a_verdict_gives_a_new_version_to_its_pool_only() -> None:
    before = all_unknown(POOLS)
    after = with_addresses(before, {Slot(1, 0, 4): DOWN})
    assert [p.version for p in after.pools] == [0, 1, 0, 0, 0]
    assert after.pools[0] is before.pools[0]
    assert after.pools[1].ipv4 == (DOWN,)
    assert after.pools[1].ipv6 == before.pools[1].ipv6


def test_nothing_new_is_the_same_health() -> None:
    before: Health = all_unknown(POOLS)
    assert with_addresses(before, {Slot(1, 0, 4): AddressHealth()}) is before


def test_many_addresses_of_a_pool_are_one_new_version() -> None:
    before = all_unknown(POOLS)
    slots = {Slot(0, index, family): DOWN for index in (0, 1) for family in FAMILIES}
    after = with_addresses(before, slots)
    assert [p.version for p in after.pools] == [1, 0, 0, 0, 0]
    assert (after.pools[0].ipv4, after.pools[0].ipv6) == ((DOWN, DOWN), (DOWN, DOWN))


# ---- panic --------------------------------------------------------------------------------

FOUR = pool(0, "four", *(endpoint(f"192.0.2.{n}") for n in (1, 2, 3, 4)), panic=50)


def test_in_panic_all_are_handed_out_and_not_before() -> None:
    assert offered(health(UP, UP, DOWN, DOWN), of=FOUR) == (0, 1)  # half is not more than half
    panic = standing(FOUR, health(UP, DOWN, DOWN, DOWN), 4, 1)
    assert panic.offered == ((0, 1), (1, 1), (2, 1), (3, 1))
    assert panic.why == "1 of 4 up, panic: 4 are handed out"


def test_panic_never_makes_an_unavailable_pool_available() -> None:
    assert not standing(FOUR, health(DOWN, DOWN, DOWN, DOWN), 4, 1).available
    picky = replace(FOUR, min_healthy=Amount(2))
    assert not standing(picky, health(UP, DOWN, DOWN, DOWN), 4, 1).available


def test_in_panic_what_an_operator_took_out_stays_out() -> None:
    assert offered(health(UP, FORCED_DOWN, DOWN, DOWN), of=FOUR) == (0, 2, 3)
    # Drained ones are not counted: one of two is down.
    assert offered(health(UP, DRAINED, DRAINED, DOWN), of=FOUR) == (0,)
    assert offered(health(UP, DRAINED, DOWN, DOWN), of=FOUR) == (0, 2, 3)


def test_what_is_forced_down_counts_as_down_in_panic_but_alone_is_none() -> None:
    all_by_hand = standing(FOUR, health(UP, FORCED_DOWN, FORCED_DOWN, FORCED_DOWN), 4, 1)
    assert (all_by_hand.offered, all_by_hand.why) == (((0, 1),), "1 of 4 up")
    assert offered(health(UP, FORCED_UP, DOWN, FORCED_DOWN), of=FOUR) == (0, 1)
    assert offered(health(FORCED_UP, DOWN, DOWN, DOWN), of=FOUR) == (0, 1, 2, 3)


def test_standby_endpoints_panic_among_themselves() -> None:
    weights = (2, 2, 0, 0, 0)
    mixed = pool(
        0, "m", *(endpoint(f"192.0.2.{n}", weight=w) for n, w in enumerate(weights, 1)), panic=50
    )
    assert standing(mixed, health(UP, UP, DOWN, DOWN, DOWN), 4, 1).offered == ((0, 2), (1, 2))
    third = replace(mixed, panic=33)
    assert standing(third, health(UP, DOWN, UP, UP, UP), 4, 1).offered == ((0, 2), (1, 2))
    standby = standing(mixed, health(DOWN, DOWN, UP, DOWN, DOWN), 4, 1)
    assert standby.offered == ((2, 1), (3, 1), (4, 1))


def test_each_family_panics_alone() -> None:
    states = PoolHealth(0, (UP, UP, DOWN, DOWN), (UP, DOWN, DOWN, DOWN))
    pairs = pool(
        0, "p", *(endpoint(f"192.0.2.{n}", f"2001:db8::{n}") for n in (1, 2, 3, 4)), panic=50
    )
    assert [len(standing(pairs, states, family, 1).offered) for family in FAMILIES] == [2, 4]


STATES = st.builds(
    AddressHealth,
    st.sampled_from(State),
    st.sampled_from(["", "", "up", "down", "drain"]),
    ramp=st.sampled_from([10, 40, 100, 100]),
)


@given(
    st.lists(st.tuples(STATES, st.integers(0, 3)), min_size=1, max_size=6),
    st.integers(1, 99),
    st.sampled_from([Amount(1), Amount(2), Amount(60, percent=True)]),
    st.sampled_from([1, 2, 3]),
)
def test_panic_and_ramps_change_what_is_handed_out_never_whether(some, panic, need, which) -> None:
    plain = pool(
        0,
        "plain",
        *(endpoint(f"192.0.2.{n}", weight=weight) for n, (_, weight) in enumerate(some, 1)),
        min_healthy=need,
    )
    states = health(*(state for state, _ in some))
    at_once = health(*(replace(state, ramp=100) for state, _ in some))
    calm = standing(plain, at_once, 4, which)
    found = standing(replace(plain, panic=panic), states, 4, which)
    assert found.available is calm.available
    indexes, calm_indexes = ([i for i, _ in each.offered] for each in (found, calm))
    assert set(calm_indexes) <= set(indexes)
    if which != 1:
        assert (found.offered, found.ramps) == (calm.offered, ())
    for index, weight in found.offered:
        assert weight > 0
        assert which == 3 or not states.ipv4[index].taken_out
        if found.ramps:
            before = dict(calm.offered)[index]
            assert weight == before * found.ramps[indexes.index(index)]


# ---- ramps and shares ---------------------------------------------------------------------


def ramped(state: State, percent: int, forced="") -> AddressHealth:
    return AddressHealth(state, forced, ramp=percent)


def test_a_ramp_scales_weights_in_whole_numbers() -> None:
    heavy = pool(0, "h", endpoint("192.0.2.1", weight=3), endpoint("192.0.2.2"))
    found = standing(heavy, health(ramped(State.UP, 10), UP), 4, 1)
    assert (found.offered, found.ramps) == (((0, 30), (1, 100)), (10, 100))
    whole = standing(heavy, health(UP, UP), 4, 1)
    assert (whole.offered, whole.ramps) == (((0, 3), (1, 1)), ())


def test_what_is_down_or_forced_up_does_not_ramp() -> None:
    pair = pool(0, "p", endpoint("192.0.2.1"), endpoint("192.0.2.2"))
    assert standing(pair, health(ramped(State.DOWN, 10), UP), 4, 1).offered == ((1, 1),)
    assert standing(pair, health(ramped(State.UP, 10, "up"), UP), 4, 1).ramps == ()


def test_in_panic_and_at_the_last_resort_nothing_ramps() -> None:
    states = health(ramped(State.UP, 10), DOWN, DOWN, DOWN)
    assert standing(FOUR, states, 4, 1).offered == ((0, 1), (1, 1), (2, 1), (3, 1))
    calm = replace(FOUR, panic=None)
    assert standing(calm, states, 4, 2).offered == ((0, 1), (1, 1), (2, 1), (3, 1))
    assert standing(calm, states, 4, 1).offered == ((0, 10),)


def test_ramps_and_shares_leave_all_else_as_it_is() -> None:
    before = with_addresses(all_unknown(POOLS), {Slot(0, 1, 4): FORCED_UP})
    after = with_ramps(before, {Slot(0, 1, 4): 30, Slot(1, 0, 6): 100})
    assert after.pools[0].ipv4 == (AddressHealth(), replace(FORCED_UP, ramp=30))
    assert [p.version for p in after.pools] == [2, 0, 0, 0, 0]
    assert with_ramps(after, {Slot(0, 1, 4): 30}) is after

    shed = with_shares(after, {2: 40, 1: 100})
    assert [p.share for p in shed.pools] == [100, 100, 40, 100, 100]
    assert [p.version for p in shed.pools] == [2, 0, 1, 0, 0]
    assert shed.pools[0] is after.pools[0]
    assert with_shares(shed, {2: 40}) is shed
    assert with_addresses(shed, {Slot(2, 0, 4): DOWN}).pools[2].share == 40
