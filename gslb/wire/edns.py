"""EDNS(0) and client subnet: the OPT record and the one option that is acted upon.

Knows: RFC 6891 (OPT), RFC 7871 (client subnet) and what is malformed about either.
Refuses to know: what anybody answers. Invariant: a ClientSubnet is valid by
construction, and can be echoed octet for octet with only SCOPE changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from gslb.errors import FormatError
from gslb.wire.rrtype import OPT

CLIENT_SUBNET: Final = 8
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


@dataclass(frozen=True, slots=True)
class Edns:
    """The OPT record of a query. `size` is at least 512 (RFC 6891 section 6.2.3).

    `readable` is False if an option is malformed; the reply to that is FORMERR, with OPT.
    """

    size: int
    version: int
    do: bool
    subnet: ClientSubnet | None
    readable: bool = True


def parse_opt(packet: bytes, offset: int) -> tuple[Edns, int]:
    """(Edns, offset after it) of the OPT record whose root owner name is at `offset`.

    Raises FormatError for a cut record.
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
    subnet, readable = None, True
    if version == 0:  # options of a version we do not speak are not looked into (RFC 6891 6.1.3)
        try:
            subnet = _find_subnet(packet, at, stop)
        except FormatError:
            readable = False
    return Edns(max(size, MIN_SIZE), version, bool(flags & DO), subnet, readable), stop


def _find_subnet(packet: bytes, at: int, stop: int) -> ClientSubnet | None:
    """The client subnet among the options from `at` to `stop`; of two the first counts.

    Raises FormatError for an option that overruns, a bad client subnet.
    """
    subnet: ClientSubnet | None = None
    while at < stop:
        if at + 4 > stop:
            raise FormatError("EDNS option is cut", at)
        code = packet[at] << 8 | packet[at + 1]
        option_end = at + 4 + (packet[at + 2] << 8 | packet[at + 3])
        if option_end > stop:
            raise FormatError("EDNS option is longer than its record", at)
        if code == CLIENT_SUBNET and subnet is None:
            subnet = parse_subnet(packet[at + 4 : option_end])
        at = option_end
    return subnet


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
    return CLIENT_SUBNET.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def compose_opt(size: int, do: bool, options: bytes = b"", rcode: int = 0) -> bytes:
    """An OPT record: our UDP size, version 0, DO copied, other flags clear."""
    fixed = _FIXED.pack(OPT, size, rcode >> 4, 0, DO if do else 0, len(options))
    return b"\0" + fixed + options
