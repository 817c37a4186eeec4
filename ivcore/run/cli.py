"""The `iv` command: run, list, params, graph, board, report, models, data, check, doctor.

EXIT says what the exit status of a run means; of other commands it is 0, 1 or 2.
"""

import argparse
import functools
import math
import os
import sys
import textwrap

from ivcore import distributed, paths
from ivcore.errors import ParameterError, UserError
from ivcore.run import execute as run
from ivcore.run import failure, notebook, provenance, terminal
from ivcore.run import folder as run_folder
from ivcore.run.spec import Spec

EXIT = (
    "exit status: 0 done, now or already; 1 a cell failed, the notebook did not finish, or a disk cannot be written; 2 a mistake in "
    "what was asked for; 124 --timeout; 130 Ctrl-C; 143 SIGTERM; 137 the kernel was killed (128 and the signal's number)"
)


def main(arguments: list[str] | None = None) -> int:
    terminal.prepare()
    options = _parser().parse_args(arguments)
    try:
        status = options.command(options) or 0
        sys.stdout.flush()
    except UserError as error:
        print(f"iv: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ivcore"):
            raise
        print(f"iv: {error.name} is not installed: pip install 'ivcore[run]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("iv: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `iv list | head`
        terminal.silence(sys.stdout)
        return 0
    except OSError as error:
        terminal.silence(sys.stdout)  # it may be what cannot be written
        return _refused(error)
    return status


def _refused(error: OSError) -> int:
    """The system does not let us read or write: one line with the path."""
    told = failure.from_system(error)
    print(f"iv: {told.lines()[0]}", file=sys.stderr)
    return told.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="iv", description="The InternVideo workbook from the command line.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    listing = commands.add_parser(
        "list", help="notebooks, what they claim, their presets and the state of each run"
    )
    listing.set_defaults(command=_list)
    shown = commands.add_parser("params", help="the parameters of a notebook and what they may be")
    shown.add_argument("notebook")
    shown.add_argument("preset", nargs="?", default="tiny")
    shown.set_defaults(command=_params)
    graph = commands.add_parser("graph", help="what `make recipe` or another graph of runs consists of")
    graph.add_argument("name", nargs="?", default="recipe", help="a graph of workflow/stages.yaml (recipe)")
    graph.set_defaults(command=_graph)
    board = commands.add_parser("board", help="the leaderboard of all finished runs, also as .md and .csv")
    board.add_argument("notebook", nargs="?")
    board.add_argument("--all", action="store_true", help="every metric, and every run without a result")
    board.set_defaults(command=_board)
    report = commands.add_parser("report", help="all finished runs as one HTML page, figures included")
    report.add_argument("-o", "--output", metavar="FILE", help="where to write (outputs/report/index.html)")
    report.set_defaults(command=_report)
    models = commands.add_parser(
        "models", help="every published size: parameters, tokens, operations, memory"
    )
    models.add_argument("name", nargs="?", help="only models whose name contains this")
    models.set_defaults(command=_models)
    _add_data(commands)
    _add_check(commands)
    doctor = commands.add_parser(
        "doctor", help="what is installed and usable here, and what to type for the rest"
    )
    doctor.set_defaults(command=_doctor)
    return parser


def _add_run(commands) -> None:
    parser = commands.add_parser(
        "run", help="run a notebook at a preset, or a whole sweep; skips what is done", epilog=EXIT
    )
    parser.add_argument("notebook", help='its number ("10"), name or path')
    parser.add_argument("preset", nargs="?", default="tiny", help="a preset's name or a .yaml file (tiny)")
    parser.add_argument(
        "-p", action="append", default=[], metavar="NAME=VALUE", help="a parameter, repeatable"
    )
    parser.add_argument("--force", action="store_true", help="begin afresh, also where the run is done")
    parser.add_argument("--dry", action="store_true", help="show what would run, and run nothing")
    parser.add_argument("--only", metavar="HASH", help="of a sweep the run whose folder ends in this")
    parser.add_argument(
        "--wait", action="store_true", help="wait where another process is at work on the run"
    )
    parser.add_argument("--timeout", metavar="SECONDS", help="give up on a run after this long")
    parser.set_defaults(command=_run)


