"""`control`: who may read from where, and what a token must look like."""

from __future__ import annotations

import hashlib

import pytest
from gslb.config.scalar import ScalarError
from gslb.config.url import read_peer, split_peer
from gslb.core.setting import Token
from hypothesis import given
from hypothesis import strategies as st

from yamlcase import SMALL, edited, read, said

ONE, TWO = (hashlib.sha256(text).hexdigest() for text in (b"one", b"two"))
READER = f"{{ role: read, sha256: {ONE} }}"
FORM = (
    "make both: openssl rand -base64 32 | tee token | tr -d '\\n' | sha256sum;"
    " the token stays in its file"
)


def reading_of(folder, control):
    """What comes of a file whose first line is `control: { … }`."""
    return read(folder, edited(SMALL, "geo: {", f"control: {{ {control} }}\ngeo: {{"))


def test_tokens_are_read_with_their_roles(tmp_path):
    control = (
        f'listen: "0.0.0.0:8053", insecure: true, tokens: {{ prometheus: {READER},'
        f" agent: {{ role: report, sha256: {TWO.upper()}, only: [web-fra, web] }} }}"
    )
    settings = reading_of(tmp_path, control).config.settings
    assert settings.control == ("0.0.0.0", 8053)
    assert settings.tokens == (
        Token("prometheus", "read", hashlib.sha256(b"one").digest()),
        Token("agent", "report", hashlib.sha256(b"two").digest(), ("web-fra", "web")),
    )


def test_one_name_needs_no_list(tmp_path):
    control = f"tokens: {{ a: {{ role: report, sha256: {ONE}, only: web }} }}"
    (token,) = reading_of(tmp_path, control).config.settings.tokens
    assert token.only == ("web",)


BEYOND = [
    ("", "has neither tokens nor TLS", "add `tokens:`, and `insecure: true` to do without TLS"),
    ("insecure: true", "has no tokens", "add `tokens:`, or listen on 127.0.0.1"),
    (
        f"tokens: {{ a: {READER} }}",
        "has no TLS",
        "write `insecure: true` if nobody on the way to it can listen in",
    ),
]


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]", "192.0.2.1", "[2001:db8::1]"])
@pytest.mark.parametrize(("given", "lacks", "hint"), BEYOND)
def test_listening_beyond_loopback_needs_tokens_and_tls(tmp_path, address, given, lacks, hint):
    reading = reading_of(tmp_path, f'listen: "{address}:8053", {given}')
    shown = address.strip("[]")
    assert said(reading, "error") == [
        f"1:20: control: listen: {shown} is beyond loopback and {lacks}; {hint}"
    ]


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "off"])
def test_on_loopback_nothing_is_needed(tmp_path, listen):
    assert reading_of(tmp_path, f'listen: "{listen}"').config.settings.tokens == ()


def test_who_wants_tls_is_told_once_that_it_is_not_there_yet(tmp_path):
    control = f'listen: "0.0.0.0:1", tokens: {{ a: {READER} }}, tls: {{}}'
    (problem,) = said(reading_of(tmp_path, control), "error")
    assert problem.endswith('control: "tls" comes with a later release; leave it out until then')


@pytest.mark.parametrize("tokens", ["{}", ""])
def test_no_token_at_all_is_a_mistake_and_one_only(tmp_path, tokens):
    (problem,) = said(
        reading_of(tmp_path, f'listen: "0.0.0.0:1", insecure: true, tokens: {tokens}'), "error"
    )
    assert problem.partition(": ")[2] == (
        "control.tokens: is empty; write NAME: { role: read, sha256: … }, or leave the key out"
    )


