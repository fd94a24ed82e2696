"""What is told of last resorts (steering.md: an event says that it happens)."""

from __future__ import annotations

import gc
from dataclasses import replace

from gslb.core.health import AddressHealth, Health, Slot, State, all_unknown, with_addresses
from gslb.core.policy import Nearest, Policy
from gslb.core.table import PolicyTable, uniform_table
from gslb.serve.ready import Ledger, Steering

from sample import NEAR, POOLS, children, near_table

FRESH = all_unknown(POOLS)


DOWN = AddressHealth(State.DOWN)


def down(*pools: int, how: AddressHealth = DOWN, health: Health = FRESH) -> Health:
    slots = {Slot(p, n, 4): how for p in pools for n in range(len(POOLS[p].endpoints))}
    return with_addresses(health, slots)


def steering(node=NEAR, table: PolicyTable | None = None, **options):
    told: list[str] = []
    ledger = Ledger(lambda policy, family, rule: told.append(rule or "recovery"))
    policy = Policy("p", node, **options)
    return Steering(policy, table or near_table(), POOLS, 30, 4, ledger), told


def test_a_fallback_is_told_once_and_so_is_its_end() -> None:
    ready, told = steering()
    nothing = down(0, 1, 2)
    for health in (FRESH, nothing, FRESH):
        for treatment in (0, 1, 2, 0, 1, 2):
            ready.ready(treatment, health)
    assert told == ["ignore_probes", "recovery"]


def test_an_end_is_told_though_nobody_asks_from_everywhere_again() -> None:
    ready, told = steering()
    for treatment in (0, 1, 2):
        ready.ready(treatment, down(0, 1, 2))
    ready.ready(0, FRESH)
    assert told == ["ignore_probes", "recovery"]
    ready.ready(1, FRESH)
    assert told == ["ignore_probes", "recovery"]


def test_a_part_that_is_still_fallen_is_no_end() -> None:
    """Treatment 1 reaches only what is down, and has not changed."""
    near = Nearest(100, children("web-fra", "web-iad"), (0, 0), 100.0)
    table = PolicyTable(({100: (0,)}, {100: (1,)}), 0, 2, near_table().ipv4, near_table().ipv6)
    ready, told = steering(near, table)
    both = down(0, 1)
    ready.ready(0, both)
    ready.ready(1, both)
    one = with_addresses(both, {Slot(0, 0, 4): AddressHealth(State.UP)})
    ready.ready(0, one)
    assert told == ["ignore_probes"]
    ready.ready(1, with_addresses(one, {Slot(1, 0, 4): AddressHealth(State.UP)}))
    assert told == ["ignore_probes", "recovery"]


def test_a_fall_from_one_last_resort_to_the_next_is_told() -> None:
    ready, told = steering()
    dead = down(0, 1, 2)
    ready.ready(0, dead)
    ready.ready(0, down(0, 1, 2, how=AddressHealth(State.DOWN, "drain"), health=dead))
    assert told == ["ignore_probes", "ignore_all"]


def test_a_client_out_of_reach_is_no_fallback() -> None:
    near = Nearest(100, children("web-fra"), (0,), 100.0)
    for resort in ("serve_all", "nodata"):
        ready, told = steering(near, uniform_table({100: ()}), last_resort=resort)
        ready.ready(0, FRESH)
        assert told == []


def test_what_was_not_touched_is_not_decided_again() -> None:
    ready, _ = steering()
    first = ready.ready(0, FRESH)
    assert first.outcome.read == (0,)
    assert ready.ready(0, down(1, 2)) is first
    assert ready.ready(0, down(0)) is not first


def test_what_is_remembered_keeps_no_health_that_is_gone() -> None:
    """Else each answer that nobody asks for again would keep one, with all pools of its time."""
    many, states = 50, FRESH.pools
    near = Nearest(100, children("web-fra"), (0,))
    table = PolicyTable(({100: (0,)},) * many, 0, many, near_table().ipv4, near_table().ipv6)
    ready, _ = steering(near, table)
    before = healths()
    for number in range(many):
        states = tuple(replace(each) for each in states)
        ready.ready(number, Health(states))
    assert healths() - before < 5
    assert len(ready.answers) == many


def healths() -> int:
    gc.collect()
    return sum(isinstance(each, Health) for each in gc.get_objects())


def test_answers_are_short_lived_from_the_announcement_of_a_drain_until_it_takes_effect() -> None:
    ready, told = steering()
    assert ready.ready(0, FRESH).ttl == 30
    leaving = down(0, how=AddressHealth(State.UP, leaving=True))
    assert ready.ready(0, leaving).ttl == 7
    drained = down(0, how=AddressHealth(State.UP, "drain"), health=leaving)
    assert ready.ready(0, drained).ttl == 30
    assert told == []
