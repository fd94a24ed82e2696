"""Pools and policies: what is handed out, and the tree that chooses (design: steering.md).

Knows: the shape of a policy as plain frozen data, and what can be said of it without a
client or health (families, pools and data centers below a node). Refuses to know: YAML,
health, the map. Invariant: references by name are already resolved, the graph has no
cycle, and every node has an `id` that is unique in its plan: treatments and turn
counters are kept by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Family = Literal[4, 6]
FAMILIES: tuple[Family, Family] = (4, 6)
Pick = Literal["weighted", "round_robin", "sticky"]
LastResort = Literal["serve_all", "nodata", "servfail", "pool"]

RANKED = 4  # children of `nearest` told apart per client (compile.md, The treatment)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address, or a dual-stack pair, of a pool. Addresses are packed, 4 and 16 octets."""

    name: str
    ipv4: bytes | None
    ipv6: bytes | None
    weight: int = 1
    check_address: str | None = None
    check_port: int | None = None

    def address(self, family: Family) -> bytes | None:
        """The packed address of a family, or None."""
        return self.ipv4 if family == 4 else self.ipv6


@dataclass(frozen=True, slots=True)
class Amount:
    """A number, or a percentage (`percent` true) that rounds up and is at least 1."""

    value: int
    percent: bool = False

    def of(self, total: int) -> int:
        """How many of `total`; a number is capped at `total`, a share rounds up, at least 1."""
        if not self.percent:
            return min(self.value, total)
        return max(1, -(-self.value * total // 100))


@dataclass(frozen=True, slots=True)
class DataCenter:
    """Where pools live. `at` is (latitude, longitude) in degrees; capacity is any unit."""

    name: str
    at: tuple[float, float] | None = None
    capacity: float | None = None


@dataclass(frozen=True, slots=True)
class Shed:
    """`shed`: from `low` on the pool's share falls, at `high` it is 0; loads, 1.0 is full.

    It changes by at most 10 percentage points an `interval_s`.
    """

    low: float
    high: float
    interval_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Pool:
    """Endpoints of one service in one data center. `index` is its place in the plan.

    `panic`: the percentage of endpoints down above which all are handed out, None for never.
    `ramp_s`: how long a recovered endpoint's weight rises, 0 for at once. `manual_resume`: after a
    failure it stays out until somebody says so.
    """

    index: int
    name: str
    endpoints: tuple[Endpoint, ...]
    datacenter: DataCenter | None = None
    check: str | None = None
    min_healthy: Amount = Amount(1)
    pick: Pick = "weighted"
    panic: int | None = None
    ramp_s: float = 0.0
    shed: Shed | None = None
    manual_resume: bool = False

    def has(self, family: Family) -> bool:
        """True if an endpoint has an address of the family."""
        return any(endpoint.address(family) is not None for endpoint in self.endpoints)


@dataclass(frozen=True, slots=True)
class Child:
    """A branch under the name it was written with (`bias`, `weighted`, `sticky` name it)."""

    name: str
    node: Node


@dataclass(frozen=True, slots=True)
class PoolNode:
    """A leaf."""

    id: int
    pool: Pool


@dataclass(frozen=True, slots=True)
class Failover:
    """The first available child."""

    id: int
    children: tuple[Child, ...]


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Available children in turn; one counter per (node, family) and server."""

    id: int
    children: tuple[Child, ...]


@dataclass(frozen=True, slots=True)
class Weighted:
    """Available children in proportion; weight 0 is standby."""

    id: int
    children: tuple[Child, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Nearest:
    """Children by great-circle distance. `bias` per child, -99..99; `max_km` 0 means none."""

    id: int
    children: tuple[Child, ...]
    bias: tuple[int, ...]
    max_km: float = 0.0


@dataclass(frozen=True, slots=True)
class Sticky:
    """Weighted rendezvous hash of the client's prefix; `policy` is part of what is hashed."""

    id: int
    children: tuple[Child, ...]
    weights: tuple[int, ...]
    policy: str


@dataclass(frozen=True, slots=True)
class Route:
    """`group` is a client group's name, None for the catch-all."""

    group: str | None
    target: Child
    fence: bool = False


@dataclass(frozen=True, slots=True)
class Routes:
    """By client group, the most specific match first; the catch-all is last."""

    id: int
    routes: tuple[Route, ...]


Node = PoolNode | Failover | RoundRobin | Weighted | Nearest | Sticky | Routes


@dataclass(frozen=True, slots=True)
class Policy:
    """A named tree and the options read from it when a STEER record names it.

    `answers` 0 means all. `ttl_min_s` None: a quarter of the record's TTL, at least 5.
    `last_resort` "pool" hands out `last_pool` whatever its health.
    """

    name: str
    node: Node
    answers: int = 4
    take: int = 1
    last_resort: LastResort = "serve_all"
    last_pool: Pool | None = None
    ttl_min_s: int | None = None
    ecs: bool = True

    def has(self, family: Family) -> bool:
        """True if any pool that its tree can reach has an address of the family.

        The pool of the last resort does not count: the clients of a family that only it has
        would get nothing else, ever.
        """
        return any(pool.has(family) for pool in pools_below(self.node))


def children_of(node: Node) -> tuple[Child, ...]:
    """The branches of a node in configured order."""
    match node:
        case PoolNode():
            return ()
        case Routes():
            return tuple(route.target for route in node.routes)
        case _:
            return node.children


def walk(node: Node) -> Iterator[Node]:
    """The node and every node below it, each once, in configured order."""
    seen: set[int] = set()
    stack: list[Node] = [node]
    while stack:
        current = stack.pop()
        if current.id in seen:
            continue
        seen.add(current.id)
        yield current
        stack.extend(child.node for child in reversed(children_of(current)))


def pools_below(node: Node) -> tuple[Pool, ...]:
    """Every pool a node can reach, each once, in configured order."""
    pools = {n.pool.index: n.pool for n in walk(node) if isinstance(n, PoolNode)}
    return tuple(pools.values())


def places_below(node: Node) -> tuple[tuple[float, float], ...]:
    """The coordinates of the data centers of all pools below, whatever their health."""
    found: dict[tuple[float, float], None] = {}
    for pool in pools_below(node):
        if pool.datacenter is not None and pool.datacenter.at is not None:
            found[pool.datacenter.at] = None
    return tuple(found)


def is_sticky(node: Node) -> bool:
    """True if a rendezvous hash can be reached: the leaf is then cut to at least /24 and /56."""
    return any(
        isinstance(n, Sticky) or (isinstance(n, PoolNode) and n.pool.pick == "sticky")
        for n in walk(node)
    )
