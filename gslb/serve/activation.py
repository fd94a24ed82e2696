"""Sockets that the service manager has bound for us (sd_listen_fds(3)).

Knows: LISTEN_FDS and its kin, what such a socket has to be. Refuses to know: what is served.
Invariant: the environment is read once and forgotten, so no child takes them for its own; a
socket that does not fit is refused in one line, never left unread.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Final

from gslb.errors import ListenError

FIRST: Final = 3  # SD_LISTEN_FDS_START
VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

# Family, kind and address as getaddrinfo gives them: what has to agree for a socket to fit.
Key = tuple[int, int, tuple[object, ...]]


def activated_sockets() -> tuple[socket.socket, ...]:
    """What was handed to this process; () if nothing was. Raises ListenError."""
    pid, count, names = (os.environ.pop(name, "") for name in VARIABLES)
    if not count or pid != str(os.getpid()):
        return ()
    if not count.isdecimal():
        raise ListenError(f"socket activation: LISTEN_FDS is {count!r}; it must be a number")
    titles = names.split(":")
    return tuple(
        _socket_of(FIRST + at, titles[at] if at < len(titles) else "") for at in range(int(count))
    )


def key_sockets(adopted: Iterable[socket.socket]) -> dict[Key, socket.socket]:
    """The sockets by what they are bound to. Raises ListenError if one cannot be served."""
    found: dict[Key, socket.socket] = {}
    for sock in adopted:
        flaw = _find_flaw(sock)
        if flaw:
            raise ListenError(f"socket activation: {describe(sock)} {flaw}")
        key = (sock.family, sock.type, sock.getsockname())
        if key in found:
            raise ListenError(f"socket activation: {describe(sock)} is there twice; drop one")
        found[key] = sock
    return found


def describe(sock: socket.socket) -> str:
    """ "127.0.0.1:53 (UDP)", or what it is instead."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return f"descriptor {sock.fileno()}"
    host, port, *_ = sock.getsockname()
    kind = "UDP" if sock.type == socket.SOCK_DGRAM else "TCP"
    return f"{f'[{host}]' if ':' in host else host}:{port} ({kind})"


def _socket_of(descriptor: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        return socket.socket(fileno=descriptor)
    except OSError as error:
        title = f" ({name})" if name else ""
        raise ListenError(
            f"socket activation: descriptor {descriptor}{title} is no socket"
            f" ({error.strerror}); use ListenDatagram= and ListenStream= only"
        ) from None


def _find_flaw(sock: socket.socket) -> str:
    """What keeps a socket from being served, and what to do; "" if nothing does."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return "is not an internet socket; give ListenDatagram= and ListenStream= IP addresses"
    if sock.type not in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        return "is neither UDP nor TCP; use ListenDatagram= and ListenStream= only"
    if sock.type == socket.SOCK_STREAM and not sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        return "does not listen; say Accept=no in the .socket unit"
    if _takes_both(sock):
        return "takes IPv4 too; say BindIPv6Only=ipv6-only in the .socket unit"
    return ""


def _takes_both(sock: socket.socket) -> bool:
    """IPv4 clients would come as mapped addresses, and after bind that cannot be changed."""
    host: str = sock.getsockname()[0]
    if host != "::":
        return False
    return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
