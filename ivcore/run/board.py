"""The leaderboard: metrics and parameters of every finished run, mean ± std over seeds, and the source of its data.

A separate column marks results on the generated shapes, so that nobody takes them for results on Kinetics. The headline
metrics of a notebook (see Run.finish) come first. A folder that cannot be read is listed with the unfinished runs.
"""

import csv
import io
import json
import os
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from ivcore import files, paths
from ivcore.data.set_names import names_set
from ivcore.errors import ParameterError, UserError
from ivcore.run import folder as run_folder
from ivcore.run import notebook, provenance
from ivcore.run.parameters import of_result
from ivcore.run.session import RESERVED
from ivcore.run.spec import Spec, brief, resolving_once

SHAPES = "moving shapes (generated)"
SEEDS = ("seed", "split")  # runs of one group may differ in these: HMDB51 is reported as the mean of its three splits
_NOT_METRICS = (*RESERVED, "data")
_NAMED = 4  # parameters in the name of a run
_LATEST = 5  # runs without a result that are listed on a terminal
_COLUMN = 36  # characters of a run's column with --all, before its name is wrapped
_SHORT = 30  # characters of a run's name or data source that are shown before a further metric gets room
_NARROW, _NARROWEST = 20, 12  # the same on a narrow terminal, and on any terminal
_ALWAYS = 2  # metrics that are shown on any terminal


@dataclass(frozen=True)
class Row:
    """One finished run. `changed`: parameters that differ from its preset, SEEDS excluded."""

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
        """Preset and changed parameters: "tiny, num_labels=500"."""
        return _name(self.folder, self.changed)

    @property
    def settings(self) -> dict:
        """The parameters that the result depends on."""
        return of_result(self.params)

    @property
    def group(self) -> str:
        """Key of the run's group. Runs of a group, and their upstream runs, differ only in seeds."""
        return json.dumps([self.notebook, apart_from_seeds(self.params)], sort_keys=True)


# ---- all runs


def folders(reference=None) -> list[Path]:
    """All run folders, or those of one notebook; also those of deleted notebooks."""
    pattern = notebook.find(reference).stem if reference else "*"
    return sorted(folder for folder in paths.outputs().glob(f"{pattern}/*") if run_folder.is_one(folder))


@resolving_once()
def rows(reference=None) -> list[Row]:
    """The finished runs with readable files."""
    finished = [(folder, run_folder.read_metrics(folder), _params(folder)) for folder in folders(reference)]
    return [
        _row(folder, metrics, values)
        for folder, metrics, values in finished
        if metrics is not None and values is not None
    ]


def _row(folder: Path, metrics: dict, values: dict) -> Row:
    if not isinstance(metrics.get("wall_seconds", 0), int | float):  # not written by a run
        del metrics["wall_seconds"]
    return Row(folder, values, metrics, _data(folder, values, metrics), _changed(folder, values))


def _params(folder: Path) -> dict | None:
    try:
        return run_folder.read_params(folder)
    except UserError:
        return None


def _spec(folder: Path) -> Spec | None:
    try:
        return Spec.of(folder.parent.name)
    except ParameterError:  # a notebook that was renamed or removed; its results stay
        return None


def _data(folder: Path, values: dict, metrics: dict) -> str:
    """Source of the data: the user's first list or folder, else what the notebook says, else its parameter `data`."""
    spec = _spec(folder)
    sources = [name for name, each in spec.parameters.items() if each.names_file] if spec else []
    given = [str(values[name]) for name in sources if values.get(name)]
    if given and not names_set(given[0]):
        return given[0]
    source = metrics.get("data") or (given and given[0]) or values.get("data") or values.get("dataset")
    return SHAPES if source in ("shapes", "moving shapes") or (sources and not source) else str(source or "")


def _changed(folder: Path, values: dict) -> dict:
    """Parameters that differ from the run's preset, SEEDS excluded; {} if the notebook does not exist any more."""
    try:
        preset = Spec.of(folder.parent.name).base(_preset(folder))
    except ParameterError:
        return {}
    names = [name for name in of_result(values) if name not in SEEDS and name in preset]
    return {name: values[name] for name in names if identity(values[name]) != identity(preset[name])}


def identity(value):
    """Notebook and hash if the value is a run's folder (outputs may have been moved), else the value."""
    path = Path(value) if isinstance(value, str) and "/" in value else None
    digest = path and run_folder.digest_of(path)
    return (path.parent.name, digest) if digest else value


