"""What a good gslb.yaml becomes: core values, resolved references, absolute paths."""

from __future__ import annotations

import re
from ipaddress import ip_address

import pytest
from gslb.config.reader import read_configuration
from gslb.core.check import Check
from gslb.core.client import Element, Kind, Network
from gslb.core.policy import (
    Amount,
    Endpoint,
    Failover,
    Nearest,
    PoolNode,
    RoundRobin,
    Routes,
    Sticky,
    Weighted,
    walk,
)

from yamlcase import SMALL, edited, example, read, said, write


def config_of(folder, text, zone="www 30 STEER web\n"):
    reading = read(folder, text, zone)
    assert said(reading, "error") == []
    return reading.config


def packed(text):
    return ip_address(text).packed


@pytest.fixture
def config(tmp_path):
    yaml, zone = example()
    path = write(tmp_path, yaml)
    (tmp_path / "zones" / "gslb.example.com.zone").write_text(zone, "utf-8")
    reading = read_configuration(path)
    assert reading.problems == ()
    assert reading.zones == str(tmp_path / "zones")
    return reading.config


def test_the_example_has_its_five_nouns(config):
    assert list(config.clients) == ["dach", "west-us", "europe", "office"]
    assert list(config.datacenters) == ["fra", "iad", "nrt"]
    assert config.datacenters["fra"].at == (50.11, 8.68)
    assert config.datacenters["fra"].capacity == 4000
    assert config.checks == {
        "web": Check("web", "http", 8080, 5.0, 2.0, 3, 2, 0.1, path="/healthz", names_port=True)
    }
    assert [pool.name for pool in config.pools] == ["web-fra", "web-iad", "web-nrt", "sorry"]
    assert [pool.index for pool in config.pools] == [0, 1, 2, 3]
    assert list(config.policies) == ["web", "api"]
    assert set(config.steered) == {"web", "api"}
    assert [zone.apex for zone in config.zones] == [b"\x04gslb\x07example\x03com\x00"]


def test_the_examples_policies_are_resolved(config):
    fra, iad, nrt, sorry = config.pools
    web, api = config.policies["web"], config.policies["api"]
    assert isinstance(web.node, Nearest)
    assert [child.node.pool for child in web.node.children] == [fra, iad, nrt]
    assert (web.answers, web.take, web.last_resort, web.last_pool) == (4, 1, "serve_all", None)
    assert (web.ttl_min_s, web.ecs) == (None, True)
    assert isinstance(api.node, Routes)
    assert [route.group for route in api.node.routes] == ["office", "dach", "west-us", None]
    assert [route.fence for route in api.node.routes] == [True, False, False, False]
    office, dach, west, rest = (route.target for route in api.node.routes)
    assert (office.name, office.node.pool) == ("web-fra", fra)
    assert isinstance(dach.node, Failover)
    assert isinstance(west.node, Weighted)
    assert west.node.weights == (90, 10)
    assert [child.name for child in west.node.children] == ["web-iad", "web-nrt"]
    assert isinstance(rest.node, Nearest)
    assert (api.answers, api.last_resort, api.last_pool) == (2, "pool", sorry)


def test_the_examples_clients_are_elements(config):
    assert config.clients["west-us"].elements[0] == Element(Kind.SUBDIVISION, "US-CA")
    assert config.clients["europe"].elements == (
        Element(Kind.CONTINENT, "EU"),
        Element(Kind.COUNTRY, "TR"),
    )
    assert config.clients["office"].elements == (
        Element(Kind.NETWORK, network=Network(4, 0xCB007100, 24)),
        Element(Kind.NETWORK, network=Network(6, 0x20010DB800010000, 48)),
    )


def test_the_examples_tests_are_questions(config):
    first, second = config.tests
    assert first.name == b"\x03www\x04gslb\x07example\x03com\x00"
    assert (first.type, first.subject, first.down) == (1, "81.2.69.160", ())
    assert first.expect == {packed("192.0.2.10"), packed("192.0.2.11")}
    assert first.expect_any is None
    assert second.down == ("fra",)
    assert re.search(r"gslb\.yaml:\d+:5$", second.place)


