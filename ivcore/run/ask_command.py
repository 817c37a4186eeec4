"""`iv ask`: a question about videos, answered by a model that has learned to, or from answers that are given."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from ivcore.errors import ParameterError, VideoError, one_line
from ivcore.run import video_arguments
from ivcore.run.terminal import clock

EXAMPLES = (
    'iv ask clip.mp4 "what colour is the square" --model 34/tiny',
    'iv ask clip.mp4 "what colour is the square" --answers "red, blue, green"',
    'iv ask film.mp4 "which way does it go" --model 34/tiny --per-window 2s --json',
)
TOP = 3
STATUS = "0 every video has an answer; 1 some could not be read; 2 a mistake in what was asked for"


def add(add_command: Callable) -> None:
    """add_command(name, function, summary, *examples, status=…) -> a parser, see `ivcore.run.cli`."""
    summary = "the likeliest answers to a question about a video, or about each window of it"
    parser = add_command("ask", _ask, summary, *EXAMPLES, status=STATUS)
    video_arguments.add_videos(parser)
    parser.add_argument("question", metavar="QUESTION", help="in words of its training")
    video_arguments.add_model(parser, "34/tiny")
    parser.add_argument("--answers", metavar="A,B", help="rank these, by how well question and answer fit the video, with any video-text model")  # fmt: skip
    parser.add_argument("--per-window", metavar="LENGTH", help="answers for every 2.5s or 48f (frames)")
    parser.add_argument("--top", type=int, default=TOP, metavar="N", help=f"so many answers ({TOP})")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each video or window")
    video_arguments.add_workers(parser)
    video_arguments.add_device(parser)


def _ask(options) -> int:
    if options.top < 1:
        raise ParameterError(f"--top {options.top}: must be at least 1")
    given = None if options.answers is None else [text.strip() for text in options.answers.split(",")]
    if given is not None and (len(given) < 2 or not all(given) or len(set(given)) < len(given)):
        raise ParameterError(f"--answers {options.answers!r}: must be two or more different answers, separated by commas")  # fmt: skip
    video_arguments.check(options)
    found = video_arguments.found(options)
    from ivcore.data import video_answers, windows
    from ivcore.run import finished_model

    length = options.per_window and windows.Length.of(options.per_window)
    model = video_arguments.load(options, finished_model.LABELS)
    function, answers, notes = model.answering(options.question, given)
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
    workers = video_arguments.workers(options, len(found))
    for path, answer in video_answers.in_order(function, model, todo, workers):
        if isinstance(answer, VideoError):
            status = _refuse(answer, options.json)
            continue
        for window, logits in zip(answer.windows, answer.values[:, 0]):
            likely = logits.softmax(0)
            order = likely.argsort(descending=True, stable=True)[: options.top].tolist()
            best = [(answers[row], float(likely[row])) for row in order]
            _show(path, window if length else None, best, options.json)
    return status


def _refuse(error: VideoError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"video": error.path, "error": error.cause}), flush=True)
    else:
        print(f"iv: {error}", file=sys.stderr)
    return 1


def _show(path: str, window, best: list[tuple[str, float]], as_json: bool) -> None:
    from ivcore import paths

    if as_json:
        times = {} if window is None else {"start": window.start, "end": window.end}
        listed = [{"answer": answer, "probability": round(share, 4)} for answer, share in best]
        print(json.dumps({"video": path, **times, "answers": listed}), flush=True)
    else:
        times = "" if window is None else f"  {clock(window.start)}–{clock(window.end)}"
        listed = ", ".join(f"{one_line(answer)} {share:.0%}" for answer, share in best)
        print(f"{one_line(paths.short(path))}{times}  {listed}", flush=True)
