"""`iv caption`: writes a sentence for each video."""

from __future__ import annotations

from collections.abc import Callable

from ivcore.errors import ParameterError, one_line
from ivcore.run import each_window, video_arguments

EXAMPLES = ("iv caption clip.mp4", "iv caption my_videos --model 11/tiny --json", "iv caption film.mp4 --per-window 2s")
BEAMS = 4
STATUS = "0 every video has a caption; 1 some could not be read; 2 a wrong argument or parameter"


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    summary = "a sentence for each video, or for each window of it, by a model with a caption decoder"
    parser = add_command("caption", _caption, summary, *EXAMPLES, status=STATUS)
    video_arguments.add_videos(parser)
    video_arguments.add_model(parser, "11/tiny")
    parser.add_argument("--beams", type=int, default=BEAMS, metavar="N", help=f"beams of the search; 1 takes the likeliest word each time ({BEAMS})")  # fmt: skip
    each_window.add_arguments(parser, "a sentence")
    video_arguments.add_workers(parser)
    video_arguments.add_device(parser)


def _caption(options) -> int:
    if not 1 <= options.beams <= 64:
        raise ParameterError(f"--beams {options.beams}: must be in [1, 64]")
    from ivcore.run import finished_model

    def prepare(model):
        function, tokenizer = model.captions(options.beams)

        def read(views):
            caption = tokenizer.caption(views[0])
            return {"caption": caption}, f"  {one_line(caption)}"

        return function, read, ()

    return each_window.say(options, finished_model.LABELS, prepare)
