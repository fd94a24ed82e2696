"""Zone semantics: positive, negative and wildcard answers, aliases, delegations, types, octets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from conversation import Server, query

Z = "example.test."
MINIMUM = 60  # of the zone's SOA, whose own TTL is 3600
NXDOMAIN, NOERROR, REFUSED = dns.rcode.NXDOMAIN, dns.rcode.NOERROR, dns.rcode.REFUSED


def ask(
    server: Server, name: str, rrtype: str = "A", transport: str = "udp"
) -> dns.message.Message:
    """The reply by dnspython, once the harness has looked at its octets."""
    return dns.message.from_wire(server.says_by(transport, query(name, rrtype)).octets)


def absolute(name: str) -> str:
    if name == "@":
        return Z
    return name if name.endswith(".") else f"{name}.{Z}"


def lines(rrsets: Sequence[dns.rrset.RRset]) -> list[str]:
    """One text per record; the owner keeps its case, the TTL is left out."""
    return [
        f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}"
        for rrset in rrsets
        for rdata in rrset
    ]


def assert_answer(reply: dns.message.Message, *expected: str) -> None:
    assert (reply.rcode(), bool(reply.flags & dns.flags.AA)) == (NOERROR, True)
    assert lines(reply.answer) == list(expected)
    assert not reply.authority  # nothing that nobody asked for (ZONE-59)


def assert_negative(reply: dns.message.Message, rcode: dns.rcode.Rcode, *aliases: str) -> None:
    """RFC 2308 section 3: the zone's SOA and nothing else, its TTL min(its own, MINIMUM)."""
    assert (reply.rcode(), bool(reply.flags & dns.flags.AA)) == (rcode, True)
    assert lines(reply.answer) == list(aliases)
    (soa,) = reply.authority
    assert (soa.name, soa.rdtype, len(soa)) == (dns.name.from_text(Z), dns.rdatatype.SOA, 1)
    assert soa.ttl == MINIMUM
    assert not reply.additional


def assert_referral(reply: dns.message.Message, cut: str, *servers: str) -> None:
    assert (reply.rcode(), reply.flags & dns.flags.AA) == (NOERROR, 0)
    assert not reply.answer
    owner = absolute(cut)
    assert sorted(lines(reply.authority)) == sorted(f"{owner} NS {absolute(s)}" for s in servers)


def test_zone_01_a_name_has_its_records(server: Server) -> None:
    assert_answer(ask(server, "www"), f"www.{Z} A 192.0.2.80")
    assert_answer(ask(server, "www", "AAAA"), f"www.{Z} AAAA 2001:db8::80")
    soa = "ns1.example.test. hostmaster.example.test. 2026010101 7200 900 1209600 60"
    assert_answer(ask(server, "@", "SOA"), f"{Z} SOA {soa}")


def test_zone_02_a_type_that_a_name_has_not_is_nodata(server: Server) -> None:
    assert_negative(ask(server, "www", "HINFO"), NOERROR)


def test_zone_03_a_name_that_is_not_there_is_nxdomain(server: Server) -> None:
    assert_negative(ask(server, "no-such-name"), NXDOMAIN)


def test_zone_04_nothing_is_below_a_leaf(server: Server) -> None:
    assert_negative(ask(server, "below.www"), NXDOMAIN)


@pytest.mark.parametrize("name", ["ent", "b.ent"])
def test_zone_05_an_empty_non_terminal_is_nodata_at_every_level(server: Server, name: str) -> None:
    for rrtype in ("A", "TXT", "NS"):
        assert_negative(ask(server, name, rrtype), NOERROR)


@pytest.mark.parametrize("name", ["x.ent", "x.b.ent", "b.b.ent"])
def test_zone_06_beside_an_empty_non_terminal_there_is_nothing(server: Server, name: str) -> None:
    assert_negative(ask(server, name, "TXT"), NXDOMAIN)


@pytest.mark.parametrize("labels", ["x", "x.y", "x.y.z.a.b.c.d.e.f.g"])
def test_zone_07_08_a_wildcard_covers_any_number_of_labels(server: Server, labels: str) -> None:
    assert_answer(ask(server, f"{labels}.wild"), f"{labels}.wild.{Z} A 192.0.2.88")


def test_zone_09_a_wildcard_has_no_other_types(server: Server) -> None:
    assert_negative(ask(server, "x.wild", "AAAA"), NOERROR)


