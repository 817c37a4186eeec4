"""How long a notebook takes when opened alone: copies the times of benchmarks/opening.py to the notebooks' first cells,
README.md and benchmarks/README.md.

python benchmarks/opening.py --out opened.json      measures, by default every notebook
python docs/opening.py collect opened.json          copies the times to docs/opening.json, beside other notebooks' rows
python docs/opening.py write                        writes the texts from docs/opening.json
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs/opening.json"
LONGEST, FIRST = 90, 10  # limits for a whole run and for its first picture, in seconds
WORDS = {15: "seconds", 45: "about half a minute", 75: "about a minute", LONGEST: "a minute and a half"}
TAKES = re.compile(rf"(\*\*[Tt]akes\*\* )(?:{'|'.join(WORDS.values())})(?=[ ,;])")
TABLE = re.compile(r"(<!-- numbers: opening -->\n).*?(<!-- /numbers -->)", re.S)
RANGE = re.compile(r"of \d+ to \d+ processor seconds, (\s*)with a first picture after \d+ at most")


def read() -> dict[str, dict]:
    """Number of a notebook -> processor seconds until its first "picture" and until the end ("all")."""
    return json.loads(MEASURED.read_text(encoding="utf-8"))


def words(row: dict) -> str:
    """A notebook's sentence about its time. ValueError if it takes too long."""
    fits = [word for most, word in WORDS.items() if row["all"] <= most]
    if not fits:
        raise ValueError(f"{row['all']:.0f} processor seconds: a notebook opened alone may take {LONGEST}")
    return fits[0]


def table(rows: dict[str, dict]) -> str:
    lines = [f"| {number} | {row['picture']:.0f} | {row['all']:.0f} |" for number, row in rows.items()]
    head = ["| notebook | first picture, processor s | all, processor s |", "| --- | --- | --- |"]
    return "\n".join([*head, *lines, ""])


def filled(file: Path, text: str, rows: dict[str, dict]) -> str:
    """The text of a file with the current times."""
    if file.suffix == ".ipynb":
        return TAKES.sub(rf"\g<1>{words(rows[file.name[:2]])}", text)
    every = [row["all"] for row in rows.values()]
    picture = max(row["picture"] for row in rows.values())
    text = TABLE.sub(lambda found: found[1] + table(rows) + found[2], text)
    return RANGE.sub(
        rf"of {min(every):.0f} to {max(every):.0f} processor seconds, \g<1>with a first picture after {picture:.0f} at most",
        text,
    )


def texts() -> list[Path]:
    return [ROOT / "README.md", ROOT / "benchmarks/README.md", *sorted((ROOT / "notebooks").glob("*.ipynb"))]


def collect(files: list[str]) -> None:
    rows = read() if MEASURED.is_file() else {}
    for row in (row for file in files for row in json.loads(Path(file).read_text(encoding="utf-8"))):
        if row["error"] or row["picture_processor"] is None:
            sys.exit(f"{row['notebook']}: {row['error'] or 'shows no picture'}")
        rows[row["notebook"][:2]] = {"picture": round(row["picture_processor"], 1), "all": round(row["processor"], 1)}
    MEASURED.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n", encoding="utf-8")


def write() -> None:
    for file in texts():
        text = file.read_text(encoding="utf-8")
        if (new := filled(file, text, read())) != text:
            file.write_text(new, encoding="utf-8")
            print(file.relative_to(ROOT))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["collect", *files] if files:
            collect(files)
        case ["write"]:
            write()
        case _:
            sys.exit(__doc__)
