"""Sentences that describe each class, from a file of the user or from the captions of a generated set.

A class may have several sentences. All classes get equally many; a class with fewer repeats some of its own.
"""

from collections import Counter
from collections.abc import Sequence

from ivcore.data import formats
from ivcore.data.captions.sets import captioned_set
from ivcore.data.videos import VideoSet
from ivcore.errors import FormatError

MOST = 16  # sentences a class


def listed(path, classes: Sequence[str]) -> list[list[str]]:
    """P lists of K sentences, one a class, from a file with one line a class, its sentences separated by `|`.

    FormatError for an empty sentence, and if the number of lines is not the number of classes.
    """
    lines = formats.read_class_names(path)
    if len(lines) != len(classes):
        raise FormatError(path, len(lines), f"expected {len(classes)} lines, one for each class, found {len(lines)}")
    called = [[" ".join(text.split()) for text in line.split("|")] for line in lines]
    if empty := next((number for number, texts in enumerate(called, 1) if not all(texts)), None):
        raise FormatError(path, empty, "expected sentences separated by |, found an empty one")
    return _in_lists(called)


def of_captions(videos: VideoSet, source: str, **fields) -> list[list[str]]:
    """P lists of K sentences, one a class: the shortest captions of a generated set's training videos, the MOST common ones of each class.

    videos: labelled videos of this set. source, fields: as in `captions.sets.captioned_set`. A class without captions gets its name.
    """
    shortest = {
        each.path: min(each.captions, key=len) for each in captioned_set("train", source=source, **fields).records
    }
    counts = [Counter() for _ in videos.classes]
    for video in videos.records:
        if video.path in shortest:
            counts[video.label][shortest[video.path]] += 1
    called = [
        sorted(sorted(count, key=lambda text: (-count[text], text))[:MOST]) or [name]
        for count, name in zip(counts, videos.classes)
    ]
    return _in_lists(called)


def _in_lists(called: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[texts[place % len(texts)] for texts in called] for place in range(max(map(len, called)))]
