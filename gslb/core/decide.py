"""Which endpoints a client may get: the policy tree, walked once (design: steering.md).

Knows: backtracking, fences, the three passes, `when_all_down`, shedding, what of health was read.
Refuses to know: clocks, dice, counters, addresses of clients; what is left to chance stays
a Branch that draw.py settles. Invariant: with and without a trace the Outcome is the same,
because a trace is only told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, assert_never

from gslb.core.health import AddressHealth, Health, Pass, standing
from gslb.core.policy import (
    Child,
    Failover,
    Family,
    Nearest,
    Node,
    Policy,
    Pool,
    PoolNode,
    RoundRobin,
    Routes,
    Sticky,
    Weighted,
    pools_below,
)
from gslb.core.table import Treatment

Rule = Literal["", "ignore_probes", "ignore_all", "any", "nodata", "servfail", "pool"]
Kind = Literal["ordered", "weighted", "round_robin", "sticky"]
PASSES: tuple[Pass, Pass, Pass] = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Offer:
    """A pool and what it hands out: (endpoint index, weight > 0).

    `ramps`: the percentage that counts of each of these, or empty (core/health.py, Standing).
    """

    id: int
    pool: Pool
    offered: tuple[tuple[int, int], ...]
    ramps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """Branches that are left to a draw; weight 0 is standby, used when the others run out.

    "ordered" takes the branches as they are (failover and nearest with `take` above 1).
    """

    id: int
    kind: Kind
    names: tuple[str, ...]
    weights: tuple[int, ...]
    branches: tuple[Branch, ...]
    take: int = 1
    policy: str = ""


Branch = Offer | Choice


@dataclass(frozen=True, slots=True)
class Fenced:
    """A fence was met and its target is unavailable: the decision ends here."""

    target: Node


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `evaluate` found. `branch` None: NODATA or SERVFAIL, as `rule` says.

    `rule` is empty for an ordinary decision and else names the last resort. `read` are the
    indexes of the pools whose health was looked at; `flip_s` the seconds to the earliest
    change among them, None if nothing is about to change; `leaving`: a drain begins in one of
    them. `again`: shedding left nothing, so it was decided without.
    """

    branch: Branch | None
    rule: Rule
    read: tuple[int, ...]
    flip_s: float | None
    leaving: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """A node met on the walk, or with `node` None a remark between them.

    `order`: the numbers of the branches (one for a route) in the order of being looked at;
    `text`: what was found of a pool or a fence.
    """

    depth: int
    node: Node | None
    text: str = ""
    order: tuple[int, ...] = ()


@dataclass(slots=True)
class Trace:
    """A recorder of visits in the order of the walk."""

    visits: list[Visit] = field(default_factory=list)

    def tell(
        self, depth: int, node: Node | None, text: str = "", order: tuple[int, ...] = ()
    ) -> None:
        """Adds a visit."""
        self.visits.append(Visit(depth, node, text, order))


def evaluate(
    policy: Policy,
    treatment: Treatment,
    family: Family,
    health: Health,
    trace: Trace | None = None,
    shed: frozenset[int] = frozenset(),
) -> Outcome:
    """The outcome of a policy for one treatment, family and health.

    `shed`: indexes of the pools that their load keeps from this answer. They are unavailable;
    if nothing remains, or a fence is met, it is decided again without shedding (health.md, Load).
    The caller has seen that the policy has the family (steering.md, Families).
    """
    walk = _Walk(policy, treatment, family, health, 1, trace, shed)
    first = walk.visit(policy.node, 0, policy.take)
    read = set(walk.read)
    again = bool(shed) and (first is None or isinstance(first, Fenced))
    if again:
        if trace is not None:
            trace.tell(0, None, "nothing remains: again, as if no pool shed")
        walk = _Walk(policy, treatment, family, health, 1, trace)
        first = walk.visit(policy.node, 0, policy.take)
        read |= walk.read
    branch: Branch | None
    rule: Rule = ""
    if first is None or isinstance(first, Fenced):
        start = first.target if isinstance(first, Fenced) else policy.node
        if trace is not None:
            trace.tell(0, None, f"nothing available: when_all_down {_resort_text(policy)}")
        branch, rule = _last_resort(policy, start, treatment, family, health, trace, read)
    else:
        branch = first
    addresses = [address for index in read for address in health.pools[index].of(family)]
    return Outcome(
        branch,
        rule,
        tuple(sorted(read)),
        _flip(addresses),
        any(address.leaving for address in addresses),
        again and not rule,
    )


