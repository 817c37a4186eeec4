"""What a notebook's source must look like, each complaint saying how to mend it."""

import ast
import json
import re
import statistics
from pathlib import Path

from ivcore.run import notebook

LONGEST_CELL = 25
MEDIAN_CELL = 6
SHOWING = {"print", "display", "explore", "check", "start", "run.figure", "run.finish"}
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
            for target, section in re.findall(r"\]\(([^)#\s]+)(?:#([^)\s]+))?", notebook.source(cell)):
                file = path.parent / target
                if "://" not in target and not file.exists():
                    yield f"links to {target}, which is not there"
                elif section and file.suffix == ".md" and section not in _sections(file):
                    yield f"links to {target}#{section}, a section that is not there"


def _sections(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    heads = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


def lesson(path: Path) -> dict[str, str]:
    """What keeps a notebook from reading as a lesson: the rule -> what is wrong; {} for a good one."""
    cells = [cell for cell in notebook.cells(path) if "parameters" not in notebook.tags(cell)]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    lines = [notebook.source(cell).count("\n") + 1 for cell in code]
    wrong = {}
    if (median := statistics.median(lines)) > MEDIAN_CELL:
        wrong["median"] = f"half of the code cells have {median:g} lines or more, at most {MEDIAN_CELL}"
    if len(cells) - len(code) < len(code) + 1:  # the parameters are a code cell too
        wrong["prose"] = f"{len(code) + 1} code cells and {len(cells) - len(code)} of prose: say what each does"
    if silent := [cell["id"] for cell in code if not _shows(_tree(cell))]:
        wrong["result"] = f"cells {silent} show nothing: end them with a value, a figure or a print"
    if names := _shadowed(path, code):
        wrong["shadowed"] = f"{names} are imported or parameters, and then something else"
    return wrong


LESSONS = ("01", "02", "03", "04", "05", "06")
MEDIAN_OF_LESSON, CYCLES = 5, 3
PREDICT, CHECK = "**Predict.**", "**Check.**"
FOLDED = re.compile(
    r"<details><summary>[^<]+</summary>\n\n.+?\n\n</details>", re.DOTALL
)  # blank lines: or markdown in it is not rendered


def taught(path: Path, answers: dict[str, float]) -> dict[str, str]:
    """What keeps a lesson from teaching by predict, run, check: the rule -> what is wrong; {} for a good one.

    answers: exercise -> the number that is right. An answer may stand in a folded part, and nowhere else near its question.
    """
    cells = [cell for cell in notebook.cells(path) if "parameters" not in notebook.tags(cell)]
    texts = [(cell["cell_type"], notebook.source(cell)) for cell in cells]
    code = [text for kind, text in texts if kind == "code"]
    prose = [text for kind, text in texts if kind == "markdown"]
    wrong = {}
    if (median := statistics.median(text.count("\n") + 1 for text in code)) > MEDIAN_OF_LESSON:
        wrong["median"] = f"half of the code cells have {median:g} lines or more, at most {MEDIAN_OF_LESSON}"
    if (words := _words(prose)) <= (of_code := _words(code)):
        wrong["prose"] = f"{words} words of prose for {of_code} of code: there must be more prose"
    if left := _unchecked(texts):
        wrong["check"] = f"predictions that are not run and then checked, folded: {left}"
    if (count := sum(PREDICT in text for text in prose)) < CYCLES:
        wrong["predict"] = f"{count} predictions, at least {CYCLES}"
    if found := [problem for place in range(len(texts)) for problem in _exercise(texts, place, answers)]:
        wrong["exercise"] = "; ".join(found)
    return wrong


def _words(texts: list[str]) -> int:
    return sum(len(text.split()) for text in texts)


def _unchecked(texts: list[tuple[str, str]]) -> list[str]:
    """The beginnings of predictions that no code cell follows, or no check that begins with a folded part before the next prediction."""
    places = [n for n, (kind, text) in enumerate(texts) if kind == "markdown" and PREDICT in text]
    left = []
    for place, end in zip(places, [*places[1:], len(texts)]):
        run = place + 1 < len(texts) and texts[place + 1][0] == "code"
        behind = [text for kind, text in texts[place + 1 : end + 1] if kind == "markdown"]
        checks = [text.removeprefix(CHECK).strip() for text in behind if text.startswith(CHECK)]
        if not run or not any(FOLDED.match(text) for text in checks[:1]):
            left.append(texts[place][1].partition(PREDICT)[2].strip()[:40])
    return left


def _exercise(texts: list[tuple[str, str]], place: int, answers: dict[str, float]) -> list[str]:
    """What is wrong with the exercise in this cell, if there is one: no folded solution right behind it, or an answer that can be seen."""
    kind, text = texts[place]
    asked = re.search(r'^check\("([^"]+)"', text, re.MULTILINE)
    if kind != "code" or not asked:
        return []
    solution = texts[place + 1][1] if place + 1 < len(texts) else ""
    near = "\n".join((texts[place - 1][1], text, FOLDED.sub("", solution)))
    wrong = [] if FOLDED.match(solution) else [f"{asked[1]} has no folded solution in the cell behind it"]
    number = answers[asked[1]]
    forms = {form.format(number) for form in ("{:.2f}", "{:.3f}", "{:.4g}", *(("{:,.0f}",) if number == int(number) else ()))}  # fmt: skip
    shown = [form for form in forms if re.search(rf"(?<![\w.,]){re.escape(form)}(?![\w]|[.,]\d)", near)]
    return wrong + [f"{asked[1]} shows its answer {form}" for form in shown]


def _shows(tree: ast.Module) -> bool:
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return isinstance(tree.body[-1], ast.Expr) or bool(calls & SHOWING)


def _shadowed(path: Path, code: list) -> list[str]:
    """Names of imports and parameters that a cell, a comprehension or a function gives to something else."""
    nodes = [node for cell in code for node in ast.walk(_tree(cell))]
    imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    taken = {(alias.asname or alias.name).split(".")[0] for node in imports for alias in node.names}
    (cell,) = (cell for cell in notebook.cells(path) if "parameters" in notebook.tags(cell))
    taken |= {node.target.id for node in _tree(cell).body if isinstance(node, ast.AnnAssign)}
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    defined = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    return sorted(taken & (bound | defined | {n.arg for n in nodes if isinstance(n, ast.arg)}))


def without_words(executed: Path) -> list[str]:
    """Ids of the cells of an executed notebook that show a picture without words for who cannot see it."""
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    shown = [
        (cell["id"], output)
        for cell in cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    return [cell for cell, output in shown if not output.get("metadata", {}).get("image/png", {}).get("alt")]


def functions(path: Path) -> dict[str, str]:
    """Name -> body of every function and class that a notebook or a module defines, docstring and local names aside."""
    trees = [_tree(c) for c in notebook.cells(path) if c["cell_type"] == "code"] if path.suffix == ".ipynb" else None
    nodes = [node for tree in trees or [ast.parse(path.read_text())] for node in ast.walk(tree)]
    return {node.name: _body(node) for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def _body(node: ast.FunctionDef | ast.ClassDef) -> str:
    statements = node.body[1:] if ast.get_docstring(node) is not None else node.body
    inside = [
        each for statement in (getattr(node, "args", None), *statements) if statement for each in ast.walk(statement)
    ]
    local = [n.arg if isinstance(n, ast.arg) else n.id for n in inside
             if isinstance(n, ast.arg) or (isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))]  # fmt: skip
    number = {name: f"local{i}" for i, name in enumerate(dict.fromkeys(local))}

    class Rename(ast.NodeTransformer):
        def visit_Name(self, name):
            return ast.Name(number.get(name.id, name.id), name.ctx)

        def visit_arg(self, arg):
            return ast.arg(number[arg.arg])

    body = ast.parse("\n".join(map(ast.unparse, statements)))
    return ast.dump(Rename().visit(body)) if statements else ""


def figures(path: Path) -> set[str]:
    """Names of the figures that a notebook saves by run.figure(fig, "name"); computed names are left out."""
    calls = [n for n in _nodes(path) if isinstance(n, ast.Call) and ast.unparse(n.func) == "run.figure"]
    names = [call.args[1] for call in calls if len(call.args) > 1]
    return {name.value for name in names if isinstance(name, ast.Constant)}


def _nodes(path: Path):
    for cell in notebook.cells(path):
        if cell["cell_type"] == "code":
            yield from ast.walk(_tree(cell))


def _tree(cell) -> ast.Module:
    return ast.parse(re.sub(r"^\s*[%!].*$", "pass", notebook.source(cell), flags=re.MULTILINE))
