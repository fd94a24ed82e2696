"""The state store while all is well: what was kept is there after a restart."""

import asyncio
import contextlib
import json
import math
import subprocess
import sys
import threading

import pytest
from gslb.control.backlog import MOST_EVENTS
from gslb.control.rhythm import Rhythm
from gslb.control.state import StateStore
from gslb.control.statefile import StateFile
from gslb.core.check import Target
from gslb.core.health import State
from gslb.core.kept import Happening, Memory
from gslb.core.override import Override
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .keeper import NOW, Keeper, happening, kept, override, until

LAZY = Rhythm(write_s=3600.0)


@pytest.fixture
async def keeper(tmp_path):
    keeper = Keeper(tmp_path / "state")
    yield keeper
    await keeper.close()


async def test_a_first_start_remembers_nothing_and_makes_the_directory(keeper):
    store, memory = await keeper.open()
    assert memory == Memory()
    assert keeper.path.is_file()
    assert (store.problem, keeper.told) == ("", [])


async def test_an_override_is_there_after_a_restart_as_it_was_set(keeper):
    store, _ = await keeper.open()
    one = Override("endpoint", "web-1", "up", "ann", "it lies", NOW, NOW + 0.25, NOW + 7200.125)
    assert await store.put_override(one)
    assert (await keeper.remembered()).overrides == (one,)


async def test_overrides_come_back_in_the_order_in_which_they_were_set(keeper):
    store, _ = await keeper.open()
    for name in ("b", "a", "c"):
        assert await store.put_override(override(name))
    assert await store.put_override(override("b", state="down"))
    again = override("a"), override("c"), override("b", state="down")
    assert (await keeper.remembered()).overrides == again


async def test_a_dropped_override_is_gone_and_one_that_was_never_there_is_gone_too(keeper):
    store, _ = await keeper.open()
    await store.put_override(override("a"))
    await store.put_override(override("a", kind="datacenter"))
    assert await store.drop_override("pool", "a")
    assert await store.drop_override("pool", "nobody")
    assert (await keeper.remembered()).overrides == (override("a", kind="datacenter"),)


async def test_many_overrides_at_once_are_all_acknowledged(keeper):
    store, _ = await keeper.open()
    some = [override(f"pool-{number}") for number in range(300)]
    assert all(await asyncio.gather(*(store.put_override(each) for each in some)))
    assert (await keeper.remembered()).overrides == tuple(some)


async def test_health_comes_back_with_the_time_at_which_it_was_last_known(keeper):
    store, _ = await keeper.open()
    store.keep_health([kept(1, State.DOWN, NOW - 500, NOW - 60), kept(2, seen_at=NOW + 60)])
    store.keep_alive(NOW)
    await store.close()
    health = (await keeper.remembered()).health
    assert set(health) == {kept(1, State.DOWN, NOW - 500, NOW), kept(2, seen_at=NOW + 60)}


async def test_what_is_held_down_is_so_after_a_restart_until_it_is_up(keeper):
    store, _ = await keeper.open()
    store.keep_health([kept(1, State.DOWN, held=True), kept(2, State.DOWN)])
    await store.close()
    assert {each.held for each in (await keeper.remembered()).health} == {True, False}
    store, memory = await keeper.open()
    assert set(memory.health) == {kept(1, State.DOWN, held=True), kept(2, State.DOWN)}
    store.keep_health([kept(1, State.UP)])
    await store.close()
    assert set((await keeper.remembered()).health) == {kept(1), kept(2, State.DOWN)}


async def test_a_later_state_replaces_an_earlier_one(keeper):
    store, _ = await keeper.open()
    store.keep_health([kept(1, State.DOWN)])
    store.keep_health([kept(1, State.UP, NOW + 1, NOW + 1)])
    await store.close()
    assert (await keeper.remembered()).health == (kept(1, State.UP, NOW + 1, NOW + 1),)


async def test_targets_that_nobody_watches_any_more_are_forgotten(keeper):
    store, _ = await keeper.open()
    store.keep_health(kept(number) for number in range(1000))
    await store.close()
    store, _ = await keeper.open()
    store.forget_health([kept(7).target, kept(900).target, Target("new", "192.0.2.1", 0)])
    await store.close()
    assert {each.target for each in (await keeper.remembered()).health} == {
        kept(7).target,
        kept(900).target,
    }


async def test_what_is_only_queued_is_written_soon_though_nobody_asks(keeper):
    store, _ = await keeper.open()
    store.keep_health([kept()])
    store.keep_event(happening())

    async def is_there():
        return (await keeper.remembered()).health == (kept(),)

    await until(is_there)


