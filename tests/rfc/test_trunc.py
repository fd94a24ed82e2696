"""TRUNC: sizes, and what goes when it does not fit (dns.md, section 3.4)."""

from __future__ import annotations

import pytest

from conversation import Server, opt, option, query, subnet
from strict import MAX_UDP, NOERROR, PLAIN, Message

A, NS, MX, AAAA = 1, 2, 15, 28
COOKIE, NSID = option(10, b"8 octets"), option(3)
SIZES = [512, 513, 600, 700, 800, 900, 1000, 1100, 1200, 1231, 1232, 1233, 1452, 4096, 65535]


def sections(reply: Message) -> tuple[int, int, int]:
    """How many records each holds."""
    return len(reply.answer), len(reply.authority), len(reply.additional)


@pytest.mark.parametrize("name", ["mid", "big", "huge"])
def test_trunc_01_without_edns_512_octets_are_all(server: Server, name: str) -> None:
    reply = server.ask(name, "TXT")
    assert (reply.tc, reply.rcode, reply.aa) == (True, NOERROR, True)
    assert len(reply.octets) <= PLAIN
    assert sections(reply) == (0, 0, 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["big", "huge"])
def test_trunc_02_a_truncated_reply_has_question_and_opt_and_its_options(
    server: Server, name: str, size: int
) -> None:
    options = opt(COOKIE, subnet("1.2.3.0/24"), NSID, size=size, flags=0x8000)
    reply = server.ask(name, "TXT", options)
    assert reply.tc
    assert reply.opt is not None
    assert {code for code, _ in reply.opt.options} == {3, 8, 10}
    assert reply.opt.option(8) == bytes.fromhex("00011800010203")
    assert reply.opt.do


@pytest.mark.parametrize(
    ("name", "rrtype"),
    [
        ("mid", "TXT"),
        ("big", "TXT"),
        ("huge", "TXT"),
        ("manymx", "MX"),
        ("h.glue", "A"),
        ("h.glut", "A"),
        ("all", "A"),
        ("nope", "A"),
    ],
)
def test_trunc_03_never_above_1232_nor_above_what_is_offered(
    server: Server, name: str, rrtype: str
) -> None:
    """strict looks at the size of every reply (INV-12); here at all sizes where one may slip."""
    asked = [
        (size, options)
        for options in ((), (COOKIE,), (COOKIE, subnet("1.2.3.0/24"), NSID))
        for size in SIZES
    ]
    packets = [
        query(name, rrtype, opt(*options, size=size), number=number)
        for number, (size, options) in enumerate(asked)
    ]
    for (size, _), reply in zip(asked, server.all_udp(packets), strict=True):
        assert reply is not None
        assert len(reply) <= min(size, MAX_UDP)


def test_trunc_04_over_tcp_everything_comes(server: Server) -> None:
    for name, count in (("mid", 4), ("big", 12), ("huge", 60)):
        for more in ((), (opt(size=512),), (opt(COOKIE, size=65535),)):
            reply = server.tcp(query(name, "TXT", *more))
            assert (reply.tc, len(reply.answer)) == (False, count)


def test_trunc_05_between_512_and_1232_octets_edns_decides(server: Server) -> None:
    assert server.ask("mid", "TXT").tc
    whole = server.ask("mid", "TXT", opt())
    assert (whole.tc, len(whole.answer)) == (False, 4)
    assert PLAIN < len(whole.octets) <= MAX_UDP


def test_trunc_05_the_last_octet_that_fits_is_used(server: Server) -> None:
    size = len(server.ask("mid", "TXT", opt()).octets)
    assert not server.ask("mid", "TXT", opt(size=size)).tc
    assert server.ask("mid", "TXT", opt(size=size - 1)).tc


@pytest.mark.parametrize("more", [(), (opt(size=512),), (opt(COOKIE, size=600),), (opt(),)])
def test_trunc_06_optional_additional_data_goes_without_tc(
    server: Server, more: tuple[bytes, ...]
) -> None:
    reply = server.ask("manymx", "MX", *more)
    assert (reply.tc, sections(reply)) == (False, (13, 0, 0))
    assert sections(server.tcp(query("manymx", "MX", *more))) == (13, 0, 13 * 4)


def glue(reply: Message, inside: bytes) -> set[tuple[bytes, int, bytes]]:
    """The addresses of name servers inside a delegation."""
    return {
        (record.owner, record.type, record.data)
        for record in reply.additional
        if inside in record.owner.lower()
    }


@pytest.mark.parametrize("name", ["h.glue", "h.glut", "h.sub", "h.sib", "h.mixed"])
def test_trunc_07_a_referral_has_all_glue_or_tc(server: Server, name: str) -> None:
    whole = server.tcp(query(name, "A"))
    inside = name.removeprefix("h.").encode()
    assert whole.authority
    for more in ((), *((opt(COOKIE, size=size),) for size in SIZES)):
        cut = server.ask(name, "A", *more)
        assert not cut.aa
        if cut.tc:
            assert sections(cut) == (0, 0, 0)
        else:
            assert glue(cut, inside) == glue(whole, inside)
            assert len(cut.authority) == len(whole.authority)


def test_trunc_07_both_happen(server: Server) -> None:
    assert server.ask("h.glue", "A", opt(size=512)).tc
    assert sections(server.ask("h.glue", "A", opt())) == (0, 10, 20)
    assert server.ask("h.glut", "A", opt(size=65535)).tc
    assert sections(server.tcp(query("h.glut", "A"))) == (0, 13, 26)


@pytest.mark.parametrize("more", [(), (opt(size=512),), (opt(size=65535),), (opt(COOKIE),)])
def test_trunc_09_a_truncated_reply_is_hardly_longer_than_the_query(
    server: Server, more: tuple[bytes, ...]
) -> None:
    for name in ("big", "huge"):
        asked = query(name, "TXT", *more)
        reply = server.says(asked)
        assert reply.tc
        assert len(reply.octets) <= len(asked) + 64


def test_trunc_10_steered_answers_follow_the_same_rules(server: Server) -> None:
    """The longest name with the most options in 512 octets: what is only for people goes first."""
    longest = ".".join(("x" * 60, "y" * 60, "z" * 60, "geowild"))
    reply = server.ask(
        longest,
        "A",
        opt(COOKIE, subnet("2a00:1:2:3::/64"), NSID, option(11), size=512, flags=0x8000),
    )
    assert (reply.tc, len(reply.answer)) == (False, 1)
    assert len(reply.octets) <= PLAIN