def _preset(folder: Path) -> str:
    return run_folder.label_of(folder).rstrip("+")


def apart_from_seeds(values: dict) -> dict:
    """Parameters of a run without SEEDS and folder; upstream runs are replaced by their parameters in the same way.

    Two runs get the same value if they and their upstream runs differ only in seeds.
    """
    return {name: _origin(value) for name, value in of_result(values).items() if name not in SEEDS}


def _origin(value):
    folder = paths.resolve(value) if isinstance(value, str) and "/" in value else None
    values = _params(folder) if folder and run_folder.is_one(folder) else None
    if values is None:  # no run, or a damaged one, which its name identifies
        return value
    return {"notebook": folder.parent.name} | apart_from_seeds(values)


def unfinished(reference=None, every: bool = False) -> list[dict]:
    """Runs without a result, and why: first those with unreadable files, then the latest first.

    Without `every`, attempts with changed parameters are left out if a run of the same preset finished later.
    """
    results: dict[tuple, float] = {}
    attempts = []
    for folder in folders(reference):
        values, key = _params(folder), (folder.parent.name, _preset(folder))
        if values is None or not run_folder.is_done(folder):
            attempts.append((values is not None, -folder.stat().st_mtime, folder, values, key))
        else:
            results[key] = max((folder / "metrics.json").stat().st_mtime, results.get(key, 0.0))
    lines = []
    for _, time, folder, values, key in sorted(attempts, key=lambda attempt: attempt[:3]):
        line = _unfinished(folder, values)
        own = run_folder.label_of(folder).endswith("+") or key[1] == "custom"
        outdated = own and line["state"] in ("failed", "part") and results.get(key, 0.0) > -time
        lines += [line] if every or not outdated else []
    return lines


def _unfinished(folder: Path, values: dict | None) -> dict:
    name = folder.name if values is None else _name(folder, _changed(folder, values))
    state = "damaged" if values is None else run_folder.state(folder)
    return {"notebook": folder.parent.name, "run": name, "state": state, "why": _why(folder, values)}


def _why(folder: Path, values: dict | None) -> str:
    file = "params.yaml" if values is None else "metrics.json"
    if (folder / file).exists():
        return f"{paths.short(folder / file)} does not read"
    return _cut(run_folder.why(folder), 70)


# ---- runs that differ only in seeds, as one line


def grouped(runs: Iterable[Row]) -> list[list[Row]]:
    """Groups rows that differ only in seeds."""
    groups: dict[str, list[Row]] = {}
    for row in runs:
        groups.setdefault(row.group, []).append(row)
    return list(groups.values())


def aggregate(runs: Iterable[Row]) -> list[dict]:
    """One line per group of runs: run, data, seeds, then each metric, as "mean ± std" for several seeds.

    All lines have their columns in the same order, headline metrics first.
    """
    groups = grouped(runs)
    columns = metric_names(row for group in groups for row in group)
    return [_line(group, name + _stale(group), columns) for group, name in zip(groups, _names(groups))]


def _line(group: list[Row], name: str, columns: list[str]) -> dict:
    line = {"run": name, "data": group[0].data, "seeds": len(group)}
    for column in columns:
        if values := [row.metrics[column] for row in group if column in row.metrics]:
            line[column] = _summary(values)
    return line | {"time": _time(statistics.mean(row.metrics.get("wall_seconds", 0) for row in group))}


def _summary(values: list) -> str:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return ", ".join(dict.fromkeys(map(str, values)))
    mean = statistics.mean(values)
    return f"{mean:.4g} ± {statistics.stdev(values):.2g}" if len({*values}) > 1 else f"{mean:.4g}"


