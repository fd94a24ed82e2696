"""EDNS(0): the OPT record and the options that are acted upon.

Knows: RFC 6891 (OPT), RFC 7871 (client subnet) and what is malformed about either; that there
are cookies (RFC 7873), NSID (RFC 5001), keepalive (RFC 7828) and extended errors (RFC 8914).
Refuses to know: what anybody answers, who made a cookie. Invariant: a ClientSubnet is valid by
construction, and can be echoed octet for octet with only SCOPE changed.

Padding (RFC 7830) is not acted upon: over a transport without encryption it gains nothing, and
would only make replies bigger (RFC 8467).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from gslb.errors import FormatError
from gslb.wire.rrtype import OPT

NSID: Final = 3
CLIENT_SUBNET: Final = 8
COOKIE: Final = 10
KEEPALIVE: Final = 11
EXTENDED_ERROR: Final = 15
DO: Final = 0x8000
MIN_SIZE: Final = 512
FAMILY_BITS: Final = {1: 32, 2: 128}


_FIXED = Struct("!HHBBHH")  # type, size, extended rcode, version, flags, rdlength


@dataclass(frozen=True, slots=True)
class ClientSubnet:
    """A client subnet option of a query. `octets` is ADDRESS as sent, `value` as an integer.

    `family` is 1 (IPv4), 2 (IPv6) or 0 (only with `source` 0); `value` is 32 or 128 bits wide.
    """

    family: int
    source: int
    octets: bytes
    value: int


class Edns(NamedTuple):  # one for each query: a frozen dataclass takes three times as long
    """The OPT record of a query. `size` is at least 512 (RFC 6891 section 6.2.3).

    `cookie` is the option's data as it came; `nsid` and `keepalive` say that they were asked
    for (what else stands in those options is ignored, RFC 5001 section 2.2). `readable` is
    False if the options cannot be told apart or the subnet is malformed; the reply to that is
    FORMERR, with OPT.
    """

    size: int
    version: int
    do: bool
    subnet: ClientSubnet | None = None
    cookie: bytes | None = None
    nsid: bool = False
    keepalive: bool = False
    readable: bool = True


def parse_opt(packet: bytes, offset: int) -> tuple[Edns, int]:
    """(Edns, offset after it) of the OPT record whose root owner name is at `offset`.

    A record that is cut raises FormatError; options that cannot be read do not.
    """
    end = len(packet)
    if offset + 11 > end:
        raise FormatError("OPT record is cut", offset)
    rrtype, size, _rcode, version, flags, length = _FIXED.unpack_from(packet, offset + 1)
    if rrtype != OPT:
        raise FormatError("not an OPT record", offset)
    at = offset + 11
    stop = at + length
    if stop > end:
        raise FormatError("OPT record is longer than the message", at)
    first: dict[int, bytes] = {}
    subnet, readable = None, True
    if version == 0 and length:  # those of other versions are unknown (RFC 6891 section 6.1.3)
        try:
            first = _split(packet, at, stop)
            if CLIENT_SUBNET in first:
                subnet = parse_subnet(first[CLIENT_SUBNET])
        except FormatError:
            readable = False
    edns = Edns(
        max(size, MIN_SIZE),
        version,
        bool(flags & DO),
        subnet,
        first.get(COOKIE),
        NSID in first,
        KEEPALIVE in first,
        readable,
    )
    return edns, stop


def _split(packet: bytes, at: int, stop: int) -> dict[int, bytes]:
    """The options from `at` to `stop` by code; of two of a kind the first counts.

    Raises FormatError for an option that overruns.
    """
    first: dict[int, bytes] = {}
    while at < stop:
        if at + 4 > stop:
            raise FormatError("EDNS option is cut", at)
        code = packet[at] << 8 | packet[at + 1]
        option_end = at + 4 + (packet[at + 2] << 8 | packet[at + 3])
        if option_end > stop:
            raise FormatError("EDNS option is longer than its record", at)
        first.setdefault(code, packet[at + 4 : option_end])
        at = option_end
    return first


def parse_subnet(data: bytes) -> ClientSubnet:
    """The data of a client subnet option in a query (RFC 7871 section 6). Raises FormatError."""
    if len(data) < 4:
        raise FormatError("client subnet is shorter than 4 octets")
    family, source, scope = data[0] << 8 | data[1], data[2], data[3]
    octets = data[4:]
    if scope:
        raise FormatError("client subnet has a SCOPE in a query")
    if family == 0:
        if source or octets:
            raise FormatError("client subnet of family 0 has an address")
        return ClientSubnet(0, 0, b"", 0)
    bits = FAMILY_BITS.get(family)
    if bits is None:
        raise FormatError("client subnet has an unknown family")
    if source > bits:
        raise FormatError("client subnet is longer than an address")
    if len(octets) != (source + 7) // 8:
        raise FormatError("client subnet has too few or too many octets")
    value = int.from_bytes(octets, "big") << (bits - 8 * len(octets))
    if value & ((1 << (bits - source)) - 1):
        raise FormatError("client subnet has bits set beyond SOURCE")
    return ClientSubnet(family, source, octets, value)


def compose_subnet(subnet: ClientSubnet, scope: int) -> bytes:
    """The option of a reply: FAMILY, SOURCE and ADDRESS as in the query (RFC 7871 7.2.1)."""
    data = subnet.family.to_bytes(2, "big") + bytes((subnet.source, scope)) + subnet.octets
    return compose_option(CLIENT_SUBNET, data)


def compose_error(info_code: int, text: str = "") -> bytes:
    """An extended error for people who read replies (RFC 8914 section 2)."""
    return compose_option(EXTENDED_ERROR, info_code.to_bytes(2, "big") + text.encode())


def compose_keepalive(idle_s: float) -> bytes:
    """How long an idle connection is kept, in units of 100 ms (RFC 7828 section 3.1)."""
    return compose_option(KEEPALIVE, min(int(idle_s * 10), 0xFFFF).to_bytes(2, "big"))


def compose_option(code: int, data: bytes) -> bytes:
    """An option of OPT (RFC 6891 section 6.1.2)."""
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def compose_opt(size: int, do: bool, options: bytes = b"", rcode: int = 0) -> bytes:
    """An OPT record: our UDP size, version 0, DO copied, other flags clear."""
    fixed = _FIXED.pack(OPT, size, rcode >> 4, 0, DO if do else 0, len(options))
    return b"\0" + fixed + options
