"""The `iv` command: its subcommands, their arguments and exit status."""

import argparse
import functools
import math
import os
import signal
import sys
import textwrap
from collections import Counter

import ivcore
from ivcore import distributed, paths
from ivcore.data import set_names
from ivcore.errors import ParameterError, UserError, shown
from ivcore.run import (
    ask_command,
    caption_command,
    classify_command,
    contents,
    environment,
    failure,
    features_command,
    finetune_command,
    notebook,
    parameters,
    plan_command,
    provenance,
    search_command,
    submit_command,
    terminal,
    timeline_command,
    tour_command,
)
from ivcore.run import execute as run
from ivcore.run import folder as run_folder
from ivcore.run.spec import Spec, resolving_once

_DIGITS = 9  # most digits of a number; Python refuses more than 4300
EXIT = "0 done; 2 a wrong argument or parameter"
EXIT_OF_RUN = """\
0 done, now or before; 1 a cell failed, the notebook did not finish, or a disk cannot be written;
2 a wrong argument or parameter; 124 --timeout; 130 Ctrl-C; 143 SIGTERM;
137 the kernel was killed (128 and the signal's number)"""
_SAY_SO = ("labels", "p", "timeout")  # arguments with their own message for an empty value
MINI = ("iv data mini --list", "iv data mini k400 my_k400")
ENVIRONMENT = """\
environment:
  IVCORE_OUTPUTS        folder of all runs (outputs/ in the workbook)
  IVCORE_CACHE          folder of rendered and decoded videos (cache/ in the outputs)
  IVCORE_BOX            folder of the models that come with ivcore (ivcore/box in the package)
  IVCORE_ROOT           folder of the workbook, if ivcore is installed and called elsewhere
  IVCORE_ALLOW_PIPE=1   allows shell commands as addresses of shards
  IVCORE_CLUSTER        file with facts about the cluster, for iv submit
  IVCORE_TIMEOUT        seconds that a rank waits for another before the run ends (1800)
  OMP_NUM_THREADS       threads of each process"""


