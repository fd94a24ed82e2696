"""An answer with every step that led to it: the same code that serves, told aloud.

Knows: the whole way from a name to addresses, aliases included (steering.md, Names: where
the server stops before a steered name, explaining goes on). Refuses to know: HTTP,
terminals, databases (a location is a callable). Invariant: answer, TTL and scope come from
`lookup`, `locate`, `evaluate`, `answer_ttl` and `draw`, never from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from gslb.core.answer import Absence, Found, Outcome, Owned, Referral, Refused, Steered, lookup
from gslb.core.client import NOWHERE, Location
from gslb.core.decide import Outcome as Decided
from gslb.core.decide import Trace, answer_ttl, evaluate
from gslb.core.draw import Fixed, Picks, draw, support
from gslb.core.nearest import child_distance_m
from gslb.core.policy import Family, Nearest, Node, Policy, PoolNode
from gslb.core.subject import Located, Subject, locate
from gslb.core.target import taken_down
from gslb.core.world import World
from gslb.core.zone import RRset
from gslb.wire.name import is_below, to_text
from gslb.wire.rdata import to_text as rdata_text
from gslb.wire.rrtype import CNAME, NOERROR, RCODE_TEXT, REFUSED, SERVFAIL, A, type_text

Locate = Callable[[bytes], Location]

_RULES = {
    "ignore_probes": "last resort: probes ignored (serve_all)",
    "ignore_all": "last resort: probes and overrides ignored (serve_all)",
    "any": "last resort: the first pool that has an address of the family",
    "pool": "last resort: the pool that when_all_down names",
    "nodata": "last resort: nodata",
    "servfail": "last resort: servfail",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the explanation. `kind` is "zone", "client", a node's kind, "ttl", "scope" …"""

    depth: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision for one question. `answer` holds records or addresses in text form.

    `ttl` None: no record. `scope` None: no client subnet was asked about.
    """

    name: str
    type: str
    rcode: str
    answer: tuple[str, ...]
    ttl: int | None
    scope: int | None
    client: str
    steps: tuple[Step, ...]

    def body(self) -> dict[str, object]:
        """What `--json` and `/v1/explain` give (cli.md)."""
        return {
            "name": self.name,
            "type": self.type,
            "rcode": self.rcode,
            "answer": list(self.answer),
            "ttl": self.ttl,
            "scope": self.scope,
            "client": self.client,
            "steps": [
                {"depth": step.depth, "kind": step.kind, "text": step.text} for step in self.steps
            ],
        }


@dataclass(frozen=True, slots=True)
class Ruling:
    """A steered question, settled: what explain shows and what `tests:` compare."""

    located: Located
    decided: Decided
    picks: Picks
    ttl: int
    ttl_rule: str
    possible: frozenset[bytes]


def rule(
    world: World,
    steered: Steered,
    family: Family,
    subject: Subject,
    trace: Trace | None = None,
) -> Ruling | None:
    """The ruling of a policy for a subject, None (NODATA) if it lacks the family."""
    policy = world.plan.config.policies[steered.policy]
    if not policy.has(family):
        return None
    table = world.plan.tables[steered.policy]
    located = locate(table, None, subject)
    treatment = table.treatments[located.treatment]
    decided = evaluate(policy, treatment, family, world.health, trace)
    ttl, ttl_rule = answer_ttl(policy, steered.ttl, decided)
    picks: Picks = ()
    possible: frozenset[bytes] = frozenset()
    if decided.branch is not None:
        picks = draw(decided.branch, family, policy.answers, policy.take, Fixed(located.prefix))
        pools = world.plan.config.pools
        possible = frozenset(
            packed
            for pool, index in support(
                decided.branch, family, policy.answers, policy.take, located.prefix
            )
            if (packed := pools[pool].endpoints[index].address(family)) is not None
        )
    return Ruling(located, decided, picks, ttl, ttl_rule, possible)


def explain(
    world: World,
    name: bytes,
    rrtype: int,
    subject: Subject,
    down: tuple[str, ...] = (),
    locate_client: Locate = lambda _: NOWHERE,
) -> Explanation:
    """The explanation of a question; `name` is a key, `down` names objects whose probes fail.

    Raises ValueError if `down` names nothing.
    """
    if down:
        health = taken_down(world.plan.config, world.health, down)
        world = World(world.plan, health, world.generation)
    telling = _Telling(world, subject, locate_client)
    for text in down:
        telling.tell("health", f"as if the probes of {text} failed")
    rcode, scope = telling.follow(name, rrtype)
    return Explanation(
        name=to_text(name),
        type=type_text(rrtype),
        rcode=RCODE_TEXT.get(rcode, str(rcode)),
        answer=tuple(telling.answer),
        ttl=telling.ttl,
        scope=scope,
        client=str(subject),
        steps=tuple(telling.steps),
    )


def resolve(world: World, name: bytes, rrtype: int) -> tuple[Outcome, list[Owned]]:
    """The outcome at the end of the chain of aliases, and the aliases met on the way.

    Where the server stops before a steered name, this goes on, as a resolver would.
    """
    limits = world.plan.config.settings.limits
    aliases: list[Owned] = []
    for _ in range(limits.cname_chain + 1):
        outcome = lookup(world.plan.zones, name, rrtype, limits.cname_chain, limits.additional)
        if not isinstance(outcome, Found) or rrtype == CNAME:
            return outcome, aliases
        last = outcome.answers[-1][1]
        if last.type != CNAME:
            return outcome, aliases
        chain = [(owner if owner is not None else name, rrset) for owner, rrset in outcome.answers]
        aliases += chain
        target = last.rdatas[0].lower()
        if not any(is_below(target, apex) for apex in world.plan.zones):
            return outcome, aliases
        name = target
    return outcome, aliases


@dataclass(slots=True)
class _Telling:
    world: World
    subject: Subject
    locate_client: Locate
    steps: list[Step] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)
    ttl: int | None = None

    def tell(self, kind: str, text: str, depth: int = 0) -> None:
        self.steps.append(Step(depth, kind, text))

    def follow(self, name: bytes, rrtype: int) -> tuple[int, int | None]:
        """(rcode, scope); fills answer, ttl and steps."""
        outcome, aliases = resolve(self.world, name, rrtype)
        for owner, rrset in aliases:
            target = to_text(rrset.rdatas[0])
            self.tell("alias", f"{to_text(owner or name)} is an alias of {target}, TTL {rrset.ttl}")
        match outcome:
            case Steered():
                return self._steered(outcome, rrtype)
            case Found():
                self.tell("zone", f"static records at {to_text(outcome.anchor)}")
                for _, rrset in outcome.answers:
                    self._records(rrset, rrtype)
                return NOERROR, 0
            case Referral():
                self.tell("zone", f"delegated at {to_text(outcome.anchor)}: a referral, no answer")
                return NOERROR, 0
            case Absence():
                what = (
                    "NODATA: the name has no such type"
                    if outcome.rcode == NOERROR
                    else (f"NXDOMAIN: nothing exists here below {to_text(outcome.anchor)}")
                )
                self.tell("zone", f"{what} (zone {to_text(outcome.apex)})")
                self.ttl = outcome.soa.ttl
                return outcome.rcode, 0
            case Refused():
                self.tell("zone", "REFUSED: no zone of this server holds the name")
                return REFUSED, None

    def _records(self, rrset: RRset, asked: int) -> None:
        self.ttl = rrset.ttl if self.ttl is None else min(self.ttl, rrset.ttl)
        kind = "" if rrset.type == asked else f"{type_text(rrset.type)} "
        self.answer += [kind + rdata_text(rrset.type, rdata) for rdata in rrset.rdatas]

    def _steered(self, steered: Steered, rrtype: int) -> tuple[int, int | None]:
        family: Family = 4 if rrtype == A else 6
        policy = self.world.plan.config.policies[steered.policy]
        self.tell(
            "zone",
            f"{to_text(steered.owner)} in zone {to_text(steered.zone.apex)} is steered by policy "
            f'"{policy.name}", TTL {steered.ttl}',
        )
        location = self.locate_client(self.subject.packed)
        self.tell("client", f"{self.subject}: {_describe(location)}")
        trace = Trace()
        ruling = rule(self.world, steered, family, self.subject, trace)
        if ruling is None:
            self.tell("policy", f"no pool of the policy has an IPv{family} address: NODATA")
            return NOERROR, 0
        self._visits(policy, trace, location)
        decided = ruling.decided
        if decided.rule:
            self.tell("policy", _RULES[decided.rule])
        if decided.branch is None:
            self.ttl = ruling.ttl
            return (SERVFAIL if decided.rule == "servfail" else NOERROR), 0
        pools = self.world.plan.config.pools
        for number, index in ruling.picks:
            pool = pools[number]
            packed = pool.endpoints[index].address(family)
            assert packed is not None, "only endpoints with the family are offered"
            self.answer.append(str(ip_address(packed)))
            where = pool.datacenter.name if pool.datacenter is not None else "no data center"
            self.tell("endpoint", f"{ip_address(packed)} from pool {pool.name} ({where})")
        if len(ruling.possible) > len(ruling.picks):
            others = ", ".join(sorted(str(ip_address(p)) for p in ruling.possible))
            self.tell("draw", f"one possible draw of {others}")
        self.ttl = ruling.ttl
        self.tell("ttl", f"{ruling.ttl}: {ruling.ttl_rule}")
        self.tell("scope", f"/{ruling.located.scope}: every client in it gets the same treatment")
        return NOERROR, ruling.located.scope

    def _visits(self, policy: Policy, trace: Trace, location: Location) -> None:
        self.tell("policy", f'policy "{policy.name}"')
        for depth, node, verdict in trace.visits:
            if node is None:
                self.tell("policy", verdict, depth + 1)
            else:
                text = _distances(node, verdict, location)
                self.tell(_kind(node), text, depth + 1)


def _kind(node: Node) -> str:
    return "pool" if isinstance(node, PoolNode) else _KINDS[type(node).__name__]


_KINDS = {
    "Failover": "failover",
    "RoundRobin": "round_robin",
    "Weighted": "weighted",
    "Nearest": "nearest",
    "Sticky": "sticky",
    "Routes": "routes",
}


def _distances(node: Node, verdict: str, location: Location) -> str:
    """A nearest node's children with their distance from the client, others as they are."""
    if isinstance(node, PoolNode):
        return f"{node.pool.name}: {verdict}"
    if not isinstance(node, Nearest) or location.at is None:
        return verdict
    metres = {child.name: child_distance_m(child.node, location.at) for child in node.children}
    parts = []
    for name in verdict.split(", "):
        distance = metres.get(name)
        parts.append(name if distance is None else f"{name} {round(distance / 1000)} km")
    return ", ".join(parts)


def _describe(location: Location) -> str:
    parts = [location.continent, location.country, *location.subdivisions]
    if location.at is not None:
        parts.append(f"at {location.at[0]:.2f},{location.at[1]:.2f}")
    if location.asn:
        parts.append(f"AS{location.asn}")
    return " ".join(part for part in parts if part) or "location unknown"
