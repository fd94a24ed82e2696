"""Errors of config.md, Validation, in settings and of shape; one mistake is one problem."""

from __future__ import annotations

import pytest

from yamlcase import SMALL, edited, read, said

# (what is replaced in yamlcase.SMALL, by what, the problem)
CASES = [
    # the wrong shape
    (
        "clients:\n  dach: [DE, AT, CH]\n  office: [203.0.113.0/24]\n",
        "clients: [DE]\n",
        "2:10: clients: [DE] is not a mapping of keys to values",
    ),
    ("geo: {", "geo: 7 #", "1:6: geo: 7 is not a mapping of keys to values"),
    # tests
    (
        "policies:\n",
        "tests: [{ ask: www.example.com MX, from: 192.0.2.1, expect: [192.0.2.1] }]\npolicies:\n",
        '14:16: test 1: ask: "www.example.com MX" is no question;'
        " write a name and A or AAAA, as www.example.com A",
    ),
    (
        "policies:\n",
        "tests:\n- { ask: www.example.com A, from: home, expect: [] }\n"
        "- { ask: www.example.com A, from: 192.0.2.1, down: [far], expect: [] }\n"
        "- { ask: www.example.com A, from: 192.0.2.1 }\n"
        "- { ask: www.example.com A, from: 192.0.2.1, expect: ['2001:db8::1'] }\n"
        "- { ask: www.example.com A, from: 192.0.2.1, expect: [a] }\n"
        "- { ask: www.example.com A, expect: [] }\n"
        "- { ask: www..example.com A, from: 192.0.2.1, expect: [] }\npolicies:\n",
        '15:35: test 1: from: "home" is neither an address nor a network',
        '16:53: test 2: down: unknown object "far"; did you mean "fra"?',
        "17:3: test 3: expects nothing; add `expect:` or `expect_any:`",
        "18:55: test 4: expect: 2001:db8::1 is no answer to a question for A",
        '19:55: test 5: expect: "a" is a host name; write the IP address it stands for',
        '20:3: test 6: "from" is missing',
        '21:10: test 7: ask: "www..example.com" is no name: a label has 1 to 63 octets',
    ),
    # settings
    (
        "policies:\n",
        "server:\n  listen: 127.0.0.1\n  udp_size: 100\n  tcp: { idle: 10, pipelin: 1 }\n"
        "  ecs_from: [here]\n  state: 5\npolicies:\n",
        '15:11: server: listen: "127.0.0.1" is not an address and a port;'
        ' write it as "127.0.0.1:5300" or "[::1]:5300"',
        "16:13: server: udp_size: 100 is below 512",
        "17:16: server: tcp.idle: 10 has no unit; write 10s, or with ms, m, h or d",
        '17:20: server: unknown key "pipelin"; did you mean "pipeline"?',
        '18:14: server: ecs_from: "here" is not a network; write it as 192.0.2.0/24',
        "19:10: server: state: 5 is not text; quote it",
    ),
    (
        "policies:\n",
        "server: { listen: [127.0.0.1:53, 'localhost:53', '[127.0.0.1]:53', 127.0.0.1:70000,"
        " 127.0.0.1:53] }\npolicies:\n",
        '14:34: server: listen: "localhost" is a host name; write the IP address it stands for',
        '14:50: server: listen: "[127.0.0.1]:53" has an IPv4 address in brackets; leave them out',
        "14:68: server: listen: port 70000 is above 65535",
    ),
    (
        "policies:\n",
        "server: { listen: [127.0.0.1:53, 127.0.0.1:53] }\ncontrol: { listen: false }\npolicies:\n",
        '14:34: server: listen: "127.0.0.1" stands twice',
        "15:20: control: listen: false is not understood here; write off",
    ),
    (
        "asn: asn.mmdb }",
        "asn: asn.mmdb, max_scope: [33, 56], table_memory: much,\n"
        "  overrides: { 10.0.0.0/8: {}, 10.0.0.0/33: { country: DE },"
        " 10.1.0.0/16: { country: D, at: [0, 0] },\n"
        "    10.2.0.0/16: { country: DE, subdivision: FR-IDF }, '2001:db8::/80': { country: DE },\n"
        "    192.0.2.0/24: { country: DE }, 192.0.2.0/024: { county: DE } } }",
        "1:51: geo: max_scope: [33, 56] is not a pair of prefix lengths;"
        " write [IPv4, IPv6], at most [32, 64]",
        '1:75: geo: table_memory: "much" is not a size; write it as 64KiB or 256MiB',
        '2:16: override "10.0.0.0/8": says nothing; add `country:` or `at:`',
        '2:32: override "10.0.0.0/33": "10.0.0.0/33" is not a network; write it as 192.0.2.0/24',
        '2:77: override "10.1.0.0/16": unknown country "D"; ISO 3166-1 has two letters, as DE',
        '3:5: override "10.2.0.0/16": FR-IDF is not in DE',
        '3:56: override "2001:db8::/80": 2001:db8::/80 is longer than /64;'
        " name the /64: 2001:db8::/64",
        '4:36: override "192.0.2.0/024": the network stands twice',
    ),
    (
        "policies:\n",
        "zones: [a]\npolicies:\n",
        "14:8: zones: [a] is not a folder; write the folder, as zones/",
    ),
    # options
    (
        "web: [web-fra, web-iad]",
        "web: { failover: [web-fra, web-iad], answers: 0, take: 0, ttl_min: 1.5, ecs: false }",
        '15:49: policy "web": answers: 0 is no number of answers; write 4 or all',
        '15:58: policy "web": take: 0 is below 1',
        '15:70: policy "web": ttl_min: 1.5 has no unit; write 1.5s, or with ms, m, h or d',
        '15:80: policy "web": ecs: false is neither on nor off; write off',
    ),
    # defaults are complained of once, however many objects use them
    (
        "checks:\n",
        "defaults:\n  checks: { intervall: 5s, port: no, path: /x }\n"
        "  pools: { min_healthy: 0, endpoints: [] }\n  pols: {}\n"
        "checks:\n  db: { type: tcp, port: 5432 }\n  ssl: { type: https, port: 443 }\n",
        '10:13: defaults.checks: unknown key "intervall"; did you mean "interval"?',
        '10:34: defaults.checks: port: "no" is not a whole number',
        "11:25: defaults.pools: min_healthy: 0 is not a number or a percentage;"
        " write it as 2 or 50%",
        '11:28: defaults.pools: unknown key "endpoints"; '
        "known here: check, datacenter, manual_resume, min_healthy, panic, pick, ramp and shed",
        '12:3: defaults: unknown key "pols"; did you mean "pools"?',
    ),
    # one mistake is one problem
    ("pools:\n", "pool:\n", '11:1: unknown key "pool"; did you mean "pools"?'),
    ("policies:\n", "polices:\n", '14:1: unknown key "polices"; did you mean "policies"?'),
    (
        "datacenters:\n",
        "datacentres:\n",
        '5:1: unknown key "datacentres"; did you mean "datacenters"?',
    ),
    (
        "  web: { type: http, port: 8080 }",
        "  web:http",
        "10:3: checks: \"web:http\" is not a mapping of keys to values; write a space after ':'",
    ),
    (
        "web-iad]",
        "w i]\n  w i: [web-iad]",
        '16:3: policy: "w i" is not a name; use up to 63 letters, digits, -, _ and .',
    ),
    ("type: http,", "typ: http,", '10:10: check "web": unknown key "typ"; did you mean "type"?'),
    (
        "endpoints: [192.0.2.10]",
        "endpoint: [192.0.2.10]",
        '12:43: pool "web-fra": unknown key "endpoint"; did you mean "endpoints"?',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { routes: [{ form: dach, to: web-fra }, { to: web-iad }] }",
        '15:21: policy "web": route 1: unknown key "form"; did you mean "from"?',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { routes: [web-fra, web-iad] }",
        '15:19: policy "web": "web-fra" is not a route; write { from: GROUP, to: NODE }',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { weighted: [web-fra, web-iad] }",
        '15:21: policy "web": weighted: "web-fra" has no weight;'
        " write { NAME: WEIGHT, … }, or { to: NODE, weight: N }",
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { weighted: [{ to: web-fra, wieght: 1 }, { to: web-iad, weight: 1 }] }",
        '15:36: policy "web": weighted: unknown key "wieght"; did you mean "weight"?',
    ),
    # what is known is listed where it is little
    (
        "datacenter: fra",
        "datacenter: Bonn",
        '12:26: pool "web-fra": unknown data center "Bonn"; known here: fra and iad',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: [web-fra, web-iad, web2]",
        '15:27: policy "web": unknown pool "web2"; known here: web-fra and web-iad',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: { failover: [web-fra, web-iad], when_all_down: [web-fra] }",
        '15:55: policy "web": when_all_down: [web-fra] is not text',
    ),
    (
        "web: [web-fra, web-iad]",
        "web: [{ web-fra: 1, web-iad: 1 }]",
        '15:9: policy "web": does not say how to choose among its names;'
        " write { weighted: { NAME: WEIGHT, … } }",
    ),
    # every mistake of a test at once
    (
        "policies:\n",
        "tests: [{ ask: foo, from: x, down: 5, expect: [y] }]\npolicies:\n",
        '14:16: test 1: ask: "foo" is no question;'
        " write a name and A or AAAA, as www.example.com A",
        '14:27: test 1: from: "x" is neither an address nor a network',
        "14:36: test 1: down: 5 is not text; quote it",
        '14:48: test 1: expect: "y" is a host name; write the IP address it stands for',
    ),
    # ports
    (
        "type: http, port: 8080",
        "type: tcp",
        '10:3: check "web": "port" is missing; endpoint "192.0.2.10" of pool "web-fra" needs it',
    ),
    ("type: http, port: 8080", "type: https"),
    # addresses that YAML takes for something else
    (
        "[203.0.113.0/24]",
        "\n    - 2001:db8::",
        '5:7: client group "office": an address is a mapping to YAML; quote it: "2001:db8::"',
    ),
    (
        "[192.0.2.10]",
        "['::1']",
        '12:55: pool "web-fra": endpoint "::1" may not be probed: ::1 is in ::1/128 (loopback);'
        ' allow it with `probe.allow: ["::1/128"]`',
    ),
    # single values, nothings and times that are none
    (
        "geo: {",
        "server: { listen: 53 }\ngeo: {",
        "1:19: server: listen: 53 is not an address and a port;"
        ' write it as "127.0.0.1:5300" or "[::1]:5300"',
    ),
    ("geo: {", "server: { ecs_from: 10.0.0.0/8, tcp: , limits: }\ngeo: {"),
    (
        "geo: {",
        "server: { tcp: { idle: 0s } }\ngeo: {",
        '1:24: server: tcp.idle: "0s" is no time at all; write 1ms or more',
    ),
    ("port: 8080", "interval: ", '10:33: check "web": interval: has no value'),
    ("port: 8080", "tags: web", '10:28: check "web": tags: "web" is not a list; write [web]'),
    ("geo: {", "zones:\ngeo: {", "1:7: zones: has no value; write the folder, as zones/"),
]


