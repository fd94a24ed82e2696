"""Client subnet in queries and replies (RFC 7871): what is echoed, when, and what is malformed."""

from __future__ import annotations

import signal
from pathlib import Path
from struct import pack

import pytest

from conversation import Server, framed, opt, option, query, receive, subnet
from strict import FORMERR, NOERROR, NXDOMAIN, REFUSED, Message, read

CLIENT_SUBNET = 8
GEO = "geo"  # a name that a policy decides by the client's network
V4, V6 = "198.51.100.0/24", "2001:db8:1::/48"
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])


def ask(
    server: Server, name: str, network: str, rrtype: str = "A", transport: str = "udp", **more: int
) -> Message:
    """The reply to a question with a client subnet."""
    return server.says_by(transport, query(name, rrtype, opt(subnet(network), **more)))


def raw(family: int, source: int, scope: int, address: bytes) -> bytes:
    """A client subnet option of any content."""
    return option(CLIENT_SUBNET, pack("!HBB", family, source, scope) + address)


def scope_of(reply: Message, network: str) -> int:
    """SCOPE; everything else is as it was sent (ECS-01)."""
    assert reply.opt is not None
    data = reply.opt.option(CLIENT_SUBNET)
    assert data is not None, "no client subnet in the reply"
    sent = subnet(network)[4:]
    assert data[:3] + b"\0" + data[4:] == sent
    return data[3]


@TRANSPORTS
@pytest.mark.parametrize("name", [GEO, "www", "no-such-name", "h.sub"])
@pytest.mark.parametrize(
    "network",
    ["1.2.3.0/24", "1.2.3.4/32", "1.2.0.0/17", "128.0.0.0/1", V6, "2a00:1:2:3::/64", "2a00::/12"],
)
def test_ecs_01_family_source_and_address_come_back_octet_for_octet(
    server: Server, name: str, network: str, transport: str
) -> None:
    scope_of(ask(server, name, network, transport=transport), network)


@TRANSPORTS
@pytest.mark.parametrize("more", [(), (opt(),), (opt(option(3)),)])
def test_ecs_02_who_sends_none_gets_none(
    server: Server, more: tuple[bytes, ...], transport: str
) -> None:
    reply = server.says_by(transport, query(GEO, "A", *more))
    assert reply.answer
    assert reply.opt is None or reply.opt.option(CLIENT_SUBNET) is None


@TRANSPORTS
@pytest.mark.parametrize("network", [V4, V6])
@pytest.mark.parametrize("name", ["www", "one", "@", "alias", "x.wild"])
def test_ecs_03_what_depends_on_no_client_has_scope_0(
    server: Server, name: str, network: str, transport: str
) -> None:
    reply = ask(server, name, network, transport=transport)
    assert reply.answer
    assert scope_of(reply, network) == 0


@pytest.mark.parametrize("network", ["1.2.3.0/24", V4, V6])
@pytest.mark.parametrize(
    ("name", "rrtype", "rcode"),
    [
        ("no-such-name", "A", NXDOMAIN),
        ("below.geo", "A", NXDOMAIN),
        ("dangling", "A", NXDOMAIN),
        (GEO, "HINFO", NOERROR),
        ("b.ent", "A", NOERROR),
        ("four", "AAAA", NOERROR),  # a policy that has no IPv6 address
    ],
)
def test_ecs_04_what_does_not_exist_exists_for_nobody(
    server: Server, name: str, rrtype: str, rcode: int, network: str
) -> None:
    reply = ask(server, name, network, rrtype)
    assert reply.rcode == rcode
    assert [record.type for record in reply.authority] == [6]
    assert scope_of(reply, network) == 0


@pytest.mark.parametrize("network", ["1.2.3.0/24", V6])
def test_ecs_05_a_referral_has_scope_0(server: Server, network: str) -> None:
    reply = ask(server, "h.sub", network)
    assert [record.type for record in reply.authority] == [2, 2]
    assert scope_of(reply, network) == 0


@TRANSPORTS
@pytest.mark.parametrize(
    ("name", "rrtype"),
    [
        ("www", "A"),
        ("www", "HINFO"),
        ("no-such-name", "A"),
        ("h.sub", "A"),
        (GEO, "A"),
        (GEO, "MX"),
        ("x.geowild", "AAAA"),
        ("togeo", "A"),
        ("split", "A"),
        ("@", "SOA"),
        ("sec", "DS"),
        ("www", "ANY"),
    ],
)
def test_ecs_06_19_every_reply_of_a_zone_has_the_option(
    server: Server, name: str, rrtype: str, transport: str
) -> None:
    for network in (V4, V6, "0.0.0.0/0"):
        scope_of(ask(server, name, network, rrtype, transport), network)


def test_ecs_06_a_truncated_reply_has_the_option(server: Server) -> None:
    reply = ask(server, "glut", V4, "NS", size=512)
    assert reply.tc
    assert scope_of(reply, V4) == 0


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_ecs_07_source_0_means_not_to_use_the_subnet(server: Server, network: str) -> None:
    here = "127.20.5.9"  # the packet's source decides then
    plain = server.says(query(GEO, "A"), here)
    reply = server.says(query(GEO, "A", opt(subnet(network))), here)
    assert [r.data for r in reply.answer] == [r.data for r in plain.answer]
    elsewhere = server.says(query(GEO, "A", opt(subnet(network))), "127.0.0.1")
    assert [r.data for r in reply.answer] != [r.data for r in elsewhere.answer]
    assert scope_of(reply, network) == 0


