"""Two servers on one port, while one takes over from the other (Linux, socket(7), SO_REUSEPORT).

Knows: how a port is shared, and who of the two gets what comes. Refuses to know: servers.
Invariant: nobody shares by accident: a socket is bound alone and opened for sharing only then,
so a second server is refused its port as ever; only one that asks for it first gets in, and the
kernel lets in none but the same user's.

Left alone, the kernel spreads packets and connections over both, and what the old one has not
read when it closes is lost. A filter of one instruction makes it choose: everything to the old
one until the new one answers, then everything to the new one, while the old one still empties
its buffers. The filter returns an index in order of arrival. Of two the old one has 0, because
the kernel moves the last socket into a place that gets free; and an index beyond the end (the
new one is alone at last) is no filter at all. All this was introduced by Linux 4.6.
"""

from __future__ import annotations

import socket
import struct
from array import array
from contextlib import suppress
from typing import Final

# <asm-generic/socket.h>, <linux/filter.h>, <linux/bpf_common.h>.
SO_ATTACH_REUSEPORT_CBPF: Final = 51
_RETURN_CONSTANT: Final = 0x06  # BPF_RET | BPF_K
_INSTRUCTION: Final = struct.Struct("=HBBI")
_PROGRAM: Final = struct.Struct("@HP")  # struct sock_fprog: length, address

_OLD: Final = 0
_NEW: Final = 1


def join(sock: socket.socket) -> None:
    """Before bind: share the port with the server that has it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def allow(sock: socket.socket) -> None:
    """After bind (and listen): a successor may join."""
    with suppress(OSError):  # then a restart has a gap, which is no reason not to answer
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def leave_to_old(sock: socket.socket) -> None:
    """The server that was here before gets everything; `sock` is the one that joined."""
    _steer(sock, _OLD)


def take_over(sock: socket.socket) -> None:
    """The one that joined gets everything from now on."""
    _steer(sock, _NEW)


def _steer(sock: socket.socket, index: int) -> None:
    code = array("B", _INSTRUCTION.pack(_RETURN_CONSTANT, 0, 0, index))
    program = _PROGRAM.pack(1, code.buffer_info()[0])
    with suppress(OSError):  # an old kernel: both answer, and the last packets may be lost
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
