"""`iv caption`: what happens in videos, in a sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from ivcore.errors import ParameterError, VideoError, one_line
from ivcore.run import video_arguments
from ivcore.run.terminal import clock

EXAMPLES = ("iv caption clip.mp4", "iv caption my_videos --model 11/tiny --json", "iv caption film.mp4 --per-window 2s")
BEAMS = 4
STATUS = "0 every video has a caption; 1 some could not be read; 2 a mistake in what was asked for"


def add(add_command: Callable) -> None:
    """add_command(name, function, summary, *examples, status=…) -> a parser, see `ivcore.run.cli`."""
    summary = "a sentence for each video, or for each window of it, by a model with a caption decoder"
    parser = add_command("caption", _caption, summary, *EXAMPLES, status=STATUS)
    video_arguments.add_videos(parser)
    video_arguments.add_model(parser, "11/tiny")
    parser.add_argument("--per-window", metavar="LENGTH", help="a sentence for every 2.5s or 48f (frames)")
    parser.add_argument("--beams", type=int, default=BEAMS, metavar="N", help=f"of beam search, 1: the likeliest word each time ({BEAMS})")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each sentence")
    video_arguments.add_workers(parser)
    video_arguments.add_device(parser)


def _caption(options) -> int:
    if not 1 <= options.beams <= 64:
        raise ParameterError(f"--beams {options.beams}: must be in 1 to 64")
    video_arguments.check(options)
    found = video_arguments.found(options)
    from ivcore.data import video_answers, windows
    from ivcore.run import finished_model

    length = options.per_window and windows.Length.of(options.per_window)
    model = video_arguments.load(options, finished_model.LABELS)
    function, tokenizer = model.captions(options.beams)
    model = video_answers.one_clip(model)
    for note in model.notes():
        print(f"iv: {one_line(note)}", file=sys.stderr)
    workers = video_arguments.workers(options, len(found))
    status, todo = 0, []
    for path in found:
        laid = windows.lay_out(path, length) if length else None
        if isinstance(laid, VideoError):
            status = _refuse(laid, options.json)
        else:
            todo += windows.pieces(path, laid, model.clip_bytes) if laid else [windows.Piece(path)]
    for path, answer in video_answers.in_order(function, model, todo, workers):
        if isinstance(answer, VideoError):
            status = _refuse(answer, options.json)
            continue
        for window, ids in zip(answer.windows, answer.values[:, 0]):
            _show(path, window if length else None, tokenizer.caption(ids), options.json)
    return status


def _refuse(error: VideoError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"video": error.path, "error": error.cause}), flush=True)
    else:
        print(f"iv: {error}", file=sys.stderr)
    return 1


def _show(path: str, window, caption: str, as_json: bool) -> None:
    from ivcore import paths

    if as_json:
        times = {} if window is None else {"start": window.start, "end": window.end}
        print(json.dumps({"video": path, **times, "caption": caption}), flush=True)
    else:
        times = "" if window is None else f"  {clock(window.start)}–{clock(window.end)}"
        print(f"{one_line(paths.short(path))}{times}  {one_line(caption)}", flush=True)
