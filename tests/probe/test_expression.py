"""Expressions that are good, and ones that would hold up the whole server."""

from __future__ import annotations

import asyncio
import os
import re
import signal

import pytest
from gslb.core.check import Check, Target
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.expression import Searcher, TooLongError
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoint import Endpoints, page, saying
from offspring import children
from turns import counted_turns

ENDLESS = (r"(a+)+$", b"a" * 40 + b"b")


PATTERNS = ("a", "^b", "b$", "(?m)^b", r"\Aab", r"a\Z", "(?<=a)b", r"\bab\b", "", "a.?b")
QUESTION = st.tuples(
    st.sampled_from(PATTERNS),
    st.text(alphabet="abä \n", max_size=20),
    st.sampled_from([0, 600, 3000]),
)


@settings(max_examples=20)
@given(st.lists(QUESTION, min_size=5))
async def test_it_finds_what_re_finds_however_long_the_text(
    questions: list[tuple[str, str, int]],
) -> None:
    searcher = Searcher()
    for pattern, text, filler in questions:
        for whole in (text + "." * filler, "." * filler + text):
            found = re.search(pattern, whole) is not None
            assert await searcher.is_in(pattern, whole.encode()) == found
    await searcher.stop()


async def test_what_is_no_utf8_is_searched_all_the_same(means: Means) -> None:
    assert await means.searcher.is_in("ready$", b"\xff\xfe\0ready")
    assert await means.searcher.is_in("^\ufffd", b"\xff")
    assert not await means.searcher.is_in("\ud800", b"\xff")


@pytest.mark.parametrize(
    ("pattern", "body"),
    [
        ENDLESS,
        (r"(a|aa)+$", b"a" * 60 + b"b"),
        (r"^(([a-z])+.)+[A-Z]$", b"a" * 2000),
        (r"(.*)*x", b"a" * 65536),
        (r"a*a*b", b"a" * 65536),
        (r".*foo.*bar", b"foo" * 20_000),
        (r"a*b", b"a" * 400_000),
    ],
)
async def test_one_that_would_never_end_is_ended_and_others_have_their_turns(
    means: Means, pattern: str, body: bytes
) -> None:
    """`re` looks for signals only now and then: within this process it could not be ended."""
    assert await means.searcher.is_in("a|b", b"a")
    ours = os.times()
    async with counted_turns() as turns:
        with pytest.raises(TooLongError):
            await means.searcher.is_in(pattern, body)
    assert turns.count > 50
    assert os.times().children_user - ours.children_user < 5
    assert await means.searcher.is_in("b$", b"ab")  # by another one


async def test_there_is_one_process_and_none_when_it_is_over() -> None:
    before = children()
    searcher = Searcher()
    assert children() == before
    found = await asyncio.gather(*(searcher.is_in(f"{n}$", b"x7") for n in range(20)))
    assert found == [n == 7 for n in range(20)]
    assert len(children() - before) == 1
    await searcher.stop()
    assert children() == before


async def test_who_was_too_slow_is_waited_for_by_none_but_his_like(means: Means) -> None:
    before = children()
    with pytest.raises(TooLongError):
        await means.searcher.is_in(*ENDLESS, "evil")
    evil = [asyncio.create_task(means.searcher.is_in(*ENDLESS, "evil")) for _ in range(8)]
    await asyncio.sleep(0)
    assert await means.searcher.is_in("b", b"b", "good")
    assert not all(task.done() for task in evil)
    assert len(children() - before) == 2
    for ended in await asyncio.gather(*evil, return_exceptions=True):
        assert isinstance(ended, TooLongError)
    assert await means.searcher.is_in("b", b"b", "evil")  # it has bettered itself


async def test_who_only_waits_for_his_turn_at_the_timeout_has_not_failed(
    endpoints: Endpoints, means: Means
) -> None:
    crowd = [asyncio.create_task(means.searcher.is_in(*ENDLESS)) for _ in range(40)]
    check = Check("web", "http", 80, timeout_s=0.3, body_regex="ready")
    target = Target("web", "127.0.0.1", await endpoints.open(saying(page(200, b"ready"))))
    with pytest.raises(OSError, match="too many searches"):
        await attempt(check, target, means)
    for task in crowd:
        task.cancel()


async def test_who_gives_up_waiting_leaves_no_answer_to_the_next(means: Means) -> None:
    assert await means.searcher.is_in("b", b"b")
    for begun in range(4):  # before its turn, while it is sent, while it is searched
        impatient = asyncio.create_task(means.searcher.is_in("x", b"x" * 500_000))
        for _ in range(begun):
            await asyncio.sleep(0)
        impatient.cancel()
        assert not await means.searcher.is_in("b", b"a")
        assert await means.searcher.is_in("b", b"b")


async def test_if_somebody_ends_the_process_nothing_is_said_of_the_page(means: Means) -> None:
    before = children()
    assert await means.searcher.is_in("b", b"b")
    (process,) = children() - before
    os.kill(process, signal.SIGKILL)
    with pytest.raises(OSError, match="ended"):
        await means.searcher.is_in("b", b"b")
    assert await means.searcher.is_in("b", b"b")


async def test_stopped_while_it_searches_it_stops(means: Means) -> None:
    before = children()
    searching = asyncio.create_task(means.searcher.is_in(*ENDLESS))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await means.searcher.stop()
    assert searching.cancelled()
    assert children() == before
