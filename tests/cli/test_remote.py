"""A running server asked over HTTP, also when it is none of ours."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from gslb import remote
from gslb.errors import UnreachableError


@contextmanager
def answering(status, body, content_type="application/json"):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

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
