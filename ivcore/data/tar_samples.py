"""Samples of one tar shard, through webdataset: members of one name make a sample, and whatever is wrong with the archive is told.

webdataset drops a damaged rest of a shard in silence, or stops; here every loss becomes a `Skipped` in the stream.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from glob import glob
from pathlib import Path

from ivcore.errors import UserError

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")


@dataclass(frozen=True)
class Skipped:
    """A sample that is left out, or with key None something about its whole shard.

    reason: empty (its caption), no_caption, no_media, corrupt (does not decode), truncated (the archive ends between its members),
    duplicate (a member given twice: the first one counts), shard (unreadable, or cut short: what follows is lost).
    """

    url: str
    key: str | None
    reason: str
    cause: str

    def as_dict(self) -> dict:
        return asdict(self)


def expand(urls) -> list[str]:
    """Shards named by a pattern or several: braces ("{000..127}.tar"), "::" between patterns, local wildcards, a folder of .tar files.

    URLs (http:, pipe:, hf:, gs: …) go to webdataset as they are. Raises UserError where nothing is named or nothing local is there.
    """
    from webdataset.shardlists import expand_urls

    patterns = [urls] if isinstance(urls, str | Path) else list(urls)
    try:
        named = [url for pattern in patterns for url in expand_urls(str(pattern))]
    except (AssertionError, ValueError) as error:
        raise UserError(f"shards {urls}: {error}") from None
    shards = [shard for name in named for shard in _local(name)]
    here = [shard for shard in shards if not _is_remote(shard)]
    if not shards or (len(here) == len(shards) and not any(Path(shard).is_file() for shard in here)):
        raise UserError(f"shards {urls}: no such file" + (f", e.g. {here[0]}" if here else ""))
    return shards


def _is_remote(name: str) -> bool:
    return re.match(r"[a-z0-9]{2,}:", name) is not None


def _local(name: str) -> list[str]:
    if _is_remote(name):
        return [name]
    if Path(name).is_dir():
        return sorted(glob(f"{name}/*.tar"))
    return sorted(glob(name)) if re.search(r"[*?\[]", name) and not Path(name).is_file() else [name]


def read_shard(url: str) -> Iterator[dict | Skipped]:
    """Samples dict(__key__, __url__, suffix -> bytes) in the order of the archive, and what is missing from it.

    One shard at a time: a sample cut off by the end of one shard must not get members from the next.
    """
    from webdataset import gopen
    from webdataset.tariterators import group_by_keys, tar_file_expander

    broken, doubled, held = _Errors(), _Errors(), None
    try:
        stream = _Watched(gopen(url, "rb"))
    except Exception as error:  # whatever the opener of this kind of URL raises
        yield Skipped(url, None, "shard", _cause(error))
        return
    files = tar_file_expander([{"url": url, "stream": stream}], handler=broken)
    for sample in group_by_keys(files, handler=doubled):
        yield from _told(url, doubled)
        if held:
            yield held
        held = sample  # until it is known whether the archive ends within it
    yield from _told(url, doubled)
    cut = _end(stream, broken)
    if held:
        yield held | {"__cut__": True} if cut else held
    if cut:
        yield Skipped(url, None, "shard", cut)


def _told(url: str, doubled: "_Errors") -> Iterator[Skipped]:
    """A member given twice, as webdataset words it: ValueError: KEY.SUFFIX: duplicate file name …"""
    for cause in doubled.found:
        member = cause.partition(": ")[2].partition(": duplicate")[0]
        yield Skipped(url, member.partition(".")[0], "duplicate", cause)
    doubled.found.clear()


def _end(stream: "_Watched", broken: "_Errors") -> str:
    """What is wrong with the archive as a whole, or ""."""
    try:
        stream.close()
    except Exception as error:  # a command that fails after its last byte
        broken(error)
    if broken.found:
        return broken.found[0]
    return "" if stream.ended else "does not end as an archive does: cut short, or several put together"


class _Errors:
    """A handler for webdataset that keeps what went wrong and lets it go on."""

    def __init__(self):
        self.found: list[str] = []

    def __call__(self, error: Exception) -> bool:
        self.found.append(_cause(error))
        return True


def _cause(error: Exception) -> str:
    """webdataset appends streams and addresses to the arguments of errors: the first ones are the library's own."""
    text = getattr(error, "strerror", None) or (error.args[0] if error.args else "")
    return f"{type(error).__name__}: {' '.join(str(text).split(' @ <')[0].split())}"


class _Watched:
    """A stream that remembers its beginning and end: a tar file ends in blocks of zeros, and one cut between two members does not."""

    def __init__(self, stream):
        self.stream, self.head, self.tail = stream, b"", b""

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        self.head = self.head or data[:8]
        self.tail = data[-512:] if len(data) >= 512 else (self.tail + data)[-512:]
        return data

    def close(self) -> None:
        self.stream.close()

    @property
    def ended(self) -> bool:
        """Compressed archives tell by themselves when they are cut."""
        return self.head.startswith(_COMPRESSED) or not any(self.tail)
