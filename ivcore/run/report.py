"""All finished runs as one self-contained HTML file: results in sentences, the leaderboard, then each run.

Figures are embedded as WebP. Their captions come from Run.figure, or from their titles.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import os
import re
import statistics
import sys
from datetime import datetime
from pathlib import Path

from ivcore import files, paths
from ivcore.errors import ParameterError
from ivcore.run import board, notebook
from ivcore.run import folder as run_folder
from ivcore.run.board import Row
from ivcore.run.spec import Spec, brief

STORY = Path(__file__).with_name("story.csv")
WIDEST = 1500  # pixels of an embedded figure
LESSONS, BOARD = "0", "9"  # first digits of notebooks without measurements
_WORDS = {
    "top1": "top-1", "top5": "top-5", "knn": "k-NN", "r1": "R@1", "r5": "R@5", "r10": "R@10", "t2v": "text to video",
    "v2t": "video to text", "t2i": "text to image", "cider": "CIDEr", "bleu4": "BLEU-4", "rouge": "ROUGE", "l": "L",
    "val": "validation", "ms": "milliseconds", "m": "in millions",
}  # fmt: skip


def write(output: str | Path | None = None) -> Path:
    """Writes the report of all runs in outputs/ to `output` (outputs/report/index.html), atomically -> path."""
    output = paths.resolve(output) if output else paths.outputs() / "report" / "index.html"
    files.write_text(output, page(output.parent))
    return output


def page(folder: Path) -> str:
    """The HTML text. Links to notebooks and run folders are relative to `folder`, the folder of the file."""
    from ivcore.show.page import render

    rows = board.rows()
    stems = sorted({row.notebook for row in rows}, key=lambda stem: (stem[0] == LESSONS, stem[0] != BOARD, stem))
    sections = [_section([row for row in rows if row.notebook == stem], folder) for stem in stems]
    facts = {
        "sections": sections,
        "story": _story(rows),
        "chain": _chain() if rows else None,
        "unfinished": board.unfinished(),
        "runs": len(rows),
        "time": duration(sum(row.metrics.get("wall_seconds", 0) for row in rows)),
        "places": sorted({_place(row.folder) for row in rows} - {""}),
        "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        "generated": any(row.data == board.SHAPES for row in rows),
    }
    return render("report.html", facts, readable=readable)


def readable(name: str) -> str:
    """A metric's name in words: "t2v_r1" is text to video R@1."""
    return " ".join(_WORDS.get(word, word) for word in name.split("_"))


def duration(seconds: float) -> str:
    """ "7 min 46 s" """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


# ---- results in sentences


def story() -> list[tuple[str, str, str]]:
    """(notebook, preset, sentence with metrics in braces) for each line of story.csv."""
    import csv

    with open(STORY, encoding="utf-8", newline="") as file:
        return [(line["notebook"], line["preset"], line["sentence"]) for line in csv.DictReader(file)]


def _story(rows: list[Row]) -> list[dict]:
    """Sentences of all presets that were run unchanged, with the mean of each metric over seeds.

    The groups are the leaderboard's: a sweep that repeats a preset over seeds belongs to the preset.
    """
    groups = {}
    for group in board.grouped(rows):
        for row in (row for row in group if not row.changed):
            label = (row.notebook.split("_")[0], run_folder.label_of(row.folder).rstrip("+"))
            groups.setdefault(label, group)
    sentences = []
    for number, preset, sentence in story():
        group = groups.get((number, preset))
        names = set(re.findall(r"\{(\w+)", sentence))
        if group and all(names <= row.metrics.keys() for row in group):
            means = {name: _mean([row.metrics[name] for row in group]) for name in names}
            place = {"id": _id(_first(group).folder), "run": f"{number} {preset}", "seeds": len(group)}
            sentences.append(place | {"text": sentence.format(**means)})
    return sentences


def _mean(values: list):
    return statistics.mean(values) if all(isinstance(value, int | float) for value in values) else values[0]


@functools.cache
def _chain() -> dict:
    """The picture of the chain, drawn from the existing notebooks."""
    from ivcore.run import chain
    from ivcore.show.style import DPI

    buffer = io.BytesIO()
    chain.chain().savefig(buffer, dpi=DPI, bbox_inches="tight")
    caption = "The chain, with the notebooks that stand here."
    return embedded(buffer.getvalue()) | {"id": "chain", "caption": caption, "alt": chain.in_words(), "file": ""}


# ---- the runs


def _section(rows: list[Row], folder: Path) -> dict:
    """Section of a notebook: a table with one line per group of runs, then the groups."""
    groups, lines = board.grouped(rows), board.aggregate(rows)
    stem, path = rows[0].notebook, _executed(rows[0])
    pictures: set[bytes] = set()  # avoids repeated pictures: many runs show the same training clips
    entries = [_group(group, line, folder, pictures) for group, line in zip(groups, lines)]
    return {
        "stem": stem,
        "number": stem.split("_")[0],
        "title": notebook.title(path) if path else stem,
        "claim": plain(notebook.claim(path)) if path else "",
        "measures": stem[0] not in (LESSONS, BOARD),
        "columns": board.headline(rows) or board.metric_names(rows),
        "groups": entries,
    }


