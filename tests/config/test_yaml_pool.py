"""The keys of a pool that say how it behaves near its end: panic, ramp, shed, manual_resume."""

from __future__ import annotations

import pytest
from gslb.core.policy import Pool, Shed

from yamlcase import SMALL, edited, read, said

HERE = "datacenter: fra,"


def with_keys(folder, keys: str, text: str = SMALL):
    return read(folder, edited(text, HERE, f"{HERE} {keys},"))


def first_pool(reading) -> Pool:
    assert reading.config is not None, said(reading, "error")
    return reading.config.pools[0]


def test_every_key_is_read(tmp_path):
    keys = (
        "panic: 50%, ramp: 60s, manual_resume: true, shed: { low: 0.7, high: 0.95, interval: 30s }"
    )
    pool = first_pool(with_keys(tmp_path, keys))
    assert (pool.panic, pool.ramp_s, pool.manual_resume) == (50, 60.0, True)
    assert pool.shed == Shed(0.7, 0.95, 30.0)


def test_a_pool_that_says_nothing_has_none_of_them(tmp_path):
    pool = first_pool(read(tmp_path, SMALL))
    assert (pool.panic, pool.ramp_s, pool.shed, pool.manual_resume) == (None, 0.0, None, False)


def test_a_load_may_be_a_whole_number_and_the_interval_is_10_s_unless_said(tmp_path):
    assert first_pool(with_keys(tmp_path, "shed: { low: 80, high: 95 }")).shed == Shed(80, 95, 10)


def test_defaults_count_and_off_undoes_them(tmp_path):
    text = (
        "defaults: { pools: { panic: 40%, ramp: 30s, shed: { low: 1, high: 2 },"
        " manual_resume: true } }\n" + SMALL
    )
    keys = "panic: off, ramp: 0s, shed: off, manual_resume: false"
    reading = with_keys(tmp_path, keys, text)
    off = first_pool(reading)
    assert (off.panic, off.ramp_s, off.shed, off.manual_resume) == (None, 0.0, None, False)
    on = reading.config.pools[1]
    assert (on.panic, on.ramp_s, on.shed, on.manual_resume) == (40, 30.0, Shed(1.0, 2.0), True)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("panic: 0.5", '12:38: pool "web-fra": panic: 0.5 is not a percentage; write it as 10%'),
        ("panic: 50", '12:38: pool "web-fra": panic: 50 is not a percentage; write it as 10%'),
        (
            "panic: 0%",
            '12:38: pool "web-fra": panic: "0%" is not between 0% and 100%; write 50%, or off',
        ),
        ("panic: false", '12:38: pool "web-fra": panic: false is not understood here; write off'),
        (
            "panic: 100%",
            '12:38: pool "web-fra": panic: "100%" is not between 0% and 100%; write 50%, or off',
        ),
        (
            "ramp: 60",
            '12:37: pool "web-fra": ramp: 60 has no unit; write 60s, or with ms, m, h or d',
        ),
        (
            "shed: { low: 0.9, high: 0.7 }",
            '12:44: pool "web-fra": shed: low 0.9 is not below high 0.7; swap them, or raise high',
        ),
        (
            "shed: { low: 1, high: 1 }",
            '12:44: pool "web-fra": shed: low 1 is not below high 1; swap them, or raise high',
        ),
        ("shed: { low: 0.7 }", '12:37: pool "web-fra": "shed.high" is missing'),
        ("shed: { low: 0, high: 1 }", '12:44: pool "web-fra": shed.low: 0 is not above 0'),
        (
            "shed: { low: 70%, high: 1 }",
            '12:44: pool "web-fra": shed.low: "70%" is not a number',
        ),
        (
            "shed: { low: .inf, high: .nan }",
            None,
        ),
        (
            "shed: { low: 0.7, high: 0.9, interval: 500ms }",
            '12:70: pool "web-fra": shed: interval is below 1s; write 1s or more',
        ),
        (
            "shed: { low: 0.7, hihg: 0.9 }",
            '12:49: pool "web-fra": unknown key "hihg"; did you mean "high"?',
        ),
        ("shed: 0.7", None),
        (
            "manual_resume: yes",
            '12:46: pool "web-fra": manual_resume: "yes" is not true or false',
        ),
    ],
)
def test_a_mistake_is_said_where_it_stands(tmp_path, keys, problem):
    reading = with_keys(tmp_path, keys)
    assert reading.config is None
    if problem is not None:
        assert said(reading, "error") == [problem]


@pytest.mark.parametrize("shed", ["{ low: 0.7 }", "{ low: 2, high: none }"])
def test_a_default_is_whole_or_complained_of(tmp_path, shed):
    reading = read(tmp_path, f"defaults: {{ pools: {{ shed: {shed} }} }}\n{SMALL}")
    (problem,) = said(reading, "error")
    assert "defaults.pools" in problem
    assert "shed.high" in problem


@pytest.mark.parametrize("key", ["panic: 50%", "ramp: 60s", "manual_resume: true"])
def test_what_does_nothing_without_a_check_is_warned_about(tmp_path, key):
    text = edited(SMALL, "fra, check: web", f"fra, {key}")
    name = key.partition(":")[0]
    what = f'12:31: pool "web-fra": {name} does nothing in a pool without a check; write `check:`'
    assert what in said(read(tmp_path, text), "warning")


def test_a_default_that_does_nothing_somewhere_is_not_warned_about(tmp_path):
    text = "defaults: { pools: { panic: 50%, ramp: 60s } }\n" + SMALL.replace(", check: web", "")
    assert not any("does nothing" in each for each in said(read(tmp_path, text), "warning"))


def test_load_is_reported_not_probed_so_shedding_needs_no_check(tmp_path):
    text = edited(SMALL, "fra, check: web", "fra, shed: { low: 1, high: 2 }")
    assert not any("shed" in each for each in said(read(tmp_path, text), "warning"))
