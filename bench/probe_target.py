"""What is probed in `make bench-probe`: one port of every address of 127.0.0.0/8, in one process.

    python -m bench.probe_target PORT

Knows: a page for whoever connects, a DNS reply for whoever asks; a socket of 0.0.0.0 answers for
all of loopback, so ten thousand addresses cost two sockets. Refuses to know: who probes, and
how often. Invariant: it is always well; it ends with SIGTERM.
"""

from __future__ import annotations

import select
import socket
import struct
import sys

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
BACKLOG = 4096  # all targets may be due at once: then the first probes come in hundreds
AT_ONCE = 256
PKTINFO = 8  # IP_PKTINFO (ip(7)), which Python 3.11 does not name
HEADER = 12


class Site:
    """The sockets, and who is connected."""

    def __init__(self, port: int) -> None:
        self.tcp = socket.create_server(("0.0.0.0", port), backlog=BACKLOG)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.IPPROTO_IP, PKTINFO, 1)
        self.udp.bind(("0.0.0.0", port))
        self.poll = select.epoll()
        for listener in (self.tcp, self.udp):
            listener.setblocking(False)
            self.poll.register(listener, select.EPOLLIN)
        self.visitors: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Answers until the process is ended."""
        tcp, udp = self.tcp.fileno(), self.udp.fileno()
        while True:
            for number, _ in self.poll.poll():
                if number == tcp:
                    self.accept()
                elif number == udp:
                    self.reply()
                else:
                    self.talk(self.visitors[number])

    def accept(self) -> None:
        """Takes in who waits."""
        for _ in range(AT_ONCE):
            try:
                visitor, _ = self.tcp.accept()
            except OSError:  # nobody, or gone again
                return
            visitor.setblocking(False)
            self.visitors[visitor.fileno()] = visitor
            self.poll.register(visitor, select.EPOLLIN)

    def talk(self, visitor: socket.socket) -> None:
        """The page for a request; who has gone is forgotten."""
        try:
            if visitor.recv(4096):
                visitor.send(PAGE)
                return
        except OSError:  # a prober that has seen enough does not wait for the end
            pass
        del self.visitors[visitor.fileno()]
        visitor.close()

    def reply(self) -> None:
        """NOERROR without records, from the address that was asked."""
        for _ in range(AT_ONCE):
            try:
                query, ancillary, _, peer = self.udp.recvmsg(512, 64)
            except OSError:
                return
            end = query.find(b"\0", HEADER) + 5
            head = query[:2] + b"\x84\0" + struct.pack("!4H", 1, 0, 0, 0)
            asked = ancillary[0][2][4:8]  # struct in_pktinfo: interface, local address, …
            source = struct.pack("=i", 0) + asked + bytes(4)
            control = [(socket.IPPROTO_IP, PKTINFO, source)]
            self.udp.sendmsg([head + query[HEADER:end]], control, 0, peer)


if __name__ == "__main__":
    Site(int(sys.argv[1])).serve()
