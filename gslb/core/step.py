"""The steps of an explanation: the walk over a policy in the words of an operator.

Knows: how each kind of node is told, with distances, weights and what is wrong with an
endpoint. Refuses to know: questions, zones, how anything was decided: it words what `evaluate`
told its trace. Invariant: a step changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final, assert_never

from gslb.core.client import Element, Kind, Location, Network
from gslb.core.decide import Visit
from gslb.core.draw import rendezvous
from gslb.core.health import AddressHealth, State, standing
from gslb.core.nearest import biased, child_distance_m, rank
from gslb.core.policy import (
    RANKED,
    Child,
    Failover,
    Family,
    Nearest,
    Pool,
    PoolNode,
    RoundRobin,
    Routes,
    Sticky,
    Weighted,
    pools_below,
)
from gslb.core.ramp import FULL
from gslb.core.route import Specificity, facts
from gslb.core.subject import Subject
from gslb.core.world import Configuration, World

MOST_TOLD: Final = 8  # endpoints of a pool, pools of a branch

_KINDS: Final = {
    PoolNode: "pool",
    Failover: "failover",
    RoundRobin: "round_robin",
    Weighted: "weighted",
    Nearest: "nearest",
    Sticky: "sticky",
    Routes: "routes",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an explanation. `kind` is "zone", "client", a node's kind, "ttl", "scope" …"""

    depth: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: `groups` are the client groups it is in, each with the element that matches
    it most closely."""

    subject: Subject
    location: Location
    groups: Mapping[str, Element]

    def __str__(self) -> str:
        place = self.location
        known = [place.continent, place.country, *place.subdivisions]
        if place.at is not None:
            known.append(f"at {place.at[0]:.2f},{place.at[1]:.2f}")
        if place.asn:
            known.append(f"AS{place.asn}")
        where = " ".join(part for part in known if part) or "location unknown"
        groups = [f"{name} ({_element(element)})" for name, element in self.groups.items()]
        inside = f"; client groups: {', '.join(groups)}" if groups else ""
        return f"{self.subject}: {where}{inside}"


def client_of(config: Configuration, subject: Subject, location: Location) -> Client:
    """The client at a place."""
    known = facts(location, ())

    def rank_of(element: Element) -> Specificity | None:
        network = element.network
        if network is None:
            return known.get(element)
        if network.family != subject.family or not network.first <= subject.address <= network.last:
            return None
        return Kind.NETWORK, network.length

    groups = {}
    for group in config.clients.values():
        ranked = ((rank_of(element), element) for element in group.elements)
        matches = [(rank, element) for rank, element in ranked if rank is not None]
        if matches:
            groups[group.name] = max(matches, key=lambda match: match[0])[1]
    return Client(subject, location, groups)


class Teller:
    """Words the visits of one policy for one client."""

    def __init__(self, world: World, family: Family, client: Client, prefix: bytes) -> None:
        self._world, self._family = world, family
        self._client, self._prefix = client, prefix
        config = world.plan.config
        self._names = {
            policy.node.id: policy.name
            for policy in config.policies.values()
            if not isinstance(policy.node, PoolNode)
        }

    def steps(self, visits: Sequence[Visit]) -> list[Step]:
        """One step for each visit."""
        return [Step(v.depth + 1, self._kind(v), self._text(v)) for v in visits]

    def away(self, pool: Pool) -> str:
        """How far a pool's data center is from the client: ", 640 km away", or nothing."""
        home, at = pool.datacenter, self._client.location.at
        if home is None or home.at is None or at is None:
            return ""
        metres = child_distance_m(PoolNode(-1, pool), at)
        return "" if metres is None else f", {_km(metres)} away"

    def _kind(self, visit: Visit) -> str:
        return "policy" if visit.node is None else _KINDS[type(visit.node)]

    def _text(self, visit: Visit) -> str:
        node = visit.node
        if node is None:
            return visit.text
        if isinstance(node, PoolNode):
            return self._pool(node.pool, visit.text)
        text = visit.text or self._choosing(node, visit.order)
        name = self._names.get(node.id) if visit.depth else None
        return text if name is None else f"(policy {name}) {text}"

    def _choosing(
        self,
        node: Failover | RoundRobin | Weighted | Nearest | Sticky | Routes,
        order: tuple[int, ...],
    ) -> str:
        match node:
            case Routes():
                return self._route(node, order[0])
            case Failover():
                return f"in this order: {_names(node.children)}"
            case RoundRobin():
                return f"in turn: {_names(node.children)}"
            case Weighted():
                return f"in proportion: {_weights(node)}"
            case Sticky():
                names = [child.name for child in node.children]
                best = rendezvous(node.policy, self._prefix, names, node.weights)
                ranked = _names([node.children[number] for number in best])
                return f"by the hash of {_prefix_text(self._prefix)}: {ranked} ({_weights(node)})"
            case Nearest():
                return self._nearest(node, order)
            case _:
                assert_never(node)

    def _route(self, node: Routes, number: int) -> str:
        route = node.routes[number]
        fence = ", fence" if route.fence else ""
        who = "anybody"
        if route.group is not None:
            element = self._client.groups.get(route.group)
            who = f"from {route.group}" + (f" ({_element(element)})" if element else "")
        return f"{who}: to {_name(route.target)}{fence}"

    def _nearest(self, node: Nearest, order: tuple[int, ...]) -> str:
        at = self._client.location.at
        if at is None:
            return f"location unknown, so in the configured order: {_names(node.children)}"
        metres = [child_distance_m(child.node, at) for child in node.children]
        tried = [_distance(node, number, metres[number]) for number in order]
        text = ", ".join(tried) or "no child in reach"
        far = [n for n in range(len(metres)) if n not in order]
        if far:
            beyond = ", ".join(_distance(node, number, metres[number]) for number in far)
            text += f"; beyond {node.max_km:g} km: {beyond}"
        if len(order) > RANKED:
            text += f"; from the fifth on by the distance from {_name(node.children[order[0]])}"
        if order != rank(node, self._client.location):
            text += "; the order is that of most of the network around the client"
        return text

    def _pool(self, pool: Pool, verdict: str) -> str:
        health = self._world.health.pools[pool.index]
        states = health.of(self._family)
        ramps = bool(standing(pool, health, self._family, 1).ramps)
        notes = []
        for endpoint, state in zip(pool.endpoints, states, strict=True):
            packed = endpoint.address(self._family)
            note = _condition(state, ramps)
            if packed is not None and note:
                notes.append(f"{ip_address(packed)} {note}")
        if pool.shed is not None and health.share < FULL:
            notes.insert(0, f"sheds {FULL - health.share} % of its answers")
        where = f" in {pool.datacenter.name}" if pool.datacenter is not None else ""
        return "; ".join([f"{pool.name}{where}: {verdict}", *_some(notes)])


