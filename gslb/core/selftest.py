"""Running the `tests:` of a configuration against its plan (config.md).

Knows: `expect` is the set of addresses over all draws, each draw lies inside `expect_any`,
`down` means that probes fail. Refuses to know: files, how failures are shown. Invariant:
tests see fresh health (everything unknown, so up), whatever the probes say now.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import assert_never

from gslb.core.answer import Absence, Found, Referral, Refused, Steered
from gslb.core.health import all_unknown
from gslb.core.policy import Family
from gslb.core.ruling import resolve, rule
from gslb.core.subject import parse_subject
from gslb.core.target import taken_down
from gslb.core.world import ConfigTest, Plan, World
from gslb.wire.name import to_text
from gslb.wire.rrtype import NXDOMAIN, A, type_text


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
        got, why_none = _answer(World(plan, down, 0), test)
        if what := _compare(test, got, why_none):
            failures.append(Failure(test, f"{_title(test)}: {what}"))
    return tuple(failures)


def _answer(world: World, test: ConfigTest) -> tuple[frozenset[bytes] | None, str]:
    """The addresses over all draws (None: the server refuses), and why, if there are none."""
    resolution = resolve(world, test.name, test.type)
    aliases = resolution.aliases
    name = _name(aliases[-1].target if aliases else test.name)
    match resolution.outcome:
        case Steered() as steered:
            family: Family = 4 if test.type == A else 6
            ruling = rule(world, steered, family, parse_subject(test.subject))
            if ruling is None:
                return frozenset(), f'policy "{steered.policy}" has no IPv{family} address'
            return ruling.possible, f'nothing in policy "{steered.policy}" is available'
        case Found():
            got = frozenset(rdata for rrset in resolution.records for rdata in rrset.rdatas)
            return got, f"its aliases lead to {name}, and no further in these zones"
        case Referral() as referral:
            return frozenset(), f"{_name(referral.anchor)} is delegated to other name servers"
        case Absence() as absence:
            missing = "does not exist" if absence.rcode == NXDOMAIN else "has no such record"
            return frozenset(), f"{name} {missing}"
        case Refused():
            return None, f"no zone here holds {name}"
        case _ as never:
            assert_never(never)


def _compare(test: ConfigTest, got: frozenset[bytes] | None, why_none: str) -> str:
    if got is None:
        return why_none
    shown = _show(got) if got else f"no address: {why_none}"
    if test.expect is not None and got != test.expect:
        return f"expected {_show(test.expect)}, got {shown}"
    if test.expect_any is not None and (not got or not got <= test.expect_any):
        return f"expected any of {_show(test.expect_any)}, got {shown}"
    return ""


def _title(test: ConfigTest) -> str:
    down = f" with {', '.join(test.down)} down" if test.down else ""
    return f"{_name(test.name)} {type_text(test.type)} from {test.subject}{down}"


def _name(key: bytes) -> str:
    text = to_text(key)
    return text if text == "." else text[:-1]


def _show(addresses: frozenset[bytes]) -> str:
    if not addresses:
        return "no address"
    return ", ".join(str(ip_address(packed)) for packed in sorted(addresses))
