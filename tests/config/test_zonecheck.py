"""What makes records a zone: every error and warning that config.md lists for zones."""

import pytest
from gslb.config import zonetarget
from gslb.config.zonefolder import read_zones
from gslb.core.setting import Limits
from gslb.wire.name import from_text
from gslb.wire.rrtype import MX, TXT, A

HEAD = """$TTL 300
@ SOA ns1 host 7 7200 900 1209600 60
  NS ns1
  NS ns.example.net.
ns1 A 192.0.2.1
"""


@pytest.fixture
def check(tmp_path):
    """Problems as (line, severity, text) of a zone a.test with HEAD on lines 1 to 5."""

    def write_and_check(text, head=HEAD, limits=None):
        (tmp_path / "a.test.zone").write_text(head + text)
        folder = read_zones(str(tmp_path), limits or Limits(), "zones")
        assert (folder.zones == ()) == any(p.severity == "error" for p in folder.problems)
        return [
            (p.where.line, p.severity, f"{p.subject}: {p.what}; {p.hint}") for p in folder.problems
        ]

    return write_and_check


ERRORS = [
    ("w STEER p\nw A 192.0.2.1\n", 6, 'name "w.a.test": STEER beside A;'),
    ("w AAAA ::1\nw A 192.0.2.1\nw STEER p\n", 8, "STEER beside A and AAAA"),
    ("w STEER p\nw CNAME ns1\n", 6, "STEER beside CNAME"),
    ("w STEER p\nw STEER q\n", 7, "2 STEER records where 1 may be"),
    ("w STEER p\nw STEER p\n", 7, "2 STEER records where 1 may be"),
    ("s NS ns1\ns STEER p\n", 7, "STEER at or below a zone cut"),
    ("s NS ns1\nx.y.s STEER p\n", 7, "STEER at or below a zone cut"),
    ("*.s STEER p\ns NS ns1\n", 6, "STEER at or below a zone cut"),
    ("w STEER p\n@ NS W\n", 6, 'STEER at a name that NS of "a.test" points to'),
    ("w STEER p\ns NS w\n", 6, 'STEER at a name that NS of "s.a.test" points to'),
    ("@ SOA ns1 host 8 1 1 1 1\n", 6, "2 SOA records where 1 may be"),
    ("s SOA ns1 host 8 1 1 1 1\n", 6, 'SOA below the apex of the zone "a.test"'),
    ("c CNAME ns1\nc TXT x\n", 6, "CNAME beside TXT; a CNAME stands alone"),
    ("@ CNAME ns1\n", 6, "CNAME beside NS, SOA"),
    ("c CNAME ns1\nc CNAME ns1.example.net.\n", 7, "2 CNAME records where 1 may be"),
    ("c CNAME ns1\nc CNAME NS1\n", 7, "2 CNAME records where 1 may be"),
    (HEAD.splitlines()[1] + "\n", 6, "2 SOA records where 1 may be"),
    ("b.test. A 192.0.2.1\n", 6, '"b.test" A: is outside the zone "a.test"'),
    ("xa.test. A 192.0.2.1\n", 6, '"xa.test" A: is outside the zone "a.test"'),
    ("$GENERATE 1-9 a$.b.test. A 192.0.2.1\n", 6, "is outside the zone"),
    ("t TYPE65280 \\# 65535 " + "00" * 65535 + "\n", 6, "do not fit a message"),
]


@pytest.mark.parametrize(("text", "line", "what"), ERRORS)
def test_an_error_is_told_once_at_its_line(check, text, line, what):
    ((at, severity, said),) = check(text)
    assert (at, severity) == (line, "error")
    assert what in said