@pytest.mark.parametrize("case", CASES, ids=[str(n) for n in range(len(CASES))])
def test_a_mistake_is_said_with_its_place_and_its_remedy(tmp_path, case):
    old, new, *problems = case
    reading = read(tmp_path, edited(SMALL, old, new))
    assert said(reading, "error") == problems
    assert (reading.config is None) == bool(problems)


LATER = [
    ("geo: {", "events: { webhooks: [] }\ngeo: {", "webhooks", "1:11"),
    ("geo: {", "server: { explain_to: [127.0.0.1/32] }\ngeo: {", "explain_to", "1:11"),
    ("geo: {", "server: { engine: native }\ngeo: {", "native", "1:19"),
    ("geo: {", "control: { tls: {} }\ngeo: {", "tls", "1:12"),
    ("web: [web-fra, web-iad]", "web: { fastest: [web-fra, web-iad] }", "fastest", "15:10"),
]


@pytest.mark.parametrize(("old", "new", "word", "place"), LATER, ids=[case[2] for case in LATER])
def test_what_a_later_release_brings_is_told_apart_from_a_typing_error(
    tmp_path, old, new, word, place
):
    (problem,) = [
        p for p in read(tmp_path, edited(SMALL, old, new)).problems if p.severity == "error"
    ]
    assert problem.what == f'"{word}" comes with a later release'
    assert problem.hint == "leave it out until then"
    assert f"{problem.where.line}:{problem.where.column}" == place