def test_zone_10_a_name_that_exists_is_not_covered(server: Server) -> None:
    assert_negative(ask(server, "exact.wild", "TXT"), NOERROR)


def test_zone_11_below_a_name_that_exists_nothing_is_covered(server: Server) -> None:
    assert_negative(ask(server, "foo.exact.wild"), NXDOMAIN)


def test_zone_12_below_an_empty_non_terminal_nothing_is_covered(server: Server) -> None:
    assert_negative(ask(server, "ent2.wild", "TXT"), NOERROR)
    assert_negative(ask(server, "foo.ent2.wild"), NXDOMAIN)


def test_zone_13_the_asterisk_is_a_name(server: Server) -> None:
    assert_answer(ask(server, "*.wild"), f"*.wild.{Z} A 192.0.2.88")
    assert_negative(ask(server, "*.wild", "AAAA"), NOERROR)


def test_zone_14_nothing_is_below_the_asterisk(server: Server) -> None:
    assert_negative(ask(server, "ghost.*.wild"), NXDOMAIN)


@pytest.mark.parametrize("rrtype", ["CNAME", "A"])
def test_zone_15_an_alias_may_be_a_wildcard_for_every_type(server: Server, rrtype: str) -> None:
    answer = [f"x.wc.{Z} CNAME www.{Z}", f"www.{Z} A 192.0.2.80"]
    assert_answer(ask(server, "x.wc", rrtype), *answer[: 2 if rrtype == "A" else 1])


def test_zone_20_an_alias_is_there_for_every_type(server: Server) -> None:
    alias = f"alias.{Z} CNAME www.{Z}"
    assert_answer(ask(server, "alias"), alias, f"www.{Z} A 192.0.2.80")
    assert_answer(ask(server, "alias", "CNAME"), alias)
    assert_negative(ask(server, "alias", "HINFO"), NOERROR, alias)


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_zone_21_22_23_a_chain_is_in_its_order_without_duplicates(
    server: Server, length: int
) -> None:
    names = [f"alias{number}" for number in range(length, 1, -1)] + ["alias", "www"]
    chain = [f"{name}.{Z} CNAME {target}.{Z}" for name, target in pairwise(names)]
    assert_answer(ask(server, names[0]), *chain, f"www.{Z} A 192.0.2.80")


def test_zone_24_the_rcode_is_of_the_last_name(server: Server) -> None:
    assert_negative(ask(server, "dangling"), NXDOMAIN, f"dangling.{Z} CNAME nothing.{Z}")
    chain = f"dangling2.{Z} CNAME dangling.{Z}", f"dangling.{Z} CNAME nothing.{Z}"
    assert_negative(ask(server, "dangling2"), NXDOMAIN, *chain)
    assert_negative(ask(server, "toent"), NOERROR, f"toent.{Z} CNAME b.ent.{Z}")


def test_zone_25_an_alias_out_of_the_zone_is_given_alone(server: Server) -> None:
    assert_answer(ask(server, "extalias"), f"extalias.{Z} CNAME www.example.net.")


def test_zone_26_a_loop_ends(server: Server) -> None:
    loop = f"loop1.{Z} CNAME loop2.{Z}", f"loop2.{Z} CNAME loop1.{Z}"
    assert_answer(ask(server, "loop1"), *loop)
    assert_answer(ask(server, "selfloop"), f"selfloop.{Z} CNAME selfloop.{Z}")
    assert_answer(ask(server, "toloop"), f"toloop.{Z} CNAME loop1.{Z}", *loop)


@pytest.mark.parametrize(
    ("name", "target"), [("aliasdeleg", "host.sub"), ("aliascut", "sub"), ("aliasglue", "ns1.sub")]
)
def test_zone_27_an_alias_into_a_delegation_ends_there(
    server: Server, name: str, target: str
) -> None:
    assert_answer(ask(server, name), f"{name}.{Z} CNAME {target}.{Z}")


@pytest.mark.parametrize("name", ["h.sub", "x.y.z.sub", "sub"])
@pytest.mark.parametrize("rrtype", ["A", "NS", "SOA", "ANY"])
def test_zone_30_31_at_and_below_a_cut_there_is_a_referral(
    server: Server, name: str, rrtype: str
) -> None:
    assert_referral(ask(server, name, rrtype), "sub", "ns1.sub", "ns2.sub")