def test_ecs_08_no_family_and_source_0_is_answered(server: Server) -> None:
    sent = raw(0, 0, 0, b"")
    reply = server.says(query(GEO, "A", opt(sent)))
    assert (reply.rcode, len(reply.answer)) == (NOERROR, 1)
    assert reply.opt is not None
    assert reply.opt.option(CLIENT_SUBNET) == sent[4:]


MALFORMED = {
    "ecs_10_too_few_octets": raw(1, 24, 0, b"\xc6\x33"),
    "ecs_10_no_octets": raw(1, 24, 0, b""),
    "ecs_10_too_few_octets_v6": raw(2, 56, 0, bytes.fromhex("20010db80001")),
    "ecs_11_too_many_octets": raw(1, 24, 0, b"\xc6\x33\x64\x00"),
    "ecs_11_too_many_octets_v6": raw(2, 48, 0, bytes.fromhex("20010db8000100")),
    "ecs_11_octets_with_source_0": raw(1, 0, 0, b"\0"),
    "ecs_12_bits_beyond_source": raw(1, 20, 0, b"\xc6\x33\x6f"),
    "ecs_12_one_bit_beyond_source": raw(1, 31, 0, b"\xc6\x33\x64\x01"),
    "ecs_12_bits_beyond_source_v6": raw(2, 44, 0, bytes.fromhex("20010db80001")),
    "ecs_13_source_33": raw(1, 33, 0, bytes(5)),
    "ecs_13_source_255": raw(1, 255, 0, bytes(32)),
    "ecs_14_source_129": raw(2, 129, 0, bytes(17)),
    "ecs_15_a_scope": raw(1, 24, 24, b"\xc6\x33\x64"),
    "ecs_15_a_scope_v6": raw(2, 48, 1, bytes.fromhex("20010db80001")),
    "ecs_15_a_scope_with_source_0": raw(1, 0, 1, b""),
    "ecs_16_family_3": raw(3, 24, 0, b"\xc6\x33\x64"),
    "ecs_16_family_65535": raw(65535, 0, 0, b""),
    "ecs_16_no_family_with_a_source": raw(0, 24, 0, b"\xc6\x33\x64"),
    "ecs_17_nothing": option(CLIENT_SUBNET),
    "ecs_17_one_octet": option(CLIENT_SUBNET, b"\0"),
    "ecs_17_three_octets": option(CLIENT_SUBNET, b"\0\1\x18"),
}


@TRANSPORTS
@pytest.mark.parametrize("name", [GEO, "www", "no-such-name", "other.example."])
@pytest.mark.parametrize("case", MALFORMED)
def test_ecs_10_11_12_13_14_15_16_17_what_is_malformed_is_a_format_error(
    server: Server, case: str, name: str, transport: str
) -> None:
    reply = server.says_by(transport, query(name, "A", opt(MALFORMED[case])))
    assert reply.rcode == FORMERR
    assert reply.opt is not None  # and it says so with OPT (RFC 6891 section 7)
    assert reply.opt.option(CLIENT_SUBNET) is None


def test_ecs_18_of_two_options_the_first_counts_and_one_comes_back(server: Server) -> None:
    first, second = "1.2.3.0/24", V4
    with server.connect() as sock:
        sock.sendall(framed(query(GEO, "A", opt(subnet(first), subnet(second)))))
        reply = read(receive(sock))
    alone = ask(server, GEO, first)
    assert [r.data for r in reply.answer] == [r.data for r in alone.answer]
    assert scope_of(reply, first) == scope_of(alone, first)


def test_ecs_19_a_refusal_has_the_option_too(server: Server) -> None:
    reply = ask(server, "www.other.example.", V4)
    assert reply.rcode == REFUSED
    assert scope_of(reply, V4) == 0


@pytest.mark.parametrize("network", ["1.2.3.0/24", "2a00:1:2::/48"])
def test_ecs_20_where_a_policy_ignores_subnets_the_source_decides(
    server: Server, network: str
) -> None:
    for source in ("127.0.0.1", "127.20.1.1"):
        plain = server.says(query("blind", "A"), source)
        reply = server.says(query("blind", "A", opt(subnet(network))), source)
        assert [r.data for r in reply.answer] == [r.data for r in plain.answer]
        assert scope_of(reply, network) == 0


def test_ecs_20_only_senders_that_are_believed_steer_by_client_subnet(
    tmp_path: Path, another
) -> None:
    with another(tmp_path) as running:
        text = running.config.read_text()
        believed = "server:\n  ecs_from: [127.20.0.0/16]\n"
        running.config.write_text(text.replace("server:\n", believed, 1))
        running.signal(signal.SIGHUP)
        running.wait_events("reload", 1)
        server, network = Server(running.dns), "1.2.3.128/25"
        packet = query(GEO, "A", opt(subnet(network)))
        told = {}
        for source in ("127.20.0.1", "127.0.0.1"):
            reply = server.says(packet, source)
            told[source] = (reply.answer[0].data, scope_of(reply, network))
        grain, everywhere = bytes((198, 51, 100, 4)), bytes((198, 51, 100, 1))
        assert told == {"127.20.0.1": (grain, 25), "127.0.0.1": (everywhere, 0)}
