"""`iv timeline`: labels a long video in one pass; writes a page, a JSON file and a few lines in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ivcore.errors import ParameterError, UserError, VideoError, counted, one_line, shown
from ivcore.run import video_arguments
from ivcore.run.terminal import clock

EXAMPLES = (
    'iv timeline film.mp4 --labels "a dog jumps" "a cat sleeps"',
    'iv timeline film.mp4 --labels "a goal" "a corner" "nothing happens" --captions --html film.html --json film.json',
    "iv timeline film.mp4 --model 30/tiny --per-window 2s --every 0.5s",
)
STATUS = "0 done; 2 a wrong argument or parameter, or a video that cannot be read; 130 Ctrl-C, 143 SIGTERM: the same command continues"
CAPTIONS = "10s"
CELLS = 48  # characters of a terminal line for the whole video
SHADES, PLAIN = " ▁▂▃▄▅▆▇█", " .:-=+*%#"  # the share of a cell's time in which a label leads
ROWS = 12  # most labels in the terminal, and most captions


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    summary = "what a long video shows and when: labels, moments and captions on a timeline; continues after a stop"
    parser = add_command("timeline", _timeline, summary, *EXAMPLES, status=STATUS)
    parser.add_argument("video", metavar="VIDEO", help="a file, or a folder of frames")
    parser.add_argument("--labels", nargs="+", metavar="TEXT", help="sentences to choose from; without them a classifier's own classes")  # fmt: skip
    video_arguments.add_model(parser, "11/tiny")
    parser.add_argument("--per-window", metavar="LENGTH", help="length of a window, 4s or 96f (frames); by default a clip as in training, or 4s")  # fmt: skip
    parser.add_argument("--every", metavar="LENGTH", help="distance between windows (a quarter of a window)")
    parser.add_argument("--smooth", metavar="LENGTH", help="time over which probabilities are averaged; longer gives fewer moments (a window)")  # fmt: skip
    parser.add_argument("--captions", nargs="?", const=CAPTIONS, metavar="LENGTH", help=f"also write a sentence every LENGTH ({CAPTIONS}); needs a model with a caption decoder")  # fmt: skip
    parser.add_argument("--beams", type=int, default=1, metavar="N", help="beams of the captions' search; 1 takes the likeliest word each time (1)")  # fmt: skip
    parser.add_argument("--html", metavar="FILE", help="file for the page (in the folder that is printed)")
    parser.add_argument("--json", metavar="FILE", help="file for the JSON (in the folder that is printed)")
    video_arguments.add_device(parser)


def _timeline(options) -> int:
    labels = tuple(" ".join(label.split()) for label in options.labels or ())
    if options.labels and (len(set(labels)) < max(2, len(labels)) or not all(labels)):
        raise ParameterError(f"--labels {options.labels}: must be two or more different labels, none of them empty")
    if not 1 <= options.beams <= 64:
        raise ParameterError(f"--beams {options.beams}: must be in [1, 64]")
    places = {"html": _place(options.html, "html", ".html", ".htm"), "json": _place(options.json, "json", ".json")}
    video = _video(options.video)
    from ivcore.run import finished_model
    from ivcore.run.timeline import Timeline, TimelineRequest
    from ivcore.video.frame_folder import open_video

    try:
        with open_video(video) as opened:
            fps = opened.fps
        lengths = {name: _seconds(getattr(options, name), name, fps) for name in ("per_window", "every", "smooth", "captions")}  # fmt: skip
        model = video_arguments.load(options, finished_model.LABELS if labels or options.captions else finished_model.CLASSES)  # fmt: skip
        notes = model.zero_shot(labels)[2] if labels else model.classifier() and []
        if options.captions:
            model.captions(options.beams)
        asked = TimelineRequest(video, labels, lengths["per_window"], lengths["every"], lengths["captions"], options.beams, lengths["smooth"])  # fmt: skip
        timeline = Timeline(asked, model)
        for note in (*notes, *model.notes()):
            print(f"iv: {one_line(note)}", file=sys.stderr)
        if stopped := timeline.fill():
            print(f"{stopped}: the same command continues", file=sys.stderr)
            return 130 if stopped == "interrupted" else 143
    except VideoError as error:
        raise UserError(one_line(str(error))) from None
    return _told(timeline, places)


def _video(place: str) -> str:
    """Path of the video. ParameterError if the place holds several."""
    from ivcore.data import video_files

    found = video_files.find(place)
    if len(found) > 1:
        raise ParameterError(f"VIDEO {shown(place)}: holds {len(found)} videos, must be one")
    return found[0]


def _place(file: str | None, name: str, *endings: str) -> Path | None:
    """Path of an output file. ParameterError for another ending, a folder, or a missing folder."""
    from ivcore import paths

    if file is None:
        return None
    if not file.lower().endswith(endings):
        raise ParameterError(f"--{name} {shown(file)}: must end in {endings[0]}")
    place = paths.candidates(file)[0]
    if not place.parent.is_dir() or place.is_dir():
        raise ParameterError(f"--{name} {shown(file)}: {'is a folder' if place.is_dir() else 'there is no such folder'}")  # fmt: skip
    return place


def _seconds(text: str | None, name: str, fps: float) -> float | None:
    from ivcore.data.windows import Length

    if text is None:
        return None
    try:
        length = Length.of(text)
    except ParameterError as error:
        raise ParameterError(str(error).replace("per-window", f"--{name.replace('_', '-')}", 1)) from None
    return length.number if length.seconds else length.number / fps


def _told(timeline, places: dict) -> int:
    from ivcore import paths
    from ivcore.run import timeline_page

    probabilities, names = timeline.probabilities()
    found = timeline.moments(probabilities)
    for line in (*_summary(timeline, names, found), *_sentences(timeline)):
        print(line)
    where = {kind: place or timeline.folder / f"timeline.{kind}" for kind, place in places.items()}
    try:
        timeline.write_json(where["json"], probabilities, names, found)
        timeline_page.write(where["html"], timeline, probabilities, names, found)
    except OSError as error:
        raise UserError(f"{error.filename or where['html']}: cannot be written: {error.strerror}") from None
    for place in where.values():
        print(one_line(paths.short(place)))
    return 0


def _summary(timeline, names: list[str], found: list) -> list[str]:
    """A line for each label with a moment, longest first: where it is in the video, and its time."""
    span, every = timeline.seconds
    total = {k: sum(m.end - m.start for m in found if m.label == k) for k in {m.label for m in found}}
    first = sorted(total, key=lambda k: -total[k])[:ROWS]
    width = min(40, max(len(one_line(names[k])) for k in first))
    many = f"{len(found)} moment{'s' if len(found) != 1 else ''}"
    lines = [
        f"{clock(timeline.duration)}, {counted(timeline.count, 'window')} of {span:.3g} s every {every:.3g} s, {many}; "
        "for each label its time and its share of the video"
    ]
    for k in first:
        cells = _cells([m for m in found if m.label == k], timeline.duration)
        name = one_line(names[k])
        name = name if len(name) <= width else f"{name[: width - 1]}…"
        lines.append(f"  {name.ljust(width)}  |{cells}|  {clock(total[k])}  {100 * total[k] / timeline.duration:3.0f} %")  # fmt: skip
    if len(total) > ROWS:
        lines.append(f"  … and {len(total) - ROWS} more")
    return lines


def _sentences(timeline) -> list[str]:
    """A line for each caption in order of time; equal neighbours are joined. Shows the ROWS longest."""
    told: list[dict] = []
    for row in timeline.windows() if timeline.spoken else ():
        if "caption" not in row:
            continue
        if not told or told[-1]["caption"] != row["caption"]:
            told.append({"caption": row["caption"], "start": row["start"]})
        told[-1]["end"] = row["end"]
    longest = sorted(told, key=lambda each: each["start"] - each["end"])[:ROWS]
    lines = [f"  {clock(each['start'])} to {clock(each['end'])}  {one_line(each['caption'])}" for each in told if each in longest]  # fmt: skip
    return lines + ([f"  … and {len(told) - ROWS} more captions"] if len(told) > ROWS else [])


def _cells(found: list, duration: float) -> str:
    step, text = duration / CELLS, ""
    shades = SHADES
    try:
        shades.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        shades = PLAIN
    for n in range(CELLS):
        inside = sum(max(0.0, min(m.end, (n + 1) * step) - max(m.start, n * step)) for m in found)
        text += shades[min(8, -int(-8 * inside / step // 1))] if inside > 1e-9 else " "
    return text
