"""Reading `.case` files: dialogues that somebody who knows dig can read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

ORIGIN = "gslb.example.com."
PEER = "150.7.7.7"
SECTIONS = ("answer", "authority", "additional")
OPTIONS = {
    "nsid": 3,
    "expire": 9,
    "cookie": 10,
    "keepalive": 11,
    "padding": 12,
    "ede": 15,
}


@dataclass
class Exchange:
    """One question and what its reply holds. `options` are (code, data) without client subnet."""

    title: str
    line: int
    name: str
    type: int
    network: str | None = None
    edns: bool = True
    transport: str = "udp"
    size: int = 1232
    peer: str = PEER
    rdclass: str = "IN"
    opcode: str = "QUERY"
    version: int = 0
    do: bool = False
    asked: list[tuple[int, bytes]] = field(default_factory=list)
    rcode: str = ""
    flags: frozenset[str] = frozenset()
    scope: int | None = None
    ordered: bool = True
    options: list[tuple[int, bytes]] = field(default_factory=list)
    records: dict[str, list[str]] = field(
        default_factory=lambda: {section: [] for section in SECTIONS}
    )


def read_case(path: Path) -> list[Exchange]:
    """The exchanges of a file."""
    exchanges: list[Exchange] = []
    origin = ORIGIN
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        words = raw.split(" #")[0].strip()
        if not words or words.startswith("#"):
            continue
        word, _, rest = words.partition(" ")
        if word == "origin":
            origin = rest.strip()
            continue
        if word == "ask":
            exchanges.append(_question(rest.split(), origin, path.stem, number))
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
            case "option":
                code, _, data = rest.partition(" ")
                now.options.append((_code(code), _octets(data)))
            case "ede":  # RFC 8914 section 2: a number, perhaps with a text
                info, _, text = rest.partition(" ")
                now.options.append((OPTIONS["ede"], int(info).to_bytes(2, "big") + _octets(text)))
            case _:
                owner, tail = rest.strip().split(" ", 1)
                now.records[word].append(f"{_absolute(owner, origin)} {tail}")
    return exchanges


def _absolute(name: str, origin: str) -> str:
    if name == "@":
        return origin
    return name if name.endswith(".") else f"{name}.{origin}"


def _code(word: str) -> int:
    return OPTIONS[word] if word in OPTIONS else int(word)


def _octets(word: str) -> bytes:
    """Text in quotes, or hexadecimal."""
    return word.strip('"').encode() if word.startswith('"') else bytes.fromhex(word)


def _question(words: list[str], origin: str, stem: str, number: int) -> Exchange:
    rrtype = 65282 if words[1] == "STEER" else dns.rdatatype.from_text(words[1])
    title = f"{stem}:{number} {' '.join(words)}"
    exchange = Exchange(title, number, _absolute(words[0], origin), rrtype)
    rest = words[2:]
    while rest:
        match rest.pop(0):
            case "from":
                exchange.network = rest.pop(0)
            case "plain":
                exchange.edns = False
            case "tcp":
                exchange.transport = "tcp"
            case "size":
                exchange.size = int(rest.pop(0))
            case "peer":
                exchange.peer = rest.pop(0)
            case "class":
                exchange.rdclass = rest.pop(0)
            case "opcode":
                exchange.opcode = rest.pop(0)
            case "version":
                exchange.version = int(rest.pop(0))
            case "do":
                exchange.do = True
            case "option":
                code = _code(rest.pop(0))
                has_data = bool(rest) and _is_hex(rest[0])
                exchange.asked.append((code, bytes.fromhex(rest.pop(0)) if has_data else b""))
            case word:
                raise ValueError(f"{stem}:{number}: what is {word!r}?")
    return exchange


def _is_hex(word: str) -> bool:
    return not len(word) % 2 and not set(word) - set("0123456789abcdef")


def compose(exchange: Exchange) -> dns.message.Message:
    """The query of an exchange."""
    options: list[dns.edns.Option] = []
    if exchange.network is not None:
        options.append(dns.edns.ECSOption.from_text(exchange.network))
    options += [dns.edns.GenericOption(code, data) for code, data in exchange.asked]
    has_edns = exchange.edns or bool(options)
    query = dns.message.make_query(exchange.name, exchange.type, exchange.rdclass)
    query.flags = dns.flags.Flag(0)
    query.set_opcode(dns.opcode.from_text(exchange.opcode))
    if has_edns:
        flags = dns.flags.DO if exchange.do else 0
        query.use_edns(exchange.version, flags, exchange.size, options=options)
    return query


def compare(exchange: Exchange, query: dns.message.Message, octets: bytes) -> None:
    """Asserts that a reply is well-formed and is what the case says. dnspython is the oracle."""
    reply = dns.message.from_wire(octets, ignore_trailing=False, one_rr_per_rrset=True)
    assert query.is_response(reply), exchange.title
    assert dns.rcode.to_text(reply.rcode()) == exchange.rcode, exchange.title
    flags = {text.lower() for text in dns.flags.to_text(reply.flags).split()} - {"qr"}
    assert flags == exchange.flags, exchange.title
    for section in SECTIONS:
        got = [
            f"{r.name} {r.ttl} {dns.rdatatype.to_text(r.rdtype)} {r[0]}"
            for r in getattr(reply, section)
        ]
        expected = exchange.records[section]
        if not exchange.ordered:
            got, expected = sorted(got), sorted(expected)
        assert got == expected, f"{exchange.title}: {section}"
    assert reply.edns == (0 if query.edns >= 0 else -1), f"{exchange.title}: OPT"
    assert reply.ednsflags & 0xFFFF == (dns.flags.DO if exchange.do else 0), exchange.title
    subnets = [option for option in reply.options if option.otype == dns.edns.OptionType.ECS]
    others = [(int(o.otype), o.to_wire()) for o in reply.options if o not in subnets]
    assert sorted(others) == sorted(exchange.options), f"{exchange.title}: options"
    if exchange.network is None:
        assert not subnets, f"{exchange.title}: a client subnet nobody asked for"
    else:
        sent = query.options[0]
        assert [(s.address, s.srclen) for s in subnets] == [(sent.address, sent.srclen)]
        assert subnets[0].scopelen == exchange.scope, f"{exchange.title}: scope"
