"""Files of a tar archive from front to back, in bounded memory and time whatever its headers say.

What an archive claims is believed up to a limit; past that, and past its end, reading stops. Compressed ones are unpacked here and not by
tarfile, which unpacks whole blocks at once and skips what is not there ten kilobytes at a time.
"""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

FAR = 64 * 2**30  # bytes of a member too large that are read past, to reach what follows it
FAR_PACKED = 2**30  # likewise in a compressed archive, where a few bytes may stand for many
BETWEEN = 64 * 2**20  # bytes of headers, folders and padding from one file to the next
_BLOCK = 64 * 2**10
_UNPACK = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


@dataclass(frozen=True)
class Member:
    """A file of the archive, or with `data` None what is not read, and why."""

    name: str
    data: bytes | None
    cause: str = ""
    too_large: bool = False


def members(stream, largest: Callable[[str], int]) -> Iterator[Member]:
    """Every member but folders, in order. stream: bytes by `read(size)`. largest: how many bytes of a member are read, by its name.

    An archive that is damaged, is cut short or goes on after its end raises what tarfile and the decompressors raise, or OSError.
    """
    start = _Peeked(stream)
    unpack = next((unpack for head, unpack in _UNPACK.items() if start.head.startswith(head)), None)
    bounded, far = _Bounded(unpack(start) if unpack else start), FAR_PACKED if unpack else FAR
    with tarfile.open(fileobj=bounded, mode="r|", bufsize=_BLOCK) as archive:
        for info in archive:
            archive.members = []  # or else every header would be kept
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
    """A stream whose first bytes are known before they are read."""

    def __init__(self, stream):
        self.stream = stream
        self.head = self.left = stream.read(8)

    def read(self, size: int = -1) -> bytes:
        if not self.left:
            return self.stream.read(size)
        cut = len(self.left) if size < 0 else size
        data, self.left = self.left[:cut], self.left[cut:]
        return data  # fewer bytes than asked for are no end


class _Bounded:
    """A stream that gives as many bytes as are allowed for the member at hand, and remembers where the last one lies that is not zero."""

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
        if self.ends > 3:  # tarfile would go on asking for all that a header promises
            raise OSError("ends within a member")
        if filled := len(data.rstrip(b"\0")):
            self.last = self.at + filled
        self.at += len(data)
        return data

    def check_end(self, end: int) -> None:
        """OSError unless the archive ends at byte `end` as archives do: zeros follow, and nothing else."""
        while self.last <= end and self.read(_BLOCK):
            pass
        if self.at <= end:
            raise OSError("does not end as an archive does: cut short")
        if self.last > end:
            raise OSError("more follows after its end: several archives put together")
