"""The leaderboard: every finished run's metrics beside its parameters, mean ± std over seeds, and where its data came from.

Results on the generated shapes say so in a column of their own, so that none is read as a result on Kinetics. What a notebook is about
(its headline, see Run.finish) comes first. A folder that does not read is passed over and listed with the unfinished.
"""

import csv
import io
import json
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ivcore import files as atomic
from ivcore import paths
from ivcore.errors import ParameterError, UserError
from ivcore.run import folder as run_folder
from ivcore.run import notebook, provenance
from ivcore.run.parameters import Parameter, of_result
from ivcore.run.session import RESERVED
from ivcore.run.spec import Spec, brief

SHAPES = "moving shapes (generated)"
_NOT_METRICS = (*RESERVED, "data")
_NAMED = 4  # parameters in the name of a run
_LATEST = 5  # runs without a result that are listed on a terminal
_WIDEST = 36  # characters of a run's name before it is broken


@dataclass(frozen=True)
class Row:
    """One finished run. `changed` are the parameters in which it differs from its preset, seed apart."""

    folder: Path
    params: dict
    metrics: dict
    data: str
    changed: dict

    @property
    def notebook(self) -> str:
        return self.folder.parent.name

    @property
    def name(self) -> str:
        """ "tiny, num_labels=500": what people would type to get it."""
        return _name(self.folder, self.changed)

    @property
    def settings(self) -> dict:
        """The parameters that the result depends on."""
        return of_result(self.params)

    @property
    def group(self) -> str:
        """Runs of one group differ, with all that led to them, in nothing but seeds."""
        return json.dumps([self.notebook, apart_from_seeds(self.params)], sort_keys=True)


def _preset(folder: Path) -> str:
    return run_folder.label_of(folder).rstrip("+")


def _name(folder: Path, changed: dict, shown: Callable = brief) -> str:
    named = [f"{name}={shown(value)}" for name, value in changed.items()]
    more = [f"and {len(named) - _NAMED} more"] if len(named) > _NAMED + 1 else []
    return ", ".join([_preset(folder), *(named[:_NAMED] if more else named), *more])


def folders(reference=None) -> list[Path]:
    """All run folders, or those of one notebook, also of notebooks that have gone since."""
    pattern = notebook.find(reference).stem if reference else "*"
    return sorted(folder for folder in paths.outputs().glob(f"{pattern}/*") if run_folder.is_one(folder))


def rows(reference=None) -> list[Row]:
    base, known = cache(_base), cache(_known)  # of a notebook and its presets, which many runs share
    found = [_row(folder, base, known) for folder in folders(reference) if run_folder.is_done(folder)]
    return [row for row in found if row]


def _row(folder: Path, base: Callable, known: Callable) -> Row | None:
    if (values := _params(folder)) is None:
        return None
    metrics = run_folder.read_metrics(folder) or {}
    if not isinstance(metrics.get("wall_seconds", 0), int | float):  # somebody else wrote it
        del metrics["wall_seconds"]
    data = _data(values, metrics, known(folder.parent.name))
    return Row(folder, values, metrics, data, _changed(folder, values, base))


def _params(folder: Path) -> dict | None:
    try:
        return run_folder.read_params(folder)
    except UserError:
        return None


def _known(stem: str) -> dict[str, Parameter]:
    try:
        return Spec.of(stem).parameters
    except ParameterError:  # a notebook that was renamed or removed; its results stay
        return {}


def _data(values: dict, metrics: dict, known: dict) -> str:
    """Where the data came from: what the notebook says, else its file and folder parameters, else its `data`."""
    if "data" in metrics:
        return str(metrics["data"])
    sources = [n for n, p in known.items() if p.names_file]
    given = [str(values[name]) for name in sources if values.get(name)]
    if given:
        return given[0]
    named = values.get("data") or values.get("dataset")
    return SHAPES if named == "shapes" or (sources and not named) else str(named or "")


def _changed(folder: Path, values: dict, base: Callable) -> dict:
    """Parameters that differ from what `base`, see `_base`, has for the run's preset, seed apart."""
    preset = base(folder.parent.name, _preset(folder))
    kept = of_result(values)
    return {
        name: value for name, value in kept.items() if name != "seed" and preset.get(name, value) != value
    }


def _base(stem: str, preset: str) -> dict:
    """As `Spec.base`; {} where the notebook has gone."""
    try:
        return Spec.of(stem).base(preset)
    except ParameterError:
        return {}


def apart_from_seeds(values: dict) -> dict:
    """Parameters of a run without its seed and folder, and with the runs that it starts from described in the same way.

    So two runs have the same of it where they, and all that led to them, differ in nothing but seeds.
    """
    return {n: _origin(value) for n, value in of_result(values).items() if n != "seed"}


def _origin(value):
    folder = paths.resolve(value) if isinstance(value, str) and "/" in value else None
    if folder is None or not run_folder.is_one(folder):
        return value
    try:
        return {"notebook": folder.parent.name} | apart_from_seeds(run_folder.read_params(folder))
    except UserError:  # a damaged folder is told from others by its name
        return value


