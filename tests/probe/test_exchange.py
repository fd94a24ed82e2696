"""One HTTP exchange without a socket: whatever the octets, in whatever pieces."""

from __future__ import annotations

import asyncio

import pytest
from gslb.probe.exchange import Ask, Exchange, Reply
from gslb.probe.reason import ProbeError
from hypothesis import given
from hypothesis import strategies as st

from endpoint import page

ASK = Ask("GET", "/", (("Host", "www.example.com"),))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REPLIES = [
    page(200, b"all is ready"),
    page(302, b"", b"Location: /b\r\n"),
    b"HTTP/1.1 100 Continue\r\n\r\n" + page(503, b"no"),
    CHUNKED + b"3\r\nall\r\n5;x=y\r\n done\r\n0\r\nTrailer: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnot",
    b"",
    b"220 mail.example ESMTP\r\n",
]


class Paper(asyncio.Transport):
    """Takes what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


async def converse(pieces: list[bytes], limit: int = 100) -> Reply | str:
    """The reply, or the evidence, after these pieces and the end of the connection."""
    exchange = Exchange(ASK, lambda _: limit, lambda: 1.0)
    paper = Paper()
    exchange.connection_made(paper)
    assert paper.written == b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
    for piece in pieces:
        for start in range(0, len(piece), 4096):
            part = piece[start : start + 4096]
            exchange.get_buffer(-1)[: len(part)] = part
            exchange.buffer_updated(len(part))
    exchange.eof_received()
    exchange.connection_lost(None)
    try:
        return await exchange.reply
    except ProbeError as error:
        return str(error)


@pytest.mark.parametrize("octets", REPLIES)
async def test_a_reply_is_the_same_in_one_piece_and_octet_by_octet(octets: bytes) -> None:
    whole = await converse([octets] if octets else [])
    assert await converse([octets[i : i + 1] for i in range(len(octets))]) == whole
    if isinstance(whole, Reply):
        assert await converse([octets, b"trailing junk"]) == whole or b"1.0" in octets


@given(st.lists(st.binary(min_size=1, max_size=9000), max_size=5), st.sampled_from(REPLIES))
async def test_any_octets_make_a_reply_or_a_reason(pieces: list[bytes], opening: bytes) -> None:
    outcome = await converse([opening, *pieces] if opening else pieces)
    if isinstance(outcome, Reply):
        assert len(outcome.body) <= 100
    else:
        assert outcome in ("closed without a reply", "reply cut short", "not an HTTP reply")


async def test_a_body_in_octets_is_given_up_before_it_holds_up_answers() -> None:
    assert await converse([CHUNKED, b"1\r\na\r\n" * 8200], 65536) == (
        "the body comes in too many pieces"
    )
    reply = await converse([CHUNKED, b"1\r\na\r\n" * 8000, b"0\r\n\r\n"], 65536)
    assert isinstance(reply, Reply)
    assert len(reply.body) == 8000
