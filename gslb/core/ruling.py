"""A question settled for one client: what explain tells and what `tests:` compare.

Knows: the way from a name over its aliases (steering.md, Names: where the server stops before
a steered name, this goes on, as a resolver would) to the endpoints. Refuses to know: words.
Invariant: answer, TTL and scope come from `lookup`, `locate`, `evaluate`, `answer_ttl` and
`draw`, the functions that serve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gslb.core.answer import Absence, Found, Outcome, Steered, lookup
from gslb.core.decide import Outcome as Decided
from gslb.core.decide import Trace, answer_ttl, evaluate
from gslb.core.draw import Fixed, Picks, draw, support
from gslb.core.policy import Family
from gslb.core.shed import shed_for
from gslb.core.subject import Located, Subject, locate
from gslb.core.world import World
from gslb.core.zone import RRset
from gslb.wire.name import is_below
from gslb.wire.rrtype import ANY, CNAME

LONGEST: Final = 16  # aliases of a chain: resolvers give up, too


@dataclass(frozen=True, slots=True)
class Ruling:
    """A steered question, settled for a subject. `scope` is the reply's, if it was asked
    with a client subnet; `picks` are one draw, `possible` the addresses of all of them."""

    located: Located
    scope: int
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
    """The ruling of a policy for a subject, None (NODATA) if it lacks the family.

    Load counts where the client's hash decides about it (`sticky`). Where every answer has a
    draw of its own, the ruling is that of an answer that no pool sheds.
    """
    policy = world.plan.config.policies[steered.policy]
    if not policy.has(family):
        return None
    table = world.plan.tables[steered.policy]
    located = locate(table, None, subject)
    treatment = table.treatments[located.treatment]
    shed = shed_for(policy, world.health, located.prefix)
    decided = evaluate(policy, treatment, family, world.health, trace, shed)
    ttl, ttl_rule = answer_ttl(policy, steered.ttl, decided)
    picks: Picks = ()
    possible: frozenset[bytes] = frozenset()
    branch = decided.branch
    if branch is not None:
        picks = draw(branch, family, policy.answers, policy.take, Fixed(located.prefix))
        reach = support(branch, family, policy.answers, policy.take, located.prefix)
        addresses = (
            world.plan.config.pools[pool].endpoints[index].address(family) for pool, index in reach
        )
        possible = frozenset(packed for packed in addresses if packed is not None)
    scope = located.scope if policy.ecs and branch is not None else 0
    return Ruling(located, scope, decided, picks, ttl, ttl_rule, possible)


@dataclass(frozen=True, slots=True)
class Alias:
    """One CNAME of a chain."""

    owner: bytes
    target: bytes
    ttl: int


@dataclass(frozen=True, slots=True)
class Resolution:
    """The outcome at the end of a chain of aliases. `records` are what a Found has of the type
    asked; none of them, though there are aliases: the chain leads out of our zones, or nowhere."""

    outcome: Outcome
    aliases: tuple[Alias, ...]
    records: tuple[RRset, ...]


def resolve(world: World, name: bytes, rrtype: int) -> Resolution:
    """Follows the aliases of a name, from zone to zone and up to a steered name."""
    limits = world.plan.config.settings.limits
    zones = world.plan.zones
    aliases: dict[bytes, Alias] = {}
    while True:
        outcome = lookup(zones, name, rrtype, limits.cname_chain, limits.additional)
        records: list[RRset] = []
        target = name
        for owner, rrset in outcome.answers if isinstance(outcome, Found | Absence) else ():
            if rrset.type != CNAME or rrtype in (CNAME, ANY):
                records.append(rrset)
                continue
            key = name if owner is None else owner
            aliases[key] = Alias(key, rrset.rdatas[0], rrset.ttl)
            target = rrset.rdatas[0].lower()
        goes_on = isinstance(outcome, Found) and not records
        if not goes_on or target in aliases or len(aliases) > LONGEST:
            return Resolution(outcome, tuple(aliases.values()), tuple(records))
        if not any(is_below(target, apex) for apex in zones):
            return Resolution(outcome, tuple(aliases.values()), ())
        name = target
