"""Finds cuts of one film by the names of videos.

    film03_cut07  v_Archery_g08_c01  dr-no-scene-4  subject02_5      the name of a film, then a counter
    lecture2_10_20  -A5JFdMXB_k_3_13                                 the name of a film, then its start and its end

A name with a counter alone tells nothing: jump_7 is the seventh video of a class, and IMG_0007 that of a camera. So the name of a film has
something beside the class's name that differs within every class: a number, a word for a cut behind it, or the same name in several classes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

from ivcore.data.identity import clip_name

FEWEST = 3  # films that a class needs: one for each part
_SEVERAL = 2  # films without which a class has plain numbers
_COUNTER = re.compile(
    r"(?P<film>.+?)[\W_]+(?P<word>(?:cut|clip|part|pt|scene|shot|take|trial|rep|seg|segment|chunk|ep|cam|view|c|d|p|s)[\W_]*)?\d{1,6}",
    re.IGNORECASE,
)
_TIMES = re.compile(r"(?P<film>.+?)[\W_]+(?P<start>\d+(?:\.\d+)?)[-_](?P<end>\d+(?:\.\d+)?)")
_DATE = re.compile(
    r"\D*(19|20)\d\d[\W_]?(0\d|1[0-2])[\W_]?([0-2]\d|3[01])([\W_T]*\d\d[\W_]?\d\d([\W_]?\d{2,5})?)?"
)  # and the time of a day, as phones call a video
_CAMERA = re.compile(r"\d{3}_\d{4}")  # number of a camera's folder, then of the file
_PLAIN = frozenset(
    "img image vid video movie mov mvi dsc dscn pxl gopr clip cut part scene shot take segment file sample example recording rec untitled".split()
)  # names that cameras and programs give


def films(videos: Mapping[str, str]) -> dict[str, str]:
    """path -> film, for videos whose names tell one. Empty unless names tell films in every class. videos: path -> class name.

    In every class at least half of the names must tell a film, and there must be two or more films. At least half of these videos must belong
    to films with several cuts.
    """
    named = {path: clip_name(path) for path in videos}
    named = {path: name for path, name in named.items() if not _DATE.fullmatch(name) and not _CAMERA.fullmatch(name)}
    for read in (_by_times, _by_counters):
        found = read(named, videos)
        if _in_every_class(found, videos):
            return found
    return {}


def enough(found: Mapping[str, str], videos: Mapping[str, str]) -> bool:
    """Whether every class has a film for each part, or as many as videos. found: see `films`."""
    return _each_has(FEWEST, found, videos)


def told(found: Mapping[str, str]) -> str:
    """ "20 films of 8 cuts", "20 films of 1 to 8 cuts"."""
    sizes = sorted(Counter(found.values()).values())
    cuts = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    return f"{len(sizes)} films of {cuts} cuts"


def _by_times(named: Mapping[str, str], videos: Mapping[str, str]) -> dict[str, str]:
    """Films of names with a start and an end.

    Empty if more than a tenth of these names contradict that reading: the end is not later, or two cuts of a film share a start or an end.
    """
    matches = {path: match for path, name in named.items() if (match := _TIMES.fullmatch(name))}
    cuts = {(_film(match), float(match["start"]), float(match["end"])) for match in matches.values()}
    sound = {cut for cut in cuts if cut[1] < cut[2]}
    apart = min(len({(film, start) for film, start, _ in sound}), len({(film, end) for film, _, end in sound}))
    if 10 * (len(cuts) - apart) > len(cuts):
        return {}
    sound_films = {path: match for path, match in matches.items() if float(match["start"]) < float(match["end"])}
    return {path: _film(match) for path, match in sound_films.items() if _left(match["film"], videos[path])}


def _by_counters(named: Mapping[str, str], videos: Mapping[str, str]) -> dict[str, str]:
    """Films of names with a counter. Empty unless at least half of these names show that it counts cuts of a film."""
    matches = {path: match for path, name in named.items() if (match := _COUNTER.fullmatch(name))}
    left = {path: _left(match["film"], videos[path]) for path, match in matches.items()}
    matches = {path: match for path, match in matches.items() if left[path] not in {"", *_PLAIN}}
    classes = defaultdict(set)
    for path, match in matches.items():
        classes[_film(match)].add(videos[path])
    shown = [
        path
        for path, match in matches.items()
        if match["word"] or re.search(r"\d", left[path]) or len(classes[_film(match)]) > 1
    ]
    return {path: _film(match) for path, match in matches.items()} if 2 * len(shown) >= len(matches) else {}


def _film(match: re.Match) -> str:
    return f"film {match['film'].casefold()}"


def _left(film: str, of_class: str) -> str:
    """Letters and digits of a film's name without those of its class's name. A class name that is a number is not removed."""
    bare_film, bare_class = (re.sub(r"[\W_]", "", name).casefold() for name in (film, of_class))
    return bare_film if bare_class.isdecimal() or not bare_class else bare_film.replace(bare_class, "", 1)


def _in_every_class(found: Mapping[str, str], videos: Mapping[str, str]) -> bool:
    sizes, counts = Counter(found.values()), Counter(videos.values())
    told_of = Counter(videos[path] for path in found)
    return (
        2 * sum(size for size in sizes.values() if size > 1) >= len(found) > 0
        and all(2 * told_of[name] >= count for name, count in counts.items())
        and _each_has(_SEVERAL, found, videos)
    )


def _each_has(least: int, found: Mapping[str, str], videos: Mapping[str, str]) -> bool:
    """Whether every class has that many films, or as many as videos."""
    different = Counter(name for name, _ in {(videos[path], film) for path, film in found.items()})
    return all(different[name] >= min(least, count) for name, count in Counter(videos.values()).items())
