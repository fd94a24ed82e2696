"""Why a probe failed, in words for people.

Knows: the texts of evidence (health.md, Evidence) for what the kernel and TLS report.
Refuses to know: sockets, checks. Invariant: no text quotes what an endpoint sent, neither
body nor header; what is our own machine's fault is never an endpoint's failure.
"""

from __future__ import annotations

import errno
import os
import ssl

from gslb.errors import GslbError

# Of our own machine: no descriptors, no memory, no free port, no such family. They say
# nothing of the endpoint, and a verdict from them would take the world down.
_OURS = frozenset(
    (
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EPROTONOSUPPORT,
    )
)
_NO_ROUTE = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN))

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_EXPIRED = 10
_CERTIFICATE = {
    9: "certificate is not valid yet",
    _EXPIRED: "certificate expired",
    18: "certificate is self-signed",
    19: "certificate of a self-signed authority that is not trusted",
    20: "certificate of an unknown authority",
    21: "certificate of an unknown authority",
    62: "certificate is for another name",
    64: "certificate is for another address",
}

# RFC 8446 section 6.2; OpenSSL has renamed what comes before.
_NOTHING_IN_COMMON = ("ALERT_HANDSHAKE_FAILURE", "ALERT_INSUFFICIENT_SECURITY")


class ProbeError(GslbError):
    """The endpoint failed its probe; the text is the evidence."""


class UnfitError(ProbeError):
    """The probe cannot be made as it is configured: a failure, also of a check with `invert`."""


class ExpiredError(ProbeError):
    """A certificate expired; when, the handshake that failed does not tell."""


class HandshakeError(ProbeError):
    """The endpoint found nothing in what the handshake offers."""


def failure(error: OSError) -> ProbeError:
    """The evidence in an error of connecting, TLS, reading or writing.

    Raises the error itself if it is our own machine's.
    """
    if error.errno in _OURS and not isinstance(error, ssl.SSLError):
        raise error
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == _EXPIRED:
        return ExpiredError(_tell(error))
    if isinstance(error, ssl.SSLError) and (error.reason or "").endswith(_NOTHING_IN_COMMON):
        return HandshakeError(_tell(error))
    return ProbeError(_tell(error))


def _tell(error: OSError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return _CERTIFICATE.get(error.verify_code, f"certificate: {error.verify_message}")
        case ssl.SSLError():
            detail = (error.reason or "protocol error").lower().replace("_", " ")
            return f"TLS failed: {detail}"
        case ConnectionRefusedError():
            return "connect refused"
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return "connection reset"
        case TimeoutError():
            return "timeout"
        case _ if error.errno in _NO_ROUTE:
            return "no route"
        case _ if error.errno is not None:
            return os.strerror(error.errno).lower()
        case _:
            return "connection failed"


def ago(seconds: float) -> str:
    """An age in its largest whole unit: `3 d ago`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return f"{int(seconds)} s ago"
