"""A UDP socket, emptied from the event loop.

Knows: receiving, sending, the reply's source address, what is too old or too large. Refuses to
know: what a packet says. Invariant: nothing that comes from the network stops the reading; at
most `batch` packets are answered before other work gets its turn. asyncio's datagram transport
costs more than an answer does, so this is a plain non-blocking socket under `add_reader`.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Iterable
from typing import Final

from gslb.core.setting import Limits
from gslb.errors import FormatError
from gslb.serve import pktinfo, pulse
from gslb.serve.engine import Engine
from gslb.serve.pulse import Control, Pulse
from gslb.wire.cut import truncate

BATCH: Final = Limits().udp_batch
# What is still in the socket at a stop is answered, but a flood must not keep us from ending.
LAST_PACKETS: Final = 2048
MAX_DATAGRAM: Final = 65535
BUFFER: Final = 4 * 1024 * 1024
SO_RCVBUFFORCE: Final = 33  # <asm-generic/socket.h>

# <linux/in.h>, <linux/in6.h>: never trust a path MTU that anybody may have forged, and never
# fragment over IPv6 (RFC 9715 section 3.1, R1 and R2). Linux knows no IPV6_USE_MIN_MTU; replies
# fit the least MTU anyway, unless server.udp_size says otherwise.
IP_MTU_DISCOVER: Final = 10
IPV6_MTU_DISCOVER: Final = 23
PMTUDISC_OMIT: Final = 5

Unsent = tuple[bytes, Iterable[Control], tuple[str, int]]


def tune(sock: socket.socket) -> None:
    """Big buffers, no path MTU discovery, receive times, where the kernel allows it."""
    options = [
        (socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER),
        (socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER),  # beyond net.core.rmem_max, for root
        (socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER),
        (socket.SOL_SOCKET, pulse.SO_TIMESTAMPNS, 1),
    ]
    if sock.family == socket.AF_INET6:
        options.append((socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_OMIT))
        options.append((socket.IPPROTO_IPV6, socket.IPV6_DONTFRAG, 1))
    else:
        options.append((socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_OMIT))
    # A service manager may have given more than we could (ReceiveBuffer=), and asking for less
    # than there is takes it away. The kernel tells twice what it was asked for (socket(7)).
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 2 * BUFFER:
        del options[:2]
    for level, option, value in options:
        try:
            sock.setsockopt(level, option, value)
        except OSError:
            continue  # slower, or more fragments; never a reason not to answer


class UdpSocket:
    """One bound socket, answered from now on.

    `dropped` counts by reason what was lost, `full` how often a batch was, `truncated` the
    replies that were too large to be sent. A new `batch` holds from the next turn on.
    """

    def __init__(
        self, sock: socket.socket, engine: Engine, beat: Pulse, batch: int, *, wildcard: bool
    ) -> None:
        self.batch = batch
        self.dropped: Counter[str] = Counter()
        self.full = 0
        self.truncated = 0
        self._socket: Final = sock
        self._engine: Final = engine
        self._pulse: Final = beat
        self._pauses = -1  # what was here before us may be old as well
        self._late = False
        # On a wildcard socket the kernel would choose the reply's source by route alone.
        self._drain: Final = self._drain_wildcard if wildcard else self._drain_specific
        self._loop: Final = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._take_turn)

    def stop(self, *, drain: bool = True) -> None:
        """Answer what has arrived, unless somebody else will, then close; once is enough."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        for _ in range(LAST_PACKETS // self.batch + 1 if drain else 0):
            self._take_turn()
        self._socket.close()

    def _take_turn(self) -> None:
        pauses = self._pulse.pauses()
        if pauses != self._pauses:
            self._pauses, self._late = pauses, True
        if self._late:
            self._discard()
        else:
            self._drain()

    def _discard(self) -> None:
        """After a pause: away with what nobody waits for, up to the first that is not stale."""
        for _ in range(self.batch):
            try:
                _, control, _, _ = self._socket.recvmsg(1, pulse.SPACE, socket.MSG_PEEK)
                self._late = self._pulse.is_stale(control)
                if not self._late:
                    break
                self._socket.recv(1)
                self.dropped["stale"] += 1
            except BlockingIOError:
                self._late = False
                return
            except OSError as error:
                self._not_received(error)
        if not self._late:
            self._drain()

    # Two passes: replies sent one by one between answers wake a client on this machine each
    # time, and chase the code of `answer` out of the caches (measured: 33 against 18 us of CPU
    # for an NXDOMAIN). What it costs is a wait of one batch, under load only.

    def _drain_specific(self) -> None:
        sock, answer = self._socket, self._engine.answer
        recvfrom, sendto = sock.recvfrom, sock.sendto
        replies = []
        for _ in range(self.batch):
            try:
                packet, peer = recvfrom(MAX_DATAGRAM)
            except OSError as error:
                self._not_received(error)
                break
            if not peer[1]:  # nobody can be at port 0
                self.dropped["port_zero"] += 1
                continue
            reply = answer(packet, peer[0], "udp")
            if reply is not None:
                replies.append((reply, peer))
        else:
            self.full += 1
        for reply, peer in replies:
            try:
                sendto(reply, peer)
            except OSError as error:
                self._not_sent(error, (reply, (), peer))

    def _drain_wildcard(self) -> None:
        sock, answer = self._socket, self._engine.answer
        recvmsg, sendmsg = sock.recvmsg, sock.sendmsg
        reply_from, space = pktinfo.reply_from, pktinfo.SPACE
        replies = []
        for _ in range(self.batch):
            try:
                packet, control, _flags, peer = recvmsg(MAX_DATAGRAM, space)
            except OSError as error:
                self._not_received(error)
                break
            if not peer[1]:
                self.dropped["port_zero"] += 1
                continue
            reply = answer(packet, peer[0], "udp")
            if reply is not None:
                replies.append(((reply,), reply_from(control), peer))
        else:
            self.full += 1
        for buffers, control, peer in replies:
            try:
                sendmsg(buffers, control, 0, peer)
            except OSError as error:
                self._not_sent(error, (buffers[0], control, peer))

    def _not_received(self, error: OSError) -> None:
        """The socket is empty, or there is an ICMP error for an earlier reply, or no memory."""
        if not isinstance(error, BlockingIOError):
            self.dropped["receive_error"] += 1

    def _not_sent(self, error: OSError, unsent: Unsent) -> None:
        if error.errno == errno.EMSGSIZE and self._send_short(unsent):
            return
        full = isinstance(error, BlockingIOError)
        self.dropped["send_buffer" if full else "send_error"] += 1

    def _send_short(self, unsent: Unsent) -> bool:
        """Larger than the way out: ask the client to come over TCP (RFC 9715 section 3.1, R4)."""
        reply, control, peer = unsent
        try:
            self._socket.sendmsg((truncate(reply),), control, 0, peer)
        except (OSError, FormatError):
            return False
        self.truncated += 1
        return True