def _time(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def metric_names(runs: Iterable[Row]) -> list[str]:
    """Names of all metrics of the rows, headline metrics first."""
    runs = list(runs)
    every = dict.fromkeys(name for row in runs for name in row.metrics if name not in _NOT_METRICS)
    return list(dict.fromkeys([*headline(runs), *every]))


def headline(runs: Iterable[Row]) -> list[str]:
    """Headline metrics of the rows' notebooks; [] without any. The first metric of every row comes before the second of
    any row, so that each row has a number if only few columns fit."""
    given = [row.metrics.get("headline") for row in runs]
    by_place = zip_longest(*(names for names in given if isinstance(names, list)))
    return list(dict.fromkeys(str(name) for names in by_place for name in names if name is not None))


def _stale(group: list[Row]) -> str:
    """ " (stale)" if lists or encoders of a run have changed since, so that it would give another result today."""
    return " (stale)" if any(provenance.changes(row.folder) for row in group) else ""


def _names(groups: list[list[Row]]) -> list[str]:
    """Names that distinguish the groups: preset and changed parameters, first those in which the groups differ.

    If two names were equal, both list all parameters in which these groups differ, with full values.
    """
    # The shortest name of each group: "tiny", not the sweep that repeats it.
    firsts = [min(group, key=lambda row: len(row.name)) for group in groups]
    varying = _varying(firsts)
    changed = [{n: row.changed[n] for n in sorted(row.changed, key=lambda n: n not in varying)} for row in firsts]
    names = [_name(row.folder, values) for row, values in zip(firsts, changed)]
    for name in [name for name, count in Counter(names).items() if count > 1]:
        same = [index for index, other in enumerate(names) if other == name]
        apart = _varying([firsts[index] for index in same])
        for row, index in [(firsts[index], index) for index in same]:
            values = {n: row.params[n] for n in dict.fromkeys([*apart, *row.changed]) if n in row.params}
            names[index] = _name(row.folder, values, _in_full)
    return names


def _varying(runs: list[Row]) -> list[str]:
    """Parameters with more than one value among the rows."""
    names = dict.fromkeys(name for row in runs for name in row.settings if name not in SEEDS)
    return [name for name in names if len({repr(row.params.get(name)) for row in runs}) > 1]


def _name(folder: Path, changed: dict, text: Callable = brief) -> str:
    values = [f"{name}={text(value)}" for name, value in changed.items()]
    if len(values) > _NAMED + 1:
        values = [*values[:_NAMED], f"and {len(values) - _NAMED} more"]
    return ", ".join([_preset(folder), *values])


def _in_full(value) -> str:
    """The unique folder name if the value is a run, else the whole value."""
    path = Path(str(value))
    run = run_folder.digest_of(path) and brief(value) != str(value)
    return f"{path.parent.name.split('_')[0]}/{path.name}" if run else str(value)


# ---- on the terminal and in files


def show(reference=None, every: bool = False) -> None:
    """Prints the leaderboard and writes both files. every: shows all metrics and all attempts."""
    runs = rows(reference)
    print(text(runs, reference, shutil.get_terminal_size((120, 50)).columns, every))
    try:
        tables, sheet = write(None if reference else runs)
    except OSError as error:  # a read-only disk: the table has been shown
        print(f"iv: not written to {paths.short(paths.outputs())}: {error.strerror}", file=sys.stderr)
    else:
        print(f"\n{paths.short(tables)}  {paths.short(sheet)}")


def text(runs: list[Row], reference=None, width: int = 120, every: bool = False) -> str:
    """The leaderboard for a terminal of `width` characters, one table per notebook.

    Shows as many metrics as fit, headline metrics first; with `every` all of them, one per line.
    """
    sections = [_upright(rows, width) if every else _fitted(rows, width) for rows in _by_notebook(runs)]
    if waiting := unfinished(reference, every):
        listed = waiting if every else waiting[:_LATEST]
        older = len(waiting) - len(listed)
        more = f"\n… and {older} older: iv board --all" if older else ""
        sections.append(f"without a result\n{_table(listed, list(listed[0]))}{more}")
    number = notebook.number(notebook.find(reference)) if reference else 10
    return "\n\n".join(sections) or f"no runs yet: iv run {number} tiny"


def _by_notebook(runs: list[Row]) -> list[list[Row]]:
    return [[row for row in runs if row.notebook == stem] for stem in dict.fromkeys(r.notebook for r in runs)]


def _fitted(runs: list[Row], width: int) -> str:
    """A table with one line per group. Values equal in all lines are shown once, above the table.

    To make room, names are cut first, then metrics are left out, then the time.
    """
    lines, names, first = aggregate(runs), metric_names(runs), headline(runs)
    data = {line["data"] for line in lines}
    rest = ["data"] * (len(data) > 1) + ["seeds"] * any(line["seeds"] > 1 for line in lines)
    longest = max(len(line["run"]) for line in lines)
    most = len(first) or len(names)
    least = min(most, _ALWAYS)
    tried = [(count, _SHORT, ["time"]) for count in range(most, least - 1, -1)]
    tried += [(least, _NARROW, ["time"]), (least, _NARROW, []), (least, _NARROWEST, [])]
    for count, short, last in tried:
        columns = ["run", *names[:count], *rest, *last]
        sources = _shortened([line["data"] for line in lines], short)
        cut = [line | {"data": source, "run": "run"} for line, source in zip(lines, sources)]
        room = width - _width(_table(cut, columns)) + len("run")
        if room >= min(longest, short):
            break
    labels = _shortened([line["run"] for line in lines], max(room, _NARROWEST))
    table = _table([line | {"run": label} for line, label in zip(cut, labels)], columns)
    heading = " · ".join([runs[0].notebook, *(data if len(data) == 1 else [])])
    left = f"\n… and {len(names) - count} more metrics: iv board {heading.split('_')[0]} --all"
    return f"{heading}\n{table}" + (left if len(names) > count else "")


def _shortened(labels: list[str], length: int) -> list[str]:
    """Cuts labels at the end. If two became equal, cuts the common beginning instead, or else the middle."""
    common = len(os.path.commonprefix(labels))  # noqa: RUF071  of text, not of paths
    endings = [f"…{label[common:]}" if common else label for label in labels]
    ways = ([how(label, length) for label in some] for some in (labels, endings) for how in (_cut, _cut_middle))
    cut = next((way for way in ways if len(set(way)) == len(set(labels))), None)
    return cut or [_cut_middle(label, length) for label in endings]


def _upright(runs: list[Row], width: int) -> str:
    """A table with one line per metric and one column per group, with as many columns as fit."""
    lines = aggregate(runs)
    names = [*metric_names(runs), "data", "seeds", "time"]
    beside = max(1, (width - max(map(len, names)) - 2) // (_COLUMN + 2))
    tables = []
    for start in range(0, len(lines), beside):
        block = lines[start : start + beside]
        turned = [{"run": name} | {n: line.get(name, "") for n, line in enumerate(block)} for name in names]
        headers = {"run": "metric"} | {n: line["run"] for n, line in enumerate(block)}
        tables.append(_table(turned, headers, maxheadercolwidths=_COLUMN, maxcolwidths=_COLUMN))
    return f"{runs[0].notebook}\n" + "\n\n".join(tables)


def _table(lines: list[dict], columns: list | dict, style: str = "simple", **widths) -> str:
    """Text of a table. columns: keys of the lines, which are also the headers; or {key: header}."""
    from tabulate import tabulate

    cells = [[line.get(column, "") for column in columns] for line in lines]
    headers = list(columns.values()) if isinstance(columns, dict) else columns
    return tabulate(cells, headers=headers, tablefmt=style, disable_numparse=True, **widths)


def _width(table: str) -> int:
    return max(map(len, table.splitlines()))


def _cut(line: str, length: int) -> str:
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _cut_middle(line: str, length: int) -> str:
    kept = length - 1
    return line if len(line) <= length else f"{line[: kept - kept // 2]}…{line[-(kept // 2) :]}"


def write(runs: list[Row] | None = None) -> tuple[Path, Path]:
    """Writes outputs/leaderboard.md (tables with all metrics) and .csv (one line per run). Returns both paths."""
    runs = rows() if runs is None else runs
    tables, sheet = paths.outputs() / "leaderboard.md", paths.outputs() / "leaderboard.csv"
    sections = {
        rows[0].notebook: (aggregate(rows), ["run", *metric_names(rows), "data", "seeds", "time"])
        for rows in _by_notebook(runs)
    }
    if waiting := unfinished():
        sections["without a result"] = (waiting, list(waiting[0]))
    written = [f"## {name}\n\n{_table(*section, style='github')}" for name, section in sections.items()]
    files.write_text(tables, "\n\n".join(["# Leaderboard", *(written or ["no runs yet"])]) + "\n")
    files.write_text(sheet, _sheet(runs))
    return tables, sheet


def _sheet(runs: list[Row]) -> str:
    """CSV text: name of each run, its metrics (headline metrics first) and its parameters."""
    lines = [_flat(row) for row in runs]
    head = ["notebook", "run", "data", *metric_names(runs)]
    columns = list(dict.fromkeys([*head, *(name for line in lines for name in line)]))
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns)
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def _flat(row: Row) -> dict:
    metrics = {n: v for n, v in row.metrics.items() if n not in ("notebook", "data", "headline")}
    parameters = {f"param.{name}": value for name, value in row.params.items()}
    return {"notebook": row.notebook, "run": row.folder.name, "data": row.data} | metrics | parameters
