"""BASIC: headers, opcodes, the question, the address that answers (dns.md, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from conversation import Server, opt, query, question
from running import Running
from strict import NOERROR, NOTIMP, SOA, Message

QR, AA, TC, RD, RA, Z, AD, CD = 0x8000, 0x400, 0x200, 0x100, 0x80, 0x40, 0x20, 0x10
NAMES = ("www", "geo", "near", "@", "nope", "h.sub", "elsewhere.example.")


def is_plain_soa(reply: Message) -> bool:
    """NOERROR, AA and the SOA alone."""
    return (
        (reply.rcode, reply.aa, reply.tc) == (NOERROR, True, False)
        and [record.type for record in reply.answer] == [SOA]
        and len(reply.records) == 1
    )


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_basic_01_soa_without_edns(server: Server, transport: str) -> None:
    reply = server.says_by(transport, query("@", "SOA"))
    assert is_plain_soa(reply)
    assert reply.opt is None


@pytest.mark.parametrize("name", ["@", "www", "geo", "near", "foo.wild", "svcb"])
def test_basic_02_an_unknown_type_is_no_data(server: Server, name: str) -> None:
    reply = server.ask(name, 1000)
    assert (reply.rcode, reply.aa) == (NOERROR, True)
    assert [(record.section, record.type) for record in reply.records] == [(1, SOA)]


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(CD, id="03-cd"),
        pytest.param(AD, id="04-ad"),
        pytest.param(Z, id="05-z"),
        pytest.param(RD, id="06-rd"),
        pytest.param(CD | AD | Z | RD, id="03_to_06-all"),
        pytest.param(AA, id="07-aa"),
        pytest.param(RA, id="07-ra"),
        pytest.param(TC, id="08-tc"),
        pytest.param(1, id="09-rcode_1"),
        pytest.param(15, id="09-rcode_15"),
        pytest.param(CD | AD | Z | RD | AA | RA | TC, id="03_to_08-all"),
    ],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_basic_03_to_09_flags_of_a_query_change_nothing(
    server: Server, transport: str, flags: int
) -> None:
    """RD comes back, AA is the server's, all others are clear; strict reads the flags too."""
    reply = server.says_by(transport, query("@", "SOA", flags=flags))
    assert is_plain_soa(reply)
    assert reply.flags == QR | AA | flags & RD
    for name in NAMES:
        plain = server.says_by(transport, query(name, "A", number=7))
        flagged = server.says_by(transport, query(name, "A", flags=flags, number=7))
        assert flagged.octets[4:] == plain.octets[4:]
        assert flagged.flags == plain.flags | flags & RD


def test_basic_19_cd_is_cleared(server: Server) -> None:
    for name in NAMES:
        assert not server.ask(name, "A", opt(flags=0x8000), flags=CD).flags & CD


@pytest.mark.parametrize("opcode", [1, 2, 3, *range(6, 16)])
def test_basic_10_and_12_an_opcode_other_than_query_is_not_implemented(
    server: Server, opcode: int
) -> None:
    """IQUERY (1), STATUS (2) and those that have no name; strict holds id, opcode and RD."""
    for transport in ("udp", "tcp"):
        reply = server.says_by(transport, query("@", "SOA", opcode=opcode, flags=RD))
        assert (reply.rcode, reply.aa) == (NOTIMP, False)
        assert reply.question == question("@", "SOA")


@pytest.mark.parametrize("opcode", [1, 2, 3, 15])
def test_basic_11_a_header_alone_is_not_implemented_either(server: Server, opcode: int) -> None:
    packet = query("@", "SOA", opcode=opcode, counts=(0, 0, 0, 0))[:12]
    for transport in ("udp", "tcp"):
        reply = server.says_by(transport, packet)
        assert reply.rcode == NOTIMP
        assert len(reply.octets) == 12


@pytest.mark.parametrize(
    "name", ["WwW.eXaMpLe.TeSt.", "gEO.example.TEST.", "NOPE.example.test.", "H.SUB.Example.Test."]
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_basic_14_and_15_the_question_comes_back_octet_for_octet(
    server: Server, transport: str, name: str
) -> None:
    reply = server.says_by(transport, query(name, "A"))
    assert reply.question == question(name, "A")
    below = server.says_by(transport, query(name.lower(), "A"))
    assert [record.data.lower() for record in reply.records] == [
        record.data.lower() for record in below.records
    ]


@pytest.mark.parametrize("name", ["wWw", "gEo", "nEaR", "X.Y.wILD", "MULTI", "alias3"])
def test_basic_16_an_answers_owner_is_a_pointer_to_the_question(server: Server, name: str) -> None:
    owners = [record.raw_owner for record in server.ask(name, "A").answer]
    assert owners[0] == b"\xc0\x0c"


@pytest.fixture(scope="module")
def wild(
    another: Callable[..., AbstractContextManager[Running]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A server that listens on every address, and has to find out which was asked."""
    listen = '["0.0.0.0:{port}", "[::]:{port}"]'
    with another(tmp_path_factory.mktemp("wild"), listen=listen) as running:
        yield Server(running.dns)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
def test_basic_17_the_address_that_was_asked_answers(server: Server, address: str) -> None:
    """The sockets are connected: a reply from elsewhere would not arrive."""
    assert is_plain_soa(server.asked_at(address).ask("@", "SOA"))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "127.250.1.2", "::1"])
def test_basic_18_so_does_a_server_on_all_addresses(wild: Server, address: str) -> None:
    at = wild.asked_at(address)
    assert is_plain_soa(at.ask("@", "SOA"))
    assert is_plain_soa(at.tcp(query("@", "SOA")))
    assert at.ask("geo", "A").answer
