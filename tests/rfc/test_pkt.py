"""PKT: octets that are no query, or hardly one (dns.md, section 2).

Where the table says "FORMERR or silence", this server says FORMERR; where it says "ignore", it
answers as if the strange part were not there.
"""

from __future__ import annotations

from random import Random

import pytest

from conversation import Server, head, opt, option, query, question, subnet, wire_name
from strict import FORMERR, NOERROR, NOTIMP, NXDOMAIN, REFUSED, SOA

IN_A = b"\0\1\0\1"
A_RECORD = b"\1x\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4"
COOKIE = option(10, b"8 octets")


def formerr(server: Server, packet: bytes, asked: bytes = b"") -> None:
    """FORMERR over UDP and TCP, with the question if it could be read."""
    for transport in ("udp", "tcp"):
        reply = server.says_by(transport, packet)
        assert reply.rcode == FORMERR
        assert reply.question == asked


@pytest.mark.parametrize("length", range(12))
def test_pkt_01_less_than_a_header_is_met_with_silence(server: Server, length: int) -> None:
    for octets in (query("@", "SOA")[:length], b"\xff" * length, bytes(length)):
        assert server.udp(octets) is None


def test_pkt_02_no_question_and_no_cookie_is_a_format_error(server: Server) -> None:
    formerr(server, head(counts=(0, 0, 0, 0)))
    formerr(server, head(counts=(0, 0, 0, 1)) + opt())
    formerr(server, head(counts=(0, 0, 0, 1)) + opt(subnet("1.2.3.0/24")))


def test_pkt_02_octets_that_no_count_announces_are_no_question(server: Server) -> None:
    formerr(server, head(counts=(0, 0, 0, 0)) + question("@", "SOA"))


def test_pkt_03_a_count_of_one_and_no_question_is_a_format_error(server: Server) -> None:
    formerr(server, head())


@pytest.mark.parametrize("count", [2, 3, 256, 65535])
@pytest.mark.parametrize("more", [b"", opt(), opt(COOKIE)], ids=["plain", "edns", "cookie"])
def test_pkt_04_and_32_several_questions_are_a_format_error(
    server: Server, count: int, more: bytes
) -> None:
    questions = question("@", "SOA") + question("www", "A")
    counts = (count, 0, 0, 1 if more else 0)
    for packet in (head(counts=counts) + questions + more, head(counts=counts) + questions[:31]):
        for transport in ("udp", "tcp"):
            assert server.says_by(transport, packet).rcode == FORMERR


def test_pkt_04_the_same_question_twice_is_a_format_error(server: Server) -> None:
    formerr(server, head(counts=(2, 0, 0, 0)) + 2 * question("www", "A"))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"\xc0\x0c", id="07-itself"),
        pytest.param(b"\3www\xc0\x0c", id="08-loop"),
        pytest.param(b"\xc0\x0e\xc0\x0c", id="08-two_in_a_loop"),
        pytest.param(b"\xc0\x12", id="09-forward"),
        pytest.param(b"\3www\xc0\x16\7example\4test\0", id="09-forward_to_a_name"),
        pytest.param(b"\xff\xff", id="10-beyond"),
        pytest.param(b"\xc0\x00", id="11-header"),
        pytest.param(b"\3www\xc0\x04", id="11-header_behind_a_label"),
        pytest.param(b"\x41\0", id="12-type_01"),
        pytest.param(b"\x40\0", id="12-type_01_empty"),
        pytest.param(b"\x81\0", id="12-type_10"),
        pytest.param(b"\3www\xbf\0", id="12-type_10_behind_a_label"),
        pytest.param(b"\x41" + b"\xaa" * 65 + b"\0", id="12-extended_label"),
    ],
)
def test_pkt_07_to_12_a_question_needs_no_pointer_and_knows_one_type_of_label(
    server: Server, name: bytes
) -> None:
    formerr(server, head() + name + IN_A)
    formerr(server, head(counts=(1, 0, 0, 1)) + name + IN_A + opt())


def long_name(length: int) -> bytes:
    """A name of so many octets, of labels as long as may be; it is nowhere."""
    labels, left = b"", length - 1
    while left > 64:
        labels += b"\x3f" + b"l" * 63
        left -= 64
    if left == 1:
        labels = labels[:-64] + b"\x3e" + b"l" * 62
        left = 2
    return labels + bytes((left - 1,)) + b"l" * (left - 1) + b"\0"


@pytest.mark.parametrize("length", [256, 257, 300, 512, 1000])
def test_pkt_13_a_name_of_more_than_255_octets_is_a_format_error(
    server: Server, length: int
) -> None:
    formerr(server, head() + long_name(length) + IN_A)


@pytest.mark.parametrize("length", range(240, 256))
def test_pkt_14_names_up_to_255_octets_are_names(server: Server, length: int) -> None:
    name = long_name(length)
    assert len(name) == length
    assert server.says(query(name, "A")).rcode == REFUSED


