"""Questions: as octets for dnsperf, and one at a time to see what comes back.

Knows: a DNS query with EDNS(0) and perhaps a client subnet or a cookie (RFC 6891, RFC 7871,
RFC 7873), what is no query at all, dnsperf's file of ready queries. Refuses to know: gslb's own
wire code, which is what is measured. Invariant: the same seed gives the same file, octet for
octet.
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

import dns.edns
import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
from dns.rdtypes.ANY.SOA import SOA

from bench.world import ZONE

SEED = 20261121
SUBNETS = 200_000
ABSENT_NAMES = 200_000
GARBAGE = 20_000

UDP_SIZE = 1232
OPT = 41
ECS = 8
COOKIE = 10
CLIENT_COOKIE = bytes.fromhex("2464c4abcf10c957")
Subnet = bytes  # the three octets of an IPv4 /24


@dataclass(frozen=True, slots=True)
class Reply:
    """What matters of a reply: the rcode's name and the A records' addresses, sorted."""

    rcode: str
    addresses: tuple[str, ...]


def query(
    name: str,
    subnet: Subnet | None = None,
    *,
    cookie: bytes = b"",
    rdtype: dns.rdatatype.RdataType = dns.rdatatype.A,
) -> bytes:
    """A query without RD, with EDNS(0) as every resolver sends it, id 0."""
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    option = b"" if subnet is None else struct.pack("!HHHBB", ECS, 7, 1, 24, 0) + subnet
    if cookie:
        option += struct.pack("!HH", COOKIE, len(cookie)) + cookie
    header = struct.pack("!6H", 0, 0, 1, 0, 0, 1)
    question = labels + b"\0" + struct.pack("!HH", rdtype, 1)
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


def garbage() -> Iterator[bytes]:
    """In turn: dice, a query with a few octets changed, a query that was cut off."""
    dice = random.Random(SEED)
    names = absent_names()
    for number in range(GARBAGE):
        message = bytearray(query(next(names)))
        match number % 3:
            case 0:
                yield dice.randbytes(dice.randint(1, 100))
            case 1:
                for _ in range(4):
                    message[dice.randrange(2, len(message))] = dice.randrange(256)
                yield bytes(message)
            case _:
                yield bytes(message[: dice.randrange(1, len(message))])


def write(queries: Iterable[bytes], path: Path) -> None:
    """dnsperf's `-B` file: each message after its length in two octets (RFC 1035 4.2.2)."""
    with path.open("wb") as file:
        for message in queries:
            file.write(len(message).to_bytes(2, "big") + message)


def ask(port: int, message: bytes, timeout_s: float) -> Reply | None:
    """What 127.0.0.1 answers; None if nothing came back in time, or no DNS message."""
    octets = exchange(port, message, timeout_s)
    return None if octets is None else parse(octets)


def ask_serial(port: int) -> int:
    """The serial of the zone that 127.0.0.1 serves; 0 if it does not say in time."""
    octets = exchange(port, query(ZONE, rdtype=dns.rdatatype.SOA), timeout_s=1.0)
    if octets is not None:
        for rrset in dns.message.from_wire(octets).answer:
            for rdata in rrset:
                if isinstance(rdata, SOA):
                    return int(rdata.serial)
    return 0


def learn_cookie(port: int) -> bytes:
    """Our cookie and the server's to 127.0.0.1, which fits until the server renews it.

    Ours alone if the server has none (RFC 7873, section 5.2).
    """
    octets = exchange(port, query(ZONE, cookie=CLIENT_COOKIE), timeout_s=1.0)
    return CLIENT_COOKIE if octets is None else CLIENT_COOKIE + server_cookie(octets)


def server_cookie(octets: bytes) -> bytes:
    """The server's part of a reply's COOKIE option, or nothing."""
    for option in dns.message.from_wire(octets).options:
        if isinstance(option, dns.edns.CookieOption):
            return option.server
    return b""


def exchange(port: int, message: bytes, timeout_s: float) -> bytes | None:
    """Sends one query to 127.0.0.1; None if nothing came back in time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(message)
            return sock.recv(65535)
        except OSError:  # nobody there yet, or too slow
            return None


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
