"""How health looks."""

import pytest
from gslb.chart import compose_changes, compose_health, is_well, summarize
from gslb.moment import parse_time

from .stand import AT, DOWN, TARGET, health

NOW = parse_time(AT)
BLIND = {"why": "no probe succeeded for 5 s", "since": "2026-11-21T18:38:00Z"}


def text(line):
    return "".join(part if isinstance(part, str) else part[0] for part in line).rstrip()


def picture(*targets, width=None, **more):
    return [text(line) for line in compose_health(health(*targets, **more), 0.0, width)]


def changes(before, after):
    return [text(line) for line in compose_changes(before, after, 0.0)]


def test_the_worst_stands_first_with_its_evidence_and_what_is_forced():
    unknown = TARGET | {"address": "2001:db8::10", "state": "unknown", "since": None}
    assert picture(TARGET, unknown, DOWN) == [
        "3 targets: 1 down, 1 unknown, 1 up; 1 endpoint forced by hand",
        "",
        "STATE    CHECK  ADDRESS            FOR         LATENCY  P95      POOLS",
        "down     web    192.0.2.11:80      5 min 30 s  -        -",
        "    web-fra/two (forced drain)",
        "    18:34:30Z up -> down: connect refused (2 in a row), timeout after 2.0 s",
        "unknown  web    [2001:db8::10]:80  -           12.3 ms  15.1 ms",
        "    web-fra/192.0.2.10",
        "up       web    192.0.2.10:80      2 h 10 min  12.3 ms  15.1 ms  web-fra",
    ]


def test_the_pools_stand_below_where_the_line_would_be_too_long():
    pools = ("web-fra", "web-iad", "web-nrt")
    endpoints = [{"pool": pool, "endpoint": "192.0.2.10", "forced": ""} for pool in pools]
    rows = picture(TARGET | {"endpoints": endpoints})[3:]
    assert rows[1:] == ["    web-fra, web-iad, web-nrt"]
    (row,) = picture(TARGET | {"endpoints": endpoints}, width=120)[3:]
    assert row.endswith("  web-fra, web-iad, web-nrt")


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_gets_no_remark_that_is_wider_than_it(width):
    reasons = [f"status {status}" for status in range(500, 530)]
    target = DOWN | {"evidence": DOWN["evidence"] | {"reasons": reasons}}
    rows = picture(target, width=width, blind=BLIND)
    remarks = [row for row in rows if row.startswith("    ")]
    assert max(map(len, remarks)) <= width
    assert " ".join(row.strip() for row in remarks).endswith("status 528, status 529")
    # In a pipe it is one line, whole.
    assert any(row.endswith("status 528, status 529") for row in picture(target))


def test_a_blind_prober_is_said_before_everything_else():
    assert picture(TARGET, blind=BLIND)[0] == (
        "BLIND for 2 min, since 18:38:00Z: no probe succeeded for 5 s; "
        "states stay as they were, answers go on"
    )


@pytest.mark.parametrize(
    ("fields", "remark"),
    [
        ({"failing": ["status 503"]}, "failing now: status 503"),
        ({"load": 0.833}, "load 0.83"),
        ({"load": 0.833, "load_at": "2026-11-21T18:39:00Z"}, "load 0.83"),
        ({"load": 0.833, "load_at": "2026-11-21T18:33:30Z"}, "load 0.83, 6 min 30 s ago"),
        ({"certificate_expires": "2026-11-25T00:00:00Z"}, "its certificate expires in 3 d 5 h"),
        ({"certificate_expires": "2026-11-20T18:40:00Z"}, "its certificate expired 1 d ago"),
        (
            {"state": "down", "held": True},
            "held down: it changed too often, and has to be good for longer",
        ),
        (
            {
                "evidence": DOWN["evidence"]
                | {"from": "down", "to": "up", "reasons": ["status 503"]}
            },
            "18:34:30Z down -> up: was status 503",
        ),
        (
            {
                "type": "calculated",
                "evidence": DOWN["evidence"] | {"from": "down", "to": "up", "reasons": ["2 of 3"]},
            },
            "18:34:30Z down -> up: 2 of 3",
        ),
    ],
)
def test_what_is_remarkable_has_a_line(fields, remark):
    assert f"    {remark}" in picture(TARGET | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"certificate_expires": "2027-11-25T00:00:00Z"},
        {"evidence": DOWN["evidence"] | {"from": "unknown", "to": "up", "reasons": []}},
    ],
)
def test_what_is_not_remarkable_has_none(fields):
    assert len(picture(TARGET | fields)) == 4


def test_what_goes_on_failing_as_it_began_is_not_told_twice():
    same = DOWN | {"failing": ["connect refused", "timeout after 2.0 s"]}
    assert not [row for row in picture(same) if "failing now" in row]
    other = DOWN | {"failing": ["status 503"] * 10}
    assert "    failing now: status 503 (10 in a row)" in picture(other)


def test_what_is_failing_stands_before_what_is_forced_and_that_before_what_is_well():
    failing = TARGET | {"address": "192.0.2.30", "failing": ["status 503"]}
    forced = TARGET | {"address": "192.0.2.20", "endpoints": DOWN["endpoints"]}
    rows = [row for row in picture(TARGET, forced, failing)[3:] if not row.startswith("    ")]
    assert [row.split()[2] for row in rows] == ["192.0.2.30:80", "192.0.2.20:80", "192.0.2.10:80"]


