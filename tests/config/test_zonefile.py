"""Entries through dnspython: records in wire form, and complaints in words."""

import dns.exception
import dns.zone
import pytest
from gslb.config.entry import split
from gslb.config.zonefile import ZoneReader
from gslb.wire.name import from_text
from gslb.wire.rrtype import CNAME, MX, NS, STEER, TXT, A
from hypothesis import given
from hypothesis import strategies as st


def read(text, origin="example.com"):
    """(records, complaints) of a text."""
    records = []
    reader = ZoneReader(origin, lambda *record: records.append(record))
    complaints = [said for entry in split(text) if (said := reader.read(entry)) is not None]
    return records, complaints


def read_one(text):
    (record,), complaints = read("$TTL 300\n" + text)
    assert complaints == []
    return record


def test_an_owner_is_a_lower_case_key_and_data_keeps_its_case():
    owner, rrtype, ttl, rdata = read_one("Www 60 IN CNAME Other.Example.NET.")
    assert (owner, rrtype, ttl) == (from_text("www.example.com"), CNAME, 60)
    assert rdata == b"\x05Other\x07Example\x03NET\x00"


def test_owner_ttl_and_origin_go_on_from_entry_to_entry():
    text = "$TTL 5\n$ORIGIN a.example.com.\nx A 192.0.2.1\n  AAAA ::1\n$ORIGIN b\n@ 7 NS x\n"
    records, complaints = read(text)
    assert complaints == []
    assert [(owner, ttl) for owner, _, ttl, _ in records] == [
        (from_text("x.a.example.com"), 5),
        (from_text("x.a.example.com"), 5),
        (from_text("b.a.example.com"), 7),
    ]


@pytest.mark.parametrize(
    ("text", "ttls"),
    [
        ("@ 9 SOA a b 1 2 3 4 60\nx TXT a\nx 8 TXT b\nx TXT c\n$TTL 7\nx TXT d\n", [9, 9, 8, 8, 7]),
        ("@ SOA a b 1 2 3 4 60\nx TXT a\nx 8 TXT b\nx TXT c\n", [60, 60, 8, 8]),
    ],
)
def test_a_record_has_the_ttl_of_the_file_or_the_one_before_it_or_the_soas_minimum(text, ttls):
    records, complaints = read(text)
    assert complaints == []
    assert [ttl for _, _, ttl, _ in records] == ttls


def test_a_bad_entry_does_not_spoil_the_next():
    records, complaints = read("$TTL 5\na A 192.0.2\n  A 192.0.2.1\n")
    assert [owner for owner, *_ in records] == [from_text("a.example.com")]
    assert len(complaints) == 1


def test_labels_of_any_octets_are_kept():
    owner, *_ = read_one("\\000\\195x\\.y A 192.0.2.1")
    assert owner == b"\x05\x00\xc3x.y" + from_text("example.com")


def test_a_name_of_255_octets_is_read_and_one_more_is_not():
    label = "a" * 63
    longest = f"{label}.{label}.{label}.{'b' * 61}."
    assert len(read_one(f"{longest} A 192.0.2.1")[0]) == 255
    _, (complaint,) = read(f"$TTL 1\n{longest[:-1]}b. A 192.0.2.1")
    assert complaint.what == "a name has more than 255 octets"


def test_unknown_types_are_read_as_rfc_3597_says():
    assert read_one("u TYPE65280 \\# 3 0a0b ff")[1::2] == (65280, b"\x0a\x0b\xff")
    assert read_one("u A \\# 4 c0000201")[1::2] == (A, b"\xc0\x00\x02\x01")


def test_a_string_of_txt_is_any_octets():
    assert read_one('t TXT "a;b" c\\255 "\\"" ""')[3] == b'\x03a;b\x02c\xff\x01"\x00'
    assert read_one("t TXT é")[3] == b"\x02\xc3\xa9"


