"""The `http` and `https` checks: an endpoint works if its page says so.

Knows: the request a check makes, redirects, and how a reply is judged (health.md, Checks).
Refuses to know: DNS (the address is connected to literally, also after a redirect), when
probes happen. Invariant: every probe is a connection of its own, so that its connect time
is a real one; every connection goes through `connect` and is checked there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from gslb.core.check import Check, Target
from gslb.probe.certificate import converse_with, host_in, peer_of
from gslb.probe.connection import Means, connect
from gslb.probe.exchange import Ask, Exchange, Reply
from gslb.probe.expression import TooLongError
from gslb.probe.finding import Finding
from gslb.probe.load import is_pointer, load_in
from gslb.probe.reason import ProbeError, UnfitError

MAX_REDIRECTS = 3
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


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
        return host_in(self.authority)

    @property
    def url(self) -> str:
        """Absolute: what a relative Location is resolved against."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"


async def probe(check: Check, target: Target, means: Means, finding: Finding) -> None:
    """Fetch the page and judge it. Raises ProbeError.

    The latency is of the first connection: until it was established or, with `latency:
    first_byte`, until the reply's first octet, TLS included. The load is that of a good page.
    """
    page = first_page(check, target)
    reply, latency_s = await _visit(check, target.address, page, means, finding)
    for _ in range(MAX_REDIRECTS):
        if not _leads_on(check, reply):
            break
        page = follow(page, reply)
        reply, _ = await _visit(check, target.address, page, means, finding)
    if _leads_on(check, reply):
        raise ProbeError(f"more than {MAX_REDIRECTS} redirects")
    finding.is_told = True
    await _judge(check, reply, f"{check.name} {target.address} {target.port}", means)
    finding.latency_s = latency_s
    if check.load is not None:
        finding.load = load_in(check.load, reply.header, reply.body)


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
    path = quote(path.encode("latin-1", "replace"), safe=_PRINTABLE)  # as its octets came
    # RFC 9110 section 15.4.4: 303 asks for a GET; 301 and 302 turn POST into GET in practice.
    changes = reply.status == 303 or (reply.status in (301, 302) and page.method == "POST")
    method = "GET" if changes and page.method != "HEAD" else page.method
    return Page(secure, there.netloc, port, path, method)


async def _visit(
    check: Check, address: str, page: Page, means: Means, finding: Finding
) -> tuple[Reply, float]:
    """One request; the reply, and the latency in seconds that the check wants."""
    header = None if check.load is None or is_pointer(check.load) else check.load
    exchange = Exchange(_compose(check, page), _body_limit(check), means.clock, header)
    where = (address, page.port)
    peer = await peer_of(check, page.host, where, means) if page.secure else None
    started = means.clock()
    connection = await connect(*where, means)
    connected = means.clock()
    transport = await converse_with(peer, connection, exchange, means, finding)
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
    reports = check.load is not None and is_pointer(check.load)
    asked = check.body is not None or check.body_regex is not None or reports
    return lambda status: check.max_body if asked and _accepts(check, status) else 0


def _leads_on(check: Check, reply: Reply) -> bool:
    asked = check.follow_redirects and reply.status in _REDIRECTS
    return asked and reply.location is not None


def _accepts(check: Check, status: int) -> bool:
    return any(low <= status <= high for low, high in check.status)


async def _judge(check: Check, reply: Reply, who: str, means: Means) -> None:
    if not _accepts(check, reply.status):
        raise ProbeError(f"status {reply.status}")
    if check.body is not None and check.body.encode() not in reply.body:
        raise ProbeError("body does not contain the text")
    if check.body_regex is None:
        return
    try:
        matches = await means.searcher.is_in(check.body_regex, reply.body, who)
    except TooLongError as error:
        raise UnfitError("body_regex takes too long on this body") from error
    if not matches:
        raise ProbeError("body does not match the expression")
