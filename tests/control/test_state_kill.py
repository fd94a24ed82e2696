"""kill -9 at random moments: what was acknowledged is there afterwards (health.md, Persistence)."""

import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from .keeper import Keeper

KILLS = 30
ROOT = Path(__file__).parents[2]


def prepare(folder, name):
    """A process that is about to begin."""
    words = [sys.executable, "-m", "tests.control.state_child", folder, name]
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def begin(process):
    process.stdin.write("\n")
    process.stdin.flush()


def kill_after(process, lines):
    """The lines that it printed; killed in the middle of whatever it did after so many of them."""
    with process:
        seen = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        rest, complaint = process.stdout.read(), process.stderr.read()
        assert complaint == ""
    assert all(seen), "it lived to be killed"
    return [line.split() for line in ("".join(seen) + rest).splitlines()]


def replay(names, lines):
    """The overrides there are after what was acknowledged."""
    for act, what in lines:
        if act == "put":
            names.append(what)
        elif act == "drop":
            with suppress(ValueError):  # its put was not acknowledged
                names.remove(what)


@pytest.mark.timeout(300)
async def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path):
    keeper = Keeper(tmp_path / "state")
    dice = random.Random(os.environ.get("GSLB_KILL_SEED"))
    names, last_event = [], 0
    coming = prepare(keeper.folder, "run0")
    for kill in range(KILLS):
        process, coming = coming, prepare(keeper.folder, f"run{kill + 1}")
        begin(process)
        lines = kill_after(process, dice.randrange(1, 60))
        replay(names, lines)
        store, memory = await keeper.open()
        found = [each.name for each in memory.overrides]
        # What was on its way may or may not be there: one put that comes last, or one drop.
        lost = [name for name in names if name not in found]
        more = [name for name in found if name not in names]
        assert len(lost) + len(more) <= 1, (lost, more)
        if lost:
            assert lost[0] == names[-2], "it was just being dropped"
        if more:
            assert found[-1] == more[0], "it was just being put"
        assert [n for n in found if n not in more] == [n for n in names if n not in lost]
        names = found
        told = await store.events(last_event)
        ids = [event.id for event in told]
        assert ids == sorted(set(ids))
        assert not ids or ids[0] > last_event
        acknowledged = {int(what) for act, what in lines if act == "event"}
        first = await store.events(0, 1)
        assert not acknowledged or first[0].id in acknowledged
        last_event = ids[-1] if ids else last_event
        assert {each.since for each in memory.health} <= {
            float(n) for n in range(len(lines) + 2)
        } or kill
        await store.close()
    kill_after(coming, 0)
    assert keeper.told == []
    assert keeper.aside == []


async def test_two_that_write_and_are_killed_lose_nothing_of_either(tmp_path):
    keeper = Keeper(tmp_path / "state")
    for kill in range(3):
        one, two = (prepare(keeper.folder, f"{name}{kill}") for name in ("one", "two"))
        begin(one)
        begin(two)
        first, second = kill_after(one, 60), kill_after(two, 200)
        store, memory = await keeper.open()
        found = {each.name for each in memory.overrides}
        for lines in (first, second):
            names = []
            replay(names, lines)
            assert len(set(names[:-2]) - found) == 0
            assert len(set(names) - found) <= 1, "but for one that was just being dropped"
        ids = [event.id for event in await store.events()]
        assert ids == sorted(set(ids))
        await store.close()
    assert keeper.told == []
    assert keeper.aside == []