WARNINGS = [
    ("w 301 STEER p\n", 6, "a steered TTL of 301 seconds"),
    ("w STEER p\nw HTTPS 1 . ipv4hint=192.0.2.1\n", 7, "ipv4hint beside STEER"),
    ("w STEER p\nw SVCB 1 w ipv6hint=::1 ipv4hint=192.0.2.1\n", 7, "ipv4hint and ipv6hint beside"),
    (
        "w TXT a\nw 60 TXT b\nw 60 TXT c\n",
        7,
        "the TXT records have unequal TTLs; the lowest is taken",
    ),
    ("w TXT a\nw TXT a\n", 7, "the same TXT twice"),
    ("w MX 10 NS1\nw MX 10 ns1\n", 7, "the same MX twice"),
    ("s NS ns1.s\n", 6, 'NS "ns1.s.a.test" has no glue'),
    ("s NS n.t\nt NS ns1\n", 6, 'NS "n.t.a.test" has no glue'),
    ("@ NS w\nw TXT x\n", 6, 'NS "w.a.test" has no address'),
    ("@ NS w\nx.w TXT x\n", 6, 'NS "w.a.test" has no address'),
    ("@ NS w\n", 6, 'NS "w.a.test" does not exist'),
    ("c CNAME w\n", 6, 'CNAME "w.a.test" does not exist'),
    ("m MX 10 mail.example.net\n", 6, 'MX "mail.example.net.a.test" does not exist; write the'),
    ("c CNAME x.w\n*.w.w A 192.0.2.1\n", 6, 'CNAME "x.w.a.test" does not exist'),
    ("m MX 10 c\nc CNAME ns1\n", 6, 'MX "c.a.test" is a CNAME'),
    ("@ NS c\nc CNAME ns1\n", 6, 'NS "c.a.test" is a CNAME'),
    ("m MX 10 c\n* CNAME ns1\n", 6, 'MX "c.a.test" is a CNAME'),
    ("c CNAME c\n", 6, "starts a loop or a chain of over 8 CNAMEs"),
    ("*.d NS ns1\n", 6, "NS at a wildcard delegates none of the names it covers"),
    ("d DNAME example.net.\n", 6, "DNAME is served but not followed"),
    ("n NSEC a.test. A\nm NSEC a.test. A\n", 6, "NSEC records are served as plain data"),
]


@pytest.mark.parametrize(("text", "line", "what"), WARNINGS)
def test_a_warning_is_told_once_at_its_line_and_the_zone_loads(check, text, line, what):
    ((at, severity, said),) = check(text)
    assert (at, severity) == (line, "warning")
    assert what in said


SOUND = [
    "@ STEER p\n",
    "* STEER p\nw HTTPS 1 .\n",
    "w STEER p\nw MX 10 ns1\nw TXT x\nw HTTPS 1 . alpn=h2\n",
    "w 300 STEER p\n",
    "c CNAME w.c2.x\n*.x A 192.0.2.1\n",
    "c CNAME ent\nx.ent A 192.0.2.1\n",
    "c CNAME in.s\ns NS ns1\n",
    "m MX 0 .\n",
    "m MX 10 w\nw STEER p\n",
    "s NS ns1.s\nns1.s AAAA ::1\ns DS 1 8 2 " + "00" * 32 + "\n",
    "x.s CNAME nothing.x\ns NS ns1\n",
    "c CNAME ns1\nc KEY 256 3 8 AAAA\n",
    "\\000 TYPE65280 \\# 0\n",
    "w A 192.0.2.1\nW A 192.0.2.2\n",
    "t TXT a\nt TXT A\n",
]


@pytest.mark.parametrize("text", SOUND)
def test_what_is_sound_is_not_complained_of(check, text):
    assert check(text) == []


def test_the_lowest_of_unequal_ttls_is_taken_and_duplicates_are_dropped(tmp_path):
    text = HEAD + "w 60 A 192.0.2.1\nw 30 A 192.0.2.2\nw 60 A 192.0.2.1\nw MX 5 A\nw MX 5 a\n"
    (tmp_path / "a.test.zone").write_text(text)
    node = read_zones(str(tmp_path), Limits()).zones[0].find(from_text("w.a.test"))
    assert (node.get(A).ttl, node.get(A).rdatas) == (30, (b"\xc0\0\x02\x01", b"\xc0\0\x02\x02"))
    assert node.get(MX).rdatas == (b"\0\x05\x01A" + from_text("a.test"),)


