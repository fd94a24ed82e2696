"""The Python engine: the specification of what is answered, and quick at it.

Knows: packets, and what is remembered of questions. Refuses to know: sockets, files, how
health came to be. Invariant: one packet, one function, no await; `answer` never raises.

The quick way: a question seen before costs a slice, a dictionary look-up, for steered names
one bisection (where is the client?), and a join. Every unusual query takes the careful way,
which gives the same octets (a property test holds the two together).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from random import Random
from socket import AF_INET6, inet_aton, inet_pton
from typing import Final

from gslb.core.subject import Subject, locate, subject_of
from gslb.core.world import Plan, World
from gslb.errors import FormatError
from gslb.serve.cookie import LENGTHS, PROVEN, Jar
from gslb.serve.engine import Transport
from gslb.serve.entry import Chosen, Entry, Memory, Static, pack_absence
from gslb.serve.ratelimit import RateLimiter, Table
from gslb.serve.ready import EngineDice, Ledger, Packed, Steering, Tell
from gslb.serve.shape import PLAIN_UDP, REPLY_COOKIE, ShapeReader
from gslb.serve.verdict import (
    NOT_AUTHORITATIVE,
    NOT_IN,
    NOT_SUPPORTED,
    PROHIBITED,
    Verdict,
    plain,
)
from gslb.wire.edns import (
    COOKIE,
    NSID,
    Edns,
    compose_keepalive,
    compose_opt,
    compose_option,
    compose_subnet,
)
from gslb.wire.message import HEADER, TC, Query, parse_query
from gslb.wire.name import parse
from gslb.wire.reply import MAX_TCP, compose_reply, reply_flags
from gslb.wire.rrtype import (
    AXFR,
    BADCOOKIE,
    FORMERR,
    IN,
    IXFR,
    NOERROR,
    NOTAUTH,
    NOTIMP,
    NXDOMAIN,
    RCODE_TEXT,
    REFUSED,
    SERVFAIL,
)
from gslb.wire.tsig import compose_bad_key

_OPT_SIZE: Final = 11
_CLASS_IN: Final = b"\0\1"
_MAPPED: Final = "::ffff:"  # before an IPv4 address; that is what the client has
_SCOPES: Final = tuple(bytes((scope,)) for scope in range(129))

log = logging.getLogger("gslb.engine")


class PythonEngine:
    """`serve.engine.Engine` in Python."""

    name = "python"

    def __init__(
        self,
        world: World,
        generator: Random | None = None,
        tell: Tell = lambda *_: None,
        wall: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wall` is Unix time, for cookies; `elapsed` monotonic, for rate limiting; seconds."""
        self._ledger = Ledger(tell)
        self._dice = EngineDice(generator or Random())
        self._wall, self._table = wall, Table(elapsed)
        self._coming: Memory | None = None
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

    def prepare(self, plan: Plan) -> Iterator[None]:
        """Looks up for a coming plan what was asked of the present one, in short steps.

        Else the first second of a plan would pay for all of its names at once.
        """
        coming = Memory(plan, self._ledger)
        yield from coming.follow(self._memory)
        self._coming = coming

    def publish(self, world: World) -> None:
        """Answers come from this World from now on; a new plan forgets what was remembered."""
        if world.plan is self._plan:
            self._health, self._mark = world.health, world.health.mark
        else:
            self._learn(world)

    def _learn(self, world: World) -> None:
        settings = world.plan.config.settings
        self._believed: list[IPv4Network | IPv6Network] | None = None
        if settings.ecs_from is not None:
            self._believed = [ip_network(text) for text in settings.ecs_from]
        self._udp_size = settings.udp_size
        cookies = settings.cookies
        self._jar = Jar(cookies.secrets, self._wall) if cookies and cookies.secrets else None
        limit = settings.rate_limit
        self._limiter = RateLimiter(self._table, limit, self._ledger) if limit else None
        self._nsid = None if settings.nsid is None else compose_option(NSID, settings.nsid)
        self._keepalive = compose_keepalive(settings.tcp.idle_s)
        self._shapes = ShapeReader(settings.udp_size, self._jar is not None)
        self._dice.forget()
        coming, self._coming = self._coming, None
        if coming is None or coming.plan is not world.plan:
            coming = Memory(world.plan, self._ledger)
        self._memory = coming
        self._ready = self._memory.ready
        self._plan, self._health, self._mark = world.plan, world.health, world.health.mark

    def stats(self) -> Mapping[tuple[str, ...], int]:
        """Counters by (metric, label values …)."""
        return {key: cell[0] for key, cell in self._ledger.cells.items()}

    def answer(self, packet: bytes, peer: str, transport: Transport) -> bytes | None:
        """The reply to a packet, None for silence. Never raises."""
        try:
            if ":" in peer:
                self._queries6[transport][0] += 1
                if "." in peer and peer.startswith(_MAPPED):
                    peer = peer[len(_MAPPED) :]
            else:
                self._queries4[transport][0] += 1
            reply = self._quick(packet, peer, transport)
            if reply is None:
                reply = self._careful(packet, peer, transport)
            return reply or None
        except Exception:
            # Ours to mend: caught once, here, for all of it (architecture.md, Errors).
            self._ledger.cell("errors")[0] += 1
            log.exception("answer failed packet=%s", packet[:512].hex())
            query = parse_query(packet)
            if query is None:
                return None
            edns = query.edns
            opt = b"" if edns is None else compose_opt(self._udp_size, edns.do)
            return self._compose(query, plain(SERVFAIL), opt, transport)

    # ---- the quick way ----------------------------------------------------------------

    def _quick(self, packet: bytes, peer: str, transport: Transport) -> bytes | None:
        """The reply to a question in one of the usual shapes, else None; empty is silence."""
        if packet[2:3] > b"\x07":  # a response, or another opcode
            return None
        # What ends at the first zero octet and is a known key is that very name, because
        # reading a name goes from left to right.
        end = packet.find(0, HEADER) + 5
        question = packet[HEADER:end]
        entry = self._ready.get(question[:-4].lower() + question[-4:])
        if entry is None:
            entry = self._look_up(packet, end)
            if entry is None:
                return None
        shape = self._shapes.read(packet, end)
        if shape is None:
            return None
        head, limit, opt, network, octets, cookie = shape
        if isinstance(entry, Static):
            packed, rcode, scope = entry.packed, entry.rcode, 0
        else:
            rcode = NOERROR
            chosen = self._choose(entry.steering, peer, network, octets)
            if chosen is None:
                return None
            packed, scope = chosen
        result = None
        if network is not None:
            opt += packet[end + 9 : end + 18] + _SCOPES[scope] + octets
        elif cookie and self._jar is not None:
            result, cookie = self._jar.check(cookie, peer)
            opt += REPLY_COOKIE + cookie
        reply = b"".join((packet[:2], packed.heads[head], question, packed.body.octets, opt))
        if transport == "udp":
            if len(reply) > limit:
                return None
            limiter = self._limiter
            if limiter and result not in PROVEN and limiter.over(peer, entry.kind):
                # A flood must not cost more than it would cost to answer it.
                if limiter.slips():
                    return self._careful(packet, peer, transport, slips=True)
                if result is not None:
                    self._ledger.cell("cookies", result)[0] += 1
                return self._drop()
        elif len(reply) > MAX_TCP:
            return None
        if network is not None:
            (self._ecs_unused if isinstance(entry, Static) else self._ecs_used)[0] += 1
        elif result is not None:
            self._ledger.cell("cookies", result)[0] += 1
        for cell in packed.cells:
            cell[0] += 1
        self._responses[rcode][transport][0] += 1
        return reply

    def _look_up(self, packet: bytes, end: int) -> Entry | None:
        """The entry of a question that ends at `end`, if it does and is not to be refused."""
        try:
            stop = parse(packet, HEADER)
        except FormatError:
            return None
        if stop + 4 != end or packet[stop + 2 : end] != _CLASS_IN:
            return None
        qtype = packet[stop] << 8 | packet[stop + 1]
        if qtype in (AXFR, IXFR):
            return None
        return self._memory.entry(packet[HEADER:stop].lower(), qtype)

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
        if ready is None or ready.mark is not self._mark:
            ready = steering.ready(number, self._health)
        if ready.fixed is not None:
            return ready.fixed, scope
        if ready.outcome.branch is None:
            return None
        self._dice.prefix = (octets + b"\0\0")[:3]
        return steering.choose(ready, self._health, self._dice), scope

    # ---- the careful way --------------------------------------------------------------

    def _careful(
        self, packet: bytes, peer: str, transport: Transport, slips: bool = False
    ) -> bytes | None:
        """The reply to any packet; `slips`: it is over the limit, and goes out short."""
        query = parse_query(packet)
        if query is None:
            reason = "short" if len(packet) < HEADER else "response"
            self._ledger.cell("dropped", reason)[0] += 1
            return None
        verdict = self._judge(query, peer)
        cookie, proven = b"", False
        edns = query.edns
        if edns is not None and edns.cookie is not None and self._jar is not None:
            if len(edns.cookie) in LENGTHS:
                result, baked = self._jar.check(edns.cookie, peer)
                cookie, proven = compose_option(COOKIE, baked), result in PROVEN
                self._ledger.cell("cookies", result)[0] += 1
            else:
                verdict = plain(FORMERR)
                self._ledger.cell("cookies", "malformed")[0] += 1
        flags = 0
        limiter = self._limiter
        if not slips and transport == "udp" and limiter and not proven:
            slips = limiter.over(peer, verdict.kind)
            if slips and not limiter.slips():
                return self._drop()
        if slips:
            self._ledger.cell("rrl", "badcookie" if cookie else "slipped")[0] += 1
            if cookie:
                verdict = plain(BADCOOKIE)
            elif verdict.rcode in (NOERROR, NXDOMAIN):
                verdict, flags = plain(NOERROR), TC
        opt = b"" if edns is None else self._opt(query, edns, verdict, cookie, transport)
        return self._compose(query, verdict, opt, transport, flags)

    def _drop(self) -> bytes:
        """Silence for who is over the limit."""
        self._ledger.cell("rrl", "dropped")[0] += 1
        self._ledger.cell("dropped", "rate_limit")[0] += 1
        return b""

    def _judge(self, query: Query, peer: str) -> Verdict:
        """What is to be said to a query, whatever its shape."""
        if query.rcode:
            return plain(query.rcode, NOT_SUPPORTED if query.rcode == NOTIMP else b"")
        if not query.question:
            return plain(NOERROR if self._jar is not None else FORMERR)
        if query.qclass != IN:
            return plain(REFUSED, NOT_IN)
        entry = self._memory.entry(query.key, query.qtype)
        if entry is None:
            return plain(REFUSED, NOT_AUTHORITATIVE)
        if query.qtype in (AXFR, IXFR):
            return plain(REFUSED, PROHIBITED)
        if isinstance(entry, Static):
            return Verdict(entry.packed, entry.rcode, entry.kind)
        return self._steer(query, entry, peer)

    def _steer(self, query: Query, entry: Chosen, peer: str) -> Verdict:
        """What a policy says."""
        steering, kind = entry.steering, entry.kind
        source = subject_of(inet_pton(AF_INET6, peer) if ":" in peer else inet_aton(peer))
        subject = self._subject(query.edns, source) if steering.policy.ecs else None
        located = locate(steering.table, subject, source)
        ready = steering.ready(located.treatment, self._health)
        scope = located.scope if subject is not None else None
        if ready.outcome.branch is not None:
            self._dice.prefix = located.prefix
            packed = ready.fixed or steering.choose(ready, self._health, self._dice)
            return Verdict(packed, NOERROR, kind, scope)
        rule = ready.outcome.rule
        self._ledger.cell("policy_fallback", steering.policy.name, rule)[0] += 1
        if rule == "servfail":
            return plain(SERVFAIL)
        packed = pack_absence(entry.zone, NOERROR, len(query.key), ready.ttl)
        return Verdict(packed, NOERROR, kind)

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

    def _opt(
        self, query: Query, edns: Edns, verdict: Verdict, cookie: bytes, transport: Transport
    ) -> bytes:
        """The OPT record of a reply. What is only for people goes where it would not fit."""
        options = cookie
        if edns.subnet is not None:
            options += compose_subnet(edns.subnet, verdict.scope or 0)
            (self._ecs_unused if verdict.scope is None else self._ecs_used)[0] += 1
        if transport == "tcp" and edns.keepalive:
            options += self._keepalive
        extra = verdict.error
        if edns.nsid and self._nsid is not None:
            extra = self._nsid + extra
        size = HEADER + len(query.question) + _OPT_SIZE + len(options) + len(extra)
        if transport == "tcp" or size <= min(edns.size, self._udp_size):
            options += extra
        return compose_opt(self._udp_size, edns.do, options, verdict.rcode)

    def _compose(
        self, query: Query, verdict: Verdict, opt: bytes, transport: Transport, flags: int = 0
    ) -> bytes:
        """The reply; `flags` are set besides those that follow from the verdict."""
        packed, rcode = verdict.packed, verdict.rcode
        flags |= reply_flags(query.flags, rcode, packed.authoritative)
        limit = PLAIN_UDP if query.edns is None else min(query.edns.size, self._udp_size)
        if transport == "tcp":
            limit = MAX_TCP
        tsig = b""
        if query.signature is not None and rcode == NOTAUTH:
            tsig = compose_bad_key(query.signature)
        reply, cut = compose_reply(query.id, flags, query.question, packed.body, opt, limit, tsig)
        if cut or flags & TC:
            self._ledger.cell("truncated")[0] += 1
        for cell in packed.cells:
            cell[0] += 1
        self._responses[rcode][transport][0] += 1
        return reply
