"""Whose network decides (steering.md, The client)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from gslb.core.subject import Subject, locate, parse_subject, subject_of

from sample import near_table

TABLE = near_table()  # 10.0.0.0/8 is special-purpose and covered by nothing


def subject(text: str) -> Subject:
    return subject_of(ip_address(text).packed, mapped=False)


EUROPE, AMERICA = subject("50.1.2.3"), subject("150.1.2.3")


def test_without_a_client_subnet_the_source_decides() -> None:
    located = locate(TABLE, None, AMERICA)
    assert (located.treatment, located.scope, located.prefix) == (1, 2, b"\x96\x01\x02")


def test_with_a_client_subnet_that_decides() -> None:
    located = locate(TABLE, EUROPE, AMERICA)
    assert (located.treatment, located.scope, located.prefix) == (0, 3, b"\x32\x01\x02")


def test_an_uncovered_special_subnet_leaves_it_to_the_source_and_keeps_its_own_leaf() -> None:
    located = locate(TABLE, subject("10.9.9.9"), AMERICA)
    assert (located.treatment, located.scope, located.prefix) == (1, 8, b"\x96\x01\x02")


@pytest.mark.parametrize("asked", [None, subject("10.9.9.9")])
def test_a_special_source_is_a_client_of_whom_nothing_is_known(asked: Subject | None) -> None:
    located = locate(replace(TABLE, unknown=2), asked, subject("10.1.1.1"))
    assert (located.treatment, located.scope) == (2, 8)


def test_a_peer_that_is_ipv4_in_ipv6_is_ipv4_but_a_client_subnet_is_not() -> None:
    packed = ip_address("::ffff:150.1.2.3").packed
    assert subject_of(packed) == AMERICA
    assert subject_of(packed, mapped=False).family == 6


def test_ipv6_is_told_apart_by_its_upper_half() -> None:
    found = subject("2001:db8:1:2:3:4:5:6")
    assert found.address == 0x20010DB800010002
    assert found.prefix == bytes.fromhex("20010db8000100")
    assert str(found) == "2001:db8:1:2:3:4:5:6"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("192.0.2.77", "192.0.2.77"),
        ("192.0.2.77/24", "192.0.2.0"),
        ("192.0.2.77/0", "0.0.0.0"),
        ("2001:db8::1/32", "2001:db8::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_a_network_stands_for_its_first_address(text: str, first: str) -> None:
    assert str(parse_subject(text)) == first


@pytest.mark.parametrize("text", ["", "web", "192.0.2", "192.0.2.1/33", "1.2.3.4/", "::/129"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is the library's
        parse_subject(text)
