"""TLS contexts of checks, made once and off the loop.

Knows: how a check's `verify_tls` and `ca_file` become a context. Refuses to know: sockets,
HTTP. Invariant: reading certificate authorities (27 ms for a system's) happens in a thread,
once per distinct setting and reload, never on the loop that answers; a handshake costs that loop
some milliseconds, whatever the endpoint chooses.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

from gslb.probe.reason import UnfitError

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h, which Python's ssl does not name.
_NO_CHECK_TIME = 0x200000

# Diffie-Hellman in finite fields is not offered: with 8192 bits, its own or those of RFC 7919,
# an endpoint would hold up answers for 400 ms. Python can name one curve a context, and then no
# such field either; the first is what all have (RFC 8446 section 9.1). TLS 1.2 takes fields by
# its ciphers, and its certificates need a curve as well: so the last is any, up to TLS 1.2.
ANY: Final = ""
CURVES: Final = ("prime256v1", "secp384r1", "X25519", "secp521r1", ANY)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a context is made of; `ca_file` None means the system's authorities.

    `check_time` False accepts expired certificates: only for reading when they expired. `curve`
    is the only one whose keys are exchanged.
    """

    verify: bool = True
    ca_file: str | None = None
    check_time: bool = True
    curve: str = CURVES[0]


class Contexts:
    """The contexts in use."""

    def __init__(self) -> None:
        self._made: dict[Trust, ssl.SSLContext] = {}
        self._former: dict[Trust, ssl.SSLContext] = {}
        self._making = asyncio.Lock()

    def forget(self) -> None:
        """Make all anew when next asked: a reload may have brought another `ca_file`.

        One that has gone meanwhile takes nobody down: it was good when it was last read.
        """
        self._former |= self._made
        self._made.clear()

    async def of(self, trust: Trust) -> ssl.SSLContext:
        """The context. Raises UnfitError if `ca_file` cannot be used."""
        async with self._making:
            context = self._made.get(trust)
            if context is None:
                try:
                    context = await asyncio.to_thread(_make, trust)
                except UnfitError:
                    if trust not in self._former:
                        raise
                    context = self._former[trust]
                self._made[trust] = context
        return context


def _make(trust: Trust) -> ssl.SSLContext:
    context = _believe(trust)
    offered = (cipher for cipher in context.get_ciphers() if cipher["kea"] != "kx-dhe")
    context.set_ciphers(":".join(cipher["name"] for cipher in offered))
    if trust.curve == ANY:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    else:
        context.set_ecdh_curve(trust.curve)
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if not trust.check_time:
        context.verify_flags |= _NO_CHECK_TIME
    return context


def _believe(trust: Trust) -> ssl.SSLContext:
    """A context with its authorities, none where nobody asks them."""
    if not trust.verify:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust.ca_file is not None:
        try:
            return ssl.create_default_context(cafile=trust.ca_file)
        except OSError as error:
            raise UnfitError("ca_file cannot be read as certificates") from error
    # By name: while it loads them by itself, Python keeps the interpreter, and so the loop waits.
    system = ssl.get_default_verify_paths()
    try:
        return ssl.create_default_context(cafile=system.cafile, capath=system.capath)
    except OSError as error:
        raise UnfitError("the system's authorities cannot be read") from error
