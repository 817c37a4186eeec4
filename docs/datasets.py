"""Writes docs/datasets.md, which shows the layout of each dataset on disk, from miniatures.

python docs/datasets.py     writes all miniatures into a temporary folder, and the page from them
"""

import gzip
import re
import tempfile
from pathlib import Path

from ivcore.data import mini

PAGE = Path(__file__).with_name("datasets.md")
HEAD = """# The datasets, as they lie on disk

Which files a dataset's folder has, and how each begins. All of it is written by `iv data mini NAME FOLDER`, so it can be had, opened and run; the videos are moving shapes, or scenes in first person.
Your copy of the dataset has to look the same. Where its videos lie elsewhere, most notebooks take `video_root`. This page is made by `python docs/datasets.py`.

"""
RUNS = {
    "recognition": "`iv run 30 {} -p data=FOLDER`",
    "temporal localization": "`iv run 31 {} -p data=FOLDER`",
    "open-set recognition": "`iv run 39 {} -p data=FOLDER`",
    "short-term anticipation": "`iv run 40 ego4d -p data=FOLDER`",
    "future hand prediction": "`iv run 41 ego4d -p data=FOLDER`",
    "natural language queries": "`iv run 42 ego4d -p data=FOLDER`",
    "state change object detection": "`iv run 43 ego4d -p data=FOLDER`",
    "moment queries": "`iv run 44 ego4d -p data=FOLDER`",
    "zero-shot recognition": "`iv run 36 k400 -p data=FOLDER`",
    "navigation": "`iv run 35 tiny -p data=FOLDER`",
    "spatiotemporal localization": "notebook 32, which takes the files one by one",
}
SPLITS = re.compile(r"train(?:ing)?|validation|val|test|split[123]")
TEXT = {".csv", ".txt", ".json", ".jsonl", ".list", ".pbtxt", ".gz"}
BINARY = {".npy", ".pkl"}
WIDTH, NAMED = 150, 4


def section(name: str, folder: Path) -> str:
    """The page's section about a dataset, from its miniature."""
    each, alike, media = mini.DATASETS[name], {}, {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = path.relative_to(folder)
        if path.suffix in TEXT | BINARY:
            kind = SPLITS.sub("*", str(place))
            kind = re.sub(r"(?<=/)\w+(?=_\*)", "*", kind) if "CLASS_" in each.files else kind  # a file of each class
            alike.setdefault(kind, []).append(place)
        else:
            media.setdefault(place.parent, place)
    shown = []
    for places in alike.values():
        more = f" … {len(places) - NAMED} more" if len(places) > NAMED else ""
        shown += [", ".join(map(str, places[:NAMED])) + more, *(f"    {line}" for line in _begins(folder / places[0]))]
    shown += [str(place) for place in [*media.values()][:2]]
    then = RUNS.get(each.task, "").format(name)
    command = f"`iv data mini {name} FOLDER`{f', then {then}' if then else ''}"
    return "\n".join([f"## {each.title}", "", command, "", "```", *shown, "```", ""])


def _begins(path: Path) -> list[str]:
    """The first two lines of a list, or the start of a JSON file, shortened."""
    if path.suffix not in TEXT:
        return ["(binary)"]
    packed = path.suffix == ".gz"
    text = gzip.decompress(path.read_bytes()).decode() if packed else path.read_text(encoding="utf-8")
    lines = [" ".join(text[:4000].split())] if packed or path.suffix == ".json" else text.splitlines()[:2]
    return [line.rstrip() if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in lines]


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        parts = [section(name, mini.write(name, Path(root) / name)) for name in mini.DATASETS]
    PAGE.write_text(HEAD + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
