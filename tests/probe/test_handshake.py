"""The handshake's keys: what an endpoint may insist on, and what would hold up answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from gslb.core.check import Check, Target
from gslb.core.trail import Result
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.tls import CURVES

from endpoint import Endpoints, Handler

# PKCS #3: a number of 2048 bits, and 2 (any odd one will do).
_DER = bytes.fromhex("30820108 02820101 00") + (2**2048 - 1942289).to_bytes(256) + b"\2\1\2"
FIELD = ssl.DER_cert_to_PEM_cert(_DER).replace("CERTIFICATE", "DH PARAMETERS")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def check(authority: trustme.CA, tmp_path: Path) -> Check:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return Check(
        "web",
        "tcp",
        0,
        host="www.example.com",
        tls=True,
        verify_tls=True,
        ca_file=str(tmp_path / "ca.pem"),
        expect=b"hello",
    )


def server(authority: trustme.CA, key: str = "ECDSA") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = authority.issue_cert("www.example.com", key_type=trustme.KeyType[key])
    leaf.configure_cert(context)
    return context


def greeting(context: ssl.SSLContext) -> Handler:
    """Says hello over TLS, or why there will be none: asyncio's servers go without a word."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secret = context.wrap_bio(incoming, outgoing, server_side=True)
        steps: list[Callable[[], object]] = [secret.do_handshake, lambda: secret.write(b"hello")]
        try:
            while steps:
                try:
                    steps[0]()
                    del steps[0]
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536) or b"nothing more")
        except ssl.SSLError:
            pass
        writer.write(outgoing.read())

    return handle


async def visit(
    endpoints: Endpoints, means: Means, check: Check, context: ssl.SSLContext
) -> Result:
    port = await endpoints.open(greeting(context))
    return await attempt(check, Target("web", "127.0.0.1", port), means)


async def greets(endpoints: Endpoints, check: Check, context: ssl.SSLContext) -> bool:
    """Whether it says hello to others."""
    port = await endpoints.open(greeting(context))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        port,
        ssl=ssl.create_default_context(cafile=check.ca_file),
        server_hostname="www.example.com",
    )
    said = await reader.read(5)
    writer.transport.abort()
    return said == b"hello"


@pytest.mark.parametrize("curve", [*CURVES[:-1], "X448"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_an_endpoint_may_insist_on_its_curve(
    endpoints: Endpoints,
    means: Means,
    check: Check,
    authority: trustme.CA,
    curve: str,
    version: ssl.TLSVersion,
) -> None:
    picky = server(authority)
    picky.set_ecdh_curve(curve)
    picky.maximum_version = version
    assert (await visit(endpoints, means, check, picky)).ok


@pytest.mark.parametrize("secret", ["field of its own", "ffdhe2048"])
async def test_keys_that_would_hold_up_answers_are_not_exchanged(
    endpoints: Endpoints,
    means: Means,
    check: Check,
    authority: trustme.CA,
    tmp_path: Path,
    secret: str,
) -> None:
    """With 8192 bits, of its own choice or by RFC 7919, a handshake would take 400 ms of ours."""
    costly = server(authority, "RSA")
    if secret == "ffdhe2048":
        costly.set_ecdh_curve(secret)
        costly.minimum_version = ssl.TLSVersion.TLSv1_3
    else:
        (tmp_path / "dh.pem").write_text(FIELD)
        costly.load_dh_params(tmp_path / "dh.pem")
        costly.maximum_version = ssl.TLSVersion.TLSv1_2
        costly.set_ciphers("DHE")
    assert await greets(endpoints, check, costly)
    result = await visit(endpoints, means, check, costly)
    assert (result.ok, result.reason[:11]) == (False, "TLS failed:")