def many(count):
    return [TARGET | {"address": f"192.0.2.{host}"} for host in range(100, 100 + count)]


@pytest.mark.parametrize("width", [60, 100])
def test_on_a_terminal_what_is_well_never_pushes_away_what_is_not(width):
    expiring = TARGET | {"certificate_expires": "2026-11-25T00:00:00Z"}
    rows = picture(*many(21), DOWN, expiring, width=width)
    assert [row.split()[2] for row in rows if row.startswith(("up ", "down "))] == [
        "192.0.2.11:80", "192.0.2.10:80",
    ]  # fmt: skip
    told = "21 more are up and well; a pipe (gslb health | less) and --json have them all"
    assert told in " ".join(rows)
    # In a pipe, and where they are few, each has its row.
    assert sum(row.startswith("up ") for row in picture(*many(21), DOWN)) == 21
    assert sum(row.startswith("up ") for row in picture(*many(20), DOWN, width=width)) == 20
    assert picture(*many(21), width=width)[2].startswith("21 are up and well; a pipe")


def test_a_long_picture_says_at_its_end_again_what_it_said_first():
    down = [target | {"state": "down", "evidence": None} for target in many(40)]
    rows = picture(*down, width=120, blind=BLIND)
    assert rows[-2:] == rows[:2]
    assert rows[1] == "40 targets: 40 down"
    assert picture(*down, blind=BLIND)[-1].startswith("down ")
    assert picture(*down[:9], width=100)[-1].startswith("down ")


@pytest.mark.parametrize("width", [None, 80])
def test_one_long_name_does_not_spoil_the_table_for_everybody(width):
    long = TARGET | {"address": "2001:db8:1234:5678:9abc:def0:1234:5678", "check": "a" * 30}
    head, *rows = picture(*many(11), long, width=width)[2:]
    assert head == "STATE  CHECK  ADDRESS         FOR         LATENCY  P95      POOLS"
    usual = "up     web    192.0.2.100:80  2 h 10 min  12.3 ms  15.1 ms  web-fra/192.0.2.10"
    assert usual in rows
    place = f"{'a' * 30}  [2001:db8:1234:5678:9abc:def0:1234:5678]:80"
    assert f"up     {place}  2 h 10 min  12.3 ms  15.1 ms" in rows
    # Where there is room for all of it, all stand in columns.
    wide = picture(*many(11), long, width=200)[3:]
    assert len({row.index("2 h 10 min") for row in wide}) == 1


def test_a_target_without_a_port_has_none():
    assert "192.0.2.10  " in picture(TARGET | {"type": "icmp", "port": 0})[3]


def test_without_checks_it_says_what_that_means():
    assert picture() == ["no checks, so everything counts as up"]


def test_well_is_who_has_nothing_down_and_sees():
    assert is_well(health(TARGET, TARGET | {"state": "unknown"}))
    assert not is_well(health(TARGET, DOWN))
    assert not is_well(health(TARGET, blind=BLIND))


def test_a_change_is_a_line_and_what_stays_is_none():
    well, bad = health(TARGET), health(TARGET, DOWN)
    recovered = DOWN | {"state": "up", "endpoints": TARGET["endpoints"]}
    assert changes(None, well) == []
    assert changes(well, well) == []
    assert changes(None, bad) == changes(well, bad) == [
        "18:40:00Z web 192.0.2.11:80: down; connect refused (2 in a row), timeout after 2.0 s; "
        "web-fra/two (forced drain)"
    ]  # fmt: skip
    (line,) = changes(bad, health(TARGET, recovered))
    assert line.startswith("18:40:00Z web 192.0.2.11:80: down -> up; was connect refused (2 in")
    assert changes(bad, well) == ["18:40:00Z web 192.0.2.11:80: no longer checked"]


def test_what_is_forced_and_held_is_a_change_too():
    forced = TARGET | {"endpoints": [TARGET["endpoints"][0] | {"forced": "down"}]}
    assert changes(health(TARGET), health(forced)) == [
        "18:40:00Z web 192.0.2.10:80: up; web-fra (forced down)"
    ]
    (line,) = changes(health(DOWN), health(DOWN | {"held": True}))
    assert "held down, it flaps" in line


def test_blindness_is_told_when_it_begins_and_ends():
    (begins,) = changes(health(TARGET), health(TARGET, blind=BLIND))
    assert begins.startswith("18:40:00Z BLIND for 2 min")
    assert changes(health(TARGET, blind=BLIND), health(TARGET, blind=BLIND)) == []
    (ends,) = changes(health(TARGET, blind=BLIND), health(TARGET))
    assert ends == "18:40:00Z the prober sees again"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"at": 7, "blind": [], "targets": {}},
        {"targets": [7, None, {}, {"endpoints": "x", "latency": "fast", "port": "http"}]},
        {"blind": {"x": 1}, "targets": [{"evidence": [], "failing": {}, "state": None}]},
        {"targets": [{"state": "\x1b[31m", "since": "yesterday", "load": True}]},
    ],
)
def test_a_body_of_another_kind_of_server_is_shown_as_well_as_can_be(body):
    compose_health(body, NOW, 80)
    compose_changes(None, body, NOW)
    compose_changes(body, {}, NOW)
    is_well(body)
    assert not [line for line in map(text, compose_health(body, NOW, None)) if "\x1b" in line]
    assert summarize(body)
