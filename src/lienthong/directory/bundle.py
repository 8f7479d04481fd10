"""All records and bins of a directory in one file, for a node's first copy.

A gzip stream of lines ``<name> <content>``. It needs no trust and need not be of the newest
version: it only spares a hundred thousand requests. Each line counts for what its hash says,
and what it lacks is fetched one by one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from lienthong.directory.site import NAME
from lienthong.errors import DirectoryMalformed

_STEP_BYTES = 1_048_576
_LARGEST_UNPACKED_BYTES = 2_000_000_000  # read as a stream; more is a decompression bomb
_LONGEST_LINE = 9_000_000  # a metadata file at its limit and its name
_EASY_LEVEL = 3  # keys and hashes do not compress; a higher level costs seconds for 2 %


def write_bundle(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a bundle of ``(name, content)``; a content must hold no line feed."""
    temporary = path.with_name(f".{path.name}")
    packer = zlib.compressobj(_EASY_LEVEL, wbits=31)
    with temporary.open("wb") as file:
        for name, content in files:
            file.write(packer.compress(name.encode() + b" " + content + b"\n"))
        file.write(packer.flush())
    temporary.replace(path)


def read_bundle(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield ``(name, content)`` in bounded memory; lines of other names are passed over.

    Raises DirectoryMalformed (not gzip, cut, too large).
    """
    rest = b""
    for block in _unpacked(data):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            name, _, content = line.partition(b" ")
            text = name.decode("ascii", "replace")
            if NAME.fullmatch(text):
                yield text, content
        if len(rest) > _LONGEST_LINE:
            raise DirectoryMalformed(part="bundle.gz", reason="line too long")


def _unpacked(data: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    total, waiting = 0, data
    while waiting and not unpacker.eof:
        try:
            block = unpacker.decompress(waiting, _STEP_BYTES)
        except zlib.error as error:
            raise DirectoryMalformed(part="bundle.gz", reason="not gzip") from error
        waiting = unpacker.unconsumed_tail
        total += len(block)
        if total > _LARGEST_UNPACKED_BYTES:
            raise DirectoryMalformed(part="bundle.gz", reason="too large")
        yield block
    if not unpacker.eof:
        raise DirectoryMalformed(part="bundle.gz", reason="cut off")
