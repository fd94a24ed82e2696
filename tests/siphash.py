"""SipHash-2-4 and the server cookies of RFC 9018, a second time and from the paper alone."""

from __future__ import annotations

from ipaddress import ip_address

_ALL = (1 << 64) - 1


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _ALL


def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a, c = (a + b) & _ALL, (c + d) & _ALL
    b, d = _rotate(b, 13) ^ a, _rotate(d, 16) ^ c
    a, c = (_rotate(a, 32) + d) & _ALL, (c + b) & _ALL
    b, d = _rotate(b, 17) ^ c, _rotate(d, 21) ^ a
    return a, b, _rotate(c, 32), d


def siphash(data: bytes, key: bytes) -> bytes:
    """Eight octets (Aumasson and Bernstein, "SipHash: a fast short-input PRF")."""
    low, high = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    a, b = low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D
    c, d = low ^ 0x6C7967656E657261, high ^ 0x7465646279746573
    padded = data + bytes(7 - len(data) % 8) + bytes((len(data) & 0xFF,))
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        a, b, c, d = _round(*_round(a, b, c, d ^ word))
        a ^= word
    c ^= 0xFF
    for _ in range(4):
        a, b, c, d = _round(a, b, c, d)
    return (a ^ b ^ c ^ d).to_bytes(8, "little")


def bake(client: bytes, stamp: int, address: str, key: bytes, reserved: bytes = bytes(3)) -> bytes:
    """Client and server cookie as an option holds them (RFC 9018 section 4)."""
    top = client + b"\1" + reserved + (stamp % 2**32).to_bytes(4, "big")
    return top + siphash(top + ip_address(address).packed, key)
