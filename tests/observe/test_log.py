"""Log lines: both forms, nothing that breaks out of its line, and a cap."""

import io
import json
import logging
import os
import re
from collections.abc import Iterator

import pytest
from gslb.observe.log import ERROR, WARNING, caps, configure, counts, event, limit

STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes; the process's own logging is put back at the end."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], level = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[str]:
    """The text lines without their times."""
    text = stream.getvalue().splitlines()
    assert all(STAMP.match(line) for line in text)
    return [STAMP.sub("", line) for line in text]


def test_an_event_is_one_line_of_keys_and_values(stream):
    configure("text", stream)
    event("reload", result="ok", zones=3, took=0.5, strict=False, reason=None)
    event("transition", level=WARNING, to="down")
    event("stop")
    assert lines(stream) == [
        "info reload result=ok zones=3 took=0.5 strict=false reason=null",
        "warning transition to=down",
        "info stop",
    ]


def test_a_list_is_written_with_commas(stream):
    configure("text", stream)
    event("ready", addresses=["127.0.0.1:5300", "[::1]:5300"], zones=())
    assert lines(stream) == ['info ready addresses=127.0.0.1:5300,[::1]:5300 zones=""']


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a b", '"a b"'),
        ("", '""'),
        ('say "x"', "'say \"x\"'"),
        ("k=v", '"k=v"'),
        ("one\ntwo info forged", r'"one\ntwo info forged"'),
        ("\x1b[31m", r'"\u001b[31m"'),
        ("\u2028", r'"\u2028"'),
        ("Zürich", r'"Z\u00fcrich"'),
    ],
)
def test_no_value_breaks_out_of_its_line(stream, value, written):
    configure("text", stream)
    event("odd", value=value)
    assert lines(stream) == [f"info odd value={written}"]


def test_json_has_one_object_a_line(stream):
    configure("json", stream)
    event("reload", level=ERROR, result="failed", problems=["a\nb"], who=b"x", kind="no")
    line = json.loads(stream.getvalue())
    assert stream.getvalue().count("\n") == 1
    assert list(line)[:3] == ["at", "level", "kind"]
    assert STAMP.match(line.pop("at") + " ")
    assert line == {
        "level": "error",
        "kind": "reload",
        "result": "failed",
        "problems": ["a\nb"],
        "who": "b'x'",
    }


def test_a_record_of_another_package_has_its_logger_as_kind(stream):
    configure("text", stream)
    logging.getLogger("gslb.serve.tcp").warning("cannot accept: %s", "no file descriptors")
    logging.getLogger("gslb.serve.tcp").debug("not seen")
    assert lines(stream) == ['warning gslb.serve.tcp message="cannot accept: no file descriptors"']


def fail() -> None:
    try:
        raise ZeroDivisionError("first\nsecond")
    except ZeroDivisionError:
        logging.getLogger("gslb.engine").exception("answer failed")


def test_a_traceback_is_indented_below_its_line(stream):
    configure("text", stream)
    fail()
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith('error gslb.engine message="answer failed"')
    assert rest[-2:] == ["    ZeroDivisionError: first", "    second"]
    assert all(line.startswith("    ") for line in rest)


def test_a_traceback_is_a_field_in_json(stream):
    configure("json", stream)
    fail()
    assert json.loads(stream.getvalue())["traceback"].endswith("ZeroDivisionError: first\nsecond")


def test_a_kind_is_capped_and_what_was_left_out_is_counted(stream):
    now = 0.0
    configure("text", stream, lines_per_s=3, clock=lambda: now)
    for number in range(10):
        event("flap", number=number)
    event("other")
    now = 0.5
    event("flap", number=10)
    event("flap", number=11)
    now = 60
    for number in range(12, 17):
        event("flap", number=number)
    assert lines(stream) == [
        "info flap number=0",
        "info flap number=1",
        "info flap number=2",
        "info left_out of=flap lines_per_s=3",
        "info other",
        "info flap number=10 suppressed=7",
        "info flap number=12 suppressed=1",
        "info flap number=13",
        "info flap number=14",
        "info left_out of=flap lines_per_s=3",
    ]


def test_that_lines_are_left_out_is_told_once_a_second_at_most(stream):
    now = 0.0
    configure("json", stream, lines_per_s=2, clock=lambda: now)
    for tick in range(200):  # 20 a second
        now = tick / 20
        event("flap", tick=tick)
    kinds = [json.loads(line)["kind"] for line in stream.getvalue().splitlines()]
    assert kinds.count("left_out") <= 10
    assert kinds.count("flap") <= 2 * 11
    suppressed = sum(
        json.loads(line).get("suppressed", 0) for line in stream.getvalue().splitlines()
    )
    assert 200 - kinds.count("flap") - suppressed < 20  # the rest is for the next line


def test_what_an_operator_asked_for_is_told_whole(stream):
    configure("text", stream, lines_per_s=1, clock=lambda: 0.0)
    for number in range(20):
        event("problem", number=number)
    event("reload_failed")
    event("reload_failed")
    assert len(lines(stream)) == 22


def test_the_cap_can_be_changed_and_counts_what_it_left_out(stream):
    configure("text", stream, lines_per_s=1, clock=lambda: 0.0)
    before = caps["cap", "log_lines"]
    for number in range(3):
        event("flip", number=number)
    assert caps["cap", "log_lines"] == before + 2
    limit(2)
    for number in range(3):
        event("flop", number=number)
    assert caps["cap", "log_lines"] == before + 3
    assert lines(stream) == [
        "info flip number=0",
        "info left_out of=flip lines_per_s=1",
        "info flop number=0",
        "info flop number=1",
        "info left_out of=flop lines_per_s=2",
    ]


def test_records_of_others_are_capped_by_where_they_come_from(stream):
    configure("text", stream, lines_per_s=1, clock=lambda: 0.0)
    log = logging.getLogger("gslb.serve.tcp")
    for number in range(5):
        log.warning(f"text {number}")  # the text differs each time
    log.warning("elsewhere")
    assert lines(stream) == [
        'warning gslb.serve.tcp message="text 0"',
        "warning left_out of=gslb.serve.tcp lines_per_s=1",
        "warning gslb.serve.tcp message=elsewhere",
    ]


def test_configuring_again_replaces_the_form(stream):
    configure("text", io.StringIO())
    configure("json", stream)
    event("once")
    assert json.loads(stream.getvalue())["kind"] == "once"


def test_a_reader_that_has_stopped_reading_stops_nobody(stream):
    reader, writer = os.pipe()
    with open(writer, "w", buffering=1) as full, open(reader, "rb") as late:
        configure("text", full, lines_per_s=1_000_000)
        before = counts["pressure"]
        for _ in range(1000):
            event("pressure", filler="x" * 200)  # three times what a pipe holds
        seen = late.read1(1 << 20).count(b"\n")
        event("pressure")
        assert seen < 1000
        assert f"suppressed={1000 - seen}".encode() in late.read1(1 << 20)
    assert counts["pressure"] == before + 1001
