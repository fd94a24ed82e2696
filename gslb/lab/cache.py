"""What a caching resolver remembers, kept apart by client subnet (RFC 7871 section 7.3).

Knows: TTL, scope, the most specific match. Refuses to know: sockets and the time: the
clock is given. Invariant: an answer is never given after its TTL, nor to a client outside
the network that it was scoped to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer and the time, on the cache's clock in seconds, after which it is void."""

    addresses: tuple[str, ...]
    until_s: float


class Cache:
    """Answers by name and client network. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._answers: dict[str, dict[IPv4Network, Kept]] = {}

    def keep(
        self, name: str, subnet: IPv4Network, scope: int, addresses: tuple[str, ...], ttl_s: float
    ) -> None:
        """Remembers an answer to a query that carried `subnet`.

        A scope longer than what was sent is cut to it: we know no more of the client than
        we said (RFC 7871 section 7.3.1). A TTL of 0 is not kept.
        """
        network = IPv4Network((subnet.network_address, min(scope, subnet.prefixlen)), strict=False)
        if ttl_s > 0:
            self._answers.setdefault(name, {})[network] = Kept(addresses, self._clock() + ttl_s)

    def find(self, name: str, client: IPv4Address) -> tuple[str, ...] | None:
        """The most specific living answer for a client, or None. The dead are forgotten."""
        answers = self._answers.get(name, {})
        now_s = self._clock()
        for network in [n for n, kept in answers.items() if kept.until_s <= now_s]:
            del answers[network]
        best = max((n for n in answers if client in n), key=lambda n: n.prefixlen, default=None)
        return None if best is None else answers[best].addresses
