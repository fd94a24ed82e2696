"""The https check: certificates that are good, late, foreign or for somebody else."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from gslb.core.check import Check, Target
from gslb.core.trail import Result
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.tls import Trust

from endpoint import Endpoints, page, saying, silence


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def check(ca_file: str) -> Check:
    return Check("web", "https", 443, host="www.example.com", ca_file=ca_file)


def server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def visit(
    endpoints: Endpoints, means: Means, check: Check, secure: ssl.SSLContext | None
) -> Result:
    port = await endpoints.open(saying(page(200)), secure=secure)
    return await attempt(check, Target("web", "127.0.0.1", port), means)


async def test_a_good_certificate_is_good_and_its_name_was_asked_for(
    endpoints: Endpoints, means: Means, check: Check, authority: trustme.CA
) -> None:
    asked: list[str | None] = []
    secure = server(authority.issue_cert("www.example.com"))
    secure.sni_callback = lambda _socket, name, _context: asked.append(name)
    result = await visit(endpoints, means, replace(check, host="WWW.example.com:443"), secure)
    assert (result.ok, result.reason) == (True, "")
    assert asked == ["www.example.com"]


async def test_without_a_host_the_certificate_is_for_the_address(
    endpoints: Endpoints, means: Means, check: Check, authority: trustme.CA
) -> None:
    nameless = replace(check, host=None)
    good = await visit(endpoints, means, nameless, server(authority.issue_cert("127.0.0.1")))
    assert (good.ok, good.reason) == (True, "")
    other = await visit(endpoints, means, nameless, server(authority.issue_cert("127.0.0.2")))
    assert other.reason == "certificate is for another address"


async def test_an_expired_certificate_tells_since_when(
    endpoints: Endpoints, means: Means, check: Check, authority: trustme.CA
) -> None:
    now = datetime.now(UTC)
    old = authority.issue_cert(
        "www.example.com",
        not_before=now - timedelta(days=90),
        not_after=now - timedelta(days=3, hours=1),
    )
    result = await visit(endpoints, means, check, server(old))
    assert (result.ok, result.reason) == (False, "certificate expired 3 d ago")


async def test_a_certificate_of_the_future_is_not_valid_yet(
    endpoints: Endpoints, means: Means, check: Check, authority: trustme.CA
) -> None:
    now = datetime.now(UTC)
    early = authority.issue_cert(
        "www.example.com",
        not_before=now + timedelta(days=1),
        not_after=now + timedelta(days=2),
    )
    result = await visit(endpoints, means, check, server(early))
    assert result.reason == "certificate is not valid yet"


async def test_a_certificate_for_another_name_is_told(
    endpoints: Endpoints, means: Means, check: Check, authority: trustme.CA
) -> None:
    result = await visit(endpoints, means, check, server(authority.issue_cert("other.example")))
    assert result.reason == "certificate is for another name"


async def test_an_unknown_authority_is_told(
    endpoints: Endpoints, means: Means, check: Check
) -> None:
    stranger = trustme.CA().issue_cert("www.example.com")
    result = await visit(endpoints, means, check, server(stranger))
    assert result.reason == "certificate of an unknown authority"


async def test_a_self_signed_certificate_is_told(
    endpoints: Endpoints, means: Means, check: Check, tmp_path: Path
) -> None:
    own = trustme.CA()
    own.private_key_pem.write_to_path(str(tmp_path / "own.pem"))
    own.cert_pem.write_to_path(str(tmp_path / "own.pem"), append=True)
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(tmp_path / "own.pem")
    result = await visit(endpoints, means, check, secure)
    assert result.reason == "certificate is self-signed"


async def test_without_verify_tls_any_certificate_will_do(
    endpoints: Endpoints, means: Means, check: Check
) -> None:
    now = datetime.now(UTC)
    stranger = trustme.CA().issue_cert(
        "other.example", not_before=now - timedelta(days=9), not_after=now - timedelta(days=3)
    )
    lax = replace(check, verify_tls=False, ca_file=None)
    assert (await visit(endpoints, means, lax, server(stranger))).ok


async def test_plain_http_on_a_tls_port_is_told(
    endpoints: Endpoints, means: Means, check: Check
) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(page(200))
        await reader.read()

    port = await endpoints.open(plain)
    result = await attempt(check, Target("web", "127.0.0.1", port), means)
    assert result.reason == "TLS failed: wrong version number"


async def test_a_handshake_that_never_ends_is_a_timeout(
    endpoints: Endpoints, means: Means, check: Check
) -> None:
    await means.contexts.of(Trust(True, check.ca_file))
    port = await endpoints.open(silence)
    hasty = replace(check, timeout_s=0.1)
    result = await attempt(hasty, Target("web", "127.0.0.1", port), means)
    assert result.reason == "timeout after 0.1 s"


@pytest.mark.parametrize("content", [None, b"", b"no certificate at all"])
async def test_a_ca_file_that_is_none_is_the_reason(
    endpoints: Endpoints, means: Means, check: Check, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    broken = replace(check, ca_file=str(path))
    result = await visit(endpoints, means, broken, None)
    assert result.reason == "ca_file cannot be read as certificates"


async def test_a_host_that_tls_cannot_ask_for_is_the_reason(
    endpoints: Endpoints, means: Means, check: Check
) -> None:
    for host in ("a..example", "x" * 70 + ".example", ".example", "", "[::1"):
        result = await visit(endpoints, means, replace(check, host=host), None)
        assert result.reason == "host is no name that TLS can ask for", host


async def test_a_context_is_made_once_until_a_reload(means: Means, ca_file: str) -> None:
    trust = Trust(True, ca_file)
    first = await means.contexts.of(trust)
    assert await means.contexts.of(trust) is first
    means.contexts.forget()
    assert await means.contexts.of(trust) is not first
