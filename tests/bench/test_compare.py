"""A figure is a median, one bad round spoils it, and a target is judged beside gdnsd only."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.compare import Figure, Round, relate, share_equal, summarise
from bench.dnsperf import Run
from bench.machine import Cpu, parse_stat
from bench.question import Reply
from bench.report import compose_figures
from bench.workload import WORKLOADS

GEO = WORKLOADS[1]


def a_round(qps: float, rcode: str = "NOERROR") -> Round:
    run = Run(sent=1000, answered=1000, qps=qps, rcodes={rcode: 1000})
    return Round(run, Cpu(user_s=0.002, system_s=0.005))


def test_a_figure_is_the_median_of_its_rounds() -> None:
    figure = summarise(GEO, "gslb", [a_round(100), a_round(900), a_round(300)], 1.0)
    assert figure.qps == 300
    assert (figure.user_us, figure.system_us) == (pytest.approx(2.0), pytest.approx(5.0))
    assert not figure.failed


def test_one_invalid_round_makes_the_figure_invalid() -> None:
    figure = summarise(GEO, "gslb", [a_round(100), a_round(900, "REFUSED"), a_round(300)], 1.0)
    assert figure.failed
    assert "INVALID: REFUSED among the answers" in compose_figures([figure])


def test_the_target_is_judged_by_the_ratio_to_gdnsd() -> None:
    gdnsd = summarise(GEO, "gdnsd", [a_round(1000)], 1.0)
    fast, slow = replace(gdnsd, peer="gslb", qps=500), replace(gdnsd, peer="gslb", qps=499)
    reference, reached = relate(GEO, [gdnsd, fast])
    assert not reference.failed
    assert not reached.failed
    assert "PASS: at least 0.50" in compose_figures([reached])
    missed = relate(GEO, [gdnsd, slow])[1]
    assert missed.failed
    assert "FAIL: at least 0.50" in compose_figures([missed])


def test_without_gdnsd_there_is_no_ratio_and_no_target() -> None:
    (figure,) = relate(GEO, [summarise(GEO, "gslb", [a_round(1)], 1.0)])
    assert figure.ratio is None
    assert not figure.failed


def test_no_answer_is_like_no_answer_of_another() -> None:
    here = Reply("NOERROR", ("192.0.2.10",))
    assert share_equal([here, here, None, None], [here, None, here, None]) == 0.25


def test_the_times_of_a_process_are_read_whatever_its_name() -> None:
    # proc(5): utime and stime are fields 14 and 15, in ticks; field 2 may hold anything.
    fields = ["S"] + ["0"] * 10 + ["300", "200"] + ["0"] * 20
    used = parse_stat(f"4711 (a) b (c)) {' '.join(fields)}")
    one = parse_stat(f"1 (x) {' '.join(['S'] + ['0'] * 10 + ['1', '1'] + ['0'] * 20)}")
    assert used.user_s == pytest.approx(300 * one.user_s)
    assert used.system_s == pytest.approx(200 * one.system_s)


def test_the_table_has_a_line_for_each_figure() -> None:
    figures: list[Figure] = relate(GEO, [summarise(GEO, "gdnsd", [a_round(1234)], 1.0)])
    head, line = compose_figures(figures).splitlines()
    assert head.split()[:3] == ["workload", "peer", "qps"]
    assert line.split()[:3] == ["geo-ecs", "gdnsd", "1,234"]
