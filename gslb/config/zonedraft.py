"""A zone as it is written: its records with their places, before anybody judged them.

Knows: a zone file and the files it includes, entry by entry. Refuses to know: what makes a
zone right (zonecheck). Invariant: every bad entry is in `errors`, reading goes on after it, and
`is_whole` tells those who look for what is missing whether they would be misled.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from gslb.config.entry import Entry, split
from gslb.config.report import MOST_PROBLEMS, Report, quote
from gslb.config.zonefile import Position, ZoneReader
from gslb.config.zonesource import Budget, SourceError
from gslb.errors import Where
from gslb.wire.rrtype import SOA, STEER

MAX_DEPTH: Final = 8
_NO_ZONE: Final = "write an SOA and NS records, or take it away"
_NEEDED: Final = frozenset(("SOA", "NS", "$INCLUDE"))


class Record(NamedTuple):
    """A record as it stands in the file; `place` is for `Draft.where`."""

    type: int
    ttl: int
    rdata: bytes
    place: int


class Steered(NamedTuple):
    """A STEER record: owner key, policy name, TTL, the place of the policy's name."""

    owner: bytes
    policy: str
    ttl: int
    where: Where


class Draft:
    """The records of one zone by owner key, and what is wrong with them."""

    def __init__(self, shown: str) -> None:
        self.shown: Final = shown
        self.errors: Final = Report()
        self.warnings: Final = Report()
        self.apex: bytes | None = None  # the owner of the first SOA, or the file's first origin
        self.is_apex_sure = False
        self.is_whole = True
        self.unread: set[str] = set()  # of _NEEDED, the words of entries that could not be read
        self.records: dict[bytes, list[Record]] = {}
        self.steers: list[Steered] = []
        self.count = 0
        self.files: list[str] = []
        self.digests: dict[str, bytes] = {}  # of the files by their paths

    def lacks(self, rrtype: str) -> bool:
        """Whether a type that was not found cannot be in an entry that could not be read."""
        return not self.unread & {rrtype, "$INCLUDE"}

    def where(self, place: int) -> Where:
        """A place of a record: the file's number and the line, packed to be small."""
        return Where(self.files[place >> 32], place & 0xFFFF_FFFF, 1)

    def where_is(self, owner: bytes, rrtype: int, rdata: bytes | None = None) -> Where:
        """Where the first record of a type at an owner stands, or the one with this data."""
        for record in self.records[owner]:
            if record.type == rrtype and rdata in (None, record.rdata):
                return self.where(record.place)
        raise KeyError("the draft has no such record")


def read_draft(folder: str, name: str, shown: str, records: int) -> Draft:
    """The zone file `name` of a folder that messages call `shown`; never raises.

    Reading stops after that many `records`.
    """
    # A file name may be any octets; what is shown can be printed.
    printable = os.fsencode(name).decode(errors="backslashreplace")
    draft = Draft(os.path.join(shown, printable))
    _DraftReader(draft, folder, name, records).read(name, draft.shown)
    return draft


