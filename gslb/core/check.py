"""How we know that an endpoint works: a check and the targets it makes.

Knows: the parameters of every type of check (health.md, Checks). Refuses to know: how a
probe is made. Invariant: a target is probed once, however many pools use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gslb.core.policy import Amount

_ONE = Amount(1)

CheckType = Literal["http", "https", "tcp", "dns", "icmp", "exec", "calculated", "push"]
# What a socket or a program finds out; the others follow from what is reported or known.
PROBED: frozenset[CheckType] = frozenset(("http", "https", "tcp", "dns", "icmp", "exec"))


@dataclass(frozen=True, slots=True)
class Member:
    """One of what a calculated check counts: a check (for the same address) or a pool (for the
    same family)."""

    kind: Literal["check", "pool"]
    name: str


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of `checks:`; times in seconds, `jitter` a share of the interval (0..1).

    `status` is a tuple of inclusive (low, high) ranges. `body` is a substring, `body_regex`
    a regular expression; either may be None. `ca_file` None means the system's.
    `port` 0: every endpoint has a `check_port`, or the type has no ports. `names_port`: the file
    says which port, it is not the type's usual one. `rapid`: a failure is confirmed after
    min(1 s, interval). `invert`: success is failure. `load`: where a reply holds the load, a JSON
    pointer ("/load", RFC 6901) or a header's name. `tls`, `send`, `expect` are of tcp. `query` is
    (name in wire form, type number), `rcode` what has to come back, `address` the one that has to
    be in the answer: of dns. `command` is of exec, `of` and `need` of calculated, `ttl_s` of push.
    """

    name: str
    type: CheckType
    port: int
    interval_s: float = 5.0
    timeout_s: float = 2.0
    fall: int = 3
    rise: int = 2
    jitter: float = 0.1
    latency: Literal["connect", "first_byte"] = "connect"
    path: str = "/"
    method: str = "GET"
    host: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    status: tuple[tuple[int, int], ...] = ((200, 299), (304, 304))
    body: str | None = None
    body_regex: str | None = None
    max_body: int = 64 * 1024
    verify_tls: bool = True
    ca_file: str | None = None
    follow_redirects: bool = False
    load: str | None = None
    tls: bool = False
    send: bytes = b""
    expect: bytes | None = None
    query: tuple[bytes, int] = (b"\0", 2)
    rcode: int = 0
    address: str | None = None
    command: tuple[str, ...] = ()
    of: tuple[Member, ...] = ()
    need: Amount = _ONE
    ttl_s: float = 60.0
    rapid: bool = False
    invert: bool = False
    names_port: bool = False
    enabled: bool = True
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What is probed: the check's name, a literal IP address, a port (0 where there is none)."""

    check: str
    address: str
    port: int
