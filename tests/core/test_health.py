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
)
from gslb.core.policy import Amount

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
