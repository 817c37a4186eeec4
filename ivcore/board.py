"""The leaderboard: every finished run's metrics beside its parameters, mean ± std over seeds, and where its data came from.

Results on the generated shapes say so in a column of their own, so that none is read as a result on Kinetics.
"""

import csv
import json
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ivcore import lineage, notebook, params, paths, run_folder
from ivcore.errors import ParameterError

SHAPES = "moving shapes (generated)"
_WIDTH = 6  # metrics shown in a table; the .csv has all
_NOT_METRICS = (*run_folder.RESERVED, "data")


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
    def group(self) -> str:
        """Runs of one group differ, with all that led to them, in nothing but seeds."""
        return json.dumps([self.notebook, lineage.apart_from_seeds(self.params)], sort_keys=True)


def _preset(folder: Path) -> str:
    return run_folder.label_of(folder).rstrip("+")


def _name(folder: Path, changed: dict) -> str:
    return ", ".join([_preset(folder), *(f"{name}={_brief(value)}" for name, value in changed.items())])


def _brief(value) -> str:
    if isinstance(value, str) and "/" in value:
        path = Path(value)
        return f"{path.parent.name.split('_')[0]}/{run_folder.label_of(path)}"
    return str(value)


def folders(reference=None) -> list[Path]:
    """All run folders, or those of one notebook, also of notebooks that have gone since."""
    pattern = notebook.find(reference).stem if reference else "*"
    return sorted(folder for folder in paths.outputs().glob(f"{pattern}/*") if run_folder.is_one(folder))


def rows(reference=None) -> list[Row]:
    base, known = cache(_base), cache(_known)  # of a notebook and its presets, which many runs share
    return [_row(folder, base, known) for folder in folders(reference) if run_folder.is_done(folder)]


def _row(folder: Path, base: Callable, known: Callable) -> Row:
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    values = run_folder.read_params(folder)
    data = _data(values, metrics, known(folder.parent.name))
    return Row(folder, values, metrics, data, _changed(folder, values, base))


def _known(stem: str) -> dict[str, params.Parameter]:
    try:
        return params.read(stem)
    except ParameterError:  # a notebook that was renamed or removed; its results stay
        return {}


def _data(values: dict, metrics: dict, known: dict) -> str:
    """Where the data came from: what the notebook says, else its file and folder parameters, else its `data`."""
    if "data" in metrics:
        return str(metrics["data"])
    sources = [n for n, p in known.items() if p.constraint and p.constraint.kind in ("file", "folder")]
    given = [str(values[name]) for name in sources if values.get(name)]
    if given:
        return given[0]
    named = values.get("data") or values.get("dataset")
    return SHAPES if named == "shapes" or (sources and not named) else str(named or "")


def _changed(folder: Path, values: dict, base: Callable) -> dict:
    """Parameters that differ from what `base`, see `_base`, has for the run's preset, seed apart."""
    preset = base(folder.parent.name, _preset(folder))
    return {
        name: value for name, value in values.items() if name != "seed" and preset.get(name, value) != value
    }


def _base(stem: str, preset: str) -> dict:
    """The values of a preset; of a sweep, those that all its runs share; {} when it is not known any more."""
    try:
        loaded = {} if preset == "custom" else params.load(stem, preset)
        shared = {name: value for name, value in loaded.items() if name not in params.SWEEP_KEYS}
        known = params.read(stem)
        return params.pin(stem, {name: shared.get(name, known[name].default) for name in known})
    except ParameterError:
        return {}


def aggregate(found: Iterable[Row]) -> list[dict]:
    """One line per group of runs: run, data, seeds, then each metric as a number, "mean ± std" over several seeds."""
    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(row.group, []).append(row)
    return [_line(group) for group in groups.values()]


def _line(group: list[Row]) -> dict:
    shortest = min((row.name for row in group), key=len)  # "tiny" rather than the sweep that repeats it
    line = {"run": shortest, "data": group[0].data, "seeds": len(group)}
    for name in _metric_names(group):
        line[name] = _summary([row.metrics[name] for row in group if name in row.metrics])
    seconds = [row.metrics.get("wall_seconds", 0) for row in group]
    return line | {"time": _time(statistics.mean(seconds))}


