"""The values that stand in one scalar: durations, sizes, shares, addresses, networks.

Knows: their spellings, and what to say about a wrong one. Refuses to know: where they
stand in the file. Invariant: every reader takes the plain value of a tree (`tree.plain`)
and gives a value with a unit or raises ScalarError, never anything else.
"""

from __future__ import annotations

import math
import re
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from gslb.config.report import quote
from gslb.core.client import Network
from gslb.core.policy import Amount
from gslb.core.setting import Listen, Witness
from gslb.wire.name import from_text
from gslb.wire.rrtype import AAAA, A

_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE: Final = re.compile(r"([0-9]{1,9}) ?(B|KiB|MiB|GiB)", re.ASCII)
_OCTETS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_PERCENT: Final = re.compile(r"([0-9]{1,3}) ?%", re.ASCII)
_LISTEN: Final = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*)):([0-9]{1,5})", re.ASCII)
_BRACKETED: Final = re.compile(r"\[([^\]]*)\]")
_HOST_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", re.ASCII)

_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)

MAX_TTL_S: Final = 2**31 - 1  # RFC 2181 section 8
LONGEST_IPV6: Final = 64
# In base64, so that who writes the token instead of its SHA-256 is told.
SHA256_HINT: Final = (
    "make both: openssl rand -base64 32 | tee token | tr -d '\\n' | sha256sum; "
    "the token stays in its file"
)
LONGEST_LIST: Final = 40  # characters of a list that a message writes out


class ScalarError(ValueError):
    """What is wrong with a value, and what to do (may be empty)."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what: Final = what
        self.hint: Final = hint


def show(value: object) -> str:
    """A plain value as a message names it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return quote(value)
        case dict():
            return "a mapping"
        case tuple() if value and not any(isinstance(item, dict | tuple) for item in value):
            items = (item if isinstance(item, str) else show(item) for item in value)
            text = f"[{', '.join(items)}]"
            return text if len(text) <= LONGEST_LIST else "a list"
        case _:
            return "a list"


def read_duration(value: object) -> float:
    """Seconds, from `500ms`, `5s`, `2m`, `1h`, `7d`; a bare number has no unit."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return int(match[1]) * _SECONDS[match[2]]
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ScalarError(f"{value} has no unit", f"write {value}s, or with ms, m, h or d")
    raise ScalarError(f"{show(value)} is not a duration", "write it as 500ms, 5s, 2m, 1h or 7d")


def read_span(value: object) -> float:
    """Seconds, from a duration that is not 0."""
    if (seconds := read_duration(value)) > 0:
        return seconds
    raise ScalarError(f"{show(value)} is no time at all", "write 1ms or more")


def read_ttl(value: object) -> int:
    """Seconds as in a zone file: a whole number, or a duration of whole seconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = float(value)
    else:
        seconds = read_duration(value)
    if not seconds.is_integer() or not 0 <= seconds <= MAX_TTL_S:
        raise ScalarError(f"{show(value)} is not a TTL", "write whole seconds, as 30")
    return int(seconds)


def read_size(value: object) -> int:
    """Octets, from a whole number or `64KiB`, `256MiB`, `1GiB`."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return int(match[1]) * _OCTETS[match[2]]
    raise ScalarError(f"{show(value)} is not a size", "write it as 64KiB or 256MiB")


def read_share(value: object) -> float:
    """0 to 1, from `10%`."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)) and int(match[1]) <= 100:
        return int(match[1]) / 100
    raise ScalarError(f"{show(value)} is not a percentage", "write it as 10%")


