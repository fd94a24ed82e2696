"""The server's own settings, as config.md lists them.

Knows: defaults and types. Refuses to know: YAML. Invariant: everything is a frozen value
with its unit in its name; a listen address is (host, port) with a literal IP address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Literal

TOKEN_FILE: Final = "token"  # in `state`: the one that a server without tokens makes for itself

Listen = tuple[str, int]
Role = Literal["read", "report", "operate"]


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """`server.tcp`: beyond `pipeline` unanswered queries reading pauses."""

    connections: int = 1000
    per_source: int = 100
    idle_s: float = 10.0
    message_s: float = 2.0
    pipeline: int = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """`server.limits`; `additional` counts names and never cuts glue.

    `zone` counts the records of one zone, `udp_batch` the packets that a socket may answer
    before other work gets its turn, `log_lines` the lines of one kind in a second.
    """

    rrset: int = 100
    types_per_name: int = 100
    cname_chain: int = 8
    additional: int = 13
    zone: int = 1_000_000
    udp_batch: int = 64
    log_lines: int = 10


@dataclass(frozen=True, slots=True)
class Cookies:
    """`server.cookies`: the absolute path of the secret file, and what it holds.

    Secrets are of 16 octets: the first signs, all verify (RFC 9018 section 5). None as long as
    the file is not there; it is made at the first start.
    """

    secret_file: str
    secrets: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`server.rate_limit`: replies of one class to a /24 or /56 in a second, UDP only.

    Of what is above, one in `slip` is answered with TC, none if 0. `exempt` holds networks in
    text form. `log_only` counts and answers.
    """

    per_second: int = 200
    slip: int = 2
    exempt: tuple[str, ...] = ()
    log_only: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """One of `control.tokens`: its name, what it may do, the SHA-256 of its text (32 octets).

    `only`: the pools and checks that a token with the role `report` may report.
    """

    name: str
    role: Role
    sha256: bytes
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GeoSettings:
    """`geo`: paths are absolute or None; `max_scope` is (IPv4, IPv6); memory in octets."""

    city: str | None = None
    asn: str | None = None
    max_scope: tuple[int, int] = (24, 56)
    table_memory: int = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Witness:
    """One of `probe.witness`: what shows that we see anything at all; `port` 0 for icmp."""

    type: Literal["tcp", "icmp"]
    address: str
    port: int = 0

    @property
    def text(self) -> str:
        """As it is written in the file."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"icmp://{host}" if self.type == "icmp" else f"tcp://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """`probe`: `allow` holds networks in text form; seconds. `exec`: exec checks may run."""

    allow: tuple[str, ...] = ()
    concurrency: int = 512
    settle_s: float = 10.0
    state_max_age_s: float = 600.0
    witness: tuple[Witness, ...] = ()
    exec: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """All of `server`, `control`, `geo` and `probe`.

    None for `control`, `cookies` or `rate_limit` means off; a file that does not name the last
    two has them on (config/model.py), a World made by hand has not. `max_body` is in octets,
    `peers` are the URLs of other servers' control addresses.
    """

    listen: tuple[Listen, ...] = (("127.0.0.1", 5300), ("::1", 5300))
    engine: str = "auto"
    state: str = "state"
    ecs_from: tuple[str, ...] | None = None
    nsid: bytes | None = None
    udp_size: int = 1232
    tcp: TcpLimits = field(default_factory=TcpLimits)
    limits: Limits = field(default_factory=Limits)
    cookies: Cookies | None = None
    rate_limit: RateLimit | None = None
    control: Listen | None = ("127.0.0.1", 8053)
    control_hosts: tuple[str, ...] = ()
    tokens: tuple[Token, ...] = ()
    peers: tuple[str, ...] = ()
    events_keep_s: float = 90 * 86400.0
    max_body: int = 64 * 1024
    geo: GeoSettings = field(default_factory=GeoSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)


def is_loopback(address: str | None) -> bool:
    """True for 127.0.0.0/8 and ::1, also when written as an IPv4-mapped IPv6 address; False for
    what is no address."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return False
    return ((ip.version == 6 and ip.ipv4_mapped) or ip).is_loopback
