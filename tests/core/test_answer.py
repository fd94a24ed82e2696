"""What a zone says, where the dialogues of tests/cases do not reach: several zones, odd chains."""

from __future__ import annotations

import pytest
from gslb.core.answer import Absence, Found, Outcome, Referral, Refused, lookup, zone_of
from gslb.core.image import build
from gslb.core.zone import RRset, Zone
from gslb.wire import rrtype as rr
from gslb.wire.name import from_text, to_text

from sample import a, names, soa, steer, text_rdata

APEX = "example.test."
DS = RRset(rr.DS, 300, (b"\x30\x39\x0d\x02" + bytes(32),))
TXT = RRset(rr.TXT, 300, (text_rdata("x"),))


def zone(apex: str, **records: list[RRset]) -> Zone:
    """A zone; names are written with "_" for the dot and "ANY_" for the asterisk."""
    own = [soa(f"ns1.{apex}", f"h.{apex}"), names(rr.NS, f"ns1.{apex}")]
    found = {from_text(apex): own}
    for owner, rrsets in records.items():
        found[from_text(f"{owner.replace('ANY', '*').replace('_', '.')}.{apex}")] = rrsets
    return build(from_text(apex), found)


def alias(target: str) -> list[RRset]:
    return [names(rr.CNAME, target if target.endswith(".") else f"{target}.{APEX}")]


SELF = from_text(f"service.{APEX}")
PARENT = zone(
    APEX,
    www=[a("192.0.2.80")],
    mail=[a("192.0.2.25")],
    geo=[steer("web")],
    mx=[RRset(rr.MX, 300, (b"\0\x0a" + from_text(f"mail.{APEX}"),))],
    tomx=alias("mx"),
    towww=alias("www"),
    togeo=alias("geo"),
    svcb=[RRset(rr.SVCB, 300, (b"\0\1" + from_text(f"www.{APEX}") + b"\0\1\0\3\2h2",))],
    https=[RRset(rr.HTTPS, 300, (b"\0\1\0", b"\0\2" + from_text(f"geo.{APEX}")))],
    service=[
        RRset(rr.HTTPS, 300, (b"\0\0" + from_text(f"pool.{APEX}"), b"\0\0" + SELF)),
        a("192.0.2.81"),
    ],
    pool=[RRset(rr.HTTPS, 300, (b"\0\1\0",)), a("192.0.2.82")],
    toservice=alias("service"),
    child=[names(rr.NS, f"ns.child.{APEX}"), DS],
    ns_child=[a("192.0.2.60")],
    bare=[names(rr.NS, "ns.example.net.")],
    tochild=alias("child"),
    tobare=alias("bare"),
    tobelow=alias("x.child"),
    ANY_turn=alias("same.turn"),
    ANY_odd=alias("first.even"),
    ANY_even=alias("second.odd"),
    **{f"c{n}": alias(f"c{n + 1}") for n in range(12)},
    c12=[TXT],
)
CHILD = zone(f"child.{APEX}", www=[a("192.0.2.90")], up=alias("www"))
ONE = {PARENT.apex: PARENT}
BOTH = {PARENT.apex: PARENT, CHILD.apex: CHILD}


def ask(name: str, rrtype: int = rr.A, zones: dict[bytes, Zone] = ONE) -> Outcome:
    return lookup(zones, from_text(f"{name}.{APEX}"), rrtype)


def owners(outcome: Outcome) -> list[str | None]:
    """The owners of the answer, relative to the zone; None is the question's name."""
    assert isinstance(outcome, Found | Absence)
    return [None if o is None else to_text(o).removesuffix(f".{APEX}") for o, _ in outcome.answers]


def extras(outcome: Outcome) -> list[tuple[str, int]]:
    assert isinstance(outcome, Found)
    return [(to_text(o).removesuffix(f".{APEX}"), r.type) for o, r in outcome.additional if o]


@pytest.mark.parametrize("name", ["same", "else", "what.ever"])
def test_a_wildcard_alias_into_itself_gives_the_same_to_everybody(name: str) -> None:
    # The engine keeps one answer per length of the name: it must not depend on the octets.
    outcome = ask(f"{name}.turn")
    assert isinstance(outcome, Found)
    assert owners(outcome) == [None]


def test_a_loop_through_two_wildcards_ends_where_it_began() -> None:
    assert owners(ask("any.odd")) == [None, "first.even"]
    assert owners(ask("second.odd")) == [None, "first.even"]


