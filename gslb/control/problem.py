"""How an error looks: a problem document (RFC 9457).

Knows: its form, and the challenge beside the refusal of a token (RFC 6750 section 3). Refuses to
know: what went wrong. Invariant: `detail` is for people and stands in every document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import hdrs, web


def problem(status: int, detail: str) -> web.Response:
    """An RFC 9457 problem document."""
    return web.Response(
        status=status, text=_write(status, detail), content_type="application/problem+json"
    )


def challenge(status: int, scheme: str, detail: str) -> web.Response:
    """The refusal of a client because of its token; without a right one it has no business here."""
    response = problem(status, detail)
    response.headers[hdrs.WWW_AUTHENTICATE] = scheme
    response.force_close()
    return response


def too_many() -> bytes:
    """The whole answer, head and all, to a connection that finds no place."""
    body = _write(503, "too many connections").encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def describe(request: web.Request, error: web.HTTPException) -> str:
    """What an error of aiohttp's own says to people."""
    match error.status:
        case 404:
            return f"there is no {request.path} here; / lists the paths"
        case 405:
            return f"{request.path} does not take {request.method}"
        case _:
            return error.reason


def fault(error: ValueError | LookupError) -> web.Response | None:
    """What whoever asked is told about a fault of theirs; None if it is a defect of ours.

    Only the two types themselves are raised with words for people: a KeyError is a defect.
    """
    if type(error) is LookupError:
        return problem(404, str(error))
    if type(error) is ValueError:
        return problem(400, str(error))
    return None


def _write(status: int, detail: str) -> str:
    body: Mapping[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return json.dumps(body) + "\n"
