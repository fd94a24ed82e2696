"""An open-loop sender: so many queries a second, whether they are answered or not.

Knows: sendmmsg(2) and recvmmsg(2), which Python reaches by ctypes only; pacing; which queries were
answered, and when. Refuses to know: what they ask. Invariant: a query is sent when its time has
come, or later if the sender is too slow; `offered_qps` is what was sent, not what was wished for.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

BATCH = 64  # messages of one system call
PAUSE_S = 0.0002  # when nothing is due
LINGER_S = 1.0  # for the last answers; what comes later counts as lost
BUFFER = 4 * 1024 * 1024
RING = 1 << 16  # as many as there are ids
HEAD = 4  # octets kept of a reply, which begins with its id
Times = npt.NDArray[np.float64]

_LIBC = ctypes.CDLL(None, use_errno=True)


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


class _Ring:
    """Messages for the two system calls, each `lengths` of the octets, one after the other."""

    def __init__(self, octets: bytearray, lengths: Sequence[int]) -> None:
        self._octets = (ctypes.c_char * len(octets)).from_buffer(octets)
        address = ctypes.addressof(self._octets)
        vectors = []
        for length in lengths:
            vectors.append(_Vector(address, length))
            address += length
        self._vectors = (_Vector * len(vectors))(*vectors)
        self._messages = (_Message * len(vectors))()
        for message, vector in zip(self._messages, self._vectors, strict=True):
            message.header.vectors = ctypes.pointer(vector)
            message.header.vector_count = 1

    def send(self, sock: socket.socket, at: int, count: int) -> int:
        """Sends `count` messages from number `at` on; how many of them the kernel took."""
        first = ctypes.byref(self._messages, at * ctypes.sizeof(_Message))
        return _checked(_LIBC.sendmmsg(sock.fileno(), first, count, socket.MSG_DONTWAIT))

    def receive(self, sock: socket.socket) -> int:
        """Fills messages from the first on; how many."""
        first = ctypes.byref(self._messages)
        flags = socket.MSG_DONTWAIT
        return _checked(_LIBC.recvmmsg(sock.fileno(), first, len(self._vectors), flags, None))


def _checked(result: int) -> int:
    """The number of messages; none if the call would have had to wait. Raises OSError."""
    if result >= 0:
        return result
    error = ctypes.get_errno()
    if error in (errno.EAGAIN, errno.ENOBUFS):
        return 0
    raise OSError(error, os.strerror(error))


class Stream:
    """`qps` queries a second in turn, from one socket to `port` of 127.0.0.1.

    Number and id of a query are the same modulo `RING`, so the times of answers are right as long
    as none takes longer than `RING` queries.
    """

    def __init__(self, port: int, queries: Sequence[bytes], qps: float) -> None:
        self.qps = qps
        self.sent = 0
        self.answered = 0
        self.begun = 0.0
        self.seconds = 0.0
        self._sent_at: Times = np.full(RING, np.nan)
        self._waits: list[Times] = []
        self._wait_of: Times = np.full(RING, np.nan)
        octets, lengths = bytearray(), []
        for number in range(RING):
            query = queries[number % len(queries)]
            octets += number.to_bytes(2, "big")[: len(query)] + query[2:]
            lengths.append(len(query))
        self._queries = _Ring(octets, lengths)
        heads = bytearray(BATCH * HEAD)
        self._heads = np.frombuffer(heads, dtype=">u2").reshape(BATCH, HEAD // 2)
        self._replies = _Ring(heads, [HEAD] * BATCH)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._socket.connect(("127.0.0.1", port))

    def close(self) -> None:
        self._socket.close()

    @property
    def offered_qps(self) -> float:
        """Queries that were really sent, per second."""
        return self.sent / self.seconds

    @property
    def answered_qps(self) -> float:
        """Answers to the queries of one second."""
        return self.answered / self.seconds

    @property
    def lost(self) -> int:
        """Queries without an answer."""
        return self.sent - self.answered

    def waits_s(self) -> Times:
        """The seconds that each answer took, in the order of the answers."""
        return np.concatenate([*self._waits, np.empty(0)])

    def settled_after_s(self, patience_s: float) -> float:
        """Seconds until the last query was sent that got no answer within `patience_s`.

        0 if all did. For a stream of at most `RING` queries.
        """
        unsettled = ~(self._wait_of[: self.sent] <= patience_s)
        times = self._sent_at[: self.sent][unsettled]
        return float(times.max() - self.begun) if times.size else 0.0

    def send_due(self, elapsed_s: float) -> bool:
        """Sends what is due by now, at most a batch; False if nothing was."""
        at = self.sent % RING
        count = min(int(elapsed_s * self.qps) - self.sent, BATCH, RING - at)
        if count <= 0:
            return False
        now = time.monotonic()
        done = self._queries.send(self._socket, at, count)
        self._sent_at[at : at + done] = now
        self.sent += done
        return True

    def receive(self) -> bool:
        """Takes what answers there are, at most a batch; False if there were none."""
        count = self._replies.receive(self._socket)
        if not count:
            return False
        ids = self._heads[:count, 0]
        waits = time.monotonic() - self._sent_at[ids]
        self._wait_of[ids] = waits
        self._waits.append(waits)
        self.answered += count
        return True


def offer(
    streams: Sequence[Stream],
    seconds: float,
    *,
    meanwhile: Callable[[float], None] | None = None,
    linger_s: float = LINGER_S,
) -> None:
    """Sends all streams for so many seconds, then waits for the last answers.

    `meanwhile` is called again and again with the seconds since the begin; it must be quick.
    """
    begun = time.monotonic()
    for stream in streams:
        stream.begun = begun
    while (elapsed := time.monotonic() - begun) < seconds:
        busy = [stream.send_due(elapsed) for stream in streams]
        busy += [stream.receive() for stream in streams]
        if meanwhile is not None:
            meanwhile(elapsed)
        if not any(busy):
            time.sleep(PAUSE_S)
    for stream in streams:
        stream.seconds = elapsed
    deadline = time.monotonic() + linger_s
    while time.monotonic() < deadline and any(each.answered < each.sent for each in streams):
        if not sum(stream.receive() for stream in streams):  # all of them, each time
            time.sleep(PAUSE_S)
