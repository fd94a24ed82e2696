"""The state store in trouble: it says so, loses nothing that it has, and recovers by itself."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from gslb.control.rhythm import Rhythm
from gslb.core.health import State
from gslb.core.kept import Memory

from .keeper import HURRY, ROWS, Keeper, fill, happening, kept, override, overrides, until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@pytest.fixture
async def keeper(tmp_path):
    keeper = Keeper(tmp_path / "state")
    yield keeper
    await keeper.close()


@pytest.fixture
def mounted(tmp_path):
    """A small file system of its own; called with other options it is mounted anew."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options):
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True
        )

    if mount("size=512k").returncode:
        pytest.skip("mount(8) is not allowed here")
    yield place, lambda options: mount(f"remount,{options}").check_returncode()
    subprocess.run(["umount", "-l", place], check=True)


def fill_disk(path):
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


KILLED = (
    "import asyncio, os, signal, sys\n"
    "from gslb.control.state import StateStore\n"
    "from tests.control.keeper import override\n"
    "async def main():\n"
    "    store = StateStore(sys.argv[1])\n"
    "    await store.open()\n"
    "    assert await store.put_override(override('a'))\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
    "asyncio.run(main())\n"
)


def be_killed(folder):
    """A server that had one override acknowledged and was killed."""
    run = subprocess.run([sys.executable, "-c", KILLED, folder], cwd=Path(__file__).parents[2])
    assert run.returncode == -signal.SIGKILL


# ---- a disk that takes nothing --------------------------------------------------------------


@needs_root
async def test_a_full_disk_is_told_once_and_what_waited_is_there_when_it_has_room(mounted):
    place, _ = mounted
    keeper = Keeper(place)
    store, _ = await keeper.open()
    assert await store.put_override(override("before"))
    fill_disk(place / "ballast")
    for number in range(40):  # a WAL takes what is left of its pages first
        if not await store.put_override(override("while", why=str(number) * 4000)):
            break
    else:
        pytest.fail("the disk is not full")
    assert "the disk is full" in store.problem
    assert str(keeper.path) in store.problem
    assert not await store.drop_override("pool", "before")
    store.keep_health([kept()])
    event = store.keep_event(happening())
    assert (await store.events())[-1] == event
    assert len(keeper.told) == 1
    (place / "ballast").unlink()
    await until(lambda: not store.problem)
    assert await store.put_override(override("after"))
    await until(lambda: keeper.told[-1] == "")
    assert len(keeper.told) == 2
    assert (await store.events())[-1] == event
    await store.close()
    memory = await keeper.remembered()
    assert [each.name for each in memory.overrides] == ["while", "after"]
    assert memory.health == (kept(),)