def _first(group: list[Row]) -> Row:
    """The run of a group whose figures are shown."""
    return min(group, key=lambda row: (len(row.name), row.params.get("seed", 0)))


def _group(rows: list[Row], line: dict, folder: Path, pictures: set[bytes]) -> dict:
    first = _first(rows)
    headline = [name for name in board.headline(rows) if name in line]
    return line | {
        "id": _id(first.folder),
        "preset": run_folder.label_of(first.folder).rstrip("+"),
        "line": line,
        "headline": headline,
        "others": [name for name in board.metric_names(rows) if name in line and name not in headline],
        "changed": _changed(first),
        "figures": _figures(first.folder, f"{first.notebook[:2]} {line['run']}", folder, pictures),
        "notebook": _link(first.folder / "notebook.ipynb", folder),
        "folder": _link(first.folder, folder),
    }


def _id(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}".replace("+", "")


def _link(path: Path, folder: Path) -> str:
    """A relative link, so that the outputs can be moved; "" if the path does not exist."""
    return Path(os.path.relpath(path, folder)).as_posix() if path.exists() else ""


def _executed(row: Row) -> Path | None:
    """The executed notebook, or the current one if there is no readable copy (a run from JupyterLab has none)."""
    for path in (row.folder / "notebook.ipynb", paths.notebooks() / f"{row.notebook}.ipynb"):
        try:
            notebook.cells(path)
        except ParameterError:
            continue
        return path
    return None


def plain(markdown: str) -> str:
    """Markdown as plain text on one line."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    return " ".join(re.sub(r"(\*\*|[*`])", "", text).split())


def _changed(row: Row) -> list[tuple[str, str, str, str]]:
    """(parameter, value, default, id of the run that the value names) for values that differ from tiny."""
    try:
        spec = Spec.of(row.notebook)
        defaults = spec.pin(spec.defaults)
    except ParameterError:
        defaults = {}
    changed = []
    for name, value in row.params.items():
        if name not in defaults or board.identity(defaults[name]) != board.identity(value):
            run = paths.resolve(value) if isinstance(value, str) and "/" in value else None
            target = _id(run) if run and run_folder.is_done(run) else ""
            changed.append((name, _text(value), _text(defaults[name]) if name in defaults else "", target))
    return changed


def _text(value) -> str:
    """Text of a value; a run folder becomes "10/tiny"."""
    run = isinstance(value, str) and run_folder.digest_of(Path(value))
    return '""' if value == "" else brief(value) if run else str(value)


def _place(folder: Path) -> str:
    """Device and commit of a run, as text."""
    try:
        facts = json.loads((folder / "env.json").read_text(encoding="utf-8"))
        return f"{facts['device']}, commit {facts['commit'] or 'unknown'}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


# ---- their figures


def _figures(run_dir: Path, run: str, folder: Path, pictures: set[bytes]) -> list[dict]:
    """Figures of a run in drawing order, without those in `pictures` and without unreadable files."""
    figures = []
    for file in sorted(run_dir.glob("figures/*.png"), key=lambda file: (file.stat().st_mtime_ns, file.name)):
        data = file.read_bytes()
        if data in pictures:
            continue
        pictures.add(data)
        try:
            figures.append(_figure(file, data, run) | {"file": _link(file, folder)})
        except (OSError, ValueError, SyntaxError):  # Pillow's errors for a damaged PNG
            print(f"iv: {paths.short(file)} does not read and is left out", file=sys.stderr)
    return figures


def _figure(file: Path, data: bytes, run: str) -> dict:
    picture = embedded(data)
    try:
        words = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        caption, alt = str(words["caption"]), str(words["alt"])
    except (OSError, ValueError, KeyError, TypeError):
        caption = alt = ""
    name = file.stem.replace("_", " ")
    caption = caption or picture["title"] or f"{name[0].upper()}{name[1:]}"
    return picture | {
        "id": f"{_id(file.parents[1])}-{file.stem}",
        "caption": caption,
        "alt": alt or f"{caption} (run {run})",
    }


@functools.lru_cache(maxsize=4096)
def embedded(png: bytes) -> dict:
    """{source (data URI), width, height (CSS pixels), title}. WebP, lossless or quality 85, whichever is smaller."""
    from PIL import Image

    from ivcore.show.style import DPI

    with Image.open(io.BytesIO(png)) as opened:
        image, title = opened.convert("RGB"), str(opened.info.get("Title", ""))
    width, height = (round(side * 96 / DPI) for side in image.size)
    image.thumbnail((WIDEST, 10 * WIDEST))
    data = min((_webp(image, lossless=True, quality=60), _webp(image, quality=85)), key=len)
    source = "data:image/webp;base64," + base64.b64encode(data).decode()
    return {"source": source, "width": width, "height": height, "title": title}


def _webp(image, **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", method=4, **settings)
    return buffer.getvalue()
