"""Addresses on a command line of the lab."""

from __future__ import annotations

import pytest
from gslb.lab.address import parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.10.1.1:8080", ("127.10.1.1", 8080)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:8081", ("::1", 8081)),
        ("[::]:65535", ("::", 65535)),
    ],
)
def test_an_address_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address
    assert parse_address(text, 53) == address


@pytest.mark.parametrize(("text", "host"), [("198.18.1.53", "198.18.1.53"), ("::1", "::1")])
def test_a_port_may_be_left_out_where_there_is_a_default(text: str, host: str) -> None:
    assert parse_address(text, 53) == (host, 53)
    with pytest.raises(ValueError, match=r"is not an address and a port; say 127.0.0.1:8080 or"):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "80",
        "localhost:80",
        "127.0.0.1:",
        "127.0.0.1:-1",
        "127.0.0.1:65536",
        "127.0.0.1:99999999",
        "127.0.0.1:٣",
        "127.0.0.1:8 ",
        "[127.0.0.1]:80",
        "[::1:80",
        "[::1]",
        "[::1]80",
        "]::1[:80",
    ],
)
def test_anything_else_is_an_error_that_says_what_would_be_right(text: str) -> None:
    for default in (None, 53):
        with pytest.raises(ValueError, match="is not an address and a port; say"):
            parse_address(text, default)
