"""The sockets of `server.listen`: a UDP and a TCP one for each address.

Knows: binding, and saying in one line why it cannot be done. Refuses to know: what is read
from them (udp.py, tcp.py). Invariant: all of them are open, or none.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from gslb.core.setting import Listen, TcpLimits
from gslb.errors import ListenError
from gslb.serve import pktinfo, udp
from gslb.serve.engine import Engine, Transport
from gslb.serve.holder import find_holder
from gslb.serve.tcp import TcpServer

BACKLOG: Final = 1024
# Port 0 (in tests): the kernel picks for UDP, and TCP may find that port taken.
ANY_PORT_TRIES: Final = 16


class Listeners:
    """Every socket that clients ask. Opening raises ListenError; `start` begins to answer.

    `addresses` are those actually bound, in the order given.
    """

    def __init__(self, listen: Sequence[Listen]) -> None:
        self._pairs: Final[list[tuple[socket.socket, socket.socket]]] = []
        self._udp: tuple[udp.UdpSocket, ...] = ()
        self._tcp: TcpServer | None = None
        try:
            for host, port in listen:
                self._pairs.append(_open_pair(host, port))
        except ListenError:
            self._close()
            raise
        self.addresses: Final = tuple(_listen_of(first) for first, _ in self._pairs)

    def start(self, engine: Engine, limits: TcpLimits) -> None:
        """Answer with `engine` from the running event loop."""
        self._udp = tuple(
            udp.UdpSocket(sock, engine, wildcard=ip_address(host).is_unspecified)
            for (sock, _), (host, _port) in zip(self._pairs, self.addresses, strict=True)
        )
        self._tcp = TcpServer([sock for _, sock in self._pairs], engine, limits)

    def limit(self, limits: TcpLimits) -> None:
        """Other limits for TCP connections made from now on."""
        if self._tcp is not None:
            self._tcp.limits = limits

    async def stop(self) -> None:
        """Read no more, answer what was received, close every socket."""
        for sock in self._udp:
            sock.stop()
        if self._tcp is not None:
            await self._tcp.stop()
        self._close()

    def stats(self) -> Mapping[tuple[str, ...], int]:
        """Counts in the form of `Engine.stats`: ("dropped", reason) and ("tcp_connections",)."""
        dropped: Counter[str] = Counter()
        for source in (*self._udp, *((self._tcp,) if self._tcp is not None else ())):
            dropped.update(source.dropped)
        stats: dict[tuple[str, ...], int] = {("dropped", why): n for why, n in dropped.items()}
        stats["tcp_connections",] = len(self._tcp) if self._tcp is not None else 0
        return stats

    def _close(self) -> None:
        for pair in self._pairs:
            for sock in pair:
                sock.close()


def _open_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a listening TCP socket on the same address and port."""
    for tries_left in reversed(range(1 if port else ANY_PORT_TRIES)):
        datagram = _open("udp", host, port)
        try:
            return datagram, _open("tcp", host, _listen_of(datagram)[1])
        except ListenError:
            datagram.close()
            if not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _open(transport: Transport, host: str, port: int) -> socket.socket:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=kind, flags=socket.AI_NUMERICHOST
        )[0]
        sock = socket.socket(family, kind)
    except OSError as error:
        raise ListenError(explain_failure(transport, host, port, error)) from None
    try:
        _prepare(transport, sock)
        if transport == "udp" and ip_address(address[0]).is_unspecified:
            pktinfo.enable(sock)
        sock.bind(address)
        if transport == "tcp":
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ListenError(explain_failure(transport, host, port, error)) from None
    return sock


def _prepare(transport: Transport, sock: socket.socket) -> None:
    sock.setblocking(False)
    if sock.family == socket.AF_INET6:
        # "[::]:53" beside "0.0.0.0:53" is two sockets, and no client is a mapped address.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if transport == "tcp":
        # A restart must not wait for old connections; for UDP it would share the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        udp.tune(sock)


def _listen_of(sock: socket.socket) -> Listen:
    name = sock.getsockname()
    return (name[0], name[1])


def explain_failure(transport: Transport, host: str, port: int, error: OSError) -> str:
    """One line: which socket, why, and what to do."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            holder = find_holder(transport, host, port)
            if holder.endswith(f"(pid {os.getpid()})"):
                why = "gslb itself has it already; name each address and port once"
            else:
                by = f" by {holder}" if holder else ""
                why = f"the port is in use{by}; stop that, or change server.listen"
        case errno.EACCES if port < 1024:
            why = (
                "permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE:"
                " grant one of them, or listen on a higher port"
            )
        case errno.EADDRNOTAVAIL:
            why = "this machine has no such address; take it out of server.listen"
        case errno.EINVAL if ":" in host:  # we take IPv6 only, so IPv4 cannot come this way
            why = "not an address of its own; write IPv4 as such, link-local with %interface"
        case errno.EAFNOSUPPORT:
            why = "this machine has no IPv6; take the address out of server.listen"
        case _:
            why = error.strerror or str(error)
    return f"cannot listen on {where} ({transport.upper()}): {why}"
