"""Errors of config.md, Validation, in data centers, checks and pools: place, object, remedy."""

from __future__ import annotations

import pytest

from yamlcase import SMALL, edited, read, said

# (what is replaced in yamlcase.SMALL, by what, the problem)
CASES = [
    # endpoints
    ("[192.0.2.10]", "[]", '12:54: pool "web-fra": no endpoint; add an address'),
    (
        ", endpoints: [192.0.2.10]",
        "",
        '12:3: pool "web-fra": no endpoint; add `endpoints: [192.0.2.1]`',
    ),
    (
        "[192.0.2.10]",
        "192.0.2.10",
        '12:54: pool "web-fra": endpoints: "192.0.2.10" is not a list; write [192.0.2.10]',
    ),
    (
        "[192.0.2.10]",
        "[192.0.2.10, { ipv4: 192.0.2.10 }]",
        '12:67: pool "web-fra": address "192.0.2.10" stands twice; the first is in line 12',
    ),
    (
        "[192.0.2.10]",
        "[{ipv6: '2001:db8::1'}, '2001:0db8::0001']",
        '12:78: pool "web-fra": address "2001:db8::1" stands twice; the first is in line 12',
    ),
    (
        "[192.0.2.10]",
        "[{ipv4: 192.0.2.1, name: a}, {ipv4: 192.0.2.2, name: a}]",
        '12:83: pool "web-fra": endpoint name "a" stands twice; the first is in line 12',
    ),
    (
        "[192.0.2.10]",
        "[{ipv4: 192.0.2.1, name: 198.51.100.9}]",
        '12:55: pool "web-fra": endpoint name "198.51.100.9" is an address that is not its own;'
        " give it another name, or none",
    ),
    (
        "[192.0.2.10]",
        "[www.example.com]",
        '12:55: pool "web-fra": endpoint "www.example.com" is a host name;'
        " write the IP address it stands for",
    ),
    (
        "[192.0.2.10]",
        "[{ ipv4: www.example.com }]",
        '12:63: pool "web-fra": ipv4: "www.example.com" is a host name;'
        " write the IP address it stands for",
    ),
    (
        "[192.0.2.10]",
        "[192.0.2.0/24]",
        '12:55: pool "web-fra": endpoint "192.0.2.0/24" is a network, not an address',
    ),
    (
        "[192.0.2.10]",
        "[192.0.2.300]",
        '12:55: pool "web-fra": endpoint "192.0.2.300" is not an IP address',
    ),
    (
        "{ datacenter: fra, check: web, endpoints: [192.0.2.10] }",
        "\n    endpoints:\n    - 2001:db8::\n    - 192.0.2.10",
        '14:7: pool "web-fra": endpoint is a mapping to YAML, not an address;'
        ' quote it: "2001:db8::"',
    ),
    (
        "[192.0.2.10]",
        "[{ ipv4: '2001:db8::1' }]",
        '12:63: pool "web-fra": ipv4: "2001:db8::1" is an IPv6 address; write it as `ipv6:`',
    ),
    (
        "[192.0.2.10]",
        "[{ ipv6: 192.0.2.10 }]",
        '12:63: pool "web-fra": ipv6: "192.0.2.10" is an IPv4 address; write it as `ipv4:`',
    ),
    (
        "[192.0.2.10]",
        "['fe80::1%eth0']",
        '12:55: pool "web-fra": endpoint "fe80::1%eth0" has a zone;'
        " only this host knows what it is",
    ),
    (
        "[192.0.2.10]",
        "[{ ipv5: 192.0.2.10 }]",
        '12:57: pool "web-fra": unknown key "ipv5"; did you mean "ipv4"?',
    ),
    (
        "[192.0.2.10]",
        "[{ weight: 2, name: x }]",
        '12:55: pool "web-fra": an endpoint without an address; add `ipv4:` or `ipv6:`',
    ),
    (
        "[192.0.2.10]",
        "[127.0.0.1]",
        '12:55: pool "web-fra": endpoint "127.0.0.1" may not be probed:'
        " 127.0.0.1 is in 127.0.0.0/8 (loopback); allow it with `probe.allow: [127.0.0.0/8]`",
    ),
    (
        "[192.0.2.10]",
        "[{ ipv4: 192.0.2.10, check_address: 169.254.169.254 }]",
        '12:55: pool "web-fra": endpoint "192.0.2.10" may not be probed:'
        " 169.254.169.254 is in 169.254.169.254/32 (a metadata service);"
        " allow it with `probe.allow: [169.254.169.254/32]`",
    ),
    (
        "datacenter: fra,",
        "datacenter: fra, min_healthy: 2,",
        '12:31: pool "web-fra": min_healthy 2 is above the number of endpoints, 1',
    ),
    (
        "datacenter: fra,",
        "datacenter: fra, min_healthy: 0,",
        '12:44: pool "web-fra": min_healthy: 0 is not a number or a percentage;'
        " write it as 2 or 50%",
    ),
    (
        "datacenter: fra,",
        "datacenter: fra, pick: random,",
        '12:37: pool "web-fra": pick: "random" is not one of weighted, round_robin or sticky',
    ),
    # checks
    (
        "port: 8080",
        "port: 8080, interval: 5s, timeout: 5s",
        '10:48: check "web": timeout 5s is not below interval 5s; shorten the timeout',
    ),
    (
        "port: 8080",
        "port: 8080, interval: 2s",
        '10:34: check "web": timeout 2s is not below interval 2s; shorten the timeout',
    ),
    (
        "port: 8080",
        "port: 8080, interval: 500ms, timeout: 100ms",
        '10:34: check "web": interval is below 1s; probe at most once a second',
    ),
    (
        "port: 8080",
        "port: 8080, interval: 5",
        '10:44: check "web": interval: 5 has no unit; write 5s, or with ms, m, h or d',
    ),
    (
        "port: 8080",
        "port: 8080, interval: soon",
        '10:44: check "web": interval: "soon" is not a duration;'
        " write it as 500ms, 5s, 2m, 1h or 7d",
    ),
    ("port: 8080", "port: 0", '10:28: check "web": port: 0 is below 1'),
    (
        "port: 8080",
        "port: '80'",
        '10:28: check "web": port: "80" is not a whole number; take the quotes away',
    ),
    ("port: 8080", "port: true", '10:28: check "web": port: true is not a whole number'),
    (
        "port: 8080",
        "port: 8080, path: 404",
        '10:40: check "web": path: 404 is not text; quote it',
    ),
    (
        "port: 8080",
        "port: 8080, verify_tls: NO",
        '10:46: check "web": verify_tls: "NO" is not true or false',
    ),
    (
        "port: 8080",
        "port: 8080, body_regex: '('",
        '10:46: check "web": body_regex: "(" is no regular expression:'
        " missing ), unterminated subpattern at position 0",
    ),
    (
        "port: 8080",
        "port: 8080, body: a, body_regex: b",
        '10:43: check "web": both body and body_regex; keep one of them',
    ),
    (
        "port: 8080",
        "port: 8080, status: 20x",
        '10:42: check "web": status: "20x" is no status; write "200-299,304"',
    ),
    (
        "port: 8080",
        'port: 8080, headers: { X: "a\\r\\nHost: b" }',
        '10:43: check "web": headers: "a\\r\\nHost: b" has control characters',
    ),
    (
        "type: http,",
        "type: htp,",
        '10:16: check "web": type: "htp" is not one of http, https, tcp, dns,'
        " icmp, exec, calculated or push",
    ),
    # coordinates
    (
        "at: [50.11, 8.68]",
        "at: [91, 8.68]",
        '6:14: data center "fra": at: latitude 91 is out of range; -90 to 90 degrees',
    ),
    (
        "at: [50.11, 8.68]",
        "at: [50.11, -180.5]",
        '6:14: data center "fra": at: longitude -180.5 is out of range; -180 to 180 degrees',
    ),
    (
        "at: [50.11, 8.68]",
        "at: [50.11]",
        '6:14: data center "fra": at: [50.11] is no pair of coordinates;'
        " write [latitude, longitude]",
    ),
    (
        "at: [50.11, 8.68]",
        "at: [50.11, .nan]",
        '6:14: data center "fra": at: longitude nan is out of range; -180 to 180 degrees',
    ),
    (
        "at: [50.11, 8.68]",
        "at: [50.11, 8.68], capacity: 0",
        '6:39: data center "fra": capacity: 0 is not above 0',
    ),
    (
        "at: [50.11, 8.68]",
        "at: [50.11, 8.68], capacity: .inf",
        '6:39: data center "fra": capacity: inf is not a finite number',
    ),
    # names that only defaults have
    (
        "geo: {",
        "defaults: { pools: { check: wep, datacenter: fry } }\ngeo: {",
        '1:29: defaults.pools: unknown check "wep"; did you mean "web"?',
        '1:46: defaults.pools: unknown data center "fry"; did you mean "fra"?',
    ),
    # names of objects
    (
        "checks:\n",
        "checks:\n  'a/b': { type: tcp, port: 1 }\n",
        '10:3: check: "a/b" is not a name; use up to 63 letters, digits, -, _ and .',
    ),
    (
        "pools:\n",
        "pools:\n  nodata: { endpoints: [192.0.2.1] }\n",
        '12:3: pool "nodata": "nodata" is a word of when_all_down; rename the pool',
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[str(n) for n in range(len(CASES))])
def test_a_mistake_of_an_object_is_said_with_its_place_and_its_remedy(tmp_path, case):
    old, new, *problems = case
    reading = read(tmp_path, edited(SMALL, old, new))
    assert said(reading, "error") == problems
    assert (reading.config is None) == bool(problems)


def test_a_broken_probe_section_is_not_complained_of_at_every_endpoint(tmp_path):
    text = edited(SMALL, "[192.0.2.10]", "[127.0.0.1]") + "probe: { allow: [here] }\n"
    assert said(read(tmp_path, text), "error") == [
        '16:18: probe: allow: "here" is not a network; write it as 192.0.2.0/24'
    ]


def test_a_check_that_is_broken_is_still_known(tmp_path):
    errors = said(read(tmp_path, edited(SMALL, "port: 8080", "port: 99999")), "error")
    assert errors == ['10:28: check "web": port: 99999 is above 65535']


def test_a_pool_that_is_broken_is_still_known(tmp_path):
    errors = said(read(tmp_path, edited(SMALL, "[192.0.2.10]", "[a b]")), "error")
    assert errors == ['12:55: pool "web-fra": endpoint "a b" is not an IP address']


def test_a_tcp_check_needs_no_port_where_every_endpoint_has_one(tmp_path):
    text = edited(SMALL, "type: http, port: 8080", "type: tcp")
    text = edited(text, "[192.0.2.10]", "[{ ipv4: 192.0.2.10, check_port: 25 }]")
    text = edited(text, "[198.51.100.10]", "[{ ipv4: 198.51.100.10, check_port: 26 }]")
    assert said(read(tmp_path, text)) == []


def test_an_unknown_name_in_the_defaults_is_one_mistake_however_many_pools_take_it(tmp_path):
    text = SMALL.replace("check: web, ", "") + "defaults: { pools: { check: wep } }\n"
    assert said(read(tmp_path, text), "error") == [
        '16:29: defaults.pools: unknown check "wep"; did you mean "web"?'
    ]
