"""All finished runs as one HTML file that needs nothing beside it: the leaderboard, then each run with its claim and figures.

Figures are embedded as WebP. What is said about them comes from the executed notebooks: the heading above the cell that drew one,
and the prose before it.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import os
import re
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ivcore import files as atomic
from ivcore import paths
from ivcore.errors import ParameterError
from ivcore.run import board, notebook
from ivcore.run import folder as run_folder
from ivcore.run.board import Row
from ivcore.run.spec import Spec, brief

TEMPLATE = Path(__file__).parents[1] / "show" / "report.html"
WIDEST = 1500  # pixels of an embedded figure
LESSONS, BOARD = "0", "9"  # first digits of notebooks that measure nothing of their own


def write(output: str | Path | None = None) -> Path:
    """Writes the report of everything below outputs/ to `output` (outputs/report/index.html), atomically."""
    output = paths.resolve(output) if output else paths.outputs() / "report" / "index.html"
    text = page(output.parent)
    atomic.write_text(output, text)
    return output


def page(folder: Path) -> str:
    """The HTML text; links to notebooks and run folders are relative to `folder`, where the file will lie."""
    from jinja2 import Environment, StrictUndefined

    found = board.rows()
    sections = [_section(stem, found, folder) for stem in sorted({row.notebook for row in found}, key=_order)]
    facts = {
        "sections": sections,
        "unfinished": board.unfinished(),
        "runs": len(found),
        "time": duration(sum(row.metrics.get("wall_seconds", 0) for row in found)),
        "stands": sorted({_stand(row.folder) for row in found} - {""}),
        "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "generated": any(row.data in (board.SHAPES, "moving shapes") for row in found),
    }
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(facts)


def _order(stem: str) -> tuple:
    """The leaderboard's own figures first, lessons last."""
    return (stem[0] == LESSONS, stem[0] != BOARD, stem)


@dataclass(frozen=True)
class Section:
    """One notebook: a table with a line a group of runs, and the groups themselves."""

    stem: str
    number: str
    title: str
    claim: str
    link: str
    table: list[dict]
    columns: list[str]
    groups: list[Group]

    @property
    def measures(self) -> bool:
        return self.stem[0] not in (LESSONS, BOARD)


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed; figures and links are those of the first."""

    id: str
    name: str
    preset: str
    seeds: int
    metrics: dict[str, str]
    time: str
    changed: list[tuple[str, str, str, str]]  # parameter, value, default, id of the run that the value names
    figures: list[Figure]
    notebook: str
    folder: str


@dataclass(frozen=True)
class Figure:
    source: str
    width: int
    height: int
    alt: str
    caption: str


def _section(stem: str, found: list[Row], folder: Path) -> Section:
    mine = [row for row in found if row.notebook == stem]
    groups, lines = board.grouped(mine), board.aggregate(mine)
    made = [_group(group, line, folder) for group, line in zip(groups, lines)]
    table = [line | {"id": group.id} for line, group in zip(lines, made)]
    columns = board.headline(mine) or board.metric_names(mine)
    path = _executed(groups[0][0])
    title, claim = (notebook.title(path), plain(notebook.claim(path))) if path else (stem, "")
    link = _link(paths.notebooks() / f"{stem}.ipynb", folder)
    return Section(stem, stem.split("_")[0], title, claim, link, table, columns, made)


def _group(rows: list[Row], line: dict, folder: Path) -> Group:
    first = min(rows, key=lambda row: (len(row.name), row.params.get("seed", 0)))
    path = _executed(first)
    return Group(
        id=_id(first.folder),
        name=line["run"],
        preset=re.sub(r"\+?-[0-9a-f]{8}$", "", first.folder.name),
        seeds=len(rows),
        metrics={name: value for name, value in line.items() if name not in ("run", "data", "seeds", "time")},
        time=line["time"],
        changed=_changed(first),
        figures=_figures(first.folder, path, f"{first.notebook[:2]} {line['run']}"),
        notebook=_link(first.folder / "notebook.ipynb", folder),
        folder=_link(first.folder, folder),
    )


def _figures(folder: Path, executed: Path | None, run: str) -> list[Figure]:
    """Those that read: a picture may have been cut short."""
    found = []
    for file in _pictures(folder):
        try:
            found.append(_figure(file, executed, run))
        except (OSError, ValueError, SyntaxError):  # what Pillow raises for a damaged PNG
            print(f"iv: {paths.short(file)} does not read and is left out", file=sys.stderr)
    return found


def _pictures(folder: Path) -> list[Path]:
    """In the order in which the notebook drew them."""
    return sorted((folder / "figures").glob("*.png"), key=lambda file: (file.stat().st_mtime_ns, file.name))


def _executed(row: Row) -> Path | None:
    """The notebook as it was run; a run from JupyterLab has no copy, or one does not read, then as it stands now."""
    for path in (row.folder / "notebook.ipynb", paths.notebooks() / f"{row.notebook}.ipynb"):
        try:
            notebook.cells(path)
        except (OSError, ParameterError):
            continue
        return path
    return None


def _link(path: Path, folder: Path) -> str:
    """Relative, so that the outputs can be moved; "" where there is nothing to open."""
    return Path(os.path.relpath(path, folder)).as_posix() if path.exists() else ""


def _id(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}".replace("+", "")


def _changed(row: Row) -> list[tuple[str, str, str, str]]:
    """The parameters that are not the notebook's defaults."""
    try:
        spec = Spec.of(row.notebook)
        defaults = spec.pin({name: each.default for name, each in spec.parameters.items()})
    except ParameterError:
        defaults = {}
    rows = []
    for name, value in row.params.items():
        if name not in defaults or defaults[name] != value:
            run = paths.resolve(value) if isinstance(value, str) and "/" in value else None
            target = _id(run) if run and run_folder.is_done(run) else ""
            rows.append((name, _shown(value), _shown(defaults[name]) if name in defaults else "", target))
    return rows


