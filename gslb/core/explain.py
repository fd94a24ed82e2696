"""An answer with every step that led to it: the same code that serves, told aloud.

Knows: what is said of a name and of the answer (step.py words what happens in a policy).
Refuses to know: HTTP, terminals, databases (a location is a callable). Invariant: answer, TTL
and scope come from ruling.py, never from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final, assert_never

from gslb.core.answer import Absence, Found, Outcome, Referral, Refused, Steered, negative_soa
from gslb.core.client import NOWHERE, Location
from gslb.core.decide import Trace
from gslb.core.draw import Picked, variants
from gslb.core.policy import Family, Policy, Pool, is_sticky, pools_below
from gslb.core.ramp import FULL
from gslb.core.ruling import Resolution, Ruling, resolve, rule
from gslb.core.step import Step, Teller, client_of
from gslb.core.subject import Subject
from gslb.core.target import taken_down
from gslb.core.world import World
from gslb.wire.name import to_text
from gslb.wire.rdata import to_text as rdata_text
from gslb.wire.rrtype import NOERROR, RCODE_TEXT, REFUSED, SERVFAIL, A, type_text

Locate = Callable[[bytes], Location]

MOST_SHARES: Final = 24  # draws whose shares are worth telling

_RULES = {
    "ignore_probes": "last resort: probes ignored (serve_all)",
    "ignore_all": "last resort: probes and overrides ignored (serve_all)",
    "any": "last resort: the first pool that has an address of the family",
    "pool": "last resort: the pool that when_all_down names",
    "nodata": "last resort: NODATA",
    "servfail": "last resort: SERVFAIL",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision for one question. `answer` holds the data of the type asked in text form;
    where a chain of aliases leads nowhere, the last alias.

    `ttl` None: nothing that could be cached. `scope` None: nothing of ours.
    """

    name: str
    type: str
    rcode: str
    answer: tuple[str, ...]
    ttl: int | None
    scope: int | None
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
            "steps": [
                {"depth": step.depth, "kind": step.kind, "text": step.text} for step in self.steps
            ],
        }


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
        steps=tuple(telling.steps),
    )


