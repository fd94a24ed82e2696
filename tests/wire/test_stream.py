"""The length prefix of DNS over a byte stream."""

from itertools import pairwise

import pytest
from gslb.wire.stream import MAX_MESSAGE, Framer, frame
from hypothesis import given
from hypothesis import strategies as st


def test_a_frame_is_two_octets_of_length_and_the_message():
    assert frame(b"abc") == b"\x00\x03abc"
    assert frame(bytes(MAX_MESSAGE))[:2] == b"\xff\xff"


def test_a_message_too_long_for_its_prefix_is_refused():
    with pytest.raises(OverflowError):
        frame(bytes(MAX_MESSAGE + 1))


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(0, 300)), st.binary(max_size=1))
def test_messages_come_out_whole_however_the_stream_is_cut(messages, cuts, rest):
    stream = b"".join(map(frame, messages)) + rest
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut <= len(stream))})
    framer = Framer()
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert [message for piece in pieces for message in framer.feed(piece)] == messages
    assert framer.mid_message == bool(rest)


def test_the_longest_message_arrives_octet_by_octet():
    framer = Framer()
    stream = frame(bytes(range(256)) * 255 + bytes(255))
    out = [message for at in range(len(stream)) for message in framer.feed(stream[at : at + 1])]
    assert out == [stream[2:]]


def test_an_empty_message_is_a_message():
    assert Framer().feed(b"\x00\x00\x00\x00\x00\x01x") == [b"", b"", b"x"]


def test_a_framer_knows_that_a_message_has_begun():
    framer = Framer()
    assert not framer.mid_message
    framer.feed(b"\x00")
    assert framer.mid_message
    framer.feed(b"\x01x")
    assert not framer.mid_message