def _resort_text(policy: Policy) -> str:
    return policy.last_pool.name if policy.last_pool is not None else policy.last_resort


def _last_resort(
    policy: Policy,
    start: Node,
    treatment: Treatment,
    family: Family,
    health: Health,
    trace: Trace | None,
    read: set[int],
) -> tuple[Branch | None, Rule]:
    """steering.md, "Nothing available"; `start` is the fenced target, if there was a fence."""
    match policy.last_resort:
        case "nodata":
            return None, "nodata"
        case "servfail":
            return None, "servfail"
        case "pool":
            assert policy.last_pool is not None, "the reader resolves the name"
            offer = _best_left((policy.last_pool,), family, health, read)
            if offer is not None:
                return offer, "pool"
        case "serve_all":
            pass
        case _:
            assert_never(policy.last_resort)
    passes: tuple[tuple[Pass, Rule, str], ...] = (
        (2, "ignore_probes", "again, as if probes did not count"),
        (3, "ignore_all", "again, as if neither probes nor operators counted"),
    )
    for which, rule, remark in passes:
        if trace is not None:
            trace.tell(0, None, remark)
        walk = _Walk(policy, treatment, family, health, which, trace)
        found = walk.visit(start, 0, policy.take)
        read |= walk.read
        # No fence is met here: one whose target is unavailable ended pass 1, and `start` is it.
        if found is not None and not isinstance(found, Fenced):
            return found, rule
    # Nothing this client can reach has an address of the family (max_km, a one-family
    # route). A type must not come and go with the client, so the first pool that has one.
    for below in (start, policy.node):
        offer = _best_left(pools_below(below), family, health, read)
        if offer is not None:
            return offer, "any"
    return None, "nodata"


def _best_left(
    pools: tuple[Pool, ...], family: Family, health: Health, read: set[int]
) -> Offer | None:
    """The first pool that has something to hand out: what is up, else what operators left."""
    for which in PASSES:
        for pool in pools:
            read.add(pool.index)
            given = standing(pool, health.pools[pool.index], family, which)
            if given.offered:
                return Offer(-1 - pool.index, pool, given.offered, given.ramps)
    return None


def _flip(addresses: Iterable[AddressHealth]) -> float | None:
    """Seconds until the earliest change among those that nobody forced."""
    flips = [a.flip_s for a in addresses if a.flip_s is not None and not a.forced]
    return min(flips, default=None)