def test_zone_32_a_referral_has_all_in_domain_glue(server: Server) -> None:
    assert sorted(lines(ask(server, "h.sub").additional)) == [
        f"ns1.sub.{Z} A 192.0.2.60",
        f"ns1.sub.{Z} AAAA 2001:db8::60",
        f"ns2.sub.{Z} A 192.0.2.61",
    ]


@pytest.mark.parametrize("rrtype", ["A", "AAAA", "TXT"])
def test_zone_33_glue_is_no_answer(server: Server, rrtype: str) -> None:
    assert_referral(ask(server, "ns1.sub", rrtype), "sub", "ns1.sub", "ns2.sub")


@pytest.mark.parametrize("name", ["occl.sub", "deep.occl2.sub", "occl2.sub", "alias.sub", "*.sub"])
def test_zone_34_what_a_cut_hides_does_not_exist(server: Server, name: str) -> None:
    assert_referral(ask(server, name, "TXT"), "sub", "ns1.sub", "ns2.sub")


def test_zone_35_without_ds_a_cut_has_none_and_the_parent_says_so(server: Server) -> None:
    assert_negative(ask(server, "sub", "DS"), NOERROR)
    assert_referral(ask(server, "h.sub", "DS"), "sub", "ns1.sub", "ns2.sub")


def test_zone_36_ds_at_a_cut_is_the_parents(server: Server) -> None:
    assert_answer(ask(server, "sec", "DS"), f"sec.{Z} DS 12345 13 2 {'11' * 32}")


def test_zone_37_ds_of_our_own_apex_is_not_ours(server: Server) -> None:
    assert_negative(ask(server, "@", "DS"), NOERROR)


def test_zone_38_glue_below_another_cut_is_given_where_it_fits(server: Server) -> None:
    reply = ask(server, "h.sib")
    assert_referral(reply, "sib", "ns1.sib2", "ns1.sub")
    assert f"ns1.sib2.{Z} A 192.0.2.64" in lines(reply.additional)


def test_zone_39_there_are_no_addresses_from_elsewhere(server: Server) -> None:
    reply = ask(server, "h.ext")
    assert_referral(reply, "ext", "ns.example.net.", "ns.example.org.")
    assert not reply.additional


@pytest.mark.parametrize("name", ["www", "@", "multi"])
def test_zone_40_any_is_one_small_record(server: Server, name: str) -> None:
    assert_answer(ask(server, name, "ANY"), f'{absolute(name)} HINFO "RFC8482" ""')


def test_zone_41_any_is_no_larger_over_tcp(server: Server) -> None:
    assert_answer(ask(server, "@", "ANY", "tcp"), f'{Z} HINFO "RFC8482" ""')


def test_zone_42_any_is_negative_where_there_is_nothing_and_an_alias_where_there_is_one(
    server: Server,
) -> None:
    assert_negative(ask(server, "no-such-name", "ANY"), NXDOMAIN)
    assert_negative(ask(server, "b.ent", "ANY"), NOERROR)
    assert_answer(ask(server, "alias", "ANY"), f"alias.{Z} CNAME www.{Z}")


def test_zone_43_an_rrset_is_complete(server: Server) -> None:
    expected = {f"multi.{Z} A 192.0.2.{number}" for number in (1, 2, 3)}
    for _ in range(5):
        found = lines(ask(server, "multi").answer)
        assert (set(found), len(found)) == (expected, 3)


@pytest.mark.parametrize(
    ("asked", "data"),
    [("\\195x", "upper latin1 195"), ("\\227x", "lower latin1 227"), ("uPpEr", "upper")],
)
def test_zone_44_45_only_ascii_letters_have_case(server: Server, asked: str, data: str) -> None:
    assert_answer(ask(server, asked, "TXT"), f'{absolute(asked)} TXT "{data}"')


@pytest.mark.parametrize(
    ("label", "data"),
    [
        ("bin\\000ary", "nul"),
        ("bin\\032ary", "space"),
        ("bin\\.ary", "dot"),
        ("\\255\\254\\253", "high"),
        ("\\001", "ctl"),
    ],
)
def test_zone_46_a_label_may_hold_any_octets(server: Server, label: str, data: str) -> None:
    (rrset,) = ask(server, label, "TXT").answer
    assert rrset.name == dns.name.from_text(absolute(label))
    assert str(rrset[0]) == f'"{data}"'
    assert_negative(ask(server, f"{label}x", "TXT"), NXDOMAIN)


