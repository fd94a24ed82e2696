"""Naming what lives: data centers, pools, endpoints, and the targets of checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gslb.core.check import Check, Target
from gslb.core.health import AddressHealth, Slot, State, all_unknown, with_addresses
from gslb.core.policy import DataCenter, Endpoint
from gslb.core.target import named_slots, taken_down, targets_of, with_verdicts
from gslb.core.trail import TargetHealth
from gslb.core.world import Configuration

from sample import FRA, POOLS, endpoint, make_world, pool

CONFIG = make_world().plan.config
PAIR = {Slot(0, 0, 4), Slot(0, 0, 6)}


@pytest.mark.parametrize(
    "name", ["endpoint/192.0.2.10", "192.0.2.10", "endpoint/2001:db8::10", "2001:DB8:0::10"]
)
def test_an_endpoint_is_named_by_either_address_and_covers_both(name: str) -> None:
    assert set(named_slots(CONFIG, name)) == PAIR


def test_an_endpoint_is_named_by_its_name() -> None:
    config = replace(CONFIG, pools=(pool(0, "p", Endpoint("blue", b"\1\1\1\1", None)),))
    assert named_slots(config, "endpoint/blue") == [Slot(0, 0, 4)]
    assert named_slots(config, "1.1.1.1") == [Slot(0, 0, 4)]


def test_an_address_in_several_pools_is_one_endpoint_everywhere() -> None:
    config = replace(CONFIG, pools=tuple(pool(n, f"p{n}", endpoint("192.0.2.1")) for n in range(3)))
    assert named_slots(config, "192.0.2.1") == [Slot(n, 0, 4) for n in range(3)]


def test_a_data_center_is_all_of_its_pools() -> None:
    assert {slot.pool for slot in named_slots(CONFIG, "fra")} == {0, 4}
    assert len(named_slots(CONFIG, "datacenter/fra")) == 5
    assert {slot.pool for slot in named_slots(CONFIG, "pool/web-fra")} == {0}


def test_a_data_center_without_pools_is_nothing_and_no_mistake() -> None:
    config = replace(CONFIG, datacenters={**CONFIG.datacenters, "new": DataCenter("new")})
    assert named_slots(config, "new") == []
    assert named_slots(config, "datacenter/new") == []


def both_ways() -> Configuration:
    return replace(CONFIG, pools=(pool(0, "fra", endpoint("192.0.2.1"), datacenter=FRA),))


def test_a_bare_name_with_two_meanings_asks_which() -> None:
    with pytest.raises(ValueError, match='"fra" is ambiguous; say datacenter/fra or pool/fra'):
        named_slots(both_ways(), "fra")
    assert named_slots(both_ways(), "pool/fra") == [Slot(0, 0, 4)]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nowhere", 'no data center, pool or endpoint "nowhere"'),
        ("pool/fra", 'no pool "fra"'),
        ("endpoint/fra", 'no endpoint "fra"'),
        ("datacenter/web-fra", 'no data center "web-fra"'),
        ("192.0.2.200", 'no data center, pool or endpoint "192.0.2.200"'),
        ("host/fra", 'no data center, pool or endpoint "host/fra"'),
    ],
)
def test_what_is_not_there_is_a_mistake(name: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        named_slots(CONFIG, name)


def test_a_near_miss_is_offered() -> None:
    with pytest.raises(ValueError, match='did you mean "web-fra"'):
        named_slots(CONFIG, "pool/web-frq")


def test_taking_down_is_not_an_override() -> None:
    health = with_addresses(all_unknown(POOLS), {Slot(0, 0, 4): AddressHealth(State.UP, "", 5.0)})
    down = taken_down(CONFIG, health, ["endpoint/192.0.2.10"])
    assert down.pools[0].ipv4[0] == AddressHealth(State.DOWN)
    assert down.pools[0].ipv6[0] == AddressHealth(State.DOWN)
    assert down.pools[1] is health.pools[1]


def checked() -> Configuration:
    check = Check("web", "tcp", 80, 5.0, 2.0)
    pools = (
        pool(0, "a", endpoint("192.0.2.1", "2001:db8::1"), endpoint("192.0.2.2"), check="web"),
        pool(1, "b", endpoint("192.0.2.1"), check="web"),
        pool(2, "c", Endpoint("e", b"\1\2\3\4", None, 1, "127.0.0.1", 8080), check="web"),
        pool(3, "d", endpoint("192.0.2.9")),
    )
    return replace(CONFIG, pools=pools, checks={"web": check})


def test_a_target_is_probed_once_and_stands_for_every_address_that_shares_it() -> None:
    assert targets_of(checked()) == {
        Target("web", "192.0.2.1", 80): (Slot(0, 0, 4), Slot(1, 0, 4)),
        Target("web", "2001:db8::1", 80): (Slot(0, 0, 6),),
        Target("web", "192.0.2.2", 80): (Slot(0, 1, 4),),
        Target("web", "127.0.0.1", 8080): (Slot(2, 0, 4),),
    }


def test_a_check_that_is_off_probes_nothing() -> None:
    config = checked()
    assert config.checks["web"].enabled
    off = {"web": replace(config.checks["web"], enabled=False)}
    assert targets_of(replace(config, checks=off)) == {}


def test_a_verdict_reaches_every_address_of_its_target_and_leaves_what_is_forced() -> None:
    config = checked()
    forced = {Slot(1, 0, 4): AddressHealth(State.UP, "drain")}
    before = with_addresses(all_unknown(config.pools), forced)
    verdict = {Target("web", "192.0.2.1", 80): TargetHealth(State.DOWN, None, None)}
    after = with_verdicts(before, targets_of(config), verdict)
    assert after.pools[0].ipv4[0] == AddressHealth(State.DOWN)
    assert after.pools[1].ipv4[0] == AddressHealth(State.DOWN, "drain")
    assert after.pools[2] is before.pools[2]
    assert [p.version for p in after.pools] == [1, 2, 0, 0]
    assert with_verdicts(after, targets_of(config), verdict) is after
