"""Expressions that are good, and ones that would hold up the whole server."""

from __future__ import annotations

import asyncio
import re
import signal
import time

import pytest
from gslb.probe.expression import TooLongError, is_in
from hypothesis import given
from hypothesis import strategies as st

from turns import counted_turns


@given(
    st.sampled_from(["a", "^b", "b$", "(?m)^b", r"\Aab", r"a\Z", "(?<=a)b", r"\bab\b", "", "a.?b"]),
    st.text(alphabet="ab \n", max_size=20),
    st.sampled_from([0, 600, 3000]),
)
async def test_it_finds_what_re_finds_however_long_the_text(
    pattern: str, text: str, filler: int
) -> None:
    for whole in (text + "." * filler, "." * filler + text):
        assert await is_in(pattern, whole) == (re.search(pattern, whole) is not None)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(a+)+$", "a" * 40 + "b"),
        (r"(a|aa)+$", "a" * 60 + "b"),
        (r"^(([a-z])+.)+[A-Z]$", "a" * 2000),
        (r"(.*)*x", "a" * 65536),
    ],
)
async def test_one_that_would_never_end_is_ended(pattern: str, text: str) -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    started = time.process_time()
    with pytest.raises(TooLongError):
        await is_in(pattern, text)
    assert time.process_time() - started < 5
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


@pytest.mark.parametrize("pattern", ["a*b", r"a*\d", "a.*b"])
async def test_one_that_squares_a_long_text_is_ended_too(pattern: str) -> None:
    """Within one such search `re` looks for no signal, and this one would take a minute."""
    started = time.process_time()
    with pytest.raises(TooLongError):
        await is_in(pattern, "a" * 400_000)
    assert time.process_time() - started < 5


async def test_a_long_text_leaves_turns_to_others() -> None:
    async with counted_turns() as turns:
        assert not await is_in("ready", "x" * 50_000)
    assert turns.count > 50


async def test_outside_the_main_thread_it_works_without_a_limit() -> None:
    assert await asyncio.to_thread(lambda: asyncio.run(is_in("b", "abc")))
