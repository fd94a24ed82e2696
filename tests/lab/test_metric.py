"""The few lines of /metrics that the lab reads."""

from __future__ import annotations

from gslb.lab.metric import (
    count_failed_probes,
    count_queries,
    count_reloads,
    count_verdicts,
    find_generation,
    parse_samples,
)

PAGE = """\
# HELP gslb_queries_total DNS messages that came in.
# TYPE gslb_queries_total counter
gslb_queries_total{transport="udp",family="4"} 40.0
gslb_queries_total{transport="tcp",family="6"} 2.0
gslb_transitions_total{pool="web-fra",to="down"} 2.0
gslb_transitions_total{pool="web-fra",to="up"} 3.0
gslb_transitions_total{pool="web-iad",to="down"} 5.0
gslb_probes_total{check="web",result="ok"} 100.0
gslb_probes_total{check="web",result="timeout"} 3.0
gslb_reload_total{result="failed"} 1.0
gslb_world_generation 1.2e+01
"""


def test_what_the_lab_asks_for_is_counted_and_nothing_else() -> None:
    samples = parse_samples(PAGE)
    assert count_queries(samples) == 42
    assert count_verdicts(samples, "fra", "down") == 2
    assert count_verdicts(samples, "nrt", "down") == 0
    assert count_failed_probes(samples) == 3
    assert (count_reloads(samples, "failed"), count_reloads(samples, "ok")) == (1, 0)


def test_a_sample_without_labels_is_read_too() -> None:
    assert find_generation(parse_samples(PAGE)) == 12
    assert find_generation([]) is None
