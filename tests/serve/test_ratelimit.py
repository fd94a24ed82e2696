"""Rate limiting: how much goes through, who shares, and that nothing grows."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from gslb.core.setting import Cookies, RateLimit, Settings
from gslb.core.world import World
from gslb.serve.python import PythonEngine
from gslb.serve.ratelimit import RateLimiter, Table
from gslb.serve.ready import Ledger

from sample import APEX, make_world

SECRET = bytes(range(16))


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limiter(clock: Clock, per_second: int = 10, **more) -> RateLimiter:
    table = Table(clock, slots=1 << 10)
    return RateLimiter(table, RateLimit(per_second, **more), Ledger(lambda *_: None))


def passed(limit: RateLimiter, peer: str, count: int, kind: int = 7) -> int:
    return sum(not limit.over(peer, kind) for _ in range(count))


def test_a_second_may_be_used_up_at_once_and_comes_back_evenly(clock: Clock) -> None:
    limit = limiter(clock)
    assert passed(limit, "192.0.2.1", 100) == 10
    clock.now += 0.5
    assert passed(limit, "192.0.2.1", 100) == 5
    clock.now += 60
    assert passed(limit, "192.0.2.1", 100) == 10


@pytest.mark.parametrize("per_second", [1, 3, 200])
def test_the_rate_holds_over_a_minute(clock: Clock, per_second: int) -> None:
    limit = limiter(clock, per_second)
    count = 0
    for _ in range(6000):
        clock.now += 0.01
        count += passed(limit, "192.0.2.1", 4)
    assert count == pytest.approx(61 * per_second, abs=2)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8:0:1::1", "2001:db8:0:ff:ffff::2", True),
        ("2001:db8:0:100::1", "2001:db8:0:200::1", False),
    ],
)
def test_a_network_is_a_24_or_a_56(clock: Clock, one: str, other: str, together: bool) -> None:
    limit = limiter(clock)
    assert passed(limit, one, 10) == 10
    assert passed(limit, other, 10) == (0 if together else 10)


def test_kinds_are_counted_apart(clock: Clock) -> None:
    limit = limiter(clock)
    assert passed(limit, "192.0.2.1", 20, kind=1) == 10
    assert passed(limit, "192.0.2.1", 20, kind=2) == 10


def test_the_table_has_one_size(clock: Clock) -> None:
    table = Table(clock, slots=1 << 8)
    limit = RateLimiter(table, RateLimit(10), Ledger(lambda *_: None))
    for number in range(2000):
        limit.over(f"10.{number >> 8}.{number & 255}.1", number)
    assert len(table.due) == 1 << 8


# ---- the engine ------------------------------------------------------------------------


def packet(name: str, rrtype: str = "A", cookie: bytes | None = None, **more) -> bytes:
    options = [] if cookie is None else [dns.edns.GenericOption(10, cookie)]
    full = name if name.endswith(".") else f"{name}.{APEX}"
    query = dns.message.make_query(full, rrtype, use_edns=0, options=options, **more)
    return query.to_wire()


def world(limit: RateLimit | None) -> World:
    settings = replace(Settings(), rate_limit=limit, cookies=Cookies("/nowhere/cookies", (SECRET,)))
    return make_world(settings=settings)


def make(limit: RateLimit | None, clock: Clock) -> PythonEngine:
    return PythonEngine(world(limit), Random(3), wall=lambda: 1e9, elapsed=clock)


def replies(engine: PythonEngine, wire: bytes, count: int, peer: str = "192.0.2.1", by="udp"):
    found = [engine.answer(wire, peer, by) for _ in range(count)]
    return [dns.message.from_wire(reply) for reply in found if reply is not None]


def whole(messages) -> int:
    return sum(not message.flags & dns.flags.TC and message.rcode() == 0 for message in messages)


@pytest.mark.parametrize("name", ["txt", "www", "nope.below.txt"])
def test_over_the_limit_one_in_slip_is_truncated(clock: Clock, name: str) -> None:
    engine = make(RateLimit(10, slip=2), clock)
    found = replies(engine, packet(name), 410)
    cut = [message for message in found if message.flags & dns.flags.TC]
    assert len(found) - len(cut) == 10
    assert 150 < len(cut) < 250
    assert all(not message.answer and not message.authority for message in cut)
    assert all(message.rcode() == 0 for message in cut)
    stats = engine.stats()
    assert stats["rrl", "slipped"] == len(cut)
    assert stats["rrl", "dropped"] == stats["dropped", "rate_limit"] == 400 - len(cut)


@pytest.mark.parametrize(("slip", "replied"), [(0, 10), (1, 110)])
def test_slip_0_is_silence_and_slip_1_is_always_truncation(
    clock: Clock, slip: int, replied: int
) -> None:
    assert len(replies(make(RateLimit(10, slip=slip), clock), packet("txt"), 110)) == replied


def test_tcp_and_valid_cookies_are_free(clock: Clock) -> None:
    engine = make(RateLimit(10), clock)
    assert whole(replies(engine, packet("www"), 100, by="tcp")) == 100
    (first,) = replies(engine, packet("txt", "TXT", cookie=b"clientco"), 1)
    cookie = first.options[0].to_wire()
    assert whole(replies(engine, packet("www", cookie=cookie), 100)) == 100
    assert len(replies(engine, packet("www", cookie=cookie), 100, peer="192.0.2.2")) < 100


def test_who_has_no_valid_cookie_is_offered_one_instead_of_truncation(clock: Clock) -> None:
    engine = make(RateLimit(10, slip=1), clock)
    found = replies(engine, packet("www", cookie=b"clientco"), 30)
    assert [message.rcode() for message in found[:10]] == [0] * 10
    assert {message.rcode() for message in found[10:]} == {dns.rcode.BADCOOKIE}
    cookie = found[-1].options[0].to_wire()
    assert whole(replies(engine, packet("www", cookie=cookie), 30)) == 30
    assert engine.stats()["rrl", "badcookie"] == 20


@pytest.mark.parametrize("slip", [0, 1, 2])
def test_cookies_are_counted_once_whatever_becomes_of_the_reply(clock: Clock, slip: int) -> None:
    engine = make(RateLimit(10, slip=slip), clock)
    for name in ("www", "txt", "nope"):
        replies(engine, packet(name, cookie=b"clientco"), 30)
    stats = engine.stats()
    assert stats["cookies", "client"] == 90
    assert stats.get(("rrl", "badcookie"), 0) + stats.get(("rrl", "dropped"), 0) == 60


def test_names_that_do_not_exist_count_by_zone_and_those_that_do_by_name(clock: Clock) -> None:
    engine = make(RateLimit(10, slip=0), clock)
    nothing = sum(len(replies(engine, packet(f"n{number}.txt"), 1)) for number in range(50))
    assert nothing == 10
    assert whole(replies(engine, packet("txt", "TXT"), 10)) == 10
    assert whole(replies(engine, packet("ns1"), 10)) == 10


def test_names_under_a_wildcard_and_below_a_cut_count_as_one(clock: Clock) -> None:
    engine = make(RateLimit(10, slip=0), clock)
    for parent in ("wild", "sub"):
        asked = [replies(engine, packet(f"n{n}.{parent}"), 1) for n in range(50)]
        assert sum(len(found) for found in asked) == 10


def test_errors_are_a_kind_of_their_own(clock: Clock) -> None:
    engine = make(RateLimit(10, slip=0), clock)
    assert len(replies(engine, packet("other.example."), 50)) == 10
    assert len(replies(engine, packet("another.example."), 50)) == 0
    assert whole(replies(engine, packet("txt", "TXT"), 10)) == 10


def test_errors_slip_as_they_are(clock: Clock) -> None:
    engine = make(RateLimit(10, slip=1), clock)
    found = replies(engine, packet("other.example."), 20)
    assert {message.rcode() for message in found} == {dns.rcode.REFUSED}


def test_exempt_networks_are_free(clock: Clock) -> None:
    engine = make(RateLimit(10, exempt=("192.0.2.0/25", "2001:db8::/32")), clock)
    assert whole(replies(engine, packet("www"), 100, "192.0.2.1")) == 100
    assert whole(replies(engine, packet("www"), 100, "2001:db8:77::1")) == 100
    assert whole(replies(engine, packet("www"), 100, "2001:dead::1")) == 10
    assert engine.stats()["rrl", "exempt"] == 180


def test_a_mapped_address_is_the_ipv4_address(clock: Clock) -> None:
    engine = make(RateLimit(10, slip=0, exempt=("203.0.113.0/24",)), clock)
    assert whole(replies(engine, packet("www"), 20, "::ffff:192.0.2.1")) == 10
    assert whole(replies(engine, packet("www"), 20, "192.0.2.1")) == 0
    assert whole(replies(engine, packet("www"), 20, "::ffff:198.51.100.1")) == 10
    assert whole(replies(engine, packet("www"), 20, "::ffff:203.0.113.1")) == 20
    (first,) = replies(engine, packet("txt", "TXT", cookie=b"clientco"), 1, "198.51.100.9")
    cookie = first.options[0].to_wire()
    assert whole(replies(engine, packet("www", cookie=cookie), 20, "::ffff:198.51.100.9")) == 20


def test_log_only_counts_and_answers(clock: Clock) -> None:
    engine = make(RateLimit(10, log_only=True), clock)
    assert whole(replies(engine, packet("www"), 100)) == 100
    assert engine.stats()["rrl", "logged"] == 90


def test_a_reload_gives_nobody_a_new_second(clock: Clock) -> None:
    engine = make(RateLimit(10, slip=0), clock)
    assert whole(replies(engine, packet("www"), 20)) == 10
    engine.publish(world(RateLimit(10, slip=0)))
    assert not replies(engine, packet("www"), 20)
    engine.publish(world(None))
    assert whole(replies(engine, packet("www"), 20)) == 20
