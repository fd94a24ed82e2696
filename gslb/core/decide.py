"""Which endpoints a client may get: the policy tree, walked once (design: steering.md).

Knows: backtracking, fences, the three passes, `when_all_down`, what of health was read.
Refuses to know: clocks, dice, counters, addresses of clients; what is left to chance stays
a Branch that draw.py settles. Invariant: with and without a trace the Outcome is the same,
because a trace is only told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, assert_never

from gslb.core.health import Health, Pass, standing
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


@dataclass(frozen=True, slots=True)
class Offer:
    """A pool and what it hands out: (endpoint index, weight > 0)."""

    id: int
    pool: Pool
    offered: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Branches that are left to a draw; weight 0 is standby, used when the others run out.

    "ordered" takes the branches as they are (failover and nearest with `take` above 1).
    """

    id: int
    kind: Literal["ordered", "weighted", "round_robin", "sticky"]
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
    change among them, None if nothing is about to change.
    """

    branch: Branch | None
    rule: Rule
    read: tuple[int, ...]
    flip_s: float | None


@dataclass(slots=True)
class Trace:
    """A recorder: (depth, node, verdict) in the order of the walk, and remarks between them."""

    visits: list[tuple[int, Node | None, str]] = field(default_factory=list)

    def tell(self, depth: int, node: Node | None, verdict: str) -> None:
        """Adds a line."""
        self.visits.append((depth, node, verdict))


def evaluate(
    policy: Policy,
    treatment: Treatment,
    family: Family,
    health: Health,
    trace: Trace | None = None,
) -> Outcome:
    """The outcome of a policy for one treatment, family and health.

    The caller has seen that the policy has the family (steering.md, Families).
    """
    walk = _Walk(policy, treatment, family, health, 1, trace)
    first = walk.visit(policy.node, 0, policy.take)
    read = set(walk.read)
    if first is not None and not isinstance(first, Fenced):
        return Outcome(first, "", tuple(sorted(read)), _flip(policy, family, health, read))
    start = first.target if isinstance(first, Fenced) else policy.node
    if trace is not None:
        trace.tell(0, None, f"nothing available: when_all_down {policy.last_resort}")
    branch, rule = _last_resort(policy, start, treatment, family, health, trace, read)
    return Outcome(branch, rule, tuple(sorted(read)), _flip(policy, family, health, read))


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
            pool = policy.last_pool
            assert pool is not None, "the reader resolves the name"
            read.add(pool.index)
            given = standing(pool, health.pools[pool.index], family, 3)
            if given.offered:
                return Offer(-1 - pool.index, pool, given.offered), "pool"
        case "serve_all":
            pass
        case _:
            assert_never(policy.last_resort)
    passes: tuple[tuple[Pass, Rule], ...] = ((2, "ignore_probes"), (3, "ignore_all"))
    for which, rule in passes:
        walk = _Walk(policy, treatment, family, health, which, trace)
        found = walk.visit(start, 0, policy.take)
        read |= walk.read
        if isinstance(found, Fenced):
            start = found.target
        elif found is not None:
            return found, rule
    # Nothing this client can reach has an address of the family (max_km, a one-family
    # route). A type must not come and go with the client, so the first pool that has one.
    for pool in (*pools_below(start), *pools_below(policy.node)):
        given = standing(pool, health.pools[pool.index], family, 3)
        if given.offered:
            read.add(pool.index)
            return Offer(-1 - pool.index, pool, given.offered), "any"
    return None, "nodata"


def _flip(policy: Policy, family: Family, health: Health, read: set[int]) -> float | None:
    """Seconds until the earliest change among unforced endpoints of the pools read."""
    flips = [
        address.flip_s
        for index in read
        for address in health.pools[index].of(family)
        if address.flip_s is not None and not address.forced
    ]
    return min(flips, default=None)


def answer_ttl(policy: Policy, record_ttl: int, outcome: Outcome) -> tuple[int, str]:
    """(TTL, the rule that set it) (steering.md, TTL); never above the record's."""
    least = policy.ttl_min_s if policy.ttl_min_s is not None else max(5, record_ttl // 4)
    least = min(least, record_ttl)
    if outcome.rule:
        return least, "ttl_min: last resort"
    if outcome.flip_s is None:
        return record_ttl, "record"
    soon = int(outcome.flip_s)
    if soon >= record_ttl:
        return record_ttl, "record"
    if soon >= least:
        return soon, f"a health change may come in {soon} s"
    return least, f"ttl_min: a health change may come in {soon} s"


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
    ) -> None:
        self.policy, self.treatment, self.family = policy, treatment, family
        self.health, self.which, self.trace = health, which, trace
        self.read: set[int] = set()
        self.settled: dict[tuple[int, int], Branch | Fenced | None] = {}

    def visit(self, node: Node, depth: int, take: int = 1) -> Branch | Fenced | None:
        """The branch of a node if it is available; `take` is for the first choosing node."""
        key = (node.id, take)
        if key in self.settled:
            return self.settled[key]
        match node:
            case PoolNode():
                result: Branch | Fenced | None = self._pool(node, depth)
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

    def _tell(self, depth: int, node: Node, verdict: str) -> None:
        if self.trace is not None:
            self.trace.tell(depth, node, verdict)

    def _pool(self, node: PoolNode, depth: int) -> Offer | None:
        pool = node.pool
        self.read.add(pool.index)
        given = standing(pool, self.health.pools[pool.index], self.family, self.which)
        verdict = "available" if given.available else "unavailable"
        self._tell(depth, node, f"{verdict}, {given.why}")
        return Offer(node.id, pool, given.offered) if given.available else None

    def _routes(self, node: Routes, depth: int, take: int) -> Branch | Fenced | None:
        for number in self.treatment[node.id]:
            route = node.routes[number]
            fence = ", fence" if route.fence else ""
            who = f"from {route.group}" if route.group is not None else "anybody"
            self._tell(depth, node, f"{who}: to {route.target.name}{fence}")
            found = self.visit(route.target.node, depth + 1, take)
            if found is not None:
                return found
            if route.fence:
                self._tell(depth, node, "fence: the decision ends here")
                return Fenced(route.target.node)
        return None

    def _ordered(self, node: Failover | Nearest, depth: int, take: int) -> Branch | Fenced | None:
        children = node.children
        if isinstance(node, Nearest):
            children = tuple(children[number] for number in self.treatment[node.id])
        self._tell(depth, node, ", ".join(child.name for child in children) or "no child in reach")
        names: list[str] = []
        branches: list[Branch] = []
        for child in children:
            found = self.visit(child.node, depth + 1)
            if isinstance(found, Fenced):
                return found
            if found is not None:
                names.append(child.name)
                branches.append(found)
                if len(branches) == take:
                    break
        if len(branches) <= 1:
            return branches[0] if branches else None
        weights = (1,) * len(branches)
        return Choice(node.id, "ordered", tuple(names), weights, tuple(branches), take)

    def _drawn(
        self, node: RoundRobin | Weighted | Sticky, depth: int, take: int
    ) -> Branch | Fenced | None:
        weights = (1,) * len(node.children) if isinstance(node, RoundRobin) else node.weights
        listed = ", ".join(_weigh(c, w, node) for c, w in zip(node.children, weights, strict=True))
        self._tell(depth, node, listed)
        found: list[tuple[str, int, Branch]] = []
        for child, weight in zip(node.children, weights, strict=True):
            branch = self.visit(child.node, depth + 1)
            if isinstance(branch, Fenced):
                return branch
            if branch is not None:
                found.append((child.name, weight, branch))
        active = [entry for entry in found if entry[1] > 0]
        standby = [entry for entry in found if entry[1] == 0]
        active += standby[: take - len(active)] if active else standby
        if len(active) <= 1:
            return active[0][2] if active else None
        kind: Literal["round_robin", "weighted", "sticky"] = "weighted"
        if isinstance(node, RoundRobin):
            kind = "round_robin"
        elif isinstance(node, Sticky):
            kind = "sticky"
        names, weight_of, branches = zip(*active, strict=True)
        policy = node.policy if isinstance(node, Sticky) else ""
        return Choice(node.id, kind, names, weight_of, branches, take, policy)


def _weigh(child: Child, weight: int, node: Node) -> str:
    return child.name if isinstance(node, RoundRobin) else f"{child.name} {weight}"
