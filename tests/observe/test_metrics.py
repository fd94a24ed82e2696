"""Metrics: the names, their labels, and the page Prometheus reads."""

import shutil
import subprocess

import pytest
from gslb.observe.metrics import (
    CAPS,
    COOKIE_RESULTS,
    RRL_ACTIONS,
    TABLE,
    Duration,
    Metrics,
    Sample,
    from_counts,
)


def whole(metrics: Metrics) -> bytes:
    """The body of a scrape."""
    pieces, _ = metrics.render()
    return b"".join(pieces)


def page(*values: Sample | Duration) -> list[str]:
    """The lines of ours on a page, without the comments and what stands on every page."""
    samples = [value for value in values if isinstance(value, Sample)]
    durations = [value for value in values if isinstance(value, Duration)]
    body = whole(Metrics([lambda: samples], [lambda: durations]))
    idle = whole(Metrics([])).splitlines()
    lines = [line for line in body.splitlines() if line not in idle]
    return [line.decode() for line in lines if line.startswith(b"gslb_")]


def test_counts_of_an_engine_become_samples():
    counts = {("queries", "udp", "4"): 7, ("truncated",): 1}
    assert page(*from_counts(counts)) == [
        'gslb_queries_total{family="4",transport="udp"} 7.0',
        "gslb_truncated_total 1.0",
    ]


@pytest.mark.parametrize(
    ("name", "label", "values"),
    [("cap", "cap", CAPS), ("rrl", "action", RRL_ACTIONS), ("cookies", "result", COOKIE_RESULTS)],
)
def test_what_has_not_happened_yet_is_there_as_0(name, label, values):
    samples = from_counts({(name, values[1]): 3})
    lines = whole(Metrics([lambda: samples])).decode().splitlines()
    for value in values:
        expected = 3.0 if value == values[1] else 0.0
        assert f'gslb_{name}_total{{{label}="{value}"}} {expected}' in lines


def test_a_count_without_labels_is_there_before_it_counts():
    lines = whole(Metrics([])).decode().splitlines()
    assert "gslb_errors_total 0.0" in lines
    assert "gslb_truncated_total 0.0" in lines


def test_a_gauge_keeps_its_name():
    assert page(Sample("endpoint_up", ("web-fra", "192.0.2.10"), 0)) == [
        'gslb_endpoint_up{endpoint="192.0.2.10",pool="web-fra"} 0.0'
    ]


def test_a_histogram_accumulates_its_buckets():
    assert page(Duration("probe_seconds", ("web",), (0.1, 1), (4, 2, 1), 3.5)) == [
        'gslb_probe_seconds_bucket{check="web",le="0.1"} 4.0',
        'gslb_probe_seconds_bucket{check="web",le="1.0"} 6.0',
        'gslb_probe_seconds_bucket{check="web",le="+Inf"} 7.0',
        'gslb_probe_seconds_count{check="web"} 7.0',
        'gslb_probe_seconds_sum{check="web"} 3.5',
    ]


def test_what_two_suppliers_count_adds_up():
    engine = [Sample("dropped", ("short",), 2), Sample("dropped", ("response",), 1)]
    sockets = [Sample("dropped", ("short",), 3)]
    lines = whole(Metrics([lambda: engine, lambda: sockets])).decode().splitlines()
    assert 'gslb_dropped_total{reason="short"} 5.0' in lines
    assert 'gslb_dropped_total{reason="response"} 1.0' in lines


def test_suppliers_are_read_at_each_scrape_and_not_before():
    calls = []

    def supply():
        calls.append(len(calls))
        return [Sample("world_generation", (), len(calls))]

    metrics = Metrics([supply])
    assert calls == []
    assert b"gslb_world_generation 1.0\n" in whole(metrics)
    assert b"gslb_world_generation 2.0\n" in whole(metrics)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Sample("qurries", ("udp", "4"), 1),
        lambda: Sample("queries", ("udp",), 1),
        lambda: Sample("truncated", ("udp",), 1),
        lambda: Sample("probe_seconds", ("web",), 1),
        lambda: Duration("queries", ("udp", "4"), (), (1,), 1),
        lambda: Duration("probe_seconds", (), (), (1,), 1),
    ],
)
def test_a_sample_that_is_not_in_the_table_is_a_fault(wrong):
    with pytest.raises(ValueError, match=r"metric|histogram"):
        wrong()


def test_a_label_may_hold_anything_and_stays_one_line():
    (line,) = page(Sample("dropped", ('a"b\\c\nd',), 1))
    assert line == 'gslb_dropped_total{reason="a\\"b\\\\c\\nd"} 1.0'


def test_the_process_itself_is_measured():
    pieces, kind = Metrics([]).render()
    assert b"process_resident_memory_bytes" in b"".join(pieces)
    assert kind.startswith("text/plain; version=")


def test_two_metrics_do_not_share_a_registry():
    for _ in range(2):
        assert len(page(Sample("truncated", (), 1))) == 1


def test_every_metric_is_on_the_page_and_promtool_has_no_complaint():
    kinds = {name: metric.kind for name, metric in TABLE.items()}
    samples = [Sample(n, TABLE[n].labels, 1) for n in TABLE if kinds[n] != "histogram"]
    durations = [
        Duration(n, TABLE[n].labels, (0.1, 1), (1, 2, 3), 9)
        for n in TABLE
        if kinds[n] == "histogram"
    ]
    body = whole(Metrics([lambda: samples], [lambda: durations]))
    for name, kind in kinds.items():
        suffix = "_total" if kind == "counter" else ""
        assert f"# TYPE gslb_{name}{suffix} {kind}\n".encode() in body
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    lint = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, b"", b"")


def test_a_large_page_comes_in_pieces_and_is_one_page():
    samples = [Sample("endpoint_up", ("web", f"192.0.2.{n}"), n) for n in range(2000)]
    pieces, _ = Metrics([lambda: samples]).render()
    pieces = list(pieces)
    assert max(piece.count(b"\n") for piece in pieces) < 250
    lines = [line for line in b"".join(pieces).splitlines() if b"endpoint_up" in line]
    assert [line[:6] for line in lines[:2]] == [b"# HELP", b"# TYPE"]
    assert len(lines) == 2002
    assert lines[-1] == b'gslb_endpoint_up{endpoint="192.0.2.1999",pool="web"} 1999.0'
