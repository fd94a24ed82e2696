"""The `dns` check: an endpoint works if it answers a question as asked, over UDP.

Knows: dnslib, which makes the question and reads the reply; what makes a datagram the reply to our
question. Refuses to know: EDNS, TCP, other names than the one asked for. Invariant: what does not
come from the endpoint with our random number and our question is waited past; 512 octets are read
(RFC 1035 section 4.2.1), so that no reply, however knotted, holds up answers.
"""

from __future__ import annotations

import asyncio
import os
from ipaddress import ip_address
from typing import Final

from dnslib import DNSHeader, DNSLabel, DNSQuestion, DNSRecord

from gslb.core.check import Check, Target
from gslb.probe.connection import Means, connect_datagram
from gslb.probe.finding import Finding
from gslb.probe.reason import ProbeError, failure
from gslb.wire.name import labels
from gslb.wire.rrtype import AAAA, RCODE_TEXT, A

_HEADER: Final = 12
_LONGEST: Final = 512
_QR: Final = 0x80
_TC: Final = 0x02


async def probe(check: Check, target: Target, means: Means, finding: Finding) -> None:
    """Ask once and judge the reply; the latency is until it came.

    Raises ProbeError, or OSError if it is our own fault.
    """
    name, rrtype = check.query
    question = DNSQuestion(DNSLabel(tuple(labels(name))), rrtype)
    header = DNSHeader(id=int.from_bytes(os.urandom(2)), rd=1)
    query = DNSRecord(header, q=question).pack()
    loop = asyncio.get_running_loop()
    with connect_datagram(target.address, target.port, means) as connection:
        started = means.clock()
        try:
            await loop.sock_sendall(connection, query)
            packet = await loop.sock_recv(connection, _LONGEST + 1)
            while not _is_reply(packet, query):
                await asyncio.sleep(0)  # a flood must not hold up answers, nor the timeout
                packet = await loop.sock_recv(connection, _LONGEST + 1)
        except OSError as error:
            raise failure(error) from error
        finding.latency_s = means.clock() - started
    _judge(check, packet)


def _is_reply(packet: bytes, query: bytes) -> bool:
    """Whether a datagram replies to the query (RFC 5452 section 9.1).

    The question has to be there, in either case (RFC 4343), unless there is none with an error.
    """
    if len(packet) < _HEADER or packet[:2] != query[:2] or not packet[2] & _QR:
        return False
    if packet[4:6] == b"\0\0":
        return bool(packet[3] & 0x0F)
    asked = query[_HEADER:].lower()
    return packet[_HEADER : _HEADER + len(asked)].lower() == asked


def _judge(check: Check, packet: bytes) -> None:
    """Raises ProbeError with the evidence."""
    if len(packet) > _LONGEST:
        raise ProbeError("not a DNS reply")
    try:
        reply = DNSRecord.parse(packet)
    except Exception as error:  # dnslib lets many kinds through, RecursionError among them
        raise ProbeError("not a DNS reply") from error
    rcode = int(reply.header.rcode)
    if rcode != check.rcode:
        raise ProbeError(f"rcode {RCODE_TEXT.get(rcode, rcode)}")
    if check.address is None:
        return
    wanted = ip_address(check.address)
    rrtype = A if wanted.version == 4 else AAAA
    if not any(
        record.rtype == rrtype and ip_address(str(record.rdata)) == wanted for record in reply.rr
    ):
        cut = ", which is cut short" if packet[2] & _TC else ""
        raise ProbeError(f"{wanted} is not in the answer{cut}")
