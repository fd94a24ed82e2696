"""EDNS: RFC 6891, NSID, keepalive, padding, extended errors (dns.md, section 3.1)."""

from __future__ import annotations

from itertools import permutations

import pytest

from conversation import Server, head, opt, option, query, question, subnet
from strict import BADVERS, FORMERR, MAX_UDP, NOERROR, NOTIMP, NXDOMAIN, REFUSED, SOA, Message

DO = 0x8000
NSID, EXPIRE, COOKIE, KEEPALIVE, PADDING, EDE = 3, 9, 10, 11, 12, 15
CLIENT = option(COOKIE, bytes.fromhex("2464c4abcf10c957"))
RECORD = b"\1x\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4"
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])

# One question for each kind of reply: (name, type, rcode).
KINDS = {
    "answer": ("www", "A", NOERROR),
    "steered": ("geo", "A", NOERROR),
    "nearest": ("near", "AAAA", NOERROR),
    "chance": ("split", "A", NOERROR),
    "NODATA": ("www", "HINFO", NOERROR),
    "NXDOMAIN": ("nope", "A", NXDOMAIN),
    "referral": ("h.sub", "A", NOERROR),
    "wildcard": ("x.y.wild", "A", NOERROR),
    "alias": ("alias3", "A", NOERROR),
    "REFUSED": ("elsewhere.example.", "A", REFUSED),
    "transfer": ("@", "AXFR", REFUSED),
    "truncated": ("huge", "TXT", NOERROR),
}
EVERY = pytest.mark.parametrize(
    ("name", "rrtype", "rcode"), [pytest.param(*kind, id=name) for name, kind in KINDS.items()]
)


def codes(reply: Message) -> list[int]:
    """The codes of a reply's options."""
    assert reply.opt is not None
    return [code for code, _ in reply.opt.options]


@TRANSPORTS
@EVERY
def test_edns_01_and_02_and_20_opt_if_and_only_if_the_query_had_one(
    server: Server, name: str, rrtype: str, rcode: int, transport: str
) -> None:
    without = server.says_by(transport, query(name, rrtype))
    assert (without.rcode, without.opt) == (rcode, None)
    within = server.says_by(transport, query(name, rrtype, opt()))
    assert within.rcode == rcode
    assert within.opt is not None
    assert within.opt.version == 0


@TRANSPORTS
def test_edns_21_format_error_and_not_implemented_have_it_too(
    server: Server, transport: str
) -> None:
    broken = {
        "cut option": query("@", "SOA", opt(b"\0\x0a\0\x20abc")),
        "no question": head(counts=(0, 0, 0, 1)) + opt(),
        "subnet": query("@", "SOA", opt(option(8, b"\0\1\x18\0"))),
        "cookie": query("@", "SOA", opt(option(COOKIE, b"abc"))),
        "record behind it": query("@", "SOA", opt(), RECORD[:-1]),
    }
    for what, packet in broken.items():
        reply = server.says_by(transport, packet)
        assert (reply.rcode, reply.opt is None) == (FORMERR, False), what
    for opcode in (1, 2, 15):
        reply = server.says_by(transport, query("@", "SOA", opt(), opcode=opcode))
        assert (reply.rcode, reply.opt is None) == (NOTIMP, False)


@TRANSPORTS
@pytest.mark.parametrize("version", [1, 2, 100, 255])
@pytest.mark.parametrize("name", ["@", "geo", "nope", "elsewhere.example."])
def test_edns_03_another_version_is_told_ours(
    server: Server, name: str, version: int, transport: str
) -> None:
    reply = server.says_by(transport, query(name, "SOA", opt(version=version)))
    assert (reply.rcode, reply.aa, reply.records) == (BADVERS, False, ())
    assert reply.opt is not None
    assert (reply.opt.version, reply.opt.size) == (0, MAX_UDP)


@TRANSPORTS
@pytest.mark.parametrize("code", [4, 100, 999, 65001, 65535])
def test_edns_04_unknown_options_are_ignored(server: Server, code: int, transport: str) -> None:
    for name, rrtype, rcode in KINDS.values():
        reply = server.says_by(
            transport, query(name, rrtype, opt(option(code, b"data"), option(code)))
        )
        assert reply.rcode == rcode
        assert code not in codes(reply)


@pytest.mark.parametrize("flags", [0x0001, 0x0080, 0x4000, 0x7FFF])
def test_edns_05_unknown_flags_are_ignored_and_cleared(server: Server, flags: int) -> None:
    for do in (0, DO):
        reply = server.ask("@", "SOA", opt(flags=flags | do))
        assert reply.answer[0].type == SOA
        assert reply.opt is not None
        assert reply.opt.flags == do


