"""Notices that a database file was replaced.

Knows: a file's fingerprint (time, size, inode) and that one which is still being written has
to wait. Refuses to know: databases, timers: `look` is called every few seconds by whoever
owns the clock. Invariant: a change is reported once, and only after two looks in a row have
seen the same file; a file that has gone is no change (the map in use stays).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What changes when a file is replaced or written to."""

    mtime_ns: int
    size: int
    inode: int


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """The fingerprint in a file's status."""
    return Fingerprint(status.st_mtime_ns, status.st_size, status.st_ino)


def fingerprint(path: str) -> Fingerprint | None:
    """The file's fingerprint, None if it cannot be seen."""
    try:
        return fingerprint_of(os.stat(path))
    except OSError:
        return None


class Watch:
    """Make it before the databases are opened, so that no replacement falls in between."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._known = {path: fingerprint(path) for path in paths}
        self._seen = dict(self._known)

    def look(self) -> tuple[str, ...]:
        """The files that are new since the last report and have kept still since the last look."""
        changed = []
        for path, known in self._known.items():
            current = fingerprint(path)
            if current is not None and current != known and current == self._seen[path]:
                self._known[path] = current
                changed.append(path)
            self._seen[path] = current
        return tuple(changed)
