"""Every warning of config.md that is about gslb.yaml: it loads, and says so."""

from __future__ import annotations

import pytest

from yamlcase import SMALL, edited, read, said

POLICY = "web: [web-fra, web-iad]"
POOL = "[192.0.2.10]"

# (what is replaced in yamlcase.SMALL, by what, the warnings)
CASES = [
    (POLICY, POLICY),
    ("datacenter: fra, check: web,", "datacenter: fra,"),
    (
        "web: [web-fra, web-iad]",
        "web: web-fra",
        '13:3: pool "web-iad": no policy uses it',
    ),
    ("web: [web-fra, web-iad]", "web: { failover: [web-fra], when_all_down: web-iad }"),
    (
        POLICY,
        "web: { routes: [{ from: office, to: web-fra, fence: true }, { to: web-iad }] }",
        '15:48: policy "web": fence onto pool "web-fra" with one endpoint and no when_all_down;'
        " say what is answered when it is down",
    ),
    (
        POLICY,
        "web: { routes: [{ from: office, to: web-fra, fence: true }, { to: web-iad }],"
        " when_all_down: serve_all }",
    ),
    (
        "pools:\n",
        "defaults: { policies: { when_all_down: nodata } }\npools:\n",
    ),
    (
        POLICY,
        "web: { routes: [{ from: office, to: [web-fra], fence: true }, { to: web-iad }] }",
    ),
    (
        "iad: { at: [39.04, -77.49] }",
        "iad: { capacity: 10 }",
    ),
    (
        "[203.0.113.0/24]",
        "[203.0.113.7/24, 203.0.113.7]",
        '4:12: client group "office": 203.0.113.7/24 has host bits set; 203.0.113.0/24 is taken',
        '4:28: client group "office": 203.0.113.7 is longer than geo.max_scope (/24);'
        " a resolver that sends a /24 does not reach it",
    ),
    (
        "[203.0.113.0/24]",
        "['2001:db8::/57', '2001:db8::/56']",
        '4:12: client group "office": 2001:db8::/57 is longer than geo.max_scope (/56);'
        " a resolver that sends a /56 does not reach it",
    ),
    (
        "asn: asn.mmdb }",
        "asn: asn.mmdb, max_scope: [16, 48], overrides: { 10.1.2.3/20: { country: DE } } }",
        '1:74: override "10.1.2.3/20": 10.1.2.3/20 has host bits set; 10.1.0.0/20 is taken',
        '1:74: override "10.1.2.3/20": 10.1.2.3/20 is longer than geo.max_scope (/16);'
        " a resolver that sends a /16 does not reach it",
        '4:12: client group "office": 203.0.113.0/24 is longer than geo.max_scope (/16);'
        " a resolver that sends a /16 does not reach it",
    ),
    (
        "policies:\n",
        "probe: { allow: [127.0.0.1/8] }\nserver: { ecs_from: ['2001:db8::1/32'] }\npolicies:\n",
        "14:18: probe.allow: 127.0.0.1/8 has host bits set; 127.0.0.0/8 is taken",
        "15:22: server.ecs_from: 2001:db8::1/32 has host bits set; 2001:db8::/32 is taken",
    ),
    (
        POLICY,
        "web: { failover: [inner], answers: 2 }\n"
        "  inner: { failover: [web-fra, web-iad], answers: 2, ecs: off }",
        '16:42: policy "inner": "answers" is not read: no STEER record names this policy',
        '16:54: policy "inner": "ecs" is not read: no STEER record names this policy',
    ),
    (
        POOL,
        "[{ ipv4: 192.0.2.10, ipv6: '2001:db8::1' }]",
        '15:3: policy "web": A and AAAA can lead to different data centers:'
        ' pool "web-iad" has no IPv6 address; give it one',
    ),
    (
        "datacenter: iad, check: web, endpoints: [198.51.100.10]",
        "datacenter: fra, check: web, endpoints: ['2001:db8::1']",
    ),
    (
        POOL,
        "[{ ipv4: 192.0.2.10, weight: 3 }, 192.0.2.11]",
        '15:3: policy "web": answers 4 reaches the 2 endpoints of pool "web-fra";'
        " its unequal weights only order the answer: lower `answers`",
    ),
    (POOL, "[{ ipv4: 192.0.2.10, weight: 3 }, { ipv4: 192.0.2.11, weight: 0 }]"),
    (POOL, "[{ ipv4: 192.0.2.10, weight: 3 }, { ipv4: 192.0.2.11, weight: 3 }]"),
    (
        "geo: { city: city.mmdb, asn: asn.mmdb }",
        "geo: { city: city.mmdb }",
    ),
    (
        "geo: { city: city.mmdb, asn: asn.mmdb }\nclients:\n",
        "clients:\n  isp: [AS7922]\n",
        '2:3: client group "isp": has an AS number and there is no geo.asn; set geo.asn',
        '3:3: client group "dach": has a country and there is no geo.city; set geo.city',
    ),
    (
        "geo: { city: city.mmdb, asn: asn.mmdb }\nclients:\n  dach: [DE, AT, CH]\n",
        "geo: { city: null }\nclients:\n  eu: [continent:EU]\n  ca: [US-CA]\n",
        '3:3: client group "eu": has a country and there is no geo.city; set geo.city',
        '4:3: client group "ca": has a country and there is no geo.city; set geo.city',
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[str(n) for n in range(len(CASES))])
def test_what_is_probably_not_meant_loads_with_a_warning(tmp_path, case):
    old, new, *warnings = case
    reading = read(tmp_path, edited(SMALL, old, new))
    assert said(reading, "error") == []
    assert said(reading) == warnings
    assert reading.config is not None


def test_a_data_center_without_coordinates_matters_under_nearest_only(tmp_path):
    text = edited(SMALL, "iad: { at: [39.04, -77.49] }", "iad: { capacity: 10 }")
    text = edited(text, POLICY, "web: { nearest: [web-fra, web-iad] }")
    assert said(read(tmp_path, text)) == [
        '7:3: data center "iad": has no coordinates, and policy "web" looks for the nearest;'
        " add `at:`"
    ]


def test_a_mistake_of_one_object_is_one_warning_however_many_others_meet_it(tmp_path):
    text = edited(SMALL, "iad: { at: [39.04, -77.49] }", "iad: {}")
    text = edited(text, POLICY, "web: [{ nearest: [web-fra, web-iad] }, { nearest: [web-iad] }]")
    assert len(said(read(tmp_path, text))) == 1
    text = edited(text, "city: city.mmdb, ", "").replace("[DE, AT, CH]", "[10.0.0.0/8]")
    assert len(said(read(tmp_path, text))) == 2
    unchecked = SMALL.replace("check: web, ", "")
    assert len(said(read(tmp_path, unchecked, "a 30 STEER web\nb 30 STEER web\n"))) == 1


def test_nearest_without_a_city_database_is_said_of_the_policy_that_says_nearest(tmp_path):
    text = edited(SMALL, "city: city.mmdb, ", "")
    text = edited(text, POLICY, "web: inner\n  inner: { nearest: [web-fra, web-iad] }")
    assert said(read(tmp_path, text))[-1] == (
        '16:21: policy "inner": nearest, and there is no geo.city;'
        " clients get the configured order; set geo.city"
    )


def test_a_steered_name_with_no_check_anywhere_is_said_at_the_record(tmp_path):
    text = SMALL.replace("check: web, ", "")
    assert said(read(tmp_path, text)) == [
        '8:14: name "www.gslb.example.com": no pool of policy "web" has a check;'
        " what is down stays in the answers"
    ]


def test_a_check_that_is_switched_off_is_no_check(tmp_path):
    text = edited(SMALL, "port: 8080", "port: 8080, enabled: false")
    assert len(said(read(tmp_path, text))) == 1


def test_answers_that_stay_below_the_pool_keep_its_weights(tmp_path):
    text = edited(SMALL, POOL, "[{ ipv4: 192.0.2.10, weight: 3 }, 192.0.2.11, 192.0.2.12]")
    for answers, warnings in ((1, 0), (2, 0), (3, 1), ("all", 1)):
        policy = f"web: {{ failover: [web-fra, web-iad], answers: {answers} }}"
        assert len(said(read(tmp_path, edited(text, POLICY, policy)))) == warnings
    policy = "web: { failover: [web-fra, web-iad], answers: 4, take: 2 }"
    assert said(read(tmp_path, edited(text, POLICY, policy))) == []


def test_options_are_not_called_unread_while_a_zone_is_broken(tmp_path):
    text = edited(SMALL, POLICY, "web: { failover: [web-fra, web-iad], answers: 2 }")
    zone = "www 30 STEER\n"
    assert not any("is not read" in line for line in said(read(tmp_path, text, zone)))


def test_a_default_option_is_nobodys_unread_option(tmp_path):
    text = edited(SMALL, POLICY, "web: inner\n  inner: [web-fra, web-iad]")
    text += "defaults: { policies: { answers: 2 } }\n"
    assert said(read(tmp_path, text)) == []