def test_a_long_chain_is_cut_and_the_resolver_goes_on() -> None:
    assert owners(ask("c0", rr.TXT)) == [None, *(f"c{n}" for n in range(1, 9))]
    assert owners(ask("c8", rr.TXT)) == [None, "c9", "c10", "c11", "c12"]


def test_an_answer_says_which_cap_has_cut_it() -> None:
    assert ask("c0", rr.TXT).cut == ("cname_chain",)
    assert ask("c8", rr.TXT).cut == ()
    assert ask("any.odd").cut == ()  # a loop ends by itself
    key = from_text(f"mx.{APEX}")
    assert lookup(ONE, key, rr.MX, names=0).cut == ("additional",)
    assert lookup(ONE, key, rr.MX, names=1).cut == ()


@pytest.mark.parametrize("zones", [ONE, BOTH])
def test_ds_behind_an_alias_to_a_cut_is_the_parents(zones: dict[bytes, Zone]) -> None:
    assert owners(ask("tochild", rr.DS, zones)) == [None, "child"]
    absent = ask("tobare", rr.DS, zones)
    assert isinstance(absent, Absence)
    assert (absent.rcode, owners(absent)) == (rr.NOERROR, [None])


@pytest.mark.parametrize("name", ["tochild", "tobare", "tobelow"])
def test_an_alias_into_a_delegation_stands_alone(name: str) -> None:
    outcome = ask(name)
    assert isinstance(outcome, Found)
    assert (owners(outcome), outcome.additional) == ([None], ())


def test_the_answer_to_any_at_an_alias_is_the_alias() -> None:
    # RFC 8482 section 4.2: HINFO only where there is no CNAME.
    outcome = ask("towww", rr.ANY)
    assert isinstance(outcome, Found)
    assert [rrset.type for _, rrset in outcome.answers] == [rr.CNAME]


def test_hosts_that_an_answer_names_come_with_their_addresses() -> None:
    assert extras(ask("mx", rr.MX)) == [("mail", rr.A)]
    assert extras(ask("tomx", rr.MX)) == [("mail", rr.A)]
    assert extras(ask("svcb", rr.SVCB)) == [("www", rr.A)]


def test_a_service_brings_the_service_that_it_is_an_alias_of() -> None:
    # RFC 9460 section 4.1; what stands in the answer already does not come again.
    expected = [("pool", rr.HTTPS), ("pool", rr.A), ("service", rr.A)]
    assert sorted(extras(ask("service", rr.HTTPS))) == sorted(expected)
    assert sorted(extras(ask("toservice", rr.HTTPS))) == sorted(expected)


def test_the_root_as_target_means_the_owner() -> None:
    # RFC 9460 section 2.5.2.
    outcome = ask("pool", rr.HTTPS)
    assert isinstance(outcome, Found)
    assert [(owner, rrset.type) for owner, rrset in outcome.additional] == [(None, rr.A)]


def test_steered_addresses_are_never_additional() -> None:
    assert extras(ask("https", rr.HTTPS)) == []


def test_the_longest_apex_answers_and_the_parent_has_the_ds() -> None:
    name = from_text(f"child.{APEX}")
    assert zone_of(BOTH, name, rr.A) is CHILD
    assert zone_of(BOTH, name, rr.DS) is PARENT
    assert zone_of({CHILD.apex: CHILD}, name, rr.DS) is CHILD
    assert isinstance(ask("child", rr.SOA, BOTH), Found)
    assert isinstance(ask("child", rr.SOA), Referral)
    found = ask("child", rr.DS, BOTH)
    assert isinstance(found, Found)
    assert found.answers == ((None, DS),)


def test_an_alias_does_not_leave_its_zone_for_another_of_ours() -> None:
    assert owners(ask("up.child", rr.A, BOTH)) == [None]
    assert owners(ask("tobelow", rr.A, BOTH)) == [None]


@pytest.mark.parametrize("name", ["test.", "notexample.test.", ".", "xexample.test."])
def test_what_is_not_below_an_apex_is_refused(name: str) -> None:
    assert isinstance(lookup(BOTH, from_text(name), rr.A), Refused)


def test_a_zone_knows_its_types() -> None:
    assert CHILD.types == {rr.SOA, rr.NS, rr.A, rr.CNAME}
    assert rr.HTTPS in PARENT.types
    assert rr.STEER in PARENT.types
