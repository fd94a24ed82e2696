"""A state file that an earlier gslb wrote: nothing that it has is lost (health.md, Persistence)."""

import contextlib
import sqlite3
from dataclasses import replace

import pytest
from gslb.control.schema import APPLICATION, VERSION
from gslb.control.statefile import read_only
from gslb.core.health import State
from gslb.core.kept import Memory

from .keeper import NOW, Keeper, happening, kept, override

# As version 1 made and filled it. It is written down: what was released does not change.
FIRST = """
CREATE TABLE override (place INTEGER PRIMARY KEY, kind TEXT, name TEXT, state TEXT, who TEXT,
  why TEXT, at REAL, effective_at REAL, until REAL, UNIQUE (kind, name));
CREATE TABLE health (check_name TEXT, address TEXT, port INTEGER, state INTEGER, since REAL,
  seen_at REAL, PRIMARY KEY (check_name, address, port)) WITHOUT ROWID;
CREATE TABLE alive (one INTEGER PRIMARY KEY, at REAL);
CREATE TABLE event (id INTEGER PRIMARY KEY, at REAL, kind TEXT, object TEXT, before TEXT,
  after TEXT, why TEXT, who TEXT);
INSERT INTO override VALUES (1, 'pool', 'b', 'drain', 'ann', 'kernel upgrade', {now}, {now} + 5,
  NULL);
INSERT INTO override VALUES (2, 'pool', 'a', 'drain', 'ann', 'kernel upgrade', {now}, {now} + 5,
  NULL);
INSERT INTO health VALUES ('web', '192.0.2.1', 80, 2, {now}, {now});
INSERT INTO alive VALUES (1, {now});
INSERT INTO event VALUES (7, {now}, 'transition', 'web/1', 'up', 'down', 'timeout after 2.0 s', '');
PRAGMA application_id = 1735617634;
PRAGMA user_version = 1;
"""
NEW = replace(kept(2, State.DOWN, held=True), silent_s=3.5)
KNOWN = Memory((override("b"), override("a")), (kept(1, State.DOWN),))


@pytest.fixture
async def keeper(tmp_path):
    keeper = Keeper(tmp_path)
    with contextlib.closing(sqlite3.connect(keeper.path)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.executescript(FIRST.format(now=NOW))
    yield keeper
    await keeper.close()


def version(path):
    with contextlib.closing(sqlite3.connect(path)) as base:
        return base.execute("PRAGMA user_version").fetchone()[0]


async def test_a_file_of_the_first_version_is_read_upgraded_and_written(keeper):
    assert APPLICATION == 1735617634
    store, memory = await keeper.open()
    assert memory == KNOWN
    assert [each.object for each in await store.events()] == [happening(1).object]
    assert version(keeper.path) == VERSION
    store.keep_health([NEW])
    assert await store.put_override(override("c"))
    await store.close()
    again = await keeper.remembered()
    assert again.overrides == (*KNOWN.overrides, override("c"))
    assert set(again.health) == {*KNOWN.health, NEW}
    assert (keeper.told, keeper.aside) == ([], [])


def test_a_file_of_the_first_version_that_cannot_be_written_is_read_all_the_same(keeper):
    memory, last, _ = read_only(str(keeper.path), 1.0)
    assert (memory, last) == (KNOWN, 7)
    assert version(keeper.path) == 1


async def test_a_predecessor_of_the_first_version_goes_on_writing(keeper):
    store, _ = await keeper.open()
    with contextlib.closing(sqlite3.connect(keeper.path)) as base, base:
        base.execute(
            "INSERT OR REPLACE INTO health (check_name, address, port, state, since, seen_at) "
            "VALUES ('web', '192.0.2.1', 80, 1, ?, ?)",
            (NOW, NOW),
        )
    await store.close()
    assert (await keeper.remembered()).health == (kept(1, State.UP),)


async def test_one_that_cannot_be_upgraded_is_set_aside_and_its_overrides_taken_over(keeper):
    with contextlib.closing(sqlite3.connect(keeper.path)) as base, base:
        base.execute("DROP TABLE health")
    store, memory = await keeper.open()
    assert memory == Memory(KNOWN.overrides)
    assert store.problem == ""
    assert len(keeper.aside) == len(keeper.told) == 1
    assert version(keeper.aside[0]) == 1
    await store.close()
    assert (await keeper.remembered()).overrides == KNOWN.overrides
