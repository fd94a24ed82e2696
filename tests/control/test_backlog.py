"""What waits to be written: after whatever failure, what is written in the end is what there is."""

from gslb.control.backlog import MOST_EVENTS, Backlog
from gslb.core.health import State
from gslb.core.kept import Memory

from .keeper import happening, kept, override


def put(backlog, *some):
    for each in some:
        backlog.put((each.kind, each.name), each)


def test_what_changed_while_a_write_failed_counts_and_comes_last():
    backlog = Backlog()
    put(backlog, override("a"), override("b"), override("c"))
    backlog.see([kept(1, State.DOWN), kept(2)])
    batch = backlog.take(whole=False)
    assert backlog.is_empty
    put(backlog, override("a", state="down"))
    backlog.put(("pool", "c"), None)
    backlog.see([kept(1, State.UP)])
    backlog.put_back(batch)
    again = backlog.take(whole=False)
    assert list(again.overrides.items()) == [
        (("pool", "b"), override("b")),
        (("pool", "a"), override("a", state="down")),
        (("pool", "c"), None),
    ]
    assert again.health == {kept(1).target: kept(1, State.UP), kept(2).target: kept(2)}


def test_events_of_a_write_that_failed_come_before_those_since():
    backlog = Backlog()
    backlog.add(happening(1))
    backlog.add(happening(2))
    batch = backlog.take(whole=False)
    backlog.add(happening(3))
    backlog.put_back(batch)
    assert [each.object for each in backlog.take(whole=False).events] == ["web/1", "web/2", "web/3"]


def test_of_too_many_events_of_a_write_that_failed_the_oldest_are_lost_and_counted():
    backlog = Backlog()
    for number in range(MOST_EVENTS):
        backlog.add(happening(number))
    batch = backlog.take(whole=False)
    for number in range(MOST_EVENTS, MOST_EVENTS + 5):
        backlog.add(happening(number))
    backlog.put_back(batch)
    left = backlog.take(whole=False).events
    assert (left[0].object, left[-1].object) == ("web/5", f"web/{MOST_EVENTS + 4}")
    assert (len(left), backlog.dropped) == (MOST_EVENTS, 5)


def test_what_is_read_does_not_undo_what_was_set_before_it_could_be():
    backlog = Backlog()
    put(backlog, override("a", state="up"))
    backlog.put(("pool", "b"), None)
    backlog.see([kept(1, State.UP)])
    read = (override("a"), override("b"), override("c"))
    backlog.remember(Memory(read, (kept(1, State.DOWN), kept(2))))
    assert backlog.memory == Memory(
        (override("c"), override("a", state="up")), (kept(1, State.UP), kept(2))
    )


def test_when_health_was_last_known_is_written_once_and_with_all_there_is():
    backlog = Backlog()
    backlog.live(7.0)
    assert backlog.take(whole=False).alive == 7.0
    assert backlog.take(whole=False).alive is None
    assert backlog.take(whole=True).alive == 7.0
