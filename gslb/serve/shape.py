"""Queries in the shapes that nearly all have, read by slices and comparisons.

Knows: a question followed by nothing, or by OPT with no option, one IPv4 client subnet or one
cookie. Refuses to know: names, and every other shape (wire/message.py reads them all).
Invariant: what has a Shape here is read by wire/message.py in the same way.
"""

from __future__ import annotations

from typing import Final

from gslb.serve.cookie import CLIENT, WHOLE
from gslb.wire.edns import compose_opt
from gslb.wire.message import HEADER

PLAIN_UDP: Final = 512  # RFC 1035 section 4.2.1

_ONE_QUESTION: Final = b"\0\1\0\0\0\0\0\0"
_ONE_QUESTION_AND_OPT: Final = b"\0\1\0\0\0\0\0\1"
_OPT: Final = b"\0\0\x29"
_NO_OPTIONS: Final = b"\0\0"
# RDLENGTH, option code, option length and family of an OPT record with one IPv4 subnet, by
# the number of its address octets.
_SUBNETS: Final = tuple(bytes((0, n + 8, 0, 8, 0, n + 4, 0, 1)) for n in range(5))
# RDLENGTH, option code and option length of an OPT record with one cookie, by the whole's size.
_COOKIES: Final = {11 + 4 + n: bytes((0, n + 4, 0, 10, 0, n)) for n in (CLIENT, WHOLE)}
REPLY_COOKIE: Final = _COOKIES[11 + 4 + WHOLE]

# (rd + 2 * opt, largest UDP reply, OPT of the reply up to RDLENGTH or whole if without options,
#  IPv4 client subnet or None, its octets, cookie)
Shape = tuple[int, int, bytes, int | None, bytes, bytes]


class ShapeReader:
    """Reads shapes under the settings of one plan."""

    def __init__(self, udp_size: int, cookies: bool) -> None:
        self._udp_size: Final = udp_size
        self._opts: Final = tuple(compose_opt(udp_size, do)[:-2] for do in (False, True))
        self._cookies: Final = cookies

    def read(self, packet: bytes, end: int) -> Shape | None:
        """What follows the question, which ends at `end`; None if it is anything unusual."""
        counts = packet[4:HEADER]
        tail = packet[end:]
        size = len(tail)
        if counts == _ONE_QUESTION:
            return None if tail else (packet[2] & 1, PLAIN_UDP, b"", None, b"", b"")
        if counts != _ONE_QUESTION_AND_OPT or size < 11 or tail[:3] != _OPT or tail[6]:
            return None
        head = 2 + (packet[2] & 1)
        limit = tail[3] << 8 | tail[4]
        if limit > self._udp_size:
            limit = self._udp_size
        elif limit < PLAIN_UDP:
            limit = PLAIN_UDP
        opt = self._opts[tail[7] >> 7]
        if size == 11:
            return None if tail[9] or tail[10] else (head, limit, opt + _NO_OPTIONS, None, b"", b"")
        count = size - 19
        if not 0 < count <= 4 or tail[9:17] != _SUBNETS[count] or tail[18]:
            if _COOKIES.get(size) != tail[9:15]:
                return None
            if self._cookies:
                return head, limit, opt, None, b"", tail[15:]
            return head, limit, opt + _NO_OPTIONS, None, b"", b""  # one more unknown option
        source = tail[17]
        if count != (source + 7) >> 3:
            return None
        octets = tail[19:]
        network = int.from_bytes(octets, "big") << (32 - 8 * count)
        if network & (0xFFFFFFFF >> source):
            return None
        return head, limit, opt, network, octets, b""