def main(arguments: list[str] | None = None) -> int:
    terminal.prepare()
    options = _parser().parse_args(arguments)
    try:
        _require_filled(options)
        status = options.command(options) or 0
        sys.stdout.flush()
    except UserError as error:
        print(f"iv: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ivcore"):
            raise
        package = (error.name or "").split(".")[0]
        print(f"iv: {package} is not installed: pip install '{environment.package_with(package)}'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("iv: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        if isinstance(error, BrokenPipeError) and terminal.is_gone(sys.stdout):  # `iv list | head`
            terminal.silence(sys.stdout)
            return 0
        terminal.silence(sys.stdout)  # stdout itself may be the file that cannot be written
        return _refused(error)
    return status


def _require_filled(options) -> None:
    """ParameterError for an empty argument (an unset shell variable?): as a path it would mean the current folder."""
    for name, value in vars(options).items():
        if name not in _SAY_SO and "" in (value if isinstance(value, list) else [value]):
            raise ParameterError(f"{name} = '': is empty; give it a value, or leave it out")


def _refused(error: OSError) -> int:
    """Prints one line with the path that cannot be read or written. Returns the exit status."""
    refusal = failure.from_system(error)
    print(f"iv: {refusal.lines()[0]}", file=sys.stderr)
    return refusal.status


# ---- subcommands


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="iv",
        description="The InternVideo workbook from the command line. `iv COMMAND --help` has examples.",
        epilog="first steps:\n  iv tour           ten minutes with the trained models\n  iv list           all notebooks and their runs\n  iv run 10 quick   run notebook 10 at preset quick\n"
        f"  iv board          the results\n\n{ENVIRONMENT}\n\n{_status(EXIT_OF_RUN)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"iv {ivcore.__version__}")
    parser.set_defaults(command=lambda options: parser.print_help())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", help="the command to run")
    tour_command.add(functools.partial(_add, commands))
    _add_run(commands)
    listing = _add(commands, "list", _list, "notebooks, their claims, their presets and the state of each run",
                   "iv list", "iv list 12")  # fmt: skip
    listing.add_argument("notebook", nargs="?", help="only this one, by number, name or path")
    parameters = _add(commands, "params", _params, "the parameters of a notebook and their allowed values",
                      "iv params 12", "iv params 12 paper")  # fmt: skip
    parameters.add_argument("notebook", help='its number ("12"), name or path')
    parameters.add_argument("preset", nargs="?", default="tiny", help="whose values are shown (tiny)")
    graph = _add(commands, "graph", _graph, "the runs that `make recipe` or another graph consists of",
                 "iv graph", "iv graph ablations")  # fmt: skip
    graph.add_argument("name", nargs="?", default="recipe", help="a graph of workflow/stages.yaml (recipe)")
    board = _add(commands, "board", _board, "the leaderboard of all finished runs, also written as .md and .csv",
                 "iv board", "iv board 13 --all")  # fmt: skip
    board.add_argument("notebook", nargs="?", help="only this one, by number, name or path")
    board.add_argument("--all", action="store_true", help="every metric, and every run without a result")
    report = _add(commands, "report", _report, "all finished runs as one HTML page, figures included",
                  "iv report", "iv report -o report.html")  # fmt: skip
    report.add_argument("-o", "--output", metavar="FILE", help="output file (outputs/report/index.html)")
    models = _add(commands, "models", _models, "every published size: parameters, tokens, operations, memory",
                  "iv models", "iv models videomae")  # fmt: skip
    models.add_argument("name", nargs="?", help="only models whose name contains this")
    plan_command.add(functools.partial(_add, commands))
    submit_command.add(functools.partial(_add, commands))
    _add(commands, "box", _box, "the trained models that come with ivcore: how they were made, and what they score",
         "iv box", "iv run 30 tiny -p masked_encoder=ivcore/small-masked")  # fmt: skip
    for each in (
        features_command,
        classify_command,
        finetune_command,
        search_command,
        caption_command,
        ask_command,
        timeline_command,
    ):
        each.add(functools.partial(_add, commands))
    _add_data(commands)
    _add_check(commands)
    _add(commands, "doctor", _doctor, "what works on this machine, and how to install the rest",
         "iv doctor")  # fmt: skip
    return parser


def _add(commands, name: str, command, summary: str, *examples: str, status: str = EXIT):
    """Adds a subcommand with examples and exit status in its help. Returns its parser."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog="\n  ".join(["examples:", *examples]) + f"\n\n{_status(status)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _status(text: str) -> str:
    return f"exit status:\n{textwrap.indent(text, '  ')}"


def _add_run(commands) -> None:
    parser = _add(
        commands, "run", _run, "run a notebook at a preset, or a whole sweep; skips what is done",
        "iv run 10 quick", "iv run 30 tiny -p train_csv=mine/train.csv -p test_csv=mine/test.csv",
        "iv run 12 tiny -p masked_encoder=10/tiny:seed=1 -p seed=1", "iv run 30 sweep_seeds --dry", status=EXIT_OF_RUN,
    )  # fmt: skip
    parser.add_argument("notebook", help='its number ("10"), name or path')
    parser.add_argument("preset", nargs="?", default="tiny", help="a preset's name or a .yaml file (tiny)")
    parser.add_argument(
        "-p", action="append", default=[], metavar="NAME=VALUE", help="a parameter, repeatable: see iv params"
    )
    parser.add_argument(
        "--box", action="store_true", help="use the models of the box for missing runs of encoders: see iv box"
    )
    parser.add_argument("--force", action="store_true", help="start again, even if the run is done")
    parser.add_argument("--dry", action="store_true", help="show what would run, and run nothing")
    parser.add_argument("--only", metavar="HASH", help="only the run of a sweep whose folder ends in this hash")
    parser.add_argument("--wait", action="store_true", help="wait if another process is working on the run")
    parser.add_argument("--timeout", metavar="SECONDS", help="give up on a run after this long")


def _add_data(commands) -> None:
    examples = ("iv data shapes", "iv data metaworld --tasks door-open,door-close --episodes 2",
                "iv data hybrid --sources shapes,metaworld --clips shapes=600")  # fmt: skip
    parser = _add(commands, "data", None, "make a dataset: the hybrid of all sources, or one of them", *examples)
    sets = parser.add_subparsers(title="datasets", required=True, metavar="NAME", help="which one")
    metaworld = _add(sets, "metaworld", _data_metaworld,
                     "50 robot tasks; needs `make sim`; continues after a stop", examples[1])  # fmt: skip
    metaworld.add_argument("--episodes", type=int, default=12, metavar="N", help="episodes per task (12)")
    metaworld.add_argument("--size", type=int, default=64, metavar="PIXELS", help="width and height (64)")
    metaworld.add_argument("--frames", type=int, default=32, metavar="N", help="frames per episode (32)")
    metaworld.add_argument("--seed", type=int, default=0, metavar="N", help="seed of goals and looks (0)")
    metaworld.add_argument("--tasks", metavar="A,B", help="only these, such as door-open,door-close")
    metaworld.add_argument("--out", metavar="FOLDER", help="output folder (a folder in the cache, which is printed)")
    shapes = _add(sets, "shapes", _data_shapes, "the moving shapes of preset tiny", examples[0])
    shapes.add_argument("--size", type=int, default=64, metavar="PIXELS", help="width and height (64)")
    shapes.add_argument("--parts", default="clips", metavar="A,B", help="such as clips,captions,qa (clips)")
    hybrid = _add(sets, "hybrid", _data_hybrid, "clips of different sources, joined; some need `make sim`; "
                  "continues after a stop", examples[2])  # fmt: skip
    hybrid.add_argument("--sources", metavar="A,B", help=f"only these of {', '.join(set_names.OF_HYBRID)}")
    hybrid.add_argument(
        "--clips", metavar="A=N,B=N", help="number of training clips of these sources; others keep theirs"
    )
    hybrid.add_argument("--size", type=int, default=80, metavar="PIXELS", help="width and height (80)")
    mini = _add(sets, "mini", _data_mini, "a dataset of the paper in miniature, laid out as its release", *MINI)
    mini.add_argument("dataset", nargs="?", metavar="NAME", help="such as k400: see --list")
    mini.add_argument("folder", nargs="?", metavar="FOLDER", help="output folder, empty or new")
    mini.add_argument("--list", action="store_true", help="the names, with task and files")
    rendered = [_add_rendered(sets, name) for name in set_names.RENDERED]
    for dataset in (metaworld, shapes, hybrid, *rendered):
        dataset.add_argument("--workers", type=_count, metavar="N", help="processes (one per core)")


def _add_rendered(sets, name: str):
    dataset = _add(sets, name, _data_rendered, f"the source {name} alone; continues after a stop", f"iv data {name}")  # fmt: skip
    dataset.set_defaults(source=name)
    dataset.add_argument(
        "--size", type=int, metavar="PIXELS", help="width and height (by default as in runs that name the set)"
    )
    return dataset


def _add_check(commands) -> None:
    parser = _add(
        commands, "check", _check, "find videos of a list that training cannot use",
        "iv check mine/train.csv", "iv check mine/train.csv --strict -o findings.jsonl --write mine/good.csv",
        status="0 all videos can be used; 1 some cannot; 2 a wrong argument or parameter",
    )  # fmt: skip
    parser.add_argument("list", help="a CSV of `path label`, or a table of captions")
    parser.add_argument(
        "--root", metavar="FOLDER", help="folder that relative paths start from (the list's own folder)"
    )
    parser.add_argument("--workers", type=_count, metavar="N", help="processes (one per core)")
    parser.add_argument("--strict", action="store_true", help="also find damaged pictures that decord conceals")
    parser.add_argument("-o", "--output", metavar="FILE", help="write all findings, one JSON object per line")
    parser.add_argument("--write", metavar="FILE", help="write the list without these videos")


def _count(text: str) -> int:
    """Parses a whole number >= 1. ArgumentTypeError otherwise."""
    if not text.strip().isdecimal() or len(text) > _DIGITS or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text[:20]}: must be a whole number of at least 1")
    return int(text)


# ---- iv run


def _seconds(text: str | None) -> float | None:
    try:
        seconds = math.inf if text is None else float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:  # nan is not
        raise ParameterError(f"--timeout {text}: must be a number of seconds above 0")
    return None if math.isinf(seconds) else seconds


def _run(options) -> int:
    options.timeout = _seconds(options.timeout)
    if options.box:
        _require_box()
    jobs = run.jobs(options.notebook, options.preset, parameters.given(options.p), options.box)
    if options.only:
        jobs = [job for job in jobs if job.digest == options.only]
    if not jobs:
        raise ParameterError(f"--only {options.only}: no run of {options.preset} has this hash; --dry lists the runs")
    if options.dry:
        return _dry(jobs)
    signal.signal(
        signal.SIGUSR1, signal.SIG_IGN
    )  # SIGUSR1 asks a run for a checkpoint; between two runs there is nothing to save
    with terminal.optional():
        return _run_all(jobs, options)


def _run_all(jobs: list[run.Job], options) -> int:
    status = 0
    for number, job in enumerate(jobs, 1):
        if len(jobs) > 1 and not distributed.rank():
            print(f"[{number}/{len(jobs)}] {_changed(job, jobs)}", flush=True)
        try:
            failed = _run_one(job, options)
        except run.StoppedWhenDone as stop:
            return status if stop.folder == jobs[-1].folder else stop.failure.status
        # Stopping one run, or one of its ranks, stops the whole sweep.
        if failed in (130, 143) or (failed and distributed.world() > 1):
            return failed
        status = status or failed
    return status


def _run_one(job: run.Job, options) -> int:
    try:
        run.execute(job, force=options.force, timeout=options.timeout, wait=options.wait)
    except run.RunFailed as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.failure.status
    except OSError as error:
        return _refused(error)
    return 0


def _changed(job: run.Job, jobs: list[run.Job]) -> str:
    """Parameters in which this run differs from the others of its sweep: "mask_ratio=0.9 seed=1"."""
    names = [name for name in job.values if len({repr(other.values[name]) for other in jobs}) > 1]
    return " ".join(f"{name}={job.values[name]}" for name in names) or job.label


def _dry(jobs: list[run.Job]) -> int:
    rows = [(_changed(job, jobs), provenance.state(job.folder) or "new", paths.short(job.folder)) for job in jobs]
    print(_table(rows, "run", "state", "folder"))
    return 0


def _table(rows: list[tuple], *headers: str) -> str:
    from tabulate import tabulate

    return tabulate(rows, headers=headers, disable_numparse=True)


# ---- the other commands


@resolving_once()
def _list(options) -> None:
    for path in [notebook.find(options.notebook)] if options.notebook else notebook.every():
        try:
            title, claim, presets = notebook.title(path), notebook.claim(path), Spec.of(path).presets()
        except ParameterError as error:
            print(f"{path.stem}: {error}")
            continue
        print(f"{path.stem}: {title}")
        if claim:
            print(textwrap.indent(textwrap.fill(claim, 116), "    "))
        width = max((12, *map(len, presets)))
        for preset in presets:
            state, folder = contents.standing(path, preset)
            print(f"    {preset:<{width}} " + (f"{state:<8} {paths.short(folder)}" if folder else state))
        if others := Counter(_states_of_others(path, presets)):
            counts = ", ".join(f"{count} {state}" for state, count in sorted(others.items()))
            print(f"    {'others:':<{width}} {counts}")


def _states_of_others(path, presets: list[str]) -> list[str]:
    """States of the runs that are not a preset's."""
    folders = filter(run_folder.is_one, (paths.outputs() / path.stem).glob("*"))
    return [provenance.state(folder) for folder in folders if run_folder.label_of(folder) not in presets]


def _params(options) -> None:
    spec = Spec.of(options.notebook)
    values = spec.expand(options.preset)[0]
    allowed = {name: p.constraint.text if p.constraint else "" for name, p in spec.parameters.items()}
    rows = [(n, p.type, repr(values[n]), allowed[n], p.description) for n, p in spec.parameters.items()]
    header, rule, *lines = _table(rows, "name", "type", options.preset, "allowed", "what it is").splitlines()
    print(header, rule, sep="\n")
    group = ""
    for line, each in zip(lines, spec.parameters.values()):
        if each.group != group:
            group = each.group
            print(f"\n-- {group}")
        print(line)


def _graph(options) -> None:
    from ivcore.run import graph

    print(_table(graph.table(graph.collect(graph.lines(options.name))), "run", "needs", "state", "folder"))


def _report(options) -> None:
    from ivcore.run import report

    print(paths.short(report.write(options.output)))


def _board(options) -> None:
    from ivcore.run import board

    board.show(options.notebook, options.all)


def _models(options) -> None:
    from ivcore import costs

    chosen = [name for name in costs.names() if (options.name or "").lower() in name.lower()]
    if not chosen:
        print("\n".join(costs.names()), flush=True)
        raise UserError(f"no model has {options.name!r} in its name; the names are listed above")
    print(costs.table(list(costs.cards(chosen))))


def _box(options) -> None:
    from ivcore.weights import box

    print(box.text(box.card()))


def _require_box() -> None:
    from ivcore.weights import box

    if not box.names():
        raise ParameterError(f"--box: {box.NONE}, {box.folder()} is empty")


def _data_metaworld(options) -> None:
    from ivcore.data import metaworld

    fields = {field: getattr(options, field) for field in ("episodes", "size", "frames", "seed")}
    if options.tasks is not None:
        fields["tasks"] = tuple(name.strip() for name in options.tasks.split(","))
    config = metaworld.MetaWorld(**fields)
    folder = metaworld.build(config, workers=options.workers, folder=options.out)
    print("  ".join(f"{name} {value}" for name, value in metaworld.summary(config, folder).items()))
    print(paths.short(folder))


def _data_shapes(options) -> None:
    from ivcore.data import shapes

    parts = tuple(name.strip() for name in options.parts.split(","))
    folder = shapes.build(shapes.Shapes(size=options.size, parts=parts), workers=options.workers)
    print(paths.short(folder))


def _data_hybrid(options) -> None:
    from ivcore.data import hybrid

    sources = [name.strip() for name in (options.sources or "").split(",") if name.strip()]
    config = hybrid.Hybrid(sources, _numbers("--clips", options.clips), size=options.size)
    folder = hybrid.build(config, workers=options.workers)
    headers = "source", "train", "val", "test", "classes", "needs"
    print(_table(hybrid.table(hybrid.parts(config)), *headers))
    print(paths.short(folder))


def _data_mini(options) -> None:
    from ivcore.data import mini

    if options.list:
        print(_table(mini.listing(), "name", "task", "files"))
        return
    if not options.dataset or not options.folder:
        raise ParameterError("iv data mini: expected NAME and FOLDER, or --list")
    print(paths.short(mini.write(options.dataset, options.folder)))


def _numbers(option: str, text: str | None) -> dict[str, int]:
    """ "shapes=600,creatures=900" -> {name: number}. ParameterError for other text, or a name given twice."""
    pairs = [pair.partition("=") for pair in (text or "").split(",") if pair.strip()]
    if wrong := ["".join(p) for p in pairs if not p[2].strip().isdecimal() or len(p[2]) > _DIGITS]:
        raise ParameterError(f"{option} {shown(wrong[0])}: expected NAME=NUMBER, of at most {_DIGITS} digits")
    numbers = {name.strip(): int(number) for name, _, number in pairs}
    if len(numbers) < len(pairs):
        raise ParameterError(f"{option} {shown(text)}: give one number for each name")
    return numbers


def _data_rendered(options) -> None:
    from ivcore.data import embedded, rendered

    source = embedded.source(options.source)
    fields = {} if options.size is None else {"size": options.size}
    folder = rendered.build(source, rendered.configure(source, **fields), workers=options.workers)
    print(paths.short(folder))


def _check(options) -> int:
    from ivcore.data import check

    with open(options.output or os.devnull, "w", encoding="utf-8") as file:
        note = functools.partial(check.write_finding, file)
        result = check.check(options.list, options.root, found=note, workers=options.workers, strict=options.strict)
    print("\n".join(result.lines()))
    if options.write:
        check.write_list(options.write, result, options.root)
        print(f"{len(result.good())} lines in {options.write}")
    return 1 if result.findings else 0


def _doctor(options) -> None:
    from ivcore.run import doctor

    doctor.show()


if __name__ == "__main__":
    sys.exit(main())
