"""The Python engine: the specification of what is answered, and quick at it.

Knows: packets, and what is remembered of questions. Refuses to know: sockets, files, how
health came to be. Invariant: one packet, one function, no await; `answer` never raises.

The quick way: a question seen before costs a slice, a dictionary look-up, for steered names
one bisection (where is the client?), and a join. Everything else takes the careful way,
which gives the same octets (a property test holds the two together).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from random import Random
from socket import AF_INET6, inet_aton, inet_pton
from typing import Final

from gslb.core.subject import Subject, locate, subject_of
from gslb.core.world import World
from gslb.serve.engine import Transport
from gslb.serve.entry import Chosen, Memory, Static, pack_absence
from gslb.serve.ready import EngineDice, Ledger, Packed, Steering, Tell, pack
from gslb.wire.edns import Edns, compose_opt, compose_subnet
from gslb.wire.message import HEADER, Query, parse_query
from gslb.wire.reply import EMPTY, MAX_TCP, compose_reply, reply_flags
from gslb.wire.rrtype import AXFR, IN, IXFR, NOERROR, RCODE_TEXT, REFUSED, SERVFAIL

PLAIN_UDP: Final = 512  # RFC 1035 section 4.2.1

_ONE_QUESTION: Final = b"\0\1\0\0\0\0\0\0"
_ONE_QUESTION_AND_OPT: Final = b"\0\1\0\0\0\0\0\1"
_OPT: Final = b"\0\0\x29"
# RDLENGTH, option code, option length and family of an OPT record with one IPv4 subnet, by
# the number of its address octets.
_SUBNETS: Final = tuple(bytes((0, n + 8, 0, 8, 0, n + 4, 0, 1)) for n in range(5))
_SCOPES: Final = tuple(bytes((scope,)) for scope in range(129))

# (rd + 2 * opt, largest reply, OPT record, IPv4 client subnet or None, its octets)
_Shape = tuple[int, int, bytes, int | None, bytes]

log = logging.getLogger("gslb.engine")


class PythonEngine:
    """`serve.engine.Engine` in Python."""

    name = "python"

    def __init__(
        self, world: World, generator: Random | None = None, tell: Tell = lambda *_: None
    ) -> None:
        self._ledger = Ledger(tell)
        self._dice = EngineDice(generator or Random())
        cell = self._ledger.cell
        self._queries4, self._queries6 = (
            {transport: cell("queries", transport, family) for transport in ("udp", "tcp")}
            for family in ("4", "6")
        )
        self._responses = {
            rcode: {transport: cell("responses", text, transport) for transport in ("udp", "tcp")}
            for rcode, text in RCODE_TEXT.items()
        }
        self._ecs_used, self._ecs_unused = cell("ecs", "used"), cell("ecs", "unused")
        self._learn(world)

    def publish(self, world: World) -> None:
        """Answers come from this World from now on; a new plan forgets what was remembered."""
        if world.plan is self._plan:
            self._health = world.health
        else:
            self._learn(world)

    def _learn(self, world: World) -> None:
        settings = world.plan.config.settings
        self._believed: list[IPv4Network | IPv6Network] | None = None
        if settings.ecs_from is not None:
            self._believed = [ip_network(text) for text in settings.ecs_from]
        self._udp_size = settings.udp_size
        self._opts = tuple(compose_opt(settings.udp_size, do)[:-2] for do in (False, True))
        self._dice.forget()
        self._memory = Memory(world.plan, self._ledger)
        self._ready = self._memory.ready
        self._plan, self._health = world.plan, world.health

    def stats(self) -> Mapping[tuple[str, ...], int]:
        """Counters by (metric, label values …)."""
        return {key: cell[0] for key, cell in self._ledger.cells.items()}

    def answer(self, packet: bytes, peer: str, transport: Transport) -> bytes | None:
        """The reply to a packet, None for silence. Never raises."""
        try:
            (self._queries6 if ":" in peer else self._queries4)[transport][0] += 1
            return self._quick(packet, peer, transport) or self._careful(packet, peer, transport)
        except Exception:
            # Ours to mend: caught once, here, for all of it (architecture.md, Errors).
            self._ledger.cell("errors")[0] += 1
            log.exception("answer failed packet=%s", packet[:512].hex())
            query = parse_query(packet)
            return None if query is None else self._plain(query, SERVFAIL, transport)

    # ---- the quick way ----------------------------------------------------------------

    def _quick(self, packet: bytes, peer: str, transport: Transport) -> bytes | None:
        """The reply to a question seen before in one of the usual shapes, else None."""
        # What ends at the first zero octet and is a known key is that very name, because
        # reading a name goes from left to right.
        end = packet.find(0, HEADER) + 5
        question = packet[HEADER:end]
        entry = self._ready.get(question[:-4].lower() + question[-4:])
        if entry is None or packet[2] & 0xF8:
            return None
        shape = self._shape(packet, end)
        if shape is None:
            return None
        head, limit, opt, network, octets = shape
        if isinstance(entry, Static):
            packed, rcode, scope = entry.packed, entry.rcode, 0
        else:
            rcode = NOERROR
            chosen = self._choose(entry.steering, peer, network, octets)
            if chosen is None:
                return None
            packed, scope = chosen
        if network is not None:
            opt += packet[end + 9 : end + 18] + _SCOPES[scope] + octets
            (self._ecs_unused if isinstance(entry, Static) else self._ecs_used)[0] += 1
        reply = b"".join((packet[:2], packed.heads[head], question, packed.body.octets, opt))
        if len(reply) > (limit if transport == "udp" else MAX_TCP):
            return None
        for cell in packed.cells:
            cell[0] += 1
        self._responses[rcode][transport][0] += 1
        return reply

    def _shape(self, packet: bytes, end: int) -> _Shape | None:
        """What follows the question, if it is nothing, or OPT with at most an IPv4 subnet."""
        counts = packet[4:HEADER]
        tail = packet[end:]
        size = len(tail)
        if counts == _ONE_QUESTION:
            return None if tail else (packet[2] & 1, PLAIN_UDP, b"", None, b"")
        if counts != _ONE_QUESTION_AND_OPT or size < 11 or tail[:3] != _OPT or tail[6]:
            return None
        head = 2 + (packet[2] & 1)
        limit = tail[3] << 8 | tail[4]
        if limit > self._udp_size:
            limit = self._udp_size
        elif limit < PLAIN_UDP:
            limit = PLAIN_UDP
        opt = self._opts[tail[7] >> 7]
        if size == 11:
            return None if tail[9] or tail[10] else (head, limit, opt + b"\0\0", None, b"")
        count = size - 19
        if not 0 < count <= 4 or tail[9:17] != _SUBNETS[count] or tail[18]:
            return None
        source = tail[17]
        if count != (source + 7) >> 3:
            return None
        octets = tail[19:]
        network = int.from_bytes(octets, "big") << (32 - 8 * count)
        if network & (0xFFFFFFFF >> source):
            return None
        return head, limit, opt, network, octets

    def _choose(
        self, steering: Steering, peer: str, network: int | None, octets: bytes
    ) -> tuple[Packed, int] | None:
        """(answer, scope) for an IPv4 subject; None leaves it to the careful way."""
        table = steering.table
        if network is not None and (self._believed is not None or not steering.policy.ecs):
            return None
        number, scope = (table.special, 0) if network is None else steering.leaf4(network)
        if number == table.special:  # no client subnet, or one that nothing covers
            if ":" in peer:
                return None
            octets = inet_aton(peer)
            number, _ = steering.leaf4(int.from_bytes(octets, "big"))
            if number == table.special:
                number = table.unknown
        ready = steering.answers.get(number)
        if ready is None or ready.health is not self._health:
            ready = steering.ready(number, self._health)
        if ready.fixed is not None:
            return ready.fixed, scope
        if ready.outcome.branch is None:
            return None
        self._dice.prefix = (octets + b"\0\0")[:3]
        return steering.choose(ready, self._dice), scope

    # ---- the careful way --------------------------------------------------------------

    def _careful(self, packet: bytes, peer: str, transport: Transport) -> bytes | None:
        query = parse_query(packet)
        if query is None:
            reason = "short" if len(packet) < HEADER else "response"
            self._ledger.cell("dropped", reason)[0] += 1
            return None
        if query.rcode:
            return self._plain(query, query.rcode, transport)
        if query.qclass != IN or query.qtype in (AXFR, IXFR):
            return self._plain(query, REFUSED, transport)
        entry = self._memory.entry(query.key, query.qtype)
        if entry is None:
            return self._plain(query, REFUSED, transport)
        if isinstance(entry, Static):
            return self._compose(query, entry.packed, entry.rcode, transport, None)
        return self._steer(query, entry, peer, transport)

    def _steer(self, query: Query, entry: Chosen, peer: str, transport: Transport) -> bytes:
        """The reply for a steered name, whatever the shape of the query."""
        steering = entry.steering
        source = subject_of(inet_pton(AF_INET6, peer) if ":" in peer else inet_aton(peer))
        subject = self._subject(query.edns, source) if steering.policy.ecs else None
        located = locate(steering.table, subject, source)
        ready = steering.ready(located.treatment, self._health)
        scope = located.scope if subject is not None else None
        if ready.outcome.branch is not None:
            self._dice.prefix = located.prefix
            packed = ready.fixed or steering.choose(ready, self._dice)
            return self._compose(query, packed, NOERROR, transport, scope)
        rule = ready.outcome.rule
        self._ledger.cell("policy_fallback", steering.policy.name, rule)[0] += 1
        if rule == "servfail":
            return self._plain(query, SERVFAIL, transport)
        packed = pack_absence(entry.zone, NOERROR, len(query.key), ready.ttl)
        return self._compose(query, packed, NOERROR, transport, None)

    def _subject(self, edns: Edns | None, source: Subject) -> Subject | None:
        """The client subnet's first address, if there is one and its sender is believed."""
        subnet = edns.subnet if edns is not None else None
        if subnet is None or not subnet.source:
            return None
        if self._believed is not None:
            sender = ip_address(source.packed)
            if not any(sender in network for network in self._believed):
                return None
        if subnet.family == 1:
            return Subject(4, subnet.value, subnet.value.to_bytes(4, "big"))
        return subject_of(subnet.value.to_bytes(16, "big"), mapped=False)

    def _plain(self, query: Query, rcode: int, transport: Transport) -> bytes:
        """A reply without records."""
        return self._compose(query, pack(EMPTY, rcode, False, ()), rcode, transport, None)

    def _compose(
        self, query: Query, packed: Packed, rcode: int, transport: Transport, scope: int | None
    ) -> bytes:
        """The reply with OPT; `scope` None: the client's subnet was not used (SCOPE 0)."""
        edns = query.edns
        limit, opt = PLAIN_UDP, b""
        if edns is not None:
            options = b""
            if edns.subnet is not None:
                options = compose_subnet(edns.subnet, scope or 0)
                (self._ecs_unused if scope is None else self._ecs_used)[0] += 1
            limit = min(edns.size, self._udp_size)
            opt = compose_opt(self._udp_size, edns.do, options, rcode)
        flags = reply_flags(query.flags, rcode, packed.authoritative)
        if transport == "tcp":
            limit = MAX_TCP
        reply, cut = compose_reply(query.id, flags, query.question, packed.body, opt, limit)
        if cut:
            self._ledger.cell("truncated")[0] += 1
        for cell in packed.cells:
            cell[0] += 1
        self._responses[rcode][transport][0] += 1
        return reply
