"""What TLS has to do with a check: the name asked for, and when the certificate ends.

Knows: how a check's `host`, `verify_tls` and `ca_file` become the handshake's, that it takes a
curve in common, and that a certificate's end is news before and after it; without TLS a socket is
handed over as it is. Refuses to know: HTTP, what is said inside.
Invariant: nothing is accepted because of the second handshake that reads an expired date.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from gslb.core.check import Check
from gslb.probe.connection import Means, Secrecy, connect, converse
from gslb.probe.finding import Finding
from gslb.probe.plain import Plain
from gslb.probe.reason import ExpiredError, HandshakeError, ProbeError, UnfitError, ago
from gslb.probe.tls import CURVES, Trust


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a check speaks TLS with: who it has to be by which authorities, and where it is."""

    trust: Trust
    name: str
    address: str
    port: int


def host_in(authority: str) -> str:
    """An authority without its port and brackets, lowercase: for SNI and certificates.

    Empty if there is none.
    """
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


async def peer_of(check: Check, name: str, where: tuple[str, int], means: Means) -> Peer:
    """Who calls itself `name` at an address and port. Raises UnfitError, before any connection."""
    if not _is_name(name):
        raise UnfitError("host is no name that TLS can ask for")
    peer = Peer(Trust(check.verify_tls, check.ca_file), name, *where)
    await means.contexts.of(peer.trust)
    return peer


async def converse_with(
    peer: Peer | None,
    connection: socket.socket,
    protocol: asyncio.BufferedProtocol,
    means: Means,
    finding: Finding,
) -> asyncio.Transport:
    """Hand a connected socket to a protocol: at once without a peer, else over TLS, and note when
    a verified certificate ends. The caller aborts the transport.

    An endpoint that has another curve is connected to again. Raises ProbeError, that of an
    expired certificate says since when.
    """
    if peer is None:
        return Plain(connection, protocol)
    try:
        transport = await _shake(peer, connection, protocol, means)
    except ExpiredError as error:
        raise await _tell_expiry(peer, means, finding) from error
    _note_expiry(transport, finding)
    return transport


async def _shake(
    peer: Peer, connection: socket.socket | None, protocol: asyncio.BaseProtocol, means: Means
) -> asyncio.Transport:
    """Offer one curve after the other; `connection` is used for the first."""
    error: HandshakeError | None = None
    for curve in CURVES:
        try:
            context = await means.contexts.of(replace(peer.trust, curve=curve))
            connection = connection or await connect(peer.address, peer.port, means)
            return await converse(connection, protocol, Secrecy(context, peer.name))
        except HandshakeError as latest:
            error, connection = latest, None
    assert error is not None
    raise error


def _note_expiry(transport: asyncio.Transport, finding: Finding) -> None:
    certificate = transport.get_extra_info("peercert")
    if certificate:  # empty if nobody verified it
        finding.expires_at = ssl.cert_time_to_seconds(certificate["notAfter"])


async def _tell_expiry(peer: Peer, means: Means, finding: Finding) -> ProbeError:
    """When the certificate expired, from a second handshake that does not mind."""
    lenient = replace(peer, trust=replace(peer.trust, check_time=False))
    transport = await _shake(lenient, None, asyncio.Protocol(), means)
    try:
        _note_expiry(transport, finding)
    finally:
        transport.abort()
    age_s = time.time() - (finding.expires_at or 0.0)
    if age_s < 0:
        return ProbeError("a certificate above the endpoint's own expired")
    return ProbeError(f"certificate expired {ago(age_s)}")


def _is_name(host: str) -> bool:
    """What ssl demands of a server's name; asyncio takes an empty one as "do not compare"."""
    try:
        name = host.encode("idna")
    except ValueError:
        return False
    return bool(name) and not name.startswith(b".")
