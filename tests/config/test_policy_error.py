"""Errors of config.md, Validation, in policies, routes and client groups: place, object, remedy."""

from __future__ import annotations

import pytest
from gslb.config.reader import read_configuration

from yamlcase import SMALL, edited, read, said

# (what is replaced in yamlcase.SMALL, by what, the problem)
CASES = [
    # names
    (
        "web: [web-fra, web-iad]",
        "web: [web-fra, web-iat]",
        '15:18: policy "web": unknown pool "web-iat"; did you mean "web-iad"?',
    ),
    (
        "datacenter: fra",
        "datacenter: fru",
        '12:26: pool "web-fra": unknown data center "fru"; did you mean "fra"?',
    ),
    (
        "datacenter: iad, check: web",
        "datacenter: iad, check: wep",
        '13:38: pool "web-iad": unknown check "wep"; did you mean "web"?',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { routes: [{ from: dac, to: web-fra }, { to: web-iad }] }",
        '15:27: policy "web": unknown client group "dac"; did you mean "dach"?',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { failover: [web-fra, web-iad], when_all_down: web-fr }",
        '15:55: policy "web": unknown pool "web-fr"; did you mean "web-fra"?',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { failover: [web-fra, web-iad], when_all_down: web }",
        '15:55: policy "web": unknown pool "web"; it is a policy, and when_all_down names a pool',
    ),
    # keys
    ("geo: {", "goe: {", '1:1: unknown key "goe"; did you mean "geo"?'),
    (
        "port: 8080",
        "prot: 8080",
        '10:22: check "web": unknown key "prot"; did you mean "port"?',
    ),
    (
        "datacenter: fra, ",
        "datacentre: fra, ",
        '12:14: pool "web-fra": unknown key "datacentre"; did you mean "datacenter"?',
    ),
    (
        "city: city.mmdb,",
        "citi: city.mmdb,",
        '1:8: geo: unknown key "citi"; did you mean "city"?',
    ),
    # policies and pools
    (
        "web: [web-fra, web-iad]",
        "web: [a]\n  a: [b]\n  b: [web-fra, a, web-iad]",
        '17:16: policy "b": policies in a circle: a → b → a; take one of the names out',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: [web-fra, web-iad, web]",
        '15:27: policy "web": policies in a circle: web → web; take one of the names out',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: [web-fra, web-iad]\n  web-fra: [web-iad]",
        '16:3: policy "web-fra": there is a pool of this name;'
        " pools and policies share one namespace: rename one",
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { routes: [{ from: dach, to: web-fra }, { from: office, to: web-iad }] }",
        '15:48: policy "web": routes without a catch-all;'
        " end with { to: NODE }, a route without `from`",
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { routes: [{ to: web-fra }, { from: dach, to: web-iad }] }",
        '15:19: policy "web": the catch-all route is not the last; move it to the end',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { routes: [{ to: web-fra }, { to: web-iad }] }",
        '15:19: policy "web": the catch-all route is not the last; keep only the last',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: {}",
        '15:8: policy "web": does not say how to choose;'
        " one of failover, round_robin, weighted, nearest, sticky, routes",
    ),
    (
        "web: [web-fra, web-iad]",
        "web:\n  x: [web-fra, web-iad]",
        '15:7: policy "web": does not say how to choose;'
        " one of failover, round_robin, weighted, nearest, sticky, routes",
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { answers: 2 }\n  x: [web-fra, web-iad]",
        '15:8: policy "web": does not say how to choose;'
        " one of failover, round_robin, weighted, nearest, sticky, routes",
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { neerest: [web-fra, web-iad] }\n  x: [web-fra, web-iad]",
        '15:10: policy "web": unknown key "neerest"; did you mean "nearest"?',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { nearest: [web-fra], failover: [web-iad] }\n  x: [web-fra, web-iad]",
        '15:8: policy "web": chooses more than once: "nearest" and "failover"; keep one of them',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { failover: [{ nearest: [web-fra], answers: 2 }, web-iad] }",
        '15:43: policy "web": "answers" stands inside a node; put it beside the policy\'s node',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { failover: [web-fra, web-iad], max_km: 5 }",
        '15:40: policy "web": "max_km" without nearest; it belongs beside `nearest:`',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { nearest: [web-fra, web-iad], bias: { web-fra: 100 } }",
        '15:56: policy "web": bias of "web-fra": 100 is out of range;'
        " a whole number from -99 to 99",
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { nearest: [web-fra, web-iad], bias: { web: 10 } }",
        '15:47: policy "web": bias: unknown child "web"; known here: web-fra and web-iad',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { nearest: [web-fra, web-iad], max_km: -1 }",
        '15:47: policy "web": max_km: -1 is no distance; write kilometres, as 2500',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: []\n  x: [web-fra, web-iad]",
        '15:8: policy "web": no children; name at least one',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { round_robin: web-fra }\n  x: [web-fra, web-iad]",
        '15:23: policy "web": "web-fra" is not a list; write [web-fra]',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { sticky: [web-fra, web-iad, web-fra] }",
        '15:37: policy "web": sticky: "web-fra" stands twice; write it once',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { sticky: [[web-fra], web-iad] }\n  x: web-fra",
        '15:19: policy "web": sticky: a child without a name; make it a policy, name it',
    ),
    # the same network, ASN or code in two routes
    (
        "web: [web-fra, web-iad]",
        "web: { routes: [{ from: dach, to: web-fra }, { from: dach, to: web-iad },"
        " { to: web-fra }] }",
        '15:56: policy "web": DE (and 2 more) is in route 1 too, with a different to;'
        " take it out of one of the client groups",
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { routes: [{ from: office, to: web-fra },"
        " { from: office, to: web-fra, fence: true }, { to: web-iad }],"
        " when_all_down: nodata }",
        '15:58: policy "web": network 203.0.113.0/24 is in route 1 too, with a different fence;'
        " take it out of one of the client groups",
    ),
    (
        "clients:\n",
        "clients:\n  isp: [AS7922]\n  net: [as7922, '2001:db8::/48']\n  six: ['2001:DB8::/48']\n",
    ),
    # client groups
    (
        "[203.0.113.0/24]",
        "[203.0.113.0/24, 203.0.113.0/24]",
        '4:28: client group "office": network "203.0.113.0/24" stands twice;'
        " the first is in line 4",
    ),
    (
        "AT, CH]",
        "AT, UK]",
        '3:18: client group "dach": unknown country "UK"; ISO 3166-1 says GB',
    ),
    (
        "AT, CH]",
        "AT, EU]",
        '3:18: client group "dach": unknown country "EU"; the continent is written continent:EU',
    ),
    (
        "AT, CH]",
        "AT, Swiss]",
        '3:18: client group "dach": unknown country "Swiss"; ISO 3166-1 has two letters, as DE',
    ),
    (
        "AT, CH]",
        "AT, 7]",
        '3:18: client group "dach": 7 is no element of a client group;'
        " write a country, US-CA, continent:EU, AS7922 or a network",
    ),
    (
        "AT, CH]",
        "AT, DE-XX]",
        '3:18: client group "dach": unknown subdivision "DE-XX";'
        " ISO 3166-2 has DE-BB, DE-BE, DE-BW, DE-BY, DE-HB, …",
    ),
    (
        "AT, CH]",
        "AT, QQ-XX]",
        '3:18: client group "dach": unknown subdivision "QQ-XX"; "QQ" is no country',
    ),
    (
        "AT, CH]",
        "AT, continent:XX]",
        '3:18: client group "dach": unknown continent "XX"; one of AF, AN, AS, EU, NA, OC, SA',
    ),
    (
        "AT, CH]",
        "AT, continent: EU]",
        '3:18: client group "dach": a space after continent:; write continent:EU',
    ),
    (
        "AT, CH]",
        "AT, AS99999999999]",
        '3:18: client group "dach": "AS99999999999" is no AS number; AS1 to AS4294967295',
    ),
    (
        "[203.0.113.0/24]",
        "['2001:db8::/65']",
        '4:12: client group "office": 2001:db8::/65 is longer than /64;'
        " name the /64: 2001:db8::/64",
    ),
    (
        "[203.0.113.0/24]",
        "['2001:db8::1']",
        '4:12: client group "office": 2001:db8::1/128 is longer than /64;'
        " name the /64: 2001:db8::/64",
    ),
    (
        "[203.0.113.0/24]",
        "[203.0.113.0/33]",
        '4:12: client group "office": "203.0.113.0/33" is not a network; write it as 192.0.2.0/24',
    ),
    (
        "[203.0.113.0/24]",
        "203.0.113.0/24",
        '4:11: client group "office": "203.0.113.0/24" is not a list; write [203.0.113.0/24]',
    ),
    # weights
    (
        "web: [web-fra, web-iad]",
        "web: { weighted: { web-fra: -1, web-iad: 1000001 } }",
        '15:31: policy "web": weight -1 is out of range; a whole number from 0 to 1000000',
        '15:44: policy "web": weight 1000001 is out of range; a whole number from 0 to 1000000',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { weighted: { web-fra: 0, web-iad: 0 } }",
        '15:20: policy "web": all weights are 0; give one child a weight',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { weighted: [{ to: web-fra, weight: 0.5 }, { to: web-iad }, web-fra,"
        " { weight: 1 }] }",
        '15:44: policy "web": weight 0.5 is out of range; a whole number from 0 to 1000000',
        '15:51: policy "web": weighted: "weight" is missing',
        '15:68: policy "web": weighted: "web-fra" has no weight;'
        " write { NAME: WEIGHT, … }, or { to: NODE, weight: N }",
        '15:77: policy "web": weighted: "to" is missing',
    ),
    (
        "[192.0.2.10]",
        "[{ ipv4: 192.0.2.10, weight: 1000001 }]",
        '12:83: pool "web-fra": weight: 1000001 is above 1000000',
    ),
    (
        "[192.0.2.10]",
        "[{ ipv4: 192.0.2.10, weight: 0 }]",
        '12:54: pool "web-fra": all weights are 0; give one endpoint a weight',
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[str(n) for n in range(len(CASES))])
def test_a_mistake_of_a_choice_is_said_with_its_place_and_its_remedy(tmp_path, case):
    old, new, *problems = case
    reading = read(tmp_path, edited(SMALL, old, new))
    assert said(reading, "error") == problems
    assert (reading.config is None) == bool(problems)


def test_the_line_of_config_md_word_for_word(tmp_path, monkeypatch):
    read(tmp_path, edited(SMALL, "[web-fra, web-iad]", "[web-fra, wep-iad]"))
    monkeypatch.chdir(tmp_path)
    assert [str(p) for p in read_configuration("gslb.yaml").problems if p.severity == "error"] == [
        'gslb.yaml:15:18: error: policy "web": unknown pool "wep-iad"; did you mean "web-iad"?'
    ]


def test_a_steer_record_names_a_policy_that_exists(tmp_path):
    reading = read(tmp_path, SMALL, "www 30 STEER wbe\napi 30 STEER web-fra\n")
    assert said(reading, "error") == [
        '8:14: name "www.gslb.example.com": unknown policy "wbe"; did you mean "web"?',
        '9:14: name "api.gslb.example.com": unknown policy "web-fra";'
        " it is a pool: write a policy that names it",
    ]


def test_a_fenced_target_has_the_families_of_the_policy(tmp_path):
    text = edited(SMALL, "[192.0.2.10]", "[{ ipv4: 192.0.2.10, ipv6: '2001:db8::1' }]")
    text = edited(
        text,
        "web: [web-fra, web-iad]",
        "web: inner\n  inner:\n    routes:\n"
        "      - { from: office, to: web-iad, fence: true }\n      - { to: web-fra }\n",
    )
    assert said(read(tmp_path, text), "error") == [
        '18:38: policy "web": fenced target "web-iad" has no IPv6 address, and the policy has;'
        " add one, or take the fence away"
    ]


def test_policies_that_nest_too_deep_are_refused_wherever_the_depth_comes_from(tmp_path):
    def chain(length):
        rows = [f"  p{n}: [p{n + 1}, web-iad]\n" for n in range(length)]
        return edited(SMALL, "  web: [web-fra, web-iad]\n", "  web: [p0]\n" + "".join(rows)) + (
            f"  p{length}: [web-fra]\n"
        )

    assert said(read(tmp_path, chain(29)), "error") == []
    for length in (30, 40, 3000):
        (problem, *_) = said(read(tmp_path, chain(length)), "error")
        assert problem.endswith("nested deeper than 32 nodes")


def test_policies_that_double_at_each_level_are_refused(tmp_path):
    rows = "".join(f"  p{n}: [p{n + 1}, p{n + 1}]\n" for n in range(25))
    text = edited(
        SMALL, "  web: [web-fra, web-iad]\n", f"  web: [p0]\n{rows}  p25: [web-fra, web-iad]\n"
    )
    assert any("more than 100000 nodes" in line for line in said(read(tmp_path, text), "error"))
