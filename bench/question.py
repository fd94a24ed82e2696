"""Questions: as octets for dnsperf, and one at a time to see what comes back.

Knows: a DNS query with EDNS(0) and perhaps a client subnet (RFC 6891, RFC 7871), dnsperf's file
of ready queries. Refuses to know: gslb's own wire code, which is what is measured. Invariant: the
same seed gives the same file, octet for octet.
"""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from string import ascii_lowercase

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

from bench.world import ZONE

SEED = 20261121
SUBNETS = 200_000
ABSENT_NAMES = 200_000

UDP_SIZE = 1232
OPT = 41
ECS = 8
Subnet = bytes  # the three octets of an IPv4 /24


@dataclass(frozen=True, slots=True)
class Reply:
    """What matters of a reply: the rcode's name and the A records' addresses, sorted."""

    rcode: str
    addresses: tuple[str, ...]


def query(name: str, subnet: Subnet | None = None) -> bytes:
    """An A query without RD, with EDNS(0) as every resolver sends it, id 0."""
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    option = b"" if subnet is None else struct.pack("!HHHBB", ECS, 7, 1, 24, 0) + subnet
    header = struct.pack("!6H", 0, 0, 1, 0, 0, 1)
    question = labels + b"\0" + struct.pack("!HH", 1, 1)
    return header + question + b"\0" + struct.pack("!HHIH", OPT, UDP_SIZE, 0, len(option)) + option


def client_subnets() -> Iterator[Subnet]:
    """Distinct public IPv4 /24 networks, `SUBNETS` of them."""
    dice = random.Random(SEED)
    seen: set[int] = set()
    while len(seen) < SUBNETS:
        number = dice.randrange(1 << 16, 224 << 16)
        if number not in seen and IPv4Address(number << 8).is_global:
            seen.add(number)
            yield number.to_bytes(3, "big")


def absent_names() -> Iterator[str]:
    """Random labels of twelve letters below the zone, as a random-subdomain attack sends them."""
    dice = random.Random(SEED)
    for _ in range(ABSENT_NAMES):
        yield f"{''.join(dice.choices(ascii_lowercase, k=12))}.{ZONE}"


def write(queries: Iterable[bytes], path: Path) -> None:
    """dnsperf's `-B` file: each message after its length in two octets (RFC 1035 4.2.2)."""
    with path.open("wb") as file:
        for message in queries:
            file.write(len(message).to_bytes(2, "big") + message)


def ask(port: int, message: bytes, timeout_s: float) -> Reply | None:
    """Sends one query to 127.0.0.1; None if nothing came back in time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(message)
            octets = sock.recv(65535)
        except OSError:  # nobody there yet, or too slow
            return None
    return parse(octets)


def parse(octets: bytes) -> Reply | None:
    """Reads a reply with dnspython; None if it is no DNS message."""
    try:
        message = dns.message.from_wire(octets)
    except dns.exception.DNSException:
        return None
    addresses = (
        rdata.to_text()
        for rrset in message.answer
        if rrset.rdtype == dns.rdatatype.A
        for rdata in rrset
    )
    return Reply(dns.rcode.to_text(message.rcode()), tuple(sorted(addresses)))