@pytest.mark.parametrize("length", range(246, 256))
def test_pkt_14_so_are_those_in_the_zone(server: Server, length: int) -> None:
    zone = wire_name("@")
    name = long_name(length - len(zone) + 1)[:-1] + zone
    assert len(name) == length
    reply = server.says(query(name, "A", opt(COOKIE)))
    assert reply.rcode == NXDOMAIN


def test_pkt_15_a_name_may_have_127_labels(server: Server) -> None:
    assert server.says(query(b"\1a" * 127 + b"\0", "A")).rcode == REFUSED
    formerr(server, head() + b"\1a" * 128 + b"\0" + IN_A)
    zone = wire_name("@")
    count = (255 - len(zone)) // 2
    assert server.says(query(b"\1a" * count + zone, "A")).rcode == NXDOMAIN
    assert server.says(query(b"\1a" * (count - 3) + b"\4wild" + zone, "A")).answer


@pytest.mark.parametrize("end", range(13, 12 + len(question("www", "A"))))
def test_pkt_16_a_question_that_is_cut_is_a_format_error(server: Server, end: int) -> None:
    formerr(server, query("www", "A")[:end])


@pytest.mark.parametrize("section", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 65535])
def test_pkt_17_records_that_a_count_promises_must_be_there(
    server: Server, section: int, count: int
) -> None:
    counts = [1, 0, 0, 0]
    counts[section] = count
    formerr(server, query("www", counts=tuple(counts)), question("www"))
    if count > 1:
        formerr(server, query("www", counts=tuple(counts), tail=A_RECORD), question("www"))


@pytest.mark.parametrize("end", range(1, len(A_RECORD)))
def test_pkt_18_a_record_that_is_cut_is_a_format_error(server: Server, end: int) -> None:
    formerr(server, query("www", "A", A_RECORD[:end]), question("www"))


@pytest.mark.parametrize("length", [5, 255, 4096, 65535])
def test_pkt_19_rdata_longer_than_the_message_is_a_format_error(
    server: Server, length: int
) -> None:
    record = A_RECORD[:-6] + length.to_bytes(2, "big") + A_RECORD[-4:]
    formerr(server, query("www", "A", record), question("www"))
    formerr(server, query("www", "A", authority=[record]), question("www"))


@pytest.mark.parametrize("section", ["answer", "authority", "additional"])
@pytest.mark.parametrize(
    "owner",
    [
        pytest.param(b"\x41a\0", id="type_01"),
        pytest.param(b"\x80\0", id="type_10"),
        pytest.param(b"\3ab", id="cut"),
    ],
)
def test_pkt_20_an_owner_that_cannot_be_read_is_a_format_error(
    server: Server, section: str, owner: bytes
) -> None:
    record = owner + (A_RECORD[3:] if owner != b"\3ab" else b"")
    records = {section: [record]} if section != "additional" else {}
    more = [record] if section == "additional" else []
    formerr(server, query("www", "A", *more, **records), question("www"))


@pytest.mark.parametrize("target", [12 + len(question("www")), 12, 0, 0x3FFF])
def test_pkt_21_no_pointer_of_another_record_leads_anywhere(server: Server, target: int) -> None:
    """Itself, the question, the header, beyond: FORMERR or an answer, but an end."""
    owner = (0xC000 | target).to_bytes(2, "big")
    asked = query("www", "A", authority=[owner + A_RECORD[3:]])
    for transport in ("udp", "tcp"):
        reply = server.says_by(transport, asked)
        assert reply.rcode in (NOERROR, FORMERR)
        assert reply.question == question("www")


@pytest.mark.parametrize("section", ["answer", "authority"])
def test_pkt_22_records_in_a_query_are_ignored(server: Server, section: str) -> None:
    for name in ("www", "geo", "nope"):
        plain = server.says(query(name, "A", number=1))
        assert server.says(query(name, "A", number=1, **{section: [A_RECORD]})) == plain


def test_pkt_23_additional_records_in_a_query_are_ignored(server: Server) -> None:
    for name in ("www", "geo", "nope"):
        plain = server.says(query(name, "A", number=1))
        assert server.says(query(name, "A", A_RECORD, A_RECORD, number=1)) == plain
        edns = server.says(query(name, "A", opt(), number=1))
        assert server.says(query(name, "A", A_RECORD, opt(), number=1)) == edns
        assert server.says(query(name, "A", opt(), A_RECORD, number=1)) == edns


def test_pkt_23_octets_behind_the_last_record_are_ignored(server: Server) -> None:
    """RFC 1035 does not speak of them; a reply never has them."""
    for more in ((), (opt(),)):
        plain = server.says(query("www", "A", *more, number=1))
        assert server.says(query("www", "A", *more, number=1, tail=b"junk" * 50)) == plain


@pytest.mark.parametrize("opcode", range(16))
def test_pkt_24_a_response_is_met_with_silence(server: Server, opcode: int) -> None:
    packets = [
        query("@", "SOA", opt(COOKIE), flags=0x8000 | rcode | more, opcode=opcode, number=number)
        for number, (rcode, more) in enumerate(
            [(rcode, more) for rcode in range(16) for more in (0, 0x0400, 0x0780)]
        )
    ]
    assert server.all_udp(packets) == [None] * len(packets)


