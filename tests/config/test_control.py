"""`control`: who may read from where, and what a token must look like."""

from __future__ import annotations

import hashlib

import pytest
from gslb.core.setting import Token

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
    assert problem.endswith('control: "tls" comes with a later release')


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
