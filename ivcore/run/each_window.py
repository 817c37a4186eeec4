"""Prints a model's answer for each video, or for each window of it: the common part of `iv classify`, `iv caption` and `iv ask`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from ivcore.errors import VideoError, one_line
from ivcore.run import video_arguments
from ivcore.run.terminal import clock


def add_arguments(parser: ArgumentParser, what: str) -> None:
    """Adds --per-window and --json. what: the output of the command, such as `a sentence`."""
    parser.add_argument("--per-window", metavar="LENGTH", help=f"{what} for every 2.5s or 48f (frames)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line for each video or window")


def say(options: Namespace, kind: str, prepare: Callable, test_clips: bool = False) -> int:
    """Prints a line for each video or window, and for each unreadable video. Returns 1 if there was one, else 0.

    kind: default model of the box, a constant of `finished_model`. prepare(model) -> (function of clips for
    `video_answers.in_order`, read, notes for the user). read(results of the function for the views of a window (V, D))
    -> (fields of the JSON object, text behind the video's name). test_clips: a whole video is shown in all test clips
    of the model; otherwise, and for windows, in one clip.
    """
    video_arguments.check(options)
    found = video_arguments.found(options)
    from ivcore.data import windows

    length = options.per_window and windows.Length.of(options.per_window)
    model = video_arguments.load(options, kind)
    from ivcore.data import video_answers  # imports torch, so `yield_cores` must come first

    function, read, notes = prepare(model)
    if length or not test_clips:
        model = video_answers.one_clip(model)
    for note in (*model.notes(), *notes):
        print(f"iv: {one_line(note)}", file=sys.stderr)
    status, todo = 0, []
    for path in found:
        laid = windows.lay_out(path, length) if length else None
        if isinstance(laid, VideoError):
            status = _refuse(laid, options.json)
        else:
            todo += windows.pieces(path, laid, model.clip_bytes) if laid else [windows.Piece(path)]
    for path, answer in video_answers.in_order(function, model, todo, video_arguments.workers(options, len(found))):
        if isinstance(answer, VideoError):
            status = _refuse(answer, options.json)
            continue
        for window, values in zip(answer.windows, answer.values):
            _show(path, window if length else None, *read(values), options.json)
    return status


def _refuse(error: VideoError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"video": error.path, "error": error.cause}), flush=True)
    else:
        print(f"iv: {error}", file=sys.stderr)
    return 1


def _show(path: str, window, fields: dict, text: str, as_json: bool) -> None:
    from ivcore import paths

    if as_json:
        times = {} if window is None else {"start": window.start, "end": window.end}
        print(json.dumps({"video": path, **times, **fields}), flush=True)
    else:
        times = "" if window is None else f"  {clock(window.start)}–{clock(window.end)}"
        print(f"{one_line(paths.short(path))}{times}{text}", flush=True)
