"""`iv classify`: classifies videos, with a classifier's own classes or with labels in words."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ivcore.errors import ParameterError, one_line
from ivcore.run import each_window, video_arguments

EXAMPLES = (
    "iv classify clip.mp4",
    'iv classify a.mp4 b.mov --labels "a dog jumps" "a cat sleeps"',
    "iv classify my_videos --model 30/tiny --top 3 --json",
)
BAR = 24  # characters of a bar for a probability of 1
LONGEST = 120  # characters of a label that the terminal shows; --json has all of it
STATUS = "0 every video is answered; 1 some could not be read; 2 a wrong argument or parameter"


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    summary = "classify videos: probabilities of a model's own classes, or of labels that you write"
    parser = add_command("classify", _classify, summary, *EXAMPLES, status=STATUS)
    video_arguments.add_videos(parser, nargs="*")
    video_arguments.add_model(parser, "30/tiny")
    parser.add_argument(
        "--labels", nargs="+", metavar="TEXT", help="sentences to choose from, for a model of video and language"
    )
    parser.add_argument("--top", type=int, default=5, metavar="N", help="answers shown for each video (5)")
    each_window.add_arguments(parser, "answers")
    video_arguments.add_workers(parser)
    video_arguments.add_device(parser)


def _classify(options) -> int:
    if options.top < 1:
        raise ParameterError(f"--top {options.top}: must be at least 1")
    if not options.videos:
        raise ParameterError(
            "VIDEO: is missing; --labels takes all words after it, so write iv classify VIDEO --labels TEXT TEXT"
        )
    labels = [" ".join(label.split()) for label in options.labels or ()]
    if options.labels and (len(set(labels)) < 2 or not all(labels) or len(set(labels)) < len(labels)):
        raise ParameterError(f"--labels {options.labels}: must be two or more different labels, none of them empty")
    from ivcore.run import finished_model

    def prepare(model):
        from ivcore.metrics.recognition import merge_views

        function, names, notes = model.zero_shot(labels) if labels else (*model.classifier(), [])

        def read(views):
            scores = merge_views(views[None])[0]
            best = scores.argsort(descending=True, stable=True)[: options.top].tolist()
            listed = [{"class": names[row], "probability": round(scores[row].item(), 6)} for row in best]
            lines = (f"\n  {scores[row]:.3f}  {_bar(scores[row].item())}  {_cut(one_line(names[row]))}" for row in best)
            return {"answers": listed}, "".join(lines)

        return function, read, notes

    return each_window.say(options, finished_model.LABELS if labels else finished_model.CLASSES, prepare, True)


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
