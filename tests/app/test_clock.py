"""The clock jumps by a day: nobody is refused, and what is limited is limited as before."""

from __future__ import annotations

from random import Random

import dns.edns
import dns.message
import dns.rcode
import pytest
from gslb.core.setting import Cookies, RateLimit, Settings
from gslb.serve.python import PythonEngine

from sample import APEX, make_world

DAY_S = 86400
CLIENT = bytes(range(8))
SETTINGS = Settings(
    cookies=Cookies("cookies", (bytes(range(16)),)), rate_limit=RateLimit(per_second=5, slip=0)
)


class Clock:
    """Time that is only what it is told to be."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def ask(engine: PythonEngine, cookie: bytes) -> bytes | None:
    """The cookie of a reply without an error; None for silence."""
    option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)
    query = dns.message.make_query(f"www.{APEX}", "A", use_edns=0, options=[option])
    wire = engine.answer(query.to_wire(), "192.0.2.1", "udp")
    if wire is None:
        return None
    reply = dns.message.from_wire(wire)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.answer
    return reply.options[0].to_wire()


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_a_cookie_of_another_day_is_answered_and_exchanged(jump_s: int) -> None:
    wall = Clock(1_800_000_000)
    engine = PythonEngine(make_world(settings=SETTINGS), Random(7), wall=wall, elapsed=Clock(0))
    before = ask(engine, CLIENT)
    assert before is not None
    wall.at += jump_s
    after = ask(engine, before)
    assert after is not None
    assert after != before
    assert engine.stats()["cookies", "invalid"] == 1
    assert ask(engine, after) == after
    assert engine.stats()["cookies", "valid"] == 1


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_rate_limits_go_by_the_monotonic_clock(jump_s: int) -> None:
    wall, elapsed = Clock(1_800_000_000), Clock(0)
    engine = PythonEngine(make_world(settings=SETTINGS), Random(7), wall=wall, elapsed=elapsed)
    query = dns.message.make_query(f"www.{APEX}", "A").to_wire()

    def answered() -> int:
        return sum(engine.answer(query, "192.0.2.1", "udp") is not None for _ in range(100))

    assert 0 < answered() < 100
    wall.at += jump_s
    assert answered() == 0  # nothing was forgiven
    elapsed.at += 1
    assert 0 < answered() < 100  # nothing was held against anybody
