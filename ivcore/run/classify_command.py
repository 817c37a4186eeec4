"""`iv classify`: classifies videos, with a classifier's own classes or with labels in words."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from ivcore.errors import ParameterError, VideoError, one_line
from ivcore.run import video_arguments

EXAMPLES = (
    "iv classify clip.mp4",
    'iv classify a.mp4 b.mov --labels "a dog jumps" "a cat sleeps"',
    "iv classify my_videos --model 30/tiny --top 3 --json",
)
BAR = 24  # characters of a bar for a probability of 1
LONGEST = 120  # characters of a label that the terminal shows; --json has all of it
STATUS = "0 every video is answered; 1 some could not be read; 2 a mistake in what was asked for"


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    summary = "what videos show: probabilities of a model's own classes, or of labels that you write"
    parser = add_command("classify", _classify, summary, *EXAMPLES, status=STATUS)
    video_arguments.add_videos(parser, nargs="*")
    video_arguments.add_model(parser, "30/tiny")
    parser.add_argument(
        "--labels", nargs="+", metavar="TEXT", help="sentences to choose from, for a model of video and language"
    )
    parser.add_argument("--top", type=int, default=5, metavar="N", help="answers shown for each video (5)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each video")
    video_arguments.add_workers(parser)
    video_arguments.add_device(parser)


def _classify(options) -> int:
    if options.top < 1:
        raise ParameterError(f"--top {options.top}: must be at least 1")
    video_arguments.check(options)
    if not options.videos:
        raise ParameterError(
            "VIDEO: none is given, since --labels takes all words after it: iv classify VIDEO --labels TEXT TEXT"
        )
    labels = [" ".join(label.split()) for label in options.labels or ()]
    if options.labels and (len(set(labels)) < 2 or not all(labels) or len(set(labels)) < len(labels)):
        raise ParameterError(f"--labels: {options.labels}, must be two or more, all different and none empty")
    found = video_arguments.found(options)
    from ivcore.data import video_answers
    from ivcore.data.windows import Piece
    from ivcore.run import finished_model

    model = video_arguments.load(options, finished_model.LABELS if labels else finished_model.CLASSES)
    function, names, notes = model.zero_shot(labels) if labels else (*model.classifier(), [])
    for note in [*notes, *model.notes()]:
        print(f"iv: {one_line(note)}", file=sys.stderr)
    workers = video_arguments.workers(options, len(found))
    show, status = _json if options.json else _text, 0
    for path, answer in video_answers.in_order(function, model, [Piece(path) for path in found], workers):
        if isinstance(answer, VideoError):
            print(show(path, None, answer.cause), flush=True) if options.json else print(
                f"iv: {answer}", file=sys.stderr
            )
            status = 1
            continue
        scores = video_answers.probabilities(answer)
        best = scores.argsort(descending=True, stable=True)[: options.top].tolist()
        print(show(path, [(names[i], scores[i].item()) for i in best], ""), flush=True)
    return status


def _text(path: str, best: list, _cause: str) -> str:
    return "\n".join([_shown(path), *(f"  {score:.3f}  {_bar(score)}  {_cut(one_line(name))}" for name, score in best)])


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _bar(share: float) -> str:
    """A bar of BAR characters, precise to 1/8 character; number signs on a terminal without block characters."""
    whole, eighth = divmod(round(share * BAR * 8), 8)
    bar = "█" * whole + " ▏▎▍▌▋▊▉"[eighth] * (eighth > 0)
    try:
        bar.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        bar = "#" * round(share * BAR)
    return bar.ljust(BAR)


def _json(path: str, best: list | None, cause: str) -> str:
    if best is None:
        return json.dumps({"video": path, "error": cause})
    return json.dumps({"video": path, "answers": [{"class": name, "probability": round(p, 6)} for name, p in best]})


def _shown(path: str) -> str:
    from ivcore import paths

    return one_line(paths.short(path))
