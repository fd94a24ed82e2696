"""INV: that the strict reader sees what it says it sees; it reads every reply of this folder."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conversation import Server, opt, option, query, subnet
from strict import BrokenReplyError, look_at

COOKIE = option(10, b"8 octets")
ASKED = query("multi", "A", opt(COOKIE, subnet("1.2.3.0/24")), flags=0x0100, number=0x1234)
QUESTION = len(query("multi", "A"))


def with_octet(at: int, flip: int) -> Callable[[bytes], bytes]:
    """Some bits of one octet turned over."""
    return lambda reply: reply[:at] + bytes((reply[at] ^ flip,)) + reply[at + 1 :]


def cut(reply: bytes) -> bytes:
    return reply[:-1]


def longer(reply: bytes) -> bytes:
    return reply + b"\0"


def with_record(reply: bytes, record: bytes, section: int) -> bytes:
    """One record more, at the end; `section` 3 is the additional one."""
    at = 4 + 2 * section
    count = int.from_bytes(reply[at : at + 2], "big") + 1
    return reply[:at] + count.to_bytes(2, "big") + reply[at + 2 :] + record


def a_record(ttl: int = 300, address: int = 9, owner: bytes = b"\xc0\x0c", type_: int = 1) -> bytes:
    head = owner + type_.to_bytes(2, "big") + b"\0\1" + ttl.to_bytes(4, "big")
    return head + b"\0\4\xc0\0\2" + bytes((address,))


def more(**fields: object) -> Callable[[bytes], bytes]:
    return lambda reply: with_record(reply, a_record(**fields), 3)  # type: ignore[arg-type]


BREAKS = [
    pytest.param(cut, "INV-00", id="00-cut"),
    pytest.param(with_octet(0, 1), "INV-01", id="01-id"),
    pytest.param(with_octet(2, 0x80), "INV-01", id="01-QR"),
    pytest.param(with_octet(2, 0x08), "INV-01", id="01-opcode"),
    pytest.param(with_octet(2, 0x01), "INV-02", id="02-RD"),
    pytest.param(with_octet(3, 0x80), "INV-03", id="03-RA"),
    pytest.param(with_octet(3, 0x40), "INV-03", id="03-Z"),
    pytest.param(with_octet(3, 0x20), "INV-04", id="04-AD"),
    pytest.param(with_octet(3, 0x10), "INV-04", id="04-CD"),
    pytest.param(with_octet(13, 0x20), "INV-05", id="05-letter-case"),
    pytest.param(with_octet(5, 0x03), "INV-05", id="05-two-questions"),
    pytest.param(longer, "INV-06", id="06-behind"),
    pytest.param(with_octet(QUESTION + 1, 0x40 | 0x0C), "INV-07", id="07-forward"),
    pytest.param(with_octet(QUESTION + 1, 0x0C), "INV-07", id="07-header"),
    pytest.param(with_octet(QUESTION + 1, 0x01), "INV-07", id="07-inside-a-label"),
    pytest.param(with_octet(QUESTION, 0x40), "INV-07", id="07-type"),
    pytest.param(lambda reply: with_record(reply, opt(), 3), "INV-08", id="08-two"),
    pytest.param(more(ttl=2**31, owner=b"\1z\0"), "INV-09", id="09-TTL"),
    pytest.param(more(ttl=299), "INV-10", id="10-TTLs"),
    pytest.param(more(address=1), "INV-11", id="11-twice"),
    pytest.param(more(owner=b"\1z\0", type_=255), "INV-14", id="14-ANY"),
    pytest.param(more(owner=b"\1z\0", type_=65282), "INV-14", id="14-STEER"),
    pytest.param(with_octet(2, 0x02), "INV-13", id="13-TC-with-records"),
    pytest.param(with_octet(3, 0x05), "INV-14", id="14-REFUSED-with-records"),
    pytest.param(with_octet(3, 0x03), "INV-14", id="14-NXDOMAIN-with-answers"),
    pytest.param(with_octet(3, 0x02), "INV-14", id="14-SERVFAIL"),
]


@pytest.fixture(scope="module")
def reply(server: Server) -> bytes:
    """A right reply: three records, a cookie and a client subnet."""
    return server.says(ASKED).octets


@pytest.mark.parametrize(("change", "invariant"), BREAKS)
def test_inv_00_to_14_a_broken_reply_is_seen(
    reply: bytes, change: Callable[[bytes], bytes], invariant: str
) -> None:
    with pytest.raises(BrokenReplyError, match=invariant):
        look_at(ASKED, change(reply), "udp")


def test_inv_08_an_opt_must_be_asked_for_and_given(reply: bytes, server: Server) -> None:
    plain = query("multi", "A", flags=0x0100, number=0x1234)
    with pytest.raises(BrokenReplyError, match="nobody asked for"):
        look_at(plain, reply, "udp")
    without = server.says(plain).octets
    with pytest.raises(BrokenReplyError, match="no OPT"):
        look_at(ASKED, without, "udp")
    fewer = query("multi", "A", opt(COOKIE), flags=0x0100, number=0x1234)
    with pytest.raises(BrokenReplyError, match="options"):
        look_at(fewer, reply, "udp")


def test_inv_12_size_is_what_the_client_takes(server: Server) -> None:
    whole = query("mid", "TXT", opt(), number=1)
    long = server.says(whole).octets
    assert len(long) > 512
    for asked in (query("mid", "TXT", opt(size=600), number=1),):
        with pytest.raises(BrokenReplyError, match="INV-12"):
            look_at(asked, long, "udp")
    huge = server.tcp(query("big", "TXT", opt(size=65535), number=1)).octets
    with pytest.raises(BrokenReplyError, match="INV-12"):
        look_at(query("big", "TXT", opt(size=65535), number=1), huge, "udp")


def test_inv_nobody_replies_to_a_response(reply: bytes) -> None:
    with pytest.raises(BrokenReplyError, match="INV-01"):
        look_at(reply, reply, "udp")
