"""What dnsperf printed is believed only where it can be."""

from __future__ import annotations

import pytest
from bench.dnsperf import DnsperfError, parse, parse_latencies

# As dnsperf 2.10.0 prints it.
OUTPUT = """\
[Status] Testing complete (time limit)

Statistics:

  Queries sent:         210760
  Queries completed:    {completed}
  Queries lost:         292 (0.14%)

  Response codes:       {rcodes}
  Average packet size:  request 35, response 51
  Run time (s):         1.000155
  Queries per second:   210435.382516

  Average Latency (s):  0.000273 (min 0.000008, max 0.002890)
  Latency StdDev (s):   0.000242
"""


def output(completed: int = 210760, rcodes: str = "NOERROR 210760 (100.00%)") -> str:
    return OUTPUT.format(completed=f"{completed} (99.86%)", rcodes=rcodes)


def test_the_statistics_are_read() -> None:
    run = parse(output(rcodes="NOERROR 210000 (99.64%), NXDOMAIN 760 (0.36%)"))
    assert (run.sent, run.answered, run.qps) == (210760, 210760, 210435.382516)
    assert run.rcodes == {"NOERROR": 210000, "NXDOMAIN": 760}


def test_a_run_with_the_right_answers_has_no_fault() -> None:
    assert parse(output()).fault("NOERROR") == ""


def test_a_run_that_lost_more_than_a_thousandth_is_invalid() -> None:
    assert parse(output(completed=210468)).fault("NOERROR") == "0.14% lost"


def test_a_run_with_another_rcode_is_invalid() -> None:
    run = parse(output(rcodes="NOERROR 210000 (99.64%), SERVFAIL 760 (0.36%)"))
    assert run.fault("NOERROR") == "SERVFAIL among the answers"


def test_a_run_without_answers_is_invalid() -> None:
    assert parse(output(completed=0, rcodes="")).fault("NOERROR") == "no answers"


def test_output_without_statistics_is_an_error_that_shows_it() -> None:
    with pytest.raises(DnsperfError, match="could not connect"):
        parse("Error: could not connect")


def test_latencies_are_read_from_the_verbose_lines() -> None:
    text = "> NOERROR www.example A 0.000186\n> T www.example A\n> NXDOMAIN nx.example A 0.000063\n"
    assert parse_latencies(text) == [0.000186, 0.000063]
