"""Reading the entries of a master file with dnspython's Reader; its only importer.

Knows: how an entry becomes a record in wire form, the STEER pseudo-type, $TTL, $ORIGIN and
$GENERATE. Refuses to know: files, $INCLUDE, and whether the records make a zone. Invariant:
one entry gives records or one complaint, never an exception, and the Reader's memory (origin,
last owner, TTLs) goes on to the next entry either way.

The Reader leaves out data outside its zone without a word, so it is told that its zone is the
root. It reads words, not characters: the splitter has already found them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.transaction
import dns.wire
import dns.zonefile
from dns.tokenizer import Token

from gslb.config.complaint import Complaint, complain_of_error, complain_of_fault
from gslb.config.entry import Entry, Fault
from gslb.config.generate import MAX_GENERATED, generate
from gslb.wire.rrtype import OPT, STEER

MAX_TTL: Final = 2**31 - 1  # RFC 2181 section 8
MAX_RDATA: Final = 65_535
# Types of questions and of the message itself are no data (RFC 6895 section 3.1).
_NO_DATA: Final = frozenset((0, OPT, *range(128, 256)))


class Position(NamedTuple):
    """What $INCLUDE gives back when its file has been read (RFC 1035 section 5.1)."""

    origin: dns.name.Name | None
    owner: dns.name.Name | None


# (owner key, type, TTL, rdata in uncompressed wire form with the file's case)
Keep = Callable[[bytes, int, int, bytes], None]


class _Steer(dns.rdata.Rdata):
    """STEER: one character-string, the name of a policy (config.md)."""

    __slots__ = ["policy"]
    policy: bytes

    def __init__(
        self, rdclass: dns.rdataclass.RdataClass, rdtype: dns.rdatatype.RdataType, policy: bytes
    ) -> None:
        super().__init__(rdclass, rdtype)
        policy.decode()  # a UnicodeDecodeError is a complaint like any other
        if not 1 <= len(policy) <= 255:
            raise ValueError("a policy's name has 1 to 255 octets")
        object.__setattr__(self, "policy", policy)

    @classmethod
    def from_text(  # type: ignore[no-untyped-def]  # as in dnspython
        cls, rdclass, rdtype, tok, origin=None, relativize=True, relativize_to=None
    ) -> _Steer:
        return cls(rdclass, rdtype, tok.get_bytes())

    def _to_wire(self, file, compress=None, origin=None, canonicalize=False):  # type: ignore[no-untyped-def]
        file.write(bytes((len(self.policy),)) + self.policy)

    @classmethod
    def from_wire_parser(  # type: ignore[no-untyped-def]
        cls, rdclass, rdtype, parser: dns.wire.Parser, origin=None
    ) -> _Steer:
        return cls(rdclass, rdtype, parser.get_counted_bytes())


dns.rdata.register_type(_Steer, STEER, "STEER", is_singleton=True)


class _PlainNames(dns.name.IDNACodec):
    """Refuses names outside ASCII: which IDNA would be meant is not ours to guess."""

    def __init__(self) -> None:
        """dnspython's own does nothing and has no types."""

    def encode(self, label: str) -> bytes:
        raise ValueError(f'the name "{label}" is not ASCII')


_PLAIN_NAMES: Final = _PlainNames()


class _Words(dns.tokenizer.Tokenizer):
    """The words of one entry as dnspython's tokens."""

    def __init__(self, entry: Entry) -> None:
        super().__init__("", "", _PLAIN_NAMES)
        self.entry = entry
        self.taken = 0
        self.ended = False
        self.is_leading = entry.indented

    def get(self, want_leading: bool = False, want_comment: bool = False) -> Token:
        token = self.ungotten_token
        if token is not None:
            self.ungotten_token = None
            if want_leading or token.ttype != dns.tokenizer.WHITESPACE:
                return token
        words = self.entry.words
        if self.taken == len(words):
            self.ended = True
            return Token(dns.tokenizer.EOF)
        if want_leading and self._is_after_blank():
            self.is_leading = False
            return Token(dns.tokenizer.WHITESPACE, " ")
        text, quoted, _ = words[self.taken]
        self.taken += 1
        ttype = dns.tokenizer.QUOTED_STRING if quoted else dns.tokenizer.IDENTIFIER
        return Token(ttype, text, "\\" in text)

    def _is_after_blank(self) -> bool:
        if not self.taken:
            return self.is_leading
        before = self.entry.words[self.taken - 1]
        return self.entry.text[before.at + len(before.text) + 2 * before.quoted] in " \t"


