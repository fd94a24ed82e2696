"""Server cookies: the octets of RFC 9018 appendix A, and what is good for how long."""

from __future__ import annotations

import pytest
from gslb.serve.cookie import Jar

# RFC 9018 appendices A.1 to A.4: (secret, address, client cookie, time, whole cookie).
SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
OLD = bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715")
NEW = bytes.fromhex("445536bcd2513298075a5d379663c962")
LEARNED = bytes.fromhex("2464c4abcf10c957010000005cf79f111f8130c3eee29480")
RENEWED = bytes.fromhex("2464c4abcf10c957010000005cf7a871d4a564a1442aca77")
BACKWARD = bytes.fromhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5")
BEHIND = bytes.fromhex("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e")
SIX = bytes.fromhex("22681ab97d52c298010000005cf7c57926556bd0934c72f8")
SIX_RENEWED = bytes.fromhex("22681ab97d52c298010000005cf7c609a6bb79d16625507a")


def jar(now: int, *secrets: bytes) -> Jar:
    return Jar(secrets or (SECRET,), now=lambda: now)


def test_a_client_learns_a_cookie() -> None:
    result = jar(1559731985).check(LEARNED[:8], "198.51.100.100")
    assert result == ("client", LEARNED)


def test_an_old_cookie_is_good_and_gets_a_fresh_one() -> None:
    result = jar(1559734385).check(LEARNED, "198.51.100.100")
    assert result == ("renewed", RENEWED)


def test_reserved_octets_are_hashed_as_they_came_and_zero_in_ours() -> None:
    assert jar(1559727985).check(BACKWARD, "203.0.113.203") == ("valid", BACKWARD)
    # A.3's client comes after 1 h 52 min, later than section 4.3 allows; it gets that cookie.
    assert jar(1559734700).check(BACKWARD, "203.0.113.203") == ("invalid", BEHIND)


def test_a_second_secret_verifies_and_the_first_one_signs() -> None:
    rolled = jar(1559741961, NEW, OLD)
    assert rolled.check(SIX, "2001:db8:220:1:59de:d0f4:8769:82b8") == ("renewed", SIX_RENEWED)
    assert jar(1559741961, NEW).check(SIX, "2001:db8:220:1:59de:d0f4:8769:82b8")[0] == "invalid"


@pytest.mark.parametrize(
    ("age_s", "result"),
    [
        (-301, "invalid"),
        (-300, "valid"),
        (0, "valid"),
        (1800, "valid"),
        (1801, "renewed"),
        (3600, "renewed"),
        (3601, "invalid"),
        (86_400, "invalid"),
        (-86_400, "invalid"),
    ],
)
def test_a_cookie_is_good_for_an_hour(age_s: int, result: str) -> None:
    assert jar(1559731985 + age_s).check(LEARNED, "198.51.100.100")[0] == result


def test_the_timestamp_wraps_around() -> None:
    before, after = jar(2**32 - 10), jar(2**32 + 10)
    _, cookie = before.check(bytes(8), "192.0.2.1")
    assert after.check(cookie, "192.0.2.1")[0] == "valid"


@pytest.mark.parametrize("peer", ["198.51.100.101", "2001:db8::1"])
def test_a_cookie_is_good_for_one_address(peer: str) -> None:
    assert jar(1559731985).check(LEARNED, peer)[0] == "invalid"


@pytest.mark.parametrize("at", [*range(24)])
def test_no_octet_may_differ(at: int) -> None:
    changed = bytearray(LEARNED)
    changed[at] ^= 1
    result, fresh = jar(1559731985).check(bytes(changed), "198.51.100.100")
    assert result == "invalid"
    assert fresh[:8] == changed[:8]
    assert jar(1559731985).check(fresh, "198.51.100.100")[0] == "valid"


@pytest.mark.parametrize("size", [16, 23, 25, 40])
def test_another_servers_kind_of_cookie_is_invalid(size: int) -> None:
    assert jar(1559731985).check(bytes(size), "192.0.2.1")[0] == "invalid"
