"""What a drill keeps of visits, how it waits, and how much a change may cost."""

from __future__ import annotations

import io
import json

import pytest
from gslb.lab.diary import (
    Bound,
    Diary,
    Limits,
    Note,
    Sighting,
    expect_losses,
    expect_none,
    expect_passage,
    expect_places,
    wait_for,
)
from gslb.lab.report import Report
from gslb.lab.screen import Screen

EXPECTED = {"London": "iad", "Tokyo": "nrt"}


def diary(*notes: Note) -> Diary:
    result = Diary(dict(EXPECTED))
    for note in notes:
        result.observe(note)
    return result


def test_a_city_arrives_at_its_first_page_from_where_it_is_expected() -> None:
    act = diary(
        Note(1.0, "London", "fra", "connection refused"),
        Note(2.0, "London", "iad", "timeout"),
        Note(3.0, "London", "iad", ""),
        Note(4.0, "London", "iad", ""),
    )
    assert act.arrived_s == {"London": 3.0}
    assert [note.at_s for note in act.lost] == [1.0, 2.0]
    assert not act.complete


def test_an_act_is_complete_when_every_city_has_arrived() -> None:
    act = diary(Note(1.0, "London", "iad", ""), Note(1.5, "Tokyo", "nrt", ""))
    assert act.complete


def test_a_visit_elsewhere_before_the_arrival_is_no_stray_and_after_it_is() -> None:
    act = diary(
        Note(1.0, "London", "fra", ""),
        Note(2.0, "London", "iad", ""),
        Note(3.0, "London", "fra", ""),
        Note(3.5, "London", "", "no answer: timed out"),
        Note(3.0, "Tokyo", "fra", ""),
    )
    assert [(note.who, note.at_s) for note in act.strays()] == [("London", 3.0)]


@pytest.mark.parametrize(
    ("verdicts_s", "answer_s", "verdict_s"),
    [
        ([3.0], 3.05, 3.0),
        ([3.05], 3.0, 3.05),  # seen a moment later than the answer
        ([3.0, 3.7], 3.1, 3.0),  # the other address came later
        ([3.0, 3.7], 3.75, 3.7),  # the other address came first
        ([3.0, 3.7], None, 3.0),
        ([], 3.0, None),
    ],
)
def test_the_verdict_that_counts_is_the_one_that_the_answer_followed(
    verdicts_s: list[float], answer_s: float | None, verdict_s: float | None
) -> None:
    assert Sighting(verdicts_s, answer_s).verdict_s == verdict_s


async def test_a_wait_ends_when_it_has_happened_and_at_its_deadline() -> None:
    looks = iter([False, False, True])

    async def third_time() -> bool:
        return next(looks)

    async def never() -> bool:
        return False

    assert await wait_for(third_time, 60.0)
    assert not await wait_for(never, 0.0)


LIMITS = Limits(verdict_s=8.0, publish_s=1.0, ttl_s=5, slack_s=3.0)


def make_report() -> Report:
    return Report("test", Screen(io.StringIO()), lambda: 0.0, 0.0)


def failed(report: Report) -> list[str]:
    return [expectation.what for expectation in report.expectations if not expectation.passed]


def test_what_a_change_may_cost_is_each_clients_visits_while_it_takes_its_time() -> None:
    # 8 + 1 + 5 + 3 seconds, 4 visits each, and one that was on its way.
    assert Bound(1, 4, LIMITS).requests == 69
    assert Bound(3, 4, LIMITS).requests == 207
    assert Bound(1, 4, Limits(3.9, 0.1, 5, 0.1)).requests == 38  # 36.4 begun, rounded up


def test_a_bound_says_how_it_is_made_up() -> None:
    assert str(Bound(3, 4, LIMITS)) == (
        "at most 207: 3 clients x (4 visits a second x (verdict 8 s + publish 1 s + TTL 5 s + 3 s)"
        " + 1 on its way)"
    )
    assert "69: 1 client x" in str(Bound(1, 4, LIMITS))


def test_one_request_more_than_the_bound_fails_and_the_bound_is_told() -> None:
    act = Diary({"London": "iad"})
    bound = Bound(1, 1, Limits(1.0, 0.0, 1, 0.0))
    for number in range(bound.requests):
        act.observe(Note(float(number), "London", "fra", "timed out"))
    report = make_report()
    expect_losses(report, "failover", act, bound)
    assert failed(report) == []
    act.observe(Note(9.0, "London", "fra", "timed out"))
    expect_losses(report, "failover", act, bound)
    assert failed(report) == ["failover: the requests lost are bounded"]
    assert report.expectations[-1].detail.startswith("4; at most 3: 1 client x")


def test_a_lost_request_is_told_with_who_lost_it_and_why() -> None:
    report = make_report()
    expect_none(report, "steady: no request is lost", [])
    expect_none(report, "steady: no request is lost", [Note(1.0, "London", "fra", "refused")])
    assert [(one.passed, one.detail) for one in report.expectations] == [
        (True, ""),
        (False, "1, the first from London: refused"),
    ]


def test_who_never_came_and_who_left_again_are_named() -> None:
    act = diary(
        Note(1.0, "London", "iad", ""),
        Note(2.0, "London", "fra", ""),
    )
    report = make_report()
    expect_places(report, "steady", act)
    assert report.expectations[0].detail == "1 of 2; never: Tokyo; left again: London"
    assert failed(report) == ["steady"]


def passage(*, answer_s: float | None, moved_s: float, verdict_s: float = 3.0) -> Report:
    """What is expected of a change at 0."""
    report = make_report()
    act = diary(Note(1.0, "Tokyo", "nrt", ""), Note(moved_s, "London", "iad", ""))
    expect_passage(report, "failover", 0.0, Sighting([verdict_s], answer_s), act, LIMITS)
    return report


def test_a_passage_is_the_sum_of_its_parts() -> None:
    report = passage(answer_s=3.25, moved_s=7.0)
    assert failed(report) == []
    assert [str(one) for one in report.passages] == [
        "failover takes: verdict 3.00 s + publish 0.25 s + TTL 3.75 s = 7.00 s"
    ]


@pytest.mark.parametrize(
    ("answer_s", "moved_s", "what"),
    [
        (None, 7.0, "failover: the answer changes"),
        (4.5, 7.0, "failover: the answer changes within 1 s of the verdict"),
        (3.25, 12.0, "failover: the last client moves within the TTL of 5 s and 3 s"),
    ],
)
def test_each_part_of_a_passage_has_its_own_limit(
    answer_s: float | None, moved_s: float, what: str
) -> None:
    assert failed(passage(answer_s=answer_s, moved_s=moved_s)) == [what]


def test_a_verdict_that_comes_too_late_fails_though_all_else_follows_in_time() -> None:
    report = passage(answer_s=8.2, moved_s=9.0, verdict_s=8.1)
    assert failed(report) == ["failover: the verdict comes within 8 s"]


def test_a_report_without_expectations_has_not_passed() -> None:
    stream = io.StringIO()
    report = Report("test", Screen(stream, as_json=True), lambda: 0.0, 0.0)
    report.close()
    assert json.loads(stream.getvalue())["passed"] is False
