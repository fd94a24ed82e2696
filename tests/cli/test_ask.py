"""`gslb ask` against a server made of dnslib: what is sent, believed and counted."""

import ipaddress
import itertools
import socket

import pytest
from dnslib import EDNS0, QTYPE, RCODE, RR, A, DNSRecord, EDNSOption
from gslb import ask
from gslb.errors import UnreachableError

from .conftest import serving

NAME = "www.example.com"


def question(server, name=NAME, rrtype="A", subnet=None, tcp=False):
    return ask.parse_question(name, rrtype, server, subnet, tcp)


def answering(*addresses, scope=None, rcode=0, tc=False):
    """A reply function: these addresses, the client subnet echoed with this scope."""

    def reply(query, transport):
        message = query.reply()
        message.header.rcode = rcode
        message.header.tc = tc and transport == "UDP"
        if not message.header.tc:
            for address in addresses:
                message.add_answer(RR(query.q.qname, QTYPE.A, rdata=A(address), ttl=30))
        if scope is not None:
            sent = bytes(query.ar[0].rdata[0].data)
            data = sent[:3] + bytes((scope,)) + sent[4:]
            message.add_ar(EDNS0(udp_len=1232, opts=[EDNSOption(8, data)]))
        return [message.pack()]

    return reply


def test_an_answer_comes_back_in_words():
    with serving(answering("192.0.2.10", "192.0.2.11")) as server:
        reply = ask.send_query(question(server))
    assert (reply.rcode, reply.transport, reply.scope) == ("NOERROR", "UDP", None)
    assert [str(record) for record in reply.answer] == [
        "www.example.com. 30 IN A 192.0.2.10",
        "www.example.com. 30 IN A 192.0.2.11",
    ]
    assert reply.data == ("192.0.2.10", "192.0.2.11")
    assert "aa" in reply.flags


@pytest.mark.parametrize(
    ("subnet", "octets"),
    [
        ("81.2.69.160", "00012000 510245a0"),
        ("81.2.69.160/24", "00011800 510245"),
        ("81.2.69.160/17", "00011100 510200"),
        ("0.0.0.0/0", "00010000"),
        ("2001:db8:1:ff::/56", "00023800 20010db8000100"),
    ],
)
def test_the_client_subnet_is_sent_with_its_host_bits_zero(subnet, octets):
    # RFC 7871 section 6: FAMILY, SOURCE, SCOPE 0, the least octets that hold SOURCE.
    sent = DNSRecord.parse(ask.compose_query(question(("127.0.0.1", 53), subnet=subnet)))
    (option,) = sent.ar[0].rdata
    assert option.code == 8
    assert option.data == bytes.fromhex(octets)


def test_without_a_subnet_there_is_edns_and_no_option():
    sent = DNSRecord.parse(ask.compose_query(question(("127.0.0.1", 53), rrtype="AAAA")))
    assert (sent.q.qtype, sent.ar[0].rtype, sent.ar[0].edns_len, sent.ar[0].rdata) == (
        QTYPE.AAAA, QTYPE.OPT, 1232, [],
    )  # fmt: skip


def test_the_scope_is_read_from_the_reply():
    with serving(answering("192.0.2.10", scope=16)) as server:
        assert ask.send_query(question(server, subnet="81.2.69.0/24")).scope == 16


def test_a_scope_for_another_subnet_is_not_believed():
    def reply(query, transport):
        message = query.reply()
        other = EDNSOption(8, bytes((0, 1, 24, 24, 192, 0, 2)))
        message.add_ar(EDNS0(udp_len=1232, opts=[other]))
        return [message.pack()]

    with serving(reply) as server:
        assert ask.send_query(question(server, subnet="81.2.69.0/24")).scope is None


def test_a_truncated_reply_is_asked_again_by_tcp():
    with serving(answering("192.0.2.10", tc=True)) as server:
        reply = ask.send_query(question(server))
    assert (reply.transport, reply.data) == ("TCP", ("192.0.2.10",))


def test_tcp_when_asked_for():
    with serving(answering("192.0.2.10")) as server:
        assert ask.send_query(question(server, tcp=True)).transport == "TCP"


def test_replies_to_somebody_else_are_not_believed():
    def reply(query, transport):
        (right,) = answering("192.0.2.10")(query, transport)
        wrong_id = bytes((right[0] ^ 1,)) + right[1:]
        wrong_name = right.replace(b"\3www", b"\3xxx", 1)
        return [b"", b"\0" * 11, wrong_id, wrong_name, bytes(query.pack()), right]

    with serving(reply) as server:
        assert ask.send_query(question(server)).data == ("192.0.2.10",)