def test_a_zone_without_soa_and_ns_is_told_both(check):
    said = check("$TTL 5\nw A 192.0.2.1\n", head="")
    assert [line for line, *_ in said] == [0, 0]
    assert 'zone "a.test": has no NS record' in said[0][2]
    assert 'zone "a.test": has no SOA record' in said[1][2]


def test_a_zone_without_an_soa_is_not_told_that_its_data_is_outside(check):
    said = check("$TTL 5\nw.b.test. A 192.0.2.1\n", head="")
    assert not any("outside" in text for _, _, text in said)


def test_an_soa_that_cannot_be_read_is_not_told_to_be_missing(check):
    head = "$ORIGIN b.test.\n$TTL 5\n@ SOA ns1 host x\n@ NS ns1\n@ NS ns2\n"
    said = check("c.test. A 192.0.2.1\nns1 A 192.0.2.1\n", head=head)
    assert [line for line, *_ in said] == [3, 6]
    assert "outside the zone" in said[1][2]


def test_one_name_server_is_a_warning(check):
    head = "$TTL 5\n@ SOA ns1 host 7 7200 900 1209600 60\n@ NS ns1\nns1 A 192.0.2.1\n"
    ((line, severity, said),) = check("", head=head)
    assert (line, severity) == (3, "warning")
    assert "has only one NS record" in said


def test_what_is_missing_is_not_told_while_an_entry_cannot_be_read(check):
    said = check("c CNAME w\nw A 192.0.2.300\n")
    assert [line for line, *_ in said] == [7]


def test_a_chain_of_eight_cnames_is_no_matter_and_of_nine_is(check):
    chain = "".join(f"c{n} CNAME c{n + 1}\n" for n in range(1, 8)) + "c8 CNAME ns1\n"
    assert check(chain) == []
    ((line, _, said),) = check("c0 CNAME c1\n" + chain)
    assert (line, "over 8 CNAMEs" in said) == (6, True)


def test_too_many_records_and_types_are_told_at_the_first_beyond_the_limit(check):
    many = "".join(f"w A 192.0.2.{n}\n" for n in range(1, 5))
    ((line, _, said),) = check(many, limits=Limits(rrset=3))
    assert line == 9
    assert "4 A records where 3 may be; take some away, or raise server.limits.rrset" in said
    types = "w A 192.0.2.1\nw AAAA ::1\nw TXT x\n"
    ((line, _, said),) = check(types, limits=Limits(types_per_name=2))
    assert (line, "3 types, over 2" in said) == (8, True)


def test_two_dnames_at_a_name_are_one_too_many(check):
    said = check("d DNAME x.test.\nd DNAME y.test.\n")
    assert [line for line, severity, _ in said if severity == "error"] == [7]


def test_an_rrset_that_fits_no_message_is_told(check):
    text = "".join(f"t TXT {(' ' + 'x' * 255) * 3} {n}\n" for n in range(90))
    ((line, _, said),) = check(text)
    assert line == 6
    assert "the TXT records do not fit a message of 65535 octets" in said


def test_a_target_in_another_loaded_zone_is_not_looked_for(check, tmp_path):
    child = HEAD + "w A 192.0.2.1\n"
    (tmp_path / "s.a.test.zone").write_text(child)
    assert check("c CNAME nothing.s\n") == []


def test_the_case_of_a_name_does_not_make_a_second_one(tmp_path):
    (tmp_path / "a.test.zone").write_text(HEAD + "W TXT one\nw.A.TEST. TXT two\n")
    (zone,) = read_zones(str(tmp_path), Limits()).zones
    assert zone.find(from_text("w.a.test")).get(TXT).rdatas == (b"\x03one", b"\x03two")


def test_names_that_are_made_of_nothing_but_labels_are_limited(check, monkeypatch):
    monkeypatch.setattr(zonetarget, "MAX_NAMES_OCTETS", 10_000)
    text = f"$GENERATE 1-9 {'a.' * 60}b$ A 192.0.2.1\n"
    (_, _, said), *_ = check(text)
    assert 'zone "a.test": has too many names' in said
