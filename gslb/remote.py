"""A running server, asked over its control address.

Knows: URLs, HTTP by the standard library, problem documents (RFC 9457), the file of a token.
Refuses to know: what a body means, and proxies: a proxy of the environment must not see who steers
what. Invariant: whatever goes wrong is an UnreachableError (nobody to talk to) or a RefusedError
(it said no); a token goes to the server that was named, to no other and into no message.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence

from gslb.errors import ConfigError, GslbError, Problem, UnreachableError, Where

TIMEOUT_S = 5.0
MAX_BODY = 16 * 1024 * 1024
MAX_TOKEN = 4096  # octets

Query = Sequence[tuple[str, str]]


class RefusedError(GslbError):
    """The server answered with an error; `status` is the HTTP status code."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def parse_url(text: str) -> str:
    """`http://HOST:PORT` without a final slash; `HOST:PORT` is understood. Raises ValueError."""
    url = text if "://" in text else f"http://{text}"
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ValueError(f'"{text}" is not a URL like http://127.0.0.1:8053')
    _ = parts.port  # raises ValueError for what is not a port
    return url.rstrip("/")


def read_token(path: str) -> str:
    """The token of a file, without white space around it. Raises OSError, ConfigError."""
    with open(path, "rb") as file:
        octets = file.read(MAX_TOKEN + 1)
    token = octets.decode("ascii", "replace").strip()
    if not token:
        what = "is empty"
    elif len(octets) > MAX_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        what = "holds no token"
    else:
        return token
    hint = "write the token into it, on one line, and nothing else"
    raise ConfigError((Problem(Where(path), "", what, hint),))


def compose_query(name: str, rrtype: str, client: str | None, down: Sequence[str]) -> Query:
    """The parameters of `/v1/explain`."""
    asker = [("from", client)] if client else []
    return (("name", name), ("type", rrtype), *asker, *(("down", item) for item in down))


def fetch_explanation(url: str, token: str | None, query: Query) -> dict[str, object]:
    """The body of `/v1/explain`. Raises UnreachableError, RefusedError."""
    try:
        return fetch_json(url, "/v1/explain", query, token)
    except RefusedError as error:
        if error.status != 401:
            raise
        hint = "look into the one of --token-file" if token else "give its file by --token-file"
        raise RefusedError(error.status, f"{error}; {hint}") from None


def fetch_json(url: str, path: str, query: Query, token: str | None = None) -> dict[str, object]:
    """GETs a JSON object. Raises UnreachableError, RefusedError."""
    return _exchange(url, urllib.request.Request(_locate(url, path, query)), token)


def put_json(
    url: str, path: str, body: Mapping[str, object], token: str | None = None
) -> dict[str, object]:
    """PUTs a JSON object, gives the one that comes back. Raises UnreachableError, RefusedError."""
    octets, form = json.dumps(body).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}{path}", octets, form, method="PUT")
    return _exchange(url, request, token)


def delete_json(url: str, path: str, query: Query, token: str | None = None) -> dict[str, object]:
    """DELETEs, gives the JSON object that comes back. Raises UnreachableError, RefusedError."""
    request = urllib.request.Request(_locate(url, path, query), method="DELETE")
    return _exchange(url, request, token)


def _locate(url: str, path: str, query: Query) -> str:
    return f"{url}{path}?{urllib.parse.urlencode(query)}" if query else f"{url}{path}"


def _exchange(url: str, request: urllib.request.Request, token: str | None) -> dict[str, object]:
    """Sends a request; urllib follows no redirect of what changes something (RFC 9110, 15.4)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    if token is not None:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            octets: bytes = response.read(MAX_BODY)
    except urllib.error.HTTPError as error:
        with error:
            raise RefusedError(error.code, f"{url}: {_detail(error)}") from None
    except urllib.error.URLError as error:
        raise UnreachableError(f"{url}: {failure_text(error.reason)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(f"{url}: {failure_text(error)}") from None
    body = _parse_object(octets)
    if body is None:
        raise UnreachableError(f"{url}: this is not a gslb server (no JSON came back)")
    return body


def failure_text(error: object) -> str:
    """A cause without the numbers: "Connection refused", not "[Errno 111] …"."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _detail(error: urllib.error.HTTPError) -> str:
    """What the problem document says, or else the status line."""
    try:
        body = _parse_object(error.read(MAX_BODY))
    except (OSError, http.client.HTTPException):
        body = None
    detail = body.get("detail") if body is not None else None
    return detail if isinstance(detail, str) else f"{error.code} {error.reason}"


def _parse_object(octets: bytes) -> dict[str, object] | None:
    try:
        body = json.loads(octets)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, nested without end
        return None
    return body if isinstance(body, dict) else None