def grouped(found: Iterable[Row]) -> list[list[Row]]:
    """Rows that differ in nothing but seeds, together."""
    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(row.group, []).append(row)
    return list(groups.values())


def aggregate(found: Iterable[Row]) -> list[dict]:
    """One line per group of runs: run, data, seeds, then each metric as a number, "mean ± std" over several seeds.

    All lines have the same columns in the same order: the headline of their notebook first.
    """
    groups = grouped(found)
    columns = metric_names(row for group in groups for row in group)
    named = [name + _stale(group) for group, name in zip(groups, _names(groups))]
    return [_line(group, name, columns) for group, name in zip(groups, named)]


def _stale(group: list[Row]) -> str:
    """A result of lists or encoders that have changed since is not what a run would give today."""
    return " (stale)" if any(provenance.changes(row.folder) for row in group) else ""


def _names(groups: list[list[Row]]) -> list[str]:
    """What tells the groups apart: the parameters that are not the preset's; those in which the groups differ come first.

    Where two would still be called the same, their values are spelled out, and all that differs is said.
    """
    shortest = [
        min(group, key=lambda row: len(row.name)) for group in groups
    ]  # "tiny", not the sweep that repeats it
    differing = _differing(shortest)
    named = [_name(row.folder, _first(row.changed, differing)) for row in shortest]
    same = {name for name, count in Counter(named).items() if count > 1}
    for name in same:
        alike = [i for i, each in enumerate(named) if each == name]
        apart = _differing([shortest[i] for i in alike])
        for i in alike:
            row = shortest[i]
            named[i] = _name(
                row.folder,
                {n: row.params[n] for n in dict.fromkeys([*apart, *row.changed]) if n in row.params},
                _in_full,
            )
    return named


def _differing(found: list[Row]) -> list[str]:
    """Parameters that have several values among the rows."""
    every = dict.fromkeys(name for row in found for name in of_result(row.params) if name != "seed")
    return [name for name in every if len({repr(row.params.get(name)) for row in found}) > 1]


def _first(changed: dict, names: list[str]) -> dict:
    return {n: changed[n] for n in sorted(changed, key=lambda n: n not in names)}


def _in_full(value) -> str:
    """A run by its folder's name, which no other has, a path from its beginning."""
    short, path = brief(value), Path(str(value))
    return (
        short
        if short == str(value)
        else str(value)
        if "." in path.name
        else f"{path.parent.name.split('_')[0]}/{path.name}"
    )


def _line(group: list[Row], name: str, columns: list[str]) -> dict:
    line = {"run": name, "data": group[0].data, "seeds": len(group)}
    for column in columns:
        if values := [row.metrics[column] for row in group if column in row.metrics]:
            line[column] = _summary(values)
    seconds = [row.metrics.get("wall_seconds", 0) for row in group]
    return line | {"time": _time(statistics.mean(seconds))}


