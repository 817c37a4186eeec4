"""Reads the files of a tar archive from front to back, in bounded memory and time even if its headers are wrong.

Sizes in headers are trusted up to a limit; beyond it, and at the archive's end, reading stops. Compressed archives are unpacked here and not
by tarfile, which unpacks whole blocks at once and skips missing bytes ten kilobytes at a time.
"""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

FAR = 64 * 2**30  # most bytes of a too large member that are skipped to reach the next one
FAR_PACKED = 2**30  # the same in a compressed archive, where a few bytes can unpack to many
BETWEEN = 64 * 2**20  # bytes of headers, folders and padding from one file to the next
_BLOCK = 64 * 2**10
_UNPACK = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


@dataclass(frozen=True)
class Member:
    """A file of the archive; or with `data` None a member that is not read, and the cause."""

    name: str
    data: bytes | None
    cause: str = ""
    too_large: bool = False


def members(stream, largest: Callable[[str], int]) -> Iterator[Member]:
    """Yields every member except folders, in order. stream: has `read(size)`. largest: a member's name -> the most bytes to read of it.

    For an archive that is damaged, cut short or continues after its end, raises OSError or the errors of tarfile and the decompressors.
    """
    start = _Peeked(stream)
    unpack = next((unpack for head, unpack in _UNPACK.items() if start.head.startswith(head)), None)
    bounded, far = _Bounded(unpack(start) if unpack else start), FAR_PACKED if unpack else FAR
    with tarfile.open(fileobj=bounded, mode="r|", bufsize=_BLOCK) as archive:
        for info in archive:
            archive.members = []  # else every header would be kept
            if info.size < 0:
                raise OSError(f"{info.name}: its header says {info.size} bytes")
            if info.isreg() and info.size <= (limit := largest(info.name)):
                bounded.allow(info.size)
                yield Member(info.name, archive.extractfile(info).read())
                bounded.allow(0)
            elif info.isreg():
                cause = f"{info.name}: its header says {info.size:,} bytes, more than {limit:,}"
                yield Member(info.name, None, cause, too_large=True)
                if info.size > far:
                    raise OSError(f"what follows after {info.name} is not read, for its size")
                bounded.allow(info.size)
            elif not info.isdir():
                yield Member(info.name, None, f"{info.name}: a link or a device")
        bounded.check_end(archive.offset)


class _Peeked:
    """A stream that shows its first 8 bytes in `head` before they are read."""

    def __init__(self, stream):
        self.stream = stream
        self.head = self.left = stream.read(8)

    def read(self, size: int = -1) -> bytes:
        if not self.left:
            return self.stream.read(size)
        cut = len(self.left) if size < 0 else size
        data, self.left = self.left[:cut], self.left[cut:]
        return data  # fewer bytes than asked for do not mean the end


class _Bounded:
    """A stream that gives at most the bytes allowed for the current member, and remembers the position of the last byte that is not zero."""

    def __init__(self, stream):
        self.stream, self.at, self.last, self.ends = stream, 0, 0, 0
        self.allow(0)

    def allow(self, size: int) -> None:
        self.budget = size + BETWEEN

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.budget -= len(data)
        self.ends += not data
        if self.budget < 0:
            raise OSError(f"more than {BETWEEN:,} bytes of headers")
        if self.ends > 3:  # tarfile would keep asking for the bytes that a header promises
            raise OSError("ends within a member")
        if filled := len(data.rstrip(b"\0")):
            self.last = self.at + filled
        self.at += len(data)
        return data

    def check_end(self, end: int) -> None:
        """OSError unless the archive ends properly at byte `end`: only zeros follow."""
        while self.last <= end and self.read(_BLOCK):
            pass
        if self.at <= end:
            raise OSError("does not end as an archive does: cut short")
        if self.last > end:
            raise OSError("more follows after its end: several archives put together")