SECRET = "R9M7N3kLbRVsRrBj+n0WyjHBeD8VTrjNsEDYHJVcIOU="
# (what stands as control.tokens, the problem without its place)
MISTAKES = [
    ("5", "control.tokens: 5 is not a mapping of keys to values"),
    ("{ a: read }", 'token "a": "read" is not a mapping of keys to values'),
    (
        f"{{ 'a b': {READER} }}",
        'token: "a b" is not a name; use up to 63 letters, digits, -, _ and .',
    ),
    (f"{{ a: {{ sha256: {ONE} }} }}", 'token "a": "role" is missing'),
    ("{ a: { role: read } }", 'token "a": "sha256" is missing'),
    (
        f"{{ a: {{ role: admin, sha256: {ONE} }} }}",
        'token "a": role: "admin" is not one of read, report or operate',
    ),
    (
        f"{{ a: {{ role: read, sha265: {ONE} }} }}",
        'token "a": unknown key "sha265"; did you mean "sha256"?',
    ),
    (
        f"{{ a: {{ role: read, sha256: {SECRET} }} }}",
        f'token "a": sha256: is not the 64 hexadecimal digits of a SHA-256 (44 characters); {FORM}',
    ),
    ("{ a: { role: read, sha256: 12345 } }", f'token "a": sha256: is no text; {FORM}'),
    (
        f"{{ a: {{ role: read, sha256: {hashlib.sha256().hexdigest()} }} }}",
        f'token "a": sha256: is the SHA-256 of nothing; {FORM}',
    ),
    (
        f"{{ a: {READER}, b: {{ role: operate, sha256: {ONE.upper()} }} }}",
        'token "b": sha256: token "a" has the same; make a token for each',
    ),
    (
        f"{{ a: {{ role: report, sha256: {ONE} }} }}",
        'token "a": role report without "only"; name the pools and checks that it may report',
    ),
    (
        f"{{ a: {{ role: read, sha256: {ONE}, only: [web] }} }}",
        'token "a": only: a token with role read reports nothing;'
        " take it away, or write role: report",
    ),
    (
        f"{{ a: {{ role: report, sha256: {ONE}, only: [web, web-frb] }} }}",
        'token "a": unknown pool or check "web-frb"; did you mean "web-fra"?',
    ),
    (
        f"{{ a: {{ role: report, sha256: {ONE}, only: wep }} }}",
        'token "a": unknown pool or check "wep"; did you mean "web"?',
    ),
]


@pytest.mark.parametrize(("tokens", "problem"), MISTAKES)
def test_a_mistake_in_a_token_is_one_problem_with_its_remedy(tmp_path, tokens, problem):
    reading = reading_of(tmp_path, f"tokens: {tokens}")
    (found,) = said(reading, "error")
    place, _, text = found.partition(": ")
    assert text == problem
    assert place.startswith("1:")
    assert reading.config is None


@pytest.mark.parametrize(
    "keys", [f"sha256: {SECRET}", f"sha256: [{SECRET}]", f"sha256: {ONE}, token: {SECRET}"]
)
def test_a_token_that_stands_in_the_file_by_mistake_is_in_no_message(tmp_path, keys):
    problems = reading_of(tmp_path, f"tokens: {{ a: {{ role: read, {keys} }} }}").problems
    assert problems
    assert not [problem for problem in problems if SECRET in str(problem)]


# ---- peers --------------------------------------------------------------------------------


def test_peers_are_the_control_addresses_of_other_servers(tmp_path):
    control = 'peers: ["http://198.51.100.53:8053", "https://NS2.example.net.:443/"]'
    settings = reading_of(tmp_path, control).config.settings
    assert settings.peers == ("http://198.51.100.53:8053", "https://ns2.example.net:443")


def test_one_peer_needs_no_list_and_none_is_the_default(tmp_path):
    peer = 'peers: "http://[2001:DB8:0::53]:8053"'
    assert reading_of(tmp_path, peer).config.settings.peers == ("http://[2001:db8::53]:8053",)
    assert reading_of(tmp_path, "listen: off").config.settings.peers == ()


NO_URL = "write it as http://192.0.2.53:8053"
# (what stands as control.peers, the problem without its place)
WRONG_PEERS = [
    ("5", f"5 is not a URL; {NO_URL}"),
    ('"198.51.100.53:8053"', f'"198.51.100.53:8053" is not a URL; {NO_URL}'),
    ("ns2", f'"ns2" is not a URL; {NO_URL}'),
    ('"ftp://ns2:1"', f'"ftp://ns2:1" is not a URL; {NO_URL}'),
    ('"http://ns2"', '"http://ns2" has no port; write http://ns2:8053'),
    ('"https://[2001:db8::53]"', '"https://[2001:db8::53]" has no port;'
     " write https://[2001:db8::53]:8053"),
    ('"http://ns2:99999"', f'"http://ns2:99999" is not a URL; {NO_URL}'),
    ('"http://ns2:0"', f'"http://ns2:0": nobody listens on port 0; {NO_URL}'),
    ('"http://ns2:8053/v1"', f'"http://ns2:8053/v1" has more than a host and a port; {NO_URL}'),
    ('"http://ns2:8053/?"', f'"http://ns2:8053/?" has more than a host and a port; {NO_URL}'),
    ('"http://ns2:8053#a"', f'"http://ns2:8053#a" has more than a host and a port; {NO_URL}'),
    ('"http://a b:8053"', f'"http://a b:8053" is not a URL; {NO_URL}'),
    ('"http://127.1:8053"', f'"http://127.1:8053" has no host name or address; {NO_URL}'),
    ('"http://0.0.0.0:8053"', f'"http://0.0.0.0:8053" is nobody\'s address; {NO_URL}'),
    ('"http://[::1:8053"', f'"http://[::1:8053" is not a URL; {NO_URL}'),
]  # fmt: skip


