"""Packets that are nearly right: seeds with pieces changed, cut, doubled and crossed."""

from __future__ import annotations

from random import Random
from typing import Final

_LONGEST: Final = 4096
_HEADER: Final = 12
_WORDS: Final = (0, 1, 2, 41, 250, 255, 256, 512, 0x0FFF, 0x7FFF, 0x8000, 0xC00C, 0xFFFF)


def mutate(seeds: list[bytes], dice: Random) -> bytes:
    """A packet made of a seed, and now and then of nothing."""
    if dice.random() < 0.02:
        return dice.randbytes(dice.choice((0, 1, 11, 12, 13, 40, 300, 1500)))
    packet = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((0, 1, 1, 2, 3, 8))):
        _change(packet, seeds, dice)
    return bytes(packet[:_LONGEST])


def _change(packet: bytearray, seeds: list[bytes], dice: Random) -> None:
    """One change; most of a packet's meaning is in its header and at its end."""
    at = dice.randrange(len(packet) + 1)
    match dice.randrange(9):
        case 0 if packet:
            packet[at - 1] ^= 1 << dice.randrange(8)
        case 1 if packet:
            packet[at - 1] = dice.randrange(256)
        case 2:
            packet[at:at] = dice.randbytes(dice.choice((1, 2, 4, 30)))
        case 3:
            del packet[at : at + dice.choice((1, 2, 4, 11, 30))]
        case 4:
            del packet[at:]
        case 5:
            other = dice.choice(seeds)
            packet[at:] = other[dice.randrange(len(other) + 1) :]
        case 6:
            packet[at : at + 2] = dice.choice(_WORDS).to_bytes(2, "big")
        case 7 if len(packet) >= _HEADER:
            place = dice.randrange(2, _HEADER, 2)  # flags or a count
            packet[place : place + 2] = dice.choice(_WORDS).to_bytes(2, "big")
        case _:
            packet += packet[at:]
