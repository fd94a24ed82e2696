"""What a calculated check counts: `of`, once checks and pools are known.

Knows: how a name says whether it is a check or a pool, and that nothing may count itself, not by
way of others either. Refuses to know: how it is counted. Invariant: what comes out has no cycle,
whoever walks it: a pool's health is that of its check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from gslb.config.report import Report, listing, quote
from gslb.config.tree import Entry, Scalar, Sequence, Tree
from gslb.config.tree import Mapping as Table
from gslb.core.check import Check, Member
from gslb.core.policy import FAMILIES, Family, Pool
from gslb.errors import Where

MOST_CIRCLES: Final = 20
MOST_NAMED: Final = 8  # pools that a message lists


@dataclass(frozen=True, slots=True)
class _Around:
    """What may be named. A value of None is an object that exists and is broken."""

    checks: Mapping[str, Check | None]
    pools: Mapping[str, Pool | None]


def read_members(
    root: Table,
    defaults: Table,
    checks: Mapping[str, Check | None],
    pools: Mapping[str, Pool | None],
    report: Report,
) -> dict[str, Check | None]:
    """The checks, those of type calculated with their `of`; None for a broken one."""
    around = _Around(checks, pools)
    found = dict(checks)
    places: dict[str, Where] = {}
    table = root.get("checks")
    for entry in table.entries.values() if isinstance(table, Table) else ():
        check = checks[entry.key]
        if check is not None and check.type == "calculated":
            places[entry.key] = entry.where
            found[entry.key] = _with_members(check, entry, defaults, around, report)
    _look_for_circles(found, pools, places, report)
    return found


def look_at_families(
    checks: Mapping[str, Check],
    pools: Iterable[Pool],
    places: Mapping[tuple[str, str], Where],
    report: Report,
) -> None:
    """Warn of checks that cannot be up for a family, because what they count has no address of it.

    Pools of one family each are no mistake where one of them is enough.
    """
    by_name = {pool.name: pool for pool in pools}
    looked: set[tuple[str, Family]] = set()
    for pool in by_name.values():
        top = checks.get(pool.check or "")
        if top is None or top.type != "calculated":
            continue
        for family in _probed_families(pool):
            for check in () if (top.name, family) in looked else _calculated_below(top, checks):
                if (check.name, family) not in looked:
                    looked.add((check.name, family))
                    _look_at_need(
                        check, family, pool, by_name, places["checks", check.name], report
                    )


def _look_at_need(
    check: Check,
    family: Family,
    pool: Pool,
    pools: Mapping[str, Pool],
    where: Where,
    report: Report,
) -> None:
    counted = [pools.get(member.name) for member in check.of if member.kind == "pool"]
    lacking = [each.name for each in counted if each is not None and not each.has(family)]
    if not lacking or len(check.of) - len(lacking) >= check.need.of(len(check.of)):
        return
    names = listing(map(quote, lacking[:MOST_NAMED]))
    what = f"of: no IPv{family} address in pool {names}, so for those of pool {quote(pool.name)} "
    what += f"it is always {'up' if check.invert else 'down'}"
    report.warn(where, f"check {quote(check.name)}", what, "add one, or lower need")


def _probed_families(pool: Pool) -> tuple[Family, ...]:
    """The families of the addresses at which a pool's check is made."""
    written = [e.check_address for e in pool.endpoints if e.check_address is not None]
    found: set[Family] = {6 if ":" in address else 4 for address in written}
    for endpoint in pool.endpoints:
        if endpoint.check_address is None:
            found |= {family for family in FAMILIES if endpoint.address(family) is not None}
    return tuple(sorted(found))


def _calculated_below(top: Check, checks: Mapping[str, Check]) -> Iterator[Check]:
    """A check and those that it counts for the same address, as far as they are calculated."""
    waiting, seen = [top.name], {top.name}
    while waiting:
        check = checks.get(waiting.pop())
        if check is not None and check.enabled and check.type == "calculated":
            yield check
            below = {member.name for member in check.of if member.kind == "check"} - seen
            seen |= below
            waiting += sorted(below)


def _with_members(
    check: Check, entry: Entry, defaults: Table, around: _Around, report: Report
) -> Check | None:
    subject = f"check {quote(check.name)}"
    table = entry.value if isinstance(entry.value, Table) else Table(entry.where)
    table = table.over(defaults)
    tree = table.get("of")
    members: dict[Member, None] = {}
    errors = report.errors
    for item in tree.items if isinstance(tree, Sequence) else ():
        member = _member_of(item, subject, around, report)
        if member is not None and member in members:
            report.error(item.where, subject, f"of: {quote(member.name)} stands twice")
        elif member is not None:
            members[member] = None
    if report.errors > errors:
        return None
    if not check.need.percent and check.need.value > len(members):
        what = f"need {check.need.value} is above the number of what counts, {len(members)}"
        report.error(table.place("need"), subject, what)
    return replace(check, of=tuple(members))


def _member_of(item: Tree, subject: str, around: _Around, report: Report) -> Member | None:
    text = item.text if isinstance(item, Scalar) else ""
    kind, slash, name = text.partition("/")
    if slash and kind in ("check", "pool"):
        known = around.checks if kind == "check" else around.pools
        if name not in known:
            report.unknown(item.where, subject, kind, name, known.keys())
            return None
        return Member("check" if kind == "check" else "pool", name)
    is_check, is_pool = text in around.checks, text in around.pools
    if is_check and is_pool:
        hint = f"write check/{text} or pool/{text}"
        report.error(item.where, subject, f"of: {quote(text)} is a check and a pool", hint)
        return None
    if not is_check and not is_pool:
        known_names = dict.fromkeys((*around.checks, *around.pools))
        report.unknown(item.where, subject, "check or pool", text, known_names)
        return None
    return Member("check" if is_check else "pool", text)


def _look_for_circles(
    checks: Mapping[str, Check | None],
    pools: Mapping[str, Pool | None],
    places: Mapping[str, Where],
    report: Report,
) -> None:
    """Complain of the circles that walks from some check close, as far as somebody reads that."""
    done: set[Member] = set()
    left = MOST_CIRCLES
    for name in places:
        path = {Member("check", name): _below(Member("check", name), checks, pools)}
        while path and left:
            here = next(reversed(path))
            member = next(path[here], None)
            if member is None:
                del path[here]
                done.add(here)
            elif member in path:
                steps = list(path)
                _complain(steps[steps.index(member) :], places, report)
                left -= 1
            elif member not in done:
                path[member] = _below(member, checks, pools)


def _complain(circle: list[Member], places: Mapping[str, Where], report: Report) -> None:
    """Of a circle, from the first check in it: there is one, a pool names nothing else."""
    first = next(n for n, member in enumerate(circle) if member.kind == "check")
    steps = [*circle[first:], *circle[:first], circle[first]]
    what = f"checks in a circle: {' → '.join(map(_tell, steps))}"
    report.error(places[steps[0].name], f"check {quote(steps[0].name)}", what)


def _below(
    member: Member, checks: Mapping[str, Check | None], pools: Mapping[str, Pool | None]
) -> Iterator[Member]:
    """What this one's health follows from."""
    if member.kind == "check":
        check = checks[member.name]
        return iter(() if check is None else check.of)
    pool = pools[member.name]
    name = None if pool is None else pool.check
    return iter(() if name is None or name not in checks else (Member("check", name),))


def _tell(member: Member) -> str:
    return f"pool/{member.name}" if member.kind == "pool" else member.name
