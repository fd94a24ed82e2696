"""The sockets of `server.listen`: a UDP and a TCP one for each address.

Knows: binding, adopting, sharing, and saying in one line why it cannot be done. Refuses to know:
what is read from them (udp.py, tcp.py). Invariant: all of them are open, or none.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from gslb.core.setting import Listen, TcpLimits
from gslb.errors import ListenError
from gslb.serve import pktinfo, reuse, udp
from gslb.serve.activation import Key, describe, key_sockets
from gslb.serve.engine import Engine, Transport
from gslb.serve.holder import count_others, find_holder
from gslb.serve.pulse import Pulse
from gslb.serve.tcp import BACKLOG, TcpServer

# Port 0 (in tests): the kernel picks for UDP, and TCP may find that port taken.
ANY_PORT_TRIES: Final = 16
# How long we still take in what was under way to us when a successor took over: connections
# whose handshake had begun (a second until the first retransmission, RFC 6298 section 2).
HANDOVER_S: Final = 1.0


class Listeners:
    """Every socket that clients ask. Opening raises ListenError; `start` begins to answer.

    `adopted` are sockets that the service manager has bound; what they have is not bound again.
    With `share` the ports may be another server's: it goes on to get everything until `start`,
    then we do, and it can stop. `addresses` are those actually bound, in the order given.
    """

    def __init__(
        self, listen: Sequence[Listen], adopted: Sequence[socket.socket] = (), share: bool = False
    ) -> None:
        self._adopted: Final = frozenset(adopted)
        self._shares: Final = share
        self._pairs: Final[list[tuple[socket.socket, socket.socket]]] = []
        self._pulse: Pulse | None = None
        self._udp: tuple[udp.UdpSocket, ...] = ()
        self._tcp: TcpServer | None = None
        try:
            opener = _Opener(key_sockets(adopted), share)
            for host, port in listen:
                self._pairs.append(opener.open_pair(host, port))
            opener.refuse_rest()
        except ListenError:
            self._close()
            raise
        self.addresses: Final = tuple(_listen_of(first) for first, _ in self._pairs)

    def start(self, engine: Engine, limits: TcpLimits, udp_batch: int = udp.BATCH) -> None:
        """Answer with `engine` from the running event loop."""
        beat = self._pulse = Pulse()
        self._udp = tuple(
            udp.UdpSocket(sock, engine, beat, udp_batch, wildcard=ip_address(host).is_unspecified)
            for (sock, _), (host, _port) in zip(self._pairs, self.addresses, strict=True)
        )
        self._tcp = TcpServer([sock for _, sock in self._pairs], engine, limits)
        if self._shares:
            for sock in self._own():
                reuse.take_over(sock)

    def limit(self, limits: TcpLimits, udp_batch: int = udp.BATCH) -> None:
        """Other limits from now on."""
        for sock in self._udp:
            sock.batch = udp_batch
        if self._tcp is not None:
            self._tcp.limit(limits)

    async def stop(self) -> None:
        """Read no more, answer what was received, close every socket.

        What is unread in an adopted socket is left: it is the same socket for who comes next.
        """
        if self._tcp is not None and self._has_successor():
            await asyncio.sleep(HANDOVER_S)
        for sock, (datagram, _) in zip(self._udp, self._pairs, strict=False):
            sock.stop(drain=datagram not in self._adopted)
        if self._tcp is not None:
            await self._tcp.stop(keep=self._adopted)
        if self._pulse is not None:
            self._pulse.stop()
        self._close()

    def stats(self) -> Mapping[tuple[str, ...], int]:
        """Counts in the form of `Engine.stats`.

        ("dropped", reason), ("cap", name), ("truncated",) and ("tcp_connections",); those that
        are 0 only for the last.
        """
        dropped: Counter[str] = Counter()
        caps: Counter[str] = Counter()
        for source in self._udp:
            dropped.update(source.dropped)
            caps["udp_batch"] += source.full
        if self._tcp is not None:
            dropped.update(self._tcp.dropped)
            caps.update(self._tcp.caps())
        stats: dict[tuple[str, ...], int] = {("dropped", why): n for why, n in dropped.items()}
        stats |= {("cap", name): n for name, n in caps.items() if n}
        truncated = sum(sock.truncated for sock in self._udp)
        if truncated:
            stats["truncated",] = truncated
        stats["tcp_connections",] = len(self._tcp) if self._tcp is not None else 0
        return stats

    def _own(self) -> list[socket.socket]:
        """Those that we have bound ourselves and that are open."""
        both = [sock for pair in self._pairs for sock in pair]
        return [sock for sock in both if sock not in self._adopted and sock.fileno() >= 0]

    def _has_successor(self) -> bool:
        own = self._own()
        inodes = {os.fstat(sock.fileno()).st_ino for sock in own}
        return any(
            count_others("udp", *_listen_of(sock), inodes)
            for sock in own
            if sock.type == socket.SOCK_DGRAM
        )

    def _close(self) -> None:
        for sock in (*(sock for pair in self._pairs for sock in pair), *self._adopted):
            sock.close()


def is_here(host: str) -> bool:
    """Whether this machine has an address."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
            sock.bind((host, 0))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


