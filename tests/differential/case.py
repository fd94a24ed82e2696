"""One question as we and a peer answer it, where the answers differ, and the reasons we know.

Each rule stands for one paragraph of docs/decisions/0008-differences.md.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from gslb.core.zone import CUT, OCCLUDED, Zone
from gslb.wire.name import is_below
from gslb.wire.rrtype import ANY, CNAME, DNAME, HINFO, HTTPS, NS, SVCB

from differential.reply import TC, Reply, RRset, RRsets


@dataclass(frozen=True)
class Case:
    """Our reply and a peer's; `whole` is ours where there is room, `peer` its name.

    A reply may have `limit` octets.
    """

    name: bytes
    type: int
    peer: str
    zone: Zone | None
    ours: Reply
    theirs: Reply
    whole: Reply
    limit: int = 65535

    @cached_property
    def differences(self) -> Set[str]:
        """What differs: "tc" alone, or of "flags", "rcode" and the parts of the message."""
        ours, theirs = self.ours, self.theirs
        if (ours.flags | theirs.flags) & TC:
            return {"tc"} if (ours.flags ^ theirs.flags) & TC else set()
        found = {
            "flags": ours.flags != theirs.flags,
            "rcode": ours.rcode != theirs.rcode,
            "answer": list(ours.answer.items()) != list(theirs.answer.items()),
            "authority": ours.authority != theirs.authority,
            "additional": ours.additional != theirs.additional,
        }
        return {what for what, differs in found.items() if differs}

    @property
    def reasons(self) -> set[str]:
        """The rules that explain all that differs; none if something is left over."""
        left, reasons = set(self.differences), set()
        for rule in RULES:
            if left & rule.about and rule.peer in ("", self.peer) and rule.holds(self):
                left -= rule.about
                reasons.add(rule.name)
        if left == {"additional"}:
            found = [self._reason(rrset) for rrset in self.unequal]
            return set() if "" in found else reasons.union(found)
        return set() if left else reasons

    @property
    def unequal(self) -> set[RRset]:
        """What one of the two has in its additional section and the other has not."""
        return {*self.ours.additional.values()} ^ {*self.theirs.additional.values()}

    def _reason(self, rrset: RRset) -> str:
        """Why one of the two has an RRset in its additional section and the other has not."""
        is_ours = self.ours.additional.get((rrset.owner, rrset.type)) == rrset
        for extra in EXTRAS:
            ours_or_theirs = extra.is_ours == is_ours and extra.peer in ("", self.peer)
            if ours_or_theirs and extra.holds(self, rrset):
                return extra.name
        return ""


def glue(reply: Reply) -> set[RRset]:
    """The addresses without which a referral leads nowhere (RFC 9471 section 3.1)."""
    cuts = [owner for owner, rrtype in reply.authority if rrtype == NS]
    return {
        rrset for rrset in reply.additional.values() if any(is_below(rrset.owner, c) for c in cuts)
    }


def more(reply: Reply) -> set[RRset]:
    """The additional records that may be left out."""
    return set(reply.additional.values()) - glue(reply)


def _types(rrsets: RRsets) -> set[int]:
    return {rrtype for _, rrtype in rrsets}


def _is_dname(case: Case) -> bool:
    theirs = {owner for owner, rrtype in case.theirs.answer if rrtype == DNAME}
    return bool(theirs - {case.name}) and DNAME not in _types(case.ours.answer)


def _is_any(case: Case) -> bool:
    ours, theirs = _types(case.whole.answer), case.theirs
    return (
        case.type == ANY and ours in ({HINFO}, {CNAME}) and bool(theirs.answer or theirs.flags & TC)
    )


def _is_loop(case: Case) -> bool:
    ours, theirs = list(case.ours.answer.items()), list(case.theirs.answer.items())
    if not ours or _types(case.theirs.answer) != {CNAME} or ours != theirs[: len(ours)]:
        return False
    (last,) = theirs[-1][1].data
    return (last, CNAME) in case.theirs.answer


def _is_alias_to_cut(case: Case) -> bool:
    theirs = case.theirs
    return (
        _types(theirs.answer) == {CNAME}
        and _types(theirs.authority) == {NS}
        and not case.ours.authority
        and not case.ours.additional
    )


def _is_glue_cut(case: Case) -> bool:
    """They leave out glue without TC, where we say TC."""
    return bool(case.ours.flags & TC) and not glue(case.whole) <= glue(case.theirs)


def _fits_them_just(case: Case) -> bool:
    """They give all that must be given, and would not with one name more."""
    theirs, whole = case.theirs, case.whole
    required = theirs.answer == whole.answer and theirs.authority == whole.authority
    complete = required and glue(whole) <= glue(theirs)
    return bool(case.ours.flags & TC) and complete and theirs.size + len(case.name) > case.limit


def _is_optional_cut(case: Case) -> bool:
    """They say TC where only records that may be left out do not fit."""
    ours, whole = case.ours, case.whole
    required = ours.answer == whole.answer and ours.authority == whole.authority
    has_hosts = bool(more(whole)) or NS in _types(whole.authority)
    return bool(case.theirs.flags & TC) and required and has_hosts and glue(ours) == glue(whole)


def _is_part(case: Case, rrset: RRset) -> bool:
    """What may be left out fits in part."""
    return rrset in more(case.whole) and not more(case.ours)


def _is_glue(case: Case, rrset: RRset) -> bool:
    return rrset in glue(case.ours)


def _has_apex_ns(case: Case) -> bool:
    """They add the zone's NS records to an answer."""
    apex = case.zone.apex if case.zone is not None else b""
    return (
        bool(case.theirs.answer)
        and {*case.theirs.authority} == {(apex, NS)}
        and not case.ours.authority
    )