@pytest.mark.parametrize("form", ["web", '"web"', "\\# 4 03776562"])
def test_steer_is_one_character_string(form):
    expected = (from_text("www.example.com"), STEER, 30, b"\x03web")
    assert read_one(f"www 30 STEER {form}") == expected
    assert read_one(f"www 30 TYPE65282 {form}") == expected


def test_generate_makes_the_records_of_its_range():
    records, complaints = read(
        "$TTL 1\n$GENERATE 0-4/2 h${1,3} A 192.0.2.$\n$GENERATE 1-2 m 60 IN MX $ x$\n"
    )
    assert complaints == []
    assert [owner[1:5] for owner, *_ in records[:3]] == [b"h001", b"h003", b"h005"]
    assert [rdata[3] for *_, rdata in records[:3]] == [0, 2, 4]
    assert [rdata[:5] for *_, rdata in records[3:]] == [b"\0\1\2x1", b"\0\2\2x2"]
    assert [ttl for _, _, ttl, _ in records] == [1, 1, 1, 60, 60]


@pytest.mark.parametrize(
    ("template", "label"),
    [
        ("a$$b", b"a$b"),
        ("a\\$b", b"a$b"),
        ("${-3,2,d}", b"07"),
        ("${0,4,x}", b"000a"),
        ("${6,0,X}", b"10"),
        ("${0,0,o}", b"12"),
    ],
)
def test_generate_counts_as_bind_does(template, label):
    (record,), _ = read(f"$TTL 1\n$GENERATE 10-10 {template} A 192.0.2.1")
    assert record[0] == bytes((len(label),)) + label + from_text("example.com")


def test_generate_counts_in_nibbles_for_reverse_names():
    (record,), _ = read("$TTL 1\n$GENERATE 427-427 ${0,7,n} PTR a.")
    assert record[0] == from_text("b.a.1.0.example.com")


