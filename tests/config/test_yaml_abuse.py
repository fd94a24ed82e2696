"""Cookies, rate limiting, NSID and caps in gslb.yaml: what may be said, and what is wrong."""

import pytest

from yamlcase import read, said

MISTAKES = [
    ("cookies: 5", "12: server: cookies: 5 is not a mapping"),
    ("cookies: on", '12: server: cookies: "on" is no mapping; leave the key out for on'),
    ("cookies: false", "12: server: cookies: false is not understood here; write off"),
    (
        "cookies: { secretfile: x }",
        '14: server: unknown key "secretfile"; did you mean "secret_file"?',
    ),
    ('cookies: { secret_file: "" }', "27: server: cookies.secret_file: is empty"),
    ("rate_limit: true", "15: server: rate_limit: true is no mapping; leave the key out for on"),
    ("rate_limit: { per_second: 0 }", "29: server: rate_limit.per_second: 0 is below 1"),
    ("rate_limit: { slip: 101 }", "23: server: rate_limit.slip: 101 is above 100"),
    ("rate_limit: { slip: -1 }", "23: server: rate_limit.slip: -1 is below 0"),
    (
        "rate_limit: { exempt: [x] }",
        '26: server: rate_limit.exempt: "x" is not a network; write it as 192.0.2.0/24',
    ),
    (
        "rate_limit: { log_only: yes }",
        '27: server: rate_limit.log_only: "yes" is not true or false',
    ),
    ("nsid: 5", "9: server: nsid: 5 is not text; quote it"),
    ('nsid: ""', "9: server: nsid: is empty; write 1 to 255 octets of text"),
    (f"nsid: {'é' * 128}", "9: server: nsid: has 256 octets; write 1 to 255 octets of text"),
    ('nsid: "a\\tb"', '9: server: nsid: "a\\tb" has control characters'),
    ("limits: { zone: 0 }", "19: server: limits.zone: 0 is below 1"),
    ("limits: { zone: 10000001 }", "19: server: limits.zone: 10000001 is above 10000000"),
    ("limits: { udp_batch: 1025 }", "24: server: limits.udp_batch: 1025 is above 1024"),
    ("limits: { log_lines: 0 }", "24: server: limits.log_lines: 0 is below 1"),
]


@pytest.mark.parametrize(("written", "problem"), MISTAKES, ids=[case[0][:30] for case in MISTAKES])
def test_a_mistake_is_one_problem_with_its_place(tmp_path, written, problem):
    reading = read(tmp_path, f"server:\n  {written}\n", "")
    assert said(reading, "error") == [f"2:{problem}"]


@pytest.mark.parametrize(("size", "bound"), [("1023", "below 1024"), ("17MiB", "above 16777216")])
def test_a_body_has_a_size_within_reason(tmp_path, size, bound):
    (problem,) = said(read(tmp_path, f"control: {{ max_body: {size} }}\n", ""), "error")
    assert problem.endswith(f"is {bound}")


def test_host_bits_of_an_exempt_network_are_a_warning(tmp_path):
    reading = read(tmp_path, "server:\n  rate_limit: { exempt: 192.0.2.1/24 }\n", "")
    assert reading.config.settings.rate_limit.exempt == ("192.0.2.0/24",)
    assert said(reading, "warning") == [
        "2:25: server.rate_limit.exempt: 192.0.2.1/24 has host bits set; 192.0.2.0/24 is taken"
    ]


def test_the_name_of_this_server_may_have_255_octets(tmp_path):
    reading = read(tmp_path, f"server: {{ nsid: {'x' * 255} }}\n", "")
    assert reading.config.settings.nsid == b"x" * 255