def _is_of_apex_ns(case: Case, rrset: RRset) -> bool:
    """An address of a name server of the zone, beside its NS records."""
    named = {name for servers in case.theirs.authority.values() for name in servers.data}
    return _has_apex_ns(case) and rrset.owner in named


def _is_of_wildcard(case: Case, rrset: RRset) -> bool:
    """The host has its addresses from a wildcard only."""
    return _exists(case, rrset.owner) is False


def _is_misnamed(case: Case, rrset: RRset) -> bool:
    """The records are those that a wildcard gives to another name."""
    return any(
        host.owner != rrset.owner
        and (host.type, host.data) == (rrset.type, rrset.data)
        and _is_of_wildcard(case, host)
        for host in (*case.ours.answer.values(), *case.ours.additional.values())
    )


def _is_repeated(case: Case, rrset: RRset) -> bool:
    """It stands in the answer already."""
    return case.theirs.answer.get((rrset.owner, rrset.type)) == rrset


def _is_delegated(case: Case, rrset: RRset) -> bool:
    """The host of an answer is below a cut, and its addresses are glue."""
    node = case.zone.find(rrset.owner) if case.zone is not None else None
    return bool(case.ours.answer) and node is not None and bool(node.flags & (CUT | OCCLUDED))


def _is_of_service(case: Case, rrset: RRset) -> bool:
    """The host is named by SVCB or HTTPS."""
    return bool(case.ours.answer) and case.type in (SVCB, HTTPS)


def _is_of_owner(case: Case, rrset: RRset) -> bool:
    """The host is the owner of the SVCB or HTTPS records themselves, named as "."."""
    return _is_of_service(case, rrset) and (rrset.owner, case.type) in case.ours.answer


def _is_in_capitals(case: Case, rrset: RRset) -> bool:
    """The host is named by SVCB or HTTPS, and not in lower case."""
    return _is_of_service(case, rrset) and case.ours.has_capitals


def _has_no_room(case: Case, rrset: RRset) -> bool:
    """Without compression, it would not fit into their reply."""
    octets = sum(len(rrset.owner) + 10 + len(data) for data in rrset.data)
    return rrset in more(case.ours) and case.theirs.size + octets > case.limit


def _exists(case: Case, name: bytes) -> bool | None:
    """Whether a name has records in the zone, False if by a wildcard, None if outside."""
    if case.zone is None or not is_below(name, case.zone.apex):
        return None
    node = case.zone.find(name)
    return node is not None and bool(node.rrsets) and not name.startswith(_STAR)


@dataclass(frozen=True)
class Rule:
    """One reason: what it explains, when, and for which peer ("" is both)."""

    name: str
    about: Set[str]
    holds: Callable[[Case], bool]
    peer: str = ""


@dataclass(frozen=True)
class Extra:
    """One reason why an RRset is additional to our reply only, or to a peer's only."""

    name: str
    is_ours: bool
    holds: Callable[[Case, RRset], bool]
    peer: str = ""


_STAR: Final = b"\x01*"
_ALL: Final = frozenset(("tc", "flags", "rcode", "answer", "authority", "additional"))
RULES: Final = (
    Rule("dname", _ALL, _is_dname),
    Rule("any", {"tc", "answer", "additional"}, _is_any),
    Rule("loop", {"answer", "authority", "additional"}, _is_loop),
    Rule("alias-to-cut", {"tc", "authority", "additional"}, _is_alias_to_cut),
    Rule("apex-ns", {"authority"}, _has_apex_ns, "NSD"),
    Rule("partial-glue", {"tc"}, _is_glue_cut, "NSD"),
    Rule("tc-for-optional", {"tc"}, _is_optional_cut),
    Rule("no-room", {"tc"}, _fits_them_just),
)
EXTRAS: Final = (
    Extra("all-or-none", False, _is_part),
    Extra("partial-glue", True, _is_glue, "NSD"),
    Extra("apex-ns", False, _is_of_apex_ns, "NSD"),
    Extra("misnamed", False, _is_misnamed),
    Extra("misnamed", True, _is_of_wildcard),
    Extra("repeated", False, _is_repeated, "Knot"),
    Extra("glue-host", True, _is_delegated, "NSD"),
    Extra("service-host", True, _is_of_service, "NSD"),
    Extra("service-owner", True, _is_of_owner, "Knot"),
    Extra("service-capitals", True, _is_in_capitals, "Knot"),
    Extra("no-room", True, _has_no_room),
)