def test_all_problems_come_at_once_in_the_order_of_the_files(tmp_path):
    text = SMALL.replace("50.11", "95").replace("8080", "0").replace("web-iad]", "web-iae]")
    reading = read(tmp_path, text, "www 30 STEER wep\nsub A nonsense\n")
    places = [(p.where.file.endswith(".zone"), p.where.line) for p in reading.problems]
    assert places == sorted(places)
    assert [line for zone, line in places if not zone] == [6, 10, 15]
    assert len([line for zone, line in places if zone]) >= 2


def test_what_a_mistake_brings_about_is_not_complained_of(tmp_path):
    misspelt = edited(SMALL, "[web-fra, web-iad]", "[web-fra, web-iat]")
    assert len(said(read(tmp_path, misspelt))) == 1  # and not that nobody uses web-iad
    broken = edited(SMALL, "asn: asn.mmdb }", "asn: asn.mmdb, max_scope: 24 }")
    assert len(said(read(tmp_path, broken))) == 1  # and not that dach needs a database
    unchecked = edited(SMALL, "port: 8080", "port: no")
    assert len(said(read(tmp_path, unchecked))) == 1  # and not that www has no check
    pick = edited(SMALL, "datacenter: fra,", "datacenter: fra, pick: any,")
    pick += (
        "tests: [{ ask: www.gslb.example.com A, from: 192.0.2.1, down: 192.0.2.10, expect: [] }]"
    )
    assert len(said(read(tmp_path, pick))) == 1  # and not that the endpoint is unknown