def _shown(value) -> str:
    """A parameter as people write it, a run folder as "10/tiny"."""
    named = isinstance(value, str) and re.search(r"-[0-9a-f]{8}$", value)
    return '""' if value == "" else brief(value) if named else str(value)


def _figure(file: Path, executed: Path | None, run: str) -> Figure:
    heading, prose = described(executed, file.stem) if executed else ("", "")
    words = file.stem.replace("_", " ")
    place = f" in “{heading}”" if heading else ""
    source, width, height = embedded(str(file), file.stat().st_mtime_ns)
    caption = words.capitalize() + (f". {prose}" if prose else "")
    return Figure(source, width, height, f"Figure “{words}”{place} of run {run}", caption)


def described(path: Path, name: str) -> tuple[str, str]:
    """Of the figure that the notebook saves under this name: the heading above it and the first sentence of the text before it."""
    cells = notebook.cells(path)
    for index, cell in enumerate(cells):
        text = notebook.source(cell)
        if (
            cell["cell_type"] == "code"
            and "run.figure(" in text
            and re.search(rf"[\"']{re.escape(name)}[\"']", text)
        ):
            return notebook.cell_name(cells, index), _prose_before(cells, index)
    return "", ""


def _prose_before(cells: list[dict], index: int) -> str:
    for cell in reversed(cells[:index]):
        if cell["cell_type"] == "markdown":
            text = re.sub(r"^#+ .*$|^>.*$", "", notebook.source(cell), flags=re.MULTILINE)
            return first_sentence(plain(text))
    return ""


def plain(markdown: str) -> str:
    """Text without Markdown's marks, on one line."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    return " ".join(re.sub(r"(\*\*|[*`])", "", text).split())


def first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?:])\s+(?=[A-Z0-9])", text, maxsplit=1)[0].rstrip(":")


@functools.lru_cache(maxsize=4096)
def embedded(file: str, changed: int) -> tuple[str, int, int]:
    """(data URI, width, height in CSS pixels) of a PNG: WebP without loss or at quality 85, whichever is smaller."""
    from PIL import Image

    from ivcore.show.style import DPI

    with Image.open(file) as opened:
        image = opened.convert("RGB")
    width, height = (round(side * 96 / DPI) for side in image.size)
    image.thumbnail((WIDEST, 10 * WIDEST))
    data = min((_webp(image, lossless=True, quality=60), _webp(image, quality=85)), key=len)
    return "data:image/webp;base64," + base64.b64encode(data).decode(), width, height


def _webp(image, **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", method=4, **settings)
    return buffer.getvalue()


def _stand(folder: Path) -> str:
    """Where and on what a run was made: commit and device."""
    try:
        facts = json.loads((folder / "env.json").read_text(encoding="utf-8"))
        return f"{facts['device']}, commit {facts['commit'] or 'unknown'}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def duration(seconds: float) -> str:
    """ "7 min 46 s" """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
