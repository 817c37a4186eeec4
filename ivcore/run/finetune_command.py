"""`iv finetune`: its arguments and their limits."""

from __future__ import annotations

from collections.abc import Callable

from ivcore.errors import ParameterError, shown

EXAMPLES = (
    "iv finetune my_videos                 # my_videos/jump/*.mp4, my_videos/wave/*.mp4, …",
    "iv finetune my_videos.csv --minutes 30 --seed 1",
    "iv finetune my_videos --masked 10/tiny --multimodal 11/tiny --dry",
)


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    status = "0 done, now or before; 1 a run failed; 2 a wrong argument or parameter; 130 Ctrl-C, 143 SIGTERM: the same command continues"
    summary = "learn your own classes from labelled videos: a table with the accuracy of each model, and a model for iv classify"
    parser = add_command("finetune", _finetune, summary, *EXAMPLES, status=status)
    parser.add_argument(
        "place", metavar="FOLDER", help="a folder for each class in it, or a CSV with `path,label` lines"
    )
    parser.add_argument("--masked", metavar="ENCODER", help="a run, a checkpoint or a published name")
    parser.add_argument("--multimodal", metavar="ENCODER", help="the same for the multimodal encoder")
    parser.add_argument(
        "--minutes", metavar="N", help="minutes for everything, which set the epochs (8; a large set may take longer)"
    )
    parser.add_argument("--epochs", metavar="N", help="epochs of each encoder, instead of --minutes")
    parser.add_argument(
        "--seed",
        metavar="N",
        default="0",
        help="seed of weights and order; the division of the videos stays the same (0)",
    )
    parser.add_argument("--out", metavar="FOLDER", help="folder of lists, table and model (outputs/finetune/NAME)")
    parser.add_argument(
        "--no-flip", action="store_true", help="mirror no clip (automatic if class names tell left from right)"
    )
    parser.add_argument("--dry", action="store_true", help="show how the videos would be divided, and run nothing")
    parser.add_argument("--verbose", action="store_true", help="show all output of the runs, not only their progress")


def _finetune(options) -> int:
    from ivcore.run import finetune

    minutes, epochs = (_number(name, getattr(options, name)) for name in ("minutes", "epochs"))
    if minutes and epochs:
        raise ParameterError("--minutes and --epochs: give one of them")
    if not options.seed.isdecimal() or len(options.seed) > 19 or int(options.seed) >= 2**63:
        raise ParameterError(f"--seed {shown(options.seed)}: must be a whole number from 0, below 2**63")
    how = {name: getattr(options, name) or "" for name in ("place", "masked", "multimodal", "out")}
    how |= {"verbose": options.verbose, "flip": not options.no_flip}
    asked = finetune.FinetuneRequest(**how, minutes=minutes, epochs=epochs, seed=int(options.seed))
    return finetune.dry(asked) if options.dry else finetune.finetune(asked)


def _number(name: str, text: str | None) -> float | None:
    try:
        number = None if text is None else float(text)
    except ValueError:
        number = float("nan")
    if number is not None and not 0 < number <= 10_000:
        raise ParameterError(f"--{name} {shown(text)}: must be a number above 0, at most 10000")
    return number
