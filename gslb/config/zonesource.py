"""The text of a zone file, however bad the file is.

Knows: how a file is opened without waiting, how large it may be, that it is UTF-8 text.
Refuses to know: what stands in it. Invariant: at most what the budget allows is read into
memory, a device or a pipe is never waited for, and the text's lines end in "\\n".
"""

from __future__ import annotations

import os
import re
import stat
from hashlib import blake2b
from typing import Final

MAX_OCTETS: Final = 64 * 1024 * 1024
_BLOCK: Final = 4096
# RFC 1035 section 5.1 knows blanks and line ends only; a NUL says that this is no text at all.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


class SourceError(Exception):
    """A file that cannot be used; line and column 0 if nothing of it can."""

    def __init__(self, what: str, hint: str, line: int = 0, column: int = 0) -> None:
        super().__init__(what)
        self.what: Final = what
        self.hint: Final = hint
        self.line: Final = line
        self.column: Final = column


class Budget:
    """Octets that one zone may still read, over all its files; `digests` of what it has read."""

    def __init__(self, octets: int = MAX_OCTETS) -> None:
        self._octets: Final = octets
        self._left = octets
        self.digests: Final[dict[str, bytes]] = {}

    def read(self, path: str) -> str:
        """The text of a file. Raises SourceError."""
        try:
            data = self._read(path)
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise SourceError(what, "mend it or take it away") from error
        data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if (found := _CONTROL.search(data)) is not None:
            what = f"is not text: it has the octet 0x{found[0].hex()}"
            raise SourceError(what, "write octets as \\DDD", *_place(data, found.start()))
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            hint = "save it as UTF-8, or write octets as \\DDD"
            raise SourceError("is not UTF-8", hint, *_place(data, error.start)) from error

    def _read(self, path: str) -> bytes:
        # O_NONBLOCK: opening a pipe must not wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SourceError("cannot be read: it is no regular file", "take it away")
        with open(descriptor, "rb") as file:
            data = file.read(self._left + 1)
        if len(data) > self._left:
            what = f"a zone's files have more than {self._octets >> 20} MiB"
            raise SourceError(what, "split the zone")
        # Even an empty file costs a block, so that files which include many files come to an end.
        self._left = max(0, self._left - max(len(data), _BLOCK))
        self.digests[path] = digest(data)
        return data


def digest(data: bytes) -> bytes:
    """What tells whether a file is still the one that was read."""
    return blake2b(data, digest_size=16).digest()


def _place(data: bytes, at: int) -> tuple[int, int]:
    """Line and column of an octet; what stands before it on its line is UTF-8."""
    start = data.rfind(b"\n", 0, at) + 1
    return data.count(b"\n", 0, at) + 1, len(data[start:at].decode(errors="replace")) + 1