class _DraftReader:
    """Fills a draft: one Reader for the zone file and all that it includes."""

    def __init__(self, draft: Draft, folder: str, name: str, records: int) -> None:
        self._draft: Final = draft
        self._most: Final = records
        self._folder: Final = folder
        self._root: Final = os.path.join(os.path.realpath(folder), "")
        self._reader: Final = ZoneReader(name.removesuffix(".zone"), self._keep)
        self._start: Final = self._reader.owner
        self._budget: Final = Budget()
        draft.digests = self._budget.digests
        self._open: list[str] = []  # the real paths of the files being read, outermost first
        self._entry = Entry("", 0, False, [])
        self._failures = 0
        self._is_over = False
        self._place = 0
        self._has_soa = False

    def read(self, name: str, shown: str) -> None:
        """Read the zone file, and judge what its apex is."""
        draft = self._draft
        try:
            text = self._budget.read(os.path.join(self._folder, name))
            if not text.strip():
                raise SourceError("is empty", _NO_ZONE)
        except SourceError as error:
            self._fail()
            draft.errors.error(Where(shown, error.line, error.column), "", error.what, error.hint)
            return
        self._read_text(os.path.join(self._folder, name), shown, text)
        if not draft.count and draft.is_whole:
            draft.unread |= _NEEDED  # said here, once
            draft.errors.error(Where(shown), "", "has no record", _NO_ZONE)
        draft.is_apex_sure = draft.apex is not None
        draft.apex = draft.apex or self._start

    def _read_text(self, path: str, shown: str, text: str) -> None:
        draft = self._draft
        draft.files.append(shown)
        self._open.append(os.path.realpath(path))
        number = (len(draft.files) - 1) << 32
        for entry in split(text):
            self._entry, self._place = entry, number | entry.line
            if entry.words and not entry.indented and entry.words[0].text.upper() == "$INCLUDE":
                self._include(entry, path, shown)
            elif (complaint := self._reader.read(entry)) is not None:
                where = Where(shown, complaint.line, complaint.column)
                self._complain(entry, where, complaint.what, complaint.hint)
            if draft.count > self._most:
                self._exceed(Where(shown, entry.line))
                break
            if self._failures >= MOST_PROBLEMS:
                draft.errors.error(Where(shown, entry.line), "", "reading stopped here")
                draft.unread |= _NEEDED
                break
        self._open.pop()

    def _exceed(self, where: Where) -> None:
        """Too many records; said once, whatever includes this file."""
        if not self._is_over:
            what = f"more than {self._most} records in one zone"
            self._draft.errors.exceed(where, "", what, "zone")
        self._is_over = True
        self._draft.is_whole = False
        self._draft.unread |= _NEEDED

    def _include(self, entry: Entry, path: str, shown: str) -> None:
        """$INCLUDE FILE [ORIGIN], relative to the file that says it."""
        where = Where(shown, entry.line, 1)
        if entry.fault is not None or not 2 <= len(entry.words) <= 3:
            self._complain(entry, where, "this is no $INCLUDE", "write $INCLUDE FILE [ORIGIN]")
            return
        name = entry.words[1].text
        inner = os.path.join(os.path.dirname(path), name)
        inner_shown = os.path.normpath(os.path.join(os.path.dirname(shown), name))
        real = os.path.realpath(inner)
        if not real.startswith(self._root):
            what = f"{quote(name)} is outside the zones folder"
            self._complain(entry, where, what, "move it into the folder")
        elif real in self._open:
            circle = [*self._open[self._open.index(real) :], real]
            names = " → ".join(step.removeprefix(self._root) for step in circle)
            what = f"the files include each other: {names}"
            self._complain(entry, where, what, "take one $INCLUDE away")
        elif len(self._open) > MAX_DEPTH:
            what = f"$INCLUDE is more than {MAX_DEPTH} files deep"
            self._complain(entry, where, what, "include fewer files in one another")
        else:
            self._read_include(entry, inner, inner_shown, where)

    def _read_include(self, entry: Entry, path: str, shown: str, where: Where) -> None:
        before: Position = self._reader.position
        for origin in entry.words[2:]:
            directive = entry.words[0]._replace(text="$ORIGIN")
            asked = Entry(entry.text, entry.line, False, [directive, origin])
            if (complaint := self._reader.read(asked)) is not None:
                self._complain(entry, where, complaint.what, complaint.hint)
                return
        try:
            text = self._budget.read(path)
        except SourceError as error:
            if error.line:
                where = Where(shown, error.line, error.column)
            what = f"the file {quote(entry.words[1].text)} {error.what}"
            self._complain(entry, where, what, error.hint)
        else:
            self._read_text(path, shown, text)
        # Origin and last owner come back; a $TTL stays, as with BIND and NSD.
        self._reader.position = before

    def _complain(self, entry: Entry, where: Where, what: str, hint: str) -> None:
        """A bad entry; what it would have been is unknown, and so is what is missing."""
        draft = self._draft
        unread = _NEEDED & {word.text.upper() for word in entry.words}
        draft.unread |= unread if entry.words else _NEEDED
        if "SOA" in unread and draft.apex is None:
            draft.apex = self._reader.owner
        self._fail()
        draft.errors.error(where, entry.quote(), what, hint)

    def _fail(self) -> None:
        self._draft.is_whole = False
        self._failures += 1

    def _keep(self, owner: bytes, rrtype: int, ttl: int, rdata: bytes) -> None:
        draft = self._draft
        draft.count += 1
        if rrtype == SOA and not self._has_soa:
            draft.apex = owner
            self._has_soa = True
        if rrtype == STEER:
            file = draft.files[self._place >> 32]
            where = Where(file, *self._entry.place(self._entry.words[-1].at))
            draft.steers.append(Steered(owner, rdata[1:].decode(), ttl, where))
        record = Record(rrtype, ttl, rdata, self._place)
        if (records := draft.records.get(owner)) is None:
            draft.records[owner] = [record]
        else:
            records.append(record)
