"""What `gslb check` says of a test that does not hold (config.md, `tests:`)."""

from __future__ import annotations

import pytest
from gslb.app.load import load
from gslb.errors import ConfigError

from yamlcase import SMALL, edited, write

ZONE = """\
www 30 STEER web
gone 30 STEER gone
api A 192.0.2.77
a CNAME api
w CNAME www
out CNAME www.example.net.
x CNAME y
y CNAME x
sub NS ns1
"""
POLICIES = "web: [web-fra, web-iad]\n  gone: { failover: [web-fra], when_all_down: nodata }"


@pytest.fixture
def failure(tmp_path):
    """What is said of one test, "" if it holds."""

    def write_and_load(test):
        text = edited(SMALL, "geo: { city: city.mmdb, asn: asn.mmdb }\n", "")
        text = edited(text, "web: [web-fra, web-iad]", POLICIES)
        text += f"tests:\n  - {{ from: 192.0.2.1, {test} }}\n"
        try:
            load(write(tmp_path, text, ZONE))
        except ConfigError as error:
            (problem,) = [p for p in error.problems if p.severity == "error"]
            assert problem.where.line == text.count("\n")
            return problem.what
        return ""

    return write_and_load


N = "gslb.example.com"


@pytest.mark.parametrize(
    "test",
    [
        f"ask: www.{N} A, expect: [192.0.2.10]",
        f"ask: WWW.{N}. a, expect: [192.0.2.10]",
        f"ask: www.{N} A, down: fra, expect_any: [192.0.2.10, 198.51.100.10]",
        f"ask: www.{N} AAAA, expect: []",
        f"ask: nothing.{N} A, expect: []",
        f"ask: gone.{N} A, down: web-fra, expect: []",
        f"ask: w.{N} A, expect: [192.0.2.10]",
        f"ask: a.{N} A, expect: [192.0.2.77]",
    ],
)
def test_a_test_that_holds_is_silent(failure, test):
    assert failure(test) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (f"www.{N} A", "got 192.0.2.10"),
        (f"wwww.{N} A", f"got no address: wwww.{N} does not exist"),
        (f"api.{N} AAAA", f"got no address: api.{N} has no such record"),
        (f"www.{N} AAAA", 'got no address: policy "web" has no IPv6 address'),
        (f"sub.{N} A", f"got no address: sub.{N} is delegated to other name servers"),
        (f"x.sub.{N} A", f"got no address: sub.{N} is delegated to other name servers"),
        (
            f"out.{N} A",
            "got no address: its aliases lead to www.example.net, and no further in these zones",
        ),
        (f"x.{N} A", f"got no address: its aliases lead to x.{N}, and no further in these zones"),
    ],
)
def test_a_test_that_fails_says_why_there_is_no_address(failure, name, why):
    expected = "2001:db8::99" if name.endswith("AAAA") else "192.0.2.99"
    said = f"{name} from 192.0.2.1: expected {expected}, {why}"
    assert failure(f"ask: {name}, expect: ['{expected}']") == said


def test_nothing_that_is_up_is_another_reason(failure):
    said = failure(f"ask: gone.{N} A, down: fra, expect_any: [192.0.2.10]")
    assert said.endswith('got no address: nothing in policy "gone" is available')


@pytest.mark.parametrize("expected", ["[192.0.2.10]", "[]"])
def test_a_name_outside_the_zones_is_never_what_was_meant(failure, expected):
    said = failure(f"ask: www.example.org A, expect: {expected}")
    assert said == "www.example.org A from 192.0.2.1: no zone here holds www.example.org"
