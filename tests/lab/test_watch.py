"""What a drill sees of clients and servers, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from gslb.lab.diary import Note
from gslb.lab.metric import count_verdicts
from gslb.lab.site import Dweller
from gslb.lab.stub import AAAA, A, NameServer
from gslb.lab.watch import Watch, parse_visit
from gslb.lab.world import LabError

from .miniature import Miniature, open_miniature

HOME = {"client-fra over IPv4": "fra", "client-fra over IPv6": "fra"}


@pytest.fixture
async def mini() -> AsyncIterator[Miniature]:
    async with open_miniature() as mini:
        yield mini


async def test_a_diary_has_every_visit_from_when_it_was_opened_once(mini: Miniature) -> None:
    mini.visit("fra", "from long ago")
    diary = await mini.watch.open_diary(HOME)
    first_s = mini.visit("fra")
    await mini.watch.catch_up()
    second_s = mini.visit("iad", "timed out", family=6)
    assert await mini.watch.find_gaps() == ""
    assert diary.notes == [
        Note(first_s, "client-fra over IPv4", "fra", ""),
        Note(second_s, "client-fra over IPv6", "iad", "timed out"),
    ]


async def test_what_ended_between_two_acts_is_the_second_ones(mini: Miniature) -> None:
    first = await mini.watch.open_diary(HOME)
    mini.visit("fra")
    await mini.watch.find_gaps()
    mini.visit("fra", "timed out")
    second = await mini.watch.open_diary(HOME)
    mini.visit("iad")
    await mini.watch.catch_up()
    assert [note.failure for note in first.notes] == [""]
    assert [(note.region, note.failure) for note in second.notes] == [
        ("fra", "timed out"),
        ("iad", ""),
    ]


async def test_a_client_that_does_not_tell_is_an_error_before_an_act_and_a_gap_in_it(
    mini: Miniature,
) -> None:
    silent = Dweller("client-nrt", "nrt", "http://127.0.0.1:1/visits")
    watch = Watch(mini.watch.session, "", (silent,))
    with pytest.raises(LabError, match="client-nrt does not tell of its visits: connection refus"):
        await watch.open_diary(HOME)
    assert await watch.find_gaps() == "client-nrt: connection refused"


async def test_a_client_that_started_anew_leaves_a_gap(mini: Miniature) -> None:
    mini.visit("fra")
    await mini.watch.open_diary(HOME)
    mini.logbook.count = 0
    mini.logbook._entries.clear()
    await mini.watch.catch_up()
    assert "client-fra: not every visit after number 1 is there" in await mini.watch.find_gaps()
    # The next act starts from what the client tells now.
    await mini.watch.open_diary(HOME)
    assert await mini.watch.find_gaps() == ""


async def test_visits_that_the_client_no_longer_keeps_leave_a_gap(mini: Miniature) -> None:
    await mini.watch.open_diary(HOME)
    mini.visit("fra")
    mini.visit("fra")
    mini.logbook._entries.popleft()
    assert "not every visit after number 0" in await mini.watch.find_gaps()


async def test_what_is_no_list_of_visits_is_a_gap(mini: Miniature) -> None:
    other = replace(
        mini.watch.dwellers[0], visits_url=mini.watch.dwellers[0].visits_url.replace("visits", "")
    )
    watch = Watch(mini.watch.session, "", (other,))
    assert "client-fra: " in await watch.find_gaps()


def test_a_visit_without_its_parts_is_refused() -> None:
    with pytest.raises(KeyError):
        parse_visit("client-fra", {"family": 4})


async def test_figures_are_read_with_the_token_only(mini: Miniature) -> None:
    mini.servers[0].verdicts = 2
    samples = await mini.watch.read_samples(mini.watch.servers[0])
    assert count_verdicts(samples, "fra", "down") == 2
    mini.watch.token = "another"
    with pytest.raises(LabError, match="ns1 gives no figures: status 401 at http://127"):
        await mini.watch.read_samples(mini.watch.servers[0])


async def test_a_server_that_is_not_there_gives_no_figures(mini: Miniature) -> None:
    gone = replace(mini.watch.servers[0], control_url="http://127.0.0.1:1")
    with pytest.raises(LabError, match="ns1 gives no figures: connection refused"):
        await mini.watch.read_samples(gone)


@pytest.mark.parametrize("rrtype", [A, AAAA])
async def test_an_answer_is_the_wanted_one_or_it_is_not(mini: Miniature, rrtype: int) -> None:
    ns1 = mini.watch.servers[0].dns
    assert await mini.watch.is_answer(ns1, "fra", rrtype, "fra")
    assert not await mini.watch.is_answer(ns1, "fra", rrtype, "iad")
    mini.servers[0].region = "sorry"
    assert await mini.watch.is_answer(ns1, "fra", rrtype, "sorry")
    assert not await mini.watch.is_answer(NameServer("127.0.0.1", 1), "fra", rrtype, "sorry")


@pytest.mark.parametrize(
    ("region", "address", "seen"),
    [
        ("", "198.18.2.10", "iad"),
        ("", "2001:db8:53::10", "sorry"),
        ("", "198.18.2.99", ""),
        ("", "", ""),
        ("nrt", "198.18.3.10", "nrt"),
    ],
)
def test_a_lost_visit_has_the_region_of_its_address(region: str, address: str, seen: str) -> None:
    visit = {"at_s": 1.0, "family": 4, "region": region, "address": address, "failure": "timed out"}
    assert parse_visit("client-fra", visit).region == seen