COMPLAINTS = [
    ("www A 192.0.2.300", 7, '"192.0.2.300" is not an IPv4 address', "write it as A 192.0.2.1"),
    ("www AAAA ::g", 10, '"::g" is not an IPv6 address', "write it as AAAA 2001:db8::1"),
    ("www A", 5, 'the entry ends too early, after "A"', "write it as A 192.0.2.1"),
    ("www", 1, 'the entry ends too early, after "www"', ""),
    ("www A 192.0.2.1 5", 17, 'one word too many: "5"', "write it as A 192.0.2.1"),
    ("www MX a b", 8, '"a" is not a number', "write it as MX 10 mail.example.com."),
    ("www MX 70000 b", 8, '"70000" is not a number from 0 to 65535', "write it as MX"),
    ("www AAA ::1", 5, 'unknown type "AAA"', 'did you mean "AAAA"?'),
    ("SOA ns1 h 1 2 3 4 5", 5, 'unknown type "ns1"', "the owner is missing"),
    ("  $TTL 5", 3, 'unknown type "$TTL"', "a directive begins in the first column"),
    ("www 99999999999 A ::1", 5, '"99999999999" is neither a TTL nor', "a TTL is at most"),
    ("www 30x A ::1", 5, '"30x" is neither a TTL nor a type', "with units as in 1h30m"),
    ("www -1 A 192.0.2.1", 5, '"-1" is neither a TTL nor a type', "a TTL is at most"),
    ("www CH A 192.0.2.1", 5, '"CH": only the class IN is served', "leave the class out"),
    ("www 3000000000 A 192.0.2.1", 18, "the TTL 3000000000 is above 2147483647", "write less"),
    ("a..b A 192.0.2.1", 1, 'the name "a..b" has an empty label', "write one dot"),
    ("a\\25x A 192.0.2.1", 1, "has a backslash that means nothing", "three digits up to 255"),
    (f"{'a' * 64} A 192.0.2.1", 1, "a label has more than 63 octets", "shorten it"),
    ("ü A 192.0.2.1", 1, '"ü" is not ASCII', "xn-- form"),
    ("a CNAME ü", 9, '"ü" is not ASCII', "xn-- form"),
    ('"a" A 192.0.2.1', 1, '"a" must not stand in quotes', "take the quotes away"),
    ("a TXT", 3, 'the entry ends too early, after "TXT"', 'write it as TXT "text"'),
    ('a TXT b "c\\256" d', 9, '"c\\256" has a backslash that means nothing', "up to 255"),
    ("a TXT b\\25", 7, '"b\\25" has a backslash that means nothing', "three digits"),
    (f"a TXT {'x' * 256}", 7, "a string has more than 255 octets", "write it in parts"),
    ("a DS 1 8 2 zz", 12, '"zz" is not hexadecimal', "write it as DS"),
    ("a DNSKEY 256 3 8 !!!", 18, '"!!!" is not base64', "write it as DNSKEY"),
    ("a DS 1 8 2 0011", 12, "the digest has not the length of its type", "write it as DS"),
    ("a NSEC3 1 0 0 - ! A", 17, '"!" is not base32hex', "write it as NSEC3"),
    ("a RRSIG A 8 3 1 20301301000000 0 1 a. AA", 17, '"20301301000000" is not a', "YYYYMM"),
    ("a SOA b c 1 1.5h 1 1 1", 13, '"1.5h" is not a TTL', "write seconds"),
    ("a APL 1:192.0.2.0/33", 7, "value too large", "write it as APL 1:192.0.2.0/24"),
    ("a HTTPS 0 b alpn=h2", 13, "parameters of an alias (priority 0)", "take them away"),
    ("a HTTPS 1 . alpn=h2 alpn=h3", 21, "the same service parameter twice", "alpn=h2,h3"),
    ("a HTTPS 1 . mandatory=port alpn=h2", 28, "that mandatory= names is not", "write it too"),
    ("a HTTPS 1 . no-default-alpn", 13, "no-default-alpn without alpn", "write alpn= too"),
    ("a TYPE65280 \\# 3 00", 18, "has not the length it says", ""),
    ("a TYPE65280 00", 13, "the data of this type is not known", "write \\# LENGTH HEX"),
    ("a A \\# 3 010203", 10, "the data does not fit the type A", ""),
    ("a TYPE255 \\# 0", 14, "ANY is a type of questions", "take the record away"),
    ("a ANY \\# 0", 3, "ANY is a type of questions", "take the record away"),
    ("a STEER", 3, 'the entry ends too early, after "STEER"', "write it as STEER POLICY"),
    ("a STEER a b", 11, 'one word too many: "b"', "write it as STEER POLICY"),
    ('a STEER ""', 9, "a policy's name has 1 to 255 octets", ""),
    ("a STEER \\255", 9, "is not UTF-8", ""),
    ("$TTL x", 6, '"x" is not a TTL', "write seconds"),
    ("$ORIGIN", 1, 'the entry ends too early, after "$ORIGIN"', ""),
    ("$UNICODE 2008", 1, 'unknown directive "$UNICODE"', "there are $ORIGIN, $TTL, $INCLUDE"),
    ("$GENERATE 1-70000 a$ A 192.0.2.1", 11, "would make 70000 records", "at most 65536"),
    ("$GENERATE 2-1 a$ A 192.0.2.1", 11, '"2-1" is not a range', "START-STOP"),
    ("$GENERATE 1-2/0 a$ A 192.0.2.1", 11, '"1-2/0" is not a range', "START-STOP"),
    ("$GENERATE 1-2 a${x} A 192.0.2.1", 16, "that cannot be read", "OFFSET,WIDTH,BASE"),
    ("$GENERATE 1-2 a${0,128} A 192.0.2.1", 16, "that cannot be read", "a width to 127"),
    ("$GENERATE 1-2 a$ A", 1, "the entry ends too early", "write $GENERATE 1-9"),
    ("$GENERATE 255-256 a$ A 10.0.0.$", 1, '"10.0.0.256" is not an IPv4 address', ""),
]


