"""What lines say of changes."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from gslb.app.report import difference, reason_of, tell_fallback, unchangeable
from gslb.core.check import Check
from gslb.core.decide import Rule
from gslb.core.health import State
from gslb.core.setting import Settings
from gslb.core.trail import Transition
from gslb.core.world import MapInfo, Plan
from gslb.wire.name import from_text

from sample import make_world

CHECK = Check("web", "tcp", 80, fall=3, rise=2)
REASONS = ("connect refused", "connect refused", "timeout after 2 s")


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (State.UP, State.DOWN, "connect refused, timeout after 2 s (3 in a row)"),
        (
            State.DOWN,
            State.UP,
            "good again (2 in a row), was: connect refused, timeout after 2 s",
        ),
        (State.UNKNOWN, State.UP, "the first good probe"),
    ],
)
def test_a_transition_says_why_and_no_reason_twice(before: State, after: State, why: str) -> None:
    assert reason_of(Transition(1.0, before, after, REASONS), CHECK) == why


@pytest.mark.parametrize("fall", [1, 3])
def test_of_a_report_there_is_no_row(fall: int) -> None:
    pushed = Check("job", "push", 0, fall=fall, rise=fall)
    fell = Transition(1.0, State.UP, State.DOWN, ("no report for 93 s",))
    assert reason_of(fell, pushed) == "no report for 93 s"
    rose = Transition(2.0, State.DOWN, State.UP, ("no report for 93 s",))
    assert reason_of(rose, pushed) == "good again, was: no report for 93 s"


def with_serials(plan: Plan, *serials: int) -> Plan:
    """The plan with one zone for each serial: s0.example, s1.example …"""
    zone = next(iter(plan.zones.values()))
    zones = [
        replace(zone, apex=from_text(f"s{number}.example."), serial=serial)
        for number, serial in enumerate(serials)
    ]
    return replace(plan, zones={zone.apex: zone for zone in zones})


def test_a_change_names_zones_by_serial_and_databases_by_date() -> None:
    plan = make_world().plan
    old = replace(with_serials(plan, 7, 8), maps=(MapInfo("city", "c", "City", 0),))
    new = replace(with_serials(plan, 7, 9, 1), maps=(MapInfo("city", "c", "City", 86400),))
    assert difference(old, new) == {
        "zones": "s1.example. 8..9, s2.example. new..1",
        "databases": "city of 1970-01-02",
    }
    assert difference(new, old)["zones"] == "s1.example. 9..8, s2.example. 1..gone"
    assert difference(old, old) == {}


def test_a_change_of_many_zones_or_a_date_from_nowhere_is_still_one_short_line() -> None:
    plan = make_world().plan
    maps = (MapInfo("asn", "a", "ASN", 1 << 63),)
    told = difference(with_serials(plan), replace(with_serials(plan, *range(99)), maps=maps))
    assert told["zones"].endswith(", 89 more")
    assert told["databases"] == f"asn of {1 << 63}"


def test_what_only_a_restart_changes_is_named() -> None:
    opened = Settings()
    wanted = replace(opened, engine="python", control=None, udp_size=512)
    subjects = [problem.subject for problem in unchangeable("gslb.yaml", opened, wanted)]
    assert subjects == ["server.engine", "control.listen"]


@pytest.mark.parametrize("rule", get_args(Rule)[1:])
def test_a_last_resort_is_told_in_words(rule: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        tell_fallback("web", 4, rule)
    (record,) = caplog.records
    why = record.__dict__["gslb_fields"]["why"]
    assert why.startswith("nothing is available; ")
    assert not why.endswith(f"; {rule}")