def _add_data(commands) -> None:
    parser = commands.add_parser("data", help="make a dataset: Meta-World rendered, or the moving shapes")
    sets = parser.add_subparsers(title="datasets", required=True, metavar="NAME")
    metaworld = sets.add_parser(
        "metaworld", help="50 robot tasks; needs `make sim`; goes on where it was stopped"
    )
    metaworld.add_argument("--episodes", type=int, default=12, metavar="N", help="of each task (12)")
    metaworld.add_argument("--size", type=int, default=64, metavar="PIXELS", help="width and height (64)")
    metaworld.add_argument("--frames", type=int, default=32, metavar="N", help="of each episode (32)")
    metaworld.add_argument("--seed", type=int, default=0, metavar="N", help="of goals and looks (0)")
    metaworld.add_argument("--tasks", metavar="A,B", help="only these, such as door-open,door-close")
    metaworld.set_defaults(command=_data_metaworld)
    shapes = sets.add_parser("shapes", help="the moving shapes of preset tiny")
    shapes.add_argument("--size", type=int, default=64, metavar="PIXELS", help="width and height (64)")
    shapes.add_argument("--parts", default="clips", metavar="A,B", help="such as clips,captions,qa (clips)")
    shapes.set_defaults(command=_data_shapes)
    for each in (metaworld, shapes):
        each.add_argument("--workers", type=int, metavar="N", help="processes (one for each core)")
    metaworld.add_argument(
        "--out", metavar="FOLDER", help="where to (a folder in the cache, which is printed)"
    )


def _add_check(commands) -> None:
    parser = commands.add_parser(
        "check", help="what training would meet in a list of videos; status 1 if anything"
    )
    parser.add_argument("list", help="a CSV of `path label`, or a table of captions")
    parser.add_argument("--root", metavar="FOLDER", help="where relative paths start (the list's own folder)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (one for each core)")
    parser.add_argument(
        "--strict", action="store_true", help="also find damaged pictures that decord conceals"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="all findings, one JSON object a line")
    parser.add_argument("--write", metavar="FILE", help="the list without what cannot be trained on")
    parser.set_defaults(command=_check)


def _overrides(given: list[str]) -> dict[str, str]:
    overrides = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ParameterError(f"-p {text}: expected NAME=VALUE")
        overrides[name.strip()] = value
    return overrides


def _seconds(text: str | None) -> float | None:
    try:
        seconds = math.inf if text is None else float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:  # nan is not
        raise ParameterError(f"--timeout {text}: expected seconds above 0")
    return None if math.isinf(seconds) else seconds


def _run(options) -> int:
    options.timeout = _seconds(options.timeout)
    jobs = run.jobs(options.notebook, options.preset, _overrides(options.p))
    if options.only:
        jobs = [job for job in jobs if job.digest == options.only]
    if not jobs:
        raise ParameterError(f"--only {options.only}: no run of {options.preset} has this hash, see --dry")
    if options.dry:
        return _dry(jobs)
    with terminal.optional():
        return _run_all(jobs, options)


def _run_all(jobs: list[run.Job], options) -> int:
    status = 0
    for number, job in enumerate(jobs, 1):
        if len(jobs) > 1 and not distributed.rank():
            print(f"[{number}/{len(jobs)}] {_changed(job, jobs)}", flush=True)
        try:
            failed = _run_one(job, options)
        except run.StoppedWhenDone as told:
            return status if told.folder == jobs[-1].folder else told.failure.status
        if failed in (130, 143) or (
            failed and distributed.world() > 1
        ):  # whoever stops this one means all of them
            return failed
        status = status or failed
    return status


def _run_one(job: run.Job, options) -> int:
    try:
        run.execute(job, force=options.force, timeout=options.timeout, wait=options.wait)
    except run.RunFailed as error:
        for line in error.lines():
            print(line, file=sys.stderr)
        return error.failure.status
    except OSError as error:
        return _refused(error)
    return 0


