"""`iv features`: arguments and their checks."""

from __future__ import annotations

from collections.abc import Callable

from ivcore.run import video_arguments

EXAMPLES = (
    "iv features my_videos",
    "iv features my_videos --model 11/tiny --per-window 2s",
    "iv features untrimmed --every 4",
    "iv features my_videos.csv --out my_features --format safetensors",
)
STATUS = "0 done, now or before; 2 a wrong argument or parameter; 130 Ctrl-C, 143 SIGTERM: the same command continues"


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    summary = "compute a vector for each video of a folder, or for each window of it; continues after a stop"
    parser = add_command("features", _features, summary, *EXAMPLES, status=STATUS)
    video_arguments.add_folder(parser)
    video_arguments.add_model(parser, "10/tiny")
    video_arguments.add_out(parser, "features")
    parser.add_argument(
        "--per-window", metavar="LENGTH", help="a vector for every 2.5s or 48f (frames); without it one for each video"
    )
    parser.add_argument(
        "--every",
        type=int,
        metavar="N",
        help="a vector every N frames, each from a clip as in training: (T, C), for localization heads",
    )
    parser.add_argument("--format", choices=("npy", "safetensors"), default="npy", help="file format (npy)")
    video_arguments.add_workers(parser)
    video_arguments.add_device(parser)


def _features(options) -> int:
    return run(options, every=options.every, format=options.format)


def run(options, **extra) -> int:
    """Calls `features.features` with the arguments that `iv features` and `iv index` share. extra: further ones."""
    video_arguments.check(options)
    from ivcore.run import environment

    environment.yield_cores()
    from ivcore.run import features

    return features.features(
        options.place,
        model=options.model,
        out=options.out,
        per_window=options.per_window,
        workers=options.workers,
        device=options.device,
        **extra,
    )
