"""A change is followed at each server, in each family, and no longer than its limits."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
from gslb.lab.change import Change, Pursuit
from gslb.lab.diary import Diary, Limits
from gslb.lab.report import Report
from gslb.lab.screen import Screen
from gslb.lab.stub import AAAA, A

from .miniature import Miniature, open_miniature

DOWN = Change("failover", ("fra",), "down", of="fra", wanted="iad")
EXPECTED = {"client-fra over IPv4": "iad"}
PATIENT = Limits(verdict_s=30.0, publish_s=30.0, ttl_s=30, slack_s=0.0)
HASTY = Limits(verdict_s=0.3, publish_s=0.1, ttl_s=0, slack_s=0.1)


@pytest.fixture
async def mini() -> AsyncIterator[Miniature]:
    async with open_miniature() as mini:
        yield mini


async def pursue(mini: Miniature, limits: Limits) -> tuple[Pursuit, Report, Diary]:
    clock = asyncio.get_running_loop().time
    report = Report("test", Screen(io.StringIO()), clock, clock())
    diary = await mini.watch.open_diary(EXPECTED)
    return Pursuit(mini.watch, report, DOWN, limits, diary), report, diary


async def test_verdicts_answers_and_the_last_client_are_seen_and_told(mini: Miniature) -> None:
    for server in mini.servers:
        server.verdicts, server.failed_probes = 4, 1  # of an outage before
    pursuit, report, diary = await pursue(mini, PATIENT)
    await pursuit.prepare()

    async def fail() -> None:
        for server in mini.servers:
            server.verdicts, server.failed_probes, server.region = 6, 4, "iad"
        mini.visit("iad")
        await mini.watch.catch_up()

    await pursuit.run(fail)
    told = [moment.what for moment in report.moments]
    assert len(told) == 7
    assert {
        "a probe of ns1 has failed",
        "a probe of ns2 has failed",
        "verdict of ns1: fra down, IPv4 and IPv6",
        "verdict of ns2: fra down, IPv4 and IPv6",
    } < set(told)
    assert [what[:4] for what in told if "new answer: A" in what] == ["the ", "the "]
    assert told[-1] == "the last client has moved: client-fra over IPv4"
    assert diary.complete
    seen = pursuit.sightings
    assert {(server.name, rrtype) for server, rrtype in seen} == {
        (name, rrtype) for name in ("ns1", "ns2") for rrtype in (A, AAAA)
    }
    assert all(len(one.verdicts_s) == 2 and one.answer_s is not None for one in seen.values())
    assert pursuit.slowest.answer_s == max(one.answer_s or 0.0 for one in seen.values())


async def test_what_does_not_come_is_waited_for_no_longer_than_its_limit(mini: Miniature) -> None:
    pursuit, report, diary = await pursue(mini, HASTY)
    await pursuit.prepare()

    async def fail_at_one_server() -> None:
        mini.servers[0].verdicts, mini.servers[0].region = 2, "iad"

    async with asyncio.timeout(60):
        await pursuit.run(fail_at_one_server)
    assert pursuit.slowest.answer_s is None
    assert not diary.complete
    told = [moment.what for moment in report.moments]
    assert not any("ns2" in what or "last" in what for what in told)


async def test_one_verdict_of_two_addresses_is_no_verdict_of_the_region(mini: Miniature) -> None:
    pursuit, report, _ = await pursue(mini, HASTY)
    await pursuit.prepare()

    async def fail_in_one_family() -> None:
        for server in mini.servers:
            server.verdicts = 1

    await pursuit.run(fail_in_one_family)
    assert report.moments == []
    assert [len(one.verdicts_s) for one in pursuit.sightings.values()] == [1, 1, 1, 1]


async def test_an_answer_is_not_timed_by_another_regions_verdict(mini: Miniature) -> None:
    clock = asyncio.get_running_loop().time
    report = Report("test", Screen(io.StringIO()), clock, clock())
    both = Change("everything down", ("iad", "fra"), "down", of="fra", wanted="sorry")
    diary = await mini.watch.open_diary(EXPECTED)
    pursuit = Pursuit(mini.watch, report, both, HASTY, diary)
    await pursuit.prepare()

    async def fail_elsewhere() -> None:
        for server in mini.servers:
            server.others += 2

    await pursuit.run(fail_elsewhere)
    assert [one.verdicts_s for one in pursuit.sightings.values()] == [[], [], [], []]
    assert report.moments == []


async def test_a_server_that_gives_no_figures_for_a_while_is_asked_again(mini: Miniature) -> None:
    pursuit, _, _ = await pursue(mini, PATIENT)
    await pursuit.prepare()

    async def fall_silent_and_recover() -> None:
        mini.servers[0].token = "another"
        await asyncio.wait_for(mini.servers[0].refused.wait(), 30)
        mini.servers[0].token = mini.watch.token
        for server in mini.servers:
            server.verdicts, server.region = 2, "iad"
        mini.visit("iad")
        await mini.watch.catch_up()

    await pursuit.run(fall_silent_and_recover)
    assert pursuit.slowest.answer_s is not None
    assert all(len(one.verdicts_s) == 2 for one in pursuit.sightings.values())
