"""What can only be seen when everything is read: how zones, policies, pools and maps fit.

Knows: the errors and warnings of config.md, Validation, that are about several objects.
Refuses to know: YAML. Invariant: only looks; a policy is looked at from where a query
enters it (a STEER record, or, for policies nobody steers to or uses, itself), because
options and families are those of the policy that the STEER record names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gslb.config.calculated import look_at_families
from gslb.config.check import USUAL_PORTS
from gslb.config.policy import Book
from gslb.config.report import Report, listing, quote
from gslb.config.zonefolder import Steer
from gslb.core.check import Check
from gslb.core.client import ClientGroup, Kind
from gslb.core.policy import (
    FAMILIES,
    Family,
    Nearest,
    Node,
    Policy,
    Pool,
    PoolNode,
    Routes,
    pools_below,
    walk,
)
from gslb.core.setting import GeoSettings
from gslb.errors import Where
from gslb.wire.name import to_text


@dataclass(frozen=True, slots=True)
class Parts:
    """All that was read; `places` are those of client groups, data centers, checks and pools.

    `steers_are_known`: the zones had no error, so that a policy without STEER has none.
    """

    geo: GeoSettings
    checks: Mapping[str, Check]
    pools: tuple[Pool, ...]
    clients: Mapping[str, ClientGroup]
    book: Book
    steers: tuple[Steer, ...]
    steers_are_known: bool
    places: Mapping[tuple[str, str], Where]


def review(parts: Parts, report: Report) -> None:
    """Complain of all that does not fit."""
    nodes = _Nodes(parts)
    steered = _look_at_steers(parts, nodes, report)
    _look_at_groups(parts, report)
    _look_at_ports(parts, report)
    look_at_families(parts.checks, parts.pools, parts.places, report)
    members = (member for check in parts.checks.values() for member in check.of)
    used = parts.book.used | {member.name for member in members if member.kind == "pool"}
    for pool in parts.pools:
        if pool.name not in used and parts.book.is_whole:
            where = parts.places["pools", pool.name]
            report.warn(where, f"pool {quote(pool.name)}", "no policy uses it")
    if parts.steers_are_known:
        _look_for_unread_options(parts.book, steered, report)
    every: dict[int, Node] = {}
    for policy in parts.book.policies.values():
        if policy.node.id not in every:
            every.update((node.id, node) for node in walk(policy.node))
        if policy.name in steered or policy.name not in parts.book.used:
            _look_at_fences(policy, nodes, parts.book, report)
        if policy.name in steered:
            _look_at_families(policy, nodes, parts.book, report)
            _look_at_weights(policy, nodes, parts.book, report)
    _look_at_nearest([node for node in every.values() if isinstance(node, Nearest)], parts, report)


def _look_at_steers(parts: Parts, nodes: _Nodes, report: Report) -> set[str]:
    """The policies that a STEER record names; unknown ones are errors."""
    book = parts.book
    unchecked: set[str] = set()
    for steer in parts.steers:
        name = to_text(steer.owner)
        subject = f"name {quote(name if name == '.' else name[:-1])}"
        if steer.policy not in book.places:
            hint = report.suggest(steer.policy, book.places)
            if ("pools", steer.policy) in parts.places:
                hint = "it is a pool: write a policy that names it"
            report.error(steer.where, subject, f"unknown policy {quote(steer.policy)}", hint)
            continue
        policy = book.policies.get(steer.policy)
        if policy is None or policy.name in unchecked:
            continue
        if not nodes.below(policy.node).checked:
            what = f"no pool of policy {quote(policy.name)} has a check"
            report.warn(steer.where, subject, what, "what is down stays in the answers")
            unchecked.add(policy.name)
    return {steer.policy for steer in parts.steers}


def _look_at_groups(parts: Parts, report: Report) -> None:
    """Country and ASN groups match nobody without a database."""
    missing = {
        "geo.city": () if parts.geo.city else (Kind.CONTINENT, Kind.COUNTRY, Kind.SUBDIVISION),
        "geo.asn": () if parts.geo.asn else (Kind.ASN,),
    }
    for name, group in parts.clients.items():
        kinds = {element.kind for element in group.elements}
        for database, needing in missing.items():
            if kinds.intersection(needing):
                noun = "an AS number" if database == "geo.asn" else "a country"
                where = parts.places["clients", name]
                what = f"has {noun} and there is no {database}"
                report.warn(where, f"client group {quote(name)}", what, f"set {database}")


def _look_at_ports(parts: Parts, report: Report) -> None:
    """Some checks have no usual port: without one, every endpoint says its own."""
    seen: set[str] = set()
    for pool in parts.pools:
        name = pool.check or ""
        lacking = next((each for each in pool.endpoints if each.check_port is None), None)
        if lacking is None or name in seen:  # a check is complained of once
            continue
        seen.add(name)
        for check in _with_ports(name, parts.checks):
            if not check.port:
                where = parts.places["checks", check.name]
                hint = f"endpoint {quote(lacking.name)} of pool {quote(pool.name)} needs it"
                report.error(where, f"check {quote(check.name)}", '"port" is missing', hint)


def _with_ports(name: str, checks: Mapping[str, Check]) -> Iterator[Check]:
    """Of a check and those that it counts, the ones that are probed at a port."""
    names, seen = [name], {""}
    while names:
        if (name := names.pop()) in seen:
            continue
        seen.add(name)
        if (check := checks.get(name)) is None:
            continue
        names += [member.name for member in check.of if member.kind == "check"]
        wants = any("{port}" in argument for argument in check.command[1:])
        if check.type in USUAL_PORTS or check.type == "tcp" or wants:
            yield check


def _look_for_unread_options(book: Book, steered: set[str], report: Report) -> None:
    for name, options in book.options.items():
        for key, where in options.items() if name not in steered else ():
            what = f"{quote(key)} is not read: no STEER record names this policy"
            report.warn(where, f"policy {quote(name)}", what)


@dataclass(frozen=True, slots=True)
class _Below:
    """What can be said of a node without options: computed once, however many policies use it.

    `uneven`: pools with unequal weights and how many endpoints of theirs are in use;
    `fences`: place, target and name of each fence.
    """

    families: tuple[Family, ...]
    uneven: tuple[tuple[Pool, int], ...]
    lopsided: tuple[Pool, Family] | None
    fences: tuple[tuple[Where, Node, str], ...]
    checked: bool


class _Nodes:
    """Looks below nodes, and remembers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: dict[int, _Below] = {}

    def below(self, node: Node) -> _Below:
        """What is below a node."""
        if node.id not in self._known:
            pools = pools_below(node)
            families = tuple(f for f in FAMILIES if any(pool.has(f) for pool in pools))
            sized = ((pool, max(_unequal(pool, family) for family in FAMILIES)) for pool in pools)
            self._known[node.id] = _Below(
                families,
                tuple((pool, size) for pool, size in sized if size),
                _lopsided(pools, families),
                tuple(self._fences(node)),
                any(_is_checked(pool, self._parts.checks) for pool in pools),
            )
        return self._known[node.id]

    def _fences(self, node: Node) -> Iterator[tuple[Where, Node, str]]:
        for each in walk(node):
            if isinstance(each, Routes):
                for index, route in enumerate(each.routes):
                    if route.fence:
                        where = self._parts.book.fences[each.id, index]
                        yield where, route.target.node, route.target.name