async def test_an_event_has_its_number_at_once_and_keeps_it(keeper):
    store, _ = await keeper.open()
    told = [store.keep_event(happening(number)) for number in range(3)]
    assert [event.id for event in told] == [int(NOW * 1000) + n for n in range(3)]
    assert await store.events() == tuple(told)


async def test_events_are_asked_for_by_what_one_has_seen(keeper):
    store, _ = await keeper.open(LAZY)
    told = [store.keep_event(happening(number)) for number in range(5)]
    assert await store.events(told[1].id, 2) == tuple(told[2:4])
    assert await store.events(told[4].id) == ()
    assert await store.events(0, 0) == ()
    assert await store.events(-5, -5) == ()


async def test_one_question_gets_a_thousand_events_at_most(keeper):
    store, _ = await keeper.open(LAZY)
    for number in range(1200):
        store.keep_event(happening(number))
    first = await store.events(0, 5000)
    assert len(first) == 1000
    rest = await store.events(first[-1].id, 5000)
    assert [event.object for event in (*first, *rest)] == [f"web/{n}" for n in range(1200)]


async def test_two_servers_at_one_file_replace_no_event_of_each_other(keeper):
    one, _ = await keeper.open()
    two, _ = await keeper.open()
    for number in range(3):
        for store in (one, two):
            store.keep_event(happening(number))
            await store.events()
    told = await one.events()
    assert sorted(event.object for event in told) == [f"web/{n // 2}" for n in range(6)]
    ids = [event.id for event in told]
    assert ids == sorted(set(ids))


def test_what_is_acknowledged_has_reached_the_disk(tmp_path):
    file = StateFile(str(tmp_path / "state.db"), 1.0)
    with contextlib.closing(file):
        # 2 is FULL: the WAL is synced at each commit. Nobody can pull the plug of a test.
        assert file._base.execute("PRAGMA synchronous").fetchone() == (2,)
        assert file._base.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_numbers_of_events_rise_over_restarts_also_when_the_clock_went_back(keeper):
    store, _ = await keeper.open()
    before = store.keep_event(happening())
    await store.close()
    store, _ = await keeper.open(clock=lambda: NOW - 86400)
    after = store.keep_event(happening())
    assert after.id == before.id + 1
    assert await store.events() == (before, after)


async def test_numbers_of_events_rise_also_when_the_file_is_lost(keeper):
    store, _ = await keeper.open()
    before = store.keep_event(happening())
    await store.close()
    keeper.path.unlink()
    store, _ = await keeper.open(clock=lambda: NOW + 1)
    assert store.keep_event(happening()).id > before.id


async def test_events_are_bounded_by_their_age(keeper):
    store, _ = await keeper.open(keep_s=60.0)
    store.keep_event(happening(1, NOW - 61))
    new = store.keep_event(happening(2, NOW - 59))
    assert await store.events() == (new,)


async def test_events_are_bounded_by_their_number(keeper):
    store, _ = await keeper.open(keep=100)
    for number in range(2000):
        store.keep_event(happening(number))
        if number % 500 == 0:
            await store.events()
    assert [event.object for event in await store.events()] == [
        f"web/{number}" for number in range(1900, 2000)
    ]


async def test_of_too_many_events_that_wait_the_oldest_are_lost_and_counted(tmp_path):
    store = StateStore(tmp_path, lambda: NOW, rhythm=LAZY)  # not open yet
    for number in range(MOST_EVENTS + 3):
        store.keep_event(happening(number))
    assert store.stats() == {("state_dropped",): 3}
    await store.open()
    assert [event.object for event in await store.events(0, 1)] == ["web/3"]
    await store.close()


async def test_texts_and_times_that_no_file_can_hold_do_no_harm(keeper):
    store, _ = await keeper.open(keep_s=math.inf)
    odd = Happening(math.nan, "start", "half \ud800 a pair", "\0", "", "", "")
    store.keep_event(odd)
    assert await store.put_override(override("na\udcffme", until=math.inf))
    (found,) = await store.events()
    assert (found.object, found.before, found.at) == ("half ? a pair", "\0", 0.0)
    assert [each.name for each in (await keeper.remembered()).overrides] == ["na?me"]
    assert keeper.told == []


async def test_before_it_is_open_and_after_it_is_closed_nothing_is_promised(keeper):
    store = StateStore(keeper.folder)
    assert not await store.put_override(override("early"))
    assert await store.events() == ()
    await store.close()
    store, _ = await keeper.open()
    await store.close()
    store.keep_health([kept()])
    assert not await store.put_override(override("late"))
    assert not await store.drop_override("pool", "late")
    assert await store.events() == ()
    await store.close()
    assert await keeper.remembered() == Memory()