def read_amount(value: object) -> Amount:
    """A number of at least 1, or a percentage of 1% to 100%."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return Amount(value)
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        percent = int(match[1])
        if 1 <= percent <= 100:
            return Amount(percent, percent=True)
    raise ScalarError(f"{show(value)} is not a number or a percentage", "write it as 2 or 50%")


def read_coordinates(value: object) -> tuple[float, float]:
    """(latitude, longitude) in degrees."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise ScalarError(f"{show(value)} is no pair of coordinates", "write [latitude, longitude]")
    numbers: list[float] = []
    for name, number, limit in zip(("latitude", "longitude"), value, (90, 180), strict=True):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ScalarError(f"{name} {show(number)} is not a number")
        if not math.isfinite(number) or not -limit <= number <= limit:
            raise ScalarError(f"{name} {number} is out of range", f"-{limit} to {limit} degrees")
        numbers.append(float(number))
    return numbers[0], numbers[1]


def read_line(value: object) -> str:
    """Text that may stand in a request line or a header: no control characters."""
    if not isinstance(value, str):
        raise ScalarError(f"{show(value)} is not text", "quote it")
    if not value.isprintable():
        raise ScalarError(f"{quote(value)} has control characters")
    return value


def read_address(value: object) -> IPv4Address | IPv6Address:
    """A literal IP address. A host name, a network and an unquoted address are told apart."""
    if isinstance(value, str):
        try:
            address = ip_address(value)
        except ValueError:
            pass
        else:
            if isinstance(address, IPv6Address) and address.scope_id is not None:
                raise ScalarError(f"{quote(value)} has a zone", "only this host knows what it is")
            return address
        if "/" in value:
            raise ScalarError(f"{quote(value)} is a network, not an address")
        if _HOST_NAME.fullmatch(value):
            raise ScalarError(
                f"{quote(value)} is a host name", "write the IP address it stands for"
            )
    if hint := unquoted_hint(value):
        raise ScalarError("is a mapping to YAML, not an address", hint)
    raise ScalarError(f"{show(value)} is not an IP address")


def read_ipv4(value: object) -> str:
    """The canonical text of an IPv4 address."""
    address = read_address(value)
    if isinstance(address, IPv6Address):
        raise ScalarError(f"{quote(str(value))} is an IPv6 address", "write it as `ipv6:`")
    return str(address)


def read_ipv6(value: object) -> str:
    """The canonical text of an IPv6 address."""
    address = read_address(value)
    if isinstance(address, IPv4Address):
        raise ScalarError(f"{quote(str(value))} is an IPv4 address", "write it as `ipv4:`")
    return str(address)


def read_address_text(value: object) -> str:
    """The canonical text of an address of either family."""
    return str(read_address(value))


def read_subnet(value: object) -> IPv4Network | IPv6Network:
    """A network; host bits are masked off, a bare address is a network of one."""
    if isinstance(value, str):
        try:
            return ip_network(value, strict=False)
        except ValueError:
            pass
    raise ScalarError(
        f"{show(value)} is not a network", unquoted_hint(value) or "write it as 192.0.2.0/24"
    )


def read_subnet_text(value: object) -> str:
    """The canonical text of a network."""
    return str(read_subnet(value))


def read_asker(value: object) -> str:
    """The canonical text of an address or a network: who asks."""
    try:
        is_network = isinstance(value, str) and "/" in value
        return read_subnet_text(value) if is_network else read_address_text(value)
    except ScalarError as error:
        what = f"{show(value)} is neither an address nor a network"
        raise ScalarError(what, unquoted_hint(value)) from error


def read_question(value: object) -> tuple[bytes, int]:
    """The lower-case key of a name and A or AAAA, from `www.example.com A`."""
    words = value.split() if isinstance(value, str) else []
    rrtype = {"A": A, "AAAA": AAAA}.get(words[1].upper()) if len(words) == 2 else None
    if rrtype is None:
        hint = "write a name and A or AAAA, as www.example.com A"
        raise ScalarError(f"{show(value)} is no question", hint)
    try:
        return from_text(words[0]).lower(), rrtype
    except (ValueError, UnicodeError) as error:
        raise ScalarError(f"{quote(words[0])} is no name: {error}") from error