def _time(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def metric_names(found: Iterable[Row]) -> list[str]:
    """Of the metrics that the rows have, those of a headline first."""
    found = list(found)
    every = dict.fromkeys(n for row in found for n in row.metrics if n not in _NOT_METRICS)
    return list(dict.fromkeys([*headline(found), *every]))


def headline(found: Iterable[Row]) -> list[str]:
    """The metrics that the rows' notebooks are about, as they say; [] where none does."""
    given = [row.metrics.get("headline") for row in found]
    return list(dict.fromkeys(str(name) for names in given if isinstance(names, list) for name in names))


def _summary(values: list) -> str:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return ", ".join(dict.fromkeys(str(value) for value in values))
    mean = statistics.mean(values)
    return f"{mean:.4g} ± {statistics.stdev(values):.2g}" if len(values) > 1 else f"{mean:.4g}"


def unfinished(reference=None) -> list[dict]:
    """Runs without a result, and why: those whose files do not read, then the latest first."""
    read = [(folder, _params(folder)) for folder in folders(reference)]
    found = [(folder, values) for folder, values in read if values is None or not run_folder.is_done(folder)]
    found.sort(key=lambda each: (each[1] is not None, -each[0].stat().st_mtime))
    return [_unfinished(folder, values) for folder, values in found]


def _unfinished(folder: Path, values: dict | None) -> dict:
    name = folder.name if values is None else _name(folder, _changed(folder, values, _base))
    state = "damaged" if values is None else run_folder.state(folder)
    return {"notebook": folder.parent.name, "run": name, "state": state, "why": _why(folder, values)}


def _why(folder: Path, values: dict | None) -> str:
    file = "params.yaml" if values is None else "metrics.json"
    if (folder / file).exists():
        return f"{paths.short(folder / file)} does not read"
    why = run_folder.why(folder)
    return why if len(why) < 70 else why[:69] + "…"


def tables(
    reference=None,
    style: str = "simple",
    width: int | None = None,
    found: list[Row] | None = None,
    every: bool = False,
) -> str:
    """The leaderboard as text, one table a notebook; style is tabulate's ("simple", "github"). found: the rows, where they have been read.

    width: characters of a line, into which as many metrics are put as go there, the headline first; None puts all. `every`: all of
    them all the same, one below the other.
    """
    from tabulate import tabulate

    found = rows(reference) if found is None else found
    parts = []
    for stem in dict.fromkeys(row.notebook for row in found):
        mine = [row for row in found if row.notebook == stem]
        table = _upright(mine, style, width) if every and width else _table(mine, style, width)
        parts.append(_heading(stem, style) + table)
    waiting = unfinished(reference)
    if waiting:
        listed = waiting[:_LATEST] if width and not every else waiting
        more = (
            f"\n… and {len(waiting) - len(listed)} older: iv board --all"
            if len(listed) < len(waiting)
            else ""
        )
        rest = tabulate(listed, headers="keys", tablefmt=style)
        parts.append(_heading("without a result", style) + rest + more)
    return "\n\n".join(parts) or _none_yet(reference)


def _table(found: list[Row], style: str, width: int | None) -> str:
    """With a width as many metrics as have room, at least one; the rest is told of."""
    lines, names = aggregate(found), metric_names(found)
    if width is None:
        return _printed(lines, names, style)
    count = len(headline(found)) or len(names)
    text = _printed(lines, names[:count], style, _WIDEST)
    while count > 1 and max(map(len, text.splitlines())) > width:
        count -= 1
        text = _printed(lines, names[:count], style, _WIDEST)
    left = len(names) - count
    number = found[0].notebook.split("_")[0]
    return text + (f"\n… and {left} more metrics: iv board {number} --all" if left else "")


def _upright(found: list[Row], style: str, width: int) -> str:
    """A line a metric and a column a run, as many runs beside each other as go there."""
    from tabulate import tabulate

    lines = aggregate(found)
    names = [*metric_names(found), "data", "seeds", "time"]
    side = max(map(len, names)) + 2
    beside = max(1, (width - side) // (_WIDEST + 2))
    blocks = [lines[i : i + beside] for i in range(0, len(lines), beside)]
    tables = [
        tabulate(
            [[name, *(line.get(name, "") for line in block)] for name in names],
            headers=["metric", *(line["run"] for line in block)],
            tablefmt=style,
            disable_numparse=True,
            maxheadercolwidths=_WIDEST,
            maxcolwidths=_WIDEST,
        )
        for block in blocks
    ]
    return "\n\n".join(tables)


def _printed(lines: list[dict], names: list[str], style: str, widest: int | None = None) -> str:
    from tabulate import tabulate

    shown = [{n: line.get(n, "") for n in ("run", *names, "data", "seeds", "time")} for line in lines]
    widths = {"maxcolwidths": [widest]} if widest else {}
    return tabulate(shown, headers="keys", tablefmt=style, disable_numparse=True, **widths)


def _heading(text: str, style: str) -> str:
    return f"## {text}\n\n" if style == "github" else f"{text}\n"


def write(reference=None, found: list[Row] | None = None) -> tuple[Path, Path]:
    """outputs/leaderboard.md (the tables, all metrics) and .csv (a line a run, parameters and metrics in columns)."""
    found = rows(reference) if found is None else found
    folder = paths.outputs()
    folder.mkdir(parents=True, exist_ok=True)
    text, sheet = folder / "leaderboard.md", folder / "leaderboard.csv"
    atomic.write_text(text, f"# Leaderboard\n\n{tables(reference, 'github', None, found)}\n")
    atomic.write_text(sheet, _sheet(found))
    return text, sheet


def _none_yet(reference) -> str:
    return f"no runs yet: iv run {notebook.number(notebook.find(reference)) if reference else 10} tiny"


def _sheet(found: list[Row]) -> str:
    """As CSV: what a run is, its metrics, headlines first, and its parameters."""
    lines = [_flat(row) for row in found]
    head = ["notebook", "run", "data", *metric_names(found)]
    columns = list(dict.fromkeys([*head, *(name for line in lines for name in line)]))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _flat(row: Row) -> dict:
    head = {"notebook": row.notebook, "run": row.folder.name, "data": row.data}
    left_out = ("notebook", "data", "headline")
    metrics = {name: value for name, value in row.metrics.items() if name not in left_out}
    return head | metrics | {f"param.{name}": value for name, value in row.params.items()}


def show(reference=None, every: bool = False) -> None:
    """Prints the leaderboard, with `every` all metrics, and writes both files."""
    found = rows(reference)
    width = shutil.get_terminal_size((120, 50)).columns
    print(tables(reference, width=width, found=found, every=every))
    try:
        text, sheet = write(found=None if reference else found)
    except OSError as error:  # a read-only disk: the table has been shown
        print(f"iv: not written to {paths.short(paths.outputs())}: {error.strerror}", file=sys.stderr)
    else:
        print(f"\n{paths.short(text)}  {paths.short(sheet)}")
