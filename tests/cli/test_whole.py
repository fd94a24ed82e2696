"""The commands over real files: nothing of ours is replaced here."""

import json

import pytest

CONFIGURATION = """\
server: {listen: "127.0.0.1:1"}
control: {listen: "127.0.0.1:1"}
clients: {office: [203.0.113.0/24]}
geo: {overrides: {198.51.100.0/24: {country: JP, at: [35.68, 139.69]}}}
pools:
  here: {endpoints: [192.0.2.10]}
  there: {endpoints: [192.0.2.20]}
policies:
  web: {routes: [{from: office, to: [here, there]}, {to: there}]}
tests:
  - {ask: www.example.com A, from: 203.0.113.7, expect: [192.0.2.10]}
"""
ZONE = """\
$ORIGIN example.com.
$TTL 300
@    SOA ns1 hostmaster 1 7200 900 1209600 60
     NS  ns1
     NS  ns2
ns1  A   192.0.2.53
ns2  A   198.51.100.53
www  30  STEER web
"""


@pytest.fixture
def world(tmp_path):
    (tmp_path / "gslb.yaml").write_text(CONFIGURATION)
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones" / "example.com.zone").write_text(ZONE)
    return tmp_path


def test_a_good_configuration_is_checked(world, gslb):
    run = gslb("check")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1].startswith("gslb.yaml: 0 errors, ")
    assert run.stderr == ""


def test_every_error_is_found_with_its_place(world, gslb):
    text = CONFIGURATION.replace("to: there}", "to: thre}")
    (world / "gslb.yaml").write_text(text.replace("clients:", "client:"))
    run = gslb("check")
    assert run.returncode == 1
    assert 'did you mean "there"?' in run.stdout
    assert "gslb.yaml:3:1: error: " in run.stdout
    problems = json.loads(gslb("check", "--json").stdout)
    assert len(problems) == len(run.stdout.splitlines()) - 1
    assert all(problem["line"] for problem in problems if problem["severity"] == "error")


def test_a_failing_test_is_an_error_of_check(world, gslb):
    text = CONFIGURATION.replace("expect: [192.0.2.10]", "expect: [192.0.2.20]")
    (world / "gslb.yaml").write_text(text)
    run = gslb("check", "gslb.yaml")
    assert run.returncode == 1
    assert run.stdout.startswith("gslb.yaml:11:")


def test_explain_from_the_files(world, gslb):
    run = gslb("explain", "www.example.com", "--from", "203.0.113.7", "--json")
    assert run.returncode == 0, run.stderr
    body = json.loads(run.stdout)
    assert (body["answer"], body["rcode"], body["ttl"]) == (["192.0.2.10"], "NOERROR", 30)
    assert "no server there" in run.stderr
    assert "explained from gslb.yaml, with everything up" in run.stderr


def test_the_schema_is_json(gslb):
    run = gslb("schema")
    assert run.returncode == 0
    assert "policies" in json.loads(run.stdout)["properties"]


def test_geo_knows_the_overrides(world, gslb):
    run = gslb("geo", "198.51.100.7", "--json")
    assert run.returncode == 0, run.stderr
    (facts,) = json.loads(run.stdout)
    assert (facts["address"], facts["country"]) == ("198.51.100.7", "JP")