def test_nodes_have_ids_of_their_own_and_are_shared_where_names_are(tmp_path):
    config = config_of(
        tmp_path,
        edited(SMALL, "web: [web-fra, web-iad]", "web: [inner, {round_robin: [web-fra, inner]}]")
        + "  inner: { sticky: { web-fra: 2, web-iad: 1 } }\n  alias: inner\n",
    )
    nodes = {}
    for policy in config.policies.values():
        for node in walk(policy.node):
            assert nodes.setdefault(node.id, node) is node
    web = config.policies["web"].node
    inner = config.policies["inner"].node
    assert isinstance(inner, Sticky)
    assert (inner.policy, inner.weights) == ("inner", (2, 1))
    assert web.children[0].node is inner
    assert config.policies["alias"].node is inner
    assert isinstance(web.children[1].node, RoundRobin)
    assert web.children[1].node.children[1].node is inner
    assert web.children[1].name == "round_robin"
    leaf = web.children[1].node.children[0].node
    assert isinstance(leaf, PoolNode)
    assert inner.children[0].node is leaf


def test_a_policy_may_be_a_name_a_list_or_a_mapping(tmp_path):
    config = config_of(
        tmp_path,
        SMALL + "  name: web-fra\n  list: [web-iad, web]\n  far: { nearest: [web-fra, web],"
        " bias: { web: -99 }, max_km: 2500.5 }\n"
        "  parts: { weighted: [{ to: [web-fra, web-iad], weight: 0 }, { to: web, weight: 5 }] }\n"
        "  hash: { sticky: [web, web-iad] }\n",
    )
    assert isinstance(config.policies["name"].node, PoolNode)
    assert isinstance(config.policies["list"].node, Failover)
    far = config.policies["far"].node
    assert (far.bias, far.max_km) == ((0, -99), 2500.5)
    assert config.policies["parts"].node.weights == (0, 5)
    assert config.policies["hash"].node.weights == (1, 1)


def test_options_stand_beside_the_node(tmp_path):
    config = config_of(
        tmp_path,
        edited(
            SMALL,
            "web: [web-fra, web-iad]",
            "web: { failover: [web-fra, web-iad], answers: all, take: 2, when_all_down: nodata,"
            " ttl_min: 7, ecs: off }\n  b: { failover: [web-fra], ttl_min: 1m, ecs: on }",
        ),
    )
    web = config.policies["web"]
    assert (web.answers, web.take, web.last_resort, web.ttl_min_s, web.ecs) == (
        0,
        2,
        "nodata",
        7,
        False,
    )
    assert (config.policies["b"].ttl_min_s, config.policies["b"].ecs) == (60, True)


def test_endpoints_are_addresses_or_mappings(tmp_path):
    pool = "{ datacenter: fra, check: web, endpoints: [192.0.2.10] }"
    config = config_of(
        tmp_path,
        edited(
            SMALL,
            pool,
            "{ min_healthy: 50%, pick: sticky, endpoints: [192.0.2.10, '2001:DB8::1',"
            " { ipv4: 192.0.2.11, ipv6: '2001:db8::2', weight: 5, name: big,"
            " check_address: 10.0.0.1, check_port: 81 }] }",
        ),
    )
    first = config.pools[0]
    assert first.endpoints == (
        Endpoint("192.0.2.10", packed("192.0.2.10"), None),
        Endpoint("2001:db8::1", None, packed("2001:db8::1")),
        Endpoint("big", packed("192.0.2.11"), packed("2001:db8::2"), 5, "10.0.0.1", 81),
    )
    assert (first.min_healthy, first.pick) == (Amount(50, percent=True), "sticky")
    assert (first.check, first.datacenter) == (None, None)


