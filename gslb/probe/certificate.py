"""What TLS has to do with a check: the name asked for, and when the certificate ends.

Knows: how a check's `host`, `verify_tls` and `ca_file` become the handshake's, and that a
certificate's end is news before and after it. Refuses to know: HTTP, what is said inside.
Invariant: nothing is accepted because of the second handshake that reads an expired date.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from urllib.parse import urlsplit

from gslb.core.check import Check
from gslb.probe.connection import Means, Secrecy, connect, converse
from gslb.probe.finding import Finding
from gslb.probe.reason import ProbeError, UnfitError, ago
from gslb.probe.tls import Trust


def host_in(authority: str) -> str:
    """An authority without its port and brackets, lowercase: for SNI and certificates.

    Empty if there is none.
    """
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


async def secrecy_of(check: Check, name: str, means: Means, *, dated: bool = True) -> Secrecy:
    """TLS for a connection to who calls itself `name`; `dated` False accepts expired certificates.

    Raises UnfitError.
    """
    if not _is_name(name):
        raise UnfitError("host is no name that TLS can ask for")
    context = await means.contexts.of(Trust(check.verify_tls, check.ca_file, dated))
    return Secrecy(context, name)


def note_expiry(transport: asyncio.Transport, finding: Finding) -> None:
    """Note when the certificate of a connection ends, if it was verified."""
    certificate = transport.get_extra_info("peercert")
    if certificate:  # empty if nobody verified it, None without TLS
        finding.expires_at = ssl.cert_time_to_seconds(certificate["notAfter"])


async def tell_expiry(
    check: Check, where: tuple[str, int], name: str, means: Means, finding: Finding
) -> ProbeError:
    """When the certificate expired, from a second handshake that does not mind."""
    secrecy = await secrecy_of(check, name, means, dated=False)
    connection = await connect(*where, means)
    transport = await converse(connection, asyncio.Protocol(), secrecy)
    try:
        note_expiry(transport, finding)
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
