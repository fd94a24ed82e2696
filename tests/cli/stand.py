"""Stands in for a gslb server on real sockets: the API of overrides and health, as control.md."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

AT = "2026-11-21T18:40:00Z"
DRAIN = {
    "kind": "datacenter",
    "name": "fra",
    "state": "drain",
    "who": "local",
    "why": "kernel upgrade",
    "at": AT,
    "effective_at": AT,
    "until": "2026-11-21T20:40:00Z",
    "real": "2 of 3 up",
    "caches_empty_at": "2026-11-21T18:45:30Z",
}
TARGET = {
    "check": "web",
    "type": "http",
    "address": "192.0.2.10",
    "port": 80,
    "state": "up",
    "since": "2026-11-21T16:30:00Z",
    "held": False,
    "endpoints": [{"pool": "web-fra", "endpoint": "192.0.2.10", "forced": None}],
    "latency": {"ewma_s": 0.0123, "min_s": 0.011, "mean_s": 0.012, "p95_s": 0.0151},
    "load": None,
    "load_at": None,
    "certificate_expires": None,
    "evidence": None,
    "failing": [],
}
DOWN = TARGET | {
    "address": "192.0.2.11",
    "state": "down",
    "since": "2026-11-21T18:34:30Z",
    "endpoints": [{"pool": "web-fra", "endpoint": "two", "forced": "drain"}],
    "latency": None,
    "evidence": {
        "at": "2026-11-21T18:34:30Z",
        "from": "up",
        "to": "down",
        "reasons": ["connect refused", "connect refused", "timeout after 2.0 s"],
    },
}


def health(*targets: object, blind: object = None, at: str = AT) -> dict[str, object]:
    """The body of /v1/health."""
    return {"at": at, "blind": blind, "targets": list(targets)}


class Stand:
    """One server: what it was asked, what it says; `token` None needs none."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.url = ""
        self.asked: list[tuple[str, str, object]] = []  # method, path, body or query
        self.shown: list[str | None] = []  # tokens
        self.said: dict[str, tuple[int, object]] = {}  # by path: another reply than the usual
        self.held = threading.Event()  # clear: requests wait
        self.held.set()
        self.came = threading.Semaphore(0)

    def reply(self, method: str, path: str, order: object) -> tuple[int, object]:
        """Status and body."""
        if path in self.said:
            return self.said[path]
        kept = {"kept": True, "warning": None}
        match method, path:
            case "GET", "/v1/overrides":
                return 200, {"overrides": [DRAIN], "kept": True, "problem": None}
            case "GET", "/v1/health":
                return 200, health(TARGET)
            case "PUT", _:
                assert isinstance(order, dict)
                state = order["state"]
                empty = DRAIN["caches_empty_at"] if state == "drain" else None
                return 200, {"override": self._named(path) | {
                    "state": state, "why": order["why"], "caches_empty_at": empty,
                    "until": DRAIN["until"] if order["until"] else None,
                }} | kept  # fmt: skip
            case "DELETE", _:
                return 200, {"cleared": self._named(path)} | kept
        return 404, {"detail": "there is no such path"}

    def _named(self, path: str) -> dict[str, object]:
        kind, name = map(unquote, path.split("/")[3:])
        return DRAIN | {"kind": "datacenter" if kind == "object" else kind, "name": name}


@contextmanager
def standing(token: str | None = None) -> Iterator[Stand]:
    """A server on a port of its own."""
    stand = Stand(token)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            octets = self.rfile.read(int(self.headers["Content-Length"] or 0))
            order = json.loads(octets) if octets else dict(parse_qsl(parts.query))
            stand.asked.append((self.command, parts.path, order))
            shown = self.headers["Authorization"]
            stand.shown.append(shown)
            stand.came.release()
            stand.held.wait(30)
            status, body = stand.reply(self.command, parts.path, order)
            if stand.token is not None and shown != f"Bearer {stand.token}":
                status, body = 401, {"detail": "the header shows no token of control.tokens"}
            octets = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(octets)))
            with suppress(ConnectionError):  # who has waited for long enough has left
                self.end_headers()
                self.wfile.write(octets)

        do_GET = do_PUT = do_DELETE = answer  # noqa: N815  the library's names

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stand.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield stand
        finally:
            stand.held.set()
            server.shutdown()
            thread.join()
