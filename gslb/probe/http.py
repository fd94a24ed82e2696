"""The `http` and `https` checks: an endpoint works if its page says so.

Knows: the request a check makes, redirects, and how a reply is judged (health.md, Checks).
Refuses to know: DNS (the address is connected to literally, also after a redirect), when
probes happen. Invariant: every probe is a connection of its own, so that its connect time
is a real one; every connection goes through `connect` and is checked there.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from gslb.core.check import Check, Target
from gslb.probe.connection import Means, Secrecy, connect, converse
from gslb.probe.exchange import Ask, Exchange, Reply
from gslb.probe.reason import ExpiredError, ProbeError, ago
from gslb.probe.tls import Trust

MAX_REDIRECTS = 3
_REDIRECTS = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for, at whatever address. `authority` is the Host header's text."""

    secure: bool
    authority: str
    port: int
    path: str
    method: str

    @property
    def host(self) -> str:
        """The authority without its port and brackets, lowercase: for SNI and certificates."""
        return urlsplit(f"//{self.authority}").hostname or ""

    @property
    def url(self) -> str:
        """Absolute: what a relative Location is resolved against."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"


async def probe(check: Check, target: Target, means: Means) -> float:
    """Fetch the page and judge it; returns the endpoint's latency in seconds.

    The latency is of the first connection: until it was established or, with `latency:
    first_byte`, until the reply's first octet, TLS included. Raises ProbeError.
    """
    page = first_page(check, target)
    reply, latency_s = await _visit(check, target.address, page, means)
    for _ in range(MAX_REDIRECTS):
        if not _leads_on(check, reply):
            break
        page = follow(page, reply)
        reply, _ = await _visit(check, target.address, page, means)
    if _leads_on(check, reply):
        raise ProbeError(f"more than {MAX_REDIRECTS} redirects")
    _judge(check, reply)
    return latency_s


def first_page(check: Check, target: Target) -> Page:
    """The page that a check names; without `host` the Host header is the address."""
    secure = check.type == "https"
    authority = check.host
    if authority is None:
        authority = f"[{target.address}]" if ":" in target.address else target.address
        if target.port != (443 if secure else 80):
            authority += f":{target.port}"
    return Page(secure, authority, target.port, check.path, check.method)


def follow(page: Page, reply: Reply) -> Page:
    """The page that a redirect leads to, on the same host. Raises ProbeError."""
    try:
        there = urlsplit(urljoin(page.url, reply.location or ""))
        secure = there.scheme == "https"
        port = there.port or (443 if secure else 80)
        known = there.scheme in ("http", "https") and there.username is None
    except ValueError as error:
        raise ProbeError("redirect to no usable address") from error
    if not known or there.hostname is None:
        raise ProbeError("redirect to no usable address")
    if there.hostname != page.host:
        raise ProbeError("redirect to another host")
    if there.netloc.lower() == page.authority.lower() and secure == page.secure:
        port = page.port  # `host` may name no port while `port` is not the scheme's
    path = (there.path or "/") + (f"?{there.query}" if there.query else "")
    # RFC 9110 section 15.4.4: 303 asks for a GET; 301 and 302 turn POST into GET in practice.
    changes = reply.status == 303 or (reply.status in (301, 302) and page.method == "POST")
    method = "GET" if changes and page.method != "HEAD" else page.method
    return Page(secure, there.netloc, port, path, method)


async def _visit(check: Check, address: str, page: Page, means: Means) -> tuple[Reply, float]:
    """One request; the reply, and the latency in seconds that the check wants."""
    exchange = Exchange(_compose(check, page), _body_limit(check), means.clock)
    secrecy = await _secrecy(check, page, means) if page.secure else None
    started = means.clock()
    connection = await connect(address, page.port, means)
    connected = means.clock()
    try:
        transport = await converse(connection, exchange, secrecy)
    except ExpiredError as error:
        raise ProbeError(await _tell_expiry(check, address, page, means)) from error
    try:
        reply = await exchange.reply
    finally:
        transport.abort()
    ended = reply.first_byte_at if check.latency == "first_byte" else connected
    return reply, ended - started


def _compose(check: Check, page: Page) -> Ask:
    """What a check's `headers` name replaces ours."""
    named = {name.lower() for name, _ in check.headers}
    ours = [
        ("Host", page.authority),
        ("User-Agent", "gslb"),
        ("Accept", "*/*"),
        ("Connection", "close"),
    ]
    if page.method in ("POST", "PUT", "PATCH"):
        ours.append(("Content-Length", "0"))  # RFC 9110 section 8.6
    kept = [(name, value) for name, value in ours if name.lower() not in named]
    return Ask(page.method, page.path, (*kept, *check.headers))


def _body_limit(check: Check) -> Callable[[int], int]:
    asked = check.body is not None or check.body_regex is not None
    return lambda status: check.max_body if asked and _accepts(check, status) else 0


async def _secrecy(check: Check, page: Page, means: Means, *, dated: bool = True) -> Secrecy:
    """`dated` False accepts expired certificates."""
    if not _is_name(page):
        raise ProbeError("host is no name that TLS can ask for")
    context = await means.contexts.of(Trust(check.verify_tls, check.ca_file, dated))
    return Secrecy(context, page.host)


def _is_name(page: Page) -> bool:
    """What ssl demands of a server's name; asyncio takes an empty one as "do not compare"."""
    try:
        name = page.host.encode("idna")
    except ValueError:
        return False
    return bool(name) and not name.startswith(b".")


async def _tell_expiry(check: Check, address: str, page: Page, means: Means) -> str:
    """When the certificate expired, from a second handshake that does not mind."""
    secrecy = await _secrecy(check, page, means, dated=False)
    connection = await connect(address, page.port, means)
    transport = await converse(connection, asyncio.Protocol(), secrecy)
    try:
        certificate = transport.get_extra_info("peercert")
    finally:
        transport.abort()
    age_s = time.time() - ssl.cert_time_to_seconds(certificate["notAfter"])
    if age_s < 0:
        return "a certificate above the endpoint's own expired"
    return f"certificate expired {ago(age_s)}"


def _leads_on(check: Check, reply: Reply) -> bool:
    asked = check.follow_redirects and reply.status in _REDIRECTS
    return asked and reply.location is not None


def _accepts(check: Check, status: int) -> bool:
    return any(low <= status <= high for low, high in check.status)


def _judge(check: Check, reply: Reply) -> None:
    if not _accepts(check, reply.status):
        raise ProbeError(f"status {reply.status}")
    if check.body is not None and check.body.encode() not in reply.body:
        raise ProbeError("body does not contain the text")
    if check.body_regex is not None:
        text = reply.body.decode(errors="replace")
        if re.search(check.body_regex, text) is None:
            raise ProbeError("body does not match the expression")