def read_network(value: object) -> Network:
    """A network that treatments can tell apart: IPv6 up to /64."""
    subnet = read_subnet(value)
    if isinstance(subnet, IPv4Network):
        return Network(4, int(subnet.network_address), subnet.prefixlen)
    if subnet.prefixlen > LONGEST_IPV6:
        whole = subnet.supernet(new_prefix=LONGEST_IPV6)
        raise ScalarError(f"{subnet} is longer than /64", f"name the /64: {whole}")
    return Network(6, int(subnet.network_address) >> 64, subnet.prefixlen)


def has_host_bits(value: object) -> str:
    """The network that is meant, if the text of one has host bits set, else ""."""
    if not isinstance(value, str) or "/" not in value:
        return ""
    try:
        meant = ip_network(value, strict=False)
        return "" if ip_address(value.split("/")[0]) == meant.network_address else str(meant)
    except ValueError:
        return ""


def read_listen(value: object) -> Listen:
    """(literal address, port) from `127.0.0.1:53` or `[::1]:53`; port 0 is any free one."""
    if not isinstance(value, str) or not (match := _LISTEN.fullmatch(value)):
        raise ScalarError(
            f"{show(value)} is not an address and a port",
            'write it as "127.0.0.1:5300" or "[::1]:5300"',
        )
    bracketed = match[1] is not None
    address = read_address(match[1] if bracketed else match[2])
    if bracketed and isinstance(address, IPv4Address):
        raise ScalarError(f"{quote(value)} has an IPv4 address in brackets", "leave them out")
    if (port := int(match[3])) > 65535:
        raise ScalarError(f"port {port} is above 65535")
    return str(address), port


def read_witness(value: object) -> Witness:
    """What shows that we see anything, from `tcp://192.0.2.1:53` or `icmp://[2001:db8::1]`."""
    kind, _, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    if kind == "tcp":
        try:
            address, port = read_listen(rest)
        except ScalarError as error:
            hint = error.hint if "host name" in error.what else "write it as tcp://192.0.2.1:53"
            raise ScalarError(error.what, hint) from error
        if not port:
            raise ScalarError(f"{show(value)} has port 0", "write a port that listens")
        return Witness("tcp", address, port)
    if kind == "icmp":
        bracketed = _BRACKETED.fullmatch(rest)
        if bracketed is None and ":" in rest:
            what = f"{quote(rest)} is neither an IPv4 address nor one in brackets"
            raise ScalarError(what, "write it as icmp://192.0.2.1 or icmp://[2001:db8::1]")
        address = str(read_address(bracketed[1] if bracketed else rest))
        if bracketed and ":" not in address:
            raise ScalarError(f"{quote(rest)} has an IPv4 address in brackets", "leave them out")
        return Witness("icmp", address)
    hint = "write it as tcp://192.0.2.1:53 or icmp://192.0.2.1"
    raise ScalarError(f"{show(value)} is no witness", hint)


def read_sha256(value: object) -> bytes:
    """The 32 octets of a SHA-256. A wrong value is not shown: it may be a secret."""
    if not isinstance(value, str):
        raise ScalarError("is no text", SHA256_HINT)
    if not _SHA256.fullmatch(value):
        what = f"is not the 64 hexadecimal digits of a SHA-256 ({len(value)} characters)"
        raise ScalarError(what, SHA256_HINT)
    if (digest := bytes.fromhex(value)) == sha256().digest():
        raise ScalarError("is the SHA-256 of nothing", SHA256_HINT)
    return digest


def unquoted_hint(value: object) -> str:
    """What to do if YAML made a mapping of an address that ends with ":" (`- 2001:db8::`)."""
    if isinstance(value, dict) and len(value) == 1:
        (text,) = (f"{key}:" for key in value)
        if re.fullmatch(r"[0-9a-fA-F:]+", text) and text.endswith("::"):
            return f"quote it: {quote(text)}"
    return ""
