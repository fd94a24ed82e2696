"""How overrides look."""

import pytest
from gslb.ledger import compose_overrides, compose_result, find_trouble, find_warnings
from gslb.moment import parse_time

from .stand import AT, DRAIN
from .test_chart import text

NOW = parse_time(AT)
URL = "http://127.0.0.1:8053"


def listed(*overrides, now=NOW, width=None):
    return [text(line) for line in compose_overrides({"overrides": list(overrides)}, now, width)]


def result(**fields):
    return text(compose_result(URL, "fra", {"override": DRAIN | fields}))


def test_an_override_stands_beside_what_is_real():
    assert listed(DRAIN) == [
        "OBJECT          STATE  REAL       SINCE      UNTIL      BY",
        "datacenter/fra  drain  2 of 3 up  18:40:00Z  20:40:00Z  local",
        "    kernel upgrade",
        "    caches are empty in 5 min 30 s, at 18:45:30Z",
    ]


def test_nothing_forced_is_said():
    assert listed() == ["(none)"]


def test_it_says_what_is_still_to_come_and_what_is_over():
    lead = DRAIN | {"effective_at": "2026-11-21T18:50:00Z", "until": None}
    _, row, _, comes, _ = listed(lead)
    assert row == "datacenter/fra  drain  2 of 3 up  18:40:00Z  -      local"
    assert comes == "    takes effect in 10 min, at 18:50:00Z; TTLs are short until then"
    assert listed(DRAIN, now=NOW + 330)[-1] == "    caches are empty since 18:45:30Z"


def test_what_ends_before_caches_are_empty_never_says_that_they_are():
    short = DRAIN | {"effective_at": "2026-11-21T18:50:00Z", "until": "2026-11-21T18:51:00Z"}
    short["caches_empty_at"] = "2026-11-21T18:55:30Z"
    told = "    it ends before caches are empty (largest TTL 5 min 30 s): give it longer"
    assert listed(short)[-1] == told
    assert listed(short, now=NOW + 3600)[-1] == told
    assert "give it longer" not in listed(short | {"until": short["caches_empty_at"]})[-1]


def test_everything_long_is_folded_for_a_terminal_and_left_whole_for_a_pipe():
    long = DRAIN | {"why": " ".join(["because"] * 20)}
    assert max(map(len, listed(long, width=80))) <= 80
    assert f"    {long['why']}" in listed(long)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {},
            "drain datacenter/fra from 18:40:00Z until 20:40:00Z; "
            "caches are empty in 5 min 30 s, at 18:45:30Z",
        ),
        (
            {"until": None, "caches_empty_at": None},
            "drain datacenter/fra from 18:40:00Z until it is cleared",
        ),
        (
            {"effective_at": "2026-11-21T18:50:00Z", "caches_empty_at": "2026-11-21T18:50:30Z"},
            "drain datacenter/fra from 18:50:00Z until 20:40:00Z; "
            "caches are empty in 10 min 30 s, at 18:50:30Z",
        ),
        (
            {"state": "up", "caches_empty_at": None, "real": "down"},
            "up datacenter/fra from 18:40:00Z until 20:40:00Z; the probes say: down",
        ),
        (
            {"until": "2026-11-21T18:40:20Z", "caches_empty_at": "2026-11-21T18:45:00Z"},
            "drain datacenter/fra from 18:40:00Z until 18:40:20Z; "
            "it ends before caches are empty (largest TTL 5 min): give it longer",
        ),
        ({"at": None}, "drain datacenter/fra"),
    ],
)
def test_a_result_says_what_the_server_did(fields, said):
    assert result(**fields) == f"{URL}: {said}"


def test_a_cleared_override_says_what_it_was_and_what_is_real():
    said = text(compose_result(URL, "fra", {"cleared": DRAIN, "kept": True}))
    assert said == f"{URL}: cleared drain datacenter/fra; the probes say: 2 of 3 up"
    nothing = text(compose_result(URL, "pool/web", {"cleared": None, "kept": True}))
    assert nothing == f"{URL}: nothing to clear: pool/web has no override"


@pytest.mark.parametrize(
    ("reply", "warnings"),
    [
        ({"override": DRAIN, "kept": True, "warning": None}, []),
        ({"override": DRAIN, "kept": True, "warning": "be careful"}, ["be careful"]),
        ({"override": DRAIN, "kept": False}, ["it will not survive a restart of the server"]),
        (
            {"kept": False, "warning": "it will not survive a restart of the server: disk full"},
            ["it will not survive a restart of the server: disk full"],
        ),
        (
            {"override": DRAIN | {"real": "nothing here has this name"}, "kept": True},
            ["nothing here has this name"],
        ),
    ],
)
def test_what_is_not_as_it_should_be_is_a_warning(reply, warnings):
    assert list(find_warnings(reply)) == warnings


def test_a_server_that_keeps_nothing_is_trouble():
    trouble = "overrides will not survive a restart of the server"
    assert find_trouble({"kept": True, "problem": None}) == ""
    assert find_trouble({"kept": False, "problem": None}) == trouble
    assert find_trouble({"kept": False, "problem": "disk full"}) == f"{trouble}: disk full"


@pytest.mark.parametrize(
    "body",
    [{}, {"overrides": 7}, {"overrides": [None, {}, {"at": "x", "until": 7, "why": ["\x1b"]}]}],
)
def test_a_body_of_another_kind_of_server_is_shown_as_well_as_can_be(body):
    assert compose_overrides(body, NOW, 80)
    assert compose_result(URL, "fra", body)
    assert list(find_warnings(body)) == []