def _is_checked(pool: Pool, checks: Mapping[str, Check]) -> bool:
    if pool.check is None:
        return False
    check = checks.get(pool.check)  # a broken one is a check nevertheless
    return check is None or check.enabled


def _lopsided(pools: tuple[Pool, ...], families: tuple[Family, ...]) -> tuple[Pool, Family] | None:
    """A pool that sends A and AAAA apart, and the family it lacks."""
    homes = {pool.datacenter.name if pool.datacenter else f"pool {pool.name}" for pool in pools}
    for pool in pools if len(homes) > 1 else ():
        for family in families:
            if not pool.has(family):
                return pool, family
    return None


def _unequal(pool: Pool, family: Family) -> int:
    """How many endpoints of a family are in use, if their weights differ; else 0."""
    weights = [e.weight for e in pool.endpoints if e.weight and e.address(family) is not None]
    return len(weights) if len(set(weights)) > 1 else 0


def _look_at_fences(policy: Policy, nodes: _Nodes, book: Book, report: Report) -> None:
    subject = f"policy {quote(policy.name)}"
    below = nodes.below(policy.node)
    for where, target, name in below.fences:
        has = nodes.below(target).families
        if lacks := [f for f in FAMILIES if f not in has and policy.has(f)]:
            families = listing(f"IPv{family}" for family in lacks)
            what = f"fenced target {quote(name)} has no {families} address, and the policy has"
            report.error(where, subject, what, "add one, or take the fence away")
        alone = isinstance(target, PoolNode) and len(target.pool.endpoints) == 1
        if alone and policy.name not in book.resorts:
            what = f"fence onto pool {quote(name)} with one endpoint and no when_all_down"
            report.warn(where, subject, what, "say what is answered when it is down")


def _look_at_families(policy: Policy, nodes: _Nodes, book: Book, report: Report) -> None:
    if (found := nodes.below(policy.node).lopsided) is not None:
        pool, family = found
        what = "A and AAAA can lead to different data centers: "
        what += f"pool {quote(pool.name)} has no IPv{family} address"
        report.warn(book.places[policy.name], f"policy {quote(policy.name)}", what, "give it one")


def _look_at_weights(policy: Policy, nodes: _Nodes, book: Book, report: Report) -> None:
    # With `take`, slots are dealt one per child in turn.
    slots = -(-policy.answers // policy.take) if policy.answers else 0
    for pool, size in nodes.below(policy.node).uneven:
        if pool.pick != "round_robin" and (not slots or slots >= size):
            shown = str(policy.answers) if policy.answers else "all"
            what = f"answers {shown} reaches the {size} endpoints of pool {quote(pool.name)}"
            hint = "its unequal weights only order the answer: lower `answers`"
            where = book.options[policy.name].get("answers", book.places[policy.name])
            report.warn(where, f"policy {quote(policy.name)}", what, hint)


def _look_at_nearest(nodes: list[Nearest], parts: Parts, report: Report) -> None:
    """Each policy and each data center once, however many nodes look for the nearest there."""
    told, lost = set[str](), set[str]()
    for node in nodes:
        name, where = parts.book.nodes[node.id]
        if parts.geo.city is None and name not in told:
            told.add(name)
            what = "nearest, and there is no geo.city"
            hint = "clients get the configured order; set geo.city"
            report.warn(where, f"policy {quote(name)}", what, hint)
        for pool in pools_below(node):
            home = pool.datacenter
            if home is not None and home.at is None and home.name not in lost:
                lost.add(home.name)
                place = parts.places["datacenters", home.name]
                what = f"has no coordinates, and policy {quote(name)} looks for the nearest"
                report.warn(place, f"data center {quote(home.name)}", what, "add `at:`")
