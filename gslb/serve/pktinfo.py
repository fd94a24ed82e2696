"""Which of our addresses a datagram was sent to, and how a reply leaves from it (Linux).

Knows: IP_PKTINFO and IPV6_PKTINFO (ip(7), RFC 3542 section 6). Refuses to know: DNS.
Invariant: a reply leaves from the asked address (RFC 2181 section 4.1) by whatever route
the kernel chooses, so the interface index that came in is not sent back.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from gslb.serve import pulse
from gslb.serve.pulse import Control

# Python 3.11 has no names for these; the numbers are <linux/in.h>'s.
IP_PKTINFO: Final = 8

# struct in_pktinfo: interface index, local address, destination; four octets each.
# struct in6_pktinfo: address (16), interface index (4). The receive time comes first.
SPACE: Final = pulse.SPACE + max(socket.CMSG_SPACE(12), socket.CMSG_SPACE(20))
_NO_INDEX: Final = bytes(4)


def enable(sock: socket.socket) -> None:
    """Ask the kernel to say, with each datagram, which address it was sent to."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def reply_from(received: Sequence[Control]) -> list[Control]:
    """The control data that makes a reply leave from where the query was sent to."""
    if not received:
        return []
    level, kind, data = received[-1]
    if level == socket.IPPROTO_IPV6:
        return [(level, kind, data[:16] + _NO_INDEX)]
    return [(level, kind, _NO_INDEX + data[4:8] + _NO_INDEX)]
