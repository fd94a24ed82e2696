"""What is remembered of questions: one entry per existing name and type.

Knows: how an outcome of the zones becomes a ready body, and how long which memory may grow.
Refuses to know: packets, sockets, health. Invariant: names that exist are remembered up to
a bound, oldest out; of names that do not exist only one entry per length below an existing
name (at most 253), so what strangers ask for grows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from gslb.core.answer import (
    Absence,
    Found,
    Owned,
    Referral,
    Refused,
    Steered,
    lookup,
    negative_soa,
    zone_of,
)
from gslb.core.policy import Family
from gslb.core.world import Plan
from gslb.core.zone import WILD, Zone
from gslb.serve.ready import Ledger, Packed, Steering, pack
from gslb.wire.name import parent
from gslb.wire.reply import Records, compose_body
from gslb.wire.rrtype import NOERROR, A

MOST_NAMES: Final = 100_000
_CLASS_IN: Final = b"\0\1"

Key = TypeVar("Key")


@dataclass(slots=True, eq=False)
class Static:
    """An answer that is the same for everybody."""

    packed: Packed
    rcode: int


@dataclass(slots=True, eq=False)
class Chosen:
    """An answer that a policy decides; `zone` is where its SOA comes from, if NODATA."""

    steering: Steering
    zone: Zone


Entry = Static | Chosen


class Memory:
    """Entries of one plan; `ready` is by key, type and class in wire form, as in a question."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.ready: dict[bytes, Entry] = {}
        self._below: dict[tuple[bytes, int, int, int], Entry] = {}
        self._steerings: dict[tuple[str, int, Family], Steering] = {}
        self._plan, self._ledger = plan, ledger

    def entry(self, key: bytes, qtype: int) -> Entry | None:
        """The entry of a question of class IN; None if no zone of ours holds the name."""
        zone = zone_of(self._plan.zones, key, qtype)
        if zone is None:
            return None
        place = zone.place(key)
        if place >= 0:
            ready_key = key + qtype.to_bytes(2, "big") + _CLASS_IN
            entry = self.ready.get(ready_key)
            if entry is None:
                entry = self._make(key, qtype)
                _keep(self.ready, ready_key, entry)
            return entry
        name = parent(key)
        while (place := zone.place(name)) < 0:
            name = parent(name)
        # Of a wildcard the type matters, of an absence only how long the name is.
        kind = qtype if zone.flags(place) & WILD else 0
        for length in (0, len(key)):
            entry = self._below.get((zone.apex, place, kind, length))
            if entry is not None:
                return entry
        entry = self._make(key, qtype)
        length = 0 if isinstance(entry, Chosen) else len(key)
        _keep(self._below, (zone.apex, place, kind, length), entry)
        return entry

    def _make(self, key: bytes, qtype: int) -> Entry:
        limits = self._plan.config.settings.limits
        outcome = lookup(self._plan.zones, key, qtype, limits.cname_chain, limits.additional)
        size = len(key)
        match outcome:
            case Steered():
                return self._chosen(outcome, key, 4 if qtype == A else 6)
            case Found():
                answers, more = _records(outcome.answers), _records(outcome.additional)
                body = compose_body(size, outcome.anchor, answers, optional=more)
                return Static(pack(body, NOERROR, True, ()), NOERROR)
            case Referral():
                body = compose_body(
                    size,
                    outcome.anchor,
                    authority=_records([(outcome.anchor, outcome.ns)]),
                    glue=_records(outcome.glue),
                    optional=_records(outcome.sibling),
                )
                return Static(pack(body, NOERROR, False, ()), NOERROR)
            case Absence():
                soa = _records([(outcome.apex, outcome.soa)])
                body = compose_body(size, outcome.anchor, _records(outcome.answers), soa)
                return Static(pack(body, outcome.rcode, True, ()), outcome.rcode)
            case Refused():
                raise AssertionError("the caller has seen that a zone holds the name")

    def _chosen(self, steered: Steered, key: bytes, family: Family) -> Entry:
        config = self._plan.config
        policy = config.policies[steered.policy]
        if not policy.has(family):
            return Static(pack_nodata(steered.zone, steered.anchor, key), NOERROR)
        known = self._steerings.get((policy.name, steered.ttl, family))
        if known is None:
            table = self._plan.tables[policy.name]
            known = Steering(policy, table, config.pools, steered.ttl, family, self._ledger)
            self._steerings[policy.name, steered.ttl, family] = known
        return Chosen(known, steered.zone)


def pack_nodata(zone: Zone, anchor: bytes, key: bytes, ttl: int | None = None) -> Packed:
    """NODATA for a name below `anchor`; `ttl` cuts the SOA's (steering.md, Nothing available)."""
    soa = _records([(zone.apex, negative_soa(zone, ttl))])
    return pack(compose_body(len(key), anchor, authority=soa), NOERROR, True, ())


def _keep(memory: dict[Key, Entry], key: Key, entry: Entry) -> None:
    """Remembers an entry; beyond the bound the oldest goes."""
    if len(memory) >= MOST_NAMES:
        del memory[next(iter(memory))]
    memory[key] = entry


def _records(owned: Sequence[Owned]) -> Records:
    return [(owner, rrset.type, rrset.ttl, rrset.rdatas) for owner, rrset in owned]