def test_a_lost_query_is_sent_once_more():
    count = itertools.count()

    def reply(query, transport):
        return answering("192.0.2.10")(query, transport) if next(count) else []

    with serving(reply) as server:
        asked = ask.Question(question(server).name, 1, server, timeout_s=0.1)
        assert ask.send_query(asked).data == ("192.0.2.10",)


def test_silence_is_said_to_be_silence():
    with serving(lambda query, transport: []) as server:
        asked = ask.Question(question(server).name, 1, server, timeout_s=0.01)
        with pytest.raises(UnreachableError, match=r"\(UDP\): no answer in time"):
            ask.send_query(asked)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_closed_port_is_said_to_be_closed(tcp):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        server = probe.getsockname()
    with pytest.raises(UnreachableError, match="Connection refused"):
        ask.send_query(question(server, tcp=tcp))


@pytest.mark.parametrize("tail", [b"", b"\xff" * 20, b"\xc0\x0c\0\1\0\1\0\0\0\0\xff\xff"])
def test_a_malformed_reply_is_an_error_and_no_traceback(tail):
    def reply(query, transport):
        head = bytearray(query.pack()[:-11])
        head[2] |= 0x80
        head[7] = 3  # three answers that are not there
        return [bytes(head) + tail]

    with serving(reply) as server, pytest.raises(UnreachableError, match="malformed"):
        ask.send_query(question(server))


def test_a_tally_shows_the_weights():
    turn = itertools.cycle(["192.0.2.10"] * 3 + ["198.51.100.10"])

    def reply(query, transport):
        return answering(next(turn))(query, transport)

    with serving(reply) as server:
        tally = ask.repeat_query(question(server), 40, lambda text: None)
    assert tally.shares(tally.answers) == [("192.0.2.10", 30, 0.75), ("198.51.100.10", 10, 0.25)]
    assert (tally.asked, tally.lost, tally.rcodes) == (40, 0, {"NOERROR": 40})


def test_a_tally_counts_sets_and_who_stood_first():
    turn = itertools.cycle([("192.0.2.10", "192.0.2.11"), ("192.0.2.11", "192.0.2.10")])

    def reply(query, transport):
        return answering(*next(turn))(query, transport)

    with serving(reply) as server:
        tally = ask.repeat_query(question(server), 10, lambda text: None)
    assert tally.answers == {"192.0.2.10 192.0.2.11": 10}
    assert tally.first == {"192.0.2.10": 5, "192.0.2.11": 5}


def test_a_tally_counts_failures_by_their_rcode():
    with serving(answering(rcode=RCODE.SERVFAIL)) as server:
        tally = ask.repeat_query(question(server), 3, lambda text: None)
    assert tally.answers == {"(SERVFAIL)": 3}


def test_a_tally_of_nobody_ends_soon():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        server = probe.getsockname()
    asked = []
    with pytest.raises(UnreachableError):
        ask.repeat_query(question(server), 1_000_000, asked.append)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5300", ("192.0.2.1", 5300)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[2001:db8::1]:5300", ("2001:db8::1", 5300)),
        ("ns1.example.com:5300", ("ns1.example.com", 5300)),
    ],
)
def test_a_server_is_written_in_many_ways(text, server):
    assert ask.parse_server(text) == server
    assert ask.parse_server(ask.server_text(server)) == server


@pytest.mark.parametrize(
    "text", ["", ":53", "[]:53", "[::1", "[::1]53", "a:", "a:0", "a:65536", "a:٣", "a:-1", "a:x"]
)
def test_what_names_no_server_is_refused(text):
    with pytest.raises(ValueError, match=r"names no server|is not"):
        ask.parse_server(text)


@pytest.mark.parametrize(
    ("name", "rrtype", "subnet", "said"),
    [
        ("a..b", "A", None, '"a..b" is not a name'),
        ("x" * 64, "A", None, "is not a name"),
        (NAME, "NOPE", None, '"NOPE" is not a type'),
        (NAME, "TYPE70000", None, '"TYPE70000" is not a type'),
        (NAME, "A", "nobody", '"nobody" is not an address or a network'),
        (NAME, "A", "192.0.2.0/33", "is not an address or a network"),
    ],
)
def test_a_wrong_question_says_what_is_wrong(name, rrtype, subnet, said):
    with pytest.raises(ValueError, match=said):
        ask.parse_question(name, rrtype, ("127.0.0.1", 53), subnet)


def test_types_have_names_and_numbers():
    server = ("127.0.0.1", 53)
    texts = {"a": 1, "aaaa": 28, "TYPE65282": 65282, "CAA": 257, "type1": 1}
    assert {text: ask.parse_question(NAME, text, server).type for text in texts} == texts


def test_a_network_keeps_its_length():
    asked = ask.parse_question(NAME, "A", ("127.0.0.1", 53), "2001:db8::1/48")
    assert asked.subnet == ipaddress.ip_network("2001:db8::/48")
