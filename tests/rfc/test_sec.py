"""What a closed server refuses: foreign names, transfers, updates, keys, classes and port 0."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import struct
from pathlib import Path

import dns.message
import dns.rcode
import dns.tsig
import pytest

from conversation import Server, framed, opt, query, receive, wire_name
from running import Running
from strict import FORMERR, NOERROR, NOTIMP, REFUSED, Message

SOA, AXFR, IXFR, TKEY, SIG, TSIG, ANY = 6, 252, 251, 249, 24, 250, 255
EXTENDED_ERROR = 15
NOTIFY, UPDATE = 4, 5
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])
FOREIGN = ["other.example.", "www.example.net.", "com.", "test.", ".", "notexample.test."]


def assert_bare(reply: Message, rcode: int) -> None:
    """An rcode and nothing else: no AA, no record of any section."""
    assert (reply.rcode, reply.aa) == (rcode, False)
    assert reply.records == ()


def info_code(reply: Message) -> int | None:
    """The extended error of a reply (RFC 8914 section 2)."""
    data = None if reply.opt is None else reply.opt.option(EXTENDED_ERROR)
    return None if data is None else int.from_bytes(data[:2], "big")


def record(name: str, rrtype: int, rdclass: int, ttl: int, data: bytes) -> bytes:
    return wire_name(name) + struct.pack("!HHIH", rrtype, rdclass, ttl, len(data)) + data


def tsig(key: str = "nobody.", rdclass: int = ANY, ttl: int = 0, cut: int | None = None) -> bytes:
    """A TSIG record of a key that nobody has, its data perhaps cut (RFC 8945 section 4.2)."""
    mac = bytes(range(32))
    data = wire_name("hmac-sha256.") + bytes(2) + struct.pack("!IHH", 1_800_000_000, 300, len(mac))
    data += mac + struct.pack("!HHH", 0x1234, 0, 0)
    return record(key, TSIG, rdclass, ttl, data[:cut])


def rcode_of(server: Server, packet: bytes) -> int:
    """The rcode, of a reply that may hold what no other reply does."""
    with server.connect() as sock:
        sock.sendall(framed(packet))
        return dns.message.from_wire(receive(sock), keyring=False).rcode()


@TRANSPORTS
@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("rrtype", ["A", "SOA", "NS", "ANY", "TXT", "DS"])
def test_sec_01_a_name_that_is_not_ours_is_refused_without_a_record(
    server: Server, name: str, rrtype: str, transport: str
) -> None:
    for flags in (0, 0x0100):  # nor is anybody else asked
        reply = server.says_by(transport, query(name, rrtype, opt(), flags=flags))
        assert_bare(reply, REFUSED)
        assert info_code(reply) == 20


@pytest.mark.parametrize("name", [".", "com.", "test.", "arpa.", "root-servers.net."])
def test_sec_02_there_is_no_upward_referral(server: Server, name: str) -> None:
    for rrtype in ("NS", "A", "SOA", "DS"):
        assert_bare(server.ask(name, rrtype), REFUSED)


@TRANSPORTS
@pytest.mark.parametrize("name", ["@", "www", "sub", "geo"])
def test_sec_03_zones_are_sent_to_nobody(server: Server, name: str, transport: str) -> None:
    reply = server.says_by(transport, query(name, AXFR, opt()))
    assert_bare(reply, REFUSED)
    assert info_code(reply) == 18
    assert_bare(server.says_by(transport, query(name, AXFR)), REFUSED)


def test_sec_03_of_a_foreign_zone_nothing_is_told(server: Server) -> None:
    reply = server.tcp(query("other.example.", AXFR, opt()))
    assert_bare(reply, REFUSED)
    assert info_code(reply) == 20


@TRANSPORTS
def test_sec_04_nor_are_their_differences(server: Server, transport: str) -> None:
    soa = record("@", SOA, 1, 0, wire_name("ns1") + wire_name("hostmaster") + bytes(20))
    for authority in ((), (soa,)):
        packet = query("@", IXFR, opt(), authority=authority)
        assert_bare(server.says_by(transport, packet), REFUSED)


@TRANSPORTS
@pytest.mark.parametrize("name", ["@", "other.example."])
def test_sec_05_a_notify_is_not_implemented(server: Server, name: str, transport: str) -> None:
    soa = record("@", SOA, 1, 300, wire_name("ns1") + wire_name("hostmaster") + bytes(20))
    for answer in ((), (soa,)):
        packet = query(name, SOA, opcode=NOTIFY, answer=answer, flags=0x0400)
        assert_bare(server.says_by(transport, packet), NOTIMP)


@TRANSPORTS
def test_sec_06_an_update_is_not_implemented_and_changes_nothing(
    server: Server, transport: str
) -> None:
    add = record("intruder", 1, 1, 300, bytes((192, 0, 2, 66)))
    delete = record("www", ANY, ANY, 0, b"")
    packet = query("@", SOA, opcode=UPDATE, authority=(add, delete))
    assert_bare(server.says_by(transport, packet), NOTIMP)
    assert server.ask("intruder").rcode == dns.rcode.NXDOMAIN
    assert server.ask("www").answer


def test_sec_07_the_control_address_knows_who_may_call_it(whole: Running) -> None:
    for path in ("/metrics", "/overrides"):
        connection = http.client.HTTPConnection("127.0.0.1", whole.control, timeout=10)
        connection.request("GET", path, headers={"Host": "evil.example"})
        assert connection.getresponse().status in (403, 421)
        connection.close()


BAD_TSIG = {
    "not_last": query("www", "A", tsig(), opt()),
    "twice": query("www", "A", tsig(), tsig()),
    "in_answer": query("www", "A", answer=(tsig(),)),
    "in_authority": query("www", "A", authority=(tsig(),)),
    "no_data": query("www", "A", tsig(cut=0)),
    "cut_in_the_algorithm": query("www", "A", tsig(cut=5)),
    "cut_before_the_time": query("www", "A", tsig(cut=13)),
    "cut_in_the_mac": query("www", "A", tsig(cut=30)),
    "cut_before_the_end": query("www", "A", tsig(cut=-1)),
    "class_in": query("www", "A", tsig(rdclass=1)),
    "a_ttl": query("www", "A", tsig(ttl=1)),
}


@pytest.mark.parametrize("case", BAD_TSIG)
def test_sec_08_a_tsig_that_is_not_last_or_not_readable_is_a_format_error(
    server: Server, case: str
) -> None:
    assert rcode_of(server, BAD_TSIG[case]) == FORMERR
    assert server.ask("www").rcode == NOERROR


@pytest.mark.parametrize("name", ["www", "geo", "no-such-name", "other.example."])
@pytest.mark.parametrize("rrtype", ["A", "AXFR"])
def test_sec_09_a_key_that_nobody_has_is_told_so(server: Server, name: str, rrtype: str) -> None:
    packet = query(name, rrtype, tsig("some.key."), number=0x1234)
    with server.connect() as sock:
        sock.sendall(framed(packet))
        octets = receive(sock)
    reply = dns.message.from_wire(octets, keyring=False)
    assert reply.rcode() == dns.rcode.NOTAUTH
    assert not reply.answer
    assert not reply.authority
    sign = reply.tsig[0]  # RFC 8945 section 5.3.2: unsigned
    assert str(reply.tsig.name) == "some.key."
    assert (sign.error, sign.mac, sign.original_id) == (dns.rcode.BADKEY, b"", 0x1234)
    assert sign.algorithm == dns.tsig.HMAC_SHA256


def test_sec_10_keys_are_not_negotiated(server: Server) -> None:
    data = wire_name("gss-tsig.") + struct.pack("!IIHHHH", 0, 0, 3, 0, 0, 0)
    tkey = record("1.key.", TKEY, ANY, 0, data)
    assert_bare(server.tcp(query("1.key.", TKEY, tkey, rdclass=ANY)), REFUSED)
    reply = server.tcp(query("@", TKEY, record("@", TKEY, ANY, 0, data)))
    assert (reply.answer, reply.additional) == ((), ())


def test_sec_10_sig_0_is_passed_over_unverified(server: Server) -> None:
    data = struct.pack("!HBBIIIH", 0, 5, 0, 0, 2**31, 0, 7) + wire_name("key.") + b"\xff" * 64
    for signature in (data, data[:18], b""):
        reply = server.ask("www", "A", record(".", SIG, ANY, 0, signature))
        assert (reply.rcode, len(reply.answer)) == (NOERROR, 1)


@TRANSPORTS
@pytest.mark.parametrize("name", ["version.bind.", "hostname.bind.", "id.server.", "@", "www"])
@pytest.mark.parametrize("rdclass", [0, 3, 4, 254, 255, 65280])
def test_sec_11_other_classes_are_refused(
    server: Server, name: str, rdclass: int, transport: str
) -> None:
    for rrtype in ("TXT", "ANY", "SOA"):
        packet = query(name, rrtype, opt(), rdclass=rdclass)
        assert_bare(server.says_by(transport, packet), REFUSED)


def test_sec_12_little_comes_back_for_little(server: Server) -> None:
    for name, rrtype in (("other.example.", "ANY"), ("@", "ANY"), ("big", "TXT"), ("@", AXFR)):
        packet = query(name, rrtype)
        assert len(server.says(packet).octets) <= len(packet) + 64
        with_opt = query(name, rrtype, opt(size=65535))
        reply = server.says(with_opt)
        if name != "big":
            assert len(reply.octets) <= len(with_opt) + 64
        assert len(reply.octets) <= 1232


HOSTS = """\
$ORIGIN hosts.test.
$TTL 300
@ SOA ns1 hostmaster 1 7200 900 1209600 60
@ NS ns1
@ NS ns.example.net.
ns1 A 192.0.2.53
$GENERATE 1-90 h$ A 192.0.2.$
$GENERATE 1-90 @ MX 10 h$
"""


def test_sec_13_no_more_than_thirteen_hosts_get_their_addresses(tmp_path: Path, another) -> None:
    with another(tmp_path) as running:
        (running.folder / "zones" / "hosts.test.zone").write_text(HOSTS)
        running.signal(signal.SIGHUP)
        running.wait_events("reload", 1)
        server = Server(running.dns)
        whole = server.tcp(query("hosts.test.", "MX", opt()))
        assert (len(whole.answer), len(whole.additional)) == (90, 13)
        assert server.ask("hosts.test.", "MX", opt()).tc


def test_sec_14_nobody_is_at_port_0(whole: Running, server: Server) -> None:
    def dropped() -> int:
        _, page = whole.get("/metrics")
        found = re.search(r'^gslb_dropped_total\{reason="port_zero"\} (\d+)', page, re.M)
        return int(found[1]) if found else 0

    packet = query("www", "A")
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError:
        pytest.skip("a raw socket needs root")
    before = dropped()
    with raw:
        head = struct.pack("!HHHH", 0, server.port, 8 + len(packet), 0)
        raw.sendto(head + packet, ("127.0.0.1", 0))
    assert server.ask("www").rcode == NOERROR  # behind it in the same socket
    assert dropped() == before + 1
