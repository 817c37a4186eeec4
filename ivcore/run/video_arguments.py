"""What the commands about one's own videos are all asked: which videos, by which model, with how many processes and where."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from ivcore.cores import cores
from ivcore.errors import ParameterError

WINDOW = "4s"  # of what `iv search` finds, unless `iv index` is told otherwise
FEW = 16  # videos that are not worth starting processes for
KNOWS = "a model of the box that has learned from drawn scenes and a few minutes of film: of other videos it guesses"


def add_folder(parser: ArgumentParser) -> None:
    """The one folder whose videos are taken in, as `place`."""
    parser.add_argument("place", metavar="FOLDER", help="videos at any depth, or a list of videos")


def add_videos(parser: ArgumentParser, nargs: str = "+") -> None:
    """The videos that are asked about, as `videos`; `found` lists them. nargs "*": the command itself says that one is missing."""
    what = "a file, a folder of videos or of frames, or a list of videos"
    parser.add_argument("videos", nargs=nargs, metavar="VIDEO", help=what)


def add_out(parser: ArgumentParser, kind: str) -> None:
    """kind: the folder of the outputs that is filled otherwise."""
    parser.add_argument("--out", metavar="FOLDER", help=f"where to (a folder in outputs/{kind}, which is printed)")


def add_model(parser: ArgumentParser, example: str, where: str = "") -> None:
    """example: a run that serves. where: when a model of the box does."""
    what = f"a run ({example}), a folder, a file or a name; by default{where} a model of the box"
    parser.add_argument("--model", metavar="MODEL", help=what)


def add_device(parser: ArgumentParser) -> None:
    """Where the model is run."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, … (auto: the GPU where there is one)")


def add_workers(parser: ArgumentParser) -> None:
    """How many processes decode. `check` refuses a number below 0."""
    parser.add_argument("--workers", type=int, metavar="N", help="processes that decode (one for each core)")


def check(options: Namespace) -> None:
    """ParameterError for a number of processes that cannot be; before anything is loaded."""
    if options.workers is not None and options.workers < 0:
        raise ParameterError(f"--workers {options.workers}: must be at least 0")


def found(options: Namespace) -> list[str]:
    """The videos that were named, each once. UserError where there is none."""
    from ivcore.data import video_files

    return list(dict.fromkeys(path for place in options.videos for path in video_files.find(place)))


def load(options: Namespace, kind: str):
    """The `VideoModel` that was named, by default the box's for `kind`, a constant of `finished_model`. Leaves a core to the user."""
    from ivcore.run import environment

    environment.yield_cores()
    from ivcore.data import video_answers
    from ivcore.run import finished_model

    asked = options.model or kind
    if not options.model:
        print(f"iv: {kind} answers, {KNOWS}; --model takes another", file=sys.stderr, flush=True)
    return video_answers.VideoModel.load(finished_model.find(asked), environment.pick_device(options.device), asked)


def workers(options: Namespace, videos: int) -> int:
    """Processes for so many videos. One of its own would take longer to start than one video does."""
    if videos < 2:
        return 0
    if options.workers is not None:
        return options.workers
    return cores() if videos > FEW else 0
