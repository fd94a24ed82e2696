"""The lab's resolver cache: TTL and scope, on a clock that the test moves."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from gslb.lab.cache import Cache

NAME = "www.example."
LONDON = IPv4Network("81.2.69.0/24")
FRA, IAD = ("127.10.1.1",), ("127.10.2.1",)


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Cache:
    return Cache(clock)


def test_an_answer_lives_as_long_as_its_ttl_and_no_longer(cache: Cache, clock: Clock) -> None:
    cache.keep(NAME, LONDON, 24, FRA, 10)
    clock.now_s += 9.999
    assert cache.find(NAME, LONDON[7]) == FRA
    clock.now_s += 0.001
    assert cache.find(NAME, LONDON[7]) is None


def test_an_answer_is_not_given_outside_its_scope(cache: Cache) -> None:
    cache.keep(NAME, LONDON, 24, FRA, 10)
    assert cache.find(NAME, IPv4Address("81.2.68.255")) is None
    assert cache.find(NAME, IPv4Address("81.2.70.0")) is None


def test_a_wide_scope_serves_neighbours(cache: Cache) -> None:
    cache.keep(NAME, LONDON, 16, FRA, 10)
    assert cache.find(NAME, IPv4Address("81.2.200.1")) == FRA
    assert cache.find(NAME, IPv4Address("81.3.0.1")) is None


def test_scope_0_serves_everybody(cache: Cache) -> None:
    cache.keep(NAME, LONDON, 0, FRA, 10)
    assert cache.find(NAME, IPv4Address("203.0.113.1")) == FRA


def test_a_scope_longer_than_what_was_sent_is_cut_to_it(cache: Cache) -> None:
    cache.keep(NAME, LONDON, 32, FRA, 10)
    assert cache.find(NAME, LONDON[255]) == FRA


def test_the_most_specific_answer_wins(cache: Cache) -> None:
    cache.keep(NAME, LONDON, 24, IAD, 10)
    cache.keep(NAME, LONDON, 8, FRA, 10)
    assert cache.find(NAME, LONDON[1]) == IAD
    assert cache.find(NAME, IPv4Address("81.200.0.1")) == FRA


def test_what_died_does_not_hide_what_lives(cache: Cache, clock: Clock) -> None:
    cache.keep(NAME, LONDON, 24, IAD, 5)
    cache.keep(NAME, LONDON, 8, FRA, 10)
    clock.now_s += 5
    assert cache.find(NAME, LONDON[1]) == FRA


def test_a_ttl_of_0_is_not_kept(cache: Cache) -> None:
    cache.keep(NAME, LONDON, 24, FRA, 0)
    assert cache.find(NAME, LONDON[1]) is None


def test_names_are_kept_apart(cache: Cache) -> None:
    cache.keep(NAME, LONDON, 0, FRA, 10)
    assert cache.find("api.example.", LONDON[1]) is None
