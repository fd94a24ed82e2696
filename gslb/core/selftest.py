"""Running the `tests:` of a configuration against its plan (config.md).

Knows: `expect` is the set of addresses over all draws, each draw lies inside `expect_any`,
`down` means that probes fail. Refuses to know: files, how failures are shown. Invariant:
tests see fresh health (everything unknown, so up), whatever the probes say now.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from gslb.core.answer import Found, Steered
from gslb.core.explain import resolve, rule
from gslb.core.health import all_unknown
from gslb.core.policy import Family
from gslb.core.subject import parse_subject
from gslb.core.target import taken_down
from gslb.core.world import ConfigTest, Plan, World
from gslb.wire.name import to_text
from gslb.wire.rrtype import A, type_text


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that did not hold, in words."""

    test: ConfigTest
    what: str


def run_tests(plan: Plan) -> tuple[Failure, ...]:
    """The tests that fail, in file order."""
    health = all_unknown(plan.config.pools)
    failures: list[Failure] = []
    for test in plan.config.tests:
        down = taken_down(plan.config, health, test.down)
        got = _addresses(World(plan, down, 0), test)
        what = _compare(test, got)
        if what:
            failures.append(Failure(test, f"{_title(test)}: {what}"))
    return tuple(failures)


def _addresses(world: World, test: ConfigTest) -> frozenset[bytes]:
    outcome, _ = resolve(world, test.name, test.type)
    match outcome:
        case Steered():
            family: Family = 4 if test.type == A else 6
            ruling = rule(world, outcome, family, parse_subject(test.subject))
            return frozenset() if ruling is None else ruling.possible
        case Found():
            return frozenset(
                rdata
                for _, rrset in outcome.answers
                if rrset.type == test.type
                for rdata in rrset.rdatas
            )
        case _:
            return frozenset()


def _compare(test: ConfigTest, got: frozenset[bytes]) -> str:
    if test.expect is not None and got != test.expect:
        return f"expected {_show(test.expect)}, got {_show(got)}"
    if test.expect_any is not None and (not got or not got <= test.expect_any):
        return f"expected any of {_show(test.expect_any)}, got {_show(got)}"
    return ""


def _title(test: ConfigTest) -> str:
    down = f" with {', '.join(test.down)} down" if test.down else ""
    return f"{to_text(test.name)} {type_text(test.type)} from {test.subject}{down}"


def _show(addresses: frozenset[bytes]) -> str:
    if not addresses:
        return "no address"
    return ", ".join(str(ip_address(packed)) for packed in sorted(addresses))