class _Root(dns.transaction.TransactionManager):
    """A zone that holds every name."""

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        return dns.name.root, False, dns.name.root


class _Records(dns.transaction.Transaction):
    """A transaction that hands every record on in wire form and keeps none."""

    def __init__(self, keep: Keep) -> None:
        super().__init__(_Root())
        self._keep = keep

    def add(self, *args: object) -> None:
        owner, ttl, rdata = args
        assert isinstance(owner, dns.name.Name)
        assert isinstance(ttl, int)
        assert isinstance(rdata, dns.rdata.Rdata)
        rrtype = int(rdata.rdtype)
        if rrtype in _NO_DATA:
            text = dns.rdatatype.to_text(rdata.rdtype)
            raise ValueError(f"{text} is a type of questions, not of data")
        if ttl > MAX_TTL:
            raise ValueError(f"the TTL {ttl} is above {MAX_TTL}")
        wire = rdata.to_wire()
        if wire is None or len(wire) > MAX_RDATA:
            raise ValueError(f"the data has more than {MAX_RDATA} octets")
        self._keep(_key(owner), rrtype, ttl, wire)

    def _set_origin(self, origin: dns.name.Name | None) -> None:
        """$ORIGIN: nothing to keep, the Reader does."""


class ZoneReader:
    """Reads entries one after the other; `keep` is called with every record.

    `origin` is the text of the first origin; if it is not a name, the file has to say $ORIGIN.
    """

    def __init__(self, origin: str, keep: Keep) -> None:
        self._may_generate = MAX_GENERATED
        words = _Words(Entry("", 1, False, []))
        allowed = ("$TTL", "$ORIGIN")
        self._reader = dns.zonefile.Reader(
            words, dns.rdataclass.IN, _Records(keep), allow_directives=allowed
        )
        name = _name(origin)
        self.position = Position(name, name)

    @property
    def position(self) -> Position:
        """Origin and last owner; setting it back ends an $INCLUDE."""
        return Position(self._reader.current_origin, self._reader.last_name)

    @position.setter
    def position(self, position: Position) -> None:
        self._reader.current_origin, self._reader.last_name = position

    @property
    def owner(self) -> bytes | None:
        """The key of the last owner."""
        owner: dns.name.Name | None = self._reader.last_name
        return None if owner is None else _key(owner)

    def read(self, entry: Entry) -> Complaint | None:
        """Hand the records of an entry to `keep`, or say what is wrong with it."""
        if entry.fault is not None:
            return complain_of_fault(entry, entry.fault)
        if entry.words[0].text.upper() != "$GENERATE" or entry.indented:
            return self._read(entry)
        made = generate(entry, self._may_generate)
        if isinstance(made, Fault):
            return complain_of_fault(entry, made)
        number, entries = made
        self._may_generate -= number
        for one in entries:
            if (said := self.read(one)) is not None:
                return said._replace(line=entry.line, column=1)
        return None

    def _read(self, entry: Entry) -> Complaint | None:
        words = _Words(entry)
        self._reader.tok = words
        try:
            self._reader.read()
        except Exception as error:  # whatever dnspython raises is about this entry
            said = str(error).removeprefix(f":{words.line_number}: ")
            return complain_of_error(entry, words.taken, words.ended, said)
        return None


def _key(name: dns.name.Name) -> bytes:
    """The lower-case wire form; labels are of any octets (RFC 2181 section 11)."""
    return b"".join([bytes((len(label),)) + label for label in name.labels]).lower()


def _name(text: str) -> dns.name.Name | None:
    try:
        return dns.name.from_text(text, dns.name.root, _PLAIN_NAMES)
    except (dns.exception.DNSException, ValueError):
        return None