@pytest.mark.parametrize(("peers", "problem"), WRONG_PEERS)
def test_a_peer_that_is_no_url_of_a_server_is_one_problem(tmp_path, peers, problem):
    (found,) = said(reading_of(tmp_path, f"peers: {peers}"), "error")
    assert found.partition(": control: peers: ")[2] == problem


def test_a_password_in_a_url_is_in_no_message(tmp_path):
    (found,) = said(reading_of(tmp_path, 'peers: "http://me:secret@ns2:8053"'), "error")
    assert "secret" not in found
    assert found.partition(": ")[2] == (
        f"control: peers: is a URL with a user in it; {NO_URL}; tokens stand in files"
    )


def test_a_peer_that_stands_twice_in_any_spelling_is_an_error_where_it_stands_again(tmp_path):
    control = 'peers: ["http://[2001:db8::53]:8053", "HTTP://[2001:DB8:0:0::53]:8053/"]'
    assert said(reading_of(tmp_path, control), "error") == [
        "1:50: control: peers: http://[2001:db8::53]:8053 stands twice; take one away"
    ]


@pytest.mark.parametrize(
    ("listen", "peer", "is_own"),
    [
        ("127.0.0.1:8053", "http://127.0.0.1:8053", True),
        ("127.0.0.1:8053", "http://localhost:8053", True),
        ("127.0.0.1:8053", "http://127.0.0.1:8054", False),
        ("127.0.0.1:8053", "http://192.0.2.1:8053", False),
        ("127.0.0.1:8053", "http://ns2.example.net:8053", False),
        ("[::1]:8053", "http://[::1]:8053", True),
        ("0.0.0.0:8053", "http://127.0.0.1:8053", True),
        ("[::]:8053", "http://localhost:8053", True),
        ("0.0.0.0:8053", "http://192.0.2.1:8053", False),
        ("192.0.2.1:8053", "http://localhost:8053", False),
        ("off", "http://127.0.0.1:8053", False),
    ],
)
def test_this_server_among_its_peers_is_a_warning(tmp_path, listen, peer, is_own):
    needs = f"insecure: true, tokens: {{ a: {READER} }}" if listen != "off" else "insecure: true"
    control = f'listen: "{listen}", {needs}, peers: ["{peer}"]'
    reading = reading_of(tmp_path, control)
    assert reading.config.settings.peers == (peer,)
    found = [text for text in said(reading, "warning") if "peers" in text]
    assert [text.partition(": ")[2] for text in found] == is_own * [
        f"control: peers: {peer} is this server itself; name the others only"
    ]


@given(
    st.text() | st.text(alphabet="htps:/[].@?#%0189abcxz-_ \t", max_size=40).map("http://".__add__)
)
def test_whatever_is_written_as_a_peer_is_read_to_one_form_or_refused(text):
    try:
        peer = read_peer(text)
    except ScalarError:
        return
    assert read_peer(peer) == peer
    host, port = split_peer(peer)
    assert host
    assert 1 <= port <= 65535


# ---- events -------------------------------------------------------------------------------


def test_events_are_kept_for_90_days_unless_told_otherwise(tmp_path):
    assert read(tmp_path, SMALL).config.settings.events_keep_s == 90 * 86400
    kept = read(tmp_path, "events: { keep: 36h }\n" + SMALL).config.settings.events_keep_s
    assert kept == 36 * 3600


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ("{ keep: 90 }", "1:17: events: keep: 90 has no unit; write 90s, or with ms, m, h or d"),
        ("{ keep: 0d }", '1:17: events: keep: "0d" is no time at all; write 1ms or more'),
        ("{ kept: 9d }", '1:11: events: unknown key "kept"; did you mean "keep"?'),
        ("90d", '1:9: events: "90d" is not a mapping of keys to values'),
    ],
)
def test_a_mistake_in_events_is_one_problem(tmp_path, events, problem):
    assert said(read(tmp_path, f"events: {events}\n{SMALL}"), "error") == [problem]


def test_a_misspelt_events_is_told_what_it_means(tmp_path):
    (problem,) = said(read(tmp_path, f"event: {{ keep: 9d }}\n{SMALL}"), "error")
    assert problem == '1:1: unknown key "event"; did you mean "events"?'
