"""One question to one name server, over real sockets: what is believed, and what is not."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Network

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from gslb.lab.stub import AAAA, NameServer, NoAnswer, Patience, Question, ask, exchange

from nameserver import Answer, found, refused, serving

NAME = "www.gslb.example.com"
SHORT = Patience(tries=1, timeout_s=0.3)
LONG = Patience(tries=1, timeout_s=30.0)


def changed(query: dns.message.Message, at: int, octets: bytes) -> bytes:
    """A good reply with some octets replaced."""
    wire = bytearray(found(query).to_wire())
    wire[at : at + len(octets)] = octets
    return bytes(wire)


async def why(answer: Answer, patience: Patience = LONG) -> str:
    """The reason why there is no answer."""
    async with serving(answer) as server:
        with pytest.raises(NoAnswer) as caught:
            await ask(NameServer("127.0.0.1", server.port), Question(NAME), patience)
    return str(caught.value)


async def test_a_question_to_a_resolver_wants_recursion_and_sends_no_subnet() -> None:
    async with serving(found) as server:
        resolver = NameServer("127.0.0.1", server.port)
        reply = await ask(resolver, Question(NAME, recursion=True), LONG)
    assert (reply.addresses, reply.ttl_s, reply.scope) == (("127.10.1.1",), 10, 24)
    (query,) = server.asked
    assert query.flags & dns.flags.RD
    assert query.options == ()
    assert query.payload == 1232


async def test_a_question_to_a_name_server_carries_the_clients_subnet() -> None:
    async with serving(found) as server:
        question = Question(NAME, subnet=IPv4Network("81.2.69.0/24"))
        await ask(NameServer("127.0.0.1", server.port), question, LONG)
    (query,) = server.asked
    assert not query.flags & dns.flags.RD
    assert query.options == (dns.edns.ECSOption("81.2.69.0", 24, 0),)


async def test_ipv6_addresses_come_in_their_short_form_and_in_order() -> None:
    async with serving(lambda query: found(query, "2001:db8:0:0::10", "2001:db8::9")) as server:
        reply = await ask(NameServer("127.0.0.1", server.port), Question(NAME, AAAA), LONG)
    assert server.asked[0].question[0].rdtype == dns.rdatatype.AAAA
    assert reply.addresses == ("2001:db8::10", "2001:db8::9")


async def test_the_alias_before_an_address_is_no_address_and_its_ttl_counts() -> None:
    def alias(query: dns.message.Message) -> dns.message.Message:
        reply = found(query)
        reply.answer.insert(0, dns.rrset.from_text(NAME + ".", 3, "IN", "CNAME", "a.example."))
        return reply

    async with serving(alias) as server:
        reply = await ask(NameServer("127.0.0.1", server.port), Question(NAME), LONG)
    assert (reply.addresses, reply.ttl_s) == (("127.10.1.1",), 3)


async def test_a_name_without_addresses_is_an_answer_that_has_none() -> None:
    async with serving(dns.message.make_response) as server:
        reply = await ask(NameServer("127.0.0.1", server.port), Question(NAME), LONG)
    assert reply.addresses == ()


async def test_a_question_is_asked_from_the_address_it_was_told() -> None:
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[str] = loop.create_future()

    class Listener(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            seen.set_result(addr[0])

    transport, _ = await loop.create_datagram_endpoint(Listener, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    with pytest.raises(NoAnswer):
        await ask(NameServer("127.0.0.1", port, "127.1.0.53"), Question(NAME), Patience(1, 0.05))
    transport.close()
    assert await seen == "127.1.0.53"


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN, dns.rcode.REFUSED])
async def test_an_error_is_no_answer_and_is_not_asked_again(rcode: dns.rcode.Rcode) -> None:
    def fail(query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        return reply

    async with serving(fail) as server:
        with pytest.raises(NoAnswer, match=rcode.to_text(rcode)):
            await ask(NameServer("127.0.0.1", server.port), Question(NAME), LONG)
    assert len(server.asked) == 1


async def test_an_error_may_come_without_the_question() -> None:
    def fail(query: dns.message.Message) -> bytes:
        return refused(query).to_wire()[:4] + bytes(8)

    assert await why(fail) == "REFUSED"


async def test_a_lost_query_is_sent_again() -> None:
    queries: list[dns.message.Message] = []

    def lose_the_first(query: dns.message.Message) -> dns.message.Message | None:
        queries.append(query)
        return found(query) if len(queries) > 1 else None

    async with serving(lose_the_first) as server:
        reply = await ask(NameServer("127.0.0.1", server.port), Question(NAME), Patience(20, 0.05))
    assert reply.addresses == ("127.10.1.1",)
    # It is the same one: a late reply to the first would have been as good.
    assert queries[0].id == queries[1].id


async def test_a_silent_server_is_asked_as_often_as_agreed_and_has_then_timed_out() -> None:
    async with serving(lambda query: None) as server:
        with pytest.raises(NoAnswer, match=r"^timed out$"):
            await ask(NameServer("127.0.0.1", server.port), Question(NAME), Patience(3, 0.02))
        assert len(server.asked) == 3


async def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(NoAnswer, match=r"^connection refused$"):
        await ask(NameServer("127.0.0.1", port), Question(NAME), SHORT)


async def test_a_server_to_which_no_way_leads_is_no_answer() -> None:
    # To everybody at once: the kernel has no such way for a plain socket, and sends nothing.
    server = NameServer("255.255.255.255", 53)
    with pytest.raises(NoAnswer, match=r"^permission denied$"):
        await ask(server, Question(NAME), SHORT)


@pytest.mark.parametrize(
    ("at", "octets", "reason"),
    [
        (0, b"\0\0", "the reply is to another query"),
        (2, b"\0", "the reply is to another query"),  # a query, not a reply
        (13, b"xyz", "the reply is to another question"),
        (12 + 22 + 1, b"\x1c", "the reply is to another question"),  # AAAA
        (4, b"\0\0", "the reply is to another question"),  # none at all
    ],
)
async def test_a_reply_to_something_else_is_not_believed(
    at: int, octets: bytes, reason: str
) -> None:
    def answer(query: dns.message.Message) -> bytes:
        query.id = 0xFFFF if at == 0 and query.id == 0 else query.id
        return changed(query, at, octets)

    assert await why(answer, SHORT) == reason


async def test_a_stray_reply_before_the_right_one_does_no_harm() -> None:
    async with serving(found) as server:
        good = server.answer

        def stray_first(query: dns.message.Message) -> dns.message.Message | bytes | None:
            if len(server.asked) == 1:
                return changed(query, 13, b"xyz")
            return good(query)

        server.answer = stray_first
        reply = await ask(NameServer("127.0.0.1", server.port), Question(NAME), Patience(20, 0.05))
    assert reply.addresses == ("127.10.1.1",)


async def test_the_question_may_come_back_in_other_letters() -> None:
    async with serving(lambda query: changed(query, 13, b"WwW")) as server:
        reply = await ask(NameServer("127.0.0.1", server.port), Question(NAME), LONG)
    assert reply.addresses == ("127.10.1.1",)


@pytest.mark.parametrize("cut", [1, 2, 11])
async def test_what_is_too_short_for_a_header_is_malformed(cut: int) -> None:
    assert await why(lambda query: found(query).to_wire()[:cut], SHORT) == "the reply is malformed"


@pytest.mark.parametrize("cut", [40, 45, 53, 60, 70])
async def test_a_reply_that_ends_too_early_is_malformed(cut: int) -> None:
    assert await why(lambda query: found(query).to_wire()[:cut]) == "the reply is malformed"


async def test_a_client_subnet_without_a_scope_is_malformed() -> None:
    def answer(query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.use_edns(0, options=[dns.edns.GenericOption(8, b"\0\1")])
        return reply

    assert await why(answer) == "the reply is malformed"


def cut_short(query: dns.message.Message) -> dns.message.Message:
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.TC
    return reply


async def test_what_udp_cut_is_asked_again_over_tcp() -> None:
    async with serving(cut_short) as server:
        server.answer_tcp = found
        reply = await ask(NameServer("127.0.0.1", server.port), Question(NAME), LONG)
    assert reply.addresses == ("127.10.1.1",)
    assert [query.to_text() for query in server.asked_tcp] == [server.asked[0].to_text()]


@pytest.mark.parametrize(
    ("answer_tcp", "reason"),
    [
        (cut_short, "cut short, over TCP too"),
        (lambda query: None, "the connection was closed too early, over TCP"),
        (lambda query: changed(query, 13, b"xyz"), "the reply is to another question, over TCP"),
        (lambda query: found(query).to_wire()[:50], "the reply is malformed"),
        (refused, "REFUSED"),
    ],
)
async def test_tcp_can_fail_as_well(answer_tcp: Answer, reason: str) -> None:
    async with serving(cut_short) as server:
        server.answer_tcp = answer_tcp
        with pytest.raises(NoAnswer) as caught:
            await ask(NameServer("127.0.0.1", server.port), Question(NAME), LONG)
    assert str(caught.value) == reason


async def test_a_tcp_server_that_says_nothing_has_timed_out() -> None:
    async with serving(cut_short) as server:
        server.may_speak_tcp.clear()
        with pytest.raises(NoAnswer, match=r"^timed out, over TCP$"):
            await ask(NameServer("127.0.0.1", server.port), Question(NAME), Patience(1, 0.2))
        server.may_speak_tcp.set()


async def test_the_whole_reply_can_be_had_whatever_its_rcode() -> None:
    async with serving(refused) as server:
        record = await exchange(NameServer("127.0.0.1", server.port), Question(NAME), LONG)
    assert (record.header.rcode, record.header.aa, record.header.ra) == (5, 0, 0)