class _Opener:
    """Opens sockets, or finds them among those that were `adopted`."""

    def __init__(self, adopted: dict[Key, socket.socket], share: bool) -> None:
        self._adopted: Final = adopted
        self._shares: Final = share

    def refuse_rest(self) -> None:
        """Everything is open. Raises ListenError if an adopted socket was not wanted."""
        for sock in self._adopted.values():
            raise ListenError(
                f"socket activation: {describe(sock)} is not in server.listen;"
                " add it there, or take it out of the .socket unit"
            )

    def open_pair(self, host: str, port: int) -> tuple[socket.socket, socket.socket]:
        """A UDP and a listening TCP socket on the same address and port."""
        for tries_left in reversed(range(1 if port else ANY_PORT_TRIES)):
            datagram = self._open("udp", host, port)
            try:
                return datagram, self._open("tcp", host, _listen_of(datagram)[1])
            except ListenError:
                datagram.close()
                if not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _open(self, transport: Transport, host: str, port: int) -> socket.socket:
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        try:
            family, *_, address = socket.getaddrinfo(
                host, port, type=kind, flags=socket.AI_NUMERICHOST
            )[0]
            adopted = self._adopted.pop((family, kind, address), None)
            sock = socket.socket(family, kind) if adopted is None else adopted
        except OSError as error:
            raise ListenError(explain_failure(transport, host, port, error)) from None
        try:
            _prepare(transport, sock)
            if transport == "udp" and ip_address(address[0]).is_unspecified:
                pktinfo.enable(sock)
            if adopted is None:
                if self._shares and count_others(transport, host, port) > 1:
                    # With a third one nobody could tell who is the new one (reuse.py).
                    raise OSError(errno.EALREADY, os.strerror(errno.EALREADY))
                self._bind(transport, sock, address)
        except OSError as error:
            sock.close()
            raise ListenError(explain_failure(transport, host, port, error)) from None
        return sock

    def _bind(self, transport: Transport, sock: socket.socket, address: tuple[object, ...]) -> None:
        if sock.family == socket.AF_INET6:
            # "[::]:53" beside "0.0.0.0:53" is two sockets, and no client is a mapped address.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transport == "tcp":
            # A restart must not wait for old connections; for UDP it would share the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._shares:
            reuse.join(sock)
        sock.bind(address)
        if transport == "tcp":
            sock.listen(BACKLOG)
        if self._shares:
            reuse.leave_to_old(sock)
        else:
            reuse.allow(sock)


def _prepare(transport: Transport, sock: socket.socket) -> None:
    sock.setblocking(False)
    if transport == "udp":
        udp.tune(sock)


def _listen_of(sock: socket.socket) -> Listen:
    host, port, *_ = sock.getsockname()
    return (host, port)


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
        case errno.EALREADY:
            why = "a new server is just taking over from the old one; try again when it has"
        case errno.EACCES if port < 1024:
            why = (
                "permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE:"
                " grant one of them, or listen on a higher port"
            )
        case errno.EADDRNOTAVAIL:
            why = "this machine has no such address; take it out of server.listen"
        case errno.EINVAL if ":" in host:  # we take IPv6 only, so IPv4 cannot come this way
            why = "not an address of its own; write IPv4 as such, and [::] for link-local ones"
        case errno.EAFNOSUPPORT:
            why = "this machine has no IPv6; take the address out of server.listen"
        case _:
            why = error.strerror or str(error)
    return f"cannot listen on {where} ({transport.upper()}): {why}"
