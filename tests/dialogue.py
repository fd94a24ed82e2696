"""Reading `.case` files: dialogues that somebody who knows dig can read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

ORIGIN = "gslb.example.com."


@dataclass
class Exchange:
    """One question and what its reply holds."""

    title: str
    line: int
    name: str
    type: int
    network: str | None = None
    edns: bool = True
    transport: str = "udp"
    size: int = 1232
    rcode: str = ""
    flags: frozenset[str] = frozenset()
    scope: int | None = None
    ordered: bool = True
    records: dict[str, list[str]] = field(
        default_factory=lambda: {"answer": [], "authority": [], "additional": []}
    )


def read_case(path: Path) -> list[Exchange]:
    """The exchanges of a file."""
    exchanges: list[Exchange] = []
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        words = raw.split(" #")[0].strip()
        if not words or words.startswith("#"):
            continue
        word, _, rest = words.partition(" ")
        if word == "ask":
            exchanges.append(_question(rest.split(), path.stem, number))
            continue
        now = exchanges[-1]
        match word:
            case "rcode":
                now.rcode = rest
            case "flags":
                now.flags = frozenset(rest.split())
            case "scope":
                now.scope = int(rest)
            case "any-order":
                now.ordered = False
            case _:
                owner, tail = rest.strip().split(" ", 1)
                now.records[word].append(f"{_absolute(owner)} {tail}")
    return exchanges


def _absolute(name: str) -> str:
    if name == "@":
        return ORIGIN
    return name if name.endswith(".") else f"{name}.{ORIGIN}"


def _question(words: list[str], stem: str, number: int) -> Exchange:
    rrtype = 65282 if words[1] == "STEER" else dns.rdatatype.from_text(words[1])
    exchange = Exchange(f"{stem}:{number} {' '.join(words)}", number, _absolute(words[0]), rrtype)
    rest = words[2:]
    while rest:
        word = rest.pop(0)
        if word == "from":
            exchange.network = rest.pop(0)
        elif word == "plain":
            exchange.edns = False
        elif word == "tcp":
            exchange.transport = "tcp"
        elif word == "size":
            exchange.size = int(rest.pop(0))
        else:
            raise ValueError(f"{stem}:{number}: what is {word!r}?")
    return exchange


def compose(exchange: Exchange) -> dns.message.Message:
    """The query of an exchange."""
    options = []
    if exchange.network is not None:
        options.append(dns.edns.ECSOption.from_text(exchange.network))
    use_edns = 0 if exchange.edns or options else -1
    query = dns.message.make_query(
        exchange.name, exchange.type, use_edns=use_edns, payload=exchange.size, options=options
    )
    query.flags = dns.flags.Flag(0)
    return query


def compare(exchange: Exchange, query: dns.message.Message, octets: bytes) -> None:
    """Asserts that a reply is well-formed and is what the case says. dnspython is the oracle."""
    reply = dns.message.from_wire(octets, ignore_trailing=False, one_rr_per_rrset=True)
    assert query.is_response(reply), exchange.title
    assert dns.rcode.to_text(reply.rcode()) == exchange.rcode, exchange.title
    flags = {text.lower() for text in dns.flags.to_text(reply.flags).split()} - {"qr"}
    assert flags == exchange.flags, exchange.title
    for section, expected in exchange.records.items():
        rrsets = getattr(reply, section)
        got = [f"{r.name} {r.ttl} {dns.rdatatype.to_text(r.rdtype)} {r[0]}" for r in rrsets]
        if not exchange.ordered:
            got, expected = sorted(got), sorted(expected)
        assert got == expected, f"{exchange.title}: {section}"
    subnets = [option for option in reply.options if option.otype == dns.edns.OptionType.ECS]
    if exchange.network is None:
        assert not subnets, f"{exchange.title}: a client subnet nobody asked for"
    else:
        sent = query.options[0]
        assert [(s.address, s.srclen) for s in subnets] == [(sent.address, sent.srclen)]
        assert subnets[0].scopelen == exchange.scope, f"{exchange.title}: scope"
