"""How we know that an endpoint works: a check and the targets it makes.

Knows: the parameters of http, https and tcp checks (health.md, Checks). Refuses to know:
how a probe is made. Invariant: a target is probed once, however many pools use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CheckType = Literal["http", "https", "tcp"]


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of `checks:`; times in seconds, `jitter` a share of the interval (0..1).

    `status` is a tuple of inclusive (low, high) ranges. `body` is a substring, `body_regex`
    a regular expression; either may be None. `ca_file` None means the system's.
    `port` 0: every endpoint has a `check_port`.
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
    enabled: bool = True
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What is probed: the check's name, a literal IP address, a port."""

    check: str
    address: str
    port: int
