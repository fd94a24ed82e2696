"""A state file that is none of ours, or no longer: set aside, and a new one begins."""

import contextlib
import os
import random
import shutil
import sqlite3

import pytest
from gslb.core.health import State
from gslb.core.kept import Memory

from .keeper import NOW, ROWS, Keeper, fill, happening, kept, override, overrides, until


@pytest.fixture
async def keeper(tmp_path):
    keeper = Keeper(tmp_path / "state")
    yield keeper
    await keeper.close()


def put_random(path, start, size):
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(random.Random(size).randbytes(size))


def make_foreign(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE accounts (money)")


def mark(path, statement):
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute(statement)


BROKEN = {
    "random header": lambda path: put_random(path, 0, 100),
    "random first page": lambda path: put_random(path, 100, 3000),
    "all random": lambda path: put_random(path, 0, path.stat().st_size),
    "truncated": lambda path: os.truncate(path, 5000),
    "truncated to less than a header": lambda path: os.truncate(path, 50),
    "text": lambda path: path.write_text("Dear diary,\n" * 1000),
    "foreign database": make_foreign,
    "other application": lambda path: mark(path, "PRAGMA application_id = 1"),
    "newer version": lambda path: mark(path, "PRAGMA user_version = 99"),
    "no table": lambda path: mark(path, "DROP TABLE event"),
    "impossible state": lambda path: mark(path, "UPDATE health SET state = 9 WHERE port = 80"),
    "impossible override": lambda path: mark(path, "UPDATE override SET kind = 'moon'"),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_file_that_is_none_is_set_aside_and_a_new_one_begins(keeper, how):
    await fill(keeper)
    BROKEN[how](keeper.path)
    broken = keeper.path.read_bytes()
    store, memory = await keeper.open()
    assert set(memory.overrides) <= set(overrides("a", "b", "c"))
    assert memory.health == ()
    assert store.problem == ""
    assert await store.put_override(override("new"))
    await store.close()
    (aside,) = keeper.aside
    assert aside.read_bytes() == broken
    (told,) = keeper.told
    assert str(aside) in told
    assert (await keeper.remembered()).overrides == (*memory.overrides, override("new"))


@pytest.mark.parametrize("how", ["newer version", "no table", "impossible state"])
async def test_overrides_that_can_still_be_read_are_taken_over(keeper, how):
    await fill(keeper)
    BROKEN[how](keeper.path)
    assert (await keeper.remembered()).overrides == overrides("a", "b", "c")
    assert (await keeper.remembered()).overrides == overrides("a", "b", "c")


@pytest.mark.parametrize("what", ["fifo", "directory"])
async def test_what_has_the_name_of_the_file_and_is_no_file_is_set_aside(keeper, what):
    keeper.folder.mkdir()
    if what == "fifo":
        os.mkfifo(keeper.path)
    else:
        keeper.path.mkdir()
    store, memory = await keeper.open()
    assert memory == Memory()
    assert await store.put_override(override())
    assert len(keeper.aside) == len(keeper.told) == 1


@pytest.mark.parametrize("seed", range(12))
async def test_wherever_it_is_damaged_there_is_a_store_afterwards(keeper, seed):
    await fill(keeper)
    dice = random.Random(seed)
    for _ in range(3):
        start = dice.randrange(keeper.path.stat().st_size)
        put_random(keeper.path, start, dice.choice((1, 50, 4096)))
    store, memory = await keeper.open()
    for number in range(300):
        store.keep_event(happening(number))
    await store.events()
    store.keep_health(kept(number, State.UP) for number in range(ROWS))
    assert await store.put_override(override("new"))
    store.forget_health([])
    assert await store.put_override(override("newer"))
    await store.close()
    again = await keeper.remembered()
    assert again.overrides == (*memory.overrides, *overrides("new", "newer"))
    assert again.health == ()


async def test_damage_that_is_met_while_running_costs_nothing_that_is_in_memory(keeper):
    await fill(keeper)
    store, _ = await keeper.open()
    put_random(keeper.path, 0, keeper.path.stat().st_size)
    store.keep_health([kept(1, State.UP)])
    assert await store.put_override(override("d"))
    await store.events()
    assert await store.put_override(override("e"))
    await store.close()
    memory = await keeper.remembered()
    assert memory.overrides == overrides("a", "b", "c", "d", "e")
    assert len(memory.health) == ROWS


async def test_a_file_that_is_emptied_under_the_server_is_written_whole_again(keeper, tmp_path):
    store, _ = await keeper.open()
    for name in "abc":  # all of it is in the WAL, which SQLite drops beside an empty file
        assert await store.put_override(override(name))
    os.truncate(keeper.path, 0)
    assert await store.put_override(override("d"))
    copy = Keeper(tmp_path / "copy")  # as a kill at this moment leaves it
    shutil.copytree(keeper.folder, copy.folder)
    assert (await copy.remembered()).overrides == overrides("a", "b", "c", "d")
    assert len(keeper.aside) == len(keeper.told) == 1


async def test_a_link_to_what_is_not_there_is_a_problem_until_it_is(keeper):
    keeper.folder.mkdir()
    keeper.path.symlink_to(keeper.folder / "mounted later" / "state.db")
    store, _ = await keeper.open()
    assert not await store.put_override(override("a"))
    assert store.problem.endswith("mounted later/state.db, which is not there")
    (keeper.folder / "mounted later").mkdir()
    await until(lambda: not store.problem)
    assert (await keeper.remembered()).overrides == overrides("a")


@pytest.mark.parametrize("cut", [1, 100, 4120, 20_000])
async def test_a_torn_wal_costs_what_was_torn_and_no_more(keeper, tmp_path, cut):
    store, _ = await keeper.open()
    names = [f"{number:02}" for number in range(10)]
    for name in names:
        assert await store.put_override(override(name))
    copy = Keeper(tmp_path / "copy")
    copy.folder.mkdir()
    for name in ("state.db", "state.db-wal"):
        (copy.folder / name).write_bytes((keeper.folder / name).read_bytes())
    wal = copy.folder / "state.db-wal"
    os.truncate(wal, wal.stat().st_size - cut)
    found = [each.name for each in (await copy.remembered()).overrides]
    assert found == names[: len(found)]
    assert len(found) < len(names)
    assert copy.told == []


async def test_of_what_was_set_aside_the_last_three_are_kept(keeper):
    for number in range(5):
        keeper.folder.mkdir(exist_ok=True)
        keeper.path.write_text(f"diary {number}\n" * 100)
        store, _ = await keeper.open(clock=lambda number=number: NOW + number // 2)
        await store.close()
    assert [path.read_text()[:7] for path in keeper.aside] == ["diary 2", "diary 3", "diary 4"]
