"""Every error of config.md, Validation: line, column, object, what is wrong, what to do."""

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


def test_the_line_of_config_md_word_for_word(tmp_path, monkeypatch):
    read(tmp_path, edited(SMALL, "[web-fra, web-iad]", "[web-fra, wep-iad]"))
    monkeypatch.chdir(tmp_path)
    assert [str(p) for p in read_configuration("gslb.yaml").problems if p.severity == "error"] == [
        'gslb.yaml:15:18: error: policy "web": unknown pool "wep-iad"; did you mean "web-iad"?'
    ]


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
    assert f"{problem.where.line}:{problem.where.column}" == place


def test_a_broken_probe_section_is_not_complained_of_at_every_endpoint(tmp_path):
    text = edited(SMALL, "[192.0.2.10]", "[127.0.0.1]") + "probe: { allow: [here] }\n"
    assert said(read(tmp_path, text), "error") == [
        '16:18: probe: allow: "here" is not a network; write it as 192.0.2.0/24'
    ]


def test_all_problems_come_at_once_in_the_order_of_the_files(tmp_path):
    text = SMALL.replace("50.11", "95").replace("8080", "0").replace("web-iad]", "web-iae]")
    reading = read(tmp_path, text, "www 30 STEER wep\nsub A nonsense\n")
    places = [(p.where.file.endswith(".zone"), p.where.line) for p in reading.problems]
    assert places == sorted(places)
    assert [line for zone, line in places if not zone] == [6, 10, 15]
    assert len([line for zone, line in places if zone]) >= 2


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
