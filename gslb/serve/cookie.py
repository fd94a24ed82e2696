"""DNS cookies: who has shown that its address is its own (RFC 7873, RFC 9018).

Knows: how a server cookie is made and for how long it is good. Refuses to know: what is done
with those who have none. Invariant: the same secret gives the same octets as every other
server that follows RFC 9018, and a cookie is good for one address only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hmac import compare_digest
from socket import AF_INET6, inet_aton, inet_pton
from typing import Final, Literal

from siphash24 import siphash24

CLIENT: Final = 8
WHOLE: Final = 24  # client cookie, version, reserved, timestamp, hash
# RFC 7873 section 5.2.2: any other length is malformed.
LENGTHS: Final = frozenset((CLIENT, *range(16, 41)))
# RFC 9018 section 4.3.
OLDEST_S: Final = 3600
NEWEST_S: Final = 300
RENEWED_S: Final = 1800

_VERSION_1: Final = b"\1\0\0\0"
_CYCLE: Final = 1 << 32

Result = Literal["client", "valid", "renewed", "invalid"]
PROVEN: Final[frozenset[Result | None]] = frozenset(("valid", "renewed"))


class Jar:
    """The secrets, 16 octets each: the first signs, all verify (RFC 9018 section 5).

    `now` gives Unix time in seconds.
    """

    def __init__(self, secrets: Sequence[bytes], now: Callable[[], float] = time.time) -> None:
        self._secrets: Final = tuple(secrets)
        self._now: Final = now

    def check(self, cookie: bytes, peer: str) -> tuple[Result, bytes]:
        """(what the client has shown, the cookie for the reply) of an option's data.

        `cookie` has one of `LENGTHS`. A "renewed" one was good and is old, or signed by another
        secret than the first. Only those in `PROVEN` show that the address is real.
        """
        address = inet_pton(AF_INET6, peer) if ":" in peer else inet_aton(peer)
        if len(cookie) == CLIENT:
            return "client", self._sign(cookie, address)
        if len(cookie) == WHOLE and cookie[CLIENT] == 1:
            # Serial arithmetic (RFC 1982), because the timestamp ends in 2106.
            age_s = (int(self._now()) - int.from_bytes(cookie[12:16], "big")) % _CYCLE
            if age_s <= OLDEST_S or age_s >= _CYCLE - NEWEST_S:
                signed, claimed = cookie[:16] + address, cookie[16:]
                # The reserved octets are hashed as they came (RFC 9018 section 4.2).
                for key in self._secrets:
                    if compare_digest(siphash24(signed, key=key).digest(), claimed):
                        if key is self._secrets[0] and not RENEWED_S < age_s <= OLDEST_S:
                            return "valid", cookie
                        return "renewed", self._sign(cookie[:CLIENT], address)
        return "invalid", self._sign(cookie[:CLIENT], address)

    def _sign(self, client: bytes, address: bytes) -> bytes:
        """A fresh cookie: client cookie and server cookie (RFC 9018 section 4)."""
        stamp = (int(self._now()) % _CYCLE).to_bytes(4, "big")
        head = client + _VERSION_1 + stamp
        digest: bytes = siphash24(head + address, key=self._secrets[0]).digest()
        return head + digest
