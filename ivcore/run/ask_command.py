"""`iv ask`: answers a question about videos, with a model trained to answer or from a list of given answers."""

from __future__ import annotations

from collections.abc import Callable

from ivcore.errors import ParameterError, one_line, shown
from ivcore.run import each_window, video_arguments

EXAMPLES = (
    'iv ask clip.mp4 "what colour is the square" --model 34/tiny',
    'iv ask clip.mp4 "what colour is the square" --answers "red, blue, green"',
    'iv ask film.mp4 "which way does it go" --model 34/tiny --per-window 2s --json',
)
TOP = 3
STATUS = "0 every video has an answer; 1 some could not be read; 2 a wrong argument or parameter"


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    summary = "the likeliest answers to a question about a video, or about each window of it"
    parser = add_command("ask", _ask, summary, *EXAMPLES, status=STATUS)
    video_arguments.add_videos(parser)
    parser.add_argument(
        "question", metavar="QUESTION", help="in quotes; a model trained to answer knows only the words of its training"
    )
    video_arguments.add_model(parser, "34/tiny", " (only with --answers)")
    parser.add_argument("--answers", metavar="A,B", help="rank these answers by how well question and answer fit the video; works with any video-text model")  # fmt: skip
    parser.add_argument("--top", type=int, default=TOP, metavar="N", help=f"number of answers ({TOP})")
    each_window.add_arguments(parser, "answers")
    video_arguments.add_workers(parser)
    video_arguments.add_device(parser)


def _ask(options) -> int:
    if options.top < 1:
        raise ParameterError(f"--top {options.top}: must be at least 1")
    if not options.question.strip():
        raise ParameterError("QUESTION: is empty")
    given = None if options.answers is None else [text.strip() for text in options.answers.split(",")]
    if given is not None and (len(given) < 2 or not all(given) or len({text.lower() for text in given}) < len(given)):
        raise ParameterError(f"--answers {shown(options.answers)}: must be two or more different answers, separated by commas")  # fmt: skip
    if given is None and not options.model:
        raise ParameterError('a question needs --model, a run of notebook 34, or --answers "red, blue"')
    from ivcore.run import finished_model

    def prepare(model):
        function, answers, notes = model.answering(options.question, given)

        def read(views):
            likely = views[0].softmax(0)
            order = likely.argsort(descending=True, stable=True)[: options.top].tolist()
            listed = [{"answer": answers[row], "probability": round(float(likely[row]), 4)} for row in order]
            text = ", ".join(f"{answers[row]} {float(likely[row]):.0%}" for row in order)
            return {"answers": listed}, f"  {one_line(text)}"

        return function, read, notes

    return each_window.say(options, finished_model.LABELS, prepare)
