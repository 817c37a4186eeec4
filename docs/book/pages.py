"""The book's pages as Sphinx's input: executed notebooks, docs, and every source file that they name.

They mirror the repository, so its own links lead from page to page. Each source file has its own page, which lists the
notebooks that import it.
"""

import ast
import base64
import html
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import executed
import pictures
from runs import chosen

from ivcore import paths
from ivcore.run import notebook

PARTS = {"Lessons": "0", "Stages": "1", "Ablations": "2", "Tasks": "34", "Beyond": "5", "Running": "69"}
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
QUOTED = re.compile(r"(?<![\[`])`((?:ivcore|tests|docs|workflow|params|benchmarks)[./][\w./-]+?)(::\w+)?`(?![\]`])")
FENCED = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)[ \t]*$)", re.M | re.S)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".sh": "bash", ".json": "json"}
LONG = 25  # lines from which a cell is folded


class Pages:
    """Writes the pages into `folder`; only changed ones, so that Sphinx renders only these."""

    def __init__(self, folder: Path):
        self.folder, self.written, self.wanted = folder, set(), set()
        self.documents: set[Path] = set()
        self.used_by: dict[Path, list[str]] = {}

    def write(self, notebooks: Iterable[Path], docs: Iterable[Path], modules: Iterable[Path]) -> None:
        """Writes the notebooks as executed in their chosen runs, the docs, a page for each module and for every file
        that these name, and the front page.
        """
        notebooks, docs = list(notebooks), list(docs)
        self.documents = {*notebooks, *docs}
        for path in notebooks:
            self._notebook(path)
        for path in docs:
            self._text(_inside(path), self.linked(path.read_text(encoding="utf-8"), path.parent))
        front = self.linked((paths.ROOT / "README.md").read_text(encoding="utf-8"), paths.ROOT)
        self._text(Path("index.md"), f"{front}\n{_contents(notebooks, docs)}")
        modules = sorted({*modules, *self.wanted})
        for path in modules:
            self._source(path)
        self._text(Path("source.md"), self._list_of(modules))
        for figure in (paths.ROOT / "docs/figures").glob("*"):
            self._bytes(_inside(figure), figure.read_bytes())
        self._remove_others()

    # ---- links

    def linked(self, text: str, here: Path) -> str:
        """Markdown in which links to source files lead to their pages, and paths in backticks become links."""
        pieces = FENCED.split(text)
        return "".join(piece if i % 2 else self._linked(piece, here) for i, piece in enumerate(pieces))

    def _linked(self, text: str, here: Path) -> str:
        def link(match):
            target = Path(os.path.normpath(here / match[2]))
            page = match[2] if target in self.documents else self._page(target, here)
            return f"[{match[1]}]({page}{match[3] or ''})" if page else match[1]

        def quoted(match):
            page = self._page(_module(match[1]) or paths.ROOT / match[1], here)
            return f"[{match[0]}]({page})" if page else match[0]

        return QUOTED.sub(quoted, LINK.sub(link, text))

    def _page(self, target: Path, here: Path) -> str:
        """The relative path from a folder to the page of a source file, or of a folder's package; "" if there is
        none.
        """
        target = target / "__init__.py" if (target / "__init__.py").is_file() else target
        if target in self.documents:
            return os.path.relpath(target, here)
        if not target.is_file() or not target.is_relative_to(paths.ROOT) or target.suffix in (".md", ".ipynb"):
            return ""
        self.wanted.add(target)
        return f"{os.path.relpath(target, here)}.md"

    # ---- notebooks

    def _notebook(self, path: Path) -> None:
        run = chosen(path.stem)
        content, origin = executed.content(path, run)
        cells, figures = content["cells"], _Figures(self, path.stem)
        for cell in cells:
            cell["metadata"] = _look(cell)
            if cell["cell_type"] == "markdown":
                cell["source"] = self.linked(notebook.source(cell), path.parent)
            else:
                cell["outputs"] = [figures.placed(output, cells, cell) for output in cell["outputs"]]
        kind = "note" if run else "warning"
        cells.insert(1, executed.markdown("of-this-page", f"```{{{kind}}}\n{origin}\n```"))
        if modules := _imported(cells):
            for module in modules:
                self.used_by.setdefault(module, []).append(path.stem)
            used = " · ".join(f"[`{paths.short(module)}`]({self._page(module, path.parent)})" for module in modules)
            cells.append(executed.markdown("code-used-here", f"**Code used here**: {used}"))
        self._text(_inside(path), json.dumps(content, ensure_ascii=False, indent=1))

    # ---- source files

    def _source(self, path: Path) -> None:
        name = paths.short(path)
        users = [
            f"[{_titled(stem)}]({os.path.relpath(paths.notebooks() / stem, path.parent)}.ipynb)"
            for stem in self.used_by.get(path, ())
        ]
        head = f"Used in {' · '.join(users)}\n\n" if users else ""
        text = path.read_text(encoding="utf-8")
        code = f"~~~~~~~~{LANGUAGES.get(path.suffix, 'text')}\n{text}\n~~~~~~~~\n"
        self._text(Path(f"{name}.md"), f"---\norphan: true\n---\n# `{name}`\n\n{head}{code}")

    def _list_of(self, modules: list[Path]) -> str:
        lines, folder = ["---\nhide-toc: true\n---\n# Source files\n"], None
        for path in sorted(modules, key=lambda path: (path.parent, path.name)):
            if path.parent != folder:
                folder = path.parent
                lines.append(f"\n## `{paths.short(folder) if folder != paths.ROOT else '.'}`\n")
            lines.append(f"- [`{path.name}`]({paths.short(path)}.md) {html.escape(_first_sentence(path))}")
        return "\n".join(lines) + "\n"

    # ---- files

    def _text(self, name: Path, text: str) -> None:
        self._bytes(name, text.encode())

    def _bytes(self, name: Path, content: bytes) -> None:
        path = self.folder / name
        self.written.add(path)
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _remove_others(self) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in self.written:
                path.unlink()


