"""What a notebook's source must look like, each complaint saying how to mend it."""

import ast
import json
import re
from pathlib import Path

from ivcore.run import notebook

LONGEST_CELL = 25
METADATA = {"kernelspec", "language_info"}
CLEAN = "nbstripout --extra-keys 'metadata.papermill cell.metadata.papermill' {path}"


def complaints(path: Path) -> list[str]:
    """Everything that is wrong with one notebook; [] for a good one."""
    content = json.loads(path.read_text(encoding="utf-8"))
    cells = content["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    found = [*_outputs(path, code), *_metadata(path, content), *_ids(cells), *_headings(path, cells)]
    return [*found, *_parameters(cells), *_start(path, code), *_lengths(cells), *_links(path, cells)]


def _outputs(path, code):
    if any(cell.get("outputs") or cell.get("execution_count") for cell in code):
        yield f"carries outputs or execution counts: {CLEAN.format(path=path)}"


def _metadata(path, content):
    metadata = content["metadata"]
    if extra := set(metadata) - METADATA or {k for c in content["cells"] for k in c["metadata"]} - {"tags"}:
        yield f"metadata {sorted(extra)}: {CLEAN.format(path=path)}, and delete what remains"
    kernel = metadata.get("kernelspec", {})
    if (kernel.get("name"), kernel.get("display_name")) != ("python3", "Python 3"):
        yield "kernelspec: must be name python3, display_name Python 3 (choose the kernel `Python 3` and save)"


def _ids(cells):
    ids = [cell.get("id") for cell in cells]
    if None in ids or len(set(ids)) < len(ids):
        yield "cell ids are missing or repeated: delete the `id` of copied cells and save in JupyterLab"


def _headings(path, cells):
    markdown = [notebook.source(cell) for cell in cells if cell["cell_type"] == "markdown"]
    titles = [line for text in markdown for line in text.splitlines() if re.match(r"#\s", line)]
    if len(titles) != 1 or not titles[0].startswith(f"# {notebook.number(path)} "):
        yield f"must have exactly one `# ` heading, beginning `# {notebook.number(path)} `, found {titles}"
    if not notebook.claim(path):
        yield "has no `> ` line that says what it shows: `iv list` prints it"


def _parameters(cells):
    tagged = [cell for cell in cells if "parameters" in notebook.tags(cell)]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells have the tag `parameters`, must be one"


def _start(path, code):
    started = re.findall(r"\bstart\(\s*[\"']([^\"']*)", "\n".join(map(notebook.source, code)))
    if started != [path.stem]:
        yield f'must call start("{path.stem}", globals()) once, found {started}'


def _lengths(cells):
    for index, cell in enumerate(cells):
        lines = notebook.source(cell).count("\n") + 1
        table = "parameters" in notebook.tags(cell)  # one line a parameter, and all in one cell
        if cell["cell_type"] == "code" and lines > LONGEST_CELL and not table:
            yield f"cell {index} has {lines} lines, at most {LONGEST_CELL}: split it, or move a function to ivcore"


def _links(path, cells):
    for cell in cells:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)#\s]+)", notebook.source(cell)):
                if "://" not in target and not (path.parent / target).exists():
                    yield f"links to {target}, which is not there"


def functions(path: Path) -> set[str]:
    """Names of the functions and classes that a notebook defines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in _nodes(path) if isinstance(node, kinds)}


def figures(path: Path) -> set[str]:
    """Names of the figures that a notebook saves by run.figure(fig, "name"); computed names are left out."""
    calls = [n for n in _nodes(path) if isinstance(n, ast.Call) and ast.unparse(n.func) == "run.figure"]
    names = [call.args[1] for call in calls if len(call.args) > 1]
    return {name.value for name in names if isinstance(name, ast.Constant)}


def _nodes(path: Path):
    for cell in notebook.cells(path):
        if cell["cell_type"] == "code":
            text = re.sub(r"^\s*[%!].*$", "pass", notebook.source(cell), flags=re.MULTILINE)
            yield from ast.walk(ast.parse(text))
