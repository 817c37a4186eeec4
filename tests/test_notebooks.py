"""Every notebook: its source is clean, and at preset `quick` it runs through the same runner as users'."""

import ast
import importlib
import importlib.util
import json
import math
import symtable
import tarfile
from dataclasses import replace
from pathlib import Path

import hygiene
import papermill
import pytest
from PIL import Image
from workbook import START, Workbook, as_notebook

import ivcore
from ivcore.data.captions.sets import captioned_set
from ivcore.data.shards.pack import write_shards
from ivcore.run import execute as run
from ivcore.run import notebook
from ivcore.run.spec import Spec

NOTEBOOKS = notebook.every()
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


@by_name
def test_source_is_clean(path):
    found = hygiene.complaints(path)
    assert not found, "\n".join([path.name, *found])


@by_name
def test_reads_as_a_lesson(path):
    wrong = hygiene.lesson(path)
    assert not wrong, wrong


@by_name
def test_what_it_imports_of_ivcore_is_there(path):
    """In a second: a quick run says it too, but only when it comes to be run."""
    trees = [ast.walk(ast.parse(cell_source(cell))) for cell in notebook.cells(path)]
    imports = [
        node for tree in trees for node in tree if isinstance(node, ast.ImportFrom) and node.module.startswith("ivcore")
    ]
    assert imports
    for node in imports:
        module = importlib.import_module(node.module)
        for name in (each.name for each in node.names):
            assert hasattr(module, name) or importlib.util.find_spec(f"{node.module}.{name}"), (
                f"{node.module}: no {name}"
            )


def test_no_function_is_defined_twice():
    """The copies may stand in two notebooks, or in a notebook and in ivcore, and may have different names."""
    modules = sorted(Path(ivcore.__file__).parent.rglob("*.py"))
    written = [
        (body, f"{path.name}: {name}")
        for path in [*NOTEBOOKS, *modules]
        for name, body in hygiene.functions(path).items()
    ]
    places = {}
    for body, place in written:
        places.setdefault(body, []).append(place)
    twice = [each for body, each in places.items() if body and len(each) > 1 and ".ipynb" in each[0]]
    assert not twice, f"defined more than once, move to ivcore: {twice}"


@by_name
def test_no_cell_assigns_to_a_parameter(path):
    """The setup cell reads them again when it is run again: another value would be another run."""
    given = set(Spec.of(path).parameters)
    cells = [cell for cell in notebook.cells(path) if "parameters" not in cell.get("metadata", {}).get("tags", [])]
    tables = [symtable.symtable(cell_source(cell), path.stem, "exec") for cell in cells]
    stored = {each.get_name() for table in tables for each in table.get_symbols() if each.is_assigned()}
    assert not (both := given & stored), f"assigned to: {both}"


def cell_source(cell) -> str:
    return "".join(cell["source"]) if cell["cell_type"] == "code" else ""


