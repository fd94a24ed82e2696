"""The server's own settings: what an address means for them."""

from __future__ import annotations

from gslb.core.setting import is_loopback


def test_loopback_has_several_spellings() -> None:
    assert all(is_loopback(text) for text in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"))
    assert not any(is_loopback(text) for text in ("192.0.2.1", "::", "", None, "localhost"))
