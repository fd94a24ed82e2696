"""The shape of the state file, and how one of an earlier version gets it.

Knows: its marks, its tables, what each version added. Refuses to know: how statements are run,
what a row means (staterow.py). Invariant: whatever version a file has, what leads from it to this
one loses nothing; a version that was ever released is never changed, the next one is added.
"""

from __future__ import annotations

from typing import Final

from gslb.control.staterow import HEALTH

APPLICATION: Final = 0x67736C62  # "gslb", in the file's header (PRAGMA application_id)
VERSION: Final = 2  # PRAGMA user_version

_NEW: Final = """
CREATE TABLE override (place INTEGER PRIMARY KEY, kind TEXT, name TEXT, state TEXT, who TEXT,
  why TEXT, at REAL, effective_at REAL, until REAL, UNIQUE (kind, name));
CREATE TABLE health (check_name TEXT, address TEXT, port INTEGER, state INTEGER, since REAL,
  seen_at REAL, held INTEGER DEFAULT 0, silent_s REAL, before INTEGER DEFAULT 0,
  reasons TEXT DEFAULT '[]', turns TEXT DEFAULT '[]', PRIMARY KEY (check_name, address, port))
  WITHOUT ROWID;
CREATE TABLE alive (one INTEGER PRIMARY KEY, at REAL);
CREATE TABLE event (id INTEGER PRIMARY KEY, at REAL, kind TEXT, object TEXT, before TEXT,
  after TEXT, why TEXT, who TEXT);
"""
# The statements that make a file of a version, 0 being an empty one, a file of this one.
UPGRADES: Final = {
    0: tuple(_NEW.split(";")[:-1]),
    1: (
        "ALTER TABLE health ADD COLUMN held INTEGER DEFAULT 0",
        "ALTER TABLE health ADD COLUMN silent_s REAL",
        "ALTER TABLE health ADD COLUMN before INTEGER DEFAULT 0",
        "ALTER TABLE health ADD COLUMN reasons TEXT DEFAULT '[]'",
        "ALTER TABLE health ADD COLUMN turns TEXT DEFAULT '[]'",
    ),
    VERSION: (),
}


def health_columns(version: int) -> str:
    """`HEALTH`, of a file that cannot be upgraded because it is read-only."""
    first, _, _ = HEALTH.partition(", held")
    return HEALTH if version > 1 else f"{first}, 0, NULL, 0, '[]', '[]'"