def test_zone_47_a_name_may_be_as_long_as_names_get(server: Server) -> None:
    base = dns.name.from_text(f"wild.{Z}")
    room = 255 - len(base.to_wire())
    labels = []
    while room > 0:
        size = min(63, room - 1)
        if room - 1 - size == 1:  # no room for a label of no octets
            size -= 1
        labels.append(b"a" * size)
        room -= size + 1
    longest = dns.name.Name(labels + list(base.labels))
    assert len(longest.to_wire()) == 255
    assert max(len(label) for label in longest.labels) == 63
    assert_answer(ask(server, str(longest)), f"{longest} A 192.0.2.88")


@pytest.mark.parametrize(
    "name", ["notexample.test.", "test.", ".", "example.test.example.", "xexample.test."]
)
def test_zone_48_only_whole_labels_make_a_name_ours(server: Server, name: str) -> None:
    reply = ask(server, name, "SOA")
    assert (reply.rcode(), reply.flags & dns.flags.AA) == (REFUSED, 0)
    assert not reply.answer
    assert not reply.authority
    assert not reply.additional


def test_zone_51_an_unknown_type_is_given_verbatim(server: Server) -> None:
    assert_answer(ask(server, "unk", "TYPE65280"), f"unk.{Z} TYPE65280 \\# 8 076578616d706c65")
    name = "076578616d706c650474657374" + "00"  # looks like a name, and stays as it is
    assert_answer(ask(server, "unkname", "TYPE65281"), f"unkname.{Z} TYPE65281 \\# 14 {name}")


def test_zone_52_services_are_given(server: Server) -> None:
    assert_answer(ask(server, "svcb", "SVCB"), f'svcb.{Z} SVCB 1 www.{Z} alpn="h2" port="8443"')
    assert_answer(
        ask(server, "https", "HTTPS"),
        f'https.{Z} HTTPS 1 . alpn="h2,h3" ipv4hint="192.0.2.98"',
    )


def test_zone_53_a_service_comes_with_the_addresses_of_its_host(server: Server) -> None:
    www = [f"www.{Z} A 192.0.2.80", f"www.{Z} AAAA 2001:db8::80"]
    assert lines(ask(server, "svcb", "SVCB").additional) == www
    assert lines(ask(server, "httpsalias", "HTTPS").additional) == www
    assert lines(ask(server, "https", "HTTPS").additional) == [f"https.{Z} A 192.0.2.98"]


@pytest.mark.parametrize(
    ("name", "rrtype", "data"),
    [
        ("www", "TXT", ['"text one" "two"']),
        ("empty", "TXT", ['""']),
        (
            "naptr",
            "NAPTR",
            [
                '100 10 "U" "E2U+sip" "!^.*$!sip:info@example.test!" .',
                f'100 20 "S" "SIP+D2U" "" _sip._tcp.{Z}',
            ],
        ),
        (
            "caa",
            "CAA",
            ['128 issue "ca.example.net; account=230123"', '0 iodef "mailto:x@example.net"'],
        ),
        ("_443._tcp", "TLSA", [f"3 1 1 {'22' * 32}"]),
        ("sshfp", "SSHFP", [f"1 1 {'33' * 20}"]),
    ],
)
def test_zone_57_records_are_given_as_they_were_written(
    server: Server, name: str, rrtype: str, data: list[str]
) -> None:
    reply = ask(server, name, rrtype)
    assert sorted(str(rdata) for rrset in reply.answer for rdata in rrset) == sorted(data)


def test_zone_58_the_target_of_srv_is_not_compressed_and_keeps_its_case(server: Server) -> None:
    octets = server.ask("_sip._tcp", "SRV").octets
    for target in (f"www.{Z}", f"WWW.{Z}"):
        labels = [label.encode() for label in target.split(".")]
        assert b"".join(bytes((len(label),)) + label for label in labels) in octets


@pytest.mark.parametrize("name", ["www", "alias", "multi", "x.wild", "@"])
def test_zone_59_there_are_no_name_servers_that_nobody_asked_for(server: Server, name: str) -> None:
    assert not ask(server, name).authority


def test_zone_61_a_ttl_does_not_run_down(server: Server) -> None:
    assert {ask(server, "www").answer[0].ttl for _ in range(3)} == {300}
    assert ask(server, "maxttl").answer[0].ttl == 2**31 - 1


def test_zone_63_a_ttl_of_zero_is_zero(server: Server) -> None:
    assert ask(server, "zero").answer[0].ttl == 0
