"""The one place where the prober opens sockets.

Knows: that an address is checked against what may be probed before every connection, and
is connected to literally. Refuses to know: names, what is spoken. Invariant: no probe opens a
socket but through `connect` and `connect_datagram`, and one that is not returned is closed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from gslb.core.probing import refusal
from gslb.probe.expression import Searcher
from gslb.probe.reason import UnfitError, failure
from gslb.probe.tls import Contexts

# Pure, and asked before every connection: parsing the address costs a tenth of a probe.
_refusal = lru_cache(maxsize=16384)(refusal)


@dataclass(frozen=True, slots=True)
class Secrecy:
    """TLS for a connection: the context, and the name asked for and compared."""

    context: ssl.SSLContext
    name: str


@dataclass(frozen=True, slots=True)
class Means:
    """What every probe needs: the networks of `probe.allow`, TLS contexts, monotonic seconds, and
    who looks for expressions."""

    allow: tuple[str, ...]
    contexts: Contexts
    clock: Callable[[], float]
    searcher: Searcher = field(default_factory=Searcher)


def admit(address: str, means: Means) -> None:
    """Pass if this address may be probed (health.md, What may be probed). Raises UnfitError."""
    refused = _refusal(address, means.allow)
    if refused is not None:
        raise UnfitError(f"not probed: {refused}")


async def connect(address: str, port: int, means: Means) -> socket.socket:
    """A connected non-blocking socket. Raises ProbeError, or OSError if it is our own fault."""
    admit(address, means)
    connection = socket.socket(_family_of(address), socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except OSError as error:
        connection.close()
        raise failure(error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def connect_datagram(address: str, port: int, means: Means, protocol: int = 0) -> socket.socket:
    """A non-blocking datagram socket that hears this address only; `protocol` 0 is UDP.

    Sends nothing. Raises ProbeError, or OSError if it is our own fault.
    """
    admit(address, means)
    connection = socket.socket(_family_of(address), socket.SOCK_DGRAM, protocol)
    try:
        connection.setblocking(False)
        connection.connect((address, port))
    except OSError as error:
        connection.close()
        raise failure(error) from error
    return connection


def _family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def converse(
    connection: socket.socket, protocol: asyncio.BaseProtocol, secrecy: Secrecy
) -> asyncio.Transport:
    """Hand a connected socket to a protocol, after the TLS handshake; without one: plain.py.

    The caller aborts the transport. Raises ProbeError as `connect` does; then the socket is
    closed, also when cancelled.
    """
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: protocol,
            sock=connection,
            ssl=secrecy.context,
            server_hostname=secrecy.name,
        )
    except OSError as error:
        raise failure(error) from error
    return transport