def _changed(job: run.Job, jobs: list[run.Job]) -> str:
    """What tells this run of a sweep from the others: "mask_ratio=0.9 seed=1"."""
    names = [name for name in job.values if len({repr(other.values[name]) for other in jobs}) > 1]
    return " ".join(f"{name}={job.values[name]}" for name in names) or job.label


def _dry(jobs: list[run.Job]) -> int:
    from tabulate import tabulate

    rows = [
        (_changed(job, jobs), provenance.state(job.folder) or "new", paths.short(job.folder)) for job in jobs
    ]
    print(tabulate(rows, headers=("run", "state", "folder")))
    return 0


def _list(options) -> None:
    for path in notebook.every():
        try:
            title, claim = notebook.title(path), notebook.claim(path)
        except ParameterError as error:
            print(f"{path.stem}: {error}")
            continue
        print(f"{path.stem}: {title}")
        if claim:
            print(textwrap.indent(textwrap.fill(claim, 116), "    "))
        presets = Spec.of(path).presets()
        width = max((12, *map(len, presets)))
        for preset in presets:
            print(f"    {preset:<{width}} {_state_of_preset(path, preset)}")
        _list_others(path)


def _state_of_preset(path, preset: str) -> str:
    try:
        jobs = run.jobs(path, preset)
    except UserError as error:
        return f"not here: {error}"
    states = [provenance.state(job.folder) for job in jobs]
    if len(jobs) == 1:
        return f"{states[0]:<8} {paths.short(jobs[0].folder)}" if states[0] else "-"
    return f"{states.count('done')} of {len(jobs)} done"


def _list_others(path) -> None:
    """Runs with parameters of their own, counted by state."""
    named = set(Spec.of(path).presets())
    folders = [each for each in sorted((paths.outputs() / path.stem).glob("*")) if run_folder.is_one(each)]
    states = [provenance.state(each) for each in folders if run_folder.label_of(each) not in named]
    if states:
        print("    others:      " + ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states))))


def _params(options) -> None:
    from tabulate import tabulate

    spec = Spec.of(options.notebook)
    known, values = spec.parameters, spec.expand(options.preset)[0]
    allowed = {name: each.constraint.text if each.constraint else "" for name, each in known.items()}
    rows = [(n, p.type, repr(values[n]), allowed[n], p.description) for n, p in known.items()]
    print(
        tabulate(
            rows, headers=("name", "type", options.preset, "allowed", "what it is"), disable_numparse=True
        )
    )


def _graph(options) -> None:
    from tabulate import tabulate

    from ivcore.run import graph

    rows = graph.table(graph.collect(graph.lines(options.name)))
    print(tabulate(rows, headers=("run", "needs", "state", "folder"), disable_numparse=True))


def _report(options) -> None:
    from ivcore.run import report

    print(paths.short(report.write(options.output)))


def _board(options) -> None:
    from ivcore.run import board

    board.show(options.notebook, options.all)


def _models(options) -> None:
    from ivcore import costs

    wanted = [name for name in costs.names() if (options.name or "").lower() in name.lower()]
    if not wanted:
        print("\n".join(costs.names()), flush=True)
        raise UserError(f"no model has {options.name!r} in its name; the names are listed above")
    print(costs.table(list(costs.cards(wanted))))


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


def _check(options) -> int:
    from ivcore.data import check

    if options.workers is not None and options.workers < 1:
        raise ParameterError(f"--workers {options.workers}: must be at least 1")
    with open(options.output or os.devnull, "w", encoding="utf-8") as file:
        note = functools.partial(check.write_finding, file)
        found = check.check(
            options.list, options.root, found=note, workers=options.workers, strict=options.strict
        )
    print("\n".join(found.lines()))
    if options.write:
        check.write_list(options.write, found, options.root)
        print(f"{len(found.good())} lines in {options.write}")
    return 1 if found.findings else 0


def _doctor(options) -> None:
    from ivcore.run import doctor

    doctor.show()


if __name__ == "__main__":
    sys.exit(main())
