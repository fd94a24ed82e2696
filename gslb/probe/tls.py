"""TLS contexts of checks, made once and off the loop.

Knows: how a check's `verify_tls` and `ca_file` become a context. Refuses to know: sockets,
HTTP. Invariant: reading certificate authorities (27 ms for a system's) happens in a thread,
once per distinct setting and reload, never on the loop that answers.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from gslb.probe.reason import UnfitError

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h, which Python's ssl does not name.
_NO_CHECK_TIME = 0x200000


@dataclass(frozen=True, slots=True)
class Trust:
    """What a context is made of; `ca_file` None means the system's authorities.

    `check_time` False accepts expired certificates: only for reading when they expired.
    """

    verify: bool = True
    ca_file: str | None = None
    check_time: bool = True


class Contexts:
    """The contexts in use."""

    def __init__(self) -> None:
        self._made: dict[Trust, ssl.SSLContext] = {}
        self._making = asyncio.Lock()

    def forget(self) -> None:
        """Make all anew when next asked: a reload may have brought another `ca_file`."""
        self._made.clear()

    async def of(self, trust: Trust) -> ssl.SSLContext:
        """The context. Raises UnfitError if `ca_file` cannot be used."""
        async with self._making:
            context = self._made.get(trust)
            if context is None:
                context = await asyncio.to_thread(_make, trust)
                self._made[trust] = context
        return context


def _make(trust: Trust) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=trust.ca_file)
    except OSError as error:
        raise UnfitError("ca_file cannot be read as certificates") from error
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if not trust.check_time:
        context.verify_flags |= _NO_CHECK_TIME
    return context
