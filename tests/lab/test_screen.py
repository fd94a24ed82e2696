"""What the lab prints, on a terminal, in a pipe, for machines; and a drill's report."""

from __future__ import annotations

import io
import json

from gslb.lab.metric import count_failed_probes, count_verdicts, is_up, parse_samples
from gslb.lab.report import Passage, Report
from gslb.lab.screen import Row, Screen
from gslb.lab.world import REGIONS

HEALTHY = Row("fra", "healthy", "up", 9, 100, 0)
BROKEN = Row("fra", "broken", "up", 9, 110, 4)
LATER = Row("fra", "healthy", "up", 9, 500, 0)

METRICS = """\
# HELP gslb_endpoint_up 1 if the probes call it up.
# TYPE gslb_endpoint_up gauge
gslb_endpoint_up{pool="web-fra",endpoint="127.10.1.1"} 0.0
gslb_endpoint_up{endpoint="127.10.2.1",pool="web-iad"} 1.0
gslb_probes_total{check="web",result="ok"} 12.0
gslb_probes_total{check="web",result="failed"} 3.0
gslb_probes_total{check="a\\"b",result="error"} 1.0
gslb_transitions_total{pool="web-fra",to="down"} 2.0
gslb_transitions_total{pool="web-fra",to="up"} 1.0
gslb_transitions_total{pool="web-iad",to="down"} 5.0
gslb_world_generation 4.0
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_is_a_line_per_change_and_none_without_news() -> None:
    stream = io.StringIO()
    screen = Screen(stream)
    for row in (HEALTHY, LATER, BROKEN, BROKEN):
        screen.show([row])
    lines = stream.getvalue().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [str(HEALTHY), str(BROKEN)]
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_the_table_is_drawn_over_itself() -> None:
    stream = Terminal()
    screen = Screen(stream)
    screen.show([HEALTHY])
    first = stream.getvalue()
    assert first.splitlines()[0].split()[:2] == ["region", "state"]
    assert first.splitlines()[1].split()[:3] == ["fra", "healthy", "up"]
    screen.show([BROKEN])
    assert stream.getvalue().removeprefix(first).startswith("\x1b[2A\x1b[J")


def test_a_line_on_a_terminal_stays_above_the_table() -> None:
    stream = Terminal()
    screen = Screen(stream)
    screen.show([HEALTHY])
    shown = len(stream.getvalue())
    screen.say("fra is broken")
    assert stream.getvalue()[shown:] == "\x1b[2A\x1b[Jfra is broken\n"


def test_machines_get_json_lines_only() -> None:
    stream = io.StringIO()
    screen = Screen(stream, as_json=True)
    screen.say("for people")
    screen.show([HEALTHY])
    (line,) = stream.getvalue().splitlines()
    value = json.loads(line)
    assert (value["region"], value["state"], value["clients"]) == ("fra", "healthy", 9)


def test_the_servers_verdict_is_read_per_region() -> None:
    samples = parse_samples(METRICS)
    assert [is_up(samples, region) for region in REGIONS] == [False, True, None]


def test_verdicts_are_counted_per_region_and_direction() -> None:
    samples = parse_samples(METRICS)
    counts = [count_verdicts(samples, region.name, "down") for region in REGIONS]
    assert counts == [2, 5, 0]
    assert count_verdicts(samples, REGIONS[0].name, "up") == 1


def test_failed_probes_are_all_but_the_good_ones() -> None:
    assert count_failed_probes(parse_samples(METRICS)) == 4
    assert count_failed_probes([]) == 0


def report(stream: io.StringIO, *, as_json: bool = False) -> Report:
    clock = iter([10.0, 12.5, 14.0])
    return Report("failover", Screen(stream, as_json=as_json), lambda: next(clock), 10.0)


def test_a_report_without_expectations_has_not_passed() -> None:
    assert not report(io.StringIO()).passed


def test_a_report_passes_only_if_every_expectation_held() -> None:
    one = report(io.StringIO())
    one.expect("this", True)
    assert one.passed
    one.expect("that", False)
    assert not one.passed


def test_a_report_is_a_timeline_a_sum_and_expectations() -> None:
    stream = io.StringIO()
    one = report(stream)
    one.mark("steady")
    one.mark("killed")
    one.measure(Passage("failover", 2.5, 0.05, 9.0))
    one.expect("steady: every client is at its nearest region", True, "20 of 20")
    one.expect("failover: the answer changes", False)
    one.close()
    assert stream.getvalue().splitlines() == [
        "   0.00 s  steady",
        "   2.50 s  killed",
        "failover takes: verdict 2.50 s + publish 0.05 s + TTL 9.00 s = 11.55 s",
        "PASS  steady: every client is at its nearest region (20 of 20)",
        "FAIL  failover: the answer changes",
        "drill failover: 1 of 2 expectations held",
    ]


def test_a_report_for_machines_is_one_object() -> None:
    stream = io.StringIO()
    one = report(stream, as_json=True)
    one.mark("steady")
    one.measure(Passage("failover", 2.5, 0.05, 9.0))
    one.expect("this", True)
    one.close()
    value = json.loads(stream.getvalue())
    assert value["passed"] is True
    assert value["timeline"] == [{"at_s": 0.0, "what": "steady"}]
    assert value["passages"][0]["verdict_s"] == 2.5
    assert value["expectations"] == [{"what": "this", "passed": True, "detail": ""}]
