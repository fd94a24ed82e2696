"""Blindness told apart from an outage (health.md, Blindness), without any prober."""

from __future__ import annotations

from dataclasses import replace

from gslb.core.blindness import (
    Sight,
    every_witness_fails,
    nothing_answers,
    nothing_left,
    silent_after_s,
)
from gslb.core.check import Check
from gslb.core.setting import Witness
from hypothesis import given
from hypothesis import strategies as st

WEB = Check("web", "tcp", 80, interval_s=5.0, timeout_s=2.0, jitter=0.1)
ONE = Witness("tcp", "192.0.2.1", 53)
TWO = Witness("icmp", "2001:db8::1")
times = st.floats(0, 1e6)


def test_every_witness_has_to_fail_and_the_reason_names_them_all() -> None:
    assert every_witness_fails({}) == ""
    assert every_witness_fails({ONE: None}) == ""
    assert every_witness_fails({ONE: "no route", TWO: ""}) == ""
    assert every_witness_fails({ONE: "no route", TWO: None}) == ""
    assert every_witness_fails({ONE: "no route", TWO: "timeout after 1.0 s"}) == (
        "every witness fails: tcp://192.0.2.1:53 (no route), "
        "icmp://[2001:db8::1] (timeout after 1.0 s)"
    )


def test_nothing_is_proved_before_the_first_success() -> None:
    assert not Sight(None, 0.0).proves(0.0)


@given(st.lists(st.tuples(times, st.floats(0, 2)), min_size=1), times)
def test_only_a_probe_that_began_after_the_failure_proves_anything(probes, failed_at) -> None:
    sight = Sight(None, 0.0)
    for began_at, lasted_s in probes:
        sight = sight.succeeded(began_at, began_at + lasted_s)
    assert sight.proves(failed_at) == any(began_at >= failed_at for began_at, _ in probes)
    assert sight.heard_at == max(began_at + lasted_s for began_at, lasted_s in probes)


def test_one_interval_is_the_longest_and_allows_for_jitter_and_timeout() -> None:
    rare = replace(WEB, interval_s=60.0, jitter=0.0, timeout_s=1.0)
    assert silent_after_s([WEB]) == 5.0 * 1.6 + 2.0
    assert silent_after_s([WEB, rare]) == 60.0 * 1.5 + 1.0


def test_what_is_off_inverted_or_reported_shows_nothing() -> None:
    assert silent_after_s([]) == 0.0
    assert silent_after_s([replace(WEB, enabled=False), replace(WEB, invert=True)]) == 0.0
    assert silent_after_s([replace(WEB, type="push"), replace(WEB, type="calculated")]) == 0.0


def test_silence_is_blindness_only_where_two_data_centers_were_up() -> None:
    sight = Sight(3.0, 10.0)
    assert nothing_answers(sight, 17.4, 7.5, 2) == ""
    assert nothing_answers(sight, 17.5, 7.5, 1) == ""
    assert nothing_answers(sight, 17.5, 7.5, 2) == (
        "no probe has succeeded for 7.5 s; 2 data centers were up"
    )


def test_where_nothing_was_up_silence_is_an_outage() -> None:
    assert nothing_left(Sight(None, 0.0), 5.0, 0) == ""
    assert nothing_left(Sight(1.0, 1.0), 5.0, 1) == ""