class _Figures:
    """Writes the pictures of one notebook as files, in drawing order."""

    def __init__(self, pages: Pages, stem: str):
        self.pages, self.stem, self.number = pages, stem, 0

    def placed(self, output: dict, cells: list[dict], cell: dict) -> dict:
        """The output; a picture becomes HTML with its alt text, at its size on paper."""
        data = output.get("data", {})
        if "image/png" not in data:
            return output
        self.number += 1
        name = Path("_static/figures") / self.stem / f"{self.number:02d}.webp"
        content, (width, height) = pictures.webp(base64.b64decode("".join(data["image/png"])))
        self.pages._bytes(name, content)
        known = output["metadata"].get("image/png", {})
        shown = known.get("width") or width
        alt = known.get("alt") or f"Figure of “{notebook.cell_name(cells, cells.index(cell))}”"
        size = f'width="{shown}" height="{round(height * shown / width)}"'
        picture = (
            f'<div class="figure"><img src="../{name.as_posix()}" {size} alt="{html.escape(alt)}" loading="lazy"></div>'
        )
        return output | {"data": {"text/html": picture}, "metadata": {}}


def _look(cell: dict) -> dict:
    """Metadata of a cell on its page: parameters and long cells are folded."""
    tags, lines = notebook.tags(cell), len(notebook.source(cell).splitlines())
    if cell["cell_type"] != "code" or not ({"parameters", "injected-parameters"} & set(tags) or lines > LONG):
        return {}
    what = {"parameters": "Parameters of this notebook", "injected-parameters": "Parameters of this run"}
    prompt = next((words for tag, words in what.items() if tag in tags), "A long cell")
    return {
        "tags": ["hide-input"],
        "mystnb": {"code_prompt_show": prompt, "code_prompt_hide": f"Fold: {prompt.lower()}"},
    }


# ---- the repository


def _inside(path: Path) -> Path:
    return path.relative_to(paths.ROOT)


def _module(dotted: str) -> Path | None:
    """The file of "ivcore.cma" or "ivcore.cma.Coordinated"; None if there is none."""
    parts = dotted.split(".")
    for length in range(len(parts), 1, -1):
        base = paths.ROOT.joinpath(*parts[:length])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def _imported(cells: list[dict]) -> list[Path]:
    """The files of ivcore that code cells import, each once and in order."""
    found = {}
    for cell in cells:
        if cell["cell_type"] != "code" or "ivcore" not in notebook.source(cell):
            continue
        lines = [line for line in notebook.source(cell).splitlines() if not line.lstrip().startswith(("%", "!"))]
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ivcore":
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.name.startswith("ivcore.")]
            else:
                continue
            found |= dict.fromkeys(filter(None, map(_module, names)))
    return list(found)


def _titled(stem: str) -> str:
    return f"{stem.split('_')[0]} · {notebook.title(paths.notebooks() / f'{stem}.ipynb')}"


def _first_sentence(path: Path) -> str:
    if path.suffix != ".py":
        return ""
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return words.split("\n\n")[0].replace("\n", " ")


def _contents(notebooks: list[Path], docs: list[Path]) -> str:
    """Navigation: the notebooks in their parts, the docs, the source."""
    parts = {name: [p for p in notebooks if p.name[0] in digits] for name, digits in PARTS.items()}
    lists = {name: [_inside(p).with_suffix("").as_posix() for p in part] for name, part in parts.items()}
    lists["Docs"] = [*(_inside(p).with_suffix("").as_posix() for p in docs), "source"]
    return "\n".join(_toctree(name, entries) for name, entries in lists.items() if entries)


def _toctree(name: str, entries: list[str]) -> str:
    lines = "\n".join(entries)
    return f"```{{toctree}}\n:hidden:\n:maxdepth: 1\n:caption: {name}\n\n{lines}\n```\n"
