"""What an operator's hand does to health (health.md, Overrides; steering.md, Availability)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from math import nextafter
from random import Random

import pytest
from gslb.core.health import (
    AddressHealth,
    Health,
    PoolHealth,
    Slot,
    State,
    all_unknown,
    with_addresses,
)
from gslb.core.override import (
    NOTHING,
    Override,
    caches_empty_at,
    is_current,
    longest_ttl,
    next_change,
    reached,
    real_state,
    with_overrides,
)
from gslb.core.policy import FAMILIES, DataCenter
from gslb.core.target import named_slots
from gslb.core.world import Configuration
from hypothesis import given
from hypothesis import strategies as st

from sample import BY_NAME, FRA, POOLS, endpoint, make_world, pool

CONFIG = make_world().plan.config
FRESH = all_unknown(POOLS)
NOW = 1000.0
PAIR = "192.0.2.10"  # an endpoint of web-fra, with 2001:db8::10


def override(kind, name, state="drain", at=0.0, lead=0.0, until=None) -> Override:
    return Override(kind, name, state, "alice", "why", at, at + lead, until)


def after(*overrides: Override, health: Health = FRESH, now=NOW, config=CONFIG) -> Health:
    return with_overrides(config, health, overrides, now)


def forced(health: Health, pool_name: str, family=4) -> tuple[str, ...]:
    return tuple(each.forced for each in health.pools[BY_NAME[pool_name].index].of(family))


# ---- what is named ------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["up", "down", "drain"])
def test_a_data_center_is_every_address_in_it(state) -> None:
    health = after(override("datacenter", "fra", state))
    for family in FAMILIES:
        assert forced(health, "web-fra", family) == (state, state)
        assert forced(health, "web-iad", family) == ("",)
    assert forced(health, "old") == (state,)


def test_a_pool_is_only_its_own_addresses() -> None:
    health = after(override("pool", "web-fra", "down"))
    assert forced(health, "web-fra") == ("down", "down")
    assert forced(health, "old") == ("",)


@pytest.mark.parametrize("name", [PAIR, "2001:db8::10", "2001:0DB8:0::10"])
def test_an_endpoint_is_both_its_addresses_by_whichever_it_is_named(name) -> None:
    health = after(override("endpoint", name))
    assert forced(health, "web-fra", 4) == forced(health, "web-fra", 6) == ("drain", "")


def test_an_endpoint_is_named_in_every_pool_that_has_it() -> None:
    two = (pool(0, "a", endpoint(PAIR), datacenter=FRA), pool(1, "b", endpoint(PAIR, "::a")))
    config = replace(CONFIG, pools=two)
    health = after(override("endpoint", PAIR), config=config, health=all_unknown(two))
    assert [each.ipv4[0].forced for each in health.pools] == ["drain", "drain"]
    assert [each.ipv6[0].forced for each in health.pools] == ["", "drain"]


@pytest.mark.parametrize("kind", ["datacenter", "pool", "endpoint"])
def test_what_does_not_exist_touches_nothing(kind) -> None:
    assert after(override(kind, "gone")) is FRESH


def test_names_are_those_that_probes_and_explain_know() -> None:
    names = [("datacenter", name) for name in CONFIG.datacenters]
    names += [("pool", each.name) for each in CONFIG.pools]
    for each in CONFIG.pools:
        for one in each.endpoints:
            packed = [packed for packed in (one.ipv4, one.ipv6) if packed]
            names += [("endpoint", name) for name in (one.name, *map(_text, packed))]
    assert len(names) > 15
    for kind, name in names:
        found = named_slots(CONFIG, f"{kind}/{name}")
        assert set(named(CONFIG, override(kind, name))) == set(found)
        touched = after(override(kind, name, "down"))
        assert {slot for slot in every_slot(CONFIG) if of(touched, slot).forced} == set(found)


def _text(packed: bytes) -> str:
    return str(ip_address(packed))


def every_slot(config: Configuration) -> list[Slot]:
    return [
        Slot(each.index, index, family)
        for each in config.pools
        for index in range(len(each.endpoints))
        for family in FAMILIES
    ]


def named(config: Configuration, one: Override) -> list[Slot]:
    """The addresses that an override names."""
    return [
        Slot(each.index, index, family)
        for each, indexes in reached(config, one)
        for index in indexes
        for family in FAMILIES
        if each.endpoints[index].address(family) is not None
    ]


def of(health: Health, slot: Slot) -> AddressHealth:
    return health.pools[slot.pool].of(slot.family)[slot.endpoint]


# ---- which counts -------------------------------------------------------------------------


def test_the_narrowest_wins() -> None:
    wide, pool_, narrow = (
        override("datacenter", "fra", "down"),
        override("pool", "web-fra", "drain"),
        override("endpoint", PAIR, "up"),
    )
    health = after(wide, pool_, narrow)
    assert forced(health, "web-fra") == ("up", "drain")
    assert forced(health, "old") == ("down",)
    assert forced(after(wide, narrow), "web-fra") == ("up", "down")


@given(st.permutations(range(5)))
def test_the_order_of_being_told_does_not_matter(order) -> None:
    some = [
        override("endpoint", PAIR, "up", at=1),
        override("endpoint", "2001:db8::10", "down", at=2),
        override("pool", "web-fra", "drain", at=3),
        override("datacenter", "fra", "down", at=4, lead=5000),
        override("datacenter", "iad", "up", at=5),
    ]
    assert after(*(some[n] for n in order)) == after(*some)


def test_of_two_that_name_one_endpoint_the_one_set_last_counts() -> None:
    by_name, by_address = (
        override("endpoint", PAIR, "up", at=1),
        override("endpoint", "2001:db8::10", "down", at=2),
    )
    assert forced(after(by_name, by_address), "web-fra") == ("down", "")
    assert forced(after(replace(by_name, at=3), by_address), "web-fra") == ("up", "")


# ---- when it counts -----------------------------------------------------------------------


def test_what_has_expired_is_no_more() -> None:
    drain = override("pool", "web-fra", until=NOW)
    assert is_current(drain, NOW - 0.001)
    assert not is_current(drain, NOW)
    before = after(drain, now=NOW - 0.001)
    assert forced(before, "web-fra") == ("drain", "drain")
    assert forced(after(drain, health=before), "web-fra") == ("", "")


def test_what_was_cleared_is_free_and_keeps_what_probes_say() -> None:
    down = AddressHealth(State.DOWN, flip_s=10.0, ramp=40)
    health = with_addresses(FRESH, {Slot(0, 0, 4): down})
    drained = after(override("datacenter", "fra"), health=health)
    assert drained.pools[0].ipv4[0] == replace(down, forced="drain")
    cleared = after(health=drained)
    assert cleared.pools[0].ipv4 == health.pools[0].ipv4
    assert cleared.pools[0].version > drained.pools[0].version


def test_before_its_time_a_drain_only_makes_its_addresses_leaving() -> None:
    drain = override("pool", "web-fra", at=NOW - 10, lead=60)
    before = after(drain).pools[0]
    assert {(each.forced, each.leaving) for each in (*before.ipv4, *before.ipv6)} == {("", True)}
    later = after(drain, now=NOW + 50).pools[0]
    assert {(each.forced, each.leaving) for each in later.ipv4} == {("drain", False)}


def test_what_will_not_win_does_not_make_anything_leave() -> None:
    kept = override("endpoint", PAIR, "up")
    soon = override("datacenter", "fra", at=NOW, lead=60)
    states = after(kept, soon).pools[0].ipv4
    assert [(each.forced, each.leaving) for each in states] == [("up", False), ("", True)]


def test_until_the_narrow_one_takes_effect_the_wide_one_goes_on() -> None:
    wide, narrow = override("pool", "web-fra", "up"), override("endpoint", PAIR, at=NOW, lead=60)
    states = after(wide, narrow).pools[0].ipv4
    assert [(each.forced, each.leaving) for each in states] == [("up", True), ("up", False)]
    already = after(override("pool", "web-fra", "down"), narrow).pools[0].ipv4
    assert [(each.forced, each.leaving) for each in already] == [("down", False)] * 2


def test_the_next_change_is_the_end_of_a_lead_or_an_expiry() -> None:
    soon = override("pool", "web-fra", at=NOW - 10, lead=60, until=NOW + 600)
    gone = override("pool", "web-iad", until=NOW - 1)
    forever = override("pool", "web-nrt")
    assert next_change((), NOW) is None
    assert next_change((forever, gone), NOW) is None
    assert next_change((forever, soon, gone), NOW) == NOW + 50
    assert next_change((forever, soon, gone), NOW + 50) == NOW + 600


TIMES = st.integers(0, 20).map(float)


@given(
    st.lists(
        st.builds(
            override,
            st.just("pool"),
            st.sampled_from(["web-fra", "web-iad"]),
            st.sampled_from(["up", "down", "drain"]),
            TIMES,
            TIMES,
            st.none() | TIMES,
        ),
        max_size=2,
        unique_by=lambda each: each.name,
    ),
    TIMES,
    st.floats(0, 1, exclude_max=True),
)
def test_nothing_changes_between_now_and_the_next_change(overrides, now, part) -> None:
    until = next_change(overrides, now)
    health = after(*overrides, now=now)
    until = now + 100 if until is None else until
    assert until > now
    between = min(now + (until - now) * part, nextafter(until, now))  # rounded, it may be `until`
    assert after(*overrides, health=health, now=between) is health


# ---- what it costs ------------------------------------------------------------------------


def test_only_pools_that_change_are_new() -> None:
    health = after(override("pool", "web-iad"))
    assert [each is old for each, old in zip(health.pools, FRESH.pools, strict=True)] == [
        True,
        False,
        True,
        True,
        True,
    ]
    assert after(override("pool", "web-iad"), health=health) is health


def test_a_family_that_an_endpoint_lacks_stays_as_it_is() -> None:
    assert after(override("pool", "old", "down")).pools[4].ipv6 == FRESH.pools[4].ipv6


def test_ten_thousand_endpoints_and_what_names_them_agree() -> None:
    """One by one and all at once give the same, at a size at which squares would be felt."""
    many = tuple(
        pool(
            n,
            f"p{n}",
            *(endpoint(f"10.{n}.{i // 250}.{i % 250}") for i in range(1000)),
            datacenter=DataCenter(f"dc{n % 5}"),
        )
        for n in range(10)
    )
    config = replace(CONFIG, pools=many)
    fresh = all_unknown(many)
    chance = Random(1)
    some = [override("datacenter", "dc3"), override("pool", "p4", "down")]
    some += [
        override("endpoint", f"10.{chance.randrange(10)}.1.{chance.randrange(250)}", "up", at=n)
        for n in range(50)
    ]
    health = with_overrides(config, fresh, some, NOW)
    up = {slot for each in some[2:] for slot in named(config, each)}
    for slot in every_slot(config):
        expected = "up" if slot in up else {3: "drain", 8: "drain", 4: "down"}.get(slot.pool, "")
        assert of(health, slot).forced == (expected if slot.family == 4 else "")
    assert with_overrides(config, health, some, NOW) is health


def test_ten_thousand_that_are_alike_become_one_object_each_way() -> None:
    """Making one for each was nine tenths of a drain, in one turn of the loop that answers."""
    one = pool(0, "a", *(endpoint(f"10.0.{i // 250}.{i % 250}") for i in range(10_000)))
    config = replace(CONFIG, pools=(one,))
    states = tuple(AddressHealth(State.UP if i % 2 else State.DOWN) for i in range(10_000))
    health = Health((PoolHealth(1, states, all_unknown((one,)).pools[0].ipv6, 70),))
    drained = after(override("pool", "a"), health=health, config=config)
    assert [each.state for each in drained.pools[0].ipv4] == [each.state for each in states]
    assert len({id(each) for each in drained.pools[0].ipv4}) == 2
    cleared = after(health=drained, config=config)
    assert cleared.pools[0] == replace(health.pools[0], version=3)
    assert len({id(each) for each in cleared.pools[0].ipv4}) == 2


# ---- the listing --------------------------------------------------------------------------


def checked(config: Configuration) -> Configuration:
    return replace(config, pools=tuple(replace(each, check="web") for each in config.pools))


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([State.UP] * 4, "up"),
        ([State.DOWN] * 4, "down"),
        ([State.UNKNOWN] * 4, "unknown"),
        ([State.UP, State.UP, State.UP, State.DOWN], "3 of 4 up"),
        ([State.UP, State.UNKNOWN, State.DOWN, State.DOWN], "1 of 4 up"),
    ],
)
def test_beside_the_forced_state_stands_the_real_one(states, said) -> None:
    slots = named_slots(CONFIG, "pool/web-fra")
    changes = {
        slot: AddressHealth(state, "down") for slot, state in zip(slots, states, strict=True)
    }
    health = with_addresses(FRESH, changes)
    assert real_state(checked(CONFIG), health, override("pool", "web-fra")) == said


def test_what_has_no_check_says_nothing_about_the_rest() -> None:
    pools = tuple(replace(each, check="web" if each.index else None) for each in POOLS)
    health = with_addresses(FRESH, {Slot(4, 0, 4): AddressHealth(State.UP)})
    config = replace(CONFIG, pools=pools)
    assert real_state(config, health, override("datacenter", "fra")) == "up"
    assert real_state(config, health, override("pool", "web-fra")) == "unknown"


def test_a_name_without_an_object_is_told_from_an_empty_data_center() -> None:
    config = replace(CONFIG, datacenters={**CONFIG.datacenters, "empty": DataCenter("empty")})
    assert real_state(config, FRESH, override("datacenter", "empty")) == "unknown"
    for kind in ("datacenter", "pool", "endpoint"):
        assert real_state(config, FRESH, override(kind, "gone")) == NOTHING


def test_caches_are_empty_after_the_longest_ttl_of_what_reaches_it() -> None:
    config = replace(CONFIG, steered={"web": 30, "list": 60, "split": 300, "api": 20})
    drain = override("pool", "web-fra", at=NOW, lead=100)
    assert longest_ttl(config, indexes(config, drain)) == 60
    assert caches_empty_at(config, drain) == NOW + 160
    assert caches_empty_at(config, override("datacenter", "iad", "down", at=NOW)) == NOW + 300


def indexes(config: Configuration, one: Override) -> set[int]:
    return {each.index for each, _ in reached(config, one)}


def test_the_pool_of_a_last_resort_is_reached_too() -> None:
    config = replace(CONFIG, steered={"api": 20})
    assert longest_ttl(config, indexes(config, override("pool", "sorry"))) == 20


def test_what_no_name_reaches_is_in_no_cache() -> None:
    assert longest_ttl(CONFIG, indexes(CONFIG, override("pool", "old"))) == 30
    config = replace(CONFIG, steered={"web": 30})
    drain = override("pool", "old", at=NOW)
    assert longest_ttl(config, indexes(config, drain)) == 0
    assert caches_empty_at(config, drain) == NOW


def test_nothing_leaves_caches_where_nothing_was_taken_out() -> None:
    assert caches_empty_at(CONFIG, override("pool", "web-fra", "up")) is None
    assert caches_empty_at(CONFIG, override("pool", "gone")) is None
