"""The `icmp` check: an endpoint works if an echo comes back (RFC 792, RFC 4443 section 4).

Knows: the kernel's unprivileged ICMP sockets, which need no right but a group within
net.ipv4.ping_group_range; the kernel fills in identifier and checksum, and hands a reply to the
socket that asked. Refuses to know: raw sockets. Invariant: what does not carry our number and
our random octets is no echo of ours, and is waited past.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from typing import Final

from gslb.core.check import Target
from gslb.probe.connection import Means, connect_datagram
from gslb.probe.finding import Finding
from gslb.probe.reason import failure

_HEADER: Final = struct.Struct("!BBHHH")  # type, code, checksum, identifier, number
_COOKIE: Final = 16
_FORBIDDEN: Final = 'the kernel forbids ICMP: sysctl -w net.ipv4.ping_group_range="0 2147483647"'


async def probe(target: Target, means: Means, finding: Finding) -> None:
    """Send one echo request and wait for its reply.

    Raises ProbeError, or OSError if it is our own fault, the kernel's refusal included.
    """
    await ping(target.address, means, finding)


async def ping(address: str, means: Means, finding: Finding) -> None:
    """As `probe`, of any address."""
    is_ipv6 = ":" in address
    protocol = socket.IPPROTO_ICMPV6 if is_ipv6 else socket.IPPROTO_ICMP
    request, reply = (128, 129) if is_ipv6 else (8, 0)
    try:
        connection = connect_datagram(address, 0, means, protocol)
    except PermissionError as error:
        raise PermissionError(errno.EACCES, _FORBIDDEN) from error
    cookie = os.urandom(_COOKIE)
    number = int.from_bytes(os.urandom(2))
    loop = asyncio.get_running_loop()
    with connection:
        started = means.clock()
        try:
            await loop.sock_sendall(connection, _HEADER.pack(request, 0, 0, 0, number) + cookie)
            packet = await loop.sock_recv(connection, 256)
            while not _is_echo(packet, reply, number, cookie):
                await asyncio.sleep(0)  # a flood must not hold up answers, nor the timeout
                packet = await loop.sock_recv(connection, 256)
        except OSError as error:
            raise failure(error) from error
        finding.latency_s = means.clock() - started


def _is_echo(packet: bytes, reply: int, number: int, cookie: bytes) -> bool:
    if len(packet) < _HEADER.size:
        return False
    kind, _, _, _, replied = _HEADER.unpack_from(packet)
    return kind == reply and replied == number and packet[_HEADER.size :] == cookie
