"""Odd zone files: what is read, what is refused, and where NSD's nsd-checkzone sees it otherwise.

The verdicts are ours; the comparison runs where NSD is installed. Whatever differs has its reason
here.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest
from gslb.config.zonefolder import read_zones
from gslb.core.setting import Limits

HEAD = """\
$ORIGIN example.com.
$TTL 300
@ SOA ns1 h 1 2 3 4 5
@ NS ns1
@ NS ns2
ns1 A 192.0.2.53
ns2 A 192.0.2.54
"""
L63 = "a" * 63

GOOD = {
    "no-newline-at-end": HEAD + "x A 192.0.2.1",
    "crlf": (HEAD + "x A 192.0.2.1\n").replace("\n", "\r\n"),
    "bom": "\ufeff" + HEAD,
    "tabs": HEAD + "x\t\tIN\tA\t192.0.2.1\t\n",
    "class-ttl": HEAD + "x IN 60 A 192.0.2.1\n",
    "ttl-class": HEAD + "x 60 IN A 192.0.2.1\n",
    "ttl-units": HEAD + "x 1w2d3h4m5s A 192.0.2.1\n",
    "ttl-upper": HEAD + "x 1W2D A 192.0.2.1\n",
    "$ttl-units": HEAD + "$TTL 1h30m\nx A 192.0.2.1\n",
    "ttl-max": HEAD + "x 2147483647 A 192.0.2.1\n",
    "ttl-0": HEAD + "x 0 A 192.0.2.1\n",
    "soa-units": HEAD.replace("1 2 3 4 5", "1 2h 30m 1w 1d"),
    "soa-serial-max": HEAD.replace("1 2 3 4 5", "4294967295 2 3 4 5"),
    "soa-parens": HEAD.replace("1 2 3 4 5", "( 1 ; s\n 2\n\t3 4\n5 )"),
    "soa-open-first": HEAD.replace("@ SOA ns1 h 1 2 3 4 5", "@ ( SOA ns1 h\n1 2 3 4 5 )"),
    "no-space-paren": HEAD + 'x TXT ("a"\n"b")\n',
    "paren-nested": HEAD + "x TXT ( a ( b ) c )\n",
    "quoted-semicolon": HEAD + 'x TXT "a;b"\n',
    "quoted-escaped-quote": HEAD + 'x TXT "a\\"b"\n',
    "escaped-semicolon": HEAD + "x TXT a\\;b\n",
    "txt-ddd": HEAD + 'x TXT "\\000\\255"\n',
    "txt-empty": HEAD + 'x TXT ""\n',
    "txt-255": HEAD + 'x TXT "' + "a" * 255 + '"\n',
    "txt-adjacent": HEAD + 'x TXT "a""b"\n',
    "txt-word-quote": HEAD + 'x TXT a"b"\n',
    "at": HEAD + "@ TXT a\n",
    "escaped-at": HEAD + "\\@ TXT a\n",
    "mixed-case": HEAD + "X a 192.0.2.1\nx.Y In Txt b\n",
    "omit-owner": HEAD + "x A 192.0.2.1\n  AAAA ::1\n\n\t60 TXT a\n",
    "blank-comment-between": HEAD + "x A 192.0.2.1\n; c\n   ; c\n\n  AAAA ::1\n",
    "label-63": HEAD + f"{L63} A 192.0.2.1\n",
    "name-255": HEAD + ".".join([L63] * 3 + ["a" * 49]) + " A 192.0.2.1\n",
    "binary-label": HEAD + "\\000\\255\\032 A 192.0.2.1\n",
    "escaped-dot": HEAD + "a\\.b A 192.0.2.1\n",
    "escaped-dot-ddd": HEAD + "a\\046b A 192.0.2.1\n",
    "star": HEAD + "* A 192.0.2.1\n*.x A 192.0.2.1\na.*.x A 192.0.2.1\n",
    "underscore": HEAD + "_sip._tcp SRV 0 0 5 x\nx A 192.0.2.1\n",
    "host-underscore": HEAD + "a_b A 192.0.2.1\n",
    "origin-rel": HEAD + "$ORIGIN sub\nx A 192.0.2.1\n",
    "origin-lower": HEAD + "$origin sub\nx A 192.0.2.1\n",
    "origin-comment": HEAD + "$ORIGIN sub ; c\nx A 192.0.2.1\n",
    "class1": HEAD + "x CLASS1 A 192.0.2.1\n",
    "type1": HEAD + "x TYPE1 \\# 4 c0000201\n",
    "type1-text": HEAD + "x TYPE1 192.0.2.1\n",
    "type65280": HEAD + "x TYPE65280 \\# 3 aabbcc\n",
    "type65280-0": HEAD + "x TYPE65280 \\# 0\n",
    "type65280-spaces": HEAD + "x TYPE65280 \\# 4 aa bb ccdd\n",
    "type65280-odd": HEAD + "x TYPE65280 \\# 4 aab bccdd\n",
    "type-lower": HEAD + "x type65280 \\# 1 aa\n",
    "cname-loop": HEAD + "x CNAME y\ny CNAME x\n",
    "cname-self": HEAD + "x CNAME x\n",
    "cname-dangling": HEAD + "x CNAME y\n",
    "mx-cname": HEAD + "x CNAME ns1\n@ MX 1 x\n",
    "ns-cname": HEAD + "x CNAME ns1\n@ NS x\n",
    "dname-below": HEAD + "x DNAME y.example.net.\na.x A 192.0.2.1\n",
    "before-soa": "$ORIGIN example.com.\n$TTL 300\nx A 192.0.2.1\n" + HEAD,
    "no-ttl-first": HEAD.replace("$TTL 300\n", ""),
    "no-ttl-soa-ttl": HEAD.replace("$TTL 300\n@", "@ 60"),
    "no-ttl-last": HEAD.replace("$TTL 300\n@", "@ 60") + "x 5 A 192.0.2.1\ny A 192.0.2.1\n",
    "unequal-ttl": HEAD + "x 5 A 192.0.2.1\nx 6 A 192.0.2.2\n",
    "dup": HEAD + "x A 192.0.2.1\nX A 192.0.2.1\n",
    "dup-ttl": HEAD + "x 5 A 192.0.2.1\nx 6 A 192.0.2.1\n",
    "glue-missing": HEAD + "sub NS ns.sub\n",
    "glue-given": HEAD + "sub NS ns.sub\nns.sub A 192.0.2.1\n",
    "occluded": HEAD + "sub NS ns.sub\nns.sub A 192.0.2.1\nx.sub TXT a\n",
    "sub-soa-under-cut": HEAD + "sub NS ns1\nsub TXT a\n",
    "ns-noaddr": HEAD + "@ NS nx\n",
    "ns-ip": HEAD + "@ NS 192.0.2.1\n",
    "ds-no-ns": HEAD + f"x DS 1 8 2 {'00' * 32}\n",
    "gen": HEAD + "$GENERATE 1-3 x$ A 192.0.2.$\n",
    "gen-mod": HEAD + "$GENERATE 1-3 x${1,3,x} A 192.0.2.$\n",
    "gen-n": HEAD + "$GENERATE 1-3 ${0,3,n} PTR a$.\n",
    "include": HEAD + "$INCLUDE inc.txt\n",
    "include-origin": HEAD + "$INCLUDE inc.txt sub\ny A 192.0.2.9\n",
    "include-quoted": HEAD + '$INCLUDE "inc.txt"\n',
    "include-owner": HEAD + "q A 192.0.2.9\n$INCLUDE inc.txt\n  AAAA ::1\n",
    "aaaa-v4": HEAD + "x AAAA ::ffff:192.0.2.1\n",
    "mx-null": HEAD + "@ MX 0 .\n",
    "srv-null": HEAD + "_x._tcp SRV 0 0 0 .\n",
    "rrset-100": HEAD + "".join(f"x A 10.0.0.{n}\n" for n in range(100)),
    "numeric-owner": HEAD + "1 A 192.0.2.1\n",
    "owner-type": HEAD + "a A 192.0.2.1\nmx MX 1 ns1\n",
    "owner-in": HEAD + "in IN A 192.0.2.1\n",
    "owner-ttl-like": HEAD + "1h 1h IN A 192.0.2.1\n",
    "caa-unquoted": HEAD + "x CAA 0 issue ca.example.net\n",
    "nsec": HEAD + "x NSEC y A NSEC\n",
    "rrsig": HEAD + "x RRSIG A 8 3 3600 20300101000000 20260101000000 2642 example.com. oJB1W6WN\n",
    "utf8-comment": HEAD + "; ümlaut\n",
    "utf8-txt": HEAD + 'x TXT "ü"\n',
    "cr-only": (HEAD + "x A 192.0.2.1\n").replace("\n", "\r"),
    "relative-soa-names": HEAD.replace("ns1 h 1", "ns1.example.com. h\\.x.example.com. 1"),
    "txt-open-paren-quote": HEAD + 'x TXT "(" ")"\n',
    "txt-paren-escape": HEAD + "x TXT \\( \\)\n",
    "semicolon-attached": HEAD + "x A 192.0.2.1;comment\n",
    "loc-short": HEAD + "x LOC 50 N 8 E 10m\n",
    "naptr": HEAD + 'x NAPTR 1 1 "u" "" "!a!b!" .\n',
}
# The line of the first error, and what it says.
BAD = {
    "ttl-over": (HEAD + "x 2147483648 A 192.0.2.1\n", 8, "the TTL 2147483648 is above 2147483647"),
    "ttl-4294967295": (
        HEAD + "x 4294967295 A 192.0.2.1\n",
        8,
        "the TTL 4294967295 is above 2147483647",
    ),
    "soa-serial-over": (
        HEAD.replace("1 2 3 4 5", "4294967296 2 3 4 5"),
        3,
        '"4294967296" is not a number from 0 to 4294967295',
    ),
    "txt-256": (HEAD + 'x TXT "\\256"\n', 8, '"\\256" has a backslash that means nothing'),
    "txt-none": (HEAD + "x TXT\n", 8, 'the entry ends too early, after "TXT"'),
    "txt-256chars": (HEAD + 'x TXT "' + "a" * 256 + '"\n', 8, "a string has more than 255 octets"),
    "txt-multiline-quote": (
        HEAD + 'x TXT "a\nb"\n',
        8,
        "a quoted string is not closed on its line",
    ),
    "quoted-owner": (HEAD + '"x" A 192.0.2.1\n', 8, '"x" must not stand in quotes'),
    "first-line-blank-owner": (
        "$ORIGIN example.com.\n$TTL 300\n  SOA ns1 h 1 2 3 4 5\n @ NS ns1\n",
        4,
        'unknown type "@"',
    ),
    "label-64": (HEAD + f"{L63}a A 192.0.2.1\n", 8, "a label has more than 63 octets"),
    "name-256": (
        HEAD + ".".join([L63] * 3 + ["a" * 50]) + " A 192.0.2.1\n",
        8,
        "a name has more than 255 octets",
    ),
    "empty-label": (HEAD + "a..b A 192.0.2.1\n", 8, 'the name "a..b" has an empty label'),
    "leading-dot": (HEAD + ".a A 192.0.2.1\n", 8, 'the name ".a" has an empty label'),
    "origin-outside": (
        HEAD + "$ORIGIN example.net.\nx A 192.0.2.1\n",
        9,
        'is outside the zone "example.com"',
    ),
    "outside": (HEAD + "x.example.net. A 192.0.2.1\n", 8, 'is outside the zone "example.com"'),
    "class-ch": (HEAD + "x CH A 192.0.2.1\n", 8, '"CH": only the class IN is served'),
    "class-hs": (HEAD + "x HS A 192.0.2.1\n", 8, '"HS": only the class IN is served'),
    "class3": (HEAD + "x CLASS3 A 192.0.2.1\n", 8, '"CLASS3": only the class IN is served'),
    "type65280-short": (
        HEAD + "x TYPE65280 \\# 4 aabbcc\n",
        8,
        "the hexadecimal data has not the length it says",
    ),
    "type65280-long": (
        HEAD + "x TYPE65280 \\# 2 aabbcc\n",
        8,
        "the hexadecimal data has not the length it says",
    ),
    "type65536": (HEAD + "x TYPE65536 \\# 0\n", 8, 'unknown type "TYPE65536"'),
    "a-hash-5": (HEAD + "x A \\# 5 c000020100\n", 8, "the data does not fit the type A"),
    "type-any": (HEAD + "x ANY \\# 0\n", 8, "ANY is a type of questions, not of data"),
    "type-opt": (HEAD + "x OPT \\# 0\n", 8, "OPT is a type of questions, not of data"),
    "type-axfr": (HEAD + "x AXFR \\# 0\n", 8, "AXFR is a type of questions, not of data"),
    "type-tsig": (HEAD + "x TYPE250 \\# 0\n", 8, "the data does not fit the type TYPE250"),
    "cname+a": (HEAD + "x CNAME y\nx A 192.0.2.1\ny A 192.0.2.1\n", 8, "CNAME beside A"),
    "cname-2": (HEAD + "x CNAME y\nx CNAME z\n", 9, "2 CNAME records where 1 may be"),
    "cname-same-2": (HEAD + "x CNAME ns1\nx CNAME ns1\n", 9, "2 CNAME records where 1 may be"),
    "cname-apex": (HEAD + "@ CNAME x.example.net.\n", 8, "CNAME beside NS, SOA"),
    "dname+cname": (HEAD + "x DNAME y.example.net.\nx CNAME ns1\n", 9, "CNAME beside DNAME"),
    "dname-2": (
        HEAD + "x DNAME y.example.net.\nx DNAME z.example.net.\n",
        9,
        "2 DNAME records where 1 may be",
    ),
    "soa-2": (HEAD + "@ SOA ns1 h 2 2 3 4 5\n", 8, "2 SOA records where 1 may be"),
    "soa-same-2": (HEAD + "@ SOA ns1 h 1 2 3 4 5\n", 8, "2 SOA records where 1 may be"),
    "soa-below": (
        HEAD + "x SOA ns1 h 1 2 3 4 5\n",
        8,
        'SOA below the apex of the zone "example.com"',
    ),
    "no-soa": (HEAD.replace("@ SOA ns1 h 1 2 3 4 5\n", ""), 0, "has no SOA record"),
    "no-ns": (
        "$ORIGIN example.com.\n$TTL 300\n@ SOA ns1 h 1 2 3 4 5\n",
        0,
        "has no NS record at its apex",
    ),
    "include-missing": (
        HEAD + "$INCLUDE nope\n",
        8,
        'the file "nope" cannot be read: No such file or directory',
    ),
    "directive-unknown": (HEAD + "$FOO x\n", 8, 'unknown directive "$FOO"'),
    "close-only": (HEAD + "x A 192.0.2.1 )\n", 8, '")" without a "("'),
    "open-only": (HEAD + "x A ( 192.0.2.1\n", 8, '"(" is never closed'),
    "open-quote": (
        HEAD + 'x TXT "abc\ny A 192.0.2.1\n',
        8,
        "a quoted string is not closed on its line",
    ),
    "backslash-end": (HEAD + "x TXT a\\\n", 8, "a backslash at the end of the line"),
    "trailing": (HEAD + "x A 192.0.2.1 5\n", 8, 'one word too many: "5"'),
    "a-octets3": (HEAD + "x A 192.0.2\n", 8, '"192.0.2" is not an IPv4 address'),
    "a-zero": (HEAD + "x A 192.000.002.001\n", 8, '"192.000.002.001" is not an IPv4 address'),
    "mx-neg": (HEAD + "x MX -1 ns1\n", 8, '"-1" is not a number'),
    "mx-over": (HEAD + "x MX 65536 ns1\n", 8, '"65536" is not a number from 0 to 65535'),
    "rrset-101": (
        HEAD + "".join(f"x A 10.0.0.{n}\n" for n in range(101)),
        108,
        "101 A records where 100 may be",
    ),
    "rrset-64k": (
        HEAD + "".join(f"x TXT {n}{L63} {L63 * 4} {L63 * 4} {L63 * 4}\n" for n in range(99)),
        8,
        "the TXT records do not fit a message of 65535 octets",
    ),
    "utf8-name": (HEAD + "ü A 192.0.2.1\n", 8, 'the name "ü" is not ASCII'),
    "nul": (HEAD + "x TXT a\x00b\n", 8, "is not text: it has the octet 0x00"),
    "ff": (HEAD + "\x0cx A 192.0.2.1\n", 8, "is not text: it has the octet 0x0c"),
    "vt": (HEAD + "x A\x0b192.0.2.1\n", 8, "is not text: it has the octet 0x0b"),
    "root-dot-owner": (HEAD + ". A 192.0.2.1\n", 8, 'is outside the zone "example.com"'),
    "origin-none": (HEAD + "$ORIGIN\n", 8, 'the entry ends too early, after "$ORIGIN"'),
    "ttl-none": (HEAD + "$TTL\n", 8, 'the entry ends too early, after "$TTL"'),
    "ttl-neg": (HEAD + "$TTL -1\n", 8, '"-1" is not a TTL'),
    "svcb-dupkey": (HEAD + "x HTTPS 1 . alpn=h2 alpn=h3\n", 8, "the same service parameter twice"),
    "svcb-alias-params": (
        HEAD + "x HTTPS 0 y alpn=h2\ny A 192.0.2.1\n",
        8,
        "parameters of an alias (priority 0)",
    ),
    "svcb-mandatory-missing": (
        HEAD + "x HTTPS 1 . mandatory=port\n",
        8,
        "a parameter that mandatory= names is not there",
    ),
    "hinfo-one": (HEAD + "x HINFO a\n", 8, 'the entry ends too early, after "a"'),
    "ds-len": (
        HEAD + "sub NS ns1\nsub DS 1 8 2 00\n",
        9,
        "the digest has not the length of its type",
    ),
    "sshfp": (
        HEAD + "x SSHFP 1 1 00\n",
        8,
        '"fingerprint length inconsistent with fingerprint type"',
    ),
}

LENIENT = "no standard forbids it, and editors write it"
NSD_REFUSES = {
    "bom": LENIENT,
    "cr-only": LENIENT,
    "paren-nested": LENIENT,
    "origin-rel": "RFC 1035 section 5.1: $ORIGIN takes a name, which may be relative",
    "origin-lower": "as origin-rel",
    "origin-comment": "as origin-rel",
    "include-origin": "as origin-rel",
    "include-quoted": "a file name is a character-string (RFC 1035 section 5.1)",
    "gen": "BIND's directive, which NSD has not",
    "gen-mod": "as gen",
    "gen-n": "as gen",
    "dname-below": "we serve DNAME as plain data, with a warning, and do not follow it",
}
STRICT = "NSD takes it for another value without an error"
NSD_ACCEPTS = {
    "ttl-over": "RFC 2181 section 8: a TTL is at most 2147483647",
    "ttl-4294967295": "as ttl-over",
    "soa-serial-over": STRICT,
    "txt-256": "NSD warns of an escape above 255",
    "txt-multiline-quote": "as BIND: a forgotten quote would swallow the rest of the file",
    "quoted-owner": "as dnspython: a name is no character-string",
    "type65280-short": "RFC 3597 section 5: the length is that of the data",
    "type65280-long": "as type65280-short",
    "type-opt": "RFC 6891 section 6.1.1: OPT is never in a zone",
    "type-tsig": "RFC 8945 section 4.1: neither is TSIG",
    "cname-same-2": "RFC 2181 section 10.1; the second one is a slip of the pen",
    "no-ns": "RFC 1035 section 5.2 wants NS at the apex; nobody could be referred here",
    "open-only": "half an entry is no entry",
    "backslash-end": "as open-only",
    "mx-neg": STRICT,
    "mx-over": STRICT,
    "rrset-101": "server.limits.rrset",
    "rrset-64k": "no message could hold it",
    "utf8-name": "RFC 1035 section 5.1 leaves its octets open; xn-- or \\DDD say what is meant",
    "nul": "a NUL says that this is no text",
    "ff": "no blank of RFC 1035 section 5.1",
    "svcb-alias-params": "RFC 9460 section 2.4.2: AliasMode should not have them",
    "ds-len": "no resolver could use it",
    "sshfp": "as ds-len; NSD warns",
}
# RFC 1035 section 5.1: a TTL that is left out is the last one said; RFC 2308 section 4: $TTL.
# NSD takes 3600. After $INCLUDE the owner is, as with BIND, the one before it.
NSD_READS_OTHERWISE = {"no-ttl-first", "no-ttl-soa-ttl", "no-ttl-last", "include-owner"}
TEXTS = GOOD | {name: text for name, (text, _, _) in BAD.items()}


def read(folder, text):
    """The folder with one zone, and a file that it may include."""
    (folder / "inc.txt").write_text("x A 192.0.2.1\n")
    (folder / "example.com.zone").write_bytes(text.encode())
    return read_zones(str(folder), Limits(), "zones")


def records(folder):
    """(owner, type, TTL, data) of every record of the only zone."""
    (zone,) = folder.zones
    nodes = [zone.node(place - 1) for place in zone.index if place]
    return {(n.name, r.type, r.ttl, data) for n in nodes for r in n.rrsets for data in r.rdatas}


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_file_is_read(tmp_path, name):
    problems = read(tmp_path, GOOD[name]).problems
    assert [str(problem) for problem in problems if problem.severity == "error"] == []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_at_its_line(tmp_path, name):
    text, line, what = BAD[name]
    folder = read(tmp_path, text)
    assert folder.zones == ()
    first = next(problem for problem in folder.problems if problem.severity == "error")
    assert first.where.line == line
    assert first.what.endswith(what)


@pytest.mark.skipif(shutil.which("nsd-checkzone") is None, reason="NSD is not installed")
@pytest.mark.parametrize("name", TEXTS)
def test_nsd_agrees_or_there_is_a_reason(tmp_path, name):
    ours = read(tmp_path, TEXTS[name])
    command = ["nsd-checkzone", "-p", "example.com", str(tmp_path / "example.com.zone")]
    nsd = subprocess.run(command, capture_output=True, cwd=tmp_path, check=False)
    if nsd.returncode:
        assert (name in NSD_REFUSES) == (name in GOOD)
        return
    assert (name in NSD_ACCEPTS) == (name in BAD)
    if name in GOOD:
        again = tmp_path / "again"
        again.mkdir()
        lines = [line for line in nsd.stdout.splitlines() if not line.startswith(b"zone ")]
        theirs = read(again, b"\n".join(lines).decode())
        assert (records(ours) == records(theirs)) == (name not in NSD_READS_OTHERWISE)
