"""The seam between sockets and answers.

Knows: what every engine offers to the sockets, to `app` and, through `app`, to metrics.
Refuses to know: how an answer is found. Invariant: `answer` does no input or output and
never raises, so the same packet function runs under any socket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

from gslb.core.world import Plan, World

Transport = Literal["udp", "tcp"]


class Engine(Protocol):
    """Packet in, packet out."""

    def answer(self, packet: bytes, peer: str, transport: Transport) -> bytes | None:
        """The reply to one DNS message, without TCP's length prefix; None is silence.

        `peer` is the client's address in text, as `recvfrom` gives it: no port, no scope id,
        possibly "::ffff:192.0.2.1", which is IPv4. Never raises.
        """
        ...

    def prepare(self, plan: Plan) -> Iterator[None]:
        """Gets ready for a plan that will be published, in steps of less than a millisecond."""
        ...

    def publish(self, world: World) -> None:
        """From now on answer from `world`."""
        ...

    def stats(self) -> Mapping[tuple[str, ...], int]:
        """Counts since the start, by metric and label values: ("queries", "udp", "4")."""
        ...
