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
from gslb.probe.reason import UnfitError
from gslb.probe.tls import Contexts, Trust

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


async def test_without_a_ca_file_the_systems_authorities_are_believed(
    endpoints: Endpoints,
    means: Means,
    check: Check,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert check.ca_file is not None
    plain, secure = replace(check, ca_file=None), server(authority.issue_cert("www.example.com"))
    assert (await visit(endpoints, means, plain, secure)).reason.endswith("unknown authority")
    monkeypatch.setenv("SSL_CERT_FILE", check.ca_file)
    means.contexts.forget()
    assert (await visit(endpoints, means, plain, secure)).ok
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    (tmp_path / "none.pem").touch()
    means.contexts.forget()
    assert (await visit(endpoints, means, plain, secure)).ok  # they were good before
    started = replace(means, contexts=Contexts())
    result = await visit(endpoints, started, plain, secure)
    assert result.reason == "the system's authorities cannot be read"
    lax = replace(plain, verify_tls=False)
    assert (await visit(endpoints, started, lax, secure)).ok  # nobody asks them


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
    second = await means.contexts.of(trust)
    assert second is not first
    await asyncio.to_thread(Path(ca_file).rename, f"{ca_file}.away")
    means.contexts.forget()
    means.contexts.forget()
    assert await means.contexts.of(trust) is second  # a file that has gone takes nobody down
    with pytest.raises(UnfitError):
        await Contexts().of(trust)
    await asyncio.to_thread(Path(f"{ca_file}.away").rename, ca_file)


# ---- when a certificate ends -----------------------------------------------------------------


def lasting(authority: trustme.CA, days: float, name: str = "www.example.com") -> trustme.LeafCert:
    now = datetime.now(UTC)
    return authority.issue_cert(
        name, not_before=now - timedelta(days=90), not_after=now + timedelta(days=days)
    )


@pytest.mark.parametrize("days", [400.0, 14.0, 1.0, 0.01, -3.0])
async def test_when_a_certificate_ends_is_known_before_and_after_it(
    endpoints: Endpoints, means: Means, check: Check, authority: trustme.CA, days: float
) -> None:
    ends = (datetime.now(UTC) + timedelta(days=days)).timestamp()
    result = await visit(endpoints, means, check, server(lasting(authority, days)))
    assert result.ok == (days > 0)
    assert result.expires_at == pytest.approx(ends, abs=60)


async def test_it_is_known_of_a_page_that_fails_too(
    endpoints: Endpoints, means: Means, check: Check, authority: trustme.CA
) -> None:
    secure = server(lasting(authority, 5))
    for handler, reason in ((saying(page(503)), "status 503"), (silence, "timeout after 0.5 s")):
        port = await endpoints.open(handler, secure=secure)
        hasty = replace(check, timeout_s=0.5)
        result = await attempt(hasty, Target("web", "127.0.0.1", port), means)
        assert result.reason == reason
        assert result.expires_at is not None


async def test_a_certificate_that_nobody_verified_tells_nothing(
    endpoints: Endpoints, means: Means, check: Check, authority: trustme.CA
) -> None:
    lax = replace(check, verify_tls=False, ca_file=None)
    result = await visit(endpoints, means, lax, server(lasting(authority, 5)))
    assert (result.ok, result.expires_at) == (True, None)


async def test_a_setting_that_cannot_work_is_no_success_when_inverted(
    endpoints: Endpoints, means: Means, check: Check, tmp_path: Path
) -> None:
    for broken in (
        replace(check, invert=True, ca_file=str(tmp_path / "missing.pem")),
        replace(check, invert=True, host="a..example"),
    ):
        assert not (await visit(endpoints, means, broken, None)).ok


# ---- tcp with TLS ----------------------------------------------------------------------------


@pytest.fixture
def mail(ca_file: str) -> Check:
    return Check(
        "mail",
        "tcp",
        465,
        tls=True,
        verify_tls=True,
        ca_file=ca_file,
        host="mail.example:465",
        expect=b"220",
    )


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 hello")
    await reader.read()


async def dial(endpoints: Endpoints, means: Means, check: Check, leaf: trustme.LeafCert) -> Result:
    port = await endpoints.open(greet, secure=server(leaf))
    return await attempt(check, Target("mail", "127.0.0.1", port), means)


async def test_tcp_may_speak_tls_and_look_at_the_certificate(
    endpoints: Endpoints, means: Means, mail: Check, authority: trustme.CA
) -> None:
    good = await dial(endpoints, means, mail, lasting(authority, 5, "mail.example"))
    assert (good.ok, good.reason) == (True, "")
    assert good.expires_at is not None
    other = await dial(endpoints, means, mail, lasting(authority, 5, "other.example"))
    assert other.reason == "certificate is for another name"
    old = await dial(endpoints, means, mail, lasting(authority, -3.5, "mail.example"))
    assert old.reason == "certificate expired 3 d ago"
    assert old.expires_at is not None


async def test_tcp_by_itself_trusts_any_certificate(
    endpoints: Endpoints, means: Means, mail: Check
) -> None:
    stranger = trustme.CA().issue_cert("other.example")
    lax = replace(mail, verify_tls=False, host=None)
    for check in (lax, replace(lax, expect=None)):
        result = await dial(endpoints, means, check, stranger)
        assert (result.ok, result.expires_at) == (True, None)


async def test_what_speaks_no_tls_is_told_without_anything_to_expect(
    endpoints: Endpoints, means: Means, mail: Check
) -> None:
    port = await endpoints.open(greet)
    check = replace(mail, expect=None)
    result = await attempt(check, Target("mail", "127.0.0.1", port), means)
    assert result.reason == "TLS failed: wrong version number"


async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A reply that comes at once, but in many TLS records."""
    await reader.readuntil(b"\r\n\r\n")
    for octet in page(200, b'{"load": 0.25, "word": "found"}'):
        writer.write(bytes((octet,)))


async def test_a_reply_in_many_records_is_read_as_it_was_sent(
    endpoints: Endpoints, means: Means, check: Check, authority: trustme.CA
) -> None:
    secure = server(authority.issue_cert("www.example.com"))
    port = await endpoints.open(in_pieces, secure=secure)
    asked = replace(check, body="found", load="/load")
    result = await attempt(asked, Target("web", "127.0.0.1", port), means)
    assert (result.ok, result.reason, result.load) == (True, "", 0.25)
    text = Check("web", "tcp", port, tls=True, verify_tls=False, send=b"x\r\n\r\n", expect=b"found")
    result = await attempt(text, Target("web", "127.0.0.1", port), means)
    assert (result.ok, result.reason) == (True, "")