def test_edns_06_07_and_09_another_version_with_flags_and_options(server: Server) -> None:
    """The options of a version that nobody knows mean nothing, even broken ones."""
    for options in ((), (option(100),), (subnet("1.2.3.0/24"), CLIENT), (b"\0\x0a\0\x20abc",)):
        for flags in (0, 0x80, 0x7FFF):
            reply = server.ask("@", "SOA", opt(*options, version=1, flags=flags))
            assert reply.rcode == BADVERS
            assert reply.opt is not None
            assert reply.opt.flags == 0
            assert 100 not in codes(reply)


@TRANSPORTS
@EVERY
def test_edns_08_do_is_copied(
    server: Server, name: str, rrtype: str, rcode: int, transport: str
) -> None:
    reply = server.says_by(transport, query(name, rrtype, opt(flags=DO)))
    assert reply.rcode == rcode
    assert reply.opt is not None
    assert reply.opt.do


@TRANSPORTS
@EVERY
def test_edns_10_nsid_cookie_expire_and_subnet_together(
    server: Server, name: str, rrtype: str, rcode: int, transport: str
) -> None:
    options = [option(NSID), CLIENT, option(EXPIRE), subnet("1.2.3.0/24")]
    for shuffled in list(permutations(options))[::5]:
        reply = server.says_by(transport, query(name, rrtype, opt(*shuffled)))
        assert reply.rcode == rcode
        assert {NSID, COOKIE, 8} <= {*codes(reply)}
        assert EXPIRE not in codes(reply)


@TRANSPORTS
def test_edns_11_two_opt_records_are_a_format_error(server: Server, transport: str) -> None:
    for records in ((opt(), opt()), (opt(), RECORD, opt(CLIENT)), (opt(), opt(version=1))):
        reply = server.says_by(transport, query("@", "SOA", *records))
        assert (reply.rcode, reply.question) == (FORMERR, question("@", "SOA"))


@pytest.mark.parametrize("owner", [b"\1x\0", b"\xc0\x0c", b"\7example\4test\0"])
def test_edns_12_opt_belongs_to_the_root(server: Server, owner: bytes) -> None:
    assert server.says(query("@", "SOA", owner + opt()[1:])).rcode == FORMERR


@pytest.mark.parametrize("section", ["answer", "authority"])
def test_edns_13_opt_belongs_into_the_additional_section(server: Server, section: str) -> None:
    reply = server.says(query("@", "SOA", **{section: [opt()]}))  # type: ignore[arg-type]
    assert reply.rcode == FORMERR


@TRANSPORTS
@pytest.mark.parametrize(
    "record",
    [
        pytest.param(opt()[:-2] + b"\0\4", id="14-rdata_longer_than_the_message"),
        pytest.param(opt()[:-2] + b"\xff\xff", id="14-rdata_of_65535"),
        pytest.param(opt()[:-1], id="14-cut"),
        pytest.param(opt(b"\0\3\0\1"), id="15-option_longer_than_rdata"),
        pytest.param(opt(b"\0\3\xff\xff" + b"x" * 9), id="15-option_of_65535"),
        pytest.param(opt(CLIENT, b"\0\x0a\0\x09" + b"x" * 8), id="15-second_option"),
        pytest.param(opt(b"\0"), id="16-one_octet"),
        pytest.param(opt(b"\0\3\0"), id="16-three_octets"),
        pytest.param(opt(CLIENT, b"\0"), id="16-one_octet_behind"),
    ],
)
def test_edns_14_to_16_what_overruns_is_a_format_error(
    server: Server, record: bytes, transport: str
) -> None:
    for name in ("@", "geo"):
        assert server.says_by(transport, query(name, "A", record)).rcode == FORMERR


def test_edns_17_opt_may_stand_anywhere_in_the_additional_section(server: Server) -> None:
    for records in ((RECORD, opt(CLIENT)), (opt(CLIENT), RECORD), (RECORD, opt(CLIENT), RECORD)):
        reply = server.ask("www", "A", *records)
        assert (reply.rcode, len(reply.answer)) == (NOERROR, 1)
        assert codes(reply) == [COOKIE]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 100, 254, 255, 256, 511, 512])
def test_edns_18_and_31_less_than_512_octets_means_512(server: Server, size: int) -> None:
    cut = server.ask("mid", "TXT", opt(size=size))
    assert (cut.rcode, cut.tc) == (NOERROR, True)
    assert len(server.ask("www", "A", opt(size=size)).answer) == 1
    full = server.ask("https", "HTTPS", opt(size=size))
    assert full.answer
    assert not full.tc


