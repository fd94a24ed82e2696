"""A vigil sees every answer of a server, wrong ones and late ones too."""

from __future__ import annotations

import asyncio
import io

from gslb.lab.diary import wait_until
from gslb.lab.mishap import expect_memory, see_back
from gslb.lab.report import Report
from gslb.lab.screen import Screen
from gslb.lab.site import page_address
from gslb.lab.stub import AAAA, A, NameServer
from gslb.lab.vigil import Answer, Vigil, keep_vigil

from .miniature import open_miniature


def make_report() -> Report:
    clock = asyncio.get_running_loop().time
    return Report("test", Screen(io.StringIO()), clock, clock())


def sent(at_s: float, rrtype: int, *regions: str) -> Answer:
    return Answer(at_s, rrtype, tuple(page_address(region, rrtype) for region in regions))


def watched(*answers: Answer) -> Vigil:
    return Vigil(NameServer("127.0.0.1"), "fra", len(answers), list(answers))


async def test_it_asks_for_both_families_until_the_block_ends() -> None:
    async with open_miniature() as mini:
        mini.servers[0].region = "iad"
        async with keep_vigil(mini.watch.servers[0].dns, "fra") as vigil:
            assert await wait_until(lambda: vigil.first_s(0.0) is not None, 20)
        asked = vigil.asked
        assert {answer.rrtype for answer in vigil.answers} == {A, AAAA}
        assert vigil.find_other_than("iad") == []
        await asyncio.sleep(0)
        assert vigil.asked == asked


async def test_a_server_that_is_not_there_is_asked_on_and_answers_nothing() -> None:
    async with keep_vigil(NameServer("127.0.0.1", 1), "fra") as vigil:
        assert await wait_until(lambda: vigil.asked >= 3, 20)
    assert vigil.answers == []


def test_a_server_is_back_when_both_families_were_answered() -> None:
    vigil = watched(sent(1, A, "iad"), sent(1.5, AAAA, "iad"), sent(3, A, "iad"))
    assert vigil.first_s(0.0) == 1.5
    assert vigil.first_s(2.0) is None
    vigil.answers.append(sent(4, AAAA, "iad"))
    assert vigil.first_s(2.0) == 4


def test_one_wrong_answer_among_many_is_found() -> None:
    right = [sent(at_s, A, "iad") for at_s in range(1000)]
    wrong = sent(500.5, AAAA, "iad", "fra")
    vigil = watched(*right, wrong)
    assert vigil.find_sent_to({"fra"}) == [wrong]
    assert vigil.find_other_than("iad") == [wrong]
    assert vigil.find_other_than("nrt") == [*right, wrong]


def verdicts(report: Report) -> list[bool]:
    return [expectation.passed for expectation in report.expectations]


async def test_who_remembers_never_sends_anybody_to_the_dead_region() -> None:
    report = make_report()
    expect_memory(report, "killed", watched(sent(1, A, "iad"), sent(2, AAAA, "iad")), "fra")
    assert verdicts(report) == [True, True]


async def test_who_forgets_is_found_out_by_one_answer() -> None:
    report = make_report()
    expect_memory(report, "killed", watched(sent(1, A, "iad"), sent(2, A, "fra")), "fra")
    assert verdicts(report) == [False, False]
    assert report.expectations[0].detail == "1 of 2 answers to 2 questions; the first: 198.18.1.10"


async def test_who_answers_nothing_or_nobody_has_not_shown_that_it_remembers() -> None:
    report = make_report()
    expect_memory(report, "killed", watched(), "fra")
    assert verdicts(report) == [False, False]
    report = make_report()
    expect_memory(report, "killed", watched(Answer(1, A, ())), "fra")
    assert verdicts(report) == [True, False]


async def test_what_was_on_its_way_when_a_server_was_killed_is_not_its_return() -> None:
    report = make_report()
    killed_s = report.clock()
    vigil = watched(sent(killed_s + 0.01, A, "iad"), sent(killed_s + 0.02, AAAA, "iad"))
    waiting = asyncio.create_task(see_back(report, vigil, killed_s))
    await asyncio.sleep(0)
    assert not waiting.done()
    vigil.answers += [sent(killed_s + 1.3, A, "iad"), sent(killed_s + 1.4, AAAA, "iad")]
    comeback = await waiting
    assert (comeback.problem, round(comeback.after_s, 3)) == ("", 1.4)
