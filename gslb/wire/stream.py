"""DNS messages on a byte stream: two octets of length, then the message (RFC 1035 4.2.2).

Knows: the length prefix. Refuses to know: sockets, clocks, what a message says.
Invariant: however the stream is cut into pieces, the same messages come out, and never
more than one message is held back.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = 2
MAX_MESSAGE: Final = 65535


def frame(message: bytes) -> bytes:
    """The message behind its length, as one piece: RFC 7766 section 8 wants one segment.

    Raises OverflowError above 65535 octets.
    """
    return len(message).to_bytes(PREFIX, "big") + message


class Framer:
    """Octets in, whole messages out. An empty message is a message too."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def mid_message(self) -> bool:
        """True if a message has begun and is not complete."""
        return bool(self._held)

    def feed(self, octets: bytes) -> list[bytes]:
        """Every message that is complete with these octets, in order."""
        held = self._held
        held += octets
        messages: list[bytes] = []
        at = 0
        while len(held) - at >= PREFIX:
            start = at + PREFIX
            end = start + (held[at] << 8 | held[at + 1])
            if end > len(held):
                break
            messages.append(bytes(held[start:end]))
            at = end
        del held[:at]
        return messages
