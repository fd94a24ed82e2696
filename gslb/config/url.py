"""The URL of another server's control address, as `control.peers` holds it.

Knows: its parts and what to say about a wrong one. Refuses to know: who is there. Invariant: what
is read is `http://HOST:PORT` or `https://HOST:PORT` in one spelling, so that twins are equal.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from gslb.config.report import quote
from gslb.config.scalar import ScalarError, show

_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)
_FORM: Final = "write it as http://192.0.2.53:8053"


def read_peer(value: object) -> str:
    """`http://HOST:PORT`, in lower case and with a canonical address. Raises ScalarError."""
    if not isinstance(value, str):
        raise ScalarError(f"{show(value)} is not a URL", _FORM)
    if not value.isprintable() or " " in value or "\\" in value:
        raise ScalarError(f"{quote(value)} is not a URL", _FORM)
    if "@" in value:  # before anything quotes it: it may hold a password
        raise ScalarError("is a URL with a user in it", f"{_FORM}; tokens stand in files")
    try:
        parts = urlsplit(value)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        raise ScalarError(f"{quote(value)} is not a URL", _FORM) from None
    if scheme not in ("http", "https") or not host:
        raise ScalarError(f"{quote(value)} is not a URL", _FORM)
    if parts.path not in ("", "/") or "?" in value or "#" in value:
        raise ScalarError(f"{quote(value)} has more than a host and a port", _FORM)
    if port is None:
        meant = f"{scheme}://{parts.netloc.removesuffix(':')}:8053"
        raise ScalarError(f"{quote(value)} has no port", f"write {meant}")
    if port == 0:
        raise ScalarError(f"{quote(value)}: nobody listens on port 0", _FORM)
    return f"{scheme}://{_read_host(value, host)}:{port}"


def split_peer(url: str) -> tuple[str, int]:
    """Host (an address without brackets) and port of what `read_peer` has read."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def _read_host(value: str, host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        name = host.removesuffix(".")
        if len(name) > 253 or not _HOST.fullmatch(name) or name.replace(".", "").isdecimal():
            raise ScalarError(f"{quote(value)} has no host name or address", _FORM) from None
        return name
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise ScalarError(f"{quote(value)} has a zone", "only this host knows what it is")
        address = address.ipv4_mapped or address
    if address.is_unspecified or address.is_multicast:
        raise ScalarError(f"{quote(value)} is nobody's address", _FORM)
    return f"[{address}]" if isinstance(address, IPv6Address) else str(address)
