"""The drills' own worlds and figures; what they do is seen by running them (docs/lab.md)."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from gslb.lab import caching, gray, overload
from gslb.lab.city import rank, read_cities
from gslb.lab.drill import DRILLS, find_drill
from gslb.lab.report import Passage, Report, Table
from gslb.lab.resolver import Resolver
from gslb.lab.screen import Screen
from gslb.lab.stage import Plot, Stage
from gslb.lab.stub import NameServer, Reply
from gslb.lab.world import REGIONS, STANDARD, Scenery, World, write

ROOT = Path(__file__).resolve().parents[2]
SCENERIES = {
    "standard": STANDARD,
    "gray": gray.SCENERY,
    "caching": caching.SCENERY,
    "busy": overload.make_plot(shed=False).scenery,
    "shedding": overload.make_plot(shed=True).scenery,
}


@pytest.mark.parametrize("name", SCENERIES)
def test_every_drill_has_a_world_that_the_server_takes_without_a_warning(
    name: str, tmp_path: Path
) -> None:
    path = write(World(), tmp_path / "world", SCENERIES[name])
    command = [sys.executable, "-m", "gslb", "check", "-c", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stdout


@pytest.mark.parametrize("name", SCENERIES)
def test_what_clients_ask_for_has_the_ttl_that_is_reckoned_with(name: str, tmp_path: Path) -> None:
    scenery = SCENERIES[name]
    path = write(World(), tmp_path / "world", scenery)
    zone = (path.parent / "zones" / "gslb.example.com.zone").read_text(encoding="utf-8")
    found = {
        words[0]: int(words[1])
        for words in (line.split(";")[0].split() for line in zone.splitlines())
        if len(words) == 4 and words[2:] == ["STEER", "web"]
    }
    assert found[scenery.name.split(".")[0]] == scenery.ttl_s
    for label, ttl_s in scenery.ttls.items():
        assert found[label] == ttl_s


def test_the_worlds_of_the_capacity_drill_differ_in_nothing_but_shed(tmp_path: Path) -> None:
    texts = [
        write(World(), tmp_path / name, SCENERIES[name]).read_text(encoding="utf-8")
        for name in ("busy", "shedding")
    ]
    assert texts[0] == texts[1].replace(overload.SHED, "")
    assert texts[0] != texts[1]


def test_the_survivors_together_hold_everybody_and_the_nearest_alone_does_not() -> None:
    capacity = overload.CAPACITY_RPS
    everybody = overload.BUSY * sum(capacity.values())
    first, second, third = capacity.values()
    assert everybody < 0.9 * (second + third)
    assert overload.BUSY * (first + second) > 1.1 * second
    assert everybody > 1.1 * third


async def test_every_region_is_busy_and_the_clients_of_fra_all_have_iad_next() -> None:
    stage = Stage(World(), Path("."), None, overload.make_plot(shed=True))  # type: ignore[arg-type]
    cities = {city.name: city for city in read_cities()}
    visits: Counter[str] = Counter()

    def add(city: object, resolver: object, delay_s: float, who: str, every_s: float) -> None:
        order = rank(cities[who.rsplit(" ", 1)[0]], REGIONS)
        visits[order[0]] += 1
        assert order[0] != "fra" or order[1] == "iad"
        assert 0 <= delay_s < every_s

    stage.add_client = add  # type: ignore[method-assign, assignment]
    assert overload.add_clients(stage) == visits.total()
    for name, rps in overload.CAPACITY_RPS.items():
        assert visits[name] / overload.EVERY_S == pytest.approx(0.7 * rps, abs=0.3)


FALLEN = overload.Outcome(
    requests=2000,
    lost=900,
    late=800,
    before={"fra": 0.7, "iad": 0.68, "nrt": 0.71},
    peak={"iad": 2.3, "nrt": 1.4},
    end={"iad": [1.0, 1.2], "nrt": [0.6]},
    breakdowns={"iad": 2, "nrt": 1},
)
HELD = replace(
    FALLEN, lost=40, late=0, peak={"iad": 1.2, "nrt": 0.9}, breakdowns={"iad": 0, "nrt": 0}
)


@pytest.mark.parametrize(
    ("without", "shedding", "failures"),
    [
        (FALLEN, HELD, 0),
        (FALLEN, FALLEN, 2),  # shed does nothing
        (HELD, HELD, 1),  # there was nothing to shed
        (replace(FALLEN, breakdowns={"iad": 2, "nrt": 0}), HELD, 1),
        (FALLEN, replace(HELD, breakdowns={"iad": 0, "nrt": 1}), 1),
        (FALLEN, replace(HELD, late=1), 1),
        (FALLEN, replace(HELD, before={"fra": 0.7, "iad": 0.7, "nrt": 0.4}), 1),
    ],
)
def test_the_capacity_drill_fails_unless_shed_makes_the_difference(
    without: overload.Outcome, shedding: overload.Outcome, failures: int
) -> None:
    report = Report("test", Screen(io.StringIO()), lambda: 0.0, 0.0)
    overload.expect_difference(report, without, shedding)
    assert sum(not one.passed for one in report.expectations) == failures
    assert "iad, the last 10 s on average" in "\n".join(overload.compare(without, shedding).lines())


def make_crowd(kind: caching.Kind, moved_s: list[float | None]) -> caching.Crowd:
    city = read_cities()[0]
    server = NameServer("127.0.0.1")
    caches = tuple(Resolver(server, lambda: 0.0) for _ in moved_s)
    return caching.Crowd(kind, city, caches, moved_s)


def judge(*crowds: caching.Crowd) -> list[bool]:
    report = Report("test", Screen(io.StringIO()), lambda: 0.0, 0.0)
    caching.expect_shares(report, list(crowds), 0.0)
    return [one.passed for one in report.expectations]


def evenly(keeps_s: float, count: int = 40) -> list[float | None]:
    return [keeps_s * (number + 0.5) / count for number in range(count)]


def test_caches_that_move_evenly_within_their_ttl_are_as_predicted() -> None:
    crowds = [make_crowd(kind, evenly(kind.keeps_s)) for kind in caching.KINDS]
    assert all(judge(*crowds))
    table = caching.tabulate(crowds, 0.0)
    assert len(table.rows) == 2 * len(crowds)
    assert {len(row) for row in (table.columns, *table.rows)} == {1 + len(caching.LOOKS_S)}


@pytest.mark.parametrize("index", range(len(caching.KINDS)))
def test_caches_that_hold_on_or_let_go_too_soon_are_found_out(index: int) -> None:
    crowds = [make_crowd(kind, evenly(kind.keeps_s)) for kind in caching.KINDS]
    keeps_s = caching.KINDS[index].keeps_s
    for wrong in (evenly(4.0 * keeps_s), evenly(keeps_s / 4.0), [None] * 40):
        crowds[index] = make_crowd(caching.KINDS[index], list(wrong))
        if wrong[0] == evenly(5 / 4.0)[0]:
            continue  # all of them are there at the first look either way
        assert not all(judge(*crowds))


async def test_a_resolver_that_holds_answers_keeps_them_longer_than_their_ttl() -> None:
    clock_s = [0.0]
    city = read_cities()[0]
    server = NameServer("127.0.0.1")
    heeding = Resolver(server, lambda: clock_s[0])
    holding = Resolver(server, lambda: clock_s[0], hold_s=300)
    aged = Resolver(server, lambda: clock_s[0], hold_s=300)
    for resolver, age_s in ((heeding, 0.0), (holding, 0.0), (aged, 250.0)):
        resolver.keep("www", city.network, Reply(("127.10.1.1",), 5, 24), age_s)
    clock_s[0] = 4.0
    for resolver in (heeding, holding, aged):
        assert await resolver.resolve("www", city.client) == ("127.10.1.1",)
    clock_s[0] = 49.0
    for resolver in (holding, aged):
        assert await resolver.resolve("www", city.client) == ("127.10.1.1",)
    asking = asyncio.create_task(heeding.resolve("www", city.client))
    await asyncio.sleep(0)  # it has begun to ask
    heeding.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


def test_a_table_stands_in_columns_and_goes_to_machines_as_it_is() -> None:
    table = Table("the same twice", ("", "one", "other"), (("requests", "7", "1234"),))
    assert table.lines() == [
        "the same twice",
        "            one  other",
        "  requests    7   1234",
    ]
    stream = io.StringIO()
    report = Report("test", Screen(stream, as_json=True), lambda: 0.0, 0.0)
    report.tabulate(table)
    report.close()
    assert json.loads(stream.getvalue())["tables"][0]["rows"] == [["requests", "7", "1234"]]


def test_a_passage_names_what_was_waited_for_first() -> None:
    assert str(Passage("drain", 6.0, 0.1, 4.0, "lead")) == (
        "drain takes: lead 6.00 s + publish 0.10 s + TTL 4.00 s = 10.10 s"
    )


def test_every_drill_is_in_the_documentation_and_says_what_it_is_about() -> None:
    text = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
    for name, drill in DRILLS.items():
        assert f"`{name}`" in text
        assert drill.about
        assert drill.lasts_s > 0
        assert find_drill(name) is drill


def test_a_gated_region_is_probed_at_its_gate_and_listens_for_clients_only() -> None:
    for gated in (False, True):
        stage = Stage(World(), Path("."), None, Plot(gated=gated))  # type: ignore[arg-type]
        listen = stage.region_arguments(REGIONS[0])[1:]
        assert ("127.10.1.1:8081" in listen) is not gated
        assert "127.10.1.1:8080" in listen
        assert set(stage.gates) == ({region.name for region in REGIONS} if gated else set())


def test_a_scenery_of_one_family_counts_one_verdict_for_a_region() -> None:
    for dual, ipv6, count in ((True, True, 2), (True, False, 1), (False, True, 1)):
        plot = Plot(replace(Scenery(), dual=dual))
        stage = Stage(World(ipv6=ipv6), Path("."), None, plot)  # type: ignore[arg-type]
        assert stage.families == count
