"""A limit is judged on both sides, and two peers are compared round by round."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.compare import Figure
from bench.fact import Fact, relate_pairs
from bench.report import compose_facts, write_json

COMMIT = "ae9d361"


def figure(workload: str, peer: str, *rounds_qps: float, fault: str = "") -> Figure:
    return Figure(workload, peer, rounds_qps[0], 1.0, 1.0, 0.0, 1.0, rounds_qps, fault)


@pytest.mark.parametrize(("value", "verdict"), [(15.1, "FAIL"), (15.0, "PASS"), (4.9, "FAIL")])
def test_a_figure_outside_its_limits_has_failed(value: float, verdict: str) -> None:
    fact = Fact("start, cold", value, "s", most=15.0, least=5.0)
    assert f"{verdict}: at least 5, at most 15" in compose_facts([fact])
    assert fact.failed is (verdict == "FAIL")


def test_an_invalid_figure_has_failed_whatever_its_value() -> None:
    fact = Fact("start, cold", 1.0, "s", most=15.0, fault="it never came")
    assert fact.failed
    assert "INVALID: it never came" in compose_facts([fact])


def test_without_limits_there_is_no_verdict() -> None:
    assert compose_facts([Fact("capacity", 77_867.3, "qps")]) == "capacity  77,867 qps"


def test_the_earlier_commit_is_compared_in_pairs_of_rounds() -> None:
    # The machine was twice as slow in the second round: the medians' ratio would be 0.85.
    (fact,) = relate_pairs(
        [figure("geo", "gslb", 95, 48, 85), figure("geo", f"gslb@{COMMIT}", 100, 50, 100)], COMMIT
    )
    assert fact.name == f"geo: gslb / gslb@{COMMIT}"
    assert fact.value == pytest.approx(0.95)
    assert not fact.failed


def test_guards_may_cost_a_fifth_and_their_absence_a_tenth() -> None:
    figures = [
        figure("static", f"gslb@{COMMIT}", 100),
        figure("static", "gslb", 89),
        figure("static", "gslb-guarded", 81),
    ]
    assert [fact.failed for fact in relate_pairs(figures, COMMIT)] == [True, False]


def test_a_faulty_figure_makes_its_pairs_invalid() -> None:
    figures = [figure("geo", "gslb", 95, fault="0.2% lost"), figure("geo", f"gslb@{COMMIT}", 100)]
    (fact,) = relate_pairs(figures, COMMIT)
    assert fact.fault == "0.2% lost"


def test_what_cookies_cost_has_no_bound_where_the_earlier_commit_made_none() -> None:
    figures = [figure("cookie", f"gslb@{COMMIT}", 100), figure("cookie", "gslb-guarded", 10)]
    assert [fact.failed for fact in relate_pairs(figures, COMMIT)] == [False]


def test_without_an_earlier_commit_only_lua_is_compared() -> None:
    figures = [
        figure(workload, peer, qps)
        for workload in ("geo", "geo-ecs")
        for peer, qps in (("powerdns-lua", 10.0), ("gslb", 99.0))
    ]
    (fact,) = relate_pairs(figures, None)
    assert (fact.name, fact.value, fact.failed) == ("geo-ecs: gslb / powerdns-lua", 9.9, True)


def test_the_file_for_machines_has_every_section_with_its_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    facts = {"overload": [Fact("lost", 3, "queries", most=0)], "alone": []}
    write_json(path, {"machine": "m"}, [figure("geo", "gslb", 1.0)], facts)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["machine"] == "m"
    assert document["figures"][0]["rounds_qps"] == [1.0]
    assert document["overload"][0]["failed"] is True
    assert document["alone"] == []