async def test_what_was_set_before_it_was_open_is_kept_over_what_is_in_the_file(keeper):
    store, _ = await keeper.open()
    await store.put_override(override("a"))
    await store.put_override(override("b"))
    await store.close()
    store = StateStore(keeper.folder)
    await store.put_override(override("a", state="down"))
    await store.drop_override("pool", "b")
    memory = await store.open()
    await store.close()
    assert memory.overrides == (override("a", state="down"),)
    assert (await keeper.remembered()).overrides == memory.overrides


async def test_all_of_sqlite_happens_in_one_thread_that_ends_with_the_store(keeper):
    before = set(threading.enumerate())
    store, _ = await keeper.open()
    await asyncio.gather(*(store.put_override(override(str(n))) for n in range(20)))
    (thread,) = set(threading.enumerate()) - before
    assert thread.daemon
    await store.close()
    await until(lambda: not thread.is_alive())


def test_a_store_that_is_not_closed_does_not_keep_the_process(tmp_path):
    program = (
        "import asyncio, sys\n"
        "from gslb.control.state import StateStore\n"
        "async def main():\n"
        "    store = StateStore(sys.argv[1])\n"
        "    await store.open()\n"
        "    store.keep_alive(1.0)\n"
        "asyncio.run(main())\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, tmp_path],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (run.returncode, run.stderr) == (0, "")


async def test_a_successor_sees_what_its_predecessor_wrote_last(keeper):
    old, _ = await keeper.open()
    old.keep_health([kept(1, State.UP)])
    await old.put_override(override("a"))
    new, memory = await keeper.open()
    assert memory.overrides == (override("a"),)
    new.keep_health([kept(1, State.DOWN)])
    assert await new.put_override(override("b"))
    assert await old.drop_override("pool", "a")
    assert await old.put_override(override("c"))
    old.keep_health([kept(1, State.UP, NOW + 1)])
    await old.close()
    again = await new.reread()
    assert again.overrides == (override("b"), override("c"))
    assert again.health == (kept(1, State.DOWN),)
    new.keep_alive(NOW + 9)
    await new.close()
    remembered = await keeper.remembered()
    assert remembered.overrides == (override("b"), override("c"))
    # What the predecessor wrote last is not vouched for by the successor.
    assert remembered.health == (kept(1, State.DOWN, seen_at=NOW + 9),)


def test_the_file_says_to_others_whose_it_is_and_the_usual_tool_reads_it(tmp_path):
    async def make():
        store = StateStore(tmp_path)
        await store.open()
        await store.put_override(override())
        await store.close()

    asyncio.run(make())
    header = (tmp_path / "state.db").read_bytes()[:72]
    assert header[68:72] == b"gslb"
    tool = "import sqlite3, sys, json; print(json.dumps(sqlite3.connect(sys.argv[1]).execute("
    tool += "'SELECT kind, name, state, who FROM override').fetchall()))"
    run = subprocess.run([sys.executable, "-c", tool, tmp_path / "state.db"], capture_output=True)
    assert json.loads(run.stdout) == [["pool", "web", "drain", "ann"]]


steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from("abc"), st.sampled_from(("up", "down", "drain"))),
    st.tuples(st.just("drop"), st.sampled_from("abc"), st.just("")),
    st.tuples(st.just("see"), st.integers(1, 3), st.sampled_from(list(State))),
    st.tuples(st.just("forget"), st.integers(1, 3), st.just("")),
    st.tuples(st.just("restart"), st.just(0), st.just("")),
    st.tuples(st.just("lose"), st.just(0), st.just("")),
)


@given(st.lists(steps, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_whatever_happened_the_file_has_in_the_end_what_there_is(tmp_path_factory, history):
    folder = tmp_path_factory.mktemp("state")

    async def live():
        keeper = Keeper(folder)
        store, _ = await keeper.open()
        overrides, health = {}, {}
        for act, what, state in history:
            if act == "put":
                overrides.pop(what, None)
                overrides[what] = override(what, state=state)
                assert await store.put_override(overrides[what])
            elif act == "drop":
                overrides.pop(what, None)
                assert await store.drop_override("pool", what)
            elif act == "see":
                health[what] = kept(what, state)
                store.keep_health([health[what]])
            elif act == "forget":
                health.pop(what, None)
                store.forget_health([each.target for each in health.values()])
            elif act == "restart":
                await store.close()
                store, memory = await keeper.open()
                assert memory.overrides == tuple(overrides.values())
            elif act == "lose":  # while it is open; what is written next is written to a new one
                keeper.path.unlink()
                assert await store.drop_override("pool", "nobody")
        await store.close()
        memory = await keeper.remembered()
        assert memory.overrides == tuple(overrides.values())
        assert set(memory.health) == set(health.values())

    asyncio.run(live())