@pytest.mark.parametrize(("text", "column", "what", "hint"), COMPLAINTS)
def test_a_bad_entry_is_told_in_words_with_its_place(text, column, what, hint):
    _, (complaint,) = read("$TTL 300\n" + text)
    assert (complaint.line, complaint.column) == (2, column)
    assert what in complaint.what
    assert hint in complaint.hint


def test_a_record_without_any_ttl_is_told():
    _, (complaint,) = read("www A 192.0.2.1")
    assert (complaint.what, complaint.line) == ("there is no TTL", 1)


def test_without_an_origin_the_first_relative_name_is_told():
    records, (complaint,) = read("$TTL 5\na A 192.0.2.1\n$ORIGIN b.\nc A 192.0.2.1", "a..b")
    assert "origin" in complaint.what
    assert [owner for owner, *_ in records] == [from_text("c.b")]


def test_the_word_is_found_in_an_entry_of_many_lines():
    _, (complaint,) = read("@ 5 SOA ns1 host (\n  1 ; serial\n  2 3 x\n 5 )")
    assert (complaint.line, complaint.column) == (3, 7)


def test_the_usual_types_of_a_zone_are_in_wire_form():
    records, complaints = read(
        '$TTL 5\n@ NS ns1\n@ MX 10 Mail\n_a._tcp SRV 1 2 3 h\n@ CAA 0 issue "x"\n'
        '@ HTTPS 1 . alpn="h2,h3" port=8443\n@ TXT a\n'
    )
    assert complaints == []
    types = {rrtype: rdata for _, rrtype, _, rdata in records}
    zone = from_text("example.com")
    assert types[NS] == b"\x03ns1" + zone
    assert types[MX] == b"\x00\x0a\x04Mail" + zone
    assert types[33] == b"\x00\x01\x00\x02\x00\x03\x01h" + zone
    assert types[65].endswith(b"\x00\x03\x00\x02\x20\xfb")
    assert types[TXT] == b"\x01a"


def test_all_ranges_of_a_zone_share_one_limit():
    text = "$TTL 1\n$GENERATE 1-36 a$ NS b\n$GENERATE 1-65536 a$ NS b\n"
    records, (complaint,) = read(text)
    assert len(records) == 36
    assert complaint.line == 3
    assert "more than the 65500 left" in complaint.what


WORDS = st.sampled_from(
    [
        *("a", "b.c", "@", "*", "60", "1h", "IN", "A", "AAAA", "TXT", "MX", "NS", "HTTPS", "CNAME"),
        *("192.0.2.1", "::1", "10", "1", ".", 'alpn="h2"', "port=1", '"x;y"', '"a \\" b"', '""'),
        *("\\#", "4", "01020304", "\\010", "x\\.y", "(", ")", ";c", "\n", "\n\t"),
        *("\\;", '"z"(q)"r"'),
    ]
)
RECORDS = st.sampled_from(
    ["a A 192.0.2.1", "\tTXT", "a 60 IN HTTPS 1 .", "* MX 10", "@ NS", "$ORIGIN s", "b TXT ("]
)


@given(st.lists(st.tuples(RECORDS, st.lists(WORDS, max_size=4)), min_size=1, max_size=4))
def test_what_dnspython_reads_alone_is_read_alike(entries):
    text = "$TTL 300\n" + "".join(f"{head} {' '.join(rest)}\n" for head, rest in entries)
    try:
        zone = dns.zone.from_text(text, "example.com.", relativize=False, check_origin=False)
    except (dns.exception.DNSException, ValueError):
        return
    records, complaints = read(text)
    assert complaints == []
    inside = [record for record in records if record[0].endswith(b"\x07example\x03com\0")]
    assert {(owner, rrtype, rdata.lower()) for owner, rrtype, _, rdata in inside} == {
        (name.to_wire().lower(), int(rdata.rdtype), rdata.to_wire().lower())
        for name, _, rdata in zone.iterate_rdatas()
    }
