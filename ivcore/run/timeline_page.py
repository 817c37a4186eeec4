"""The page of `iv timeline`: moments of each label, pictures and captions along the time of the video, in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ivcore import files
from ivcore.run.terminal import clock
from ivcore.show import page

LANES = 12  # most labels with a row
STRIP = 24  # pictures above the rows
PICTURED = 60  # the longest moments get a picture, at most these
POINTS = 400  # points of a curve
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


def write(place: Path, timeline, probabilities: np.ndarray, names: list[str], found: list) -> None:
    """Writes the page to `place`. timeline: a filled `ivcore.run.timeline.Timeline`; the rest are its results."""
    duration = timeline.duration
    middles = strip_places(duration)
    longest = {id(m) for m in sorted(found, key=lambda m: m.start - m.end)[:PICTURED]}
    wanted = middles + [(m.start + m.end) / 2 for m in found if id(m) in longest]
    pictures, captions = _from_rows(timeline, wanted)
    rows, spoken = [], iter(captions)
    waiting = next(spoken, None)
    for number, m in enumerate(found, 1):
        said = []
        while waiting and waiting["middle"] < m.end:
            said += [waiting["text"]] if waiting["text"] not in said else []
            waiting = next(spoken, None)
        picture = pictures[(m.start + m.end) / 2] if id(m) in longest else ""
        rows.append({"number": number, "label": names[m.label], "time": f"{clock(m.start)}–{clock(m.end)}", "score": m.score, "picture": picture,
                     "said": said, "left": 100 * m.start / duration, "width": 100 * (m.end - m.start) / duration, "k": m.label})  # fmt: skip
    span, every = timeline.seconds
    facts = {
        "name": Path(timeline.asked.video).name, "model": timeline.model.name, "duration": clock(duration), "windows": timeline.count,
        "span": f"{span:.3g}", "every": f"{every:.3g}", "smooth": f"{timeline.smooth:.3g}", "own": not timeline.asked.labels,
        "strip": [{"picture": pictures[at], "time": clock(at)} for at in middles], "rows": rows, "captions": captions,
        "ticks": [{"left": 100 * at / duration, "text": clock(at)[:-2]} for at in _ticks(duration)],
        "lanes": _lanes(probabilities, names, found, rows, duration), "hidden": max(0, len({m.label for m in found}) - LANES),
    }  # fmt: skip
    files.write_text(place, page.render("timeline.html", facts).encode("utf-8", "replace").decode())


def strip_places(duration: float) -> list[float]:
    """Times in seconds of the pictures above the rows."""
    return [duration * (n + 0.5) / STRIP for n in range(STRIP)]


def _from_rows(timeline, wanted: list[float]) -> tuple[dict[float, str], list[dict]]:
    """({second: nearest picture} for each of `wanted`, all captions), in one pass over the windows."""
    left, nearest, captions = sorted(set(wanted)), {}, []
    before = None  # the last window with a picture
    for row in timeline.windows():
        middle = (row["start"] + row["end"]) / 2
        if "caption" in row:
            captions.append({"middle": middle, "left": 100 * row["start"] / timeline.duration, "time": clock(row["start"]), "text": row["caption"],
                             "width": 100 * (row["end"] - row["start"]) / timeline.duration})  # fmt: skip
        if "picture" not in row:
            continue
        while left and left[0] <= middle:
            at = left.pop(0)
            older = before is not None and at - before[0] < middle - at
            nearest[at] = before[1] if older else row["picture"]
        before = middle, row["picture"]
    return nearest | {at: before[1] for at in left}, captions


def _ticks(duration: float) -> list[float]:
    step = next((step for step in TICKS if duration / step <= 8), 4 * TICKS[-1])
    return [float(at) for at in np.arange(0, duration, step)]


def _lanes(probabilities: np.ndarray, names: list[str], found: list, rows: list[dict], duration: float) -> list[dict]:
    """A row for each label with a moment, longest first."""
    total = {}
    for m in found:
        total[m.label] = total.get(m.label, 0.0) + m.end - m.start
    first = sorted(total, key=lambda k: -total[k])[:LANES]
    edges = np.unique(np.linspace(0, len(probabilities), POINTS + 1).astype(int))[:-1]
    curves = np.maximum.reduceat(probabilities[:, first], edges, 0)
    across = (edges + np.diff(edges, append=len(probabilities)) / 2) / len(probabilities)
    lanes = []
    for n, k in enumerate(first):
        mine = [row for row in rows if row["k"] == k]
        line = " ".join(f"{1000 * x:.0f},{100 - 100 * y:.0f}" for x, y in zip(across, curves[:, n]))
        share = f"{100 * total[k] / duration:.0f} %"
        lanes.append({"label": names[k], "rows": mine, "curve": line, "total": clock(total[k]), "share": share, "count": len(mine)})  # fmt: skip
    return lanes