def answer_ttl(policy: Policy, record_ttl: int, outcome: Outcome) -> tuple[int, str]:
    """(TTL, the rule that set it) (steering.md, TTL); never above the record's."""
    least = policy.ttl_min_s if policy.ttl_min_s is not None else max(5, record_ttl // 4)
    least = min(least, record_ttl)
    if outcome.rule == "nodata":
        return record_ttl, "the record's, which the SOA's is cut to"
    if outcome.rule:
        return least, "ttl_min, because nothing is available"
    if outcome.leaving:
        return least, "ttl_min, because a drain begins"
    if outcome.flip_s is None:
        return record_ttl, "the record's"
    soon = int(outcome.flip_s)
    if soon >= record_ttl:
        return record_ttl, f"the record's: no health change before {soon} s"
    if soon >= least:
        return soon, f"health may change in {soon} s"
    return least, f"ttl_min, because health may change in {soon} s"


class _Walk:
    """One pass over the tree. A node is settled once, however many ways lead to it."""

    def __init__(
        self,
        policy: Policy,
        treatment: Treatment,
        family: Family,
        health: Health,
        which: Pass,
        trace: Trace | None,
        shed: frozenset[int] = frozenset(),
    ) -> None:
        self.policy, self.treatment, self.family = policy, treatment, family
        self.health, self.which, self.trace, self.shed = health, which, trace, shed
        self.read: set[int] = set()
        self.settled: dict[tuple[int, int], Branch | Fenced | None] = {}

    def visit(self, node: Node, depth: int, take: int = 1) -> Branch | Fenced | None:
        """The branch of a node if it is available; `take` is for the first choosing node."""
        if isinstance(node, PoolNode):
            return self._pool(node, depth)
        key = (node.id, take)
        if key in self.settled:
            self._tell(depth, node, "as above")
            return self.settled[key]
        match node:
            case Routes():
                result = self._routes(node, depth, take)
            case Failover() | Nearest():
                result = self._ordered(node, depth, take)
            case RoundRobin() | Weighted() | Sticky():
                result = self._drawn(node, depth, take)
            case _:
                assert_never(node)
        self.settled[key] = result
        return result

    def _tell(self, depth: int, node: Node, text: str = "", order: tuple[int, ...] = ()) -> None:
        if self.trace is not None:
            self.trace.tell(depth, node, text, order)

    def _pool(self, node: PoolNode, depth: int) -> Offer | None:
        pool = node.pool
        self.read.add(pool.index)
        given = standing(pool, self.health.pools[pool.index], self.family, self.which)
        if given.available and pool.index in self.shed:
            self._tell(depth, node, f"not for this answer, because of its load, {given.why}")
            return None
        verdict = "available" if given.available else "unavailable"
        self._tell(depth, node, f"{verdict}, {given.why}")
        if not given.available:
            return None
        return Offer(node.id, pool, given.offered, given.ramps)

    def _routes(self, node: Routes, depth: int, take: int) -> Branch | Fenced | None:
        for number in self.treatment[node.id]:
            route = node.routes[number]
            self._tell(depth, node, order=(number,))
            found = self.visit(route.target.node, depth + 1, take)
            if found is not None:
                return found
            if route.fence:
                self._tell(depth, node, "fence: the decision ends here")
                return Fenced(route.target.node)
        return None

    def _ordered(self, node: Failover | Nearest, depth: int, take: int) -> Branch | Fenced | None:
        order = tuple(range(len(node.children)))
        if isinstance(node, Nearest):
            order = self.treatment[node.id]
        self._tell(depth, node, order=order)
        found, fence = self._first(take, node.children, order, depth)
        if not found:
            return fence
        return _choice(node, "ordered", found, (1,) * len(node.children), take)

    def _drawn(
        self, node: RoundRobin | Weighted | Sticky, depth: int, take: int
    ) -> Branch | Fenced | None:
        weights = (1,) * len(node.children) if isinstance(node, RoundRobin) else node.weights
        order = tuple(range(len(weights)))
        self._tell(depth, node, order=order)
        active = tuple(number for number in order if weights[number])
        standby = tuple(number for number in order if not weights[number])
        found, fence = self._first(len(active), node.children, active, depth)
        # Standby branches are looked at only when they are wanted: their fences and their
        # health are nobody's business before.
        if not found and fence is None:
            found, fence = self._first(len(standby), node.children, standby, depth)
        elif fence is None and len(found) < take:
            more, _ = self._first(take - len(found), node.children, standby, depth)
            found |= more
        if fence is not None or not found:
            return fence
        match node:
            case RoundRobin():
                return _choice(node, "round_robin", found, weights, take)
            case Weighted():
                return _choice(node, "weighted", found, weights, take)
            case Sticky():
                return _choice(node, "sticky", found, weights, take, node.policy)

    def _first(
        self, most: int, children: tuple[Child, ...], order: tuple[int, ...], depth: int
    ) -> tuple[dict[int, Branch], Fenced | None]:
        """The first available children by their number, and the fence that ended the search."""
        found: dict[int, Branch] = {}
        for number in order:
            if len(found) == most:
                break
            branch = self.visit(children[number].node, depth + 1)
            if isinstance(branch, Fenced):
                return found, branch
            if branch is not None:
                found[number] = branch
        return found, None


def _choice(
    node: Failover | Nearest | RoundRobin | Weighted | Sticky,
    kind: Kind,
    found: dict[int, Branch],
    weights: tuple[int, ...],
    take: int,
    policy: str = "",
) -> Branch:
    """The children found, by number in the order of being found; a single one is no choice."""
    if len(found) == 1:
        return next(iter(found.values()))
    names = tuple(node.children[number].name for number in found)
    of = tuple(weights[number] for number in found)
    return Choice(node.id, kind, names, of, tuple(found.values()), take, policy)
