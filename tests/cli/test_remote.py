"""A running server asked over HTTP, also when it is none of ours."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from gslb import remote
from gslb.errors import ConfigError, UnreachableError


@contextmanager
def answering(status, body, content_type="application/json", location="", shown=None):
    """A server of one answer: its URL, and the paths it was asked for.

    The tokens that it was shown go to `shown`.
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers["Content-Length"] or 0)
            if self.command != "GET":
                asked.append((self.command, self.rfile.read(length)))
            asked.append(self.path)
            if shown is not None:
                shown.append(self.headers["Authorization"])
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_DELETE = do_GET  # noqa: N815  the library's names

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_json_object_comes_back():
    with answering(200, b'{"name": "a"}') as (url, asked):
        query = [("name", "a b"), ("down", "x"), ("down", "y&z")]
        assert remote.fetch_json(url, "/v1/explain", query) == {"name": "a"}
    assert asked == ["/v1/explain?name=a+b&down=x&down=y%26z"]


def test_an_object_is_put_and_deleted():
    with answering(200, b'{"kept": true}') as (url, asked):
        assert remote.put_json(url, "/v1/overrides/pool/a%2Fb", {"why": "\u00e4"}) == {"kept": True}
        assert remote.delete_json(url, "/v1/overrides/pool/a", [("why", "a b")]) == {"kept": True}
    (put, octets), path, deleted, query = asked
    assert (put, json.loads(octets), path) == ("PUT", {"why": "\u00e4"}, "/v1/overrides/pool/a%2Fb")
    assert (deleted, query) == (("DELETE", b""), "/v1/overrides/pool/a?why=a+b")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_changes_something_is_never_sent_elsewhere(status):
    named, other = [], []
    with (
        answering(200, b"{}", shown=other) as (elsewhere, _),
        answering(status, b"", location=f"{elsewhere}/", shown=named) as (url, _),
    ):
        with pytest.raises(remote.RefusedError, match=str(status)):
            remote.put_json(url, "/", {}, "a/token==")
        with pytest.raises(remote.RefusedError, match=str(status)):
            remote.delete_json(url, "/", [], "a/token==")
    assert (named, other) == (["Bearer a/token=="] * 2, [])


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(200, b"{}") as (url, _):
        assert remote.fetch_json(url, "/", []) == {}


def test_a_problem_document_says_why():
    body = json.dumps({"type": "about:blank", "status": 400, "detail": "no such type"}).encode()
    with (
        answering(400, body, "application/problem+json") as (url, _),
        pytest.raises(remote.RefusedError, match="no such type") as caught,
    ):
        remote.fetch_json(url, "/", [])
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b'{"detail": 7}'])
def test_an_error_without_a_problem_document_says_its_status(body):
    with (
        answering(404, body) as (url, _),
        pytest.raises(remote.RefusedError, match="404 Not Found"),
    ):
        remote.fetch_json(url, "/", [])


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"[" * 100_000])
def test_another_kind_of_server_is_not_ours(body):
    with (
        answering(200, body) as (url, _),
        pytest.raises(UnreachableError, match="not a gslb server"),
    ):
        remote.fetch_json(url, "/", [])


def test_nobody_there():
    with answering(200, b"") as (url, _):
        pass
    with pytest.raises(UnreachableError, match="Connection refused"):
        remote.fetch_json(url, "/", [])


def test_urls_are_forgiving_about_the_scheme_and_the_slash():
    assert remote.parse_url("127.0.0.1:8053") == "http://127.0.0.1:8053"
    assert remote.parse_url("https://gslb.example.com/") == "https://gslb.example.com"
    assert remote.parse_url("http://[::1]:8053") == "http://[::1]:8053"


@pytest.mark.parametrize("text", ["", "file:///etc/passwd", "http://", "http://a:b", "http://[::1"])
def test_what_is_no_url_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  the library's text or ours
        remote.parse_url(text)


def test_a_token_goes_to_the_server_that_was_named_and_to_no_other():
    named, other = [], []
    with (
        answering(200, b"{}", shown=other) as (elsewhere, _),
        answering(302, b"", location=f"{elsewhere}/", shown=named) as (url, _),
    ):
        assert remote.fetch_json(url, "/", [], "a/token==") == {}
    assert (named, other) == (["Bearer a/token=="], [None])


def test_without_a_token_none_is_shown():
    shown = []
    with answering(200, b"{}", shown=shown) as (url, _):
        remote.fetch_json(url, "/", [])
    assert shown == [None]


@pytest.mark.parametrize(
    ("token", "hint"),
    [(None, "give its file by --token-file"), ("x", "look into the one of --token-file")],
)
def test_who_is_not_let_in_is_told_what_to_do(token, hint):
    body = json.dumps({"detail": "the reason"}).encode()
    with (
        answering(401, body, "application/problem+json") as (url, _),
        pytest.raises(remote.RefusedError) as caught,
    ):
        remote.fetch_explanation(url, token, remote.compose_query("a", "A", None, ()))
    assert str(caught.value) == f"{url}: the reason; {hint}"


@pytest.mark.parametrize("octets", [b"a/token==", b"a/token==\n", b"  a/token==\r\n\n"])
def test_a_token_is_what_its_file_holds(tmp_path, octets):
    path = tmp_path / "token"
    path.write_bytes(octets)
    assert remote.read_token(str(path)) == "a/token=="


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"two words", "holds no token"),
        (b"one\ntwo", "holds no token"),
        (b"one\0two", "holds no token"),
        (b"\xff\xfe", "holds no token"),
        (b"x" * 5000, "holds no token"),
    ],
)
def test_a_file_that_holds_no_token_is_one_clear_line(tmp_path, octets, what):
    path = tmp_path / "token"
    path.write_bytes(octets)
    with pytest.raises(ConfigError) as caught:
        remote.read_token(str(path))
    hint = "write the token into it, on one line, and nothing else"
    assert str(caught.value) == f"{path}: error: {what}; {hint}"