def test_edns_22_keepalive_is_for_tcp(server: Server) -> None:
    """RFC 7828 section 3.3.2: ignored over UDP, also with a timeout in it."""
    for data in (b"", b"\0\x64"):
        for name in ("www", "geo", "nope", "elsewhere.example."):
            asked = query(name, "A", opt(option(KEEPALIVE, data)))
            assert KEEPALIVE not in codes(server.says(asked))
            assert KEEPALIVE in codes(server.tcp(asked))


@TRANSPORTS
@pytest.mark.parametrize("length", [0, 1, 64, 400])
def test_edns_23_padding_means_nothing_in_clear(
    server: Server, length: int, transport: str
) -> None:
    for name in ("www", "geo", "nope"):
        plain = server.says_by(transport, query(name, "A", opt(), number=1))
        padded = server.says_by(
            transport, query(name, "A", opt(option(PADDING, bytes(length))), number=1)
        )
        assert padded == plain


@TRANSPORTS
@EVERY
def test_edns_24_and_25_nsid_for_those_who_ask(
    server: Server, name: str, rrtype: str, rcode: int, transport: str
) -> None:
    assert NSID not in codes(server.says_by(transport, query(name, rrtype, opt())))
    reply = server.says_by(transport, query(name, rrtype, opt(option(NSID))))
    assert reply.rcode == rcode
    assert reply.opt is not None
    assert reply.opt.option(NSID) == b"node-1.rfc"


def test_edns_25_what_stands_in_the_question_for_nsid_is_ignored(server: Server) -> None:
    reply = server.ask("www", "A", opt(option(NSID, b"x" * 40)))
    assert reply.opt is not None
    assert reply.opt.option(NSID) == b"node-1.rfc"


@TRANSPORTS
@EVERY
def test_edns_27_our_own_size_is_1232(
    server: Server, name: str, rrtype: str, rcode: int, transport: str
) -> None:
    for size in (512, 1232, 4096, 65535):
        reply = server.says_by(transport, query(name, rrtype, opt(size=size)))
        assert reply.opt is not None
        assert reply.opt.size == MAX_UDP


def info_code(reply: Message) -> int | None:
    """The number of the extended error."""
    assert reply.opt is not None
    data = reply.opt.option(EDE)
    return None if data is None else int.from_bytes(data[:2], "big")


@TRANSPORTS
@pytest.mark.parametrize(
    ("name", "rrtype", "rdclass", "number"),
    [
        pytest.param("elsewhere.example.", "A", 1, 20, id="foreign"),
        pytest.param("test.", "SOA", 1, 20, id="parent"),
        pytest.param("notexample.test.", "A", 1, 20, id="same-end"),
        pytest.param(".", "NS", 1, 20, id="root"),
        pytest.param("@", "SOA", 3, 20, id="class"),
        pytest.param("@", "AXFR", 1, 18, id="AXFR"),
        pytest.param("@", "IXFR", 1, 18, id="IXFR"),
        pytest.param("elsewhere.example.", "AXFR", 1, 20, id="foreign-AXFR"),
    ],
)
def test_edns_28_and_29_refusals_say_why(
    server: Server, transport: str, name: str, rrtype: str, rdclass: int, number: int
) -> None:
    reply = server.says_by(transport, query(name, rrtype, opt(), rdclass=rdclass))
    assert (reply.rcode, info_code(reply)) == (REFUSED, number)
    assert server.says_by(transport, query(name, rrtype, rdclass=rdclass)).opt is None


def test_edns_29_so_do_opcodes_and_nothing_else(server: Server) -> None:
    assert info_code(server.ask("@", "SOA", opt(), opcode=2)) == 21
    for name, rrtype, rcode in KINDS.values():
        if rcode != REFUSED:
            assert info_code(server.ask(name, rrtype, opt())) is None


def test_edns_of_two_options_of_a_kind_the_first_counts(server: Server) -> None:
    one, other = subnet("1.2.3.0/24"), subnet("9.9.9.0/24")
    single = server.says(query("geo", "A", opt(one), number=1))
    assert server.says(query("geo", "A", opt(one, other), number=1)) == single
    assert server.says(query("geo", "A", opt(one, one), number=1)) == single


def test_edns_ten_kilobytes_of_options_are_ignored(server: Server) -> None:
    many = opt(*(option(code, b"x" * 6) for code in range(1000, 2000)), subnet("1.2.3.0/24"))
    for name in ("www", "geo"):
        reply = server.ask(name, "A", many)
        assert reply.rcode == NOERROR
        assert codes(reply) == [8]