@pytest.fixture(scope="session")
def outputs(tmp_path_factory):
    """One outputs folder for all, so that a notebook finds the runs of those before it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVCORE_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        patch.delenv("IVCORE_CACHE", raising=False)
        yield


@pytest.mark.slow
@by_name
def test_runs_at_quick(path, outputs):
    folder = run.execute(run.jobs(path, "quick")[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    bad = {k: v for k, v in metrics.items() if isinstance(v, float) and not math.isfinite(v)}
    assert len(metrics) > 3 and not bad
    missing = [name for name in hygiene.figures(path) if not (folder / f"figures/{name}.png").is_file()]
    assert not missing
    assert not hygiene.without_words(folder / "notebook.ipynb"), "pictures without alt text"
    if path.stem[0] in "123":  # it measures something, and says what it is about
        assert len(metrics["headline"]) > 1


@pytest.mark.slow
@pytest.mark.parametrize("number", ["10", "13"])
def test_opened_when_it_is_done_it_shows_the_run_and_changes_nothing(number, outputs, tmp_path):
    path = notebook.find(number)
    folder = run.execute(run.jobs(path, "quick")[0], timeout=300)
    state = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}
    shown = tmp_path / "shown.ipynb"
    papermill.execute_notebook(path, shown, Spec.of(path).resolve("quick"), kernel_name="python3", progress_bar=False)
    assert "shown: every metric is as in metrics.json" in shown.read_text()
    assert state == {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


@pytest.mark.slow
def test_videos_and_images_from_shards(outputs, tmp_path):
    """What 11 trains on at the paper's scale; one picture of each set has no caption."""
    records = captioned_set("train", train=60).records[:24]
    for number in range(len(records)):
        Image.new("RGB", (40, 32), (9 * number, 0, 0)).save(tmp_path / f"{number}.png")
    pictures = [replace(each, path=str(tmp_path / f"{n}.png")) for n, each in enumerate(records)]
    for name, each in {"videos": records, "pictures": pictures}.items():
        write_shards(each, tmp_path / name, per_shard=12)
    with tarfile.open(tmp_path / "pictures/000000.tar", "a") as tar:
        tar.add(tmp_path / "0.png", "no.caption.png")
    given = {"train_shards": f"{tmp_path}/videos/{{000000..000001}}.tar", "image_shards": f"{tmp_path}/pictures"}
    job = run.jobs("11", "quick", given | {"shard_samples": 16, "baseline_share": 0.0})[0]
    folder = run.execute(job, timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["samples_read"] == 2 * 2 * 8 and metrics["samples_left_out"] == 1
    logged = [json.loads(line) for line in (folder / "image-shards-rank0.jsonl").read_text().splitlines()]
    assert [line["key"] for line in logged if "key" in line] == ["no.caption"]


# The checks above can fail: one good notebook, and one for each way to be bad.

GOOD = ["# 10 · Good\n\n> It is good.", "seed: int = 0  # of every generator", START.format(name="10_good")]


@pytest.fixture
def write(tmp_path, monkeypatch):
    book = Workbook(tmp_path, monkeypatch)

    def write(change=None, cells=(), name="10_good"):
        content = as_notebook([*GOOD, *cells])
        if change:
            change(content)
        path = book.root / "notebooks" / f"{name}.ipynb"
        path.write_text(json.dumps(content))
        return path

    return write


def test_a_picture_without_words_is_found(tmp_path):
    picture = {"data": {"image/png": "x"}, "metadata": {"image/png": {"alt": "a clip"}}}
    cells = [{"id": "a", "outputs": [picture]}, {"id": "b", "outputs": [picture | {"metadata": {}}]}, {"id": "c"}]
    (tmp_path / "notebook.ipynb").write_text(json.dumps({"cells": cells}))
    assert hygiene.without_words(tmp_path / "notebook.ipynb") == ["b"]


def test_a_good_notebook_has_no_complaints(write):
    path = write(cells=["## More\n\n[itself](10_good.ipynb), [a page](https://example.org)", "x = 1\n" * 24 + "x"])
    assert hygiene.complaints(path) == []


def _set(*keys, value):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change, says",
    [
        (_set("cells", 2, "outputs", value=[{"output_type": "stream", "name": "stdout", "text": "x"}]), "nbstripout"),
        (_set("cells", 2, "execution_count", value=3), "nbstripout"),
        (_set("metadata", "papermill", value={}), "metadata ['papermill']"),
        (_set("cells", 2, "metadata", "papermill", value={}), "metadata ['papermill']"),
        (_set("metadata", "kernelspec", "name", value="conda-env-x-py"), "python3"),
        (_set("cells", 2, "id", value="cell-1"), "cell ids"),
        (_set("cells", 0, "source", value="# 11 · Good\n\n> It is good."), "beginning `# 10 `"),
        (_set("cells", 0, "source", value="# 10 · Good\n\n> It is good.\n\n# Again"), "exactly one"),
        (_set("cells", 0, "source", value="# 10 · Good"), "`> ` line"),
        (_set("cells", 1, "metadata", value={}), "0 cells have the tag"),
        (_set("cells", 2, "metadata", value={"tags": ["parameters"]}), "2 cells have the tag"),
        (_set("cells", 2, "source", value='run = start("11_other", globals())'), 'start("10_good", globals())'),
        (_set("cells", 2, "source", value=START.format(name="10_good") + "\nx = 1" * 25), "cell 2 has 27 lines"),
        (_set("cells", 0, "source", value="# 10 · Good\n\n> It is. [gone](09_gone.ipynb)"), "links to 09_gone.ipynb"),
    ],
)
def test_each_way_to_be_bad_is_seen(write, change, says):
    (found,) = hygiene.complaints(write(change))
    assert says in found


def test_a_link_to_a_section_that_is_not_there_is_seen(write, tmp_path):
    (tmp_path / "a.md").write_text("# A page\n\n## The box: 1, 2 (b)\n")
    assert hygiene.complaints(write(cells=["## More\n\n[b](../a.md#the-box-1-2-b)"])) == []
    (found,) = hygiene.complaints(write(cells=["## More\n\n[b](../a.md#the-box)"]))
    assert found == "links to ../a.md#the-box, a section that is not there"


@pytest.mark.parametrize(
    "cells, rule",
    [
        (["# More", "x = 1\n" * 6 + "x", "# More", "x = 1\n" * 6 + "x", "# More"], "median"),
        (["x = 1\nx"], "prose"),
        (["# More", "x = 1"], "result"),
        (["# More", "import math\n[math for math in range(3)]"], "shadowed"),
        (["# More", "def f(seed):\n    pass\nf(1)"], "shadowed"),
    ],
)
def test_each_way_not_to_be_a_lesson_is_seen(write, cells, rule):
    assert list(hygiene.lesson(write(cells=["# Before", *cells]))) == [rule]
    assert hygiene.lesson(write(cells=["# Before", "# More", "x = 1\nx"])) == {}


def test_functions_are_compared_by_what_they_do(write):
    first = hygiene.functions(write(cells=['def f(a):\n    """One."""\n    b = g(a)\n    return b + 1']))
    same = hygiene.functions(write(cells=["def h(x):\n    y = g(x)\n    return y + 1"]))
    other = hygiene.functions(write(cells=["def f(a):\n    b = k(a)\n    return b + 1"]))
    assert first["f"] == same["h"] != other["f"]


def test_figures_are_found(write):
    path = write(cells=['run.figure(draw(1, "x"), "grid")\nrun.figure(fig, name)'])
    assert hygiene.figures(path) == {"grid"}