def _time(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _metric_names(found: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(n for row in found for n in row.metrics if n not in _NOT_METRICS))


def _summary(values: list) -> str:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return ", ".join(dict.fromkeys(str(value) for value in values))
    mean = statistics.mean(values)
    return f"{mean:.4g} ± {statistics.stdev(values):.2g}" if len(values) > 1 else f"{mean:.4g}"


def unfinished(reference=None) -> list[dict]:
    """Runs without a result, and why."""
    found = [folder for folder in folders(reference) if not run_folder.is_done(folder)]
    return [_unfinished(folder) for folder in found]


def _unfinished(folder: Path) -> dict:
    changed = _changed(folder, run_folder.read_params(folder), _base)
    head = {"notebook": folder.parent.name, "run": _name(folder, changed)}
    return head | {"state": run_folder.state(folder), "why": _why(folder)}


def _why(folder: Path) -> str:
    try:
        error = json.loads((folder / "error.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    parts = [error["kind"], error["exception"], error["message"].split("\n")[0]]
    why = ": ".join(part for part in parts if part)
    return why if len(why) < 70 else why[:69] + "…"


def tables(
    reference=None, style: str = "simple", metrics: int | None = _WIDTH, found: list[Row] | None = None
) -> str:
    """The leaderboard as text, one table a notebook; style is tabulate's ("simple", "github"). found: the rows, where they have been read."""
    from tabulate import tabulate

    found = rows(reference) if found is None else found
    parts = []
    for stem in dict.fromkeys(row.notebook for row in found):
        lines = aggregate(row for row in found if row.notebook == stem)
        shown = [_narrow(line, metrics) for line in lines]
        parts.append(
            _heading(stem, style) + tabulate(shown, headers="keys", tablefmt=style, disable_numparse=True)
        )
    waiting = unfinished(reference)
    if waiting:
        parts.append(_heading("without a result", style) + tabulate(waiting, headers="keys", tablefmt=style))
    return "\n\n".join(parts) or "no runs yet: iv run 10 tiny"


def _narrow(line: dict, metrics: int | None) -> dict:
    names = [name for name in line if name not in ("run", "data", "seeds", "time")][:metrics]
    return {name: line[name] for name in ("run", "data", "seeds", *names, "time")}


def _heading(text: str, style: str) -> str:
    return f"## {text}\n\n" if style == "github" else f"{text}\n"


def write(reference=None, found: list[Row] | None = None) -> tuple[Path, Path]:
    """outputs/leaderboard.md (the tables, all metrics) and .csv (a line a run, parameters and metrics in columns)."""
    found = rows(reference) if found is None else found
    folder = paths.outputs()
    folder.mkdir(parents=True, exist_ok=True)
    text, sheet = folder / "leaderboard.md", folder / "leaderboard.csv"
    text.write_text(f"# Leaderboard\n\n{tables(reference, 'github', None, found)}\n", encoding="utf-8")
    lines = [_flat(row) for row in found]
    columns = list(dict.fromkeys(name for line in lines for name in line))
    with open(sheet, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns or ["notebook"])
        writer.writeheader()
        writer.writerows(lines)
    return text, sheet


def _flat(row: Row) -> dict:
    head = {"notebook": row.notebook, "run": row.folder.name, "data": row.data}
    metrics = {name: value for name, value in row.metrics.items() if name not in ("notebook", "data")}
    return head | metrics | {f"param.{name}": value for name, value in row.params.items()}


def show(reference=None) -> None:
    found = rows(reference)
    print(tables(reference, found=found))
    try:
        text, sheet = write(found=None if reference else found)
    except OSError as error:  # a read-only disk: the table has been shown
        print(f"iv: not written: {error.filename or paths.outputs()}: {error.strerror}", file=sys.stderr)
    else:
        print(f"\n{paths.short(text)}  {paths.short(sheet)}")
