"""`tests:` of a configuration, run against its plan."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from gslb.core.selftest import run_tests
from gslb.core.world import ConfigTest, Plan
from gslb.wire.name import from_text
from gslb.wire.rrtype import type_number

from sample import APEX, make_world


def packed(*addresses: str) -> frozenset[bytes]:
    return frozenset(ip_address(text).packed for text in addresses)


def entry(
    name: str,
    rrtype: str = "A",
    client: str = "50.1.2.0/24",
    down: tuple[str, ...] = (),
    expect: frozenset[bytes] | None = None,
    expect_any: frozenset[bytes] | None = None,
) -> ConfigTest:
    number = type_number(rrtype)
    assert number is not None
    return ConfigTest(from_text(f"{name}.{APEX}"), number, client, down, expect, expect_any)


def failures(*tests: ConfigTest) -> list[str]:
    plan: Plan = make_world().plan
    plan = replace(plan, config=replace(plan.config, tests=tests))
    return [failure.what for failure in run_tests(plan)]


ZONE = APEX.rstrip(".")
FRA, IAD, NRT = ("192.0.2.10", "192.0.2.11"), "198.51.100.10", "203.0.113.10"


@pytest.mark.parametrize(
    "test",
    [
        entry("www", expect=packed(*FRA)),
        entry("www", client="150.1.1.1", expect=packed(IAD)),
        entry("www", down=("fra",), expect=packed(IAD)),
        entry("www", down=("192.0.2.10",), expect=packed("192.0.2.11")),
        entry("www", down=("fra", "iad", "nrt"), expect=packed(*FRA)),  # serve_all
        entry("api", down=("fra",), expect=packed(IAD)),
        entry("split", expect=packed(IAD, NRT)),  # over all draws
        entry("split", expect_any=packed(IAD, NRT, "192.0.2.1")),
        entry("www", "AAAA", expect=packed("2001:db8::10", "2001:db8::11")),
        entry("four", "AAAA", expect=packed()),
        entry("towww", expect=packed(*FRA)),  # through the alias
        entry("alias2", expect=packed("192.0.2.77")),
        entry("ns1", expect=packed("192.0.2.53")),  # static
        entry("nope", expect=packed()),
    ],
)
def test_what_holds_is_no_failure(test: ConfigTest) -> None:
    assert failures(test) == []


def test_a_failure_says_what_was_asked_expected_and_got() -> None:
    assert failures(
        entry("www", expect=packed(IAD)),
        entry("www", client="150.1.1.1", down=("iad",), expect=packed(IAD)),
        entry("split", expect=packed(IAD)),
        entry("split", expect_any=packed(IAD)),
        entry("nope", expect_any=packed(IAD)),
    ) == [
        f"www.{ZONE} A from 50.1.2.0/24: expected 198.51.100.10, got 192.0.2.10, 192.0.2.11",
        f"www.{ZONE} A from 150.1.1.1 with iad down: "
        "expected 198.51.100.10, got 192.0.2.10, 192.0.2.11",
        f"split.{ZONE} A from 50.1.2.0/24: expected 198.51.100.10, got 198.51.100.10, 203.0.113.10",
        f"split.{ZONE} A from 50.1.2.0/24: "
        "expected any of 198.51.100.10, got 198.51.100.10, 203.0.113.10",
        f"nope.{ZONE} A from 50.1.2.0/24: "
        f"expected any of 198.51.100.10, got no address: nope.{ZONE} does not exist",
    ]


@pytest.mark.parametrize(
    ("name", "rrtype", "why"),
    [
        ("dangling", "A", f"nothing.{ZONE} does not exist"),
        ("txt", "A", f"txt.{ZONE} has no such record"),
        ("outside", "A", "its aliases lead to www.example.net, and no further in these zones"),
        ("loop1", "A", f"its aliases lead to loop1.{ZONE}, and no further in these zones"),
        ("x.sub", "A", f"sub.{ZONE} is delegated to other name servers"),
        ("four", "AAAA", 'policy "v4only" has no IPv6 address'),
    ],
)
def test_a_failure_without_an_address_says_why(name: str, rrtype: str, why: str) -> None:
    (what,) = failures(entry(name, rrtype, expect=packed("192.0.2.1", "2001:db8::1")))
    assert what.endswith(f"got no address: {why}")