@dataclass(slots=True)
class _Telling:
    world: World
    subject: Subject
    locate_client: Locate
    steps: list[Step] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)
    ttl: int | None = None

    def tell(self, kind: str, text: str) -> None:
        self.steps.append(Step(0, kind, text))

    def follow(self, name: bytes, rrtype: int) -> tuple[int, int | None]:
        """(rcode, scope); fills answer, ttl and steps."""
        resolution = resolve(self.world, name, rrtype)
        last = to_text(name)
        for alias in resolution.aliases:
            owner, last = to_text(alias.owner), to_text(alias.target)
            self.tell("alias", f"{owner} is an alias of {last}, TTL {alias.ttl}")
        outcome: Outcome = resolution.outcome
        match outcome:
            case Steered():
                return self._steered(outcome, 4 if rrtype == A else 6)
            case Found():
                self._found(resolution)
                return NOERROR, 0
            case Referral():
                servers = ", ".join(to_text(server) for server in outcome.ns.rdatas)
                cut = to_text(outcome.anchor)
                self.tell("zone", f"a referral: {cut} is delegated to {servers}")
                return NOERROR, 0
            case Absence():
                zone = to_text(outcome.apex)
                what = f"NODATA: {last} has no {type_text(rrtype)} (zone {zone})"
                if outcome.rcode != NOERROR:
                    what = f"NXDOMAIN: {last} does not exist (zone {zone})"
                self.tell("zone", what)
                self._negative(outcome.soa.ttl)
                return outcome.rcode, 0
            case Refused():
                self.tell("zone", f"REFUSED: no zone of this server holds {last}")
                return REFUSED, None
            case _:
                assert_never(outcome)

    def _found(self, resolution: Resolution) -> None:
        for rrset in resolution.records:
            self.tell("zone", f"static records, TTL {rrset.ttl}")
            self.ttl = rrset.ttl
            self.answer += [rdata_text(rrset.type, rdata) for rdata in rrset.rdatas]
        if not resolution.records:
            last = resolution.aliases[-1]
            target = to_text(last.target)
            circle = any(alias.owner == last.target.lower() for alias in resolution.aliases)
            where = "is where the aliases go round" if circle else "is not held by this server"
            self.tell("zone", f"{target} {where}")
            self.ttl = last.ttl
            self.answer.append(f"CNAME {target}")

    def _negative(self, ttl: int) -> None:
        self.ttl = ttl
        self.tell("ttl", f"{ttl}: how long the absence is remembered, by the SOA")

    def _steered(self, steered: Steered, family: Family) -> tuple[int, int | None]:
        config = self.world.plan.config
        policy = config.policies[steered.policy]
        owner, zone = to_text(steered.owner), to_text(steered.zone.apex)
        self.tell(
            "zone",
            f'{owner} in zone {zone} is steered by policy "{policy.name}", TTL {steered.ttl}',
        )
        client = client_of(config, self.subject, self.locate_client(self.subject.packed))
        self.tell("client", str(client))
        trace = Trace()
        ruling = rule(self.world, steered, family, self.subject, trace)
        if ruling is None:
            self.tell("policy", f"no pool of the policy has an IPv{family} address: NODATA")
            self._negative(negative_soa(steered.zone).ttl)
            return NOERROR, 0
        self._doubt(policy)
        self.tell("policy", f'policy "{policy.name}"')
        teller = Teller(self.world, family, client, ruling.located.prefix)
        self.steps += teller.steps(trace.visits)
        self._load(policy, ruling)
        decided = ruling.decided
        if decided.rule:
            self.tell("policy", _RULES[decided.rule])
        if decided.rule == "servfail":
            return SERVFAIL, 0
        if decided.branch is None:
            self._negative(negative_soa(steered.zone, ruling.ttl).ttl)
            return NOERROR, 0
        self._draw(policy, family, ruling)
        for picked in ruling.picks:
            self._endpoint(teller, family, picked)
        self.ttl = ruling.ttl
        self.tell("ttl", f"{ruling.ttl}: {ruling.ttl_rule}")
        self.tell("scope", self._scope_text(policy, ruling))
        return NOERROR, ruling.scope

    def _doubt(self, policy: Policy) -> None:
        """Why a client subnet might not decide."""
        config, subject = self.world.plan.config, self.subject
        table = self.world.plan.tables[policy.name]
        believed = config.settings.ecs_from
        if not policy.ecs:
            self.tell("client", "ecs: off, so this is the resolver's address, not its client's")
        elif believed is not None:
            self.tell("client", f"client subnets are believed from {', '.join(believed)} only")
        if table.leaf(subject.family, subject.address)[0] == table.special:
            self.tell(
                "client",
                "special-purpose, and in no client group: unknown as a resolver's address; as a "
                "client subnet it is disregarded, and the resolver's address decides",
            )

    def _load(self, policy: Policy, ruling: Ruling) -> None:
        """What the load of pools changes of the decision that is shown."""
        if ruling.decided.rule:
            return
        shares = {
            pool.name: self.world.health.pools[pool.index].share
            for pool in pools_below(policy.node)
            if pool.shed is not None and pool.index in ruling.decided.read
        }
        parts = [f"{name} sheds {FULL - share} %" for name, share in shares.items() if share < FULL]
        if not parts:
            return
        if is_sticky(policy.node):
            text = "the client's hash decides who is shed, and that is shown"
        else:
            text = "drawn for each query; this is shown as if none were shed"
        self.tell("draw", f"{', '.join(parts)} of the answers by load: {text}")

    def _draw(self, policy: Policy, family: Family, ruling: Ruling) -> None:
        """What another query may get instead."""
        branch = ruling.decided.branch
        assert branch is not None, "the caller has seen that there are records"
        found = variants(branch, policy.answers, MOST_SHARES)
        if found is not None and len(found) > 1:
            shares: dict[Picked, float] = {}
            for variant in found:
                first = variant.picks[0]
                shares[first] = shares.get(first, 0.0) + variant.probability
            told = (
                f"{self._address(family, first)} of {self._pool(first).name} {share:.1%}"
                for first, share in shares.items()
            )
            self.tell("draw", f"drawn for each query; first in the answer: {', '.join(told)}")
        elif len(ruling.possible) > len(ruling.picks):
            every = ", ".join(sorted(str(ip_address(packed)) for packed in ruling.possible))
            self.tell("draw", f"one possible draw of {every}")

    def _pool(self, picked: Picked) -> Pool:
        return self.world.plan.config.pools[picked[0]]

    def _address(self, family: Family, picked: Picked) -> str:
        packed = self._pool(picked).endpoints[picked[1]].address(family)
        assert packed is not None, "only endpoints with the family are offered"
        return str(ip_address(packed))

    def _endpoint(self, teller: Teller, family: Family, picked: Picked) -> None:
        pool, address = self._pool(picked), self._address(family, picked)
        self.answer.append(address)
        name = pool.endpoints[picked[1]].name
        named = f" ({name})" if name != address else ""
        where = f" in {pool.datacenter.name}" if pool.datacenter is not None else ""
        self.tell("endpoint", f"{address}{named} from pool {pool.name}{where}{teller.away(pool)}")

    def _scope_text(self, policy: Policy, ruling: Ruling) -> str:
        if not policy.ecs:
            return "/0: the policy does not look at client subnets"
        if not ruling.scope:
            return "/0: the policy treats all clients alike"
        leaf = ip_network((self.subject.packed, ruling.scope), strict=False)
        return f"/{ruling.scope}: every client in {leaf} is treated alike"