def _condition(state: AddressHealth, ramps: bool) -> str:
    """What is to be said of an address; nothing of one that is simply up."""
    found = []
    match state.forced:
        case "drain":
            found.append("is drained")
        case "up" | "down":
            found.append(f"is forced {state.forced}")
        case "":
            found += _probed(state)
        case _:
            assert_never(state.forced)
    if state.forced == "up" and state.state is State.DOWN:
        found.append("probes say down")
    if state.leaving:
        found.append("is about to be drained")
    if ramps and state.offers < FULL and state.usable(1):
        found.append(f"is back, weight at {state.offers} %")
    return ", ".join(found)


def _probed(state: AddressHealth) -> list[str]:
    down = state.state is State.DOWN
    if state.flip_s is None:
        return ["is down"] if down else []
    what = "is down, may be up" if down else "fails, may be down"
    return [f"{what} in {state.flip_s:g} s"]


def _some(texts: list[str]) -> list[str]:
    if len(texts) <= MOST_TOLD:
        return texts
    return [*texts[:MOST_TOLD], f"and {len(texts) - MOST_TOLD} more"]


def _name(child: Child) -> str:
    """The name in the file; a branch without one is told by its pools."""
    if isinstance(child.node, PoolNode) or child.name != _KINDS[type(child.node)]:
        return child.name
    return f"[{', '.join(_some([pool.name for pool in pools_below(child.node)]))}]"


def _names(children: Sequence[Child]) -> str:
    return ", ".join(_name(child) for child in children)


def _weights(node: Weighted | Sticky) -> str:
    parts = zip(node.children, node.weights, strict=True)
    return ", ".join(f"{_name(child)} {weight or 'standby'}" for child, weight in parts)


def _distance(node: Nearest, number: int, metres: int | None) -> str:
    name, bias = _name(node.children[number]), node.bias[number]
    if metres is None:
        return f"{name} without coordinates"
    seen = f" (bias {bias}: as {_km(biased(metres, bias))})" if bias else ""
    return f"{name} {_km(metres)}{seen}"


def _km(metres: float) -> str:
    return f"{round(metres / 1000)} km"


def _element(element: Element) -> str:
    match element.kind:
        case Kind.NETWORK:
            assert element.network is not None, "an element of this kind has one"
            return _network(element.network)
        case Kind.ASN:
            return f"AS{element.asn}"
        case Kind.ANYBODY | Kind.CONTINENT | Kind.COUNTRY | Kind.SUBDIVISION:
            return f"{element.kind.name.lower()} {element.code}"
        case _:
            assert_never(element.kind)


def _network(network: Network) -> str:
    octets = 4 if network.family == 4 else 8
    packed = network.first.to_bytes(octets, "big")
    return str(ip_network((packed if octets == 4 else packed + bytes(8), network.length)))


def _prefix_text(prefix: bytes) -> str:
    octets = 4 if len(prefix) < 4 else 16
    return str(ip_network((prefix.ljust(octets, b"\0"), 8 * len(prefix))))