async def test_a_file_that_may_not_grow_is_a_problem_until_it_may(keeper):
    store, _ = await keeper.open()
    assert await store.put_override(override("before"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        assert not await store.put_override(override("while"))
        assert store.problem.startswith(str(keeper.path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await until(lambda: not store.problem)
    assert (await keeper.remembered()).overrides == overrides("before", "while")


@needs_root
async def test_a_read_only_disk_is_read_and_written_once_it_can_be(mounted):
    place, remount = mounted
    keeper = Keeper(place)
    await fill(keeper)
    remount("ro")
    store, memory = await keeper.open()
    assert memory.overrides == overrides("a", "b", "c")
    assert len(memory.health) == ROWS
    assert not await store.put_override(override("d"))
    assert "read-only" in store.problem
    assert len(keeper.told) == 1
    remount("rw")
    await until(lambda: not store.problem)
    assert (await keeper.remembered()).overrides == overrides("a", "b", "c", "d")


@needs_root
@pytest.mark.parametrize("lost", ["", "state.db-shm"])
async def test_after_a_kill_on_a_read_only_disk_what_was_acknowledged_is_remembered(mounted, lost):
    place, remount = mounted
    be_killed(place)
    if lost:
        (place / lost).unlink()
    remount("ro")
    keeper = Keeper(place)
    store, memory = await keeper.open()
    assert memory.overrides == overrides("a")
    await store.close()


async def test_a_directory_that_cannot_be_made_is_a_problem_until_it_can(tmp_path):
    obstacle = tmp_path / "state"
    obstacle.write_text("a file where a directory should be")
    keeper = Keeper(obstacle / "below")
    store, memory = await keeper.open()
    assert memory == Memory()
    assert "state" in store.problem
    for each in (override("a"), override("gone"), override("b"), override("a", state="down")):
        assert not await store.put_override(each)
    assert not await store.drop_override("pool", "gone")
    store.keep_health([kept()])
    event = store.keep_event(happening())
    assert await store.events() == (event,)
    obstacle.unlink()
    await until(lambda: not store.problem)
    assert await store.events() == (event,)
    assert len(keeper.told) == 2
    await store.close()
    both = (override("b"), override("a", state="down"))
    assert await keeper.remembered() == Memory(both, (kept(),))


@pytest.mark.parametrize("what", ["directory", "file", "WAL", "another in its place"])
async def test_what_is_removed_under_the_server_is_written_whole_again(keeper, what):
    await fill(keeper)
    store, _ = await keeper.open()
    assert await store.put_override(override("d"))
    names = ["state.db", "state.db-wal", "state.db-shm"]
    for name in names[1:2] if what == "WAL" else names:
        (keeper.folder / name).unlink()
    if what == "directory":
        keeper.folder.rmdir()
    if what == "another in its place":
        other, _ = await keeper.open()
        await other.put_override(override("not ours"))
        await other.close()
    assert await store.put_override(override("e"))
    store.keep_health([kept(1, State.UP)])
    await store.close()
    memory = await keeper.remembered()
    assert memory.overrides == overrides("a", "b", "c", "d", "e")
    assert {each.target: each.state for each in memory.health} == {
        kept(number).target: State.UP if number == 1 else State.DOWN for number in range(ROWS)
    }
    assert keeper.told == []


async def test_a_problem_that_lasts_is_told_once_a_minute_and_no_more(tmp_path):
    (tmp_path / "state").write_text("")
    often = Keeper(tmp_path / "state/below")
    impatient = Rhythm(write_s=0.0, retry_s=0.0, longest_retry_s=0.0, tell_s=0.0)
    await often.open(impatient)
    await until(lambda: len(often.told) > 5)
    await often.close()
    seldom = Keeper(tmp_path / "state/below")
    store, _ = await seldom.open()
    for _ in range(20):
        assert not await store.put_override(override())
    await seldom.close()
    assert len(seldom.told) == 1


# ---- others at the same file ----------------------------------------------------------------

LOCK = (
    "import sqlite3, sys\n"
    "base = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "base.execute('PRAGMA locking_mode=EXCLUSIVE')\n"
    "base.execute('BEGIN EXCLUSIVE')\n"
    "base.execute('SELECT count(*) FROM override').fetchall()\n"
    "print('locked', flush=True)\n"
    "sys.stdin.read()\n"
)


@contextlib.contextmanager
def locked(path):
    """While this is open another process has the file for itself."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"locked\n"
        yield
        process.stdin.close()
        process.wait()


async def test_a_file_that_somebody_has_locked_is_read_and_written_when_it_is_free(keeper):
    await fill(keeper)
    with locked(keeper.path):
        store, memory = await keeper.open()
        assert memory == Memory()
        assert "another process has it locked" in store.problem
        assert not await store.put_override(override("d"))
        assert not await store.drop_override("pool", "b")
    await until(lambda: not store.problem)
    assert (await store.reread()).overrides == overrides("a", "c", "d")
    assert (await keeper.remembered()).overrides == overrides("a", "c", "d")
    assert len((await keeper.remembered()).health) == ROWS
    assert keeper.aside == []


async def test_nobody_waits_for_a_disk_that_does_not_answer(keeper):
    await fill(keeper)
    with locked(keeper.path):  # SQLite waits a second for it
        hasty = replace(HURRY, patience_s=0.01, busy_s=1.0)
        store, memory = await keeper.open(hasty)
        assert memory == Memory()
        assert not await store.put_override(override("d"))
        assert store.problem
    await until(lambda: not store.problem)
    assert (await keeper.remembered()).overrides == overrides("a", "b", "c", "d")