def test_codes_are_upper_case_whatever_was_written(tmp_path):
    config = config_of(
        tmp_path, edited(SMALL, "[DE, AT, CH]", "[de, no, us-ca, Continent:eu, as7922, xk]")
    )
    assert config.clients["dach"].elements == (
        Element(Kind.COUNTRY, "DE"),
        Element(Kind.COUNTRY, "NO"),
        Element(Kind.SUBDIVISION, "US-CA"),
        Element(Kind.CONTINENT, "EU"),
        Element(Kind.ASN, asn=7922),
        Element(Kind.COUNTRY, "XK"),
    )


def test_defaults_are_what_an_object_does_not_say(tmp_path):
    config = config_of(
        tmp_path,
        SMALL.replace("check: web, ", "")
        + "defaults:\n  checks: { interval: 10s, path: /x, tags: [a] }\n"
        "  pools: { check: web, min_healthy: 1, pick: sticky }\n  policies: { answers: 1 }\n",
    )
    assert (config.checks["web"].interval_s, config.checks["web"].path) == (10.0, "/x")
    assert [(pool.check, pool.pick) for pool in config.pools] == [("web", "sticky")] * 2
    assert config.policies["web"].answers == 1


def test_what_an_object_says_goes_before_the_default(tmp_path):
    text = edited(SMALL, "datacenter: fra, check: web", "datacenter: fra, check: null")
    text = edited(text, "port: 8080", "port: 8080, interval: 7s")
    text += "  own: { failover: [web], answers: 3 }\ndefaults:\n  checks: { interval: 10s }\n"
    text += "  pools: { check: web }\n  policies: { answers: 1 }\n"
    config = config_of(tmp_path, text)
    assert config.checks["web"].interval_s == 7.0
    assert [pool.check for pool in config.pools] == [None, "web"]
    assert config.policies["own"].answers == 3


def test_a_default_of_http_does_not_disturb_tcp(tmp_path):
    text = edited(SMALL, "{ type: http, port: 8080 }", "{ type: tcp, port: 80 }")
    text += "defaults: { checks: { path: /x, max_body: 1KiB, rise: 5 } }\n"
    config = config_of(tmp_path, text)
    assert config.checks["web"] == Check(
        "web", "tcp", 80, rise=5, verify_tls=False, names_port=True
    )


def test_a_check_may_have_its_type_from_the_defaults(tmp_path):
    text = edited(SMALL, "{ type: http, port: 8080 }", "{ port: 80 }")
    config = config_of(tmp_path, text + "defaults: { checks: { type: tcp } }\n")
    assert config.checks["web"].type == "tcp"


def test_every_key_of_an_http_check(tmp_path):
    text = edited(
        SMALL,
        "{ type: http, port: 8080 }",
        "{ type: https, port: 443, interval: 1m, timeout: 1500ms, fall: 1, rise: 1, jitter: 0%,"
        " latency: first_byte, path: '/x?y=1', method: POST, host: www.example.com,"
        " headers: { X-A: b, X-C: '1' }, status: '200,204-206', body_regex: '^ok', max_body: 1KiB,"
        " verify_tls: false, ca_file: ca.pem, follow_redirects: true, enabled: true, tags: [a] }",
    )
    assert config_of(tmp_path, text).checks["web"] == Check(
        name="web",
        type="https",
        port=443,
        interval_s=60.0,
        timeout_s=1.5,
        fall=1,
        rise=1,
        jitter=0.0,
        latency="first_byte",
        path="/x?y=1",
        method="POST",
        host="www.example.com",
        headers=(("X-A", "b"), ("X-C", "1")),
        status=((200, 200), (204, 206)),
        body=None,
        body_regex="^ok",
        max_body=1024,
        verify_tls=False,
        ca_file=str(tmp_path / "ca.pem"),
        follow_redirects=True,
        enabled=True,
        tags=("a",),
        names_port=True,
    )


def test_what_probe_allow_names_may_be_probed(tmp_path):
    text = edited(SMALL, "[192.0.2.10]", "[127.0.0.1]") + "probe: { allow: [127.0.0.0/8] }\n"
    assert config_of(tmp_path, text).pools[0].endpoints[0].name == "127.0.0.1"


