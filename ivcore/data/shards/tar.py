"""Reads the samples of one tar shard: members with the same name form a sample, and every fault of the archive is reported.

Names are webdataset's, `folder/key.suffix`, but a key may contain dots: a video and its caption belong together only if their names are
equal up to the last dot. Nothing is lost silently: members without a sample become a `Skipped` in the stream.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ivcore.data.shards.members import Member, members
from ivcore.data.shards.names import open_shard
from ivcore.errors import UserError
from ivcore.video import images

VIDEOS = ("mp4", "webm", "mkv", "mov", "avi", "m4v")
CAPTIONS = ("txt", "text", "caption", "json")
HARMLESS = ("duplicate", "stray")  # reasons that lose no sample
LARGEST = 512 * 2**20  # bytes of a sample, and of a group
LARGEST_TEXT = 16 * 2**20
MOST = 1000  # members of a group
_SERVICE = re.compile(r"__[^/]*__($|/)")  # names reserved by webdataset


@dataclass(frozen=True)
class Skipped:
    """A sample that is left out; with key None a fault of the whole shard.

    reason: empty (its caption), no_caption, no_media, corrupt (does not decode), truncated (the archive ends between its members),
    ambiguous (its caption has another name, or there are several videos), too_large, duplicate (a repeated member: the first one
    counts), stray (a member of no sample: without a suffix, hidden, a link, or next to a complete sample without belonging to it), shard
    (unreadable or cut short: the rest is lost).
    """

    url: str
    key: str | None
    reason: str
    cause: str

    def as_dict(self) -> dict:
        return asdict(self)


def read_shard(url: str) -> Iterator[dict | Skipped]:
    """Yields samples dict(__key__, __url__, suffix -> bytes) in the order of the archive, and a `Skipped` for everything left out.

    It reads one shard, so that a sample cut off by its end does not get members from the next shard. Raises UserError as `open_shard`.
    """
    groups, causes, held = _Groups(url), [], None
    for item in itertools.chain(_until_broken(url, groups, causes), groups.end()):
        if isinstance(item, Skipped):
            yield item
            continue
        if held:
            yield held
        held = item  # until we know whether the archive ends within it
    if held:
        yield held | {"__cut__": True} if causes else held
    for cause in causes:
        yield Skipped(url, None, "shard", cause)


def _until_broken(url: str, groups: "_Groups", causes: list[str]) -> Iterator[dict | Skipped]:
    """Yields samples and `Skipped`; stops where the archive is broken and adds the cause to `causes`."""
    try:
        with contextlib.closing(open_shard(url)) as stream:
            for member in members(stream, _limit):
                yield from groups.add(member)
    except UserError:
        raise
    except Exception as error:  # whatever openers, tarfile, decompressors and commands raise
        causes.append(_cause(error))


def _cause(error: Exception) -> str:
    """The error as text. Uses only the first argument, because webdataset appends streams and addresses to the library's own."""
    text = getattr(error, "strerror", None) or (error.args[0] if error.args else "")
    return f"{type(error).__name__}: {' '.join(str(text).split())}"


def _limit(name: str) -> int:
    return LARGEST_TEXT if _split(name)[1] in CAPTIONS else LARGEST


def _split(name: str) -> tuple[str, str]:
    """(key, suffix): the name before and after the last dot; suffix "" if the file is not a member of a sample."""
    folder, slash, file = name.rpartition("/")
    stem, _, suffix = file.rpartition(".")
    service = file.startswith(".") or _SERVICE.match(name)
    return f"{folder}{slash}{stem}", "" if service or not stem else suffix.lower()


