"""`iv features`: its arguments, and what they may be."""

from __future__ import annotations

from collections.abc import Callable

from ivcore.errors import ParameterError

EXAMPLES = (
    "iv features my_videos",
    "iv features my_videos --model 11/tiny --per-window 2s",
    "iv features untrimmed --every 4",
    "iv features my_videos.csv --out my_features --format safetensors",
)
STATUS = "0 done, now or already; 2 a mistake in what was asked for; 130 Ctrl-C, 143 SIGTERM: the same command goes on"


def add(add_command: Callable) -> None:
    """add_command(name, function, summary, *examples, status=…) -> a parser, see `ivcore.run.cli`."""
    summary = "a vector for each video of a folder, or for each window of it; goes on where it was stopped"
    parser = add_command("features", _features, summary, *EXAMPLES, status=STATUS)
    parser.add_argument("place", metavar="FOLDER", help="videos at any depth, or a list of videos")
    parser.add_argument(
        "--model", metavar="MODEL", help="a run (10/tiny), a folder, a file or a name; by default a model of the box"
    )
    parser.add_argument("--out", metavar="FOLDER", help="where to (a folder in outputs/features, which is printed)")
    parser.add_argument(
        "--per-window", metavar="LENGTH", help="a vector for every 2.5s or 48f (frames); without it one for each video"
    )
    parser.add_argument(
        "--every",
        type=int,
        metavar="N",
        help="a vector every N frames, each of a clip as the model sees it: (T, C), as heads for localization read",
    )
    parser.add_argument("--format", choices=("npy", "safetensors"), default="npy", help="of the files (npy)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that decode (one for each core)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, … (auto: the GPU where there is one)")


def _features(options) -> int:
    if options.workers is not None and options.workers < 0:
        raise ParameterError(f"--workers {options.workers}: must be at least 0")
    from ivcore.run import environment

    environment.yield_cores()
    from ivcore.run import features

    return features.features(
        options.place,
        model=options.model,
        out=options.out,
        per_window=options.per_window,
        every=options.every,
        format=options.format,
        workers=options.workers,
        device=options.device,
    )
