"""Arguments that the commands for your own videos share: videos, model, number of processes, device."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from ivcore.cores import cores
from ivcore.errors import ParameterError

WINDOW = "4s"  # default window of `iv index`
FEW = 16  # up to this number of videos, starting processes is not worth it
KNOWS = "a model of the box, trained on drawn scenes and a few minutes of film; on other videos it guesses"


def add_folder(parser: ArgumentParser) -> None:
    """Adds argument `place`: the folder of videos."""
    parser.add_argument("place", metavar="FOLDER", help="videos at any depth, or a list of videos")


def add_videos(parser: ArgumentParser, nargs: str = "+") -> None:
    """Adds argument `videos`; `found` lists them. nargs="*": the command itself refuses an empty list."""
    what = "a file, a folder of videos or of frames, or a list of videos"
    parser.add_argument("videos", nargs=nargs, metavar="VIDEO", help=what)


def add_out(parser: ArgumentParser, kind: str) -> None:
    """Adds --out. kind: subfolder of outputs/ used without --out."""
    parser.add_argument("--out", metavar="FOLDER", help=f"output folder (a folder in outputs/{kind}, which is printed)")


def add_model(parser: ArgumentParser, example: str, where: str = "") -> None:
    """Adds --model. example: a run shown in the help. where: text saying when the default model is used."""
    what = f"a run ({example}), a folder, a file or a name; by default{where} a model of the box"
    parser.add_argument("--model", metavar="MODEL", help=what)


def add_device(parser: ArgumentParser) -> None:
    """Adds --device."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, … (auto: the GPU if there is one)")


def add_workers(parser: ArgumentParser) -> None:
    """Adds --workers, the number of decoding processes. `check` refuses a number below 0."""
    parser.add_argument("--workers", type=int, metavar="N", help="decoding processes (one per core)")


def check(options: Namespace) -> None:
    """ParameterError for a negative number of processes, before anything is loaded."""
    if options.workers is not None and options.workers < 0:
        raise ParameterError(f"--workers {options.workers}: must be at least 0")


def found(options: Namespace) -> list[str]:
    """Paths of the named videos, each once. UserError if there are none."""
    from ivcore.data import video_files

    return list(dict.fromkeys(path for place in options.videos for path in video_files.find(place)))


def load(options: Namespace, kind: str):
    """The named `VideoModel`, by default the box's model `kind`, a constant of `finished_model`."""
    from ivcore.run import environment

    environment.yield_cores()
    from ivcore.data import video_answers
    from ivcore.run import finished_model

    asked = options.model or kind
    if not options.model:
        print(f"iv: {kind} answers, {KNOWS}; --model takes another", file=sys.stderr, flush=True)
    return video_answers.VideoModel.load(finished_model.find(asked), environment.pick_device(options.device), asked)


def workers(options: Namespace, videos: int) -> int:
    """Processes for `videos` videos; 0 for a few, because starting a process takes longer than decoding a video."""
    if videos < 2:
        return 0
    if options.workers is not None:
        return options.workers
    return cores() if videos > FEW else 0