class _Groups:
    """Joins members to samples.

    Consecutive members whose names are equal up to the first dot form a group; members with the same key in it form a sample.
    A complete sample is given when the next key comes. The rest, at the end of the group, is incomplete or ambiguous.
    """

    def __init__(self, url: str):
        self.url, self.start, self.now = url, None, None
        self._begin()

    def _begin(self) -> None:
        self.left: dict[str, dict] = {}  # by key
        self.size = self.count = 0
        self.whole, self.above = set(), set()  # keys of complete samples, and the beginnings of these keys

    def add(self, member: Member) -> Iterator[dict | Skipped]:
        """Adds a member; yields the samples that are then finished."""
        key, suffix = _split(member.name)
        if not suffix or (member.data is None and not member.too_large):
            cause = member.cause or f"{member.name}: not the name of a sample's member"
            yield Skipped(self.url, member.name, "stray", cause)
            return
        folder, slash, stem = key.rpartition("/")
        start, size = folder + slash + stem.partition(".")[0], len(member.data or b"")
        if start != self.start or self.size + size > LARGEST or self.count == MOST:
            yield from self.end()
        elif key != self.now:
            yield from self._given(self.now)
        self.start, self.now = start, key
        sample = self.left.setdefault(key, {"__key__": key, "__url__": self.url})
        if suffix in sample:
            yield Skipped(self.url, key, "duplicate", f"{member.name} is there twice")
            return
        self.size, self.count = self.size + size, self.count + 1
        sample[suffix] = member.data
        if member.too_large:
            sample["__large__"] = member.cause

    def _given(self, key: str) -> Iterator[dict]:
        """Yields the sample of this key if it is complete, and removes it."""
        sample = self.left.get(key)
        if sample and _media(sample) == 1 and _captions(sample) and "__large__" not in sample:
            del self.left[key]
            self.size -= sum(len(sample[name]) for name in _suffixes(sample))
            self.count -= len(_suffixes(sample))
            self.whole.add(key)
            self.above.update(_beginnings(key))
            yield sample

    def end(self) -> Iterator[dict | Skipped]:
        """Ends the group; yields its remaining samples and `Skipped`."""
        for key in list(self.left):
            yield from self._given(key)
        left = list(self.left.values())
        captions = [name for sample in left if not _media(sample) for name in _names(sample, CAPTIONS)]
        lacking = any(_media(sample) == 1 and not _captions(sample) for sample in left)
        for sample in left:
            yield self._lacking(sample, captions if lacking else [])
        self._begin()

    def _lacking(self, sample: dict, captions: list[str]) -> dict | Skipped:
        """Judges an incomplete sample. captions: names of the group's captions without a video, if it also has a video without a caption, else []."""
        key, media = sample["__key__"], _names(sample, VIDEOS + images.SUFFIXES)
        if "__large__" in sample:
            return Skipped(self.url, key, "too_large", sample["__large__"])
        if _media(sample) > 1:
            return Skipped(self.url, key, "ambiguous", f"several of one name: {', '.join(media)}")
        if not _names(sample, VIDEOS) and self._companion(key):
            return Skipped(self.url, key, "stray", f"{', '.join(_names(sample))}: beside a whole sample")
        if media and captions:
            cause = f"{media[0]} is not named as {', '.join(captions[:3])} up to the last dot"
            return Skipped(self.url, key, "ambiguous", cause)
        if captions and not media:
            return Skipped(self.url, key, "stray", f"{', '.join(_names(sample))}: not named as any video here")
        return sample  # the decoder reports what is missing

    def _companion(self, key: str) -> bool:
        return key in self.above or any(name in self.whole for name in _beginnings(key))


def _beginnings(key: str) -> list[str]:
    """a/b.c.d -> a/b, a/b.c"""
    dots = [match.start() for match in re.finditer(r"\.", key) if match.start() > key.rfind("/")]
    return [key[:dot] for dot in dots]


def _suffixes(sample: dict) -> list[str]:
    return [name for name in sample if not name.startswith("__")]


def _names(sample: dict, suffixes=None) -> list[str]:
    """The names of a sample's members, or only of those with one of these suffixes."""
    chosen = (name for name in _suffixes(sample) if suffixes is None or name in suffixes)
    return [f"{sample['__key__']}.{name}" for name in chosen]


def _captions(sample: dict) -> int:
    return len(_names(sample, CAPTIONS))


def _media(sample: dict) -> int:
    """The number of videos in the sample, or of pictures if there is no video."""
    return len(_names(sample, VIDEOS)) or len(_names(sample, images.SUFFIXES))
