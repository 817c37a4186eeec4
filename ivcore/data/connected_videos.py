"""Finds videos that belong together, directly or through others: groups, films and contents may overlap."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping


def joined(marks: Mapping[str, Iterable[Hashable]]) -> dict[str, str]:
    """path -> the alphabetically first of all paths that it belongs together with, perhaps itself.

    marks: path -> its marks; paths that share a mark belong together. None is no mark.
    """
    first = {path: path for path in marks}

    def root(path: str) -> str:
        while first[path] != path:
            first[path] = path = first[first[path]]
        return path

    seen: dict[Hashable, str] = {}
    for path, some in marks.items():
        for mark in some:
            if mark is not None:
                a, b = root(path), root(seen.setdefault(mark, path))
                first[max(a, b)] = min(a, b)
    return {path: root(path) for path in marks}