def test_what_is_not_probed_need_not_be_allowed(tmp_path):
    text = edited(SMALL, "check: web, endpoints: [192.0.2.10]", "endpoints: [127.0.0.1]")
    config_of(tmp_path, text)
    text = edited(SMALL, "[192.0.2.10]", "[{ ipv4: 127.0.0.1, check_address: 192.0.2.1 }]")
    config_of(tmp_path, text)


def test_down_names_data_centers_pools_and_endpoints(tmp_path):
    text = SMALL + (
        "tests:\n- { ask: www.gslb.example.com. AAAA, from: '2001:db8::/32',"
        " down: [fra, pool/web-iad, endpoint/192.0.2.10, 198.51.100.10],"
        " expect_any: ['2001:db8::1'] }\n"
    )
    (test,) = config_of(tmp_path, text).tests
    assert test.down == ("fra", "pool/web-iad", "endpoint/192.0.2.10", "198.51.100.10")
    assert (test.type, test.subject) == (28, "2001:db8::/32")
    assert test.expect is None
    assert test.expect_any == {packed("2001:db8::1")}


def test_a_name_that_could_mean_two_things_is_asked_about(tmp_path):
    text = SMALL.replace("web-fra", "fra") + (
        "tests: [{ ask: a.example.com A, from: 192.0.2.1, down: fra, expect: [] }]\n"
    )
    assert said(read(tmp_path, text), "error") == [
        '16:56: test 1: down: "fra" could be datacenter/fra or pool/fra; write one of them'
    ]


def test_problems_name_the_files_as_they_were_named(tmp_path, monkeypatch):
    write(tmp_path, SMALL, "www 30 STEER wep\n")
    monkeypatch.chdir(tmp_path.parent)
    reading = read_configuration(f"{tmp_path.name}/gslb.yaml")
    files = {problem.where.file for problem in reading.problems}
    assert f"{tmp_path.name}/zones/gslb.example.com.zone" in files
    assert reading.zones == str(tmp_path / "zones")
    monkeypatch.chdir(tmp_path)
    files = {problem.where.file for problem in read_configuration("gslb.yaml").problems}
    assert "zones/gslb.example.com.zone" in files


def test_paths_begin_in_the_folder_where_gslb_yaml_is_named(tmp_path, monkeypatch):
    write(tmp_path, SMALL)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "gslb.yaml").symlink_to("../gslb.yaml")
    (tmp_path / "link" / "zones").symlink_to("../zones")
    monkeypatch.chdir("/")
    for folder in (tmp_path, tmp_path / "link"):
        settings = read_configuration(str(folder / "gslb.yaml")).config.settings
        assert settings.state == str(folder / "state")
        assert settings.geo.city == str(folder / "city.mmdb")


def test_http_and_https_have_their_usual_ports(tmp_path):
    text = edited(
        SMALL, "web: { type: http, port: 8080 }", "web: { type: http }\n  s: { type: https }"
    )
    checks = config_of(tmp_path, text).checks
    assert (checks["web"].port, checks["s"].port) == (80, 443)


def test_a_zones_folder_that_is_not_there_is_one_problem_among_the_others(tmp_path):
    path = tmp_path / "gslb.yaml"
    path.write_text(SMALL.replace("web-iad]", "web-iae]"), "utf-8")
    errors = said(read_configuration(str(path)), "error")
    assert len(errors) == 2
    assert errors[0].startswith('15:18: policy "web": unknown pool')


def test_the_same_files_give_equal_values(tmp_path):
    yaml, zone = example()
    path = write(tmp_path, yaml)
    (tmp_path / "zones" / "gslb.example.com.zone").write_text(zone, "utf-8")
    first, second = read_configuration(path).config, read_configuration(path).config
    assert (first.policies, first.pools, first.clients) == (
        second.policies,
        second.pools,
        second.clients,
    )
