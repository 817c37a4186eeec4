"""`iv index` and `iv search`: find your own videos by sentences."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from ivcore import files, paths
from ivcore.errors import ParameterError, UserError, VideoError, one_line, shown
from ivcore.run import features_command, video_arguments

INDEX_EXAMPLES = ("iv index my_videos", "iv index my_videos --per-window 2s --model 11/tiny")
SEARCH_EXAMPLES = (
    'iv search "a dog chases a ball"',
    'iv search "a door opens" --in my_videos --moments --top 10 --html found.html',
    "iv search  # asks for one sentence after the other",
)
INDEX_STATUS = (
    "0 done, now or before; 2 a wrong argument or parameter; 130 Ctrl-C, 143 SIGTERM: the same command continues"
)
HEIGHT = 96  # height of a strip on the page, in pixels


def add(add_command: Callable) -> None:
    """Adds both. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    summary = "make videos searchable; continues after a stop, adds new or changed videos, drops deleted ones"
    index = add_command("index", _index, summary, *INDEX_EXAMPLES, status=INDEX_STATUS)
    video_arguments.add_folder(index)
    video_arguments.add_model(index, "11/tiny")
    index.add_argument("--per-window", default=video_arguments.WINDOW, metavar="LENGTH", help=f"length of the moments to find, 2.5s or 48f (frames) ({video_arguments.WINDOW})")  # fmt: skip
    video_arguments.add_out(index, "index")
    video_arguments.add_workers(index)
    video_arguments.add_device(index)
    summary = "find your own videos by a sentence, with film strips; without SENTENCE it asks for sentences"
    search = add_command("search", _search, summary, *SEARCH_EXAMPLES)
    search.add_argument("sentence", nargs="?", metavar="SENTENCE", help="what happens in the video")
    search.add_argument("--in", dest="place", metavar="FOLDER", help="the videos, or their index (the newest index)")
    search.add_argument("--top", type=int, default=5, metavar="N", help="number of videos or moments (5)")
    search.add_argument("--moments", action="store_true", help="list the best windows, not the best videos")
    search.add_argument("--html", metavar="FILE", help="also write a page with film strips")
    search.add_argument("--json", action="store_true", help="print one JSON object per line for each hit")
    video_arguments.add_device(search)


def _index(options) -> int:
    return features_command.run(options, searchable=True)


def _search(options) -> int:
    if options.top < 1:
        raise ParameterError(f"--top {options.top}: must be at least 1")
    if options.sentence is not None and not options.sentence.strip():
        raise ParameterError("SENTENCE: is empty")
    if options.sentence is None and options.html:
        raise ParameterError(f"--html {shown(options.html)}: needs SENTENCE too")
    if options.html and not options.html.lower().endswith((".html", ".htm")):
        raise ParameterError(f"--html {shown(options.html)}: must be the name of a page, such as found.html")
    from ivcore.run import video_index

    index = video_index.VideoIndex.open(video_index.find(options.place), options.device)
    if not options.json:
        print(f"{len(set(index.videos))} videos of {one_line(paths.short(index.place))}, {len(index.videos)} windows")
    if options.sentence is not None:
        return _answer(index, options.sentence, options)
    for sentence in _asked():
        _answer(index, sentence, options)
    return 0


def _asked():
    """Yields sentences from the terminal or a pipe, until an empty one or the end."""
    if sys.stdin is None:  # closed
        return
    with suppress(AttributeError, ValueError, OSError):
        sys.stdin.reconfigure(errors="replace")
    while True:
        if sys.stdin.isatty():
            print("search for: ", end="", flush=True)
        sentence = sys.stdin.readline()
        if not sentence.strip():
            return
        yield sentence.strip()


def _answer(index, sentence: str, options) -> int:
    hits, notes, seconds = index.search(sentence, options.top, options.moments)
    for note in notes:
        print(f"iv: {one_line(note)}", file=sys.stderr)
    for number, hit in enumerate(hits, 1):
        if options.json:
            print(json.dumps({"video": hit.video, "start": hit.window.start, "end": hit.window.end, "score": round(hit.score, 6)}))  # fmt: skip
        else:
            print(f"{number}  {hit.score:.3f}  {one_line(paths.short(hit.video))}  {hit.moment}".rstrip())
            _show_strip(hit)
    if not options.json:
        print(f"{1000 * seconds:.0f} ms")
    if options.html:
        _write_page(index, sentence, hits, options)
    return 0


def _show_strip(hit) -> None:
    """Prints frames of the hit in colour, but only on a terminal that supports it."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return
    from ivcore.show import terminal_strip

    if terminal_strip.BLOCK.encode(sys.stdout.encoding, "ignore") == b"":  # blocks would become question marks
        return
    try:
        print(terminal_strip.terminal_strip(hit.frames(2 * terminal_strip.LINES), shutil.get_terminal_size().columns))
    except VideoError as error:
        print(f"   {error}")


def _write_page(index, sentence: str, hits: list, options) -> None:
    from ivcore.show import page

    place = paths.candidates(options.html)[0]
    rows = [{"link": Path(hit.video).as_uri(), "name": paths.short(hit.video), "time": hit.moment, "score": hit.score} | _strip(hit) for hit in hits]  # fmt: skip
    facts = {"sentence": sentence, "place": paths.short(index.place), "model": index.model.name, "hits": rows, "moments": options.moments,
             "count": len(index.videos) if options.moments else len(set(index.videos))}  # fmt: skip
    try:
        text = page.render("search.html", facts)
        files.write_text(place, text.encode("utf-8", "replace").decode())  # file names may hold invalid text
    except OSError as error:
        raise UserError(f"--html {options.html}: cannot be written: {error.strerror}") from None
    print(one_line(paths.short(place)), file=sys.stderr if options.json else sys.stdout)


def _strip(hit) -> dict:
    from PIL import Image

    try:
        frames = hit.frames(HEIGHT)
    except VideoError as error:
        return {"strip": "", "problem": str(error)}
    gap = np.full((len(frames), frames.shape[1], 4, 3), 128, np.uint8)
    wide = np.concatenate(list(np.concatenate([frames, gap], 2)), 1)[:, : -gap.shape[2]]
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "WEBP", quality=85)
    return {"strip": f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", "problem": ""}
