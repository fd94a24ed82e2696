"""Handing a loaded plan from the process that made it to the one that answers.

Knows: pickle protocol 5 with its buffers beside it (PEP 574). Refuses to know: what a plan
means. Invariant: zones and range tables are never copied into the receiver's memory: they
stay in the file that both processes map, so taking over a plan of a million records takes
milliseconds. Only what our own child wrote is ever read.

Layout: u64 number of lengths, the lengths (u64 each), the pickles, then the buffers, each
padded to 8 octets. Parts of the value come as pickles of their own before it, so that the
receiver can do something else in between.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
from array import array
from collections.abc import Iterable, Iterator
from struct import Struct

from gslb.core.zone import Zone

_U64 = Struct("=Q")


def pack(value: object, fd: int, parts: Iterable[object] = ()) -> None:
    """Writes a value to a file descriptor; `parts` of it (the same objects) go ahead."""
    buffers: list[pickle.PickleBuffer] = []
    out = io.BytesIO()
    packer = pickle.Pickler(out, protocol=5, buffer_callback=buffers.append)
    packer.dispatch_table = {  # typeshed's type for what a reducer returns is made of Any
        array: _take_apart_sequence,  # type: ignore[dict-item]
        memoryview: _take_apart_sequence,  # type: ignore[dict-item]
        Zone: _take_apart_zone,  # type: ignore[dict-item]
    }
    for part in (*parts, value):  # one packer: what it has written once, it refers to later
        packer.dump(part)
    views = [memoryview(out.getbuffer()), *(buffer.raw() for buffer in buffers)]
    lengths = [view.nbytes for view in views]
    with open(fd, "wb", closefd=False) as file:
        file.write(_U64.pack(len(lengths)))
        for length in lengths:
            file.write(_U64.pack(length))
        for view in views:
            file.write(view)
            file.write(bytes(-view.nbytes % 8))


def unpack(fd: int) -> Iterator[object]:
    """The parts in a file, and the value last.

    Their buffers are views of the file, which stays mapped for them.
    """
    size = os.fstat(fd).st_size
    view = memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ))
    (count,) = _U64.unpack_from(view)
    lengths = [_U64.unpack_from(view, 8 + 8 * number)[0] for number in range(count)]
    at = 8 + 8 * count
    views: list[memoryview] = []
    for length in lengths:
        views.append(view[at : at + length])
        at += length + -length % 8
    pickles = io.BytesIO(views[0])
    unpacker = pickle.Unpickler(pickles, buffers=views[1:])
    while pickles.tell() < lengths[0]:
        yield unpacker.load()


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
