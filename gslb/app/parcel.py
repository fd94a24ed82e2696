"""Handing a loaded plan from the process that made it to the one that answers.

Knows: pickle protocol 5 with its buffers beside it (PEP 574). Refuses to know: what a plan
means. Invariant: zones and range tables are never copied into the receiver's memory: they
stay in the file that both processes map, so taking over a plan of a million records takes
milliseconds. Only what our own child wrote is ever read.

Layout: u64 number of lengths, the lengths (u64 each), the pickle, then the buffers, each
padded to 8 octets.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
from array import array
from struct import Struct

from gslb.core.zone import Zone

_U64 = Struct("=Q")


def pack(value: object, fd: int) -> None:
    """Writes a value to a file descriptor."""
    buffers: list[pickle.PickleBuffer] = []
    out = io.BytesIO()
    packer = pickle.Pickler(out, protocol=5, buffer_callback=buffers.append)
    packer.dispatch_table = {  # typeshed's type for what a reducer returns is made of Any
        array: _take_apart_sequence,  # type: ignore[dict-item]
        memoryview: _take_apart_sequence,  # type: ignore[dict-item]
        Zone: _take_apart_zone,  # type: ignore[dict-item]
    }
    packer.dump(value)
    parts = [memoryview(out.getbuffer()), *(buffer.raw() for buffer in buffers)]
    lengths = [part.nbytes for part in parts]
    with open(fd, "wb", closefd=False) as file:
        file.write(_U64.pack(len(lengths)))
        for length in lengths:
            file.write(_U64.pack(length))
        for part in parts:
            file.write(part)
            file.write(bytes(-part.nbytes % 8))


def unpack(fd: int) -> object:
    """The value in a file; its buffers are views of the file, which stays mapped for them."""
    size = os.fstat(fd).st_size
    view = memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ))
    (count,) = _U64.unpack_from(view)
    lengths = [_U64.unpack_from(view, 8 + 8 * number)[0] for number in range(count)]
    at = 8 + 8 * count
    parts: list[memoryview] = []
    for length in lengths:
        parts.append(view[at : at + length])
        at += length + -length % 8
    return pickle.loads(parts[0], buffers=parts[1:])


def _take_apart_sequence(obj: array[int] | memoryview) -> tuple[object, ...]:
    code = obj.typecode if isinstance(obj, array) else obj.format
    return _sequence, (code, pickle.PickleBuffer(obj))


def _take_apart_zone(zone: Zone) -> tuple[object, ...]:
    fields = (zone.apex, zone.serial, zone.names, zone.records, zone.index)
    return _zone, (*fields, pickle.PickleBuffer(zone.blob))


def _sequence(code: str, buffer: memoryview) -> memoryview:
    return memoryview(buffer).cast("B").cast(code)  # type: ignore[call-overload,no-any-return]


def _zone(
    apex: bytes, serial: int, names: int, records: int, index: memoryview, blob: memoryview
) -> Zone:
    return Zone(apex, serial, names, records, index, memoryview(blob))
