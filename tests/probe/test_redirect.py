"""Redirects: same host, at most three, never to another address."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gslb.core.check import Check, Target
from gslb.core.trail import Result
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.exchange import Reply
from gslb.probe.http import Page, first_page, follow
from gslb.probe.reason import ProbeError

from endpoint import Endpoints, page, saying

CHECK = Check("web", "http", 80, path="/a", host="www.example.com", follow_redirects=True)


def to(location: str, status: int = 302) -> bytes:
    return page(status, b"moved", b"Location: " + location.encode() + b"\r\n")


async def visit(
    endpoints: Endpoints, means: Means, *replies: bytes, check: Check = CHECK
) -> tuple[Result, list[str]]:
    """The result, and the request lines seen."""
    seen: list[bytes] = []
    port = await endpoints.open(saying(*replies, seen=seen))
    result = await attempt(check, Target("web", "127.0.0.1", port), means)
    return result, [question.split(b"\r\n")[0].decode() for question in seen]


async def test_a_redirect_is_a_status_unless_it_is_to_be_followed(
    endpoints: Endpoints, means: Means
) -> None:
    check = replace(CHECK, follow_redirects=False)
    result, asked = await visit(endpoints, means, to("/b"), page(200), check=check)
    assert result.reason == "status 302"
    assert len(asked) == 1


async def test_three_redirects_are_followed_on_the_same_port(
    endpoints: Endpoints, means: Means
) -> None:
    steps = [to("/b"), to("c?d=1#part", 301), to("http://www.example.com/e", 308)]
    result, asked = await visit(endpoints, means, *steps, page(200))
    assert result.ok
    assert asked == [f"GET {path} HTTP/1.1" for path in ("/a", "/b", "/c?d=1", "/e")]


async def test_a_location_in_raw_octets_is_followed_as_they_came(
    endpoints: Endpoints, means: Means
) -> None:
    result, asked = await visit(endpoints, means, to("/ä b?ö=%20"), page(200))
    assert result.ok
    assert asked[1] == "GET /%C3%A4%20b?%C3%B6=%20 HTTP/1.1"


async def test_a_fourth_redirect_is_one_too_many(endpoints: Endpoints, means: Means) -> None:
    result, asked = await visit(endpoints, means, to("/a"))
    assert result.reason == "more than 3 redirects"
    assert len(asked) == 4


async def test_the_last_page_is_judged(endpoints: Endpoints, means: Means) -> None:
    result, _ = await visit(endpoints, means, to("/b"), page(503))
    assert result.reason == "status 503"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data", "redirect to another host"),
        ("//127.0.0.1/", "redirect to another host"),
        ("http://evil.example/", "redirect to another host"),
        ("http://www.example.com.evil.example/", "redirect to another host"),
        ("http://user@www.example.com/", "redirect to no usable address"),
        ("file:///etc/passwd", "redirect to no usable address"),
        ("http://[::1/", "redirect to no usable address"),
        ("http://www.example.com:99999/", "redirect to no usable address"),
    ],
)
async def test_a_redirect_elsewhere_is_not_followed_nor_quoted(
    endpoints: Endpoints, means: Means, location: str, reason: str
) -> None:
    result, asked = await visit(endpoints, means, to(location), page(200))
    assert result.reason == reason
    assert len(asked) == 1


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "127.0.0.1",
        "169.254.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[fe80::1]",
        "[ff02::1]",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "[::ffff:127.0.0.1]",
        "[2002:7f00:1::1]",
        "[64:ff9b::127.0.0.1]",
        "192.0.2.1",
    ],
)
async def test_a_redirect_to_what_may_not_be_probed_leads_nowhere(
    endpoints: Endpoints, means: Means, host: str
) -> None:
    result, asked = await visit(endpoints, means, to(f"http://{host}/"), page(200))
    assert result.reason == "redirect to another host"
    assert len(asked) == 1


async def test_a_redirect_without_a_location_is_only_a_status(
    endpoints: Endpoints, means: Means
) -> None:
    result, _ = await visit(endpoints, means, page(302), page(200))
    assert result.reason == "status 302"


async def test_a_redirect_to_another_port_goes_to_the_same_address(
    endpoints: Endpoints, means: Means
) -> None:
    seen: list[bytes] = []
    other = await endpoints.open(saying(page(200), seen=seen))
    result, _ = await visit(endpoints, means, to(f"http://WWW.example.com:{other}/b"))
    assert result.ok
    assert f"host: www.example.com:{other}".encode() in seen[0].lower()


async def test_the_address_is_checked_again_after_a_redirect(
    endpoints: Endpoints, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse_the_second(address: str, allow: tuple[str, ...]) -> str | None:
        asked.append(address)
        return "no" if len(asked) > 1 else None

    monkeypatch.setattr("gslb.probe.connection._refusal", refuse_the_second)
    result, _ = await visit(endpoints, means, to("/b"), page(200))
    assert result.reason == "not probed: no"
    assert asked == ["127.0.0.1", "127.0.0.1"]


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (303, "POST", "GET"),
        (302, "POST", "GET"),
        (307, "POST", "POST"),
        (303, "HEAD", "HEAD"),
        (301, "HEAD", "HEAD"),
    ],
)
def test_a_method_changes_as_http_says(status: int, method: str, then: str) -> None:
    before = first_page(replace(CHECK, method=method), Target("web", "192.0.2.1", 80))
    assert follow(before, Reply(status, "/b", b"", 0.0)).method == then


def test_a_redirect_may_lead_to_https_and_its_port() -> None:
    before = first_page(CHECK, Target("web", "192.0.2.1", 8080))
    after = follow(before, Reply(301, "https://www.example.com/b", b"", 0.0))
    assert after == Page(True, "www.example.com", 443, "/b", "GET")


def test_without_a_host_the_address_is_the_host() -> None:
    check = replace(CHECK, host=None)
    before = first_page(check, Target("web", "2001:db8::1", 8080))
    assert before.host == "2001:db8::1"
    assert follow(before, Reply(302, "/b", b"", 0.0)).port == 8080
    with pytest.raises(ProbeError, match="another host"):
        follow(before, Reply(302, "http://[2001:db8::2]:8080/", b"", 0.0))