def test_pkt_25_so_is_a_response_that_is_no_message(server: Server) -> None:
    """Loop DoS, CVE-2024-2169: an error must never meet an error."""
    shapes = [
        head(0x8000, (0, 0, 0, 0)),
        head(0x8000),
        head(0x8001, (2, 0, 0, 0)),
        head(0x8000) + b"\xc0\x0c" + IN_A,
        head(0xF80F, (65535, 65535, 65535, 65535)),
        query("www", "A", opt(version=1), flags=0x8000),
        query("www", "A", opt(), opt(), flags=0x8000),
        b"\xff" * 12,
        b"\xff" * 600,
    ]
    packets = [number.to_bytes(2, "big") + shape[2:] for number, shape in enumerate(shapes)]
    assert server.all_udp(packets) == [None] * len(packets)
    for shape in shapes:
        reply = server.says(query("www", "A", opt(version=1)))
        assert server.udp(reply.octets) is None, shape


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"\7bin\0ary", id="nul"),
        pytest.param(b"\7bin ary", id="space"),
        pytest.param(b"\7bin.ary", id="dot"),
        pytest.param(b"\2\xc3x", id="195"),
        pytest.param(b"\3\xff\xfe\xfd", id="high"),
        pytest.param(b"\1\1", id="control"),
    ],
)
def test_pkt_27_any_octet_is_a_plain_octet_of_a_label(server: Server, name: bytes) -> None:
    for transport in ("udp", "tcp"):
        reply = server.says_by(transport, query(name + wire_name("@"), "TXT"))
        assert (reply.rcode, len(reply.answer)) == (NOERROR, 1)


def test_pkt_27_all_256_octets_are_told_apart(server: Server) -> None:
    """None is in the zone but 1; those that are not are said not to exist, and never an error."""
    packets = [
        query(bytes((1, octet)) + wire_name("@"), "TXT", number=octet) for octet in range(256)
    ]
    rcodes = [None if reply is None else reply[3] & 15 for reply in server.all_udp(packets)]
    assert [octet for octet, rcode in enumerate(rcodes) if rcode != NXDOMAIN] == [1]


@pytest.mark.parametrize("name", ["www", "geo", "nope", "h.sub", "foo.wild", "alias", "@"])
def test_pkt_28_no_type_is_a_surprise(server: Server, name: str) -> None:
    types = [*range(300), 1000, 32767, 32768, 32769, *range(65270, 65300), 65534, 65535]
    packets = [query(name, rrtype, number=number) for number, rrtype in enumerate(types)]
    for rrtype, reply in zip(types, server.all_udp(packets), strict=True):
        assert reply is not None, rrtype
        rcode = reply[3] & 15
        if rrtype in (251, 252):
            assert rcode == REFUSED
        else:
            assert rcode == (NXDOMAIN if name == "nope" else NOERROR), rrtype


@pytest.mark.parametrize("rdclass", [3, 4, 254, 255, 0, 2, 65280, 65535])
@pytest.mark.parametrize("name", ["www", "geo", "@", "version.bind.", "nope"])
def test_pkt_30_and_31_no_class_but_in_has_data(server: Server, rdclass: int, name: str) -> None:
    """CH, HS, NONE, ANY, 0 and others are refused, with and without EDNS."""
    for more in ((), (opt(),), (opt(COOKIE, subnet("1.2.3.0/24")),)):
        for rrtype in ("A", "TXT", "ANY"):
            reply = server.ask(name, rrtype, *more, rdclass=rdclass)
            assert (reply.rcode, reply.records) == (REFUSED, ())


def test_pkt_any_octets_at_all_leave_a_server_that_answers(server: Server) -> None:
    """2 000 packets by chance, and broken queries; what comes back is strictly read."""
    draw = Random(8906)
    good = [query(name, "A", opt(COOKIE, subnet("1.2.3.0/24"))) for name in ("www", "geo", "h.sub")]
    packets = []
    for number in range(2000):
        packet = bytearray(draw.choice(good))
        for _ in range(draw.randrange(1, 6)):
            packet[draw.randrange(2, len(packet))] = draw.randrange(256)
        packets.append(number.to_bytes(2, "big") + bytes(packet[2 : draw.randrange(3, 300)]))
    replies = server.all_udp(packets)
    for packet, reply in zip(packets, replies, strict=True):
        assert (reply is None) == (len(packet) < 12 or packet[2] >= 0x80), packet.hex()
    assert server.ask("@", "SOA").answer[0].type == SOA


def test_pkt_the_order_is_opcode_before_question_before_edns(server: Server) -> None:
    assert server.says(head(0x1000, (0, 0, 0, 0))).rcode == NOTIMP
    assert server.says(head(0x1000) + b"\xc0\x0c" + IN_A).rcode == NOTIMP
    two = head(counts=(2, 0, 0, 1)) + 2 * question("www") + opt(version=1)
    assert server.says(two).rcode == FORMERR
